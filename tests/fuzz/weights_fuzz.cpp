// libFuzzer over every weight format: whatever the bytes, an answer or an Error. tests/README.md says how to run it.
#include "models/weights/formats.h"
#include "runtime/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    for (const auto& [name, tensor] : vkfer::parse_weights(std::as_bytes(std::span(data, size)), "fuzz").tensors) (void)tensor.doubles();
  } catch (const vkfer::Error&) {
  }
  return 0;
}
