#pragma once
// What an HDF5 object is made of: its messages, and what shapes, types and attributes in them say.
#include <optional>
#include <vector>

#include "models/weights/h5.h"
#include "models/weights/h5_image.h"

namespace vkfer {

enum class H5MessageType : uint16_t {
  nil, dataspace, link_info, datatype, old_fill_value, fill_value, link, external_files, layout, bogus, group_info, filters, attribute,
  comment, old_time, shared_table, continuation, symbol_table, time, b_tree_sizes, driver, attribute_info, references
};

struct H5Message {
  H5MessageType type;
  uint64_t at;                                  // in the file
  std::span<const std::byte> bytes;
};

// All messages of the object whose header is there.
std::vector<H5Message> read_object(H5Image&, uint64_t address);
const H5Message* find_message(const std::vector<H5Message>&, H5MessageType);  // the only one; nullptr: none
ByteReader reader_of(const H5Image&, const H5Message&);

struct H5Space {
  std::vector<int64_t> shape;
  uint64_t elements = 1;
};
H5Space read_space(ByteReader);

struct H5Type {
  enum class Kind { number, text, long_text, two_bytes, other } kind = Kind::other;  // long_text: in the global heap
  StoredType stored = StoredType::f32;          // of a number
  bool big_endian = false;
  uint64_t bytes = 0;                           // of one element in the file
};
H5Type read_type(ByteReader);

// Texts that lie in the file's global heap.
class H5GlobalHeap {
 public:
  explicit H5GlobalHeap(H5Image& image) : image_(image) {}
  std::string_view text(ByteReader& element);   // of a length, a collection and an index

 private:
  using Collection = std::map<uint16_t, std::span<const std::byte>>;
  const Collection& collection(uint64_t address, const ByteReader& from);

  H5Image& image_;
  std::map<uint64_t, Collection> collections_;
};

// The attributes that are texts; the others are checked and left out.
H5Texts read_attributes(H5Image&, H5GlobalHeap&, const std::vector<H5Message>&);

struct H5Link {
  std::string name;
  uint64_t address;                             // of an object's header
};
// Of a group; none when the object is no group.
std::optional<std::vector<H5Link>> read_links(H5Image&, const std::vector<H5Message>&);

// What "dense" links and attributes are kept in: a fractal heap, and a B-tree (version 2) of records of `type`, whose heap ids are
// `id_at` bytes in. Every object's bytes, each once.
std::vector<ByteReader> read_dense(H5Image&, uint64_t heap, uint64_t tree, int type, uint64_t id_at);

// The elements of a dataset, row-major and little-endian; nullopt when they are no numbers.
std::optional<WeightTensor> read_dataset(H5Image&, const std::vector<H5Message>&, const H5Texts& attributes);

}  // namespace vkfer
