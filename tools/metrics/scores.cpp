#include "tools/metrics/scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "tools/metrics/agreement.h"
#include "tools/metrics/calibration.h"
#include "tools/metrics/classification.h"
#include "tools/metrics/continuous.h"

namespace vkfer {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
constexpr double kMostWork = 2e9;  // probabilities looked at by all resamples together: some ten seconds

double mean_of_known(std::span<const double> values) {
  double sum = 0;
  int n = 0;
  for (const double v : values)
    if (!std::isnan(v)) sum += v, ++n;
  return n ? sum / n : kUndefined;
}

// f(name, value) for each figure of a regression.
template <class F>
void for_each_continuous(const ContinuousMetrics& m, F&& f) {
  f("rmse", m.rmse), f("mae", m.mae), f("r2", m.r2), f("pearson", m.pearson), f("ccc", m.ccc), f("sagr", m.sagr);
}

void append_continuous(const Predictions::Affect& a, std::span<const int32_t> times, std::vector<double>& out) {
  std::vector<double> predicted, truth;
  for (size_t i = 0; i < a.truth.size(); ++i) {
    if (std::isnan(a.truth[i])) continue;
    predicted.insert(predicted.end(), size_t(times[i]), a.predicted[i]);
    truth.insert(truth.end(), size_t(times[i]), a.truth[i]);
  }
  for_each_continuous(continuous_metrics(predicted, truth), [&](const char*, double v) { out.push_back(v); });
}

// Each of n samples so often as n draws with replacement take it.
void draw(std::mt19937_64& random, std::vector<int32_t>& times) {
  std::ranges::fill(times, 0);
  const uint64_t n = times.size();
  for (uint64_t i = 0; i < n; ++i) ++times[size_t(((random() >> 32) * n) >> 32)];
}

// Of sorted values, between neighbours as numpy.percentile.
double percentile(std::span<const double> sorted, double share) {
  const double at = share * double(sorted.size() - 1);
  const size_t low = size_t(at), high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (at - double(low)) * (sorted[high] - sorted[low]);
}

}  // namespace

Predictions mean_of(std::span<const Predictions> all) {
  Predictions mean = all[0];
  const auto average = [&](auto&& member) {
    std::vector<float>& out = member(mean);
    for (size_t i = 0; i < out.size(); ++i) {
      double sum = 0;
      for (const Predictions& p : all) sum += member(p)[i];
      out[i] = float(sum / double(all.size()));
    }
  };
  average([](auto& p) -> auto& { return p.probabilities; });
  average([](auto& p) -> auto& { return p.valence.predicted; });
  average([](auto& p) -> auto& { return p.arousal.predicted; });
  return mean;
}

