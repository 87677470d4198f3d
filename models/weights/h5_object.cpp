#include "models/weights/h5_object.h"

#include <algorithm>

namespace vkfer {
namespace {

constexpr uint64_t kMaxRank = 16;

// A block of messages: the object's first, or a continuation of it.
struct Block {
  ByteReader messages;
  bool second_version;
  bool ordered;                                  // messages carry the order they were made in
};

// Version 1: version, reserved, number of messages, references, bytes; padded to 16.
Block first_block_1(H5Image& image, uint64_t address) {
  ByteReader head = image.peek(address, 16, "object header");
  head.take(8);
  const uint32_t bytes = head.number<uint32_t>();
  ByteReader r = image.claim(address, 16 + uint64_t(bytes), "object header");
  r.take(16);
  return {r, false, false};
}

// Version 2: "OHDR", version, flags, [four times], [limits of attributes], bytes, messages, checksum.
Block first_block_2(H5Image& image, uint64_t address) {
  ByteReader head = image.peek(address, 6, "object header");
  head.take(5);
  const auto flags = head.number<uint8_t>();
  const uint64_t before = 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0), width = uint64_t(1) << (flags & 3);
  ByteReader size = image.peek(address + before, width, "object header");
  const uint64_t bytes = h5_number(size, width);
  if (bytes > image.size()) size.damaged("object header: got {} bytes of messages, expected at most those of the file", bytes);
  ByteReader r = image.claim_summed(address, before + width + bytes + 4, "object header");
  r.take(before + width);
  return {r, true, (flags & 4) != 0};
}

Block first_block(H5Image& image, uint64_t address) {
  ByteReader head = image.peek(address, 5, "object header");
  const std::string_view signature = head.text(4);
  const auto version = signature == "OHDR" ? head.number<uint8_t>() : uint8_t(signature[0]);
  if (signature == "OHDR" && version == 2) return first_block_2(image, address);
  if (signature != "OHDR" && version == 1) return first_block_1(image, address);
  image.refuse(address, "object header: got version {}, expected 1 or 2", version);
}

Block continuation(H5Image& image, ByteReader message, const Block& of) {
  const uint64_t address = message.number<uint64_t>(), bytes = message.number<uint64_t>();
  if (!of.second_version) return {image.claim(address, bytes, "continuation of an object header"), false, false};
  ByteReader r = image.claim_summed(address, bytes, "continuation of an object header");
  if (r.text(4) != "OCHK") image.refuse(address, "continuation of an object header: expected it to begin with OCHK");
  return {r, true, of.ordered};
}

// Adds the messages of a block; returns the continuations that it names.
std::vector<Block> read_block(H5Image& image, Block block, std::vector<H5Message>& messages) {
  constexpr uint8_t kShared = 2, kMustKnow = 0x80;
  std::vector<Block> more;
  ByteReader& r = block.messages;
  const uint64_t head = block.second_version ? (block.ordered ? 6 : 4) : 8;
  while (r.left() >= head) {                     // what is left is a gap
    const auto type = block.second_version ? r.number<uint8_t>() : r.number<uint16_t>();
    const auto bytes = r.number<uint16_t>();
    const auto flags = r.number<uint8_t>();
    r.take(block.second_version ? (block.ordered ? 2 : 0) : 3);
    const uint64_t at = r.base() + r.at();
    const H5Message message{H5MessageType(type), at, r.take(bytes)};
    if (message.type == H5MessageType::nil) continue;
    if (flags & kShared) image.refuse(message.at, "message {}: is shared between objects, expected it in the object itself", type);
    if (type > uint16_t(H5MessageType::references) && (flags & kMustKnow)) image.refuse(message.at, "message {}: is not known, and must be", type);
    if (message.type == H5MessageType::continuation) more.push_back(continuation(image, reader_of(image, message), block));
    else messages.push_back(message);
  }
  return more;
}

StoredType whole_type(ByteReader& r, uint64_t bytes, bool is_signed) {
  static constexpr StoredType kSigned[] = {StoredType::i8, StoredType::i16, StoredType::i32, StoredType::i64};
  static constexpr StoredType kUnsigned[] = {StoredType::u8, StoredType::u16, StoredType::u32, StoredType::u64};
  const auto offset = r.number<uint16_t>(), bits = r.number<uint16_t>();
  if (offset != 0 || bits != 8 * bytes || (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8))
    r.damaged("datatype: got an integer of {} bits in {} bytes, expected 8, 16, 32 or 64 in as many", bits, bytes);
  const int index = bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3;
  return is_signed ? kSigned[index] : kUnsigned[index];
}

struct FloatRow {
  StoredType type;
  uint64_t bytes;
  uint8_t sign, exponent_at, exponent_bits, mantissa_at, mantissa_bits;
  uint32_t bias;
};
constexpr FloatRow kFloats[] = {{StoredType::f16, 2, 15, 10, 5, 0, 10, 15},
                                {StoredType::bf16, 2, 15, 7, 8, 0, 7, 127},
                                {StoredType::f32, 4, 31, 23, 8, 0, 23, 127},
                                {StoredType::f64, 8, 63, 52, 11, 0, 52, 1023}};

StoredType float_type(ByteReader& r, uint64_t bytes, uint8_t sign) {
  const auto offset = r.number<uint16_t>(), bits = r.number<uint16_t>();
  const auto exponent_at = r.number<uint8_t>(), exponent_bits = r.number<uint8_t>(), mantissa_at = r.number<uint8_t>(), mantissa_bits = r.number<uint8_t>();
  const auto bias = r.number<uint32_t>();
  for (const FloatRow& f : kFloats)
    if (f.bytes == bytes && offset == 0 && bits == 8 * bytes && f.sign == sign && f.exponent_at == exponent_at && f.exponent_bits == exponent_bits &&
        f.mantissa_at == mantissa_at && f.mantissa_bits == mantissa_bits && f.bias == bias)
      return f.type;
  r.damaged("datatype: got floats of {} bytes with {} bits of exponent, expected float16, bfloat16, float32 or float64", bytes, exponent_bits);
}

}  // namespace

