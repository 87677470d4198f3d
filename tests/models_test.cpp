// The models: sizes, names and initial values as published.
#include <cmath>
#include <numeric>

#include "graph/ops/ops.h"
#include "models/init.h"
#include "models/registry.h"
#include "models/weights/transfer.h"
#include "runtime/error.h"
#include "tests/catch.h"

using namespace vkfer;

namespace {

Graph graph_of(const char* model, ModelOptions options) {
  Graph graph;
  Value images = graph.input("images", {{options.batch, options.size, options.size, options.channels}, DType::f32});
  Value step = graph.input("step", {{5}, DType::i32});
  graph.output(build_model(find_model(model), graph, images, step, options).logits, "logits");
  return graph;
}

std::vector<int64_t> torch_shape_of(const Graph& graph, const char* name) {
  INFO(name);
  REQUIRE(graph.find(name));
  return torch_shape(graph.info(graph.find(name)));
}

int count_nodes(const Graph& graph, const OpDef& op) {
  return int(std::count_if(graph.nodes().begin(), graph.nodes().end(), [&](const Node& n) { return n.op == &op; }));
}

ValueInfo state_like(const char* init, Shape shape, Layout layout) {
  ValueInfo info;
  info.desc = {shape, DType::f32};
  info.state = {.layout = layout, .trainable = true, .init = init};
  return info;
}

struct Moments {
  double mean, std, largest;
};
Moments moments(const std::vector<float>& v) {
  const double mean = std::accumulate(v.begin(), v.end(), 0.0) / double(v.size());
  double squares = 0, largest = 0;
  for (float x : v) squares += (x - mean) * (x - mean), largest = std::max(largest, double(std::abs(x)));
  return {mean, std::sqrt(squares / double(v.size())), largest};
}

}  // namespace

TEST_CASE("parameter counts are the published ones", "[models]") {
  auto parameters = [](const char* model, int size, int classes) {
    return summarise(find_model(model), {.size = size, .classes = classes}).parameters;
  };
  CHECK(parameters("vgg16", 224, 1000) == 138357544);
  CHECK(parameters("vgg16", 32, 1000) == 138357544);
  CHECK(parameters("vgg19", 224, 1000) == 143667240);
  CHECK(parameters("vgg16_bn", 224, 1000) == 138365992);
  CHECK(parameters("vgg19_bn", 224, 1000) == 143678248);
  CHECK(parameters("resnet18", 224, 1000) == 11689512);
  CHECK(parameters("resnet34", 224, 1000) == 21797672);
  CHECK(parameters("resnet50", 224, 1000) == 25557032);
  CHECK(parameters("resnet50_keras", 224, 1000) == 25636712 - 53120);  // Keras counts the running statistics of 26,560 channels
  CHECK(parameters("efficientnet_b0", 224, 1000) == 5288548);
  CHECK(parameters("mobilenetv2", 224, 1000) == 3504872);
  CHECK(parameters("mobilenetv2_035", 224, 1000) == 1677128);
  CHECK(parameters("mobilenetv2_050", 224, 1000) == 1968680);
  CHECK(parameters("mobilenetv2_075", 224, 1000) == 2636424);
  CHECK(parameters("mobilenetv2_140", 224, 1000) == 6108776);
  CHECK(parameters("mobilenetv2", 48, 7) == 2232839);
  CHECK(parameters("compact_resnet", 48, 7) == 481551);
  CHECK(parameters("compact_resnet_418k", 48, 7) == 418171);
  CHECK(parameters("compact_mobilenetv2", 48, 7) == 132935);
}

TEST_CASE("a summary counts heads, multiplications and bytes", "[models]") {
  const ModelSummary imagenet = summarise(find_model("mobilenetv2"), {.size = 224, .classes = 1000});
  CHECK(imagenet.macs == 300774272);  // 0.30 G, as the paper's table 4 rounds it
  CHECK(imagenet.trainable == imagenet.parameters);
  CHECK(imagenet.trainable_frozen_backbone == 1280 * 1000 + 1000);
  CHECK(imagenet.bytes == 4 * (3504872 + 2 * 17056));  // 17,056 normalised channels
  CHECK(summarise(find_model("resnet50"), {.size = 224, .classes = 1000}).macs == 4089184256);
  CHECK(summarise(find_model("vgg16"), {.size = 224, .classes = 1000}).macs == 15470264320);
  CHECK(summarise(find_model("efficientnet_b0"), {.size = 224, .classes = 1000}).macs == 385814752);
  CHECK(summarise(find_model("compact_mobilenetv2"), {}).trainable_frozen_backbone == 128 * 7 + 7);
  CHECK(summarise(find_model("compact_resnet"), {}).trainable_frozen_backbone == 6912 * 64 + 64 + 64 * 7 + 7);
  // conv1, conv2 and shortcut of both blocks, then the linear layers
  CHECK(summarise(find_model("compact_resnet"), {}).macs ==
        48 * 48 * 24 * (27 + 216 + 3) + 24 * 24 * 48 * (216 + 432 + 24) + 6912 * 64 + 64 * 7);
}

