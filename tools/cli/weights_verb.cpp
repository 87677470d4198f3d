#include "models/weights/bytes.h"
#include "models/weights/formats.h"
#include "runtime/error.h"
#include "tools/cli/verb.h"

namespace vkfer {
namespace {

std::string shape_text(const std::vector<int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ",")); }

void run_weights(Arguments& a, Console& console) {
  if (a.positional.empty()) fail("usage", "no file named. Fix: vkfer weights FILE");
  const WeightFile file = read_weights(a.positional[0]);
  size_t width = 4, elements = 0, bytes = 0;
  for (const auto& [name, tensor] : file.tensors) width = std::max(width, std::min<size_t>(name.size(), 46));
  console.print("{:<{}}  {:<5} {:>16} {:>12}", "name", width, "dtype", "shape", "bytes");
  Json tensors = Json::array();
  for (const auto& [name, tensor] : file.tensors) {
    console.print("{:<{}}  {:<5} {:>16} {:>12}", shown(name), width, stored_name(tensor.type), shape_text(tensor.shape), count_text(int64_t(tensor.bytes.size())));
    elements += size_t(tensor.elements());
    bytes += tensor.bytes.size();
    if (console.wants_json()) tensors.push_back({{"name", name}, {"dtype", stored_name(tensor.type)}, {"shape", tensor.shape}, {"bytes", tensor.bytes.size()}});
  }
  console.line("");
  for (const auto& [key, value] : file.metadata) console.line(fmt::format("{}: {}{}", shown(key), shown(value), value.size() > 80 ? "..." : ""));
  for (const std::string& note : file.notes) console.line(note);
  console.print("{}, verified: {} tensors, {} elements, {}", file.format, file.tensors.size(), count_text(int64_t(elements)), bytes_text(double(bytes)));
  console.answer({{"file", file.source}, {"format", file.format}, {"tensors", tensors}, {"count", file.tensors.size()}, {"elements", elements}, {"bytes", bytes},
                  {"metadata", file.metadata}, {"notes", file.notes}});
}

}  // namespace

extern const Verb weights_verb;
const Verb weights_verb{
    .name = "weights",
    .summary = "List and verify any weight file",
    .arguments = {"--json"},
    .positional = "file",
    .positional_help = "safetensors, .pth, .pt, .h5, .keras or .onnx",
    .max_positional = 1,
    .examples = "  vkfer weights resnet50-0676ba61.pth\n"
                "  vkfer weights runs/1/model.safetensors --json\n\n"
                "Verifies all that an import would and stops at the first violation, with exit\n"
                "status 2. No code in a file is ever executed.",
    .run = run_weights,
};

}  // namespace vkfer