Scorer::Scorer(const Predictions& predictions) : p_(predictions) {
  const size_t k = size_t(p_.classes);
  for (size_t i = 0; k > 0 && i < p_.labels.size(); ++i) {
    const auto row = std::span(p_.probabilities).subspan(i * k, k);
    predicted_.push_back(int32_t(std::ranges::max_element(row) - row.begin()));
    rank_.push_back(0);
    if (p_.labels[i] < 0) continue;
    labelled_.push_back(uint32_t(i));
    const size_t truth = size_t(p_.labels[i]);
    for (size_t c = 0; c < k; ++c) rank_.back() += !(row[c] <= row[truth]) || (row[c] == row[truth] && c <= truth);
  }
  if (k > 0) {
    for (const char* figure : {"accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "macro_precision", "kappa", "alpha", "auc_roc", "auc_pr", "log_loss", "ece"})
      names_.push_back({figure, ""});
    for (const int top : {2, 3, 5})
      if (top < p_.classes) top_.push_back(top), names_.push_back({"top" + std::to_string(top) + "_accuracy", ""});
    for (size_t c = 0; c < k; ++c) {
      std::vector<float> scores;
      std::vector<bool> positive;
      for (const uint32_t i : labelled_) scores.push_back(p_.probabilities[i * k + c]), positive.push_back(p_.labels[i] == int32_t(c));
      rankings_.emplace_back(scores, positive);
      for (const char* figure : {"precision", "recall", "f1", "auc_roc", "auc_pr"}) names_.push_back({figure, std::to_string(c)});
    }
  }
  for (const auto& [of, affect] : {std::pair{"valence", &p_.valence}, std::pair{"arousal", &p_.arousal}})
    if (!affect->truth.empty())
      for_each_continuous({}, [&, of = of](const char* name, double) { names_.push_back({name, of}); });
}

// The mean recall of the classes that are there, as scikit-learn's balanced_accuracy_score.
static double balanced_accuracy(const ClassificationMetrics& m) {
  const auto there = std::ranges::count_if(m.per_class, [](const ClassMetrics& c) { return c.support > 0; });
  double sum = 0;
  for (const ClassMetrics& c : m.per_class) sum += c.recall;   // 0 of the others
  return there ? sum / double(there) : kUndefined;
}

void Scorer::append_class_values(std::span<const int32_t> times, std::vector<double>& out) const {
  const size_t k = size_t(p_.classes);
  Confusion confusion(p_.classes);
  std::vector<int64_t> within(top_.size(), 0);
  std::vector<int32_t> repeats;
  double loss = 0;
  for (const uint32_t i : labelled_) {
    const int32_t n = times[i], truth = p_.labels[i];
    repeats.push_back(n);
    if (n == 0) continue;
    confusion.at(truth, predicted_[i]) += n;
    loss -= n * std::log(std::max(double(p_.probabilities[i * k + size_t(truth)]), double(std::numeric_limits<float>::min())));
    for (size_t t = 0; t < top_.size(); ++t) within[t] += rank_[i] <= top_[t] ? n : 0;
  }
  const ClassificationMetrics m = classification_metrics(confusion);
  const double n = double(m.count);
  std::vector<double> roc, pr;
  for (const Ranking& r : rankings_) roc.push_back(r.auc_roc(repeats)), pr.push_back(r.auc_pr(repeats));
  const auto known = [&](double v) { return n > 0 ? v : kUndefined; };
  for (const double v : {m.accuracy, balanced_accuracy(m), m.macro_f1, m.weighted_f1, m.macro_precision, m.kappa}) out.push_back(known(v));
  out.push_back(krippendorff_alpha(confusion));
  out.push_back(mean_of_known(roc));
  out.push_back(mean_of_known(pr));
  out.push_back(known(loss / n));
  out.push_back(expected_calibration_error(reliability(p_.probabilities, p_.labels, p_.classes, times)));
  for (const int64_t w : within) out.push_back(known(double(w) / n));
  for (size_t c = 0; c < k; ++c)
    for (const double v : {known(m.per_class[c].precision), known(m.per_class[c].recall), known(m.per_class[c].f1), roc[c], pr[c]}) out.push_back(v);
}

std::vector<double> Scorer::values(std::span<const int32_t> times) const {
  std::vector<double> out;
  if (p_.classes > 0) append_class_values(times, out);
  for (const auto* affect : {&p_.valence, &p_.arousal})
    if (!affect->truth.empty()) append_continuous(*affect, times, out);
  return out;
}

std::vector<Score> Scorer::scores(int resamples, uint64_t seed, double confidence) const {
  const size_t n = p_.count();
  const std::vector<double> values = this->values(std::vector<int32_t>(n, 1));
  std::vector<Score> all;
  for (size_t s = 0; s < names_.size(); ++s) all.push_back({names_[s], values[s], kUndefined, kUndefined});
  if (resamples == 0 || n == 0) return all;
  const int affordable = int(std::min(1e9, kMostWork / (double(n) * std::max(1, p_.classes))));
  resamples = std::min(resamples, std::max(affordable, 100));
  std::vector<std::vector<double>> drawn(names_.size());
  std::mt19937_64 random(seed);
  std::vector<int32_t> times(n);
  for (int r = 0; r < resamples; ++r) {
    draw(random, times);
    const std::vector<double> resampled = this->values(times);
    for (size_t s = 0; s < drawn.size(); ++s)
      if (!std::isnan(resampled[s])) drawn[s].push_back(resampled[s]);
  }
  for (size_t s = 0; s < drawn.size(); ++s) {
    if (std::isnan(all[s].value) || drawn[s].size() * 2 < size_t(resamples)) continue;  // seldom defined: an interval would say little
    std::ranges::sort(drawn[s]);
    all[s].low = percentile(drawn[s], (1 - confidence) / 2);
    all[s].high = percentile(drawn[s], (1 + confidence) / 2);
  }
  return all;
}

}  // namespace vkfer
