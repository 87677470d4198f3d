#include <algorithm>
#include <array>

#include "runtime/error.h"
#include "runtime/machine_limits.h"
#include "tools/bench/op_bench.h"
#include "tools/bench/step_bench.h"
#include "tools/cli/verb.h"
#include "tools/train/names.h"
#include "tools/train/training.h"

namespace vkfer {
namespace {

constexpr int kTrainingBatch = 32;

BenchOptions bench_options(const Arguments& a, Console& console) {
  return {a.warmup, a.repeats, [&console](int done, int total) { console.progress("measuring", done, total); }};
}

Json device_part(const Device& device) {
  return {{"device", device.info().name}, {"driver", driver_text(device.info())}, {"device_details", device_json(device.info())}};
}

// ---- whole steps ----------------------------------------------------------------------------------------------------

void answer_steps(Console& console, Device& device, const NetworkSettings& n, const char* what, Workload& work, const BenchOptions& options) {
  const StepBench b = bench_steps(work, options);
  check_validation(device, console);
  const Spread& s = b.milliseconds;
  const RecordedWork recorded = work.executor().recorded();
  const size_t peak = device.peak_allocated_bytes();
  console.print("{} {}, {}x{}x{}, batch {}", what, n.model->name, n.size, n.size, n.channels, n.batch);
  console.print("{}, {}\n", device.info().name, driver_text(device.info()));
  console.print("{:>10.1f} images/s", n.batch / s.median * 1e3);
  console.print("{:>10.3f} ms a step: median of {}; {:.3f} to {:.3f} in the middle half, {:.3f} to {:.3f} in all", s.median, s.repeats, s.q1, s.q3,
                s.min, s.max);
  console.print("{:>10.3f} ms of it on the host, not waiting for the device", b.host_milliseconds.median);
  console.print("{:>10.3f} ms for the first of {} warm-up steps", b.first_milliseconds, options.warmup);
  console.print("{:>10} of device memory at most", bytes_text(double(peak)));
  Json answer = {{"bench", what}, {"model", n.model->name}, {"size", n.size}, {"channels", n.channels}, {"batch", n.batch}, {"storage", dtype_name(n.storage)},
                 {"images_per_second", n.batch / s.median * 1e3}, {"milliseconds_per_step", s.median}, {"spread", spread_json(s)},
                 {"host_milliseconds_per_step", b.host_milliseconds.median}, {"peak_bytes", peak},
                 {"warmup", {{"steps", options.warmup}, {"milliseconds", b.warmup_milliseconds}, {"first_milliseconds", b.first_milliseconds}}},
                 {"dispatches", recorded.dispatches}, {"submissions", recorded.submissions}};
  answer.update(device_part(device));
  console.answer(answer);
}

void bench_train(Arguments& a, Console& console) {
  const OptimizerDef& optimizer = find_optimizer(a.optimizer);
  Device device = open_device(a, console);
  const Target target = device_target(device, console);
  const NetworkSettings n = network_of(a, a.model, kTrainingBatch, device.info(), target);
  const int pieces = a.micro_batch ? n.batch / std::min(a.micro_batch, n.batch) : 1;
  const auto work = training_workload(device, n, optimizer, a.optimizer_settings(), target, pieces);
  answer_steps(console, device, n, "train", *work, bench_options(a, console));
}

void bench_infer(Arguments& a, Console& console) {
  Device device = open_device(a, console);
  const Target target = device_target(device, console);
  const NetworkSettings n = network_of(a, a.model, 1, device.info(), target);
  const auto work = inference_workload(device, n, target);
  answer_steps(console, device, n, "infer", *work, bench_options(a, console));
}

// ---- single ops -----------------------------------------------------------------------------------------------------

std::vector<CountedProblem> wanted_problems(const Arguments& a, const Device& device, const Target& target) {
  std::vector<CountedProblem> all;
  const auto append = [&](std::vector<CountedProblem> more) { std::move(more.begin(), more.end(), std::back_inserter(all)); };
  for (const std::string& shape : a.gemm) append(gemm_problems(shape));
  for (const std::string& shape : a.conv) append(conv_problems(shape));
  if (all.empty() || a.given("--model"))
    append(problems_of(training_graph(network_of(a, a.model, kTrainingBatch, device.info(), target), find_optimizer(a.optimizer),
                                      a.optimizer_settings()).graph));
  std::erase_if(all, [&](const CountedProblem& p) { return p.problem.op->name.find(a.op) == std::string_view::npos; });
  if (all.empty()) fail("--op", "no op's name contains '{}'", a.op);
  return all;
}

std::string shapes_text(const Problem& p) {
  std::string text;
  for (const TensorDesc& t : p.in) text += t.shape.to_string() + " ";
  const Graph g = lone_graph(p);
  return text + "-> " + g.shape(g.nodes()[0].out[0]).to_string();
}

// The least time that the machine's limits allow, as a share of the time taken.
double share_of_limit(const OpBench& b, const MachineLimits& limits) {
  return 1e3 * std::max(b.cost.flops / limits.flops_per_second, b.cost.bytes / limits.copy_bytes_per_second) / b.milliseconds.median;
}

void print_op(Console& console, const OpBench& b, const MachineLimits& limits) {
  const std::string name = fmt::format("{} {}", b.what.problem.op->name, shapes_text(b.what.problem));
  if (!b.failure.empty()) return console.print("{:<64.64} cannot run alone: {}", name, b.failure);
  console.print("{:<64.64} {:>5} {:>9.3f} {:>8.1f} {:>7.2f} {:>5.0f}%", name, b.what.count, b.milliseconds.median,
                b.cost.flops / b.milliseconds.median * 1e-6, b.cost.bytes / b.milliseconds.median * 1e-6, 100 * share_of_limit(b, limits));
}

Json op_json(const OpBench& b, const MachineLimits& limits) {
  Json j = {{"op", b.what.problem.op->name}, {"problem", b.what.problem.key()}, {"label", b.what.label}, {"count", b.what.count}};
  if (!b.failure.empty()) {
    j["failure"] = b.failure;
    return j;
  }
  j.update({{"milliseconds", b.milliseconds.median}, {"spread", spread_json(b.milliseconds)}, {"timed_by", b.by_timestamps ? "timestamps" : "clock"},
            {"flops", b.cost.flops}, {"bytes", b.cost.bytes}, {"gflops_per_second", b.cost.flops / b.milliseconds.median * 1e-6},
            {"gigabytes_per_second", b.cost.bytes / b.milliseconds.median * 1e-6}, {"share_of_limit", share_of_limit(b, limits)},
            {"kernels", b.kernels}});
  return j;
}

void bench_ops(Arguments& a, Console& console) {
  Device device = open_device(a, console);
  const Target target = device_target(device, console);
  const std::vector<CountedProblem> problems = wanted_problems(a, device, target);
  const MachineLimits limits = measure_limits(device);
  const BenchOptions options{a.warmup, a.repeats};
  console.print("{}, {}", device.info().name, driver_text(device.info()));
  console.print("limits, as measured by a loop of multiply-adds and by a copy: {:.1f} GFLOP/s, {:.1f} GB/s\n", limits.flops_per_second * 1e-9,
                limits.copy_bytes_per_second * 1e-9);
  console.print("{:<64} {:>5} {:>9} {:>8} {:>7} {:>6}", "op and inputs", "count", "ms", "GFLOP/s", "GB/s", "limit");
  Json all = Json::array();
  for (const CountedProblem& p : problems) {
    const OpBench b = bench_problem(device, p, target, options);
    print_op(console, b, limits);
    all.push_back(op_json(b, limits));
  }
  check_validation(device, console);
  Json answer = {{"bench", "ops"}, {"warmup", a.warmup}, {"repeats", a.repeats},
                 {"limits", {{"gflops_per_second", limits.flops_per_second * 1e-9}, {"copy_gigabytes_per_second", limits.copy_bytes_per_second * 1e-9}}},
                 {"ops", all}};
  answer.update(device_part(device));
  console.answer(answer);
}

struct Bench {
  std::string_view name;
  void (*run)(Arguments&, Console&);
};
constexpr std::array kBenches{Bench{"train", bench_train}, Bench{"infer", bench_infer}, Bench{"ops", bench_ops}};

void run_bench(Arguments& a, Console& console) {
  if (a.positional.empty()) fail("usage", "what to measure is missing: expected train, infer or ops. Fix: vkfer bench train --model mobilenetv2");
  find_by_name("usage", "benchmark", kBenches, a.positional[0]).run(a, console);
}

}  // namespace

extern const Verb bench_verb;
const Verb bench_verb{
    .name = "bench",
    .summary = "Time training, inference or single ops",
    .arguments = {"--model", "--size", "--channels", "--batch", "--num-classes", "--optimizer", "--head", "--va", "--freeze", "--freeze-backbone",
                  "--precision", "--micro-batch", "--recompute", "--op", "--gemm", "--conv",
                  "--warmup", "--repeats", "--device", "--json"},
    .positional = "what",
    .positional_help = "train, infer or ops",
    .max_positional = 1,
    .examples = "  vkfer bench train --model mobilenetv2 --size 48 --batch 32 --json\n"
                "  vkfer bench infer --model mobilenetv2 --size 224\n"
                "  vkfer bench ops --model mobilenetv2 --size 48 --op conv2d\n"
                "  vkfer bench ops --gemm 1024x1024x1024 --conv 8x48x48x64,3x3x64\n\n"
                "Images are synthetic noise. train: upload, forward, backward, optimizer and\n"
                "reading the loss (batch 32); infer: upload, forward and reading the answers\n"
                "(batch 1); ops: every layer shape alone, forward and gradients, beside the\n"
                "device's limits as measured in the same run.",
    .run = run_bench,
};

}  // namespace vkfer
