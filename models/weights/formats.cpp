#include "models/weights/formats.h"

#include <fstream>

#include "models/onnx/model.h"
#include "models/weights/bytes.h"
#include "models/weights/h5.h"
#include "models/weights/keras.h"
#include "models/weights/torch_read.h"
#include "models/weights/zip.h"

namespace vkfer {
namespace {

// A header length of 8 bytes, then JSON.
bool looks_like_safetensors(std::span<const std::byte> bytes) { return bytes.size() >= 9 && bytes[8] == std::byte('{'); }

WeightFile read_safetensors(std::span<const std::byte> bytes, const std::string& source) { return parse_safetensors(bytes, source); }

constexpr WeightFormat kFormats[] = {
    {kOnnxFormat, looks_like_onnx, parse_onnx_weights},
    {"safetensors", looks_like_safetensors, read_safetensors},
    {"Keras (h5)", looks_like_h5, parse_keras_h5},
    {"Keras (zip)", looks_like_keras_zip, parse_keras_zip},
    {"PyTorch (zip)", looks_like_zip, parse_torch_zip},
    {"PyTorch (before 1.6)", looks_like_torch_legacy, parse_torch_legacy},
    {"PyTorch (tar)", looks_like_tar, parse_torch_tar},
};

}  // namespace

std::vector<std::byte> read_weight_bytes(const std::filesystem::path& path) {
  std::error_code error;
  const std::string source = path.string();
  if (!std::filesystem::exists(path, error)) fail("weights", "{}: no such file. Fix: check the path", source);
  if (!std::filesystem::is_regular_file(path, error)) fail("weights", "{}: not a file. Fix: name a weight file", source);
  const auto size = std::filesystem::file_size(path, error);
  if (error || size > kMaxFileBytes) fail("weights", "{}: file size: got {} bytes, expected at most {}. Fix: name a weight file", source, size, kMaxFileBytes);
  std::vector<std::byte> bytes(size);
  std::ifstream in(path, std::ios::binary);
  in.read(reinterpret_cast<char*>(bytes.data()), std::streamsize(size));
  if (!in || in.gcount() != std::streamsize(size)) fail("weights", "{}: cannot be read. Fix: check its permissions", source);
  return bytes;
}

std::span<const WeightFormat> weight_formats() { return kFormats; }

WeightFile parse_weights(std::span<const std::byte> bytes, const std::string& source) {
  std::string names;
  for (const WeightFormat& format : kFormats) {
    names += (names.empty() ? "" : ", ") + std::string(format.name);
    if (!format.sniff(bytes)) continue;
    WeightFile file = format.read(bytes, source);
    file.format = format.name;
    return file;
  }
  fail("weights", "{}: got {} bytes that begin with '{}', expected one of: {}. Fix: name a weight file, or download it again", source, bytes.size(),
       shown(ByteReader::as_text(bytes).substr(0, 8)), names);
}

WeightFile read_weights(const std::filesystem::path& path) { return parse_weights(read_weight_bytes(path), path.string()); }

}  // namespace vkfer
