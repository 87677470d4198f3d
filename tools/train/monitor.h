#pragma once
// What decides which epoch is the best, when to stop early and when a plateau lowers the learning rate: one figure of the history.
// Pure functions of the history, so that a run that goes on decides as one that was never interrupted.
#include <span>
#include <string_view>

#include "tools/train/checkpoint.h"

namespace vkfer {

struct MonitorDef {
  enum Of : uint8_t { all, classes, affect };   // the outputs that it speaks of
  std::string_view name, title;
  double (*figure)(const EpochRecord&);   // more is better
  Of of = all;
};

std::span<const MonitorDef> monitors();
const MonitorDef& find_monitor(std::string_view name);  // fails listing them and the nearest

// Fails for a figure of outputs that the network does not have.
void check_monitor(const MonitorDef&, bool has_classes, bool has_affect);

// Among equals the one with the lower validation loss, then the first. From 1; 0 without an epoch.
int best_epoch(const MonitorDef&, std::span<const EpochRecord>);

// Epochs at the end in a row that were not better than the best before them by more than min_delta (keras.callbacks.EarlyStopping).
int epochs_without_gain(const MonitorDef&, std::span<const EpochRecord>, double min_delta);

// What a plateau has multiplied the learning rate by: `factor` each time that more than `patience` epochs in a row were not better
// by min_delta, counted anew after each time (torch.optim.lr_scheduler.ReduceLROnPlateau, threshold_mode abs).
double plateau_factor(const MonitorDef&, std::span<const EpochRecord>, int patience, double factor, double min_delta);

}  // namespace vkfer
