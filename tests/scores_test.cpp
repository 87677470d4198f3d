// Figures of predictions beside scikit-learn's (tests/fixtures/record_metrics.py) and published examples.
#include "tools/metrics/scores.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/catch.h"
#include "tools/metrics/agreement.h"
#include "tools/metrics/calibration.h"
#include "tools/report/eval_report.h"

using namespace vkfer;

namespace {

Json fixture() { return Json::parse(std::ifstream(std::filesystem::path(VKFER_FIXTURES) / "metrics.json")); }

Predictions predictions_of(const Json& j) {
  Predictions p;
  p.classes = j.at("classes");
  p.labels = j.at("labels").get<std::vector<int32_t>>();
  for (const int v : j.at("probabilities")) p.probabilities.push_back(float(v) / 256);
  return p;
}

std::string text(const ScoreName& n) { return n.of.empty() ? n.figure : n.figure + ":" + n.of; }

std::map<std::string, Score> by_name(const std::vector<Score>& scores) {
  std::map<std::string, Score> all;
  for (const Score& s : scores) all[text(s.name)] = s;
  return all;
}

constexpr double kNone = NAN;

}  // namespace

TEST_CASE("scores equal scikit-learn's, on random and on degenerate predictions", "[metrics][scores]") {
  const Json cases = fixture();
  CHECK(cases.size() >= 7);
  for (const auto& [name, j] : cases.items()) {
    const auto got = by_name(Scorer(predictions_of(j)).scores(0, 1));
    for (const auto& [figure, expected] : j.at("figures").items()) {
      INFO(name << ": " << figure);
      REQUIRE(got.count(figure) == 1);
      if (expected.is_null()) CHECK(std::isnan(got.at(figure).value));
      else CHECK(got.at(figure).value == Approx(expected.get<double>()).epsilon(1e-6).margin(1e-9));
    }
  }
}

TEST_CASE("scores: a sample that counts twice is a sample given twice", "[metrics][scores]") {
  Predictions p = predictions_of(fixture().at("seven classes"));
  const size_t n = p.labels.size(), k = size_t(p.classes);
  std::vector<int32_t> times;
  Predictions repeated;
  repeated.classes = p.classes;
  for (size_t i = 0; i < n; ++i) {
    p.valence.truth.push_back(i % 5 ? float(i % 7) / 7 : NAN), p.valence.predicted.push_back(float(i % 11) / 11);
    times.push_back(int32_t(i * 7 % 4));
    for (int32_t t = 0; t < times.back(); ++t) {
      repeated.labels.push_back(p.labels[i]);
      repeated.probabilities.insert(repeated.probabilities.end(), p.probabilities.begin() + ptrdiff_t(i * k), p.probabilities.begin() + ptrdiff_t((i + 1) * k));
      repeated.valence.truth.push_back(p.valence.truth[i]), repeated.valence.predicted.push_back(p.valence.predicted[i]);
    }
  }
  const Scorer once(p), twice(repeated);
  const std::vector<double> a = once.values(times), b = twice.values(std::vector<int32_t>(repeated.labels.size(), 1));
  REQUIRE(a.size() == once.names().size());
  for (size_t s = 0; s < a.size(); ++s) {
    INFO(text(once.names()[s]));
    CHECK(a[s] == Approx(b[s]).epsilon(1e-12));
  }
}

TEST_CASE("scores: what cannot be said is undefined, images without a class do not count", "[metrics][scores]") {
  CHECK(Scorer(Predictions{}).scores(10, 1).empty());
  const Predictions none{2, {-1, -1}, {1, 0, 0, 1}, {}, {}};
  for (const Score& s : Scorer(none).scores(50, 1)) {
    INFO(text(s.name));
    CHECK(std::isnan(s.value));
    CHECK(std::isnan(s.low));
  }
  const Predictions some{2, {0, -1, 1}, {0.75f, 0.25f, 0, 1, 0.5f, 0.5f}, {}, {}};
  const auto got = by_name(Scorer(some).scores(0, 1));
  CHECK(got.at("accuracy").value == 0.5);   // of equal probabilities the first class wins
  CHECK(got.at("auc_roc:1").value == 1);
  CHECK(got.count("top2_accuracy") == 0);   // two of two classes
}

TEST_CASE("scores: of classes whose names are numbers, or outputs'", "[metrics][scores]") {
  EvalReport r;
  r.classes = {"1", "0", "valence"};
  r.predictions.classes = 3;
  r.predictions.labels = {0, 0, 1, 2};
  r.predictions.probabilities = {0.8f, 0.1f, 0.1f, 0.2f, 0.7f, 0.1f, 0.1f, 0.8f, 0.1f, 0.1f, 0.1f, 0.8f};
  r.predictions.valence = {{0.5f, 0, 0.25f, 1}, {0.5f, 0, 0.25f, 1}};
  r.scores = Scorer(r.predictions).scores(0, 1);
  const Json j = scores_json(r);
  CHECK(j.at("per_class").size() == 3);
  CHECK(j.at("per_class").at("1").at("recall").at("value") == 0.5);
  CHECK(j.at("per_class").at("0").at("recall").at("value") == 1);
  CHECK(j.at("per_class").at("valence").at("recall").at("value") == 1);
  CHECK(j.at("valence").at("rmse").at("value") == 0);
  CHECK_FALSE(j.contains("0"));
}

