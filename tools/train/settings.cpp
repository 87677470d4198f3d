#include "tools/train/settings.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "models/freeze.h"
#include "models/head.h"
#include "models/registry.h"
#include "runtime/error.h"
#include "tools/data/ferplus.h"
#include "tools/train/class_weights.h"
#include "tools/train/memory_budget.h"
#include "tools/train/monitor.h"
#include "tools/train/precision.h"

namespace vkfer {
namespace {

template <class T>
void within(std::string_view option, T got, T lowest, T highest) {
  if (!(got >= lowest && got <= highest))  // also catches nan
    fail(option, "got {}, expected a number from {} to {}", got, lowest, highest);
}

// What runs did before a setting existed: their config.json lacks it.
const Json& before_it_existed() {
  static const Json values = {{"precision", "fp32"}, {"preprocessing", ""}, {"padding", ""}, {"batch_norm", ""}, {"head", ""}, {"freeze", ""},
                              {"memory_budget", ""}, {"micro_batch", 0}, {"recompute", false}, {"valence_arousal", false},
                              {"min_lr", 0}, {"plateau_patience", 10}, {"monitor", "val_accuracy"}, {"patience", 0}, {"min_delta", 0},
                              {"split_seed", 0}, {"class_weights", ""}, {"focal_gamma", 0}, {"clip_norm", 0}, {"ema", 0},
                              {"votes", ""}, {"rotate", 0}, {"shift", 0}, {"shear", 0}, {"zoom", 0}, {"perspective", 0}, {"brightness", 0}, {"contrast", 0}, {"saturation", 0}, {"erase", 0}, {"mixup", 0}, {"cutmix", 0},
                              {"va_only", false}, {"va_loss", "mse"}, {"task_weights", ""}, {"norm_decay", true}, {"backbone_rate", 1},
                              {"freeze_epochs", 0}, {"unfreeze_blocks", 0}, {"adam_epsilon", "torch"}};
  return values;
}

// What speaks of classes, in a network that has none.
void check_va_only(const TrainSettings& s) {
  const auto refuse = [](bool given, std::string_view option, const auto& got, std::string_view fix) {
    if (given) fail(option, "got {} with --va-only: there are no classes. Fix: {}", got, fix);
  };
  refuse(!s.class_weights.empty(), "--class-weights", s.class_weights, "leave one of them out");
  refuse(s.label_smoothing > 0, "--label-smoothing", s.label_smoothing, "--label-smoothing 0");
  refuse(s.focal_gamma > 0, "--focal-gamma", s.focal_gamma, "--focal-gamma 0");
  refuse(vote_mode(s.votes) != VoteMode::none, "--votes", s.votes, "leave one of them out");
  const std::array<double, 3> w = s.loss_weights();
  refuse(w[1] == 0 && w[2] == 0, "--task-weights", s.task_weights, "give valence or arousal a weight");
}

}  // namespace

std::array<double, 3> TrainSettings::loss_weights() const {
  std::array<double, 3> w{1, 1, 1};
  if (task_weights.empty()) return w;
  const char *at = task_weights.data(), *const end = at + task_weights.size();
  size_t n = 0;
  for (; n < w.size(); ++n) {
    if (n > 0 && (at == end || *at++ != ',')) break;
    const auto read = std::from_chars(at, end, w[n]);
    if (read.ec != std::errc() || !(w[n] >= 0 && w[n] <= 1e6)) break;
    at = read.ptr;
  }
  if (n < w.size() || at != end || w == std::array<double, 3>{})
    fail("--task-weights", "got '{}', expected three numbers from 0 on, not all 0: classes, valence, arousal. Fix: --task-weights 1,0.5,0.5", task_weights.substr(0, 100));
  return w;
}

std::string TrainSettings::monitored() const { return !monitor.empty() ? monitor : va_only ? "val_ccc" : "val_accuracy"; }

OptimizerSettings TrainSettings::optimizer_settings() const {
  OptimizerSettings s;
  s.momentum = momentum;
  s.nesterov = nesterov;
  s.keras_epsilon = adam_epsilon == "keras";
  s.weight_decay = weight_decay;
  s.clip_norm = clip_norm;
  s.ema = ema > 0;
  return s;
}

ScheduleSettings TrainSettings::schedule_settings(int64_t steps_per_epoch) const {
  const auto steps = [&](double e) { return int64_t(std::llround(e * double(steps_per_epoch))); };
  ScheduleSettings s;
  s.steps = steps(epochs);
  s.warmup_steps = std::min(steps(warmup_epochs), s.steps / 2);
  s.drop_every = std::max<int64_t>(1, steps(drop_epochs));
  s.drop_factor = drop_factor;
  return s;
}

std::string setting_option(std::string_view setting) {
  if (setting == "valence_arousal") return "--va";
  if (setting == "flip") return "--no-flip";
  if (setting == "norm_decay") return "--no-norm-decay";
  std::string name = "--" + std::string(setting);
  std::ranges::replace(name, '_', '-');
  return name;
}

Json settings_json(const TrainSettings& s) {
  Json j = Json::object();
  for_each_setting(s, [&](const char* name, const auto& value) { j[name] = value; });
  return j;
}

TrainSettings settings_from_json(const Json& j, std::string_view where) {
  TrainSettings s;
  for_each_setting(s, [&](const char* name, auto& value) {
    const Json& older = before_it_existed();
    if (j.is_object() && !j.contains(name) && older.contains(name)) return void(older.at(name).get_to(value));
    if (!j.is_object() || !j.contains(name))
      fail(where, "setting '{}' is missing. Fix: the file is damaged or of another version", name);
    try {
      j.at(name).get_to(value);
    } catch (const nlohmann::json::exception& e) {
      fail(where, "setting '{}': {}", name, e.what());
    }
  });
  if (!j.contains("freeze") && j.contains("freeze_backbone") && j.at("freeze_backbone") == true) s.freeze = "backbone";  // its name then
  return s;
}

namespace {

// What is frozen, and until when.
void check_freezing(const TrainSettings& s) {
  const Freeze freeze{s.freeze};
  within("--freeze-epochs", s.freeze_epochs, 0, 1000000);
  within("--unfreeze-blocks", s.unfreeze_blocks, 0, 10000);
  const bool freezes = freeze.blocks() > 0 || !freeze.patterns().empty();
  if (s.freeze_epochs > 0 && !freezes) fail("--freeze-epochs", "got {}, but nothing is frozen. Fix: --freeze backbone", s.freeze_epochs);
  if (s.unfreeze_blocks == 0) return;
  if (s.freeze_epochs == 0) fail("--unfreeze-blocks", "got {}, but not after how many epochs. Fix: --freeze-epochs 1", s.unfreeze_blocks);
  if (!freeze.patterns().empty()) fail("--unfreeze-blocks", "got {}, but --freeze {} names layers. Fix: --freeze backbone or blocks:N", s.unfreeze_blocks, s.freeze.substr(0, 100));
}

}  // namespace

void check_settings(const TrainSettings& s) {
  find_model(s.model);
  if (!is_default_head(s.head)) parse_head(s.head);
  check_freezing(s);
  find_optimizer(s.optimizer);
  find_schedule(s.schedule);
  check_precision(s.precision);
  if (s.size != 0) within("--size", s.size, 8, 4096);
  if (s.channels != 1 && s.channels != 3) fail("--channels", "got {}, expected 1 (gray) or 3 (colour)", s.channels);
  within("--batch", s.batch, 1, 65536);
  within("--micro-batch", s.micro_batch, 0, s.batch);
  if (s.micro_batch && s.batch % s.micro_batch) fail("--micro-batch", "got {}, which does not divide --batch {}", s.micro_batch, s.batch);
  if (!s.memory_budget.empty()) parse_bytes(s.memory_budget);
  within("--epochs", s.epochs, 1, 1000000);
  if (s.lr != -1) within("--lr", s.lr, 1e-12, 1e6);
  within("--momentum", s.momentum, 0.0, 1.0);
  if (s.weight_decay != -1) within("--weight-decay", s.weight_decay, 0.0, 1e3);
  within("--warmup-epochs", s.warmup_epochs, 0.0, 1e6);
  within("--drop-epochs", s.drop_epochs, 0.0, 1e6);
  within("--drop-factor", s.drop_factor, 0.0, 1.0);
  within("--min-lr", s.min_lr, 0.0, 1e6);
  within("--plateau-patience", s.plateau_patience, 0, 1000000);
  within("--patience", s.patience, 0, 1000000);
  within("--min-delta", s.min_delta, 0.0, 1e6);
  within("--clip-norm", s.clip_norm, 0.0, 1e9);
  within("--ema", s.ema, 0.0, 0.999999);
  within("--focal-gamma", s.focal_gamma, 0.0, 100.0);
  within("--mixup", s.mix.mixup, 0.0, 100.0);
  within("--cutmix", s.mix.cutmix, 0.0, 100.0);
  if (s.focal_gamma > 0 && s.mix.any()) fail("--focal-gamma", "got {} with --mixup or --cutmix: the focal factor is of one class. Fix: leave one of them out", s.focal_gamma);
  if (s.focal_gamma > 0 && vote_mode(s.votes) == VoteMode::probability)
    fail("--focal-gamma", "got {} with --votes probability: the focal factor is of one class. Fix: leave one of them out, or --votes majority", s.focal_gamma);
  if (s.adam_epsilon != "torch" && s.adam_epsilon != "keras") fail("--adam-epsilon", "got '{}', expected torch or keras", s.adam_epsilon.substr(0, 100));
  if (s.va_loss != "mse" && s.va_loss != "ccc") fail("--va-loss", "got '{}', expected mse or ccc", s.va_loss.substr(0, 100));
  s.loss_weights();
  if (!s.answers_affect() && s.va_loss != "mse") fail("--va-loss", "got {}, but the network does not answer valence and arousal. Fix: --va, or leave it out", s.va_loss);
  if (!s.answers_affect() && !s.task_weights.empty())
    fail("--task-weights", "got {}, but the network does not answer valence and arousal. Fix: --va, or leave it out", s.task_weights.substr(0, 100));
  within("--backbone-rate", s.backbone_rate, 0.0, 1e3);
  check_monitor(find_monitor(s.monitored()), !s.va_only, s.answers_affect());
  if (s.va_only) check_va_only(s);
  parse_class_weights(s.class_weights);
  within("--label-smoothing", s.label_smoothing, 0.0, 0.999);
  if (s.dropout != -1) within("--dropout", s.dropout, 0.0, 0.999);
  within("--rotate", s.warp.rotate, 0.0, 180.0);
  within("--shift", s.warp.shift, 0.0, 1.0);
  within("--shear", s.warp.shear, 0.0, 80.0);
  within("--zoom", s.warp.zoom, 0.0, 0.9);
  within("--perspective", s.warp.perspective, 0.0, 0.9);
  within("--brightness", s.warp.brightness, 0.0, 1.0);
  within("--contrast", s.warp.contrast, 0.0, 1.0);
  within("--saturation", s.warp.saturation, 0.0, 1.0);
  within("--erase", s.warp.erase, 0.0, 1.0);
  within("--crop", s.crop, -1, 1024);
  within("--val-fraction", s.val_fraction, 0.0, 0.9);
  within("--test-fraction", s.test_fraction, 0.0, 0.9);
  vote_mode(s.votes);
  if (!s.preprocessing.empty()) preprocessing_from_name(s.preprocessing);
  batch_norm_from_text(s.batch_norm);
  if (s.nesterov && s.momentum == 0) fail("--nesterov", "needs a momentum above 0. Fix: --momentum 0.9");
}

TrainSettings resolve_settings(TrainSettings s, int data_size) {
  const ModelInfo& model = find_model(s.model);
  const OptimizerDef& optimizer = find_optimizer(s.optimizer);
  s.model = model.reference();
  if (is_default_head(s.head)) s.head.clear();
  if (s.va_only) s.valence_arousal = true;
  s.monitor = s.monitored();
  if (s.size == 0) s.size = data_size > 0 ? data_size : model.default_size;
  if (s.lr == -1) s.lr = optimizer.default_lr;
  if (s.weight_decay == -1) s.weight_decay = optimizer.default_weight_decay;
  if (s.dropout == -1) s.dropout = model.default_dropout;
  if (s.drop_epochs == 0) s.drop_epochs = std::max(1.0, std::ceil(s.epochs / 3.0));
  if (s.split_seed == 0) s.split_seed = s.seed;
  if (s.crop == -1) s.crop = s.size / 12;
  if (s.crop >= s.size) fail("--crop", "got {}, but faces of {}x{} would be shifted out of sight. Fix: --crop {}", s.crop, s.size, s.size, s.size / 12);
  return s;
}

}  // namespace vkfer
