// Valence and arousal beside the classes: their figures, and training on them where they are known.
#include <cmath>

#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/op_shader.h"
#include "tests/scratch.h"
#include "tests/small_runs.h"
#include "tools/metrics/continuous.h"
#include "tools/train/saved_network.h"
#include "tools/train/training.h"

using namespace vkfer;
using namespace vkfer::test;

TEST_CASE("continuous metrics: figures of a small example", "[metrics]") {
  // By hand, and as scipy and scikit-learn give them.
  const std::vector<double> p{0.5, -0.25, 0, 0.75}, t{0.25, -0.5, 0.5, 1};
  const ContinuousMetrics m = continuous_metrics(p, t);
  CHECK(m.count == 4);
  CHECK(m.rmse == Approx(0.330718913883));
  CHECK(m.mae == Approx(0.3125));
  CHECK(m.r2 == Approx(0.626666666667));
  CHECK(m.sagr == Approx(0.75));
  CHECK(m.pearson == Approx(0.803326417624));
  CHECK(m.ccc == Approx(0.758620689655));
}

TEST_CASE("continuous metrics: what is undefined says so", "[metrics]") {
  const ContinuousMetrics none = continuous_metrics({}, {});
  for (const double x : {none.rmse, none.mae, none.r2, none.pearson, none.sagr, none.ccc}) CHECK(std::isnan(x));
  const std::vector<double> same{0.5, 0.5}, truth{0.25, -0.25};
  CHECK(std::isnan(continuous_metrics(same, truth).pearson));
  CHECK(continuous_metrics(same, truth).ccc == 0);
  CHECK(std::isnan(continuous_metrics(truth, same).r2));
  CHECK(std::isnan(continuous_metrics(same, same).ccc));
  CHECK(continuous_metrics(truth, truth).ccc == Approx(1));
}

namespace {

// Drawn faces; every third knows no valence and arousal, every fifth no class.
Dataset some_unknown(bool all = false) {
  static const Dataset drawn = faces(70, 35);
  DatasetContents contents{"drawn faces", drawn.classes(), {}, [](const Sample& s) { return drawn.image(s.entry); }, 16, 1, true, {}};
  for (size_t i = 0; i < drawn.size(); ++i) {
    Sample s = drawn.sample(i);
    s.entry = i;
    if (all || i % 3 == 0) s.valence = s.arousal = NAN;
    else if (i % 5 == 0) s.label = -1;
    contents.samples.push_back(s);
  }
  return Dataset(contents, {});
}

TrainSettings affect_settings() {
  TrainSettings s = small_settings(1, -1);
  s.batch = 10;
  s.valence_arousal = true;
  return s;
}

TrainResult run_for(const Dataset& data, const TrainSettings& s, RunFolder& folder, int steps) {
  int done = 0;
  TrainHooks hooks;
  hooks.step = [&](const StepReport&) { ++done; };
  hooks.stop = [&] { return done >= steps; };
  Training training(test_device(), data, s, folder.load([](const std::string&) {}), hooks);
  CHECK(training.inexact_because() == "");
  return training.run(folder);
}

}  // namespace

TEST_CASE("training: valence and arousal where they are known, and bit for bit after an interruption", "[train][affect]") {
  const Dataset data = some_unknown();
  TrainSettings s = affect_settings();
  s.epochs = 12;
  Scratch scratch;
  RunFolder whole = RunFolder::create(scratch.path / "whole");
  const TrainResult result = run_for(data, s, whole, 1 << 30);
  REQUIRE(result.finished);
  const EpochRecord &first = result.history.front(), &last = result.history.back();
  REQUIRE(first.val.valence);
  CHECK(last.train.valence->mse() < 0.5 * first.train.valence->mse());
  CHECK(last.val.valence->metrics.rmse < first.val.valence->metrics.rmse);
  size_t known = 0, with_class = 0;
  for (const size_t i : labelled(data, "val", true)) known += !std::isnan(data.sample(i).valence), with_class += data.sample(i).label >= 0;
  CHECK(labelled(data, "val", true).size() > with_class);
  CHECK(last.val.valence->metrics.count == known);
  CHECK(last.val.count == int64_t(with_class));
  CHECK(last.val.valence->mse() == Approx(std::pow(last.val.valence->metrics.rmse, 2)));

  RunFolder cut = RunFolder::create(scratch.path / "cut");
  for (const int steps : {3, 11}) CHECK_FALSE(run_for(data, s, cut, steps).finished);
  const TrainResult again = run_for(data, s, cut, 1 << 30);
  REQUIRE(again.finished);
  CHECK(again.history.back().train == last.train);
  CHECK(again.history.back().val == last.val);
  CHECK(cut.load([](const std::string&) {})->best_model == whole.load([](const std::string&) {})->best_model);

  // The weights say what they answer.
  const SavedNetwork saved = read_network(model_path(whole.path()));
  CHECK(saved.network.valence_arousal);
  CHECK(saved.weights.tensors.count("head.valence.weight") == 1);

  // In pieces where no layer looks at the whole batch: the first steps' losses agree.
  TrainSettings frozen = s;
  frozen.freeze = "backbone";
  frozen.epochs = 1;
  RunFolder one = RunFolder::create(scratch.path / "one");
  const double loss = run_for(data, frozen, one, 1 << 30).history[0].val.loss();
  frozen.micro_batch = 5;
  RunFolder two = RunFolder::create(scratch.path / "two");
  CHECK(run_for(data, frozen, two, 1 << 30).history[0].val.loss() == Approx(loss).epsilon(1e-4));

  // A network with classes alone goes on from it, and one of classes gets new outputs beside them.
  TrainSettings classes = s;
  classes.valence_arousal = false;
  classes.epochs = 1;
  classes.weights = model_path(whole.path()).string();
  RunFolder third = RunFolder::create(scratch.path / "third");
  CHECK(run_for(data, classes, third, 1 << 30).finished);
  s.weights = model_path(third.path()).string();
  s.epochs = 1;
  RunFolder fourth = RunFolder::create(scratch.path / "fourth");
  CHECK(run_for(data, s, fourth, 1 << 30).finished);
}

TEST_CASE("training: valence and arousal that nobody knows are refused", "[train][affect]") {
  const Dataset data = some_unknown(true);
  CHECK_THROWS_WITH(Training(test_device(), data, affect_settings(), std::nullopt, {}), contains("--va") && contains("valence"));
}
