// What a recipe asks for beside the optimizer: schedules and early stopping against PyTorch's and Keras' rules, class weights, focal loss.
#include <cmath>
#include <cstring>

#include "models/init.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/op_shader.h"
#include "tests/scratch.h"
#include "tests/small_runs.h"
#include "tools/train/class_weights.h"
#include "tools/train/monitor.h"
#include "tools/train/saved_network.h"
#include "tools/train/stepper.h"
#include "tools/train/training.h"
#include "tools/train/warp.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

// An epoch with such a validation accuracy, out of 1000, and loss.
EpochRecord epoch(int right, double loss = 1) {
  EpochRecord r;
  r.val.confusion = r.train.confusion = Confusion(2);
  r.val.confusion.at(0, 0) = right, r.val.confusion.at(0, 1) = 1000 - right;
  r.val.count = 1000, r.val.loss_sum = 1000 * loss;
  return r;
}

std::vector<EpochRecord> epochs(std::initializer_list<int> right) {
  std::vector<EpochRecord> all;
  for (const int r : right) all.push_back(epoch(r));
  return all;
}

}  // namespace

TEST_CASE("schedules: one cycle is torch's OneCycleLR", "[recipe]") {
  // torch.optim.lr_scheduler.OneCycleLR(sgd, max_lr=2, total_steps=11), torch 1.13
  const double rates[] = {0.08, 0.844682227, 1.92052285, 1.95949314, 1.76895145, 1.4521741, 1.06116542, 0.660116058, 0.314865026, 0.0820910864, 8e-06};
  const double momenta[] = {0.95,        0.910172801, 0.854139435, 0.852025351, 0.861552474, 0.877391405,
                            0.896941917, 0.916994465, 0.934257086, 0.945895829, 0.95};
  const ScheduleDef& schedule = find_schedule("onecycle");
  const ScheduleSettings s{.steps = 11, .warmup_steps = 3};  // it warms up by itself
  for (int i = 0; i < 11; ++i) {
    INFO("step " << i);
    CHECK(learning_rate(schedule, s, 2, i) == Approx(rates[i]).epsilon(1e-8));
    CHECK(schedule.momentum(s, i) == Approx(momenta[i]).epsilon(1e-8));
  }
  for (const int64_t steps : {1, 2, 3, 4})
    for (int64_t i = 0; i < steps; ++i) CHECK(std::isfinite(learning_rate(schedule, {.steps = steps}, 1, i)));
}

TEST_CASE("schedules: plateaus are torch's ReduceLROnPlateau", "[recipe]") {
  // mode max, factor 0.5, threshold 0.01 absolute: the rate after each epoch, by patience
  const std::vector<EpochRecord> history = epochs({100, 200, 205, 200, 300, 300, 305, 308, 309, 400, 390, 380, 370, 360, 350});
  const double expected[3][15] = {
      {1, 1, 0.5, 0.25, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.015625, 0.0078125, 0.00390625, 0.001953125, 0.0009765625, 0.00048828125},
      {1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.125, 0.0625, 0.0625, 0.03125, 0.03125},
      {1, 1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25}};
  for (int patience = 0; patience < 3; ++patience)
    for (size_t n = 1; n <= history.size(); ++n) {
      INFO("patience " << patience << " after epoch " << n);
      CHECK(plateau_factor(find_monitor("val_accuracy"), std::span(history).first(n), patience, 0.5, 0.01) == expected[patience][n - 1]);
    }
}

TEST_CASE("monitors: the best epoch, and how long there was no better one", "[recipe]") {
  const MonitorDef& accuracy = find_monitor("val_accuracy");
  CHECK(best_epoch(accuracy, {}) == 0);
  std::vector<EpochRecord> history{epoch(500, 1), epoch(700, 2), epoch(700, 1.5), epoch(700, 1.5), epoch(600, 0.1)};
  CHECK(best_epoch(accuracy, history) == 3);  // among equals the lower loss, then the first
  CHECK(best_epoch(find_monitor("val_loss"), history) == 5);
  CHECK(epochs_without_gain(accuracy, history, 0) == 3);
  CHECK(epochs_without_gain(accuracy, history, 0.3) == 4);
  CHECK(epochs_without_gain(accuracy, std::span(history).first(2), 0) == 0);
  history.push_back(epoch(701));
  CHECK(epochs_without_gain(accuracy, history, 0) == 0);
  history.back().val.loss_sum = NAN;
  CHECK(best_epoch(find_monitor("val_loss"), history) == 5);
  CHECK_THROWS_WITH(find_monitor("val_acuracy"), contains("did you mean 'val_accuracy'"));
}

