// Mixed precision: 16-bit activations and their gradients, everything else in f32; the loss scale lives on the device.
#include "tools/train/precision.h"

#include <cmath>

#include "graph/executor.h"
#include "graph/ops/ops.h"
#include "models/init.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/fixture_generator.h"
#include "tests/op_shader.h"
#include "tools/train/settings.h"
#include "tools/train/step_graph.h"
#include "tools/train/trace.h"

using namespace vkfer;
using vkfer::test::test_device;

namespace {

bool has_f16() {
  if (test_device().info().storage_16bit) return true;
  WARN("skipped: the device has no 16-bit storage");
  return false;
}

NetworkSettings small_network(DType storage) {
  NetworkSettings n;
  n.model = &find_model("compact_mobilenetv2");
  n.size = 16;
  n.batch = 4;
  n.pixel_channels = 0;
  n.dropout = 0;
  n.storage = storage;
  return n;
}

// A training step, again and again over the same batch.
class Steps {
 public:
  explicit Steps(const char* optimizer) : optimizer_(find_optimizer(optimizer)), states_(test_device()), step_(training_graph(small_network(DType::f16), optimizer_, {})) {
    Plan plan = make_plan(step_.graph, target_for(test_device().info()));
    executor_ = std::make_unique<Executor>(test_device(), std::move(step_.graph), std::move(plan), states_);
    initialise(executor_->graph(), states_, 3);
    executor_->write(step_.images, fixture::tensor("images", 4 * 16 * 16 * 3));
    executor_->write(step_.labels, std::vector<int32_t>{0, 6, 3, 2});
    executor_->write(step_.class_weights, std::vector<float>(7, 1.0f));
  }

  void run() {
    executor_->write(step_.hyper, std::span<const float>(optimizer_.hyper({}, 0.01, 1)));
    executor_->run();
  }

  // Bits of every parameter and everything that the optimizer keeps.
  std::map<std::string, std::vector<std::byte>> trained() {
    std::map<std::string, std::vector<std::byte>> all;
    for (const Value v : executor_->graph().states()) {
      const ValueInfo& info = executor_->graph().info(v);
      if (info.state.trainable || info.name.starts_with("optimizer.")) all[info.name] = states_.read_bytes(info.name);
    }
    return all;
  }

  float loss() { return executor_->read_scalar(step_.loss); }
  float scale() { return states_.read(kLossScale)[0]; }
  void set_scale(float scale) { states_.write(kLossScale, std::vector<float>{scale}); }
  std::vector<float> counts() { return states_.read(kLossScaleCounts); }
  void set_counts(std::vector<float> counts) { states_.write(kLossScaleCounts, counts); }
  std::vector<float> sums() { return states_.read(kTrainSums); }

 private:
  const OptimizerDef& optimizer_;
  States states_;
  StepGraph step_;
  std::unique_ptr<Executor> executor_;
};

TraceOptions trace_options(const std::string& precision, const std::string& model, bool frozen) {
  TraceOptions o;
  o.model = model;
  o.frozen_bn = frozen;
  o.size = 24;
  o.batch = 8;
  o.x = fixture::tensor("x", 8 * 3 * 24 * 24);
  o.labels = {0, 6, 1, 2, 5, 5, 3, 4};
  o.lr = 0.01;
  o.steps = 3;
  o.seed = 5;
  o.precision = precision;
  return o;
}

// ||a - b|| / ||b|| over all tensors of a kind together.
double relative_error(const WeightFile& a, const WeightFile& b, const std::string& prefix) {
  double difference = 0, size = 0;
  for (const auto& [name, tensor] : b.tensors) {
    if (!name.starts_with(prefix)) continue;
    const std::vector<float> x = a.at(name).floats(), y = tensor.floats();
    REQUIRE(x.size() == y.size());
    for (size_t i = 0; i < x.size(); ++i) difference += std::pow(double(x[i]) - y[i], 2), size += double(y[i]) * y[i];
  }
  REQUIRE(size > 0);
  return std::sqrt(difference / size);
}

}  // namespace

TEST_CASE("precision: activations and their gradients in 16 bits, the rest in 32", "[precision]") {
  const StepGraph s = training_graph(small_network(DType::f16), find_optimizer("adamw"), {});
  const Graph& g = s.graph;
  size_t halves = 0;
  for (const ValueInfo& v : g.values()) {
    INFO(v.name << " " << v.desc.to_string());
    const bool image = v.desc.shape.rank() == 4 && v.role == Role::computed && v.desc.shape.n() == 4 && v.desc.shape.h() > 1;
    if (image) CHECK(v.desc.dtype == DType::f16);
    if (v.role != Role::computed) CHECK(v.desc.dtype != DType::f16);
    halves += v.desc.dtype == DType::f16;
  }
  CHECK(halves > 100);
  for (const auto& [name, gradient] : s.gradients) CHECK(g.desc(gradient).dtype == DType::f32);
  CHECK(g.desc(s.logits).dtype == DType::f32);
  CHECK(g.desc(s.loss).dtype == DType::f32);
  CHECK(g.info(s.loss_scale).name == kLossScale);
  // Without mixed precision nothing is added, so that older checkpoints have the states that are asked for.
  const StepGraph plain = training_graph(small_network(DType::f32), find_optimizer("adamw"), {});
  CHECK_FALSE(plain.loss_scale);
  CHECK_FALSE(plain.graph.find(kLossScaleCounts));
}

