#include "tools/cli/trained.h"

#include "models/onnx/network.h"
#include "runtime/error.h"
#include "tools/train/precision.h"
#include "tools/train/training.h"
#include "tools/tune/tuning_file.h"

namespace vkfer {
namespace {

namespace fs = std::filesystem;

fs::path choose_run(const Arguments& a, std::vector<std::string>& positional) {
  if (!positional.empty() && fs::is_directory(positional[0])) {
    if (a.given("--run")) fail("usage", "two runs: {} and --run {}. Fix: name one", positional[0], a.run);
    const fs::path run = positional[0];
    positional.erase(positional.begin());
    return run;
  }
  if (a.given("--run")) return a.run;
  const fs::path newest = newest_run();
  if (newest.empty())
    fail("run", "no trained run in ./runs. Fix: vkfer train --model mobilenetv2, or --run DIR, or --model M --weights FILE");
  return newest;
}

NetworkHints hints_of(const Arguments& a) {
  return {.model = a.given("--model") ? a.model : "", .head = a.head, .size = a.given("--size") ? a.size : 0, .channels = a.given("--channels") ? a.channels : 0};
}

Trained from_weights(const Arguments& a, const std::string& file) {
  if (a.given("--run")) fail("usage", "--run and --weights both name weights. Fix: choose one");
  Trained t;
  t.saved = read_network(file, hints_of(a));
  set_conventions(t.saved, a.preprocessing, a.padding, a.batch_norm);
  t.settings.data = "builtin";
  return t;
}

}  // namespace

Trained open_trained(const Arguments& a, std::vector<std::string>& positional) {
  if (a.given("--weights")) return from_weights(a, a.weights);
  if (a.given("--model") && is_onnx_path(a.model)) return from_weights(a, a.model);   // it has its own
  if (a.given("--preprocessing") || a.given("--padding") || a.given("--batch-norm") || a.given("--head"))
    fail("usage", "--preprocessing, --padding, --batch-norm and --head go with --weights: a run knows its own. Fix: leave them out");
  Trained t;
  t.run = choose_run(a, positional);
  t.config = read_config(t.run);
  t.settings = settings_from_json(t.config.value("settings", Json()), (t.run / "config.json").string());
  if (!fs::exists(model_path(t.run)))
    fail("run", "{} has no weights yet: no epoch is finished. Fix: vkfer train --resume {}", t.run.string(), t.run.string());
  t.saved = read_network(model_path(t.run), hints_of(a));
  return t;
}

NetworkSettings Trained::network_on(const Device& device, const Arguments& a) const {
  NetworkSettings network = saved.network;
  network.storage = storage_on(device, a);
  network.batch = a.given("--batch") ? a.batch : settings.batch;
  return network;
}

DType Trained::storage_on(const Device& device, const Arguments& a) const {
  const std::string& wanted = a.given("--precision") ? a.precision : settings.precision;
  return storage_of(resolve_precision(wanted, device.info(), target_on(device)));
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

}  // namespace vkfer
