#pragma once
// A verb of the tool is one value: its file in this folder holds its functions and, at the bottom, the Verb.
#include <string_view>
#include <vector>

#include "runtime/device.h"
#include "tools/cli/arguments.h"
#include "tools/cli/console.h"
#include "tools/data/dataset.h"
#include "tools/train/step_graph.h"

namespace vkfer {

struct Verb {
  std::string_view name, summary;
  std::vector<std::string_view> arguments;        // of the table in arguments.cpp
  std::string_view positional = {}, positional_help = {};  // "IMAGE..."; empty: none
  int max_positional = 0;                         // -1: any number
  std::string_view examples = {};
  void (*run)(Arguments&, Console&) = nullptr;    // returns: exit 0; throws Error: its kind
};

const std::vector<const Verb*>& verbs();          // verbs.cpp: in the order of help

// Shared by verbs:

// Opens the device that --device names and tells when it is a CPU driver.
Device open_device(const Arguments&, Console&);
// What lowering is asked to do on it: its profile, with what `vkfer tune` has found.
Target device_target(const Device&, Console&);
// With the validation layers on (VKFER_VALIDATION=1 or sync): fails when they complained.
void check_validation(const Device&, Console&);
Json device_json(const DeviceInfo&);
// The untrained network that --model (or a word in its place), --size, --channels and --num-classes describe.
NetworkSettings network_of(const Arguments&, const std::string& model, int default_batch, const DeviceInfo&, const Target&);
DatasetOptions dataset_options(const TrainSettings&);
// The data set with the splits that the settings say; tells of its warnings.
Dataset open_data(const TrainSettings&, Console&);

}  // namespace vkfer