TEST_CASE("class weights: balanced as scikit-learn's, or as given", "[recipe]") {
  const std::vector<double> counts{10, 30, 60};
  CHECK(class_weights("", counts) == std::vector<float>{1, 1, 1});
  const std::vector<float> balanced = class_weights("balanced", counts);
  CHECK(balanced[0] == Approx(100.0 / 30));
  CHECK(balanced[1] == Approx(100.0 / 90));
  CHECK(balanced[2] == Approx(100.0 / 180));
  CHECK(class_weights("1,2.5,0", counts) == std::vector<float>{1, 2.5, 0});
  CHECK_THROWS_WITH(class_weights("1,2", counts), contains("2 weights for 3 classes"));
  for (const char* wrong : {"balance", "1,,2", "1,2,", "-1,1,1", "nan,1,1", "0,0,0", "1;2;3"}) {
    INFO(wrong);
    CHECK_THROWS_WITH(parse_class_weights(wrong), contains("--class-weights"));
  }
}

TEST_CASE("class weights: an image of several classes counts for each by its share", "[recipe][votes]") {
  DatasetContents contents{"votes", {"a", "b", "c"}, {}, [](const Sample&) { return Image{}; }, 8, 1, true, {}};
  contents.samples = {{.id = "1", .label = 0, .split = Split::train, .distribution = {0.75f, 0.25f, 0}},
                      {.id = "2", .label = 1, .split = Split::train},
                      {.id = "3", .label = -1, .split = Split::train},
                      {.id = "4", .label = 2, .split = Split::val}};
  const Dataset data(contents, {});
  CHECK(class_shares(data, "train") == std::vector<double>{0.75, 1.25, 0});
  CHECK(class_shares(data, "val") == std::vector<double>{0, 0, 1});
  CHECK(class_weights("balanced", class_shares(data, "train")) == std::vector<float>{float(2 / (3 * 0.75)), float(2 / (3 * 1.25)), 0});
}

namespace {

struct Ran {
  TrainResult result;
  std::vector<std::string> said;
};

Ran run_for(const Dataset& data, const TrainSettings& s, RunFolder& folder, int steps = 1 << 30) {
  int done = 0;
  Ran ran;
  TrainHooks hooks;
  hooks.say = [&](const std::string& line) { ran.said.push_back(line); };
  hooks.step = [&](const StepReport&) { ++done; };
  hooks.stop = [&] { return done >= steps; };
  Training training(test_device(), data, s, folder.load([](const std::string&) {}), hooks);
  CHECK(training.inexact_because() == "");
  ran.result = training.run(folder);
  return ran;
}

}  // namespace

TEST_CASE("training: stops early, keeps the best epoch, and decides alike after an interruption", "[train][recipe]") {
  const Dataset data = faces(35, 14);
  TrainSettings s = small_settings(1, -1);
  s.epochs = 40;
  s.lr = 1e-9;  // nothing is learned: no epoch beats the first ones by much
  s.patience = 3;
  s.min_delta = 0.5;
  Scratch scratch;
  RunFolder folder = RunFolder::create(scratch.path / "whole");
  const Ran ran = run_for(data, s, folder);
  CHECK(ran.result.finished);
  CHECK(ran.result.history.size() == 4);
  REQUIRE(ran.said.size() == 1);
  CHECK(ran.said[0] == "stopping early: 3 epochs without a better validation accuracy");
  CHECK(ran.result.best_epoch == best_epoch(find_monitor("val_accuracy"), ran.result.history));

  RunFolder cut = RunFolder::create(scratch.path / "cut");
  CHECK_FALSE(run_for(data, s, cut, 9).result.finished);
  CHECK(run_for(data, s, cut).result.history.size() == 4);
}

