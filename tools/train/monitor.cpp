#include "tools/train/monitor.h"

#include <cmath>
#include <limits>
#include <utility>

#include "tools/train/names.h"

namespace vkfer {
namespace {

constexpr MonitorDef kMonitors[]{
    {"val_accuracy", "validation accuracy", [](const EpochRecord& r) { return classification_metrics(r.val.confusion).accuracy; }, MonitorDef::classes},
    {"val_macro_f1", "validation macro F1", [](const EpochRecord& r) { return classification_metrics(r.val.confusion).macro_f1; }, MonitorDef::classes},
    {"val_ccc", "validation CCC of valence and arousal", [](const EpochRecord& r) { return std::isnan(r.val.ccc()) ? -1 : r.val.ccc(); }, MonitorDef::affect},
    {"val_loss", "validation loss, less is better", [](const EpochRecord& r) { return -r.val.loss(); }},
    {"train_loss", "training loss, less is better", [](const EpochRecord& r) { return -r.train.loss(); }},
};

// The best so far, and what did not beat it.
struct Progress {
  double best = -std::numeric_limits<double>::infinity();
  int without_gain = 0;
  void see(double figure, double min_delta) {
    const bool gain = figure > best + min_delta;
    without_gain = gain ? 0 : without_gain + 1;
    if (gain) best = figure;
  }
};

}  // namespace

std::span<const MonitorDef> monitors() { return kMonitors; }

const MonitorDef& find_monitor(std::string_view name) { return find_by_name("--monitor", "figure", monitors(), name); }

void check_monitor(const MonitorDef& m, bool has_classes, bool has_affect) {
  if (m.of == MonitorDef::classes && !has_classes) fail("--monitor", "got {}, but there are no classes. Fix: --monitor val_ccc or val_loss", m.name);
  if (m.of == MonitorDef::affect && !has_affect) fail("--monitor", "got {}, but the network does not answer valence and arousal. Fix: --va, or --monitor val_accuracy", m.name);
}

int best_epoch(const MonitorDef& m, std::span<const EpochRecord> history) {
  const auto figure = [&](const EpochRecord& r) { return std::pair(m.figure(r), -r.val.loss()); };
  int best = 0;
  for (size_t i = 0; i < history.size(); ++i)
    if (best == 0 || figure(history[i]) > figure(history[size_t(best) - 1])) best = int(i) + 1;
  return best;
}

int epochs_without_gain(const MonitorDef& m, std::span<const EpochRecord> history, double min_delta) {
  Progress progress;
  for (const EpochRecord& r : history) progress.see(m.figure(r), min_delta);
  return progress.without_gain;
}

double plateau_factor(const MonitorDef& m, std::span<const EpochRecord> history, int patience, double factor, double min_delta) {
  Progress progress;
  double product = 1;
  for (const EpochRecord& r : history) {
    progress.see(m.figure(r), min_delta);
    if (progress.without_gain <= patience) continue;
    product *= factor;
    progress.without_gain = 0;
  }
  return product;
}

}  // namespace vkfer
