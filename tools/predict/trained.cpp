#include "tools/predict/trained.h"

#include "runtime/error.h"
#include "tools/predict/imagenet.h"
#include "tools/train/precision.h"
#include "tools/train/training.h"
#include "tools/tune/tuning_file.h"

namespace vkfer {

Trained open_run(const std::filesystem::path& run, const NetworkHints& hints) {
  Trained t;
  t.run = run;
  t.config = read_config(run);
  t.settings = settings_from_json(t.config.value("settings", Json()), (run / "config.json").string());
  if (!std::filesystem::exists(model_path(run)))
    fail("run", "{} has no weights yet: no epoch is finished. Fix: vkfer train --resume {}", run.string(), run.string());
  t.saved = read_network(model_path(run), hints);
  return t;
}

Trained open_weights(const std::filesystem::path& file, const NetworkHints& hints) {
  Trained t;
  t.saved = read_network(file, hints);
  t.settings.data = "builtin";
  return t;
}

Target Trained::target_on(const Device& device) const {
  if (!config.is_object()) return tuned_target(device.info());
  try {
    const Json& then = config.at("device");
    const bool same = then.at("name") == device.info().name && then.at("driver") == driver_text(device.info());
    return same ? target_from_json(config.at("plan").at("target")) : tuned_target(device.info());
  } catch (const nlohmann::json::exception& e) {
    fail("run", "{}: {}", (run / "config.json").string(), e.what());
  }
}

NetworkSettings Trained::network_on(const Device& device, const std::string& precision, int batch) const {
  NetworkSettings network = saved.network;
  network.storage = storage_of(resolve_precision(precision.empty() ? settings.precision : precision, device.info(), target_on(device)));
  network.batch = batch > 0 ? batch : settings.batch;
  return network;
}

std::vector<std::string> Trained::class_names() const {
  if (saved.classes.empty() && saved.network.classes == kImagenetClasses) return imagenet_names();
  std::vector<std::string> names = saved.classes;
  for (int c = int(names.size()); c < saved.network.classes; ++c) names.push_back("class " + std::to_string(c));
  return names;
}

}  // namespace vkfer
