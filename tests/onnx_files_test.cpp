// ONNX files: what is written is read back, and whatever a hostile hand writes is refused with file, byte and rule.
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "models/onnx/model.h"
#include "models/onnx/protobuf.h"
#include "models/weights/formats.h"
#include "runtime/error.h"
#include "tests/catch.h"

using namespace vkfer;
namespace fs = std::filesystem;
using namespace std::string_literals;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / ("vkfer_onnx_" + std::to_string(::getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
};

std::span<const std::byte> bytes_of(const std::string& s) { return std::as_bytes(std::span(s)); }
OnnxModel parsed(const std::string& file, const std::string& source = "m.onnx") { return parse_onnx(bytes_of(file), source); }

OnnxPort port(const std::string& name, std::vector<int64_t> shape = {2, 3}) {
  std::vector<OnnxDim> dims;
  for (int64_t d : shape) dims.push_back({d, {}});
  return {name, StoredType::f32, dims};
}

OnnxModel sample() {
  OnnxModel m;
  m.producer = "test";
  m.opsets[""] = 13;
  m.inputs = {port("x")};
  m.inputs[0].shape->at(0) = {-1, "n"};
  m.outputs = {port("y")};
  m.initializers["w"] = WeightTensor::of({3}, std::vector<float>{1, -2, 0.5f});
  OnnxNode constant{.op = "Constant", .in = {}, .out = {"c"}, .attributes = {{"value", WeightTensor::of({2}, std::vector<int64_t>{-7, 9})}}};
  OnnxNode add{.op = "Add", .name = "add", .in = {"x", "w"}, .out = {"s"}};
  OnnxNode last{.op = "Clip", .in = {"s", ""}, .out = {"y"},
                .attributes = {{"a", 2.5}, {"b", int64_t(-3)}, {"c", "text"}, {"d", std::vector<int64_t>{1, -1}}, {"e", std::vector<double>{0.5, 2}}}};
  m.nodes = {constant, add, last};
  return m;
}

// A model around raw messages: `graph` is the graph's fields, `before` comes before it.
std::string model(const ProtoWriter& graph, const std::string& before = {}) {
  ProtoWriter version, w;
  version.integer(1, 8);
  w.message(7, graph);
  return version.bytes() + before + w.bytes();
}

struct TensorFields {
  std::vector<int64_t> dims = {2};
  int64_t type = 1;
  std::string raw = std::string(8, '\0');
  bool has_raw = true;
  std::vector<std::pair<std::string, std::string>> external = {};
  std::string more = {};
};

std::string tensor(const TensorFields& f, const std::string& name = "w") {
  ProtoWriter t;
  t.integers(1, f.dims);
  t.integer(2, f.type);
  t.text(8, name);
  if (f.has_raw) t.text(9, f.raw);
  for (const auto& [key, value] : f.external) {
    ProtoWriter e;
    e.text(1, key);
    e.text(2, value);
    t.message(13, e);
  }
  if (!f.external.empty()) t.integer(14, 1);
  return t.bytes() + f.more;
}

std::string with_initializers(const std::vector<std::string>& tensors) {
  ProtoWriter graph;
  for (const auto& t : tensors) graph.text(5, t);
  return model(graph);
}
std::string with_initializer(const TensorFields& f) { return with_initializers({tensor(f)}); }

std::string field(uint32_t number, const std::string& bytes) {
  ProtoWriter w;
  w.text(number, bytes);
  return w.bytes();
}
std::string varint_field(uint32_t number, int64_t value) {
  ProtoWriter w;
  w.integer(number, value);
  return w.bytes();
}
std::string external(const std::string& location) {
  return with_initializer({.has_raw = false, .external = {{"location", location}, {"length", "8"}}});
}

}  // namespace

TEST_CASE("an ONNX model comes back as it was written", "[onnx]") {
  const OnnxModel m = sample(), back = parsed(onnx_bytes(m));
  CHECK(onnx_bytes(back) == onnx_bytes(m));
  CHECK(back.producer == "test");
  CHECK(back.opsets.at("") == 13);
  REQUIRE(back.nodes.size() == 3);
  CHECK(back.nodes[2].in == std::vector<std::string>{"s", ""});
  CHECK(back.nodes[2].attributes.at("a").number == 2.5);
  CHECK(back.nodes[2].attributes.at("b").integer == -3);
  CHECK(back.nodes[2].attributes.at("c").text == "text");
  CHECK(back.nodes[2].attributes.at("d").integers == std::vector<int64_t>{1, -1});
  CHECK(back.nodes[2].attributes.at("e").numbers == std::vector<double>{0.5, 2});
  CHECK(back.nodes[0].attributes.at("value").tensor.doubles() == std::vector<double>{-7, 9});
  CHECK(back.inputs[0].shape->at(0).symbol == "n");
  CHECK(back.inputs[0].shape->at(1).size == 3);
  CHECK(back.initializers.at("w").floats() == std::vector<float>{1, -2, 0.5f});
}

