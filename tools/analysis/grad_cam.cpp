#include "tools/analysis/grad_cam.h"

#include <algorithm>

#include "graph/ops/ops.h"
#include "runtime/error.h"
#include "tools/analysis/anatomy.h"
#include "tools/analysis/network_graph.h"

namespace vkfer {
namespace {

constexpr double kLeastPeak = 1e-30;   // maps are divided by no less

using Axes = std::vector<int64_t>;

Value binary(Graph& g, const char* function, Value a, Value b, const std::string& label) { return g.add1(ops::binary, {{"function", function}}, {a, b}, label); }
Value reduce(Graph& g, const char* function, Value x, Axes axes, const std::string& label) {
  return g.add1(ops::reduce, {{"function", function}, {"axes", std::move(axes)}, {"keepdims", 1}}, {x}, label);
}

struct CamGraph {
  NetworkGraph net;
  Value labels;              // i32 [n]; negative: the class that is answered. Invalid without classes
  Value shares[3];           // f32 [n,1], by CamTarget::Output: 1 adds the output to the score, -1 takes it away; invalid where there is none
  Value asked;               // i32 [n]: labels, or what was answered
  Value coarse, maps, peaks; // [n,h,w,1], [n,s,s,1], [n,1,1,1]
};

// The sum over the batch of what is asked of each picture: pictures do not mix, so each has its own gradient.
Value add_score(CamGraph& c, const NetworkSettings& n) {
  Graph& g = c.net.graph;
  const BuiltModel& built = c.net.built;
  std::vector<Value> terms;
  const auto append = [&](CamTarget::Output output, Value each, const std::string& name) {
    Value& share = c.shares[size_t(output)] = g.input(name + ".share", {{n.batch, 1}, DType::f32});
    const Value sum = reduce(g, "sum", binary(g, "mul", each, share, "cam." + name), {}, "cam." + name + ".sum");
    terms.push_back(g.add1(ops::reshape, {{"shape", Axes{1}}}, {sum}, "cam." + name + ".score"));
  };
  if (built.logits) {
    c.labels = g.input("labels", {{n.batch}, DType::i32});
    const Value answered = g.add1(ops::arg_reduce, {{"function", "argmax"}, {"axis", 1}, {"keepdims", 0}}, {built.logits}, "cam.answer");
    const Value is_open = g.add1(ops::unary, {{"function", "clip"}, {"lo", -1}, {"hi", 0}}, {c.labels}, "cam.open");
    c.asked = g.add1(ops::where, {}, {is_open, answered, c.labels}, "cam.asked");
    const Value row = g.add1(ops::one_hot, {{"depth", n.classes}}, {c.asked}, "cam.one_hot");
    append(CamTarget::Output::expression, binary(g, "mul", built.logits, row, "cam.logit"), "expression");
  }
  if (built.valence) append(CamTarget::Output::valence, built.valence, "valence");
  if (built.arousal) append(CamTarget::Output::arousal, built.arousal, "arousal");
  Value score = terms[0];
  for (size_t i = 1; i < terms.size(); ++i) score = g.add1(ops::add, {}, {score, terms[i]}, "cam.score");
  return score;
}

CamGraph cam_graph(const NetworkSettings& n) {
  CamGraph c{.net = network_graph(n)};
  Graph& g = c.net.graph;
  const Value score = add_score(c, n);
  const Value map = last_feature_map(g, c.net.built.images, score);
  const Value gradient = differentiate(g, score, std::vector<Value>{map})[0];
  const Value weights = reduce(g, "mean", gradient, {1, 2}, "cam.weights");
  const Value sum = reduce(g, "sum", binary(g, "mul", map, weights, "cam.weighted"), {3}, "cam.sum");
  const Value cam = g.add1(ops::relu, {}, {sum}, "cam.relu");
  c.peaks = reduce(g, "max", cam, {1, 2, 3}, "cam.peaks");
  const Value divisor = g.add1(ops::unary, {{"function", "clip"}, {"lo", kLeastPeak}}, {c.peaks}, "cam.divisor");
  c.coarse = binary(g, "div", cam, divisor, "cam.coarse");
  c.maps = g.add1(ops::resize, {{"sizes", Axes{n.batch, n.size, n.size, 1}}, {"mode", "linear"}}, {c.coarse}, "cam.maps");
  for (const Value v : {c.coarse, c.maps, c.peaks}) g.output(v);
  if (c.asked) g.output(c.asked);
  return c;
}

const char* name_of(CamTarget::Output output) {
  constexpr const char* kNames[] = {"expression", "valence", "arousal"};
  return kNames[size_t(output)];
}

}  // namespace

struct GradCam::Impl {
  NetworkSettings settings;
  CamGraph cam;                        // its graph has moved into executor; the values stay valid
  std::unique_ptr<Executor> executor;

