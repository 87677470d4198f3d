#include "graph/executor.h"
#include "runtime/error.h"
#include "tools/cli/verb.h"
#include "tools/train/step_graph.h"
#include "tools/tune/tuning_file.h"

namespace vkfer {
namespace {

// The plan is made for a device, but opens none: without any, for a made-up one.
struct DumpDevice {
  DeviceInfo info;
  Target target;
};

DumpDevice dump_device(const Arguments& a) {
  const auto chosen = [](const std::string& query) -> DumpDevice {
    const std::vector<DeviceInfo> devices = list_devices();
    const DeviceInfo& info = devices[choose_device(devices, query)];
    return {info, tuned_target(info)};
  };
  if (a.given("--device")) return chosen(a.device);
  try {
    return chosen("");
  } catch (const Error&) {
    DumpDevice made_up;
    made_up.info.name = "the made-up device";
    made_up.info.storage_16bit = true;
    return made_up;
  }
}

std::string placement_text(const Graph& graph, const Plan& plan, Value v) {
  if (graph.info(v).role == Role::state || plan.state_of[size_t(v.id)] >= 0) return "state";
  const Placement& p = plan.values[size_t(v.id)];
  return p.block < 0 ? "-" : fmt::format("{}:{:.0f}k", p.block, double(p.offset) / 1024);
}

size_t workspace_bytes(const PlannedNode& n) {
  size_t sum = 0;
  for (const size_t bytes : n.lowered.workspaces) sum += bytes;
  return sum;
}

// A label as long as the column, its end being what tells nodes apart.
std::string shortened(const std::string& label, size_t width) {
  return label.size() <= width ? label : ".." + label.substr(label.size() - width + 2);
}

Json describe(const Graph& graph, const Plan& plan, const PlannedNode& n) {
  const Node& node = graph.nodes()[size_t(n.node)];
  Json kernels = Json::array(), out = Json::array(), in = Json::array();
  for (const Dispatch& d : n.lowered.dispatches) kernels.push_back(d.module);
  for (const Value v : node.in) in.push_back(graph.info(v).name);
  for (const Value v : node.out)
    out.push_back({{"name", graph.info(v).name}, {"shape", graph.shape(v).to_string()}, {"dtype", dtype_name(graph.desc(v).dtype)},
                   {"place", placement_text(graph, plan, v)}});
  return {{"label", node.label}, {"op", node.op->name}, {"attributes", node.attrs.to_string()}, {"in", in}, {"out", out},
          {"kernels", kernels}, {"flops", n.lowered.cost.flops}, {"bytes", n.lowered.cost.bytes},
          {"workspace_bytes", workspace_bytes(n)}, {"prologue", n.prologue}};
}

void run_dump(Arguments& a, Console& console) {
  const DumpDevice device = dump_device(a);
  const NetworkSettings network = network_of(a, a.positional.empty() ? a.model : a.positional[0], 1, device.info, device.target);
  const StepGraph s = a.training ? training_graph(network, find_optimizer(a.optimizer), a.optimizer_settings())
                                 : evaluation_graph(network);
  const Plan plan = make_plan(s.graph, device.target);
  console.print("{}, {}x{}x{}, {} classes, batch {}, {} graph\n", network.model->name, network.size, network.size,
                network.channels, network.classes, network.batch, a.training ? "training" : "inference");
  console.print("{:<30} {:<18} {:>14} {:>7} {:>7}", "node", "op", "output", "MFLOP", "place");
  Json nodes = Json::array();
  for (const PlannedNode& n : plan.nodes) {
    const Node& node = s.graph.nodes()[size_t(n.node)];
    console.print("{:<30} {:<18.18} {:>14} {:>7.2f} {:>7}", shortened(node.label, 30), node.op->name,
                  s.graph.shape(node.out[0]).to_string(), n.lowered.cost.flops / 1e6, placement_text(s.graph, plan, node.out[0]));
    if (console.wants_json()) nodes.push_back(describe(s.graph, plan, n));
  }
  console.print("\n{} nodes; {:.1f} MFLOP and {} moved in a run; activations {}, states {}", plan.nodes.size(),
                plan.cost.flops / 1e6, bytes_text(plan.cost.bytes), bytes_text(double(plan.arena_bytes())),
                bytes_text(double(plan.state_bytes)));
  console.print("target: {}", plan.target.to_string());
  Json tuned = Json::object();
  for (const auto& [problem, choice] : plan.target.tuning) {
    console.print("tuned: {}: {}", problem, choice.to_string());
    tuned[problem] = choice.to_string();
  }
  console.print("signature: {}", plan.signature());
  console.answer({{"model", network.model->name}, {"size", network.size}, {"batch", network.batch}, {"training", a.training},
                  {"flops", plan.cost.flops}, {"bytes", plan.cost.bytes}, {"activation_bytes", plan.arena_bytes()},
                  {"state_bytes", plan.state_bytes}, {"target", plan.target.to_string()}, {"tuned", tuned}, {"signature", plan.signature()},
                  {"nodes", nodes}});
}

}  // namespace

extern const Verb dump_verb;
const Verb dump_verb{
    .name = "dump",
    .summary = "Show a network's nodes, memory plan, bytes and FLOPs",
    .arguments = {"--model", "--size", "--channels", "--batch", "--num-classes", "--training", "--optimizer",
                  "--head", "--va", "--freeze", "--freeze-backbone", "--precision", "--device", "--json"},
    .positional = "model_name",
    .positional_help = "as --model",
    .max_positional = 1,
    .examples = "  vkfer dump mobilenetv2\n  vkfer dump compact_resnet --training --batch 32",
    .run = run_dump,
};

}  // namespace vkfer
