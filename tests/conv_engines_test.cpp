// The engines of convolution and linear as plans: which is chosen, that each has kernels of its own, and that tiles fit the device
// and the shape. No device is needed; that the kernels are right is op_test.cpp's business.
#include <cstdlib>
#include <set>

#include "graph/executor.h"
#include "graph/ops/ops.h"
#include "models/registry.h"
#include "runtime/error.h"
#include "tests/catch.h"

using namespace vkfer;

namespace {

Target gpu(Engine engine) {
  Target t;
  t.engine = engine;
  t.subgroup_size = 32, t.max_invocations = 1024, t.shared_memory_bytes = 48 << 10, t.workgroup = 128, t.parallel_groups = 1024;
  t.matrix = {16, 16, 16};
  return t;
}

const std::vector<int64_t> kSamePad{1, 1, 1, 1};

std::vector<Dispatch> dispatches(const Graph& g, const Target& target) {
  std::vector<Dispatch> all;
  for (const PlannedNode& n : make_plan(g, target).nodes)
    all.insert(all.end(), n.lowered.dispatches.begin(), n.lowered.dispatches.end());
  return all;
}

// conv2d, its two gradients, linear and its two gradients, each alone.
std::vector<std::vector<Dispatch>> family(DType type, const Target& target, Shape x = {2, 8, 8, 32}, Shape filter = {3, 3, 32, 64}) {
  std::vector<std::vector<Dispatch>> all;
  const auto alone = [&](const OpDef& op, Attrs attrs, std::vector<Shape> in) {
    Graph g;
    std::vector<Value> inputs;
    for (const Shape& s : in) inputs.push_back(g.input("in" + std::to_string(inputs.size()), {s, type}));
    g.output(g.add1(op, std::move(attrs), inputs, "node"));
    all.push_back(dispatches(g, target));
  };
  const auto integers = [](const Shape& s) { return std::vector<int64_t>{s[0], s[1], s[2], s[3]}; };
  const Shape y{x.n(), x.h(), x.w(), filter[3]};
  alone(ops::conv2d, {{"pad", kSamePad}}, {x, filter});
  alone(ops::conv2d_grad_input, {{"pad", kSamePad}, {"input", integers(x)}}, {y, filter});
  alone(ops::conv2d_grad_filter, {{"pad", kSamePad}, {"filter", integers(filter)}}, {x, y});
  alone(ops::linear, {}, {{16, 64}, {64, 32}});
  alone(ops::linear_grad_input, {}, {{16, 32}, {64, 32}});
  alone(ops::linear_grad_weight, {}, {{16, 64}, {16, 32}});
  return all;
}

bool uses(const std::vector<Dispatch>& dispatches, std::string_view stem) {
  return std::any_of(dispatches.begin(), dispatches.end(), [&](const Dispatch& d) { return d.module.starts_with(stem); });
}

DeviceInfo made_up(DeviceType type) {
  DeviceInfo info;
  info.type = type;
  info.subgroup_size = 32;
  info.subgroup_shuffle = info.storage_16bit = info.shader_float16 = true;
  info.max_invocations = 1024;
  info.shared_memory_bytes = 48 << 10;
  return info;
}

struct WithEngine {
  explicit WithEngine(const char* name) { setenv("VKFER_ENGINE", name, 1); }
  ~WithEngine() { unsetenv("VKFER_ENGINE"); }
};

}  // namespace

TEST_CASE("every engine has kernels of its own for convolution and linear", "[engines]") {
  const std::pair<Engine, const char*> stems[] = {
      {Engine::direct, "conv_direct"}, {Engine::subgroup, "conv_gemm"}, {Engine::shared, "conv_shared"}, {Engine::coopmat, "conv_coopmat"}};
  for (auto [engine, stem] : stems) {
    CAPTURE(stem);
    for (const auto& node : family(DType::f16, gpu(engine)))
      for (auto [other, other_stem] : stems) CHECK(uses(node, other_stem) == (other == engine));
  }
}

TEST_CASE("the coopmat engine leaves to the shared one what it cannot do", "[engines]") {
  const auto falls_to_shared = [](const std::vector<std::vector<Dispatch>>& nodes) {
    for (const auto& node : nodes) CHECK((uses(node, "conv_shared") && !uses(node, "conv_coopmat")));
  };
  falls_to_shared(family(DType::f32, gpu(Engine::coopmat)));
  Target none = gpu(Engine::coopmat);
  none.matrix = {};
  falls_to_shared(family(DType::f16, none));
  Target odd = gpu(Engine::coopmat);
  odd.matrix = {12, 16, 16};
  falls_to_shared(family(DType::f16, odd));
}

TEST_CASE("workgroups of every engine fit devices small and large", "[engines]") {
  for (const Engine engine : {Engine::subgroup, Engine::shared, Engine::coopmat})
    for (uint32_t subgroup : {4u, 8u, 16u, 32u, 64u})
      for (auto [m, n, k] : {std::array{16u, 16u, 16u}, std::array{8u, 8u, 8u}, std::array{8u, 16u, 16u}, std::array{16u, 8u, 16u}, std::array{32u, 32u, 16u}})
        for (auto [invocations, bytes] : {std::pair{128u, 16384u}, std::pair{256u, 32768u}, std::pair{1024u, 65536u}}) {
          Target t = gpu(engine);
          t.subgroup_size = subgroup, t.max_invocations = invocations, t.shared_memory_bytes = bytes, t.matrix = {m, n, k};
          t.workgroup = std::min(t.workgroup, invocations);
          for (const auto& node : family(DType::f16, t))
            for (const Dispatch& d : node) {
              CHECK(d.constants[0] <= invocations);
              if (d.module.starts_with("conv_coopmat")) CHECK(d.constants[0] % subgroup == 0);
            }
        }
}

