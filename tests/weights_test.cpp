// Weight files: what is written is read back, what is damaged is refused, and torch's order becomes the device's.
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "models/init.h"
#include "models/registry.h"
#include "models/weights/formats.h"
#include "models/weights/transfer.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/op_shader.h"

using namespace vkfer;
namespace fs = std::filesystem;

namespace {

// A folder that goes away again.
struct TemporaryFolder {
  fs::path path = fs::temp_directory_path() / ("vkfer_weights_" + std::to_string(::getpid()));
  TemporaryFolder() { fs::create_directories(path); }
  ~TemporaryFolder() { fs::remove_all(path); }
};

std::vector<std::byte> file_bytes(const std::string& header, size_t data_bytes) {
  std::vector<std::byte> bytes(8 + header.size() + data_bytes, std::byte{0});
  const uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, 8);
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  return bytes;
}

WeightFile parsed(const std::string& header, size_t data_bytes) { return parse_safetensors(file_bytes(header, data_bytes), "test"); }

WeightFile sample() {
  WeightFile file;
  file.metadata = {{"model", "none"}, {"classes", "a,b"}};
  file.set("b.weight", {2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  file.set("a.bias", {1}, std::vector<float>{-0.5f});
  file.set("scalar", {}, std::vector<float>{7});
  file.set("none", {0, 4}, std::vector<float>{});
  file.tensors["count"] = WeightTensor::of({}, std::vector<int64_t>{42});
  return file;
}

ValueInfo state(Shape shape, Layout layout, Shape flattened = {}) {
  ValueInfo info;
  info.name = "w";
  info.desc = {shape, DType::f32};
  info.state.layout = layout;
  info.state.flatten_from = flattened;
  return info;
}

std::vector<float> counted(int64_t n) {
  std::vector<float> v(static_cast<size_t>(n));
  for (size_t i = 0; i < v.size(); ++i) v[i] = float(i);
  return v;
}

// `head`: VGG's own has 120 million weights, which is nothing to move about in a test.
Graph network(const char* model, int classes = 7, const std::string& head = {}) {
  Graph graph;
  const int size = std::max(16, find_model(model).smallest_size);
  Value images = graph.input("images", {{1, size, size, 3}, DType::f32});
  build_model(find_model(model), graph, images, {}, {.size = size, .classes = classes, .head = head});
  return graph;
}

// A file with every weight of the network.
WeightFile weights_of(const Graph& graph) {
  States states(test::test_device());
  initialise(graph, states, 3);
  WeightFile file;
  file.source = "net.safetensors";
  export_weights(graph, states, file);
  return file;
}

}  // namespace

TEST_CASE("a weight file comes back as it was written, byte for byte each time", "[weights]") {
  const TemporaryFolder folder;
  const WeightFile file = sample();
  write_safetensors(folder.path / "w.safetensors", file);
  const WeightFile back = read_weights(folder.path / "w.safetensors");
  CHECK(back.metadata == file.metadata);
  REQUIRE(back.tensors.size() == file.tensors.size());
  for (const auto& [name, tensor] : file.tensors) {
    INFO(name);
    CHECK(back.at(name).shape == tensor.shape);
    CHECK(back.at(name).type == tensor.type);
    CHECK(back.at(name).bytes == tensor.bytes);
  }
  CHECK(safetensors_bytes(back) == safetensors_bytes(file));
  CHECK(back.at("count").floats() == std::vector<float>{42});
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder.path)) ++files;
  CHECK(files == 1);  // no temporary file stays
}

TEST_CASE("element types are converted", "[weights]") {
  auto one = [](StoredType type, auto value) {
    WeightTensor t{type, {1}, std::vector<std::byte>(sizeof value)};
    std::memcpy(t.bytes.data(), &value, sizeof value);
    return t.doubles().at(0);
  };
  CHECK(one(StoredType::f64, -1.25) == -1.25);
  CHECK(one(StoredType::f32, 0.5f) == 0.5);
  CHECK(one(StoredType::f16, uint16_t(0x3E00)) == 1.5);
  CHECK(one(StoredType::bf16, uint16_t(0xC020)) == -2.5);
  CHECK(one(StoredType::i64, int64_t(-3)) == -3);
  CHECK(one(StoredType::i32, int32_t(-3)) == -3);
  CHECK(one(StoredType::i16, int16_t(-3)) == -3);
  CHECK(one(StoredType::i8, int8_t(-3)) == -3);
  CHECK(one(StoredType::u64, uint64_t(3)) == 3);
  CHECK(one(StoredType::u32, uint32_t(4000000000u)) == 4e9);
  CHECK(one(StoredType::u16, uint16_t(65535)) == 65535);
  CHECK(one(StoredType::u8, uint8_t(255)) == 255);
  CHECK(one(StoredType::boolean, uint8_t(1)) == 1);
}

