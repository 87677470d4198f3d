#include "tools/cli/trained.h"

#include "models/onnx/network.h"
#include "runtime/error.h"

namespace vkfer {
namespace fs = std::filesystem;

fs::path asked_run(const Arguments& a, std::vector<std::string>& positional) {
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

std::string asked_weights(const Arguments& a) {
  if (a.given("--weights")) return a.weights;
  return a.given("--model") && is_onnx_path(a.model) ? a.model : "";   // which has its own
}

namespace {

NetworkHints hints_of(const Arguments& a) {
  return {.model = a.given("--model") ? a.model : "", .head = a.head, .size = a.given("--size") ? a.size : 0, .channels = a.given("--channels") ? a.channels : 0};
}

Trained from_weights(const Arguments& a, const std::string& file) {
  if (a.given("--run")) fail("usage", "--run and --weights both name weights. Fix: choose one");
  Trained t = open_weights(file, hints_of(a));
  set_conventions(t.saved, a.preprocessing, a.padding, a.batch_norm);
  return t;
}

}  // namespace

Trained open_trained(const Arguments& a, std::vector<std::string>& positional) {
  if (const std::string file = asked_weights(a); !file.empty()) return from_weights(a, file);
  if (a.given("--preprocessing") || a.given("--padding") || a.given("--batch-norm") || a.given("--head"))
    fail("usage", "--preprocessing, --padding, --batch-norm and --head go with --weights: a run knows its own. Fix: leave them out");
  return open_run(asked_run(a, positional), hints_of(a));
}

}  // namespace vkfer
