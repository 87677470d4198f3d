#include <build_info.h>

#include <optional>

#include "runtime/error.h"
#include "tools/cli/trained.h"
#include "tools/cli/verb.h"
#include "tools/serve/api.h"
#include "tools/train/interrupt.h"

namespace vkfer {
namespace {

namespace fs = std::filesystem;

// What is served: the network, the file that it lies in, and the run, if it is one.
struct Asked {
  fs::path run, watched;
  std::function<Trained()> open;
};

Asked asked(const Arguments& a) {
  std::vector<std::string> positional = a.positional;
  if (!positional.empty() && !fs::is_directory(positional[0])) fail("run", "{}: no run there. Fix: name the folder of a run", positional[0]);
  Arguments named = a;
  Asked asked;
  if (const std::string file = asked_weights(a); !file.empty()) {
    asked.watched = file;
  } else {
    asked.run = asked_run(a, positional);
    asked.watched = model_path(asked.run);
    named.run = asked.run.string();
    named.given_names.insert("--run");
    read_config(asked.run);   // fails where there is no run
  }
  if (!positional.empty()) fail("usage", "{}: one run is served. Fix: start another vkfer serve, with another --port", positional[0]);
  asked.open = [named] {
    std::vector<std::string> none;
    return open_trained(named, none);
  };
  // Wrong files and options end it here, rather than when the first picture comes. A run may get its weights later.
  if (asked.run.empty() || fs::exists(asked.watched)) asked.open();
  return asked;
}

void run_serve(Arguments& a, Console& console) {
  const Asked served = asked(a);
  const size_t body_bytes = size_t(a.max_megabytes) * 1'000'000;
  RunHistory history(served.run);
  ServeApi* api = nullptr;
  HttpServer server(a.host, a.port, {.body_bytes = body_bytes, .arriving_bytes = 4 * body_bytes},
                    [&](HttpRequest request, HttpReply reply) { (*api)(std::move(request), std::move(reply), server.only_this_machine()); });
  Device device = open_device(a, console);
  {
    std::optional<RunAnalyst> analyst(std::in_place, device, served.open, served.watched, PredictorOptions{.precision = asked_precision(a), .batch = 16});
    ServeApi routes({.analyst = *analyst, .history = history, .run = served.run.string(), .device = device.info().name, .version = kVersion, .body_bytes = body_bytes,
                     .faces = {.min_face = a.min_face, .min_score = a.min_score}, .margin = a.margin});
    api = &routes;
    const InterruptGuard guard;
    if (!server.only_this_machine()) console.notice("whoever can reach this address can use it: there is no password, and nothing is encrypted");
    console.print("{} shows {}. Ctrl-C ends it.", server.url(), served.run.empty() ? served.watched.string() : served.run.string());
    server.run([] { return InterruptGuard::requested(); });
    analyst.reset();   // its last job answers through the routes
  }
  check_validation(device, console);
}

}  // namespace

extern const Verb serve_verb;
const Verb serve_verb{
    .name = "serve",
    .summary = "A web page for pictures, the camera and a run's curves",
    .arguments = {"--run", "--model", "--weights", "--head", "--preprocessing", "--padding", "--batch-norm", "--size", "--channels", "--host", "--port", "--max-megabytes", "--min-face", "--min-score", "--margin", "--precision", "--device"},
    .positional = "run",
    .positional_help = "folder of a run; default: the newest in runs/",
    .max_positional = 2,
    .examples = "  vkfer serve runs/1\n"
                "  vkfer serve runs/1 --port 0\n"
                "  curl --data-binary @face.png http://127.0.0.1:8080/api/infer\n\n"
                "The page shows what the network says of pictures and of the camera, and the\n"
                "curves of the run while it trains. Programs use POST /api/infer, GET /api/model\n"
                "and GET /api/history. It listens on this machine alone unless --host says more.",
    .run = run_serve,
};

}  // namespace vkfer