TEST_CASE("initializers of an ONNX file are weights like any other's", "[onnx][weights]") {
  const std::string file = onnx_bytes(sample());
  const WeightFile w = parse_weights(bytes_of(file), "m.onnx");
  CHECK(w.format == "ONNX");
  CHECK(w.at("w").shape == std::vector<int64_t>{3});
  CHECK(w.at("c").type == StoredType::i64);
  CHECK(w.tensors.size() == 2);
  CHECK(w.notes.at(0).find("3 nodes, opset 13, by 'test'") == 0);
}

TEST_CASE("elements of a tensor in every place that ONNX has for them", "[onnx]") {
  const auto values = [](int64_t type, const std::string& lists) {
    return parsed(with_initializer({.type = type, .has_raw = false, .more = lists})).initializers.at("w").doubles();
  };
  const std::vector<double> expected = {1, 2};
  ProtoWriter floats, ints, halves, brains;
  floats.floats(4, std::vector<float>{1, 2});
  ints.integers(5, std::vector<int64_t>{1, 2});
  halves.integers(5, std::vector<int64_t>{0x3c00, 0x4000});
  brains.integers(5, std::vector<int64_t>{0x3f80, 0x4000});
  CHECK(values(1, floats.bytes()) == expected);
  for (int64_t type : {2, 3, 4, 5, 6}) CHECK(values(type, ints.bytes()) == expected);
  CHECK(values(6, varint_field(5, 1) + varint_field(5, 2)) == expected);  // not packed
  CHECK(values(6, varint_field(5, -1) + varint_field(5, 2)) == std::vector<double>{-1, 2});
  CHECK(values(9, varint_field(5, 1) + varint_field(5, 0)) == std::vector<double>{1, 0});
  CHECK(values(10, halves.bytes()) == expected);
  CHECK(values(16, brains.bytes()) == expected);
  CHECK(values(7, varint_field(7, 1) + varint_field(7, 2)) == expected);
  CHECK(values(12, varint_field(11, 1) + varint_field(11, 2)) == expected);
  CHECK(values(13, varint_field(11, 1) + varint_field(11, 2)) == expected);
  const double doubles[] = {1, 2};
  CHECK(values(11, field(10, std::string(reinterpret_cast<const char*>(doubles), 16))) == expected);
  CHECK(parsed(with_initializer({.dims = {0, 3}, .raw = ""})).initializers.at("w").elements() == 0);
  CHECK(parsed(with_initializer({.dims = {}, .raw = std::string(4, '\0')})).initializers.at("w").elements() == 1);
}

