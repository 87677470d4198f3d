// Valence and arousal, beside the classes and alone: their figures, and training on them where they are known.
#include <cmath>

#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/op_shader.h"
#include "tests/scratch.h"
#include "tests/small_runs.h"
#include "tools/metrics/continuous.h"
#include "tools/train/evaluate_samples.h"
#include "tools/train/figures.h"
#include "tools/train/history.h"
#include "tools/train/saved_network.h"
#include "tools/train/tensorboard.h"
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
  // Of many equal numbers the mean is rounded.
  const std::vector<double> constant(350, 0.3);
  std::vector<double> varied;
  for (int i = 0; i < 350; ++i) varied.push_back(i % 7 * 0.1);
  CHECK(std::isnan(continuous_metrics(varied, constant).r2));
  CHECK(std::isnan(continuous_metrics(varied, constant).pearson));
  CHECK(std::isnan(continuous_metrics(constant, varied).pearson));
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

namespace {

// The same pictures and numbers as some_unknown(), and nobody has said a class.
Dataset without_classes() {
  DatasetContents contents = some_unknown().contents();
  contents.classes.clear();
  for (Sample& s : contents.samples) s.label = -1;
  return Dataset(contents, {});
}

TrainSettings va_only_settings() {
  TrainSettings s = small_settings(1, -1);
  s.batch = 10;
  s.va_only = true;
  s.monitor.clear();
  return resolve_settings(s, 16);
}

}  // namespace

TEST_CASE("training: valence and arousal alone, and bit for bit after an interruption", "[train][affect][va_only]") {
  const Dataset data = without_classes();
  TrainSettings s = va_only_settings();
  CHECK(s.valence_arousal);
  CHECK(s.monitor == "val_ccc");
  s.epochs = 12;
  Scratch scratch;
  RunFolder whole = RunFolder::create(scratch.path / "whole");
  const TrainResult result = run_for(data, s, whole, 1 << 30);
  REQUIRE(result.finished);
  const EpochRecord &first = result.history.front(), &last = result.history.back();
  CHECK_FALSE(last.val.has_classes());
  CHECK(last.train.valence->mse() < 0.5 * first.train.valence->mse());
  CHECK(last.val.ccc() > first.val.ccc());
  CHECK(last.val.images() == int64_t(labelled(data, "val", true, false).size()));
  CHECK(last.val.loss() == Approx(last.val.valence->mse() + last.val.arousal->mse()));
  size_t best = 0;
  for (size_t i = 0; i < result.history.size(); ++i)
    if (result.history[i].val.ccc() > result.history[best].val.ccc()) best = i;
  CHECK(result.best_epoch == int(best) + 1);
  const std::string csv = history_csv(result.history, {});
  CHECK(csv.starts_with("epoch,learning_rate,train_loss,val_loss,seconds,val_ccc,train_valence_rmse,"));
  CHECK_THAT(csv, !contains("nan") && !contains("accuracy"));

  RunFolder cut = RunFolder::create(scratch.path / "cut");
  for (const int steps : {3, 7}) CHECK_FALSE(run_for(data, s, cut, steps).finished);
  REQUIRE(run_for(data, s, cut, 1 << 30).finished);
  CHECK((cut.load({})->states == whole.load({})->states));
  CHECK((cut.load({})->best_model == whole.load({})->best_model));

  // Classes that the data knows make no difference.
  RunFolder classed = RunFolder::create(scratch.path / "classed");
  REQUIRE(run_for(some_unknown(), s, classed, 1 << 30).finished);
  CHECK((classed.load({})->best_model == whole.load({})->best_model));

  // The weights say what they answer, and an evaluation repeats the validation.
  const SavedNetwork saved = read_network(model_path(whole.path()));
  CHECK(saved.network.classes == 0);
  CHECK(saved.network.valence_arousal);
  CHECK(saved.classes.empty());
  CHECK(saved.weights.metadata.at("outputs") == "valence,arousal");
  NetworkSettings network = saved.network;
  network.batch = s.batch;
  const EvaluatedSamples e = evaluate_samples(test_device(), saved, network, whole.load({})->arithmetic.target, data, labelled(data, "val", true, false), {});
  CHECK(e.evaluation == result.history[best].val);

  // Other networks go on from it, and it from others.
  const auto goes_on = [&](const char* name, const TrainSettings& from, const Dataset& d, const std::string& weights) {
    INFO(name);
    TrainSettings t = from;
    t.epochs = 1;
    t.weights = weights;
    RunFolder folder = RunFolder::create(scratch.path / name);
    CHECK(run_for(d, t, folder, 1 << 30).finished);
    return model_path(folder.path()).string();
  };
  const std::string alone = model_path(whole.path()).string();
  TrainSettings classes = affect_settings();
  const std::string both = goes_on("both", classes, some_unknown(), alone);
  classes.valence_arousal = false;
  const std::string only_classes = goes_on("classes", classes, some_unknown(), alone);
  goes_on("alone", s, data, alone);
  goes_on("from both", s, data, both);
  goes_on("from classes", s, data, only_classes);
}

