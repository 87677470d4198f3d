#include "tools/cli/eval_print.h"

#include <algorithm>
#include <cmath>

namespace vkfer {
namespace {

struct Title {
  const char *figure, *text;
};

// In the order of the console; what is not here is in the files only.
constexpr Title kTitles[] = {
    {"accuracy", "accuracy"},
    {"top2_accuracy", "top-2 accuracy"},
    {"top3_accuracy", "top-3 accuracy"},
    {"top5_accuracy", "top-5 accuracy"},
    {"balanced_accuracy", "balanced accuracy"},
    {"macro_f1", "macro F1"},
    {"weighted_f1", "weighted F1"},
    {"kappa", "Cohen's kappa"},
    {"alpha", "Krippendorff's alpha"},
    {"auc_roc", "AUC-ROC, one against rest"},
    {"auc_pr", "AUC-PR, one against rest"},
    {"log_loss", "cross-entropy"},
    {"ece", "calibration error (ECE)"},
    {"rmse", "RMSE"},
    {"mae", "MAE"},
    {"ccc", "CCC"},
    {"pearson", "Pearson's r"},
    {"sagr", "sign agreement (SAGR)"},
    {"r2", "R2"},
};

std::string number(double v) { return std::isnan(v) ? "undefined" : fmt::format("{:.4f}", v); }

std::string interval(const Score& s) { return std::isnan(s.low) ? "" : fmt::format("{:.4f} to {:.4f}", s.low, s.high); }

const Score* find(const EvalReport& r, std::string_view figure, std::string_view of) {
  const auto it = std::ranges::find_if(r.scores, [&](const Score& s) { return s.name.figure == figure && s.name.of == of; });
  return it == r.scores.end() ? nullptr : &*it;
}

void print_scores(Console& console, const EvalReport& r, const char* of) {
  for (const Title& t : kTitles)
    if (const Score* s = find(r, t.figure, of)) console.print("  {:<26} {:>9}    {}", t.text, number(s->value), interval(*s));
}

void print_classes(Console& console, const EvalReport& r) {
  const ClassificationMetrics m = classification_metrics(r.evaluation.confusion);
  console.print("\n  {:<14} precision  recall      F1{}  AUC-ROC   images", "class", r.resamples ? "       interval" : "");
  for (size_t c = 0; c < r.classes.size(); ++c) {
    const ClassMetrics& k = m.per_class[c];
    const Score *f1 = find(r, "f1", std::to_string(c)), *auc = find(r, "auc_roc", std::to_string(c));
    const std::string between = std::isnan(f1->low) ? "" : fmt::format("{:.2f} to {:.2f}", f1->low, f1->high);
    console.print("  {:<14.14}    {:.4f}  {:.4f}  {:.4f}{}  {:>7} {:>8}", r.classes[c], k.precision, k.recall, k.f1, r.resamples ? fmt::format("  {:>13}", between) : "",
                  std::isnan(auc->value) ? "-" : fmt::format("{:.4f}", auc->value), k.support);
  }
}

void print_confusion(Console& console, const EvalReport& r) {
  constexpr size_t kWidest = 9;  // columns that fit into 80
  if (r.classes.size() > kWidest) return console.line("\n(--json has the confusion matrix)");
  std::string header = fmt::format("\n  {:<14}", "true \\ answer");
  for (const std::string& name : r.classes) header += fmt::format(" {:>6.6}", name);
  console.line(header);
  for (size_t t = 0; t < r.classes.size(); ++t) {
    std::string row = fmt::format("  {:<14.14}", r.classes[t]);
    for (size_t p = 0; p < r.classes.size(); ++p) row += fmt::format(" {:>6}", r.evaluation.confusion.at(int(t), int(p)));
    console.line(row);
  }
}

}  // namespace

void print_report(Console& console, const EvalReport& r) {
  const Evaluation& e = r.evaluation;
  console.print("{} images{}, loss {:.4f}\n", count_text(e.images()), e.has_classes() && e.count == 0 ? ", none of them with a class" : "", e.loss());
  if (r.resamples) console.print("  {:<26} {:>9}    95 % interval", "", "");
  if (e.count > 0) print_scores(console, r, "");
  for (const char* of : {"valence", "arousal"}) {
    if (!find(r, "rmse", of)) continue;
    console.print("{}{}, {} images", e.count > 0 || of[0] == 'a' ? "\n" : "", of, (of[0] == 'v' ? e.valence : e.arousal)->metrics.count);
    print_scores(console, r, of);
  }
  if (e.count == 0) return;
  print_classes(console, r);
  print_confusion(console, r);
}

}  // namespace vkfer
