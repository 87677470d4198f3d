#include "models/onnx/run.h"

#include "models/onnx/node_import.h"
#include "models/weights/bytes.h"

namespace vkfer {
namespace {

void write(Executor& executor, const ImportedPort& p, const WeightTensor& t) {
  if (t.elements() == 0) return;
  if (device_type(p.type) == DType::f32) return executor.write(p.value, t.floats());
  std::vector<int32_t> whole;
  for (const double v : t.doubles()) {
    if (!(v >= double(INT32_MIN) && v <= double(INT32_MAX)))
      throw UnsupportedOnnx(fmt::format("input '{}' holds {}, which is no integer of 32 bits", shown(p.name), v));
    whole.push_back(int32_t(v));
  }
  executor.write(p.value, whole);
}

WeightTensor read(Executor& executor, const ImportedPort& p) {
  std::vector<double> values;
  if (const size_t n = size_t(executor.graph().desc(p.value).elements()); n > 0) {
    if (device_type(p.type) == DType::f32) {
      const std::vector<float> v = executor.read(p.value);
      values.assign(v.begin(), v.end());
    } else {
      std::vector<int32_t> v(n);
      executor.read(p.value, v);
      values.assign(v.begin(), v.end());
    }
  }
  return tensor_of(p.type, p.shape, values);
}

}  // namespace

OnnxAnswer run_onnx(Device& device, const Target& target, const OnnxModel& model, const std::map<std::string, WeightTensor>& values) {
  Graph graph;
  const ImportedOnnx net = import_onnx(model, graph, {.values = values});
  fuse_for_inference(graph);
  OnnxAnswer answer;
  for (const ImportedPort& p : net.outputs)
    if (p.known) answer.outputs[p.name] = *p.known;
  if (graph.nodes().empty()) return answer;  // all of it was known
  States states(device);
  set_constants(net, graph, states);
  Plan plan = make_plan(graph, target);
  answer.nodes = plan.nodes.size();
  Executor executor(device, std::move(graph), std::move(plan), states);
  for (const ImportedPort& p : net.inputs) {
    const auto it = values.find(p.name);
    if (it == values.end()) fail("--input", "nothing for '{}'. Fix: --input {}=FILE.npy", shown(p.name), shown(p.name));
    write(executor, p, it->second);
  }
  executor.run();
  answer.milliseconds = executor.waited_milliseconds();
  for (const ImportedPort& p : net.outputs)
    if (!p.known) answer.outputs[p.name] = read(executor, p);
  return answer;
}

}  // namespace vkfer
