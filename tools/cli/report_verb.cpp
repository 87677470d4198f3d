#include <build_info.h>

#include <ctime>

#include "runtime/error.h"
#include "tools/cli/evaluated_data.h"
#include "tools/cli/trained.h"
#include "tools/cli/verb.h"
#include "tools/data/atomic_file.h"
#include "tools/report/report.h"
#include "tools/report/run_report.h"

namespace vkfer {
namespace {

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", std::gmtime(&now));
  return text;
}

void run_report_verb(Arguments& a, Console& console) {
  std::vector<std::string> positional = a.positional;
  std::vector<Trained> runs{open_trained(a, positional)};
  if (!positional.empty()) fail("usage", "{}: one run is reported. Fix: --baseline {} to compare with it", positional[0], positional[0]);
  if (a.given("--baseline")) {
    std::vector<std::string> baseline{a.baseline};
    if (!is_run(a.baseline)) fail("--baseline", "{}: no run there. Fix: name the folder of a run", a.baseline);
    Arguments plain;   // --weights and its kind are the first run's
    runs.push_back(open_trained(plain, baseline));
  }
  const std::string out = a.out.empty() ? "report.html" : a.out;
  Device device = open_device(a, console);
  Json data = {{"version", fmt::format("{} ({})", kVersion, kCommit)}, {"written", now_text()}, {"resamples", a.bootstrap}, {"runs", Json::array()}};
  for (const Trained& t : runs) {
    const EvaluatedData on = evaluated_data(a, t, console);
    ReportedRun run;
    run.name = t.run.empty() ? t.saved.weights.source : t.run.string();
    run.saved = &t.saved;
    run.network = t.network_on(device, asked_precision(a), asked_batch(a));
    run.target = t.target_on(device);
    run.classes = on.classes;
    run.config = t.config;
    if (!t.run.empty()) read_history(t.run, run);
    data["runs"].push_back(run_report(device, run, on.dataset, on.label_map,
                                      {.split = a.given("--split") ? a.split : "test", .skip_bad = on.skip_bad, .resamples = a.bootstrap, .seed = a.given("--seed") ? a.seed : 1,
                                       .progress = [&](const char* what, size_t done, size_t total) {
                                         console.progress(what, double(done), double(total), fmt::format("{}/{}", done, total));
                                       }}));
  }
  check_validation(device, console);
  const std::string page = report_html(data);
  write_file(out, page);
  console.print("{}: {}, to be opened in any browser", out, bytes_text(double(page.size())));
  console.answer({{"report", out}, {"bytes", page.size()}, {"runs", runs.size()}});
}

}  // namespace

extern const Verb report_verb;
const Verb report_verb{
    .name = "report",
    .summary = "Write one HTML file that shows what a run learned",
    .arguments = {"--run", "--baseline", "--model", "--weights", "--head", "--preprocessing", "--padding", "--batch-norm", "--data", "--split", "--size", "--channels", "--batch", "--seed",
                  "--votes", "--skip-bad", "--bootstrap", "--out", "--precision", "--device", "--json"},
    .positional = "run",
    .positional_help = "folder of a run; default: the newest in runs/",
    .max_positional = 2,
    .examples = "  vkfer report runs/1 -o report.html\n"
                "  vkfer report runs/2 --baseline runs/1\n"
                "  vkfer report runs/1 --data fer2013.zip --split PrivateTest\n\n"
                "The data is found by the run's config.json; --data names other pictures. The\n"
                "file holds everything: it needs no network and prints well.",
    .run = run_report_verb,
};

}  // namespace vkfer
