// Mixup, CutMix, the targets that go with them, and the search for a learning rate.
#include <cmath>
#include <numeric>

#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/first_loss.h"
#include "tests/op_shader.h"
#include "tests/scratch.h"
#include "tests/small_runs.h"
#include "tools/train/mix.h"
#include "tools/train/rate_search.h"
#include "tools/train/training.h"

using namespace vkfer;
using namespace vkfer::test;
namespace fs = std::filesystem;

TEST_CASE("shares follow Beta(alpha, alpha)", "[train][mix]") {
  for (const double alpha : {0.2, 1.0, 4.0}) {
    INFO(alpha);
    constexpr int kDraws = 20000;
    double sum = 0, squares = 0;
    for (int step = 0; step < kDraws; ++step) {
      const double share = batch_mix({.mixup = alpha}, 7, step, 48).share;
      REQUIRE((share >= 0 && share <= 1));
      sum += share, squares += share * share;
    }
    const double mean = sum / kDraws, variance = squares / kDraws - mean * mean;
    CHECK(mean == Approx(0.5).margin(0.012));
    CHECK(variance == Approx(1 / (4 * (2 * alpha + 1))).epsilon(0.05));   // of Beta(alpha, alpha)
  }
  CHECK(batch_mix({.mixup = 0.4}, 1, 5, 48).share == batch_mix({.mixup = 0.4}, 1, 5, 48).share);
  CHECK(batch_mix({.mixup = 0.4}, 1, 5, 48).share != batch_mix({.mixup = 0.4}, 2, 5, 48).share);
  CHECK(batch_mix({.mixup = 0.4}, 1, 5, 48).share != batch_mix({.mixup = 0.4}, 1, 5 + (int64_t(1) << 32), 48).share);
  CHECK(std::isfinite(batch_mix({.mixup = 1e-12}, 1, 5, 48).share));
}

TEST_CASE("CutMix's rectangle is the partner's share", "[train][mix]") {
  int both = 0;
  for (int step = 0; step < 500; ++step) {
    const BatchMix m = batch_mix({.cutmix = 1}, 3, step, 20);
    REQUIRE(m.cut);
    REQUIRE((0 <= m.top && m.top <= m.bottom && m.bottom <= 20 && 0 <= m.left && m.left <= m.right && m.right <= 20));
    const std::vector<float> pixels = pixel_shares(m, 2, 20);
    REQUIRE(pixels.size() == 800);
    CHECK(std::accumulate(pixels.begin(), pixels.end(), 0.0) / 800 == Approx(m.share).margin(1e-9));
    CHECK(std::equal(pixels.begin(), pixels.begin() + 400, pixels.begin() + 400));
    both += batch_mix({.mixup = 1, .cutmix = 1}, 3, step, 20).cut;
  }
  CHECK((both > 200 && both < 300));   // evenly, within 4 deviations
}

TEST_CASE("what is not known stays out of the mix", "[train][mix]") {
  const std::vector<double> rows{1, 0, 0, 0, 0, 1, 1, 0};   // the second is not labelled: of it and the third, the third's part counts
  CHECK(mixed_rows(rows, 2, 0.75) == std::vector<double>{1, 0, 0, 0.25, 0, 0.75, 1, 0});
  CHECK(mixed_rows(std::vector<double>{1, 0, 0, 1}, 2, 0.75) == std::vector<double>{0.75, 0.25, 0.25, 0.75});
  const std::vector<float> values = mixed_values(std::vector<float>{1, NAN, 0.5f, 0}, 0.75);
  CHECK(values[0] == 0.75f);
  CHECK((std::isnan(values[1]) && std::isnan(values[2])));
  const std::vector<float> weights{2, 1};
  const SoftTargets t = soft_targets(std::vector<double>{0.5, 0.5, 0, 0}, weights, 0.2);
  CHECK(t.targets == std::vector<float>{1, 0.5f, 0, 0});   // smoothing leaves what is even already
  CHECK(t.scale == Approx(1 / 1.5));
  CHECK(soft_targets(std::vector<double>{0, 0}, weights, 0.1).scale == 0);
}

