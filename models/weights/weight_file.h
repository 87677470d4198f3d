#pragma once
// Named tensors in host memory, and our own file of them: safetensors (an 8-byte header length, a JSON header, the bytes).
// https://huggingface.co/docs/safetensors gives the format. The reader trusts nothing it reads. formats.h reads the others.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vkfer {

// Element types as safetensors names them.
enum class StoredType : uint8_t { f64, f32, f16, bf16, i64, i32, i16, i8, u64, u32, u16, u8, boolean };
size_t stored_bytes(StoredType);
const char* stored_name(StoredType);                          // "F32"
std::optional<StoredType> stored_type(std::string_view name);

// Owns its bytes (little-endian, row-major). Shapes are the file's: torch's order for weights.
struct WeightTensor {
  StoredType type = StoredType::f32;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;

  int64_t elements() const;
  std::vector<float> floats() const;    // converted from whatever is stored
  std::vector<double> doubles() const;
  static WeightTensor of(std::vector<int64_t> shape, std::span<const float>);
  static WeightTensor of(std::vector<int64_t> shape, std::span<const int64_t>);
};

struct WeightFile {
  std::string source;                             // path, for messages
  std::string format;                             // how it was read: a name of weight_formats(); empty: made here
  std::map<std::string, WeightTensor> tensors;
  std::vector<std::string> order;                 // of Keras' layers, as the file has them; empty: another format
  std::map<std::string, std::string> metadata;
  std::vector<std::string> notes;                 // for people: what else the file holds, and what reading it decided

  void set(const std::string& name, std::vector<int64_t> shape, std::span<const float> values) {
    tensors[name] = WeightTensor::of(std::move(shape), values);
  }
  const WeightTensor& at(const std::string& name) const;  // fails naming the file and the nearest name
};

WeightFile parse_safetensors(std::span<const std::byte>, std::string source);

// The same tensors and metadata give the same bytes. Written to a temporary file beside `path`, synced, then renamed.
void write_safetensors(const std::filesystem::path& path, const WeightFile&);
std::vector<std::byte> safetensors_bytes(const WeightFile&);

}  // namespace vkfer
