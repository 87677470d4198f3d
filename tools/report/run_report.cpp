#include "tools/report/run_report.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

#include "runtime/error.h"
#include "tools/data/cache.h"
#include "tools/metrics/calibration.h"
#include "tools/report/eval_report.h"
#include "tools/report/explained.h"
#include "tools/train/evaluate_samples.h"
#include "tools/train/resize.h"
#include "tools/train/run_folder.h"
#include "tools/train/training.h"

namespace vkfer {
namespace {

constexpr size_t kCurvePoints = 200, kDots = 1500;  // more nobody sees, and the file stays small

Json or_null(double v) { return std::isnan(v) ? Json() : Json(v); }

Json history_json(const std::vector<EpochRecord>& history) {
  Json rows = Json::array();
  for (const EpochRecord& r : history) {
    Json row = {{"epoch", r.epoch}, {"train_loss", r.train.loss()}, {"val_loss", r.val.loss()}, {"learning_rate", r.learning_rate}, {"seconds", r.seconds}};
    const auto add_classes = [&](const char* split, const Evaluation& e) {
      if (e.count == 0) return;
      const ClassificationMetrics m = classification_metrics(e.confusion);
      row[std::string(split) + "_accuracy"] = m.accuracy, row[std::string(split) + "_f1"] = m.macro_f1;
    };
    add_classes("train", r.train), add_classes("val", r.val);
    if (r.val.valence) row["val_valence_ccc"] = or_null(r.val.valence->metrics.ccc);
    if (r.val.arousal) row["val_arousal_ccc"] = or_null(r.val.arousal->metrics.ccc);
    rows.push_back(row);
  }
  return rows;
}

// At most `most` of n, evenly, the first and the last among them.
std::vector<size_t> thinned(size_t n, size_t most) {
  std::vector<size_t> kept;
  for (size_t i = 0; i < std::min(n, most); ++i) kept.push_back(n <= most ? i : i * (n - 1) / (most - 1));
  return kept;
}

double rounded(double v) { return std::round(v * 1e4) / 1e4; }

Json curves_json(const Predictions& p) {
  Json all = Json::array();
  for (int c = 0; c < p.classes; ++c) {
    std::vector<float> scores;
    std::vector<bool> positive;
    for (size_t i = 0; i < p.labels.size(); ++i)
      if (p.labels[i] >= 0) scores.push_back(p.probabilities[i * size_t(p.classes) + size_t(c)]), positive.push_back(p.labels[i] == c);
    const std::vector<Ranking::Point> curve = Ranking(scores, positive).curve();
    Json roc = Json::array(), pr = Json::array();
    if (!curve.empty()) roc.push_back({0, 0});
    for (const size_t i : thinned(curve.size(), kCurvePoints)) {
      roc.push_back({rounded(curve[i].false_positive_rate), rounded(curve[i].recall)});
      pr.push_back({rounded(curve[i].recall), rounded(curve[i].precision)});
    }
    all.push_back({{"roc", roc}, {"pr", pr}});
  }
  return all;
}

Json reliability_json(const Predictions& p) {
  Json bins = Json::array();
  if (p.classes == 0) return bins;
  for (const ReliabilityBin& b : reliability(p.probabilities, p.labels, p.classes))
    bins.push_back({{"low", b.low}, {"high", b.high}, {"count", b.count}, {"confidence", rounded(b.confidence)}, {"accuracy", rounded(b.accuracy)}});
  return bins;
}

Json affect_json(const Predictions& p) {
  if (p.valence.truth.empty() || p.arousal.truth.empty()) return {};
  Json j = {{"valence", Json::array()}, {"arousal", Json::array()}, {"circumplex", Json::array()}};
  std::vector<size_t> known;
  for (size_t i = 0; i < p.valence.truth.size(); ++i)
    if (!std::isnan(p.valence.truth[i]) && !std::isnan(p.arousal.truth[i])) known.push_back(i);
  for (const size_t k : thinned(known.size(), kDots)) {
    const size_t i = known[k];
    const double tv = rounded(p.valence.truth[i]), v = rounded(p.valence.predicted[i]), ta = rounded(p.arousal.truth[i]), a = rounded(p.arousal.predicted[i]);
    j["valence"].push_back({tv, v}), j["arousal"].push_back({ta, a}), j["circumplex"].push_back({tv, ta, v, a});
  }
  return known.empty() ? Json() : j;
}

// Rows of the predictions, as the network sees them.
DecodedCache cache_of(Device& device, const ReportedRun& run, const Dataset& dataset, const EvalReport& report, const std::vector<size_t>& rows) {
  CacheOptions options;
  options.size = run.network.size;
  options.channels = std::min(run.network.channels, std::max(1, dataset.channels()));
  options.resize = resize_on(device);
  std::vector<size_t> samples;
  for (const size_t row : rows) samples.push_back(report.samples[row]);
  return DecodedCache(dataset, samples, options);
}

// As pictures with what is true and what was said.
Json pictures(const ReportedRun& run, const Dataset& dataset, const EvalReport& report, const DecodedCache& cache, const std::vector<size_t>& rows) {
  Json all = Json::array();
  const Predictions& p = report.predictions;
  const size_t k = size_t(p.classes);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto row = std::span(p.probabilities).subspan(rows[i] * k, k);
    const size_t said = size_t(std::ranges::max_element(row) - row.begin());
    const int32_t truth = p.labels[rows[i]];
    all.push_back({{"id", dataset.sample(report.samples[rows[i]]).id}, {"image", data_uri(cache.pixels(i), run.network.size, cache.channels())},
                   {"truth", truth < 0 ? Json() : Json(report.classes[size_t(truth)])}, {"prediction", report.classes[said]}, {"probability", rounded(row[said])},
                   {"of_truth", truth < 0 ? Json() : Json(rounded(row[size_t(truth)]))}});
  }
  return all;
}

// Wrong answers, those first whose true class seemed least likely.
std::vector<size_t> worst_rows(const Predictions& p, size_t most) {
  const size_t k = size_t(p.classes);
  const auto of_truth = [&](size_t i) { return p.probabilities[i * k + size_t(p.labels[i])]; };
  std::vector<size_t> wrong;
  for (size_t i = 0; k > 0 && i < p.labels.size(); ++i) {
    const auto row = std::span(p.probabilities).subspan(i * k, k);
    if (p.labels[i] >= 0 && std::ranges::max_element(row) - row.begin() != p.labels[i]) wrong.push_back(i);
  }
  std::ranges::stable_sort(wrong, [&](size_t a, size_t b) { return of_truth(a) < of_truth(b); });
  wrong.resize(std::min(wrong.size(), most));
  return wrong;
}

std::vector<size_t> drawn_rows(const Predictions& p, size_t most, uint64_t seed) {
  std::vector<size_t> labelled;
  for (size_t i = 0; p.classes > 0 && i < p.labels.size(); ++i)
    if (p.labels[i] >= 0) labelled.push_back(i);
  std::mt19937_64 random(seed);
  for (size_t i = 0; i < std::min(most, labelled.size()); ++i) std::swap(labelled[i], labelled[i + random() % (labelled.size() - i)]);
  labelled.resize(std::min(labelled.size(), most));
  return labelled;
}

Json class_counts(const Dataset& dataset, std::span<const int> label_map, size_t classes) {
  Json counts = Json::object();
  for (const char* split : {"train", "val", "test"}) {
    std::vector<size_t> of(classes, 0);
    const std::vector<size_t> own = dataset.class_counts(split);
    for (size_t c = 0; c < own.size() && classes > 0; ++c) of[label_map.empty() ? c : size_t(label_map[c])] += own[c];
    counts[split] = of;
  }
  return counts;
}

Json network_json(const NetworkSettings& n) {
  const ModelSummary s = summarise(*n.model, model_options(n, false));
  return {{"size", n.size}, {"channels", n.channels}, {"head", n.head}, {"parameters", s.parameters}, {"running_statistics", s.running_statistics},
          {"bytes", s.bytes}, {"macs", s.macs}};
}

}  // namespace