TEST_CASE("a damaged or hostile weight file is refused with its reason", "[weights]") {
  auto refused = [](const std::string& header, size_t data_bytes, const std::string& reason) {
    INFO(header);
    CHECK_THROWS_WITH(parsed(header, data_bytes), contains(reason));
  };
  auto entry = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
  };
  const std::string good = entry("F32", "[1]", "[0,4]");
  CHECK(parsed(R"({"a":)" + good + "}   ", 4).tensors.size() == 1);

  CHECK_THROWS_WITH(parse_safetensors({}, "empty"), contains("got 0 bytes"));
  refused("", 0, "expected it to start with '{'");
  refused(" {}", 0, "expected it to start with '{'");
  refused("{", 0, "no valid JSON");
  refused("{} x", 0, "no valid JSON");
  refused(R"({"a":)" + good + R"(,"a":)" + good + "}", 4, "the same name twice");
  refused(R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4, "the same name twice");
  refused(R"({"a":{"dtype":[[[[[[1]]]]]]}})", 4, "nests too deeply");
  refused(R"({"a":3})", 0, "without dtype, shape and data_offsets");
  refused(R"({"a":)" + entry("F33", "[1]", "[0,4]") + "}", 4, "dtype: got \"F33\"");
  refused(R"({"a":)" + entry("F32", "[-1]", "[0,4]") + "}", 4, "shape: expected a whole number");
  refused(R"({"a":)" + entry("F32", "[1.5]", "[0,4]") + "}", 4, "shape: expected a whole number");
  refused(R"({"a":)" + entry("F32", "3", "[0,4]") + "}", 4, "shape: expected a list");
  refused(R"({"a":)" + entry("F32", "[4294967296,4294967296,4]", "[0,0]") + "}", 0, "exceed 8 GiB");
  refused(R"({"a":)" + entry("F32", "[18446744073709551615]", "[0,4]") + "}", 4, "exceed 8 GiB");
  refused(R"({"a":)" + entry("F32", "[1]", "[0]") + "}", 4, "expected [begin, end]");
  refused(R"({"a":)" + entry("F32", "[1]", "[4,0]") + "}", 4, "got 4..0");
  refused(R"({"a":)" + entry("F32", "[2]", "[0,8]") + "}", 4, "expected within the 4 bytes");
  refused(R"({"a":)" + entry("F32", "[2]", "[0,4]") + "}", 4, "got 4 bytes, expected 8");
  refused(R"({"a":)" + good + R"(,"b":)" + entry("F32", "[1]", "[2,6]") + "}", 6, "overlap");
  refused(R"({"a":)" + good + R"(,"b":)" + good + "}", 8, "overlap");
  refused(R"({"a":)" + good + R"(,"b":)" + good + "}", 4, "overlap");
  refused(R"({"a":)" + good + R"(,"b":)" + entry("F32", "[1]", "[8,12]") + "}", 12, "a gap lies before it");
  refused(R"({"a":)" + good + "}", 5, "1 bytes behind the last tensor");
  refused(R"({"__metadata__":{"a":1}})", 0, "expected a text");
  refused(R"({"__metadata__":[]})", 0, "expected an object of texts");
  auto long_header = file_bytes("{}", 0);
  long_header[5] = std::byte{1};
  CHECK_THROWS_WITH(parse_safetensors(long_header, "long"), contains("header length: got 1099511627778"));
}

TEST_CASE("no cut or flipped byte makes the reader misbehave", "[weights]") {
  const auto whole = safetensors_bytes(sample());
  for (size_t n = 0; n < whole.size(); ++n) CHECK_THROWS_AS(parse_safetensors(std::span(whole).first(n), "cut"), Error);
  size_t refused = 0;
  for (size_t i = 0; i < whole.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      auto bytes = whole;
      bytes[i] ^= std::byte(1 << bit);
      try {
        for (const auto& [name, tensor] : parse_safetensors(bytes, "flipped").tensors) (void)tensor.doubles();
      } catch (const Error&) {
        ++refused;
      }
    }
  CHECK(refused > whole.size());
}

TEST_CASE("files that are no weight files are named", "[weights]") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(read_weights(folder.path / "absent"), contains("absent: no such file"));
  CHECK_THROWS_WITH(read_weights(folder.path), contains("not a file"));
  std::ofstream(folder.path / "empty").close();
  CHECK_THROWS_WITH(read_weights(folder.path / "empty"), contains("empty: got 0 bytes"));
  CHECK_THROWS_WITH(write_safetensors(folder.path / "no" / "w", sample()), contains("cannot be created: No such file or directory"));
  CHECK_THROWS_WITH(sample().at("b.weigth"), contains("the nearest is 'b.weight'"));
}