  Impl(Device& device, States& states, const NetworkSettings& n, const Target& target) : settings(n), cam(cam_graph(n)) {
    Plan plan = make_plan(cam.net.graph, target);
    executor = std::make_unique<Executor>(device, std::move(cam.net.graph), std::move(plan), states);
    states.write(kLossScale, std::vector<float>{1.0f});
    if (cam.net.augment) executor->write(cam.net.augment, std::vector<int32_t>(size_t(n.batch) * 4, 0));
  }

  void check(const CamTarget& t) const {
    if (!cam.shares[size_t(t.output)]) fail("grad-cam", "output: got {}, expected one that {} has. Fix: ask for another", name_of(t.output), settings.model->name);
    if (t.output == CamTarget::Output::expression && t.label >= settings.classes)
      fail("grad-cam", "label: got {}, expected -1 to {}. Fix: name a class of the network", t.label, settings.classes - 1);
  }

  void ask(std::span<const CamTarget> targets) {
    const size_t n = size_t(settings.batch);
    std::vector<int32_t> labels(n, -1);
    std::vector<float> shares[3];
    for (auto& s : shares) s.assign(n, 0.0f);
    for (size_t i = 0; i < targets.size(); ++i) {
      if (targets[i].output == CamTarget::Output::expression) labels[i] = std::max(targets[i].label, -1);
      shares[size_t(targets[i].output)][i] = targets[i].against ? -1.0f : 1.0f;
    }
    if (cam.labels) executor->write(cam.labels, labels);
    for (size_t o = 0; o < 3; ++o)
      if (cam.shares[o]) executor->write(cam.shares[o], shares[o]);
  }

  // `input` takes T: pixels or images.
  template <class T>
  CamMaps maps(Value input, int channels, std::span<const T> pictures, std::span<const CamTarget> targets) {
    const size_t each = size_t(settings.size) * size_t(settings.size) * size_t(channels), batch = size_t(settings.batch);
    if (!input || channels == 0 || pictures.size() % each != 0)
      fail("grad-cam", "pictures: got {} numbers, expected {} for each. Fix: resize them to the network's input, and give pixels or images as the settings say", pictures.size(), each);
    const size_t count = pictures.size() / each;
    if (targets.size() != count && targets.size() != 1) fail("grad-cam", "targets: got {} for {} pictures, expected one for each, or one for all", targets.size(), count);
    for (const CamTarget& t : targets) check(t);

    CamMaps result;
    const Shape map = executor->graph().shape(cam.coarse);
    result.height = int(map.h()), result.width = int(map.w()), result.size = settings.size;
    std::vector<T> padded(batch * each);
    const auto append = [&](std::vector<float>& to, Value v, size_t n) {
      const std::vector<float> rows = executor->read(v);
      to.insert(to.end(), rows.begin(), rows.begin() + ptrdiff_t(rows.size() / batch * n));
    };
    for (size_t first = 0; first < count; first += batch) {
      const size_t n = std::min(batch, count - first);
      std::copy_n(pictures.begin() + ptrdiff_t(first * each), n * each, padded.begin());
      executor->write(input, std::span<const T>(padded));
      ask(targets.size() == 1 ? std::vector<CamTarget>(n, targets[0]) : std::vector<CamTarget>(targets.begin() + ptrdiff_t(first), targets.begin() + ptrdiff_t(first + n)));
      executor->run();
      append(result.coarse, cam.coarse, n);
      append(result.maps, cam.maps, n);
      append(result.peaks, cam.peaks, n);
      std::vector<int32_t> asked(batch, -1);
      if (cam.asked) executor->read(cam.asked, std::span(asked));
      result.labels.insert(result.labels.end(), asked.begin(), asked.begin() + ptrdiff_t(n));
    }
    return result;
  }
};

GradCam::GradCam(Device& device, States& states, const NetworkSettings& settings, const Target& target)
    : impl_(std::make_unique<Impl>(device, states, settings, target)) {}
GradCam::~GradCam() = default;

const Graph& GradCam::graph() const { return impl_->executor->graph(); }

CamMaps GradCam::maps(std::span<const uint8_t> pixels, std::span<const CamTarget> targets) {
  return impl_->maps(impl_->cam.net.pixels, impl_->settings.pixel_channels, pixels, targets);
}

CamMaps GradCam::maps(std::span<const float> images, std::span<const CamTarget> targets) {
  const bool takes_images = impl_->settings.pixel_channels == 0;
  return impl_->maps(takes_images ? impl_->cam.net.built.images : Value{}, impl_->settings.channels, images, targets);
}

}  // namespace vkfer
