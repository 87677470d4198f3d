#include "models/weights/weight_file.h"

#include <cstring>

#include "graph/tensor.h"
#include "models/registry.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

struct TypeRow {
  StoredType type;
  const char* name;
  size_t bytes;
};
constexpr TypeRow kTypes[] = {{StoredType::f64, "F64", 8}, {StoredType::f32, "F32", 4}, {StoredType::f16, "F16", 2}, {StoredType::bf16, "BF16", 2},
                              {StoredType::i64, "I64", 8}, {StoredType::i32, "I32", 4}, {StoredType::i16, "I16", 2}, {StoredType::i8, "I8", 1},
                              {StoredType::u64, "U64", 8}, {StoredType::u32, "U32", 4}, {StoredType::u16, "U16", 2}, {StoredType::u8, "U8", 1},
                              {StoredType::boolean, "BOOL", 1}};

template <class T>
T load(const std::byte* p) {
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

double element(StoredType type, const std::byte* p) {
  switch (type) {
    case StoredType::f64: return load<double>(p);
    case StoredType::f32: return load<float>(p);
    case StoredType::f16: return half_to_float(load<uint16_t>(p));
    case StoredType::bf16: {
      const uint32_t bits = uint32_t(load<uint16_t>(p)) << 16;
      float v;
      std::memcpy(&v, &bits, 4);
      return v;
    }
    case StoredType::i64: return double(load<int64_t>(p));
    case StoredType::i32: return load<int32_t>(p);
    case StoredType::i16: return load<int16_t>(p);
    case StoredType::i8: return load<int8_t>(p);
    case StoredType::u64: return double(load<uint64_t>(p));
    case StoredType::u32: return load<uint32_t>(p);
    case StoredType::u16: return load<uint16_t>(p);
    case StoredType::u8: return load<uint8_t>(p);
    case StoredType::boolean: return load<uint8_t>(p) != 0;
  }
  return 0;
}

template <class To>
std::vector<To> converted(const WeightTensor& t) {
  const size_t step = stored_bytes(t.type);
  std::vector<To> out(t.bytes.size() / step);
  for (size_t i = 0; i < out.size(); ++i) out[i] = To(element(t.type, t.bytes.data() + i * step));
  return out;
}

template <class T>
WeightTensor copied(StoredType type, std::vector<int64_t> shape, std::span<const T> values) {
  WeightTensor t{type, std::move(shape), {}};
  if (t.elements() != int64_t(values.size()))
    fail("weights", "tensor: got {} values, expected {} by its shape. Fix: correct the caller", values.size(), t.elements());
  const auto bytes = std::as_bytes(values);
  t.bytes.assign(bytes.begin(), bytes.end());
  return t;
}

}  // namespace

size_t stored_bytes(StoredType type) { return kTypes[size_t(type)].bytes; }
const char* stored_name(StoredType type) { return kTypes[size_t(type)].name; }
std::optional<StoredType> stored_type(std::string_view name) {
  for (const auto& row : kTypes)
    if (name == row.name) return row.type;
  return std::nullopt;
}

int64_t WeightTensor::elements() const {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}
std::vector<float> WeightTensor::floats() const { return converted<float>(*this); }
std::vector<double> WeightTensor::doubles() const { return converted<double>(*this); }

WeightTensor WeightTensor::of(std::vector<int64_t> shape, std::span<const float> v) { return copied(StoredType::f32, std::move(shape), v); }
WeightTensor WeightTensor::of(std::vector<int64_t> shape, std::span<const int64_t> v) { return copied(StoredType::i64, std::move(shape), v); }

const WeightTensor& WeightFile::at(const std::string& name) const {
  if (auto it = tensors.find(name); it != tensors.end()) return it->second;
  std::vector<std::string> names;
  for (const auto& [key, tensor] : tensors) names.push_back(key);
  const std::string near = nearest_name(name, names);
  fail("weights", "{}: tensor: got none named '{}', expected one. Fix: {}", source, name,
       near.empty() ? "use a file that holds it" : "the nearest is '" + near + "'");
}

}  // namespace vkfer
