// libFuzzer over ONNX graphs, from bytes to a graph of ours: whatever they are, a graph or an Error. tests/README.md says how to run it.
#include "models/onnx/import.h"
#include "runtime/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vkfer;
  try {
    const OnnxModel model = parse_onnx(std::as_bytes(std::span(data, size)), "fuzz");
    // Inputs as the model declares them, open sizes as 2.
    OnnxOptions options;
    for (const OnnxPort& p : model.inputs) {
      if (!p.shape || model.initializers.count(p.name)) continue;
      for (const OnnxDim& d : *p.shape) options.shapes[p.name].push_back(d.size < 0 ? 2 : d.size);
    }
    Graph graph;
    import_onnx(model, graph, options);
  } catch (const Error&) {
  }
  return 0;
}