TEST_CASE("training: schedules, class weights and focal loss go on bit for bit", "[train][recipe]") {
  const Dataset data = faces(35, 14);
  Scratch scratch;
  int run = 0;
  for (const char* schedule : {"onecycle", "plateau"}) {
    INFO(schedule);
    TrainSettings s = small_settings(1, -1);
    s.schedule = schedule;
    s.plateau_patience = 0;
    s.min_delta = 1;  // every epoch is a plateau
    s.drop_factor = 0.5;
    s.min_lr = 1e-3;
    s.epochs = 4;
    s.class_weights = "1,2,3,4,5,6,7";
    s.focal_gamma = 2;
    s.clip_norm = 0.5;
    s.ema = 0.9;
    s.warp = {.rotate = 15, .shift = 0.1, .shear = 5, .zoom = 0.1, .perspective = 0.1, .brightness = 0.3, .contrast = 0.3, .saturation = 0.3, .erase = 0.5};
    if (std::string(schedule) == "plateau") s.micro_batch = 4;
    RunFolder whole = RunFolder::create(scratch.path / std::to_string(run++)), cut = RunFolder::create(scratch.path / std::to_string(run++));
    const TrainResult expected = run_for(data, s, whole).result;
    for (const int steps : {5, 2}) CHECK_FALSE(run_for(data, s, cut, steps).result.finished);
    const TrainResult got = run_for(data, s, cut).result;
    CHECK(got.finished);
    CHECK(cut.load([](const std::string&) {})->states == whole.load([](const std::string&) {})->states);
    for (size_t e = 0; e < 4; ++e) CHECK(got.history[e].learning_rate == expected.history[e].learning_rate);
    if (std::string(schedule) == "plateau") {
      CHECK(expected.history[1].learning_rate == s.lr);
      CHECK(expected.history[2].learning_rate == 0.5 * s.lr);
      CHECK(expected.history[3].learning_rate == 1e-3);  // two drops would go below --min-lr
    }

    TrainSettings plain = s;
    plain.class_weights = "";
    RunFolder other = RunFolder::create(scratch.path / std::to_string(run++));
    run_for(data, plain, other);
    CHECK_FALSE(other.load([](const std::string&) {})->states == whole.load([](const std::string&) {})->states);
  }
}

namespace {

// Steps of SGD without momentum on one batch, and what each leaves.
struct Steps {
  States states{test_device()};
  std::unique_ptr<Stepper> stepper;
  std::vector<std::map<std::string, std::vector<float>>> parameters;  // before the first step, then after each

  Steps(const OptimizerSettings& settings, DType storage, int pieces, int count) {
    NetworkSettings n;
    n.model = &find_model("compact_mobilenetv2");
    n.preprocessing = n.model->preprocessing;
    n.size = 16, n.batch = 4, n.storage = storage, n.dropout = 0, n.frozen_batch_norm = true;
    const OptimizerDef& sgd = find_optimizer("sgd");
    stepper = std::make_unique<Stepper>(test_device(), states, plan_step(n, pieces, sgd, settings, target_for(test_device().info())));
    initialise(stepper->graph(), states, 3);
    remember();
    std::vector<uint8_t> pixels(size_t(4 * 16 * 16 * n.pixel_channels));
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = uint8_t((i * 2654435761u) >> 13);
    const std::vector<int32_t> augment(16, 0), labels{0, 1, 2, 3};
    for (int i = 0; i < count; ++i) {
      stepper->run({.pixels = pixels, .augment = augment, .labels = labels, .hyper = sgd.hyper(settings, kRate, i + 1), .seed = 1, .index = i, .ema_decay = 0.75});
      remember();
    }
  }
  void remember() {
    parameters.emplace_back();
    for (const auto& [name, gradient] : stepper->plan().step.gradients) parameters.back()[name] = states.read(name);
  }
  // Of the change of all parameters in the first step, by the rate.
  double change_norm() const {
    double sum = 0;
    for (const auto& [name, before] : parameters[0])
      for (size_t i = 0; i < before.size(); ++i) sum += std::pow((double(parameters[1].at(name)[i]) - before[i]) / kRate, 2);
    return std::sqrt(sum);
  }
  static constexpr double kRate = 0.5;
};

OptimizerSettings plain_sgd() {
  OptimizerSettings s;
  s.momentum = 0;
  return s;
}

}  // namespace

TEST_CASE("clipping: the norm of all gradients together stays below the limit", "[recipe][device]") {
  OptimizerSettings s = plain_sgd();
  const double norm = Steps(s, DType::f32, 1, 1).change_norm();
  REQUIRE(norm > 0.01);
  for (const DType storage : {DType::f32, DType::f16})
    for (const int pieces : {1, 2}) {
      if (storage == DType::f16 && !test_device().info().storage_16bit) continue;
      INFO(dtype_name(storage) << " in " << pieces);
      s.clip_norm = norm / 4;
      CHECK(Steps(s, storage, pieces, 1).change_norm() == Approx(norm / 4).epsilon(1e-3));
      s.clip_norm = norm * 4;
      CHECK(Steps(s, storage, pieces, 1).change_norm() == Approx(norm).epsilon(5e-3));
    }
}

