// 50 steps of a small network beside PyTorch's: every optimizer, schedule and loss (tests/fixtures/record_trajectories.py).
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/init.h"
#include "models/weights/transfer.h"
#include "tests/catch.h"
#include "tests/fixture_generator.h"
#include "tests/op_shader.h"
#include "tools/train/mix.h"
#include "tools/train/phases.h"
#include "tools/train/schedule.h"
#include "tools/train/stepper.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

constexpr int kSize = 16, kBatch = 8, kClasses = 7, kSteps = 50, kBatches = 3, kVotes = 10;
const std::vector<float> kWeights{0.5f, 2, 1, 0.25f, 3, 1, 1.5f};

struct Row {
  nlohmann::json j;
  double number(const char* name, double fallback) const { return j.value(name, fallback); }
  std::string text(const char* name) const { return j.value(name, std::string()); }
  bool mixed() const { return j.contains("share"); }
  bool voted() const { return j.value("votes", false); }
  bool weighted() const { return j.value("class_weights", false); }
  // The head alone, then the last block with it, then all: each for so many steps.
  FreezePhases phases() const {
    const int every = j.value("unfreeze_every", 0);
    return every ? FreezePhases{{"backbone", "blocks:1", ""}, every} : FreezePhases{{""}};
  }
};

NetworkSettings network_of(const Row& row) {
  NetworkSettings n;
  n.model = &find_model("compact_resnet");
  n.size = kSize;
  n.classes = row.j.value("classes", true) ? kClasses : 0;
  n.batch = kBatch;
  n.pixel_channels = 3;
  n.preprocessing = preprocessing_from_name("half");
  n.dropout = 0;
  n.label_smoothing = row.number("smoothing", 0);
  n.focal_gamma = row.number("focal", 0);
  n.mix = row.mixed();
  n.soft_targets = row.mixed() || row.voted();
  n.valence_arousal = !row.text("affect").empty();
  n.ccc = row.text("affect") == "ccc";
  if (row.j.contains("task_weights")) n.task_weights = row.j["task_weights"].get<std::array<double, 3>>();
  n.backbone_rate = row.number("backbone_rate", 1);
  n.decay_all = row.j.value("norm_decay", true);
  return n;
}

struct Batch {
  std::vector<uint8_t> pixels;
  std::vector<int32_t> labels;
  std::vector<float> valence, arousal;
  std::vector<double> votes;  // [n,k]
};

Batch batch(int i) {
  Batch b;
  const std::string n = std::to_string(i);
  for (const int64_t v : fixture::labels("trajectory.pixels" + n, kBatch * kSize * kSize * 3, 256)) b.pixels.push_back(uint8_t(v));
  for (const int64_t v : fixture::labels("trajectory.labels" + n, kBatch, kClasses)) b.labels.push_back(int32_t(v));
  const std::vector<float> affect = fixture::tensor("trajectory.affect" + n, 2 * kBatch, 0.25);
  b.valence.assign(affect.begin(), affect.begin() + kBatch);
  b.arousal.assign(affect.begin() + kBatch, affect.end());
  b.votes.resize(kBatch * kClasses);
  const std::vector<int64_t> votes = fixture::labels("trajectory.votes" + n, kBatch * kVotes, kClasses);
  for (size_t v = 0; v < votes.size(); ++v) b.votes[v / kVotes * kClasses + size_t(votes[v])] += 1.0 / kVotes;
  return b;
}

template <class T>
std::vector<T> reversed(const std::vector<T>& v) {
  std::vector<T> out;
  const size_t each = v.size() / kBatch;
  for (size_t i = kBatch; i-- > 0;) out.insert(out.end(), v.begin() + ptrdiff_t(i * each), v.begin() + ptrdiff_t((i + 1) * each));
  return out;
}

