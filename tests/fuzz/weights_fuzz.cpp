// libFuzzer over the readers of weights whose names begin with VKFER_FUZZED: whatever the bytes, an answer or an Error.
// tests/README.md says how to run it.
#include <string_view>

#include "models/weights/formats.h"
#include "runtime/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  for (const vkfer::WeightFormat& format : vkfer::weight_formats()) {
    if (!std::string_view(format.name).starts_with(VKFER_FUZZED)) continue;
    try {
      const vkfer::WeightFile file = format.read(std::as_bytes(std::span(data, size)), "fuzz");
      for (const auto& [name, tensor] : file.tensors) (void)tensor.doubles();
    } catch (const vkfer::Error&) {
    }
  }
  return 0;
}