TEST_CASE("scores: intervals of a bootstrap", "[metrics][scores]") {
  Predictions p;
  p.classes = 2;
  for (int i = 0; i < 400; ++i) p.labels.push_back(i % 2), p.probabilities.insert(p.probabilities.end(), {float(i % 5 ? 1 - i % 2 : i % 2), float(i % 5 ? i % 2 : 1 - i % 2)});
  const Scorer scorer(p);
  const auto scores = by_name(scorer.scores(2000, 3)), again = by_name(scorer.scores(2000, 3)), other = by_name(scorer.scores(2000, 4));
  const Score accuracy = scores.at("accuracy");
  CHECK(accuracy.value == 0.8);
  // The accuracy of n draws is binomial: 0.8 -+ 1.96 * sqrt(0.8 * 0.2 / 400) = 0.761 to 0.839.
  CHECK(accuracy.low == Approx(0.7608).margin(0.006));
  CHECK(accuracy.high == Approx(0.8392).margin(0.006));
  CHECK(again.at("accuracy").low == accuracy.low);
  CHECK(again.at("log_loss").high == scores.at("log_loss").high);
  CHECK(other.at("log_loss").high != scores.at("log_loss").high);
  CHECK(std::isnan(by_name(scorer.scores(0, 3)).at("accuracy").low));
  const auto wide = by_name(scorer.scores(2000, 3, 0.99));
  CHECK(wide.at("accuracy").low < accuracy.low);
}

TEST_CASE("agreement: Krippendorff's own examples", "[metrics][agreement]") {
  // Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011: B, C and D.
  const std::vector<std::vector<double>> binary{{0, 1, 0, 0, 0, 0, 0, 0, 1, 0}, {1, 1, 1, 0, 0, 1, 0, 0, 0, 0}};
  CHECK(krippendorff_alpha(binary, Level::nominal) == Approx(0.095).margin(5e-4));
  const std::vector<std::vector<double>> letters{{1, 1, 2, 2, 4, 3, 3, 3, 5, 4, 4, 1}, {2, 1, 2, 2, 2, 3, 3, 3, 5, 4, 4, 4}};
  CHECK(krippendorff_alpha(letters, Level::nominal) == Approx(0.692).margin(5e-4));
  const std::vector<std::vector<double>> four{{1, 2, 3, 3, 2, 1, 4, 1, 2, kNone, kNone, kNone},
                                              {1, 2, 3, 3, 2, 2, 4, 1, 2, 5, kNone, 3},
                                              {kNone, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, kNone},
                                              {1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, kNone}};
  CHECK(krippendorff_alpha(four, Level::nominal) == Approx(0.743).margin(5e-4));
  CHECK(krippendorff_alpha(four, Level::ordinal) == Approx(0.815).margin(5e-4));
  CHECK(krippendorff_alpha(four, Level::interval) == Approx(0.849).margin(5e-4));
  CHECK(krippendorff_alpha(four, Level::ratio) == Approx(0.797).margin(5e-4));

  Confusion m(6);
  for (size_t i = 0; i < letters[0].size(); ++i) ++m.at(int(letters[0][i]), int(letters[1][i]));
  CHECK(krippendorff_alpha(m) == Approx(krippendorff_alpha(letters, Level::nominal)).epsilon(1e-12));
  CHECK(std::isnan(krippendorff_alpha(Confusion(3))));
  CHECK(std::isnan(krippendorff_alpha(std::vector<std::vector<double>>{{1, 1}, {1, 1}}, Level::interval)));
}

TEST_CASE("ranking: the curves end where they must, and their areas are the figures", "[metrics][scores]") {
  const Predictions p = predictions_of(fixture().at("many ties"));
  std::vector<float> scores;
  std::vector<bool> positive;
  for (size_t i = 0; i < p.labels.size(); ++i) scores.push_back(p.probabilities[i * 3 + 1]), positive.push_back(p.labels[i] == 1);
  const Ranking r(scores, positive);
  const auto curve = r.curve();
  CHECK(curve.size() == 9);   // eighths
  CHECK(curve.back().recall == 1);
  CHECK(curve.back().false_positive_rate == 1);
  double area = 0, before_x = 0, before_y = 0;
  for (const auto& point : curve) {
    area += (point.false_positive_rate - before_x) * (point.recall + before_y) / 2;
    before_x = point.false_positive_rate, before_y = point.recall;
  }
  CHECK(r.auc_roc(std::vector<int32_t>(scores.size(), 1)) == Approx(area));
  CHECK(Ranking(scores, std::vector<bool>(scores.size(), false)).curve().empty());
}

TEST_CASE("calibration: the temperature that scipy finds", "[metrics][calibration]") {
  const Json cases = fixture();
  for (const auto& [name, j] : cases.items()) {
    const Predictions p = predictions_of(j);
    INFO(name);
    const double t = fitted_temperature(p.probabilities, p.labels, p.classes);
    CHECK(t == Approx(j.at("temperature").get<double>()).epsilon(1e-4));
  }
  CHECK(fitted_temperature({}, {}, 3) == 1);
}

TEST_CASE("calibration: tempered probabilities", "[metrics][calibration]") {
  const std::vector<float> p{0.5f, 0.25f, 0.25f, 1, 0, 0};
  const std::vector<float> same = tempered(p, 3, 1), flat = tempered(p, 3, 2);
  for (size_t i = 0; i < p.size(); ++i) CHECK(same[i] == Approx(p[i]).margin(1e-7));
  const double root = std::sqrt(0.5) + 2 * std::sqrt(0.25);
  CHECK(flat[0] == Approx(std::sqrt(0.5) / root));
  CHECK(flat[3] == Approx(1));
  // Sure with 1 and right half the time.
  const std::vector<int32_t> labels{0, 1};
  const auto bins = reliability(std::vector<float>{1, 0, 1, 0}, labels, 2);
  CHECK(bins.back().count == 2);
  CHECK(bins.back().accuracy == 0.5);
  CHECK(expected_calibration_error(bins) == Approx(0.5));
  CHECK(std::isnan(expected_calibration_error(reliability({}, {}, 2))));
}
