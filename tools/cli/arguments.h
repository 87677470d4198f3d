#pragma once
// The one table of arguments: a name means the same on every verb.
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tools/train/settings.h"

namespace CLI {
class App;
}

namespace vkfer {

// The settings of training and everything else that a verb may be told.
struct Arguments : TrainSettings {
  std::vector<std::string> positional;
  std::string run, resume, device, split = "val";
  std::string recipe;                           // train, recipes: a name or a file
  std::vector<std::string> assignments;         // NAME=VALUE, settings by their names
  bool from_scratch = false;                    // train: random weights, though a recipe asks for others
  std::vector<std::string> inputs, outputs;     // trace, run
  std::string labels, loss = "ce", out;         // trace
  std::string targets;                          // trace
  bool find_rate = false;                       // train
  int classes = 7, steps = 10;                  // trace, dump
  bool training = false, inference = false;     // dump, profile
  bool nodes = false;                           // profile
  std::string trace;                            // profile
  int warmup = 3, repeats = 10;                 // profile, bench, tune
  int trials = 20;                              // sweep
  std::string sort;                             // sweep
  std::vector<std::string> gemm, conv;          // bench ops
  std::string op;                               // bench ops, tune
  bool frozen_batch_norm = false;               // trace
  int top = 3;                                  // infer
  std::string host = "127.0.0.1";               // serve
  int port = 8080, max_megabytes = 16;          // serve
  std::string tta, temperature, csv, predictions;  // eval; csv: infer
  std::string baseline;                         // report
  int bootstrap = 1000;                         // eval
  bool partial = false;                         // import
  std::string adapt_stem, class_names;          // import, infer
  std::string onnx, safetensors, fold_batch_norm = "yes";  // export
  std::string fractions = "0.8,0.1,0.1", counts;  // data split
  int per_class = 0, total = 0;                 // data balance
  bool cut = false;                             // data balance
  std::string add, format;                      // data balance; data
  std::string tensorboard, events;              // train
  std::string json;                             // see Console
  std::set<std::string> given_names;

  std::string jsonl, list, annotate, cam;       // infer
  bool detect = false;                          // infer
  int min_face = 40;                            // infer
  double min_score = 0, margin = 0.16;          // infer

  // Was it on the command line? name: "--lr".
  bool given(const std::string& name) const { return given_names.count(name) != 0; }
  // The settings that the command line gives, by name.
  Json given_settings() const;
};

// The options of all settings that have one, and `more`.
std::vector<std::string_view> setting_arguments(std::vector<std::string_view> more);

// Declares the named arguments of the table on a verb; an unknown name is a bug.
void declare(CLI::App&, Arguments&, const std::vector<std::string_view>& names);
// After parsing: fills Arguments::given_names, and fails for values out of their range.
void check_given(const CLI::App&, Arguments&, const std::vector<std::string_view>& names);

// `--json` may stand alone or name a file. Rewrites it to `--json=-` or `--json=FILE`; what follows is a file unless it
// is an option, a folder, or an existing file that does not hold a JSON object: `infer --json face.png` never writes to
// face.png.
std::vector<std::string> resolve_json(std::vector<std::string> arguments);

}  // namespace vkfer
