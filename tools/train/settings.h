#pragma once
// Everything that decides what a training run computes. Kept in the run folder; the same on the command line.
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "tools/train/mix.h"
#include "tools/train/optimizers.h"
#include "tools/train/schedule.h"
#include "tools/train/warp.h"

namespace vkfer {

using Json = nlohmann::ordered_json;

struct TrainSettings {
  std::string model = "mobilenetv2";
  std::string data;                // see open_dataset(); "" is the built-in synthetic faces
  int size = 0;                    // input height and width; 0: the data's own, else the model's
  int channels = 3;                // of the network's input
  int batch = 16;
  int epochs = 8;
  std::string optimizer = "adamw";
  double lr = -1;                  // -1: the optimizer's default
  double momentum = 0.9;
  bool nesterov = false;
  std::string adam_epsilon = "torch";  // or keras, see OptimizerSettings
  double weight_decay = -1;        // -1: the optimizer's default
  bool norm_decay = true;          // false: biases and norms do not decay
  double backbone_rate = 1;        // the backbone's learning rate, of the head's
  std::string schedule = "cosine";
  double warmup_epochs = 0.5;
  double drop_epochs = 0;          // schedule step; 0: a third of the epochs
  double drop_factor = 0.1;
  double min_lr = 0;               // schedule plateau: the rate never falls below
  int plateau_patience = 10;       // schedule plateau: epochs without a gain before the rate falls
  std::string monitor;             // see monitor.h: decides on the best epoch, plateaus and stopping early; "": see monitored()
  int patience = 0;                // stop after so many epochs without a gain; 0: never
  double min_delta = 0;            // of the monitored figure: what counts as a gain
  std::string class_weights;       // "": all 1; balanced: n / (k n_c); or numbers in the order of the labels
  double clip_norm = 0;            // see OptimizerSettings; 0: none
  double ema = 0;                  // decay of the parameters' averages, which validation and the weights then use; 0: none
  double focal_gamma = 0;          // Lin et al., Focal Loss, 2017
  std::string va_loss = "mse";     // of valence and arousal: mse or ccc
  std::string task_weights;        // "classes,valence,arousal" of the loss; "": 1,1,1
  double label_smoothing = 0;
  double dropout = -1;             // -1: the model's own
  bool flip = true;                // augmentation: mirror half of the faces
  int crop = 0;                    // augmentation: shift by up to this many pixels; -1: a twelfth of the size
  WarpSettings warp;               // augmentation
  MixSettings mix;                 // augmentation
  uint64_t seed = 1;               // of the weights, the order, the augmentation, dropout
  uint64_t split_seed = 0;         // of a split by seed; 0: the seed
  double val_fraction = 0.1, test_fraction = 0.1;  // of data without a split of its own
  std::string votes;               // of FER+: "", majority or probability; see tools/data/ferplus.h
  bool skip_bad = false;           // leave unreadable images out instead of failing
  std::string weights;             // start from this file; "": random
  std::string preprocessing;       // a name of preprocessing_from_name(); "": the model's own
  std::string padding;             // of strided convolutions: torch or same; "": torch
  std::string batch_norm;          // "epsilon,momentum" of every batch norm, see batch_norm_from_text(); "": the model's own
  std::string precision = "auto";  // fp32, fp16 or auto, see precision.h; a run folder says which it was
  std::string memory_budget;       // "": none; device memory as parse_bytes() takes it
  int micro_batch = 0;             // images whose gradients are computed at once; 0: the batch's
  bool recompute = false;          // see NetworkSettings
  std::string head;                // "": the network's own; see models/head.h
  bool valence_arousal = false;    // outputs beside the classes, trained where the data knows them
  bool va_only = false;            // these outputs and no classes; resolved settings have valence_arousal then, too
  std::string freeze;              // "": nothing; see models/freeze.h
  int freeze_epochs = 0;           // what is frozen trains, too, from then on; 0: never. See phases.h
  int unfreeze_blocks = 0;         // of the backbone, the last first, each time freeze_epochs have gone by; 0: all at once

  // Classes, valence, arousal; fails naming what is no such list.
  std::array<double, 3> loss_weights() const;
  bool answers_affect() const { return valence_arousal || va_only; }
  std::string monitored() const;   // the monitor, or val_accuracy, without classes val_ccc
  OptimizerSettings optimizer_settings() const;
  ScheduleSettings schedule_settings(int64_t steps_per_epoch) const;
};

// The one list of settings: f(name, member) for each.
template <class Settings, class F>
void for_each_setting(Settings& s, F&& f) {
  f("model", s.model);
  f("data", s.data);
  f("size", s.size);
  f("channels", s.channels);
  f("batch", s.batch);
  f("epochs", s.epochs);
  f("optimizer", s.optimizer);
  f("lr", s.lr);
  f("momentum", s.momentum);
  f("nesterov", s.nesterov);
  f("adam_epsilon", s.adam_epsilon);
  f("weight_decay", s.weight_decay);
  f("schedule", s.schedule);
  f("warmup_epochs", s.warmup_epochs);
  f("drop_epochs", s.drop_epochs);
  f("drop_factor", s.drop_factor);
  f("min_lr", s.min_lr);
  f("plateau_patience", s.plateau_patience);
  f("monitor", s.monitor);
  f("patience", s.patience);
  f("min_delta", s.min_delta);
  f("norm_decay", s.norm_decay);
  f("backbone_rate", s.backbone_rate);
  f("class_weights", s.class_weights);
  f("va_loss", s.va_loss);
  f("task_weights", s.task_weights);
  f("clip_norm", s.clip_norm);
  f("ema", s.ema);
  f("focal_gamma", s.focal_gamma);
  f("label_smoothing", s.label_smoothing);
  f("dropout", s.dropout);
  f("flip", s.flip);
  f("crop", s.crop);
  f("rotate", s.warp.rotate);
  f("shift", s.warp.shift);
  f("shear", s.warp.shear);
  f("zoom", s.warp.zoom);
  f("perspective", s.warp.perspective);
  f("brightness", s.warp.brightness);
  f("contrast", s.warp.contrast);
  f("saturation", s.warp.saturation);
  f("erase", s.warp.erase);
  f("mixup", s.mix.mixup);
  f("cutmix", s.mix.cutmix);
  f("seed", s.seed);
  f("split_seed", s.split_seed);
  f("val_fraction", s.val_fraction);
  f("test_fraction", s.test_fraction);
  f("votes", s.votes);
  f("skip_bad", s.skip_bad);
  f("weights", s.weights);
  f("preprocessing", s.preprocessing);
  f("padding", s.padding);
  f("batch_norm", s.batch_norm);
  f("precision", s.precision);
  f("memory_budget", s.memory_budget);
  f("micro_batch", s.micro_batch);
  f("recompute", s.recompute);
  f("head", s.head);
  f("valence_arousal", s.valence_arousal);
  f("va_only", s.va_only);
  f("freeze", s.freeze);
  f("freeze_epochs", s.freeze_epochs);
  f("unfreeze_blocks", s.unfreeze_blocks);
}

// What sets it on the command line: "--lr", "--no-flip".
std::string setting_option(std::string_view setting);

Json settings_json(const TrainSettings&);
TrainSettings settings_from_json(const Json&, std::string_view where);  // fails naming what is missing or of a wrong kind

// Ranges and names, before anything is opened; fails naming the option.
void check_settings(const TrainSettings&);

// Fills in what was left to defaults (0, -1, ""), so that a run folder says what really ran.
TrainSettings resolve_settings(TrainSettings, int data_size);

}  // namespace vkfer
