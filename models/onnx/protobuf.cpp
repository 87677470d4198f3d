#include "models/onnx/protobuf.h"

#include <cstring>

namespace vkfer {
namespace {

constexpr const char* kWireNames[] = {"a varint", "8 bytes", "a length and bytes", "a group", "a group's end", "4 bytes", "?", "?"};

}  // namespace

uint64_t ProtoReader::varint(ByteReader& from) const {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const uint64_t byte = from.number<uint8_t>();
    if (shift == 63 && byte > 1) break;
    value |= (byte & 127) << shift;
    if (byte < 128) return value;
  }
  damaged("got a varint of more than 64 bits");
}

bool ProtoReader::next() {
  if (bytes_.left() == 0) return false;
  at_ = bytes_.at();
  const uint64_t tag = varint(bytes_), number = tag >> 3, wire = tag & 7;
  if (number == 0 || number >= (1u << 29)) damaged("got field number {}, expected 1 to 2^29-1", number);
  number_ = uint32_t(number);
  wire_ = Wire(wire);
  switch (wire_) {
    case Wire::varint: value_ = varint(bytes_); break;
    case Wire::fixed64: value_ = bytes_.number<uint64_t>(); break;
    case Wire::fixed32: value_ = bytes_.number<uint32_t>(); break;
    case Wire::bytes: {
      const uint64_t size = varint(bytes_);
      if (size > bytes_.left()) damaged("field {} has {} bytes, but {} are left: cut short, or not what it claims to be", number, size, bytes_.left());
      content_ = bytes_.at();
      span_ = bytes_.take(size);
      break;
    }
    default: damaged("field {} is {}, expected a varint, 4 or 8 bytes, or a length and bytes", number, kWireNames[wire]);
  }
  return true;
}

void ProtoReader::expect(Wire wire) const {
  if (wire_ != wire) damaged("field {} is {}, expected {}", number_, kWireNames[size_t(wire_)], kWireNames[size_t(wire)]);
}

int64_t ProtoReader::integer() const {
  expect(Wire::varint);
  return int64_t(value_);
}

float ProtoReader::number32() const {
  expect(Wire::fixed32);
  const uint32_t bits = uint32_t(value_);
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

std::span<const std::byte> ProtoReader::bytes() const {
  expect(Wire::bytes);
  return span_;
}

std::string ProtoReader::text() const { return std::string(ByteReader::as_text(bytes())); }

void ProtoReader::integers(std::vector<int64_t>& to) const {
  if (wire_ == Wire::varint) return to.push_back(integer());
  for (ByteReader packed(bytes(), "onnx", bytes_.source(), base_ + content_); packed.left();) to.push_back(int64_t(varint(packed)));
}

template <class T>
void ProtoReader::fixed(std::vector<T>& to, Wire single) const {
  T value;
  if (wire_ == single) {
    std::memcpy(&value, &value_, sizeof value);  // little-endian, as the file and every device here
    return to.push_back(value);
  }
  const auto packed = bytes();
  if (packed.size() % sizeof value) damaged("field {} packs {} bytes, expected a multiple of {}", number_, packed.size(), sizeof value);
  for (size_t i = 0; i < packed.size(); i += sizeof value) {
    std::memcpy(&value, packed.data() + i, sizeof value);
    to.push_back(value);
  }
}

void ProtoReader::floats(std::vector<float>& to) const { fixed(to, Wire::fixed32); }
void ProtoReader::doubles(std::vector<double>& to) const { fixed(to, Wire::fixed64); }

void ProtoWriter::varint(uint64_t v) {
  for (; v >= 128; v >>= 7) out_ += char(v | 128);
  out_ += char(v);
}

void ProtoWriter::integer(uint32_t number, int64_t v) {
  tag(number, Wire::varint);
  varint(uint64_t(v));
}

void ProtoWriter::number32(uint32_t number, float v) {
  tag(number, Wire::fixed32);
  out_.append(reinterpret_cast<const char*>(&v), 4);
}

void ProtoWriter::number64(uint32_t number, double v) {
  tag(number, Wire::fixed64);
  out_.append(reinterpret_cast<const char*>(&v), 8);
}

void ProtoWriter::text(uint32_t number, std::string_view v) {
  tag(number, Wire::bytes);
  varint(v.size());
  out_ += v;
}

void ProtoWriter::integers(uint32_t number, std::span<const int64_t> values) {
  ProtoWriter packed;
  for (int64_t v : values) packed.varint(uint64_t(v));
  text(number, packed.out_);
}

void ProtoWriter::floats(uint32_t number, std::span<const float> values) {
  text(number, {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
}

}  // namespace vkfer