TEST_CASE("names and shapes are those of torch's state_dict", "[models]") {
  using Dims = std::vector<int64_t>;
  const Graph mobilenet = graph_of("mobilenet_v2", {.size = 48, .classes = 7});
  CHECK(mobilenet.states().size() == 314 - 52);  // torchvision's 314 hold 52 counters
  CHECK(torch_shape_of(mobilenet, "features.0.0.weight") == Dims{32, 3, 3, 3});
  CHECK(torch_shape_of(mobilenet, "features.1.conv.0.0.weight") == Dims{32, 1, 3, 3});
  CHECK(torch_shape_of(mobilenet, "features.1.conv.1.weight") == Dims{16, 32, 1, 1});
  CHECK(torch_shape_of(mobilenet, "features.1.conv.2.running_var") == Dims{16});
  CHECK(torch_shape_of(mobilenet, "features.2.conv.0.0.weight") == Dims{96, 16, 1, 1});
  CHECK(torch_shape_of(mobilenet, "features.17.conv.1.0.weight") == Dims{960, 1, 3, 3});
  CHECK(torch_shape_of(mobilenet, "features.17.conv.2.weight") == Dims{320, 960, 1, 1});
  CHECK(torch_shape_of(mobilenet, "features.17.conv.3.bias") == Dims{320});
  CHECK(torch_shape_of(mobilenet, "features.18.0.weight") == Dims{1280, 320, 1, 1});
  CHECK(torch_shape_of(mobilenet, "classifier.1.weight") == Dims{7, 1280});

  const Graph compact = graph_of("compact_mobilenetv2", {});
  CHECK(compact.states().size() == 116 - 19);
  CHECK(torch_shape_of(compact, "init_conv.0.weight") == Dims{32, 3, 3, 3});
  CHECK(torch_shape_of(compact, "bottlenecks.0.block.3.weight") == Dims{16, 32, 1, 1});
  CHECK(torch_shape_of(compact, "bottlenecks.5.block.3.weight") == Dims{384, 1, 3, 3});
  CHECK(torch_shape_of(compact, "last_conv.1.running_mean") == Dims{128});
  CHECK(torch_shape_of(compact, "classifier.bias") == Dims{7});

  const Graph resnet = graph_of("compact_resnet", {});
  CHECK(torch_shape_of(resnet, "block2.shortcut.weight") == Dims{48, 24, 1, 1});
  CHECK(torch_shape_of(resnet, "fc1.weight") == Dims{64, 6912});
}

TEST_CASE("MobileNetV2 strides as torchvision does", "[models]") {
  for (auto [size, last] : {std::pair{48, 2}, {64, 2}, {128, 4}, {224, 7}, {33, 2}}) {
    const Graph graph = graph_of("mobilenetv2", {.size = size});
    for (const Node& node : graph.nodes())
      if (node.label == "features.18.0") CHECK(graph.shape(node.out[0]) == Shape{1, last, last, 1280});
  }
}

TEST_CASE("training adds dropout and running statistics, frozen batch norm does not", "[models]") {
  for (const ModelInfo* model : all_models()) {
    INFO(model->name);
    const Graph eval = graph_of(model->name.c_str(), {}), train = graph_of(model->name.c_str(), {.training = true, .batch = 4});
    const Graph frozen = graph_of(model->name.c_str(), {.training = true, .stochastic = false, .frozen_batch_norm = true, .batch = 4});
    const int norms = count_nodes(train, ops::batch_norm);
    CHECK((norms > 0) == (model->name != "vgg16" && model->name != "vgg19"));
    CHECK(count_nodes(eval, ops::batch_norm_eval) == norms);
    CHECK(train.updates().size() == size_t(2 * norms));
    CHECK((count_nodes(train, ops::dropout) >= 1) == (model->default_dropout > 0));
    CHECK((count_nodes(train, ops::stochastic_depth) > 0) == (model->name == "efficientnet_b0"));
    CHECK(count_nodes(eval, ops::dropout) == 0);
    CHECK(frozen.updates().empty());
    CHECK(count_nodes(frozen, ops::dropout) + count_nodes(frozen, ops::stochastic_depth) == 0);
    CHECK(frozen.shape(frozen.find("logits")) == Shape{4, 7});
  }
}

TEST_CASE("each model takes one channel, odd sizes and 16-bit activations", "[models]") {
  for (const ModelInfo* model : all_models())
    for (auto [size, channels, storage] : {std::tuple{8, 1, DType::f32}, {37, 3, DType::f32}, {48, 1, DType::f16}}) {
      INFO(model->name << " " << size);
      const Graph graph = graph_of(model->name.c_str(), {.size = std::max(size, model->smallest_size), .channels = channels, .classes = 8, .training = true, .storage = storage, .batch = 2});
      CHECK(graph.desc(graph.find("logits")) == TensorDesc{{2, 8}, DType::f32});
    }
}