std::vector<double> losses_of(const Row& row, int pieces) {
  NetworkSettings network = network_of(row);
  const OptimizerDef& optimizer = find_optimizer(row.text("optimizer"));
  OptimizerSettings settings;
  settings.momentum = row.number("momentum", 0);
  settings.nesterov = row.j.value("nesterov", false);
  settings.weight_decay = row.number("weight_decay", 0);
  settings.clip_norm = row.number("clip", 0);
  const ScheduleDef& schedule = find_schedule(row.text("schedule").empty() ? "constant" : row.text("schedule"));
  ScheduleSettings times;
  times.steps = kSteps;
  times.warmup_steps = 0;
  times.drop_every = 20;
  times.drop_factor = 0.1;
  const FreezePhases phases = row.phases();
  States states(test_device());
  const std::vector<float> weights = row.weighted() ? kWeights : std::vector<float>(kClasses, 1.0f);
  const auto stepper_in = [&](int phase) {
    network.freeze = phases.freezes[size_t(phase)];
    network.freezes_before.assign(phases.freezes.begin(), phases.freezes.begin() + phase);
    auto made = std::make_unique<Stepper>(test_device(), states, plan_step(network, pieces, optimizer, settings, Target{}));
    made->set_class_weights(weights);
    return made;
  };
  std::unique_ptr<Stepper> stepper = stepper_in(0);
  const Graph whole = training_graph(network_of(row), optimizer, settings).graph;
  initialise(whole, states, 1);
  for (const Value v : whole.states()) {
    const ValueInfo& info = whole.info(v);
    if (info.state.trainable) states.write(info.name, from_torch(info, fixture::parameter(info.name, torch_shape(info))));
  }
  const std::vector<int32_t> augment(kBatch * 4, 0);
  std::vector<double> losses;
  for (int step = 0; step < kSteps; ++step) {
    if (phases.at(step) != phases.at(std::max(0, step - 1))) stepper = stepper_in(phases.at(step));
    const Batch b = batch(step % kBatches);
    if (schedule.momentum) settings.momentum = schedule.momentum(times, step);
    const double lr = learning_rate(schedule, times, row.number("lr", 0), step);
    StepInputs in{.pixels = b.pixels, .augment = augment, .labels = b.labels, .hyper = optimizer.hyper(settings, lr, step + 1), .index = step,
                  .valence = b.valence, .arousal = b.arousal};
    std::vector<Hyper> joined;
    for (int phase = 1; phase <= phases.at(step); ++phase) joined.push_back(optimizer.hyper(settings, lr, step + 1 - phase * phases.epochs));
    in.joined_hyper = joined;
    const std::vector<uint8_t> partner = reversed(b.pixels);
    std::vector<float> share;
    SoftTargets targets;
    std::vector<double> rows = b.votes;
    if (!row.voted()) {
      rows.assign(kBatch * kClasses, 0);
      for (size_t i = 0; i < kBatch; ++i) rows[i * kClasses + size_t(b.labels[i])] = 1;
    }
    if (network.mix) {
      BatchMix mix;
      mix.share = row.number("share", 1);
      share = pixel_shares(mix, kBatch, kSize);
      rows = mixed_rows(rows, kClasses, mix.share);
      in.partner_pixels = partner, in.partner_augment = augment, in.share = share;
    }
    if (network.soft_targets) {
      targets = soft_targets(rows, weights, network.label_smoothing);
      in.targets = targets.targets, in.target_scale = targets.scale;
    }
    losses.push_back(stepper->run(in));
  }
  return losses;
}

}  // namespace

TEST_CASE("50 steps of every optimizer, schedule and loss as PyTorch takes them", "[train][trajectory][device]") {
  const auto file = nlohmann::json::parse(std::ifstream(std::filesystem::path(VKFER_FIXTURES) / "trajectories.json"));
  CHECK(file.size() >= 26);
  for (const auto& [name, entry] : file.items()) {
    INFO(name);
    const auto expected = entry["losses"].get<std::vector<double>>();
    REQUIRE(expected.size() == kSteps);
    // An activation that rounding moves across a kink costs PyTorch's own floats up to `floats`.
    const double limit = std::max(1e-4, 3 * entry["floats"].get<double>());
    CHECK(limit < 5e-4);
    const std::vector<double> got = losses_of(Row{entry["settings"]}, 1);
    INFO(got[0] << " of " << expected[0] << ", then " << got[1] << " of " << expected[1]);
    double worst = 0;
    for (size_t i = 0; i < kSteps; ++i) worst = std::max(worst, std::abs(got[i] - expected[i]) / std::abs(expected[i]));
    CHECK(worst < limit);
  }
}

TEST_CASE("soft targets of one class each are the hard loss", "[train][mix][device]") {
  const Row hard{nlohmann::json::parse(R"({"optimizer": "sgd", "lr": 1e-3, "momentum": 0.9, "class_weights": true, "smoothing": 0.1})")};
  Row soft = hard;
  soft.j["share"] = 1.0;
  const std::vector<double> a = losses_of(hard, 1), b = losses_of(soft, 1);
  for (size_t i = 0; i < kSteps; ++i) CHECK(b[i] == Approx(a[i]).epsilon(1e-4));
}
