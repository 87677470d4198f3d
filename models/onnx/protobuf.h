#pragma once
// Protocol buffers' wire format (https://protobuf.dev/programming-guides/encoding), field by field, out of bytes that nobody
// vouches for, and back. A message is a run of fields; what a field means is the caller's to know. Groups are refused.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/weights/bytes.h"

namespace vkfer {

enum class Wire : uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

// A position in a message that moves from field to field:
//
//   for (ProtoReader r(bytes, source, base); r.next();)
//     if (r.number() == 3) name = r.text(); else if (r.number() == 7) dims = ...
//
// Fields that nobody asks for are skipped by next(). A getter fails, with the byte, where the field is of another wire type.
class ProtoReader {
 public:
  // `base`: where in the file the message begins, for messages.
  ProtoReader(std::span<const std::byte> bytes, const std::string& source, uint64_t base) : bytes_(bytes, "onnx", source, base), base_(base) {}

  bool next();                          // false at the end
  uint32_t number() const { return number_; }
  Wire wire() const { return wire_; }
  uint64_t at() const { return base_ + at_; }   // of the field, in the file

  int64_t integer() const;
  float number32() const;
  std::string text() const;
  std::span<const std::byte> bytes() const;
  ProtoReader message() const { return ProtoReader(bytes(), bytes_.source(), base_ + content_); }
  // Repeated numbers, packed or one to a field: appends.
  void integers(std::vector<int64_t>&) const;
  void floats(std::vector<float>&) const;
  void doubles(std::vector<double>&) const;

  template <class... Args>
  [[noreturn]] void damaged(fmt::format_string<Args...> format, Args&&... args) const {
    fail("onnx", "{}: at byte {}: {}. Fix: download or save the file again", bytes_.source(), at(), fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  uint64_t varint(ByteReader&) const;
  void expect(Wire) const;
  template <class T>
  void fixed(std::vector<T>&, Wire) const;

  ByteReader bytes_;
  uint64_t base_, at_ = 0, content_ = 0;
  uint32_t number_ = 0;
  Wire wire_ = Wire::varint;
  uint64_t value_ = 0;
  std::span<const std::byte> span_;
};

class ProtoWriter {
 public:
  void integer(uint32_t number, int64_t);
  void number32(uint32_t number, float);
  void number64(uint32_t number, double);
  void text(uint32_t number, std::string_view);
  void message(uint32_t number, const ProtoWriter& m) { text(number, m.out_); }
  void integers(uint32_t number, std::span<const int64_t>);   // packed
  void floats(uint32_t number, std::span<const float>);
  const std::string& bytes() const { return out_; }

 private:
  void varint(uint64_t);
  void tag(uint32_t number, Wire wire) { varint(uint64_t(number) << 3 | uint64_t(wire)); }
  std::string out_;
};

}  // namespace vkfer