namespace {

Checkpoint at_end_of(const TrainSettings& s, const Dataset& data, const fs::path& run, int stop_after) {
  // Stopped after some steps, and gone on with from what was saved.
  int steps = 0;
  {
    TrainHooks hooks;
    hooks.step = [&](const StepReport&) { ++steps; };
    hooks.stop = [&] { return stop_after > 0 && steps >= stop_after; };
    Training first(test_device(), data, s, {}, hooks);
    RunFolder folder = RunFolder::create(run);
    folder.write_config(first.config());
    first.run(folder);
  }
  RunFolder folder = RunFolder::open(run);
  std::optional<Checkpoint> at = folder.load({});
  REQUIRE(at);
  if (stop_after == 0) return *at;
  CHECK(!at->finished);
  Training second(test_device(), data, s, std::move(at), {});
  CHECK(second.inexact_because().empty());
  CHECK(second.run(folder).finished);
  return *folder.load({});
}

}  // namespace

TEST_CASE("mixed trainings go on bit for bit, and in pieces", "[train][mix][device]") {
  const Scratch scratch;
  const Dataset data = faces(64, 21);
  TrainSettings s = small_settings();
  s.mix = {.mixup = 0.4, .cutmix = 1};
  s.warp.rotate = 10;
  s.backbone_rate = 0.5;
  s.norm_decay = false;
  s.clip_norm = 1;
  s.ema = 0.9;
  s.label_smoothing = 0.1;
  for (const int micro : {0, 4}) {
    INFO(micro);
    s.micro_batch = micro;
    const Checkpoint whole = at_end_of(s, data, scratch.path / ("whole" + std::to_string(micro)), 0);
    const Checkpoint broken = at_end_of(s, data, scratch.path / ("broken" + std::to_string(micro)), 11);
    CHECK(whole.states == broken.states);
    CHECK(whole.best_model == broken.best_model);
  }
}

namespace {

// Drawn faces on whose class people disagree: `share` says the drawn one, the rest the next. Every third picture has the label alone.
Dataset voted(double share) {
  static const Dataset drawn = faces(64, 21);
  DatasetContents contents{"drawn faces", drawn.classes(), {}, [](const Sample& s) { return drawn.image(s.entry); }, 16, 1, true, {}};
  for (size_t i = 0; i < drawn.size(); ++i) {
    Sample s = drawn.sample(i);
    s.entry = i;
    const size_t k = drawn.classes().size(), next = (size_t(s.label) + 1) % k;
    if (i % 3) {
      s.distribution.assign(k, 0);
      s.distribution[size_t(s.label)] = float(share);
      s.distribution[next] += float(1 - share);
      if (share < 0.5) s.label = int(next);
    }
    contents.samples.push_back(s);
  }
  return Dataset(contents, {});
}

}  // namespace

TEST_CASE("votes: the loss is that of each class by its share, and figures are of the majority", "[train][votes][device]") {
  TrainSettings s = small_settings();
  s.votes = "probability";
  const double all = first_loss(voted(1), s), none = first_loss(voted(0), s);
  CHECK(std::abs(all - none) > 0.01);
  CHECK(first_loss(voted(0.75), s) == Approx(0.75 * all + 0.25 * none).epsilon(1e-5));
  s.label_smoothing = 0.2;   // a part of the loss that no vote decides
  const double smooth_all = first_loss(voted(1), s), smooth_none = first_loss(voted(0), s);
  CHECK(first_loss(voted(0.75), s) == Approx(0.75 * smooth_all + 0.25 * smooth_none).epsilon(1e-5));
  CHECK(smooth_all - smooth_none == Approx(0.8 * (all - none)).epsilon(1e-4));
  s.label_smoothing = 0;
  TrainSettings labels = s;
  labels.votes.clear();
  CHECK(first_loss(voted(0.75), labels) == Approx(all).epsilon(1e-5));   // the majority alone

  const Scratch scratch;
  const Dataset data = voted(0.75);
  s.epochs = 1;
  Training training(test_device(), data, s, {}, {});
  RunFolder folder = RunFolder::create(scratch.path / "run");
  const EpochRecord epoch = training.run(folder).history.at(0);
  const auto rows = [](const Confusion& m) {
    std::vector<size_t> sums;
    for (int c = 0; c < m.classes; ++c) {
      sums.push_back(0);
      for (int p = 0; p < m.classes; ++p) sums.back() += size_t(m.at(c, p));
    }
    return sums;
  };
  CHECK(rows(epoch.train.confusion) == data.class_counts("train"));
  CHECK(rows(epoch.val.confusion) == data.class_counts("val"));
}