TEST_CASE("torch's order and the device's, both ways", "[weights]") {
  const ValueInfo filter = state({2, 3, 4, 5}, Layout::filter);  // [r,s,ci,co]
  CHECK(torch_shape(filter) == std::vector<int64_t>{5, 4, 2, 3});
  const auto torch = to_torch(filter, counted(120));
  CHECK(torch[size_t(((1 * 4 + 2) * 2 + 1) * 3 + 0)] == float(((1 * 3 + 0) * 4 + 2) * 5 + 1));  // co=1 ci=2 r=1 s=0
  CHECK(from_torch(filter, torch) == counted(120));

  const ValueInfo linear = state({3, 2}, Layout::linear);  // [in,out]
  CHECK(torch_shape(linear) == std::vector<int64_t>{2, 3});
  CHECK(to_torch(linear, counted(6)) == std::vector<float>{0, 2, 4, 1, 3, 5});
  CHECK(from_torch(linear, to_torch(linear, counted(6))) == counted(6));

  const ValueInfo flattened = state({2 * 3 * 4, 5}, Layout::linear_flatten, {2, 3, 4});  // [h*w*c,out]
  CHECK(torch_shape(flattened) == std::vector<int64_t>{5, 24});
  const auto weights = to_torch(flattened, counted(120));
  CHECK(weights[size_t(3 * 24 + (2 * 2 + 1) * 3 + 0)] == float(((1 * 3 + 0) * 4 + 2) * 5 + 3));  // out=3 c=2 y=1 x=0
  CHECK(from_torch(flattened, weights) == counted(120));

  CHECK(to_torch(state({3}, Layout::plain), counted(3)) == counted(3));
  CHECK_THROWS_AS(to_torch(linear, counted(5)), Error);
}

TEST_CASE("weights go to the device and come back", "[weights][device]") {
  for (const ModelInfo* model : all_models()) {
    INFO(model->name);
    const Graph graph = network(model->name.c_str(), 7, model->name.starts_with("vgg") ? "gap" : "");
    const WeightFile file = weights_of(graph);
    States states(test::test_device());
    load_weights(file, graph, states, {.classifier = model->classifier});
    WeightFile back;
    export_weights(graph, states, back);
    CHECK(safetensors_bytes(back) == safetensors_bytes(file));
    for (const auto& [name, tensor] : file.tensors)  // what torch's load_state_dict(strict=True) wants beside the rest
      if (name.ends_with(".running_mean")) CHECK(file.at(name.substr(0, name.rfind('.')) + ".num_batches_tracked").type == StoredType::i64);
  }
}

TEST_CASE("weights that do not fit are refused all at once, and nothing is changed", "[weights][device]") {
  const Graph graph = network("compact_mobilenetv2");
  States states(test::test_device());
  initialise(graph, states, 1);
  const auto before = states.read("classifier.weight");
  WeightFile file = weights_of(graph);
  auto load = [&] { load_weights(file, graph, states, {.classifier = "classifier"}); };

  SECTION("missing, unexpected, mis-shaped") {
    file.tensors["init_conv.0.weights"] = file.tensors.extract("init_conv.0.weight").mapped();
    file.tensors.at("last_conv.1.bias").shape = {64, 2};
    CHECK_THROWS_WITH(load(), contains("1 missing: init_conv.0.weight (nearest: init_conv.0.weights)"));
    CHECK_THROWS_WITH(load(), contains("1 unexpected: init_conv.0.weights (nearest: init_conv.0.weight)"));
    CHECK_THROWS_WITH(load(), contains("last_conv.1.bias (got [64,2], expected [128])"));
  }
  SECTION("another class count") {
    file = weights_of(network("compact_mobilenetv2", 8));
    CHECK_THROWS_WITH(load(), contains("answers 8 classes and this network 7"));
    load_weights(file, graph, states, {.classifier = "classifier", .skip_classifier = true});
    const ValueInfo& stem = graph.info(graph.find("init_conv.0.weight"));
    CHECK(to_torch(stem, states.read(stem.name)) == file.at(stem.name).floats());
  }
  SECTION("another head: the backbone alone") {
    const LoadOptions only{.only = backbone_states(find_model("compact_mobilenetv2"), 3)};
    file = weights_of(network("compact_mobilenetv2", 8, "gap,dense4"));
    load_weights(file, graph, states, only);
    const ValueInfo& stem = graph.info(graph.find("init_conv.0.weight"));
    CHECK(to_torch(stem, states.read(stem.name)) == file.at(stem.name).floats());
    file.tensors.erase("bottlenecks.5.block.7.running_var");
    CHECK_THROWS_WITH(load_weights(file, graph, states, only), contains("1 missing: bottlenecks.5.block.7.running_var"));
  }
  SECTION("another network") {
    file = weights_of(network("compact_resnet"));
    CHECK_THROWS_WITH(load(), contains("and 89 more") && contains("Fix: choose the model these weights belong to"));
  }
  SECTION("not a number") {
    const float bad = NAN;
    std::memcpy(file.tensors.at("classifier.bias").bytes.data(), &bad, 4);
    CHECK_THROWS_WITH(load(), contains("NaN or infinite: classifier.bias"));
  }
  SECTION("no counters is fine") {
    std::erase_if(file.tensors, [](const auto& t) { return t.first.ends_with("num_batches_tracked"); });
    load();
    CHECK(states.read("classifier.weight") != before);
    return;
  }
  CHECK(states.read("classifier.weight") == before);
}