Json run_report(Device& device, const ReportedRun& run, const Dataset& dataset, std::span<const int> label_map, const ReportOptions& o) {
  const auto start = std::chrono::steady_clock::now();
  const std::vector<size_t> indices = labelled(dataset, o.split, run.network.valence_arousal, !run.classes.empty());
  if (indices.empty()) fail("--split", "{} has no labelled image in '{}'. Fix: another split", dataset.source(), o.split);
  EvaluatedSamples e = evaluate_samples(device, *run.saved, run.network, run.target, dataset, indices, {.label_map = label_map, .skip_bad = o.skip_bad, .progress = o.progress});
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EvalReport report{e.evaluation, std::move(e.predictions), std::move(e.samples), run.classes, {}, o.resamples};
  if (o.progress) o.progress("intervals by bootstrap", 0, 1);
  report.scores = Scorer(report.predictions).scores(o.resamples, o.seed);
  const Json figures = report_json(report.evaluation, report.classes);
  const Json vkfer = run.config.is_object() ? run.config.value("vkfer", Json::object()) : Json::object();
  const std::vector<size_t> worst = worst_rows(report.predictions, o.worst), drawn = drawn_rows(report.predictions, o.sample, o.seed);
  const DecodedCache worst_cache = cache_of(device, run, dataset, report, worst), drawn_cache = cache_of(device, run, dataset, report, drawn);
  const Json sample = pictures(run, dataset, report, drawn_cache, drawn);
  Json cams = Json::array();
  std::string no_cams = "There is no picture with a class.";
  try {
    const std::vector<std::string> overlays = drawn.empty() ? std::vector<std::string>{} : cam_overlays(device, run, drawn_cache);
    for (size_t i = 0; i < std::min(overlays.size(), o.cams); ++i) {
      cams.push_back(sample[i]);
      cams.back()["overlay"] = overlays[i];
    }
  } catch (const Error& e) {  // a network without a feature map is no reason to go without a report
    if (e.kind() != ErrorKind::bad_input) throw;
    no_cams = e.what();
  }
  Json features;
  const std::vector<size_t> spread = thinned(report.samples.size(), o.points);
  std::string no_features = "There are too few pictures to lay out.";
  if (spread.size() >= 4) {
    try {
      features = feature_maps(device, run, cache_of(device, run, dataset, report, spread), o.progress);
      features["labels"] = Json::array();
      for (const size_t row : spread) features["labels"].push_back(report.classes.empty() ? -1 : report.predictions.labels[row]);
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::bad_input) throw;
      no_features = e.what();
    }
  }
  return {{"name", run.name}, {"model", run.network.model->name}, {"data", dataset.source()}, {"synthetic", dataset.synthetic()}, {"split", o.split},
          {"images", report.evaluation.images()}, {"skipped", e.skipped}, {"classes", report.classes},
          {"settings", run.config.is_object() ? run.config.value("settings", Json()) : Json()}, {"device", run.config.is_object() ? run.config.value("device", Json()) : Json()},
          {"version", vkfer.is_object() ? vkfer.value("version", Json()) : Json()}, {"network", network_json(run.network)}, {"history", history_json(run.history)},
          {"best_epoch", run.best_epoch}, {"scores", scores_json(report)}, {"confusion", report.classes.empty() ? Json::array() : figures.value("confusion", Json::array())},
          {"curves", curves_json(report.predictions)}, {"reliability", reliability_json(report.predictions)}, {"affect", affect_json(report.predictions)},
          {"class_counts", class_counts(dataset, label_map, report.classes.size())},
          {"worst", pictures(run, dataset, report, worst_cache, worst)}, {"sample", sample}, {"cams", cams}, {"cams_left_out", no_cams},
          {"features", features}, {"features_left_out", no_features},
          {"evaluated_on", device.info().name}, {"evaluation_seconds", seconds}};
}

void read_history(const std::filesystem::path& run, ReportedRun& to) {
  const std::optional<Checkpoint> newest = newest_checkpoint(run);
  if (!newest) return;
  to.history = newest->history;
  to.best_epoch = newest->best_epoch;
}

}  // namespace vkfer