TEST_CASE("training: valence and arousal alone with mixed pairs, averages and in pieces", "[train][affect][va_only]") {
  const Dataset data = without_classes();
  Scratch scratch;
  TrainSettings s = va_only_settings();
  s.mix = {.mixup = 0.4, .cutmix = 1};
  s.ema = 0.9;
  s.clip_norm = 1;
  s.va_loss = "ccc";
  for (const int micro : {0, 5}) {
    INFO(micro);
    s.micro_batch = micro;
    RunFolder whole = RunFolder::create(scratch.path / fmt::format("whole{}", micro)), cut = RunFolder::create(scratch.path / fmt::format("cut{}", micro));
    REQUIRE(run_for(data, s, whole, 1 << 30).finished);
    CHECK_FALSE(run_for(data, s, cut, 4).finished);
    REQUIRE(run_for(data, s, cut, 1 << 30).finished);
    CHECK((cut.load({})->states == whole.load({})->states));
    for (const EpochRecord& r : whole.load({})->history) CHECK(std::isfinite(r.val.ccc()));
  }
  Training search(test_device(), data, s, {}, {});
  CHECK(search.find_rate({1e-6, 10, 20}).points.size() > 5);
}

TEST_CASE("training: what speaks of classes is refused where there are none", "[train][affect][va_only]") {
  const Dataset none = without_classes(), some = some_unknown();
  const auto refused = [&](const char* message, auto&& change) {
    TrainSettings s = va_only_settings();
    change(s);
    CHECK_THROWS_WITH(check_settings(s), contains(message));
  };
  check_settings(va_only_settings());
  refused("--monitor] got val_accuracy, but there are no classes. Fix: --monitor val_ccc", [](TrainSettings& s) { s.monitor = "val_accuracy"; });
  refused("--monitor] got val_macro_f1", [](TrainSettings& s) { s.monitor = "val_macro_f1"; });
  refused("--class-weights] got balanced with --va-only", [](TrainSettings& s) { s.class_weights = "balanced"; });
  refused("--label-smoothing] got 0.1 with --va-only", [](TrainSettings& s) { s.label_smoothing = 0.1; });
  refused("--focal-gamma] got 2 with --va-only", [](TrainSettings& s) { s.focal_gamma = 2; });
  refused("--votes] got majority with --va-only", [](TrainSettings& s) { s.votes = "majority"; });
  refused("--task-weights] got 1,0,0 with --va-only", [](TrainSettings& s) { s.task_weights = "1,0,0"; });
  TrainSettings classes = affect_settings();
  classes.monitor = "val_ccc";
  check_settings(classes);
  classes.valence_arousal = false;
  CHECK_THROWS_WITH(check_settings(classes), contains("val_ccc") && contains("Fix: --va"));

  const auto refuses = [&](const Dataset& data, const TrainSettings& s) { return [&] { Training(test_device(), data, s, std::nullopt, {}); }; };
  CHECK_THROWS_WITH(refuses(none, affect_settings())(), contains("no classes, expected 2 or more. Fix: --va-only"));
  CHECK_THROWS_WITH(refuses(some_unknown(true), va_only_settings())(), contains("--va-only") && contains("knows no valence"));
  DatasetContents only_train = none.contents();
  for (Sample& s : only_train.samples)
    if (s.split == Split::val) s.valence = s.arousal = NAN;
  const Dataset unvalidated(only_train, {});
  CHECK_THROWS_WITH(refuses(unvalidated, va_only_settings())(), contains("no validation image whose valence and arousal are known"));
}