TEST_CASE("precision: a step that overflows changes no parameter and halves the scale, on the device", "[precision][device]") {
  if (!has_f16()) return;
  for (const char* optimizer : {"sgd", "adamw"})
    DYNAMIC_SECTION(optimizer) {
      Steps steps(optimizer);
      CHECK(steps.scale() == 65536);
      CHECK(steps.counts() == std::vector<float>{0, 0});
      const auto start = steps.trained();
      steps.set_scale(0x1p100f);
      steps.run();
      CHECK(std::isfinite(steps.loss()));
      CHECK(steps.trained() == start);
      CHECK(steps.scale() == 0x1p99f);
      CHECK(steps.counts() == std::vector<float>{0, 1});
      // The recorded commands go on by themselves until the scale fits.
      int skipped = 1;
      for (; steps.trained() == start; ++skipped) {
        REQUIRE(skipped < 100);
        steps.run();
      }
      --skipped;  // the last one was not
      CHECK(steps.counts() == std::vector<float>{1, float(skipped)});
      CHECK(steps.scale() == std::ldexp(1.0f, 100 - skipped));
      // The 2000th good step in a row doubles the scale; it is not the step itself that decides.
      steps.set_scale(1024);
      steps.set_counts({1998, 7});
      steps.run();
      CHECK(steps.scale() == 1024);
      CHECK(steps.counts() == std::vector<float>{1999, 7});
      steps.run();
      CHECK(steps.scale() == 2048);
      CHECK(steps.counts() == std::vector<float>{0, 7});
    }
  CHECK(test::new_validation_messages() == "");
}

TEST_CASE("precision: the scale does not change a step, being a power of two", "[precision][device]") {
  if (!has_f16()) return;
  // Scaling moves the exponent alone: what does not overflow or fall among the subnormals of f16 has the same bits.
  Steps low("sgd"), high("sgd");
  low.set_scale(1024);
  high.set_scale(2048);
  const auto start = low.trained();
  low.run();
  high.run();
  CHECK(low.loss() == high.loss());
  double difference = 0, size = 0;
  const auto a = low.trained(), b = high.trained();
  for (const auto& [name, bytes] : a) {
    if (name.starts_with("optimizer.")) continue;
    for (size_t i = 0; i < bytes.size(); i += 4) {
      float x, y, z;
      std::memcpy(&x, bytes.data() + i, 4), std::memcpy(&y, b.at(name).data() + i, 4), std::memcpy(&z, start.at(name).data() + i, 4);
      difference += std::pow(double(x) - y, 2), size += std::pow(double(x) - z, 2);
    }
  }
  CHECK(size > 0);
  CHECK(std::sqrt(difference / size) < 1e-3);
}

TEST_CASE("precision: gradients in fp16 are those of fp32 but for rounding", "[precision][device]") {
  if (!has_f16()) return;
  // How far one rounding to 16 bits moves the gradients is measured: that of the images. A step rounds about six tensors for each
  // convolution: its filter, its output, that normalised, and the gradients of the two and of its input. The roundings are
  // independent, so their errors add as squares, and few pass as many layers as the images': sqrt(6 * convolutions) times the one
  // is the size to expect, twice that the limit. (Deep networks with batch statistics of so few faces are left out: there a single
  // rounding moves gradients by a third, whatever computes them.)
  struct Row { const char* model; bool frozen; int convolutions; };
  const Row row = GENERATE(Row{"compact_resnet", true, 6}, Row{"compact_resnet", false, 6}, Row{"compact_mobilenetv2", true, 19});
  const double times = 2 * std::sqrt(6.0 * row.convolutions);
  TraceOptions rounded = trace_options("fp32", row.model, row.frozen);
  for (float& x : rounded.x) x = half_to_float(float_to_half(x));
  const WeightFile once = run_trace(test_device(), rounded), full = run_trace(test_device(), trace_options("fp32", row.model, row.frozen)),
                   half = run_trace(test_device(), trace_options("fp16", row.model, row.frozen));
  const double one_rounding = relative_error(once, full, "grad."), error = relative_error(half, full, "grad.");
  INFO(row.model << (row.frozen ? ", running statistics" : "") << ": one rounding " << one_rounding << ", fp16 " << error);
  CHECK(one_rounding < 0.02);
  CHECK(error > one_rounding);  // or it would not be 16 bits
  CHECK(error <= times * one_rounding);
  CHECK(half.at("loss").doubles()[0] == Approx(full.at("loss").doubles()[0]).epsilon(1e-3));
  CHECK(test::new_validation_messages() == "");
}