TEST_CASE("votes: with everything else on, trainings go on bit for bit, and in pieces", "[train][votes][device]") {
  const Scratch scratch;
  const Dataset data = voted(0.75);
  TrainSettings s = small_settings();
  s.votes = "probability";
  s.class_weights = "balanced";
  s.label_smoothing = 0.1;
  s.ema = 0.9;
  s.clip_norm = 1;
  s.warp.rotate = 10;
  for (const int micro : {0, 4})
    for (const double mixup : {0.0, 0.4}) {
      INFO(micro << " " << mixup);
      s.micro_batch = micro;
      s.mix.mixup = mixup;
      const std::string name = fmt::format("{}-{}", micro, mixup);
      const Checkpoint whole = at_end_of(s, data, scratch.path / ("whole" + name), 0);
      const Checkpoint broken = at_end_of(s, data, scratch.path / ("broken" + name), 11);
      CHECK(whole.states == broken.states);
      CHECK(whole.best_model == broken.best_model);
      CHECK(whole.history.back().train == broken.history.back().train);
    }
}

TEST_CASE("votes: what has a meaning for one class alone is refused", "[train][votes]") {
  TrainSettings s = small_settings();
  s.votes = "probability";
  s.focal_gamma = 2;
  CHECK_THROWS_WITH(check_settings(s), contains("--focal-gamma") && contains("--votes majority"));
  s.votes = "majority";
  check_settings(s);
}

TEST_CASE("the search for a learning rate follows the loss", "[train][find_lr]") {
  RateSearch s;
  const RateRange range{1e-5, 10, 61};
  CHECK(rate_at(range, 0) == Approx(1e-5));
  CHECK(rate_at(range, 60) == Approx(10));
  // Flat, falling between 1e-3 and 1e-1, then exploding.
  for (int i = 0; i < range.steps; ++i) {
    const double lr = rate_at(range, i), e = std::log10(lr);
    if (!add_point(s, lr, e < -3 ? 2.0 : e < -1 ? 2.0 - 0.7 * (e + 3) : 0.6 + 40 * (e + 1))) break;
  }
  conclude(s);
  CHECK(s.points.size() < 61);
  CHECK((s.valley > 1e-3 && s.valley < 1e-1));
  CHECK((s.steepest > 1e-3 && s.steepest < 3e-1));
  CHECK(s.lowest > s.steepest);
  CHECK(rate_svg(s).find("</svg>") != std::string::npos);
  CHECK(rate_csv(s).starts_with("lr,loss,smoothed_loss\n1e-05,2,2\n"));
  RateSearch flat;
  for (int i = 0; i < 5; ++i) CHECK(add_point(flat, rate_at(range, i), 1 + 0.01 * i));
  CHECK(!add_point(flat, 1, NAN));
  conclude(flat);
  CHECK(flat.valley == 0);
  RateSearch empty;
  conclude(empty);
  CHECK(rate_svg(empty).find("</svg>") != std::string::npos);
}

TEST_CASE("a training finds its rate and leaves nothing", "[train][find_lr][device]") {
  const Dataset data = faces(64, 21);
  TrainSettings s = small_settings(0, 0);
  Training training(test_device(), data, s, {}, {});
  const RateSearch found = training.find_rate({1e-6, 10, 40});
  CHECK((found.points.size() > 10 && found.points.size() <= 40));
  CHECK((found.valley > 1e-6 && found.valley < 1));
}