ByteReader reader_of(const H5Image& image, const H5Message& m) { return ByteReader(m.bytes, "h5", image.source(), m.at); }

std::vector<H5Message> read_object(H5Image& image, uint64_t address) {
  std::vector<H5Message> messages;
  std::vector<Block> todo{first_block(image, address)};
  while (!todo.empty()) {
    const Block block = todo.back();
    todo.pop_back();
    for (const Block& more : read_block(image, block, messages)) todo.push_back(more);
  }
  return messages;
}

const H5Message* find_message(const std::vector<H5Message>& messages, H5MessageType type) {
  const auto it = std::ranges::find(messages, type, &H5Message::type);
  return it == messages.end() ? nullptr : &*it;
}

H5Space read_space(ByteReader r) {
  const auto version = r.number<uint8_t>(), rank = r.number<uint8_t>(), flags = r.number<uint8_t>(), kind = r.number<uint8_t>();
  if (version != 1 && version != 2) r.damaged("dataspace: got version {}, expected 1 or 2", version);
  if (version == 1) r.take(4);
  if (rank > kMaxRank) r.damaged("dataspace: got {} dimensions, expected at most {}", rank, kMaxRank);
  if (version == 1 && (flags & 2)) r.damaged("dataspace: got permuted dimensions, expected them in order");
  if (version == 2 && kind == 2 && rank > 0) r.damaged("dataspace: got {} dimensions of nothing, expected none", rank);
  H5Space space;
  bool huge = false;
  for (int i = 0; i < rank; ++i) {
    const auto d = r.number<uint64_t>();
    huge = huge || d > kMaxFileBytes || (d != 0 && space.elements > kMaxFileBytes / d);  // even where another dimension is 0
    if (huge) r.damaged("dataspace: got a dimension of {}, expected all elements within 8 GiB", d);
    space.shape.push_back(int64_t(d));
    space.elements *= std::max<uint64_t>(d, 1);
  }
  if (std::ranges::count(space.shape, 0) || (version == 2 && kind == 2)) space.elements = 0;
  if (flags & 1) r.take(8 * uint64_t(rank));     // what it may grow to
  return space;
}

H5Type read_type(ByteReader r) {
  enum { whole = 0, real = 1, text = 3, opaque = 5, enumerated = 8, variable = 9 };
  const auto first = r.number<uint8_t>(), low = r.number<uint8_t>(), sign = r.number<uint8_t>();
  r.take(1);
  H5Type type;
  type.bytes = r.number<uint32_t>();
  const int version = first >> 4, kind = first & 15;
  if (version < 1 || version > 3) r.damaged("datatype: got version {}, expected 1 to 3", version);
  if (type.bytes == 0) r.damaged("datatype: got elements of 0 bytes, expected at least 1");
  type.big_endian = (kind == whole || kind == real) && (low & 1);
  if (kind == real && (low & 0x40)) r.damaged("datatype: got floats in VAX order, expected little- or big-endian ones");
  switch (kind) {
    case whole: type.stored = whole_type(r, type.bytes, low & 8), type.kind = H5Type::Kind::number; break;
    case real: type.stored = float_type(r, type.bytes, sign), type.kind = H5Type::Kind::number; break;
    case text: type.kind = H5Type::Kind::text; break;
    case opaque: type.kind = type.bytes == 2 ? H5Type::Kind::two_bytes : H5Type::Kind::other; break;
    case enumerated: {                           // h5py's bool: FALSE and TRUE over 8 bits
      const bool over_bytes = type.bytes == 1 && r.left() >= 12 && (r.number<uint8_t>() & 15) == whole;
      if (over_bytes) type.kind = H5Type::Kind::number, type.stored = StoredType::u8;
      break;
    }
    case variable:
      if ((low & 15) == 1 && type.bytes == 16) type.kind = H5Type::Kind::long_text;
      break;
    default: break;
  }
  return type;
}