TEST_CASE("averages: follow the parameters after each step", "[recipe][device]") {
  OptimizerSettings s = plain_sgd();
  s.ema = true;
  for (const int pieces : {1, 2}) {
    Steps steps(s, DType::f32, pieces, 3);
    double wrong = 0, size = 0;
    for (const auto& [name, first] : steps.parameters[0])
      for (size_t i = 0; i < first.size(); ++i) {
        double average = 0;  // states are zero at first
        for (size_t step = 1; step < 4; ++step) average = 0.75 * average + 0.25 * steps.parameters[step].at(name)[i];
        const double got = steps.states.read(kAverage + name)[i];
        wrong += (got - average) * (got - average), size += average * average;
        if (i > 20) break;
      }
    CHECK(std::sqrt(wrong / size) < 1e-6);
  }
}

TEST_CASE("training: the weights of a run with averages are the averages", "[train][recipe]") {
  const Dataset data = faces(35, 14);
  TrainSettings s = small_settings(1, -1);
  s.ema = 0.99;
  s.epochs = 1;
  Scratch scratch;
  RunFolder folder = RunFolder::create(scratch.path / "run");
  run_for(data, s, folder);
  const auto checkpoint = folder.load([](const std::string&) {});
  const SavedNetwork saved = read_network(model_path(folder.path()));
  const std::string name = saved.network.classifier() + ".bias";
  const std::vector<float> weights = saved.weights.at(name).floats();
  const auto same = [&](const std::string& state) {
    const auto& bytes = checkpoint->states.at(state);
    return bytes.size() == weights.size() * sizeof(float) && std::memcmp(bytes.data(), weights.data(), bytes.size()) == 0;
  };
  CHECK(same(kAverage + name));
  CHECK_FALSE(same(name));
}

TEST_CASE("augmentation: of the size asked for, the same for a seed, and one setting changes nothing about the others", "[recipe]") {
  const std::vector<uint8_t> pixels(48 * 48, 100);
  const auto row = [&](const WarpSettings& s, uint32_t sample, uint64_t seed = 1) { return warp_row(s, seed, 2, sample, 48, pixels, 1); };
  const WarpRow same{1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1};
  CHECK(row({}, 5) == same);
  CHECK_FALSE(WarpSettings{}.any());
  CHECK(row({.rotate = 20}, 5) == row({.rotate = 20}, 5));
  CHECK(row({.rotate = 20}, 5) != row({.rotate = 20}, 6));
  CHECK(row({.rotate = 20}, 5) != row({.rotate = 20}, 5, 2));
  CHECK(row({.rotate = 20, .brightness = 0.2}, 5)[9] == row({.brightness = 0.2}, 5)[9]);

  constexpr int kSamples = 4000;
  double turned = 0, most_turned = 0, most_moved = 0, zoomed = 0, bright = 0, erased = 0, least_area = 1, most_area = 0;
  for (uint32_t i = 0; i < kSamples; ++i) {
    const WarpRow turn = row({.rotate = 30}, i), move = row({.shift = 0.25}, i), zoom = row({.zoom = 0.5}, i), colour = row({.brightness = 0.4, .contrast = 0.5}, i),
                  erase = row({.erase = 0.3}, i);
    const double angle = std::atan2(turn[3], turn[0]) * 180 / 3.14159265358979;
    turned += angle / kSamples, most_turned = std::max(most_turned, std::abs(angle));
    // The centre stays where it is.
    CHECK(turn[0] * 24 + turn[1] * 24 + turn[2] == Approx(24).margin(1e-3));
    most_moved = std::max({most_moved, std::abs(double(move[2])), std::abs(double(move[5]))});
    zoomed += 1 / double(zoom[0]) / kSamples;
    bright += colour[9] / kSamples;
    CHECK(colour[11] == Approx(100 * colour[9]).epsilon(1e-5));
    const double area = double(erase[15] - erase[13]) * (erase[16] - erase[14]) / (48 * 48);
    CHECK(erase[15] <= 48.001f);
    CHECK(erase[16] <= 48.001f);
    if (area == 0) continue;
    erased += 1.0 / kSamples, least_area = std::min(least_area, area), most_area = std::max(most_area, area);
  }
  CHECK(std::abs(turned) < 1);
  CHECK(most_turned <= 30.001);
  CHECK(most_turned > 29);
  CHECK(most_moved <= 12.001);
  CHECK(most_moved > 11.9);
  CHECK(zoomed == Approx(1).margin(0.02));
  CHECK(bright == Approx(1).margin(0.02));
  CHECK(erased == Approx(0.3).margin(0.03));
  CHECK(least_area >= 0.0199);
  CHECK(most_area <= 0.3301);
}
