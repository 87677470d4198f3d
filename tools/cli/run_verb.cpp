#include <algorithm>
#include <cmath>

#include "models/onnx/run.h"
#include "models/weights/bytes.h"
#include "runtime/error.h"
#include "tools/cli/verb.h"
#include "tools/data/npy.h"

namespace vkfer {
namespace {

// "name=file", or a file alone where there is only one name.
std::pair<std::string, std::string> named(const std::string& option, const std::string& text, const std::vector<OnnxPort>& ports) {
  for (const OnnxPort& p : ports)
    if (text.starts_with(p.name + "=")) return {p.name, text.substr(p.name.size() + 1)};
  std::vector<std::string> names;
  for (const OnnxPort& p : ports) names.push_back(shown(p.name));
  if (ports.size() == 1 && text.find('=') == text.npos) return {ports[0].name, text};
  fail(option, "got '{}', expected NAME=FILE.npy with one of the names {}. Fix: name it", text.substr(0, 200), fmt::join(names, ", "));
}

// numpy's names of element types: "f4", "i8".
WeightTensor tensor_of(const NpyArray& array) {
  static const std::map<std::string, StoredType> types = {{"f4", StoredType::f32}, {"f8", StoredType::f64}, {"f2", StoredType::f16},    {"i8", StoredType::i64},
                                                          {"i4", StoredType::i32}, {"i2", StoredType::i16}, {"i1", StoredType::i8},     {"u8", StoredType::u64},
                                                          {"u4", StoredType::u32}, {"u2", StoredType::u16}, {"u1", StoredType::u8},     {"b1", StoredType::boolean}};
  const auto type = types.find(array.dtype);
  if (type == types.end()) fail("--input", "{}: elements of type {}, expected numbers", array.name, array.dtype);
  return {type->second, array.shape, array.data};
}

void write_output(const std::string& path, const WeightTensor& t) {
  if (device_type(t.type) == DType::f32) return write_npy(path, t.shape, t.floats());
  std::vector<int64_t> whole;
  for (const double v : t.doubles()) whole.push_back(int64_t(v));
  write_npy(path, t.shape, std::span<const int64_t>(whole));
}

Json described(Console& console, const std::string& name, const WeightTensor& t) {
  const std::vector<double> v = t.doubles();
  double sum = 0, lowest = INFINITY, highest = -INFINITY;
  for (const double e : v) sum += e, lowest = std::min(lowest, e), highest = std::max(highest, e);
  const std::string shape = fmt::format("[{}]", fmt::join(t.shape, ","));
  if (v.empty()) console.print("  {}: {} {}", shown(name), stored_name(t.type), shape);
  else console.print("  {}: {} {}, from {:.6g} to {:.6g}, mean {:.6g}", shown(name), stored_name(t.type), shape, lowest, highest, sum / double(v.size()));
  Json json = {{"name", name}, {"type", stored_name(t.type)}, {"shape", t.shape}};
  if (!v.empty()) json.update({{"lowest", lowest}, {"highest", highest}, {"mean", sum / double(v.size())}});
  return json;
}

void run_run(Arguments& a, Console& console) {
  if (a.positional.empty()) fail("usage", "no model named. Fix: vkfer run model.onnx --input x=x.npy");
  const OnnxModel model = read_onnx(a.positional[0]);
  std::map<std::string, WeightTensor> values;
  for (const std::string& text : a.inputs) {
    const auto [name, file] = named("--input", text, model.inputs);
    if (!values.emplace(name, tensor_of(read_npy(file))).second) fail("--input", "'{}' is given twice", shown(name));
  }
  std::map<std::string, std::string> files;
  for (const std::string& text : a.outputs) {
    const auto [name, file] = named("--output", text, model.outputs);
    if (!files.emplace(name, file).second) fail("--output", "'{}' is given twice", shown(name));
  }

  Device device = open_device(a, console);
  const OnnxAnswer answer = run_onnx(device, device_target(device, console), model, values);
  check_validation(device, console);
  for (const auto& [name, file] : files) write_output(file, answer.outputs.at(name));
  console.print("{}: {} nodes, {} on the device, {:.3f} ms", a.positional[0], model.nodes.size(), answer.nodes, answer.milliseconds);
  Json outputs = Json::array();
  for (const OnnxPort& p : model.outputs) outputs.push_back(described(console, p.name, answer.outputs.at(p.name)));
  console.answer({{"model", a.positional[0]}, {"nodes", model.nodes.size()}, {"device_nodes", answer.nodes}, {"milliseconds", answer.milliseconds}, {"outputs", outputs}});
}

}  // namespace

extern const Verb run_verb;
const Verb run_verb{
    .name = "run",
    .summary = "Run an ONNX model on arrays",
    .arguments = {"--input", "--output", "--device", "--json"},
    .positional = "model",
    .positional_help = "an ONNX file",
    .max_positional = 1,
    .examples = "  vkfer run model.onnx --input x=x.npy --output y=y.npy\n"
                "  vkfer run model.onnx --input tokens=t.npy --input mask=m.npy --json\n\n"
                "Arrays are numpy's .npy. Open dimensions take the sizes of what is given. An\n"
                "operator that is not supported is named, with its node. See docs/onnx.md.",
    .run = run_run,
};

}  // namespace vkfer
