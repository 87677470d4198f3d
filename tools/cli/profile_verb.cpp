#include "runtime/error.h"
#include "tools/bench/profile.h"
#include "tools/cli/verb.h"
#include "tools/data/atomic_file.h"
#include "tools/train/training.h"

namespace vkfer {
namespace {

constexpr int kTrainingBatch = 32;

bool profiles_training(const Arguments& a) {
  if (a.training && a.inference) fail("usage", "--training and --inference exclude each other. Fix: choose one");
  return !a.inference;
}

std::string ended(const std::string& text, size_t width) {
  return text.size() <= width ? text : ".." + text.substr(text.size() - width + 2);
}

void print_rows(Console& console, const Profile& p, const std::vector<ProfileRow>& rows, const char* what) {
  console.print("{:<30} {:>5} {:>6} {:>9} {:>6} {:>8} {:>7}  kernels", what, "nodes", "calls", "ms", "share", "GFLOP/s", "GB/s");
  for (const ProfileRow& r : rows)
    console.print("{:<30} {:>5} {:>6} {:>9.3f} {:>5.1f}% {:>8.1f} {:>7.2f}  {}", ended(r.label, 30), r.nodes, r.dispatches, r.milliseconds,
                  100 * r.milliseconds / p.device_milliseconds(), r.gflops_per_second(), r.gigabytes_per_second(), r.kernels);
  console.line("");
}

Json rows_json(const Profile& p, const std::vector<ProfileRow>& rows) {
  Json all = Json::array();
  for (const ProfileRow& r : rows)
    all.push_back({{"label", r.label}, {"op", r.op}, {"nodes", r.nodes}, {"dispatches", r.dispatches}, {"milliseconds", r.milliseconds},
                   {"share", r.milliseconds / p.device_milliseconds()}, {"flops", r.cost.flops}, {"bytes", r.cost.bytes},
                   {"gflops_per_second", r.gflops_per_second()}, {"gigabytes_per_second", r.gigabytes_per_second()}, {"kernels", r.kernels}});
  return all;
}

void print_profile(const Arguments& a, Console& console, const Profile& p) {
  if (p.nodes.empty()) {
    console.line("This device has no timestamps: only whole steps can be timed.\n");
  } else {
    if (a.nodes) print_rows(console, p, p.nodes, "node");
    print_rows(console, p, by_op(p.nodes), "op");
    console.print("sum of the nodes {:>12.3f} ms  on the device, medians of {} profiled runs", p.device_milliseconds(), a.repeats);
  }
  const Spread& s = p.step.milliseconds;
  console.print("a whole step     {:>12.3f} ms  unprofiled, by the clock ({:.3f} to {:.3f} in the middle half of {})", s.median, s.q1, s.q3, s.repeats);
  console.print("of it the host   {:>12.3f} ms  upload, submit, read back: not waiting for the device", p.step.host_milliseconds.median);
  console.print("{} dispatches, {} barriers, {} submissions a step", p.work.dispatches, p.work.barriers, p.work.submissions);
}

void write_trace(const Arguments& a, Console& console, const Profile& p, const std::string& title) {
  if (a.trace.empty()) return;
  if (p.nodes.empty()) fail("--trace", "this device has no timestamps: there are no nodes to show");
  write_file(a.trace, std::string_view(chrome_trace(p, title).dump() + "\n"));
  console.print("trace: {} (open it in https://ui.perfetto.dev or chrome://tracing)", a.trace);
}

void run_profile(Arguments& a, Console& console) {
  const bool training = profiles_training(a);
  const OptimizerDef& optimizer = find_optimizer(a.optimizer);
  Device device = open_device(a, console);
  const Target target = device_target(device, console);
  const NetworkSettings network = network_of(a, a.model, training ? kTrainingBatch : 1, device.info(), target);
  const auto work = training ? training_workload(device, network, optimizer, a.optimizer_settings(), target)
                             : inference_workload(device, network, target);
  const BenchOptions options{a.warmup, a.repeats, [&](int done, int total) { console.progress("measuring", done, total); }};
  const Profile p = profile_workload(*work, options);
  check_validation(device, console);

  const std::string title = fmt::format("{} {}x{}x{}, batch {}, {}", network.model->name, network.size, network.size, network.channels, network.batch,
                                        training ? "training" : "inference");
  console.print("{}\n{}, {}\n", title, device.info().name, driver_text(device.info()));
  print_profile(a, console, p);
  write_trace(a, console, p, title);
  const StepBench& step = p.step;
  console.answer({{"model", network.model->name}, {"size", network.size}, {"batch", network.batch}, {"training", training},
                  {"device", device_json(device.info())}, {"driver", driver_text(device.info())}, {"timestamps", !p.nodes.empty()},
                  {"device_milliseconds", p.nodes.empty() ? Json() : Json(p.device_milliseconds())},
                  {"milliseconds_per_step", step.milliseconds.median}, {"spread", spread_json(step.milliseconds)},
                  {"host_milliseconds_per_step", step.host_milliseconds.median}, {"dispatches", p.work.dispatches},
                  {"barriers", p.work.barriers}, {"submissions", p.work.submissions}, {"ops", rows_json(p, by_op(p.nodes))},
                  {"nodes", rows_json(p, p.nodes)}});
}

}  // namespace

extern const Verb profile_verb;
const Verb profile_verb{
    .name = "profile",
    .summary = "Show where a step's time goes, by op and node",
    .arguments = {"--model", "--size", "--channels", "--batch", "--num-classes", "--training", "--inference", "--optimizer",
                  "--head", "--va", "--freeze", "--freeze-backbone", "--precision", "--nodes", "--trace", "--warmup", "--repeats", "--device", "--json"},
    .examples = "  vkfer profile --model mobilenetv2 --size 48\n"
                "  vkfer profile --model mobilenetv2 --inference --nodes --trace t.json\n\n"
                "A training step (batch 32) unless --inference (batch 1) is given. Images are\n"
                "synthetic noise; the table counts FLOPs and bytes as the ops declare them, and\n"
                "a step without the timestamps stands beside the sum of the nodes.",
    .run = run_profile,
};

}  // namespace vkfer