TEST_CASE("tiles follow the shape", "[engines]") {
  const auto tile = [](Shape x, Shape filter) {
    const Dispatch d = family(DType::f32, gpu(Engine::shared), x, filter)[0][0];
    return std::array{d.constants[7], d.constants[8]};
  };
  CHECK(tile({64, 56, 56, 256}, {3, 3, 256, 256}) == std::array{128u, 128u});
  CHECK(tile({64, 112, 112, 32}, {3, 3, 32, 16})[1] == 32);      // few channels: no columns wasted
  CHECK(tile({1, 2, 2, 320}, {3, 3, 320, 1280})[0] == 32);       // few pixels: no rows wasted
}

TEST_CASE("a few outputs with long sums are cut into slices", "[engines]") {
  for (const Engine engine : {Engine::shared, Engine::coopmat}) {
    const auto nodes = family(DType::f16, gpu(engine), {1, 2, 2, 960}, {3, 3, 960, 320});
    CHECK(uses(nodes[0], "conv_split_sum"));
    CHECK(uses(nodes[1], "conv_split_sum"));
    Target narrow = gpu(engine);
    narrow.parallel_groups = 8;
    CHECK_FALSE(uses(family(DType::f16, narrow, {4, 28, 28, 96}, {3, 3, 96, 128})[0], "conv_split_sum"));
  }
}

TEST_CASE("the engine is the fastest that the device has what for", "[engines]") {
  CHECK(target_for(made_up(DeviceType::cpu)).engine == Engine::subgroup);
  for (const DeviceType type : {DeviceType::discrete, DeviceType::integrated, DeviceType::virtual_gpu}) {
    DeviceInfo info = made_up(type);
    CHECK(target_for(info).engine == Engine::shared);
    info.cooperative_matrix = true;
    info.matrix_shapes = {{16, 8, 16}, {16, 16, 16}, {64, 64, 64}};
    const Engine best = has_module("conv_coopmat.f16") ? Engine::coopmat : Engine::shared;
    CHECK(target_for(info).engine == best);
    if (best == Engine::coopmat) CHECK(target_for(info).matrix == std::array{16u, 16u, 16u});
    for (bool DeviceInfo::*needed : {&DeviceInfo::cooperative_matrix, &DeviceInfo::shader_float16, &DeviceInfo::storage_16bit}) {
      DeviceInfo without = info;
      without.*needed = false;
      CHECK(target_for(without).engine == Engine::shared);
    }
    info.matrix_shapes = {{64, 64, 64}};  // no tile divides into it
    CHECK(target_for(info).engine == Engine::shared);
  }
  DeviceInfo plain = made_up(DeviceType::cpu);
  plain.subgroup_shuffle = false;
  CHECK(target_for(plain).engine == Engine::direct);
}

TEST_CASE("VKFER_ENGINE lowers the engine and never raises it", "[engines]") {
  for (const char* name : {"direct", "subgroup", "shared"}) {
    const WithEngine with(name);
    CHECK(target_for(made_up(DeviceType::discrete)).engine == engine_from_name(name));
  }
  const WithEngine with("coopmat");
  CHECK(target_for(made_up(DeviceType::discrete)).engine == Engine::shared);
  CHECK(target_for(made_up(DeviceType::cpu)).engine == Engine::subgroup);
}

TEST_CASE("a device that says how many cores it has is filled", "[engines]") {
  DeviceInfo info = made_up(DeviceType::discrete);
  const uint32_t guessed = target_for(info).parallel_groups;
  info.cores = 4;
  CHECK(target_for(info).parallel_groups < guessed);
  info.cores = 200;
  CHECK(target_for(info).parallel_groups > guessed);
}

TEST_CASE("a network needs few pipelines", "[engines]") {
  for (auto [engine, storage] : {std::pair{Engine::shared, DType::f32}, std::pair{Engine::coopmat, DType::f16}})
    for (bool training : {true, false}) {
      constexpr int kBatch = 32, kSize = 48;
      Graph g;
      const Value images = g.input("images", {{kBatch, kSize, kSize, 3}, storage}), step = g.input("step", {{5}, DType::i32});
      const BuiltModel built = build_model(find_model("mobilenetv2"), g, images, step,
                                           {.size = kSize, .training = training, .storage = storage, .batch = kBatch});
      if (training) {
        fuse_for_training(g);
        const Value labels = g.input("labels", {{kBatch}, DType::i32}), weights = g.input("weights", {{7}, DType::f32});
        const Value loss = g.add(ops::softmax_cross_entropy, {}, {built.logits, labels, weights}, "loss")[0];
        std::vector<Value> trainable;
        for (Value s : g.states())
          if (g.info(s).state.trainable) trainable.push_back(s);
        for (Value v : differentiate(g, loss, trainable)) g.output(v);
      } else {
        g.output(built.logits);
        fuse_for_inference(g);
      }
      std::set<std::pair<std::string, std::vector<uint32_t>>> pipelines;
      for (const Dispatch& d : dispatches(g, gpu(engine)))
        if (d.module.starts_with("conv_")) pipelines.insert({d.module, d.constants});
      CAPTURE(engine_name(engine), training, pipelines.size());
      CHECK(pipelines.size() <= 32);
    }
}
