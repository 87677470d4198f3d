#pragma once
// Every format of weights that can be read. A format is recognised by what is in the file, never by the file's name.
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "models/weights/weight_file.h"

namespace vkfer {

struct WeightFormat {
  const char* name;                                                  // "PyTorch (zip)"
  bool (*sniff)(std::span<const std::byte>);                         // could it be one? Looks at the first bytes, never fails
  WeightFile (*read)(std::span<const std::byte>, const std::string& source);  // verifies all of it, or fails
};

inline constexpr const char* kOnnxFormat = "ONNX";

// In the order in which they are tried.
std::span<const WeightFormat> weight_formats();

// Reads and verifies a whole file; WeightFile::format says what it was.
WeightFile read_weights(const std::filesystem::path&);
std::vector<std::byte> read_weight_bytes(const std::filesystem::path&);  // a whole file, within kMaxFileBytes
WeightFile parse_weights(std::span<const std::byte>, const std::string& source);

}  // namespace vkfer
