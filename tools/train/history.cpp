#include "tools/train/history.h"

#include <fmt/format.h>

namespace vkfer {
namespace {

// A class name as part of a column's name: nothing that would break a csv.
std::string column(const std::string& name) {
  std::string safe = name;
  for (char& c : safe)
    if (c == ',' || c == '"' || c == '\n' || c == '\r') c = '_';
  return safe;
}

}  // namespace

std::string history_csv(const std::vector<EpochRecord>& history, const std::vector<std::string>& classes) {
  std::string csv =
      "epoch,learning_rate,train_loss,train_accuracy,train_macro_f1,val_loss,val_accuracy,val_macro_f1,seconds";
  for (const char* figure : {"precision", "recall", "f1"})
    for (const std::string& c : classes) csv += fmt::format(",val_{}_{}", figure, column(c));
  csv += '\n';
  for (const EpochRecord& r : history) {
    const ClassificationMetrics train = classification_metrics(r.train.confusion);
    const ClassificationMetrics val = classification_metrics(r.val.confusion);
    csv += fmt::format("{},{:.6g},{:.6f},{:.6f},{:.6f},{:.6f},{:.6f},{:.6f},{:.2f}", r.epoch, r.learning_rate,
                       r.train.loss(), train.accuracy, train.macro_f1, r.val.loss(), val.accuracy, val.macro_f1, r.seconds);
    for (double ClassMetrics::*figure : {&ClassMetrics::precision, &ClassMetrics::recall, &ClassMetrics::f1})
      for (const ClassMetrics& c : val.per_class) csv += fmt::format(",{:.6f}", c.*figure);
    csv += '\n';
  }
  return csv;
}

}  // namespace vkfer