TEST_CASE("a model that is not there, or not so, is refused by name", "[models]") {
  CHECK(&find_model("mobilenet_v2") == &find_model("mobilenetv2"));
  CHECK_THROWS_WITH(find_model("mobilnetv2"), contains("did you mean mobilenetv2?"));
  CHECK_THROWS_WITH(find_model("resnet9000"), contains("compact_resnet"));
  CHECK_THROWS_WITH(find_model(""), contains("expected one of mobilenetv2, mobilenetv2_035"));
  CHECK_THROWS_WITH(graph_of("mobilenetv2", {.size = 4}), contains("input size: got 4, expected 8 to 4096"));
  CHECK_THROWS_WITH(graph_of("mobilenetv2", {.channels = 2}), contains("channels: got 2, expected 1 or 3"));
  CHECK_THROWS_WITH(graph_of("mobilenetv2", {.classes = 0}), contains("classes: got 0"));
  CHECK_THROWS_WITH(graph_of("mobilenetv2", {.dropout = 1}), contains("dropout: got 1"));
  Graph graph;
  Value images = graph.input("images", {{2, 48, 48, 3}, DType::f32});
  CHECK_THROWS_WITH(build_model(find_model("mobilenetv2"), graph, images, {}, {.batch = 3}), contains("got 2x48x48x3, expected 3x48x48x3"));
  CHECK_THROWS_WITH(build_model(find_model("mobilenetv2"), graph, images, {}, {.training = true, .batch = 2}), contains("step input"));
}

TEST_CASE("preprocessing by name", "[models]") {
  CHECK(preprocessing_from_name("imagenet").mean == std::vector<double>{0.485, 0.456, 0.406});
  CHECK(find_model("compact_resnet").preprocessing.name == "half");
  CHECK(preprocessing_from_name("imagenet").for_channels(1).mean.at(0) == Approx(0.449));
  CHECK_THROWS_WITH(preprocessing_from_name("caffee"), contains("expected imagenet, half, unit, none or caffe"));
  CHECK_THROWS_WITH(preprocessing_from_name("half").for_channels(2), contains("got 2 channels"));
}

TEST_CASE("initial values follow torch's rules", "[models][init]") {
  const Shape filter{3, 3, 32, 64};
  auto of = [&](const char* rule, Shape shape, Layout layout) { return moments(initial_value("w", state_like(rule, shape, layout), 1)); };
  CHECK(of("kaiming_normal_fan_out", filter, Layout::filter).std == Approx(std::sqrt(2.0 / (9 * 64))).epsilon(0.02));
  CHECK(of("kaiming_normal_fan_out", {3, 3, 1, 512}, Layout::filter).std == Approx(std::sqrt(2.0 / (9 * 512))).epsilon(0.03));
  const Moments conv = of("conv_uniform", filter, Layout::filter);
  CHECK(conv.largest <= 1 / std::sqrt(288.0));
  CHECK(conv.std == Approx(1 / std::sqrt(3 * 288.0)).epsilon(0.02));
  CHECK(of("he_uniform", {300, 50}, Layout::linear).largest == Approx(std::sqrt(6.0 / 300)).epsilon(0.01));
  CHECK(of("glorot_uniform", {300, 50}, Layout::linear).largest == Approx(std::sqrt(6.0 / 350)).epsilon(0.01));
  CHECK(of("bias_uniform:400", {1000}, Layout::plain).largest == Approx(0.05).epsilon(0.01));
  const Moments normal = of("normal:0.01", {1280, 7}, Layout::linear);
  CHECK(normal.std == Approx(0.01).epsilon(0.03));
  CHECK(std::abs(normal.mean) < 4e-4);
  CHECK(of("zeros", {5}, Layout::plain).largest == 0);
  CHECK(initial_value("w", state_like("ones", {2}, Layout::plain), 1) == std::vector<float>{1, 1});
  CHECK_THROWS_WITH(initial_value("w", state_like("xavier", {2}, Layout::plain), 1), contains("'xavier'"));
  CHECK_THROWS_WITH(initial_value("w", state_like("normal:", {2}, Layout::plain), 1), contains("'normal:'"));
}

TEST_CASE("initial values depend on name, seed and element alone", "[models][init]") {
  const ValueInfo small = state_like("normal:1", {4, 2}, Layout::linear), large = state_like("normal:1", {8, 2}, Layout::linear);
  const auto a = initial_value("a", small, 1);
  CHECK(a == initial_value("a", small, 1));
  CHECK(a != initial_value("b", small, 1));
  CHECK(a != initial_value("a", small, 2));
  auto longer = initial_value("a", large, 1);
  longer.resize(8);
  CHECK(a == longer);
}
