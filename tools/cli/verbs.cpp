#include "runtime/error.h"
#include "tools/cli/verb.h"
#include "tools/data/ferplus.h"
#include "tools/train/precision.h"
#include "tools/train/training.h"
#include "tools/tune/tuning_file.h"

namespace vkfer {

extern const Verb train_verb, recipes_verb, sweep_verb, eval_verb, report_verb, infer_verb, serve_verb, import_verb, weights_verb, models_verb, data_verb, devices_verb, dump_verb, trace_verb, profile_verb,
    bench_verb, tune_verb, run_verb, export_verb, version_verb;

const std::vector<const Verb*>& verbs() {
  static const std::vector<const Verb*> all{&train_verb, &recipes_verb, &sweep_verb, &eval_verb, &report_verb, &infer_verb, &serve_verb, &import_verb, &export_verb, &run_verb, &weights_verb, &models_verb, &data_verb, &devices_verb,
                                            &dump_verb,  &trace_verb, &profile_verb, &bench_verb,  &tune_verb,    &version_verb};
  return all;
}

Device open_device(const Arguments& a, Console& console) {
  Device device(DeviceChoice{.query = a.device});
  const std::string notice = driver_notice(device.info());
  if (!notice.empty()) console.notice(notice);
  return device;
}

Target device_target(const Device& device, Console& console) {
  return tuned_target(device.info(), [&](const std::string& text) { console.notice(text); });
}

void check_validation(const Device& device, Console& console) {
  const std::vector<std::string> messages = device.validation_messages();
  for (const std::string& message : messages) console.notice("validation: " + message);
  if (!messages.empty()) fail_device("validation", "{} messages of the validation layers, listed above", messages.size());
}

Json device_json(const DeviceInfo& info) {
  return {{"name", info.name}, {"type", to_string(info.type)}, {"driver", driver_text(info)},
          {"api", info.api_version}, {"uuid", info.uuid}};
}

NetworkSettings network_of(const Arguments& a, const std::string& model, int default_batch, const DeviceInfo& device, const Target& target) {
  NetworkSettings n;
  n.model = &find_model(model);
  n.size = a.given("--size") ? a.size : n.model->default_size;
  n.channels = n.pixel_channels = a.channels;
  n.classes = a.classes;
  n.batch = a.given("--batch") ? a.batch : default_batch;
  n.preprocessing = n.model->preprocessing;
  n.head = a.head;
  n.freeze = a.freeze;
  n.valence_arousal = a.valence_arousal;
  n.recompute = a.recompute;
  n.storage = storage_of(resolve_precision(a.given("--precision") ? a.precision : "fp32", device, target));
  return n;
}

DatasetOptions dataset_options(const TrainSettings& s) {
  DatasetOptions options;
  options.seed = s.split_seed ? s.split_seed : s.seed;
  options.val_fraction = s.val_fraction;
  options.test_fraction = s.test_fraction;
  options.votes = vote_mode(s.votes);
  options.skip_bad = s.skip_bad;
  return options;
}

Dataset open_data(const TrainSettings& s, Console& console) {
  Dataset dataset = open_dataset(s.data, dataset_options(s));
  for (const std::string& warning : dataset.warnings()) console.notice(warning);
  return dataset;
}

}  // namespace vkfer