TEST_CASE("hostile ONNX files are refused with their reason", "[onnx]") {
  const auto refused = [](const std::string& file, const std::string& reason) {
    INFO(reason);
    CHECK_THROWS_WITH(parsed(file), contains("m.onnx") && contains(reason));
  };
  const auto graph = [](const std::string& fields) { return model({}) .substr(0, 2) + field(7, fields); };
  const auto node = [](std::vector<std::string> in, std::vector<std::string> out, const std::string& more = {}) {
    ProtoWriter n;
    for (const auto& name : in) n.text(1, name);
    for (const auto& name : out) n.text(2, name);
    n.text(4, "Relu");
    return field(1, n.bytes() + more);
  };
  const auto ports = [](uint32_t number, const std::string& name) { return field(number, field(1, name)); };

  SECTION("the wire") {
    refused("", "got 0 bytes without a graph");
    refused("\x08", "got 0 bytes, expected 1 more");
    refused("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"s, "a varint of more than 64 bits");
    refused("\x08" + std::string(20, '\xff'), "a varint of more than 64 bits");
    refused("\x08\x08\x3b\x00"s, "field 7 is a group");
    refused("\x08\x08\x3c"s, "field 7 is a group's end");
    refused("\x08\x08\x3e"s, "field 7 is ?");
    refused("\x08\x08\x00\x00"s, "got field number 0");
    refused("\x08\x08\xf8\xff\xff\xff\xff\x01\x00"s, "got field number");
    refused("\x08\x08\x3a\x05\x00"s, "field 7 has 5 bytes, but 1 are left");
    refused("\x08\x08\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s, "but 0 are left");
    refused("\x08\x08\x38\x01"s, "field 7 is a varint, expected a length and bytes");
    refused("\x0a\x01\x08"s, "field 1 is a length and bytes, expected a varint");
    refused(graph("") + field(7, ""), "got a second graph");
    refused("\x08\x08", "without a graph");
  }
  SECTION("values") {
    refused(graph(node({"x"}, {"y"})), "node 0 (Relu '') reads 'x', which no node before it makes");
    refused(graph(node({"a"}, {"b"}) + node({"b"}, {"a"})), "reads 'a', which no node before it makes");  // a cycle
    refused(graph(node({"y"}, {"y"})), "reads 'y', which no node before it makes");
    refused(graph(ports(11, "x") + node({"x"}, {"y"}) + node({"x"}, {"y"})), "makes 'y', which is made already");
    refused(graph(ports(11, "x") + node({"x"}, {"x"})), "makes 'x', which is made already");
    refused(graph(ports(11, "x") + ports(11, "x")), "input 'x' is there twice");
    refused(graph(ports(11, "")), "or has no name");
    refused(graph(ports(12, "y")), "output 'y' is made by no node");
    refused(graph(ports(11, "x") + node({"x"}, {"y"}, field(5, field(1, "a") + varint_field(3, 1)) + field(5, field(1, "a")))), "attribute 'a' of a Relu is there twice");
    refused(graph(ports(11, "x") + node({"x"}, {"y"}, field(5, field(1, "a") + varint_field(20, 4)))), "is not of the type that it says");
    refused(graph(ports(11, "x") + node({"x"}, {"y"}, field(5, field(1, "a") + varint_field(3, 1) + varint_field(20, 7)))), "is not of the type that it says");
    refused(graph(field(11, field(1, "x") + field(2, field(1, field(2, field(1, varint_field(1, -2))))))), "a dimension of -2");
    refused(graph(field(15, "")), "sparse initializer");
  }
  SECTION("tensors") {
    refused(with_initializer({.dims = {3}}), "tensor 'w' has 8 bytes, expected 12");
    refused(with_initializer({.dims = {1}}), "tensor 'w' has 8 bytes, expected 4");
    refused(with_initializer({.dims = {-2}}), "a dimension of -2");
    refused(with_initializer({.dims = {INT64_MIN}}), "a dimension of -9223372036854775808");
    refused(with_initializer({.dims = {INT64_MAX}}), "exceed 8 GiB");
    refused(with_initializer({.dims = {1 << 30, 1 << 30, 1 << 30, 1 << 30}}), "exceed 8 GiB");
    refused(with_initializer({.dims = {0, 1ll << 40}}), "exceed 8 GiB");
    refused(with_initializer({.dims = std::vector<int64_t>(17, 1)}), "more than 16 dimensions");
    refused(with_initializer({.type = 0}), "holds nothing");
    refused(with_initializer({.type = 8}), "holds texts");
    refused(with_initializer({.type = 14}), "holds complex numbers");
    refused(with_initializer({.type = 99}), "an unknown type");
    refused(with_initializer({.type = -1}), "an unknown type");
    refused(with_initializer({.has_raw = false}), "has 0 bytes, expected 8");
    refused(with_initializer({.more = varint_field(7, 1)}), "holds its elements twice");
    refused(with_initializer({.more = field(3, "")}), "is a segment");
    refused(with_initializer({.type = 2, .has_raw = false, .more = varint_field(5, 256) + varint_field(5, 0)}), "got 256, expected 0 to 255");
    refused(with_initializer({.type = 3, .has_raw = false, .more = varint_field(5, -129) + varint_field(5, 0)}), "got -129, expected -128 to 127");
    refused(with_initializer({.has_raw = false, .more = field(4, "12345")}), "field 4 packs 5 bytes, expected a multiple of 4");
    refused(with_initializer({.has_raw = false, .more = field(5, "\xff")}), "got 0 bytes, expected 1 more");
    refused(with_initializers({tensor({}, "a"), tensor({}, "a")}), "initializer 'a' is there twice");
    refused(with_initializers({tensor({}, "")}), "an initializer without a name");
    refused(with_initializers({tensor({.dims = {-1}}, "\x1b[31m")}), "tensor '?[31m'");
  }
  SECTION("deep nesting costs nothing: a graph in an attribute is not entered") {
    std::string inner = node({"x"}, {"y"});
    for (int i = 0; i < 20000; ++i) inner = field(1, field(4, "If") + field(5, field(1, "g") + field(6, inner)));
    const OnnxModel m = parsed(graph(inner));
    CHECK(m.nodes.at(0).attributes.at("g").kind == OnnxAttribute::Kind::other);
  }
}

TEST_CASE("external data of an ONNX model: a plain name in its own folder, and nothing else", "[onnx]") {
  const Folder folder;
  const std::string source = (folder.path / "m.onnx").string();
  const auto load = [&](const std::string& file) { return parsed(file, source); };
  std::ofstream(folder.path / "w.bin", std::ios::binary) << std::string(4, '\0') << std::string("\0\0\x80\x3f\0\0\0\x40", 8);
  std::ofstream(fs::temp_directory_path() / "vkfer_onnx_outside", std::ios::binary) << std::string(8, '\0');
  fs::create_directories(folder.path / "sub");
  std::ofstream(folder.path / "sub" / "w.bin", std::ios::binary) << std::string(8, '\0');
  fs::create_symlink(folder.path / "w.bin", folder.path / "link");
  fs::create_symlink(fs::temp_directory_path(), folder.path / "up");
  REQUIRE(::mkfifo((folder.path / "pipe").c_str(), 0600) == 0);

  const auto at = [&](const std::string& offset, const std::string& length, const std::string& location = "w.bin") {
    return with_initializer({.has_raw = false, .external = {{"location", location}, {"offset", offset}, {"length", length}}});
  };
  CHECK(load(at("4", "8")).initializers.at("w").floats() == std::vector<float>{1, 2});
  CHECK(load(at("4", "8", "./w.bin")).initializers.at("w").floats() == std::vector<float>{1, 2});
  CHECK(load(external("w.bin")).initializers.at("w").floats() == std::vector<float>{0, 1});

  const auto refused = [&](const std::string& file, const std::string& reason) {
    INFO(reason);
    CHECK_THROWS_WITH(load(file), contains(source) && contains(reason));
  };
  for (const char* location : {"/etc/passwd", "../vkfer_onnx_outside", "sub/w.bin", "up/vkfer_onnx_outside", "..", ".", "", "./../w.bin", "sub/../w.bin", "..\\w.bin", ".//etc/passwd"})
    refused(external(location), "expected a plain name in the model's own folder");
  refused(external("w.bin\0.txt"s), "expected a plain name");
  refused(external("link"), "it is a link");
  refused(external("sub"), "it is no file");
  refused(external("pipe"), "it is no file");
  refused(external("absent"), "cannot be opened: No such file");
  refused(at("5", "8"), "got 8 bytes from 5, expected them within its 12");
  refused(at("18446744073709551615", "8"), "expected them within its 12");
  refused(at("18446744073709551616", "8"), "offset is '18446744073709551616', expected a whole number");
  refused(at("-4", "8"), "offset is '-4'");
  refused(at("0x4", "8"), "offset is '0x4'");
  refused(at("0", "12"), "has 12 bytes in 'w.bin', expected 8");
  refused(with_initializer({.has_raw = false, .external = {{"offset", "0"}}}), "no location is given");
  refused(with_initializer({.external = {{"location", "w.bin"}}}), "holds its elements twice");
  // Many tensors over the same bytes: bounded.
  {
    std::ofstream big(folder.path / "big.bin", std::ios::binary);
    big << std::string(4 << 20, '\0');
  }
  std::vector<std::string> many;
  for (int i = 0; i < 40; ++i) many.push_back(tensor({.dims = {1 << 20}, .has_raw = false, .external = {{"location", "big.bin"}}}, "w" + std::to_string(i)));
  refused(with_initializers(many), "asked of it in all, expected at most 8 times");
  fs::remove(fs::temp_directory_path() / "vkfer_onnx_outside");
}

TEST_CASE("no cut or flipped byte of an ONNX file makes the reader misbehave", "[onnx]") {
  const std::string whole = onnx_bytes(sample());
  size_t refused = 0, other = 0;
  const auto attempt = [&](const std::string& file) {
    try {
      for (const auto& [name, t] : parse_onnx_weights(bytes_of(file), "flipped").tensors) (void)t.doubles();
      ++other;
    } catch (const Error&) {
      ++refused;
    }
  };
  for (size_t n = 0; n < whole.size(); ++n) attempt(whole.substr(0, n));
  CHECK(refused > whole.size() / 2);
  refused = 0;
  for (size_t i = 0; i < whole.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string file = whole;
      file[i] = char(file[i] ^ (1 << bit));
      attempt(file);
    }
  CHECK(refused > whole.size());
  CHECK(other > 0);
}