const H5GlobalHeap::Collection& H5GlobalHeap::collection(uint64_t address, const ByteReader& from) {
  if (const auto it = collections_.find(address); it != collections_.end()) return it->second;
  if (address == kH5Undefined || address == 0) from.damaged("a text: got no heap, expected one");
  ByteReader head = image_.peek(address, 16, "global heap");
  if (head.text(4) != "GCOL" || head.number<uint8_t>() != 1) image_.refuse(address, "global heap: expected it to begin with GCOL, version 1");
  head.take(3);
  ByteReader r = image_.claim(address, head.number<uint64_t>(), "global heap");
  r.take(16);
  Collection& objects = collections_[address];
  while (r.left() >= 16) {
    const auto index = r.number<uint16_t>();
    r.take(6);
    const auto bytes = r.number<uint64_t>();
    if (index == 0) break;                       // free space, to the end
    if (bytes > r.left()) r.damaged("global heap: object {} has {} bytes, expected at most {}", index, bytes, r.left());
    if (!objects.emplace(index, r.take(bytes)).second) r.damaged("global heap: object {} is there twice", index);
    r.take(std::min((8 - bytes % 8) % 8, r.left()));
  }
  return objects;
}

std::string_view H5GlobalHeap::text(ByteReader& element) {
  const auto bytes = element.number<uint32_t>();
  const auto address = element.number<uint64_t>();
  const auto index = element.number<uint32_t>();
  if (bytes == 0) return {};
  const Collection& objects = collection(address, element);
  const auto it = index <= 0xffff ? objects.find(uint16_t(index)) : objects.end();
  if (it == objects.end()) element.damaged("a text: got object {} of the heap at byte {}, expected one that is there", index, address);
  if (bytes > it->second.size()) element.damaged("a text of {} bytes, expected at most the {} of its object", bytes, it->second.size());
  return ByteReader::as_text(it->second.first(bytes));
}

namespace {

// Version 1 pads its parts to 8 bytes; 3 adds the character set.
void read_attribute(H5Image& image, H5GlobalHeap& heap, ByteReader r, H5Texts& texts) {
  const auto version = r.number<uint8_t>(), flags = r.number<uint8_t>();
  if (version < 1 || version > 3) r.damaged("attribute: got version {}, expected 1 to 3", version);
  if (version > 1 && (flags & 3)) r.damaged("attribute: its type or shape is shared, expected them in the attribute");
  const auto name_bytes = r.number<uint16_t>(), type_bytes = r.number<uint16_t>(), space_bytes = r.number<uint16_t>();
  if (version == 3) r.take(1);
  const auto part = [&](uint64_t bytes) {
    const uint64_t at = r.at();
    const auto taken = r.take(bytes);
    if (version == 1) r.take((8 - bytes % 8) % 8);
    return std::pair(taken, at);
  };
  std::string name(ByteReader::as_text(part(name_bytes).first));
  if (const size_t end = name.find('\0'); end != name.npos) name.resize(end);
  const auto sub = [&](std::pair<std::span<const std::byte>, uint64_t> p) { return ByteReader(p.first, "h5", fmt::format("{}: attribute '{}'", image.source(), shown(name)), r.base() + p.second); };
  const H5Type type = read_type(sub(part(type_bytes)));
  const H5Space space = read_space(sub(part(space_bytes)));
  if (space.elements > r.left() / type.bytes)
    r.damaged("attribute '{}': got {} bytes, expected {} elements of {}", shown(name), r.left(), space.elements, type.bytes);
  if (type.kind != H5Type::Kind::text && type.kind != H5Type::Kind::long_text) return;
  std::vector<std::string> values;
  for (uint64_t i = 0; i < space.elements; ++i) {
    const uint64_t at = r.base() + r.at();
    std::string_view value = type.kind == H5Type::Kind::text ? r.text(type.bytes) : heap.text(r);
    if (type.kind == H5Type::Kind::text) value = value.substr(0, value.find('\0'));
    image.spend(value.size() + sizeof(std::string), at, "attribute");
    values.emplace_back(value);
  }
  if (!texts.emplace(name, std::move(values)).second) r.damaged("attribute '{}' is there twice", shown(name));
}

}  // namespace

H5Texts read_attributes(H5Image& image, H5GlobalHeap& heap, const std::vector<H5Message>& messages) {
  H5Texts texts;
  for (const H5Message& m : messages) {
    if (m.type == H5MessageType::attribute) read_attribute(image, heap, reader_of(image, m), texts);
    if (m.type != H5MessageType::attribute_info) continue;
    ByteReader r = reader_of(image, m);
    if (const auto version = r.number<uint8_t>(); version != 0) r.damaged("attribute info: got version {}, expected 0", version);
    if (r.number<uint8_t>() & 1) r.take(2);
    const auto objects = r.number<uint64_t>(), names = r.number<uint64_t>();
    if (objects == kH5Undefined) continue;
    constexpr int kAttributeNames = 8;
    for (const ByteReader& attribute : read_dense(image, objects, names, kAttributeNames, 0)) read_attribute(image, heap, attribute, texts);
  }
  return texts;
}

}  // namespace vkfer
