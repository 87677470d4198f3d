// Values recorded from scikit-learn 1.2.1: accuracy_score, precision_recall_fscore_support, f1_score (macro, weighted) and
// cohen_kappa_score with labels = all classes and zero_division = 0.
#include "tools/metrics/classification.h"

#include "tests/catch.h"

using namespace vkfer;

TEST_CASE("classification metrics equal scikit-learn's", "[metrics]") {
  Confusion m(4);  // class 1 is never answered rightly, class 2 never answered
  m.counts = {5, 1, 0, 2, 0, 0, 0, 3, 2, 0, 0, 1, 1, 0, 0, 9};
  const ClassificationMetrics r = classification_metrics(m);
  CHECK(r.count == 24);
  CHECK(r.accuracy == Approx(0.5833333333333334).epsilon(1e-14));
  CHECK(r.macro_f1 == Approx(0.33625).epsilon(1e-14));
  CHECK(r.macro_precision == Approx(0.30625).epsilon(1e-14));
  CHECK(r.macro_recall == Approx(0.38125).epsilon(1e-14));
  CHECK(r.weighted_f1 == Approx(0.5083333333333334).epsilon(1e-14));
  CHECK(r.kappa == Approx(0.33147632311977715).epsilon(1e-14));
  const double precision[] = {0.625, 0, 0, 0.6}, recall[] = {0.625, 0, 0, 0.9}, f1[] = {0.625, 0, 0, 0.72};
  const int64_t support[] = {8, 3, 3, 10};
  for (size_t c = 0; c < 4; ++c) {
    CHECK(r.per_class[c].precision == Approx(precision[c]));
    CHECK(r.per_class[c].recall == Approx(recall[c]));
    CHECK(r.per_class[c].f1 == Approx(f1[c]));
    CHECK(r.per_class[c].support == support[c]);
  }
}

// The confusion matrix of a published network on FER2013's test images, with the figures published beside it.
TEST_CASE("classification metrics equal a published evaluation", "[metrics]") {
  Confusion m(7);
  m.counts = {467, 40, 53,  43, 131, 143, 81,  50, 24, 4,  6,  6,   16,  5,  177, 33, 142, 54, 115, 236, 267, 65, 23, 28, 1378,
              78,  100, 102, 122, 23, 52, 96, 660, 185, 95, 170, 27, 91, 80, 241, 567, 71,  22, 5,   43,  48,  21, 20, 672};
  const ClassificationMetrics r = classification_metrics(m);
  CHECK(r.count == 7178);
  CHECK(r.accuracy == Approx(0.5447199777096684).epsilon(1e-12));
  CHECK(r.macro_f1 == Approx(0.4617927490157144).epsilon(1e-12));
  CHECK(r.kappa == Approx(0.45231430943231116).epsilon(1e-12));
  CHECK(r.per_class[3].f1 == Approx(0.7921816613969531).epsilon(1e-12));
}

TEST_CASE("classification metrics of edge cases are zeros, never nan", "[metrics]") {
  CHECK(classification_metrics(Confusion(3)).accuracy == 0);
  CHECK(classification_metrics(Confusion(3)).per_class.size() == 3);
  Confusion one(2);
  one.at(1, 1) = 5;  // a single class, always right: agreement by chance is certain
  const ClassificationMetrics r = classification_metrics(one);
  CHECK(r.accuracy == 1);
  CHECK(r.kappa == 0);
  CHECK(r.macro_f1 == 0.5);
}
