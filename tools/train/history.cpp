#include "tools/train/history.h"

#include <fmt/format.h>

#include <cmath>

#include "tools/train/figures.h"

namespace vkfer {

std::string history_csv(const std::vector<EpochRecord>& history, const std::vector<std::string>& classes) {
  const bool has_classes = !classes.empty();
  std::string csv = has_classes ? "epoch,learning_rate,train_loss,train_accuracy,train_macro_f1,val_loss,val_accuracy,val_macro_f1,seconds"
                                : "epoch,learning_rate,train_loss,val_loss,seconds";
  for (const char* figure : {"precision", "recall", "f1"})
    for (const std::string& c : classes) csv += fmt::format(",val_{}_{}", figure, column_name(c));
  const bool affect = !history.empty() && history[0].val.valence.has_value();
  if (affect) csv += ",val_ccc";
  if (affect)
    for (const char* output : {"valence", "arousal"}) csv += fmt::format(",train_{0}_rmse,val_{0}_rmse,val_{0}_pearson,val_{0}_ccc,val_{0}_sagr", output);
  csv += '\n';
  for (const EpochRecord& r : history) {
    const ClassificationMetrics train = classification_metrics(r.train.confusion);
    const ClassificationMetrics val = classification_metrics(r.val.confusion);
    const auto of_classes = [&](const ClassificationMetrics& m) { return has_classes ? fmt::format(",{:.6f},{:.6f}", m.accuracy, m.macro_f1) : std::string(); };
    csv += fmt::format("{},{:.6g},{:.6f}{},{:.6f}{},{:.2f}", r.epoch, r.learning_rate, r.train.loss(), of_classes(train), r.val.loss(), of_classes(val), r.seconds);
    for (double ClassMetrics::*figure : {&ClassMetrics::precision, &ClassMetrics::recall, &ClassMetrics::f1})
      for (const ClassMetrics& c : val.per_class) csv += fmt::format(",{:.6f}", c.*figure);
    if (affect) csv += "," + csv_number(r.val.ccc());
    if (affect)
      for (const auto output : {&Evaluation::valence, &Evaluation::arousal}) {
        const ContinuousMetrics& m = (r.val.*output)->metrics;
        for (const double figure : {std::sqrt((r.train.*output)->mse()), m.rmse, m.pearson, m.ccc, m.sagr})
          csv += "," + csv_number(figure);  // empty: undefined
      }
    csv += '\n';
  }
  return csv;
}

}  // namespace vkfer
