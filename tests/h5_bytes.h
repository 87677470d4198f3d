#pragma once
// HDF5 files as a hostile hand would write them, byte by byte: superblock 0 and object headers of version 1, which have no checksums.
#include "models/weights/h5_image.h"
#include "tests/torch_bytes.h"

namespace vkfer::test {

inline constexpr uint64_t kNowhere = ~uint64_t{0};

inline std::string zeros(size_t count) { return std::string(count, '\0'); }
inline std::string padded8(std::string s) { return s + zeros((8 - s.size() % 8) % 8); }

inline std::string h5_message(uint16_t type, const std::string& body, uint8_t flags = 0) {
  const std::string padded = padded8(body);
  return le(type) + le(uint16_t(padded.size())) + le(flags) + zeros(3) + padded;
}
inline std::string h5_header(const std::string& messages, uint8_t version = 1) {
  return std::string(1, char(version)) + zeros(1) + le(uint16_t(1)) + le(uint32_t(1)) + le(uint32_t(messages.size())) + zeros(4) + messages;
}
inline std::string h5_space(const std::vector<uint64_t>& dims, uint8_t version = 1) {
  std::string out = std::string(1, char(version)) + std::string(1, char(dims.size())) + zeros(6);
  for (const uint64_t d : dims) out += le(d);
  return h5_message(1, out);
}
inline std::string h5_type_bytes(uint8_t first, uint32_t low, uint32_t bytes, const std::string& properties) { return std::string(1, char(first)) + le(low).substr(0, 3) + le(bytes) + properties; }
inline std::string h5_float32() { return h5_type_bytes(0x11, 0x1f20, 4, le(uint16_t(0)) + le(uint16_t(32)) + "\x17\x08"s + "\0\x17"s + le(uint32_t(127))); }
inline std::string h5_text(uint32_t bytes) { return h5_type_bytes(0x13, 0, bytes, ""); }
inline std::string h5_long_text() { return h5_type_bytes(0x19, 1, 16, h5_type_bytes(0x10, 0, 1, le(uint16_t(0)) + le(uint16_t(8)))); }
inline std::string h5_type(const std::string& bytes) { return h5_message(3, bytes); }
inline std::string h5_contiguous(uint64_t at, uint64_t bytes) { return h5_message(8, "\3\1"s + le(at) + le(bytes)); }
inline std::string h5_chunked(uint64_t tree, const std::vector<uint32_t>& dims) {
  std::string out = "\3\2"s + std::string(1, char(dims.size())) + le(tree);
  for (const uint32_t d : dims) out += le(d);
  return h5_message(8, out);
}
inline std::string h5_filters(const std::vector<uint16_t>& ids) {
  std::string out = "\1"s + std::string(1, char(ids.size())) + zeros(6);
  for (const uint16_t id : ids) out += le(id) + zeros(6);
  return h5_message(11, out);
}
inline std::string h5_attribute(const std::string& name, const std::string& type, const std::vector<uint64_t>& dims, const std::string& data) {
  std::string space = "\1"s + std::string(1, char(dims.size())) + zeros(6);
  for (const uint64_t d : dims) space += le(d);
  return h5_message(12, "\1\0"s + le(uint16_t(name.size() + 1)) + le(uint16_t(type.size())) + le(uint16_t(space.size())) + padded8(name + '\0') + padded8(type) + padded8(space) + data);
}
inline std::string h5_link(const std::string& name, uint64_t at) { return h5_message(6, "\1\0"s + std::string(1, char(name.size())) + name + le(at)); }
inline std::string h5_texts(const std::string& name, const std::vector<std::string>& values) {
  size_t width = 1;
  for (const auto& v : values) width = std::max(width, v.size());
  std::string data;
  for (const auto& v : values) data += v + zeros(width - v.size());
  return h5_attribute(name, h5_text(uint32_t(width)), {values.size()}, data);
}

class H5Bytes {
 public:
  uint64_t add(const std::string& part) {
    bytes_ = padded8(bytes_);
    bytes_ += part;
    return bytes_.size() - part.size();
  }
  uint64_t next() const { return (bytes_.size() + 7) / 8 * 8; }
  // The superblock goes in front.
  std::string file(uint64_t root, int64_t end_lie = 0) const {
    const std::string block = "\x89HDF\r\n\x1a\n"s + zeros(5) + "\x08\x08"s + zeros(1) + le(uint16_t(4)) + le(uint16_t(16)) + le(uint32_t(0)) + le(uint64_t(0)) + le(kNowhere) +
                              le(uint64_t(int64_t(bytes_.size()) + end_lie)) + le(kNowhere) + le(uint64_t(0)) + le(root) + zeros(24);
    return block + bytes_.substr(block.size());
  }

 private:
  std::string bytes_ = zeros(96);
};

// A dataset of 2x3 floats, with what `messages` says of it beside shape and type.
inline std::string h5_dataset(const std::string& layout, const std::vector<uint64_t>& dims = {2, 3}) { return h5_header(h5_space(dims) + h5_type(h5_float32()) + layout); }

// Weights of one dense layer as Keras 2 keeps them, with this header for the dataset of its kernel.
inline std::string h5_keras(H5Bytes& file, const std::string& dataset) {
  const uint64_t kernel = file.add(dataset);
  const uint64_t inner = file.add(h5_header(h5_link("kernel:0", kernel)));
  const uint64_t layer = file.add(h5_header(h5_texts("weight_names", {"dense/kernel:0"}) + h5_link("dense", inner)));
  return file.file(file.add(h5_header(h5_texts("layer_names", {"dense"}) + h5_link("dense", layer))));
}

}  // namespace vkfer::test