TEST_CASE("precision: auto takes fp16 where it pays, and fp16 says what is missing", "[precision]") {
  DeviceInfo gpu;
  gpu.name = "a card";
  gpu.type = DeviceType::discrete;
  gpu.storage_16bit = true;
  Target coopmat, subgroup;
  coopmat.engine = Engine::coopmat;
  CHECK(resolve_precision("auto", gpu, coopmat) == "fp16");
  CHECK(resolve_precision("auto", gpu, subgroup) == "fp32");
  CHECK(resolve_precision("fp16", gpu, subgroup) == "fp16");
  CHECK(resolve_precision("fp32", gpu, coopmat) == "fp32");
  DeviceInfo cpu = gpu;
  cpu.type = DeviceType::cpu;
  CHECK(resolve_precision("auto", cpu, coopmat) == "fp32");
  DeviceInfo old = gpu;
  old.storage_16bit = false;
  CHECK(resolve_precision("auto", old, coopmat) == "fp32");
  CHECK_THROWS_WITH(resolve_precision("fp16", old, coopmat), contains("--precision") && contains("storage_16bit") && contains("a card") && contains("Fix:"));
  CHECK_THROWS_WITH(check_precision("fp61"), contains("fp16"));
}

TEST_CASE("precision: runs from before it existed were fp32", "[precision]") {
  TrainSettings s;
  s.precision = "fp16";
  Json older = settings_json(s);
  CHECK(settings_from_json(older, "config.json").precision == "fp16");
  older.erase("precision");
  CHECK(settings_from_json(older, "config.json").precision == "fp32");
  older["precision"] = 16;
  CHECK_THROWS_WITH(settings_from_json(older, "config.json"), contains("'precision'"));
}

TEST_CASE("precision: what is not finite is found wherever it is", "[precision][device]") {
  // 2 tensors: 6 elements, 2 of padding that does not count, 37 elements.
  Graph g;
  const std::vector<Value> x{g.input("x0", {{6}}), g.input("x1", {{37}})};
  const Value found = g.add1(ops::nonfinite, {{"tensors", 2}}, {x[0], x[1]}, "nonfinite");
  g.output(found);
  States states(test_device());
  Executor executor(test_device(), g, make_plan(g, target_for(test_device().info())), states);
  const auto find = [&](int tensor, size_t at, float value) {
    for (int t = 0; t < 2; ++t) {
      std::vector<float> values(size_t(g.desc(x[size_t(t)]).elements()), 3.4028235e38f);
      values[0] = -1e-45f;  // the smallest there is
      if (t == tensor) values[at] = value;
      executor.write(x[size_t(t)], values);
    }
    executor.run();
    return executor.read_scalar(found);
  };
  executor.poison();  // NaN in the padding
  CHECK(find(0, 0, 1) == 0);
  for (int t = 0; t < 2; ++t)
    for (size_t i = 0; i < size_t(g.desc(x[size_t(t)]).elements()); ++i)
      for (const float value : {INFINITY, -INFINITY, NAN}) {
        INFO("tensor " << t << ", element " << i << ": " << value);
        CHECK(find(t, i, value) == 1);
      }
  CHECK(find(0, 0, 1) == 0);
}

TEST_CASE("precision: a batch that is not finite leaves running statistics as they were", "[precision][device]") {
  const int64_t c = 8;
  for (const int64_t rows : {int64_t(4), int64_t(4096)}) {   // in one launch, and in parts
    Graph g;
    const Value x = g.input("x", {{rows, c}});
    std::vector<Value> in{x};
    for (const char* name : {"gamma", "beta", "mean", "var"}) in.push_back(g.input(name, {{c}}));
    const std::vector<Value> out = g.add(ops::batch_norm, {{"momentum", 0.1}}, in, "norm");
    for (const Value v : out) g.output(v);
    States states(test_device());
    Executor executor(test_device(), g, make_plan(g, target_for(test_device().info())), states);
    std::vector<float> values(size_t(rows * c));
    for (size_t i = 0; i < values.size(); ++i) values[i] = float(i % 7) - 3;
    values[size_t(c) + 2] = INFINITY;
    values[size_t(2 * c) + 5] = NAN;
    executor.write(x, values);
    for (size_t i = 1; i < in.size(); ++i) executor.write(in[i], std::vector<float>(size_t(c), 0.5f));
    executor.run();
    const std::vector<float> mean = executor.read(out[3]), var = executor.read(out[4]);
    for (size_t k = 0; k < size_t(c); ++k) {
      INFO(rows << " rows, channel " << k);
      const bool spoilt = k == 2 || k == 5;
      CHECK((mean[k] == 0.5f) == spoilt);
      CHECK((var[k] == 0.5f) == spoilt);
      CHECK((std::isfinite(mean[k]) && std::isfinite(var[k])));
    }
  }
}