TEST_CASE("figures: without classes there are none of them, and without an image they are undefined", "[train][affect][va_only]") {
  Evaluation e;
  e.valence = Affect{3, 0.75, {}}, e.arousal = Affect{2, 0.5, {}};
  e.valence->metrics.ccc = 0.5, e.arousal->metrics.ccc = 0.25;
  CHECK(e.ccc() == 0.375);
  CHECK(e.images() == 3);
  const auto names = [](const Figures& figures) {
    std::vector<std::string> all;
    for (const auto& [name, value] : figures) all.push_back(name);
    return all;
  };
  const std::vector<std::string> alone = names(figures_of(e, {}));
  CHECK((alone.size() == 14 && alone[0] == "loss" && alone[1] == "valence_rmse" && alone.back() == "ccc"));
  const Json report = report_json(e, {});
  CHECK((report.at("count") == 3 && report.at("loss") == 0.5 && report.contains("valence") && !report.contains("accuracy") && !report.contains("confusion")));
  CHECK(Evaluation::from_json(e.to_json()) == e);
  for (const auto& [name, value] : epoch_scalars({1, e, e, 0.1, 1})) CHECK_THAT(name, !contains("accuracy") && !contains("macro_f1"));

  e.confusion = Confusion(2);   // a network with classes over images that have none
  const Figures undefined = figures_of(e, {"a", "b"});
  CHECK((undefined[0].first == "accuracy" && std::isnan(undefined[0].second)));
  for (const auto& [name, value] : undefined) CHECK(std::isnan(value) == (name != "loss" && name != "ccc" && name != "valence_ccc" && name != "arousal_ccc"));
  const Json none = report_json(e, {"a", "b"});
  CHECK((none.at("count") == 3 && none.at("accuracy").is_null() && none.at("per_class").at("a").at("f1").is_null() && none.at("per_class").at("a").at("support") == 0));
  e.confusion.at(0, 0) = 1, e.count = 1;
  CHECK(report_json(e, {"a", "b"}).at("accuracy") == 1);
  e.arousal->metrics.ccc = NAN;
  CHECK(std::isnan(e.ccc()));
  CHECK(find_monitor("val_ccc").figure({1, e, e, 0.1, 1}) == -1);   // the worst there is
}

TEST_CASE("training: on mixed labels each output learns from the images that know it", "[train][affect]") {
  // All training images are one batch, so that the first loss is known: of each output the mean over the images that know it. Those
  // means over a part and over the rest make the mean over all.
  static const Dataset drawn = faces(70, 35);
  const auto first_loss = [](const char* weights, bool (*has_class)(size_t), bool (*has_affect)(size_t)) {
    DatasetContents contents{"drawn faces", drawn.classes(), {}, [](const Sample& s) { return drawn.image(s.entry); }, 16, 1, true, {}};
    for (size_t i = 0; i < drawn.size(); ++i) {
      Sample s = drawn.sample(i);
      s.entry = i;
      if (s.split == Split::train && !has_class(i)) s.label = -1;
      if (s.split == Split::train && !has_affect(i)) s.valence = s.arousal = NAN;
      contents.samples.push_back(s);
    }
    TrainSettings s = affect_settings();
    s.batch = 70;
    s.task_weights = weights;
    s.epochs = 1;
    double loss = NAN;
    TrainHooks hooks;
    hooks.step = [&](const StepReport& r) { loss = r.loss; };
    Scratch scratch;
    RunFolder folder = RunFolder::create(scratch.path / "run");
    Training(test_device(), Dataset(contents, {}), s, {}, hooks).run(folder);
    return loss;
  };
  const auto all = [](size_t) { return true; };
  const auto part = [](size_t i) { return i % 5 < 3; };
  const auto rest = [](size_t i) { return i % 5 >= 3; };
  const double share = 42.0 / 70;
  CHECK(first_loss("1,0,0", all, all) == Approx(share * first_loss("1,0,0", part, all) + (1 - share) * first_loss("1,0,0", rest, all)).epsilon(1e-5));
  CHECK(first_loss("0,1,1", all, all) == Approx(share * first_loss("0,1,1", all, part) + (1 - share) * first_loss("0,1,1", all, rest)).epsilon(1e-5));
  // Either kind of label, on different images of one batch.
  CHECK(first_loss("1,1,1", part, rest) == Approx(first_loss("1,0,0", part, all) + first_loss("0,1,1", all, rest)).epsilon(1e-5));
}
