// The links of HDF5 groups: old groups have a B-tree (version 1) of symbol nodes and a local heap of names, new ones a message
// for each link, or, where there are many, "dense" ones.
#include <algorithm>

#include "models/weights/h5_object.h"

namespace vkfer {
namespace {

constexpr uint64_t kEntryBytes = 40, kNodeHeadBytes = 24;

// ---- old groups

// The local heap's names, ending in a zero each.
class Names {
 public:
  Names(H5Image& image, uint64_t address) {
    ByteReader r = image.claim(address, 32, "local heap");
    if (r.text(4) != "HEAP" || r.number<uint8_t>() != 0) image.refuse(address, "local heap: expected it to begin with HEAP, version 0");
    r.take(3);
    const auto bytes = r.number<uint64_t>();
    r.take(8);
    at_ = r.number<uint64_t>();
    text_ = image.claim(at_, bytes, "names of a group").text(bytes);
  }
  std::string_view at(uint64_t offset, const ByteReader& from) const {
    const size_t end = offset < text_.size() ? text_.find('\0', offset) : text_.npos;
    if (end == text_.npos) from.damaged("a name: got offset {} of the {} bytes of names at byte {}, expected it to end there", offset, text_.size(), at_);
    return text_.substr(offset, end - offset);
  }

 private:
  uint64_t at_ = 0;
  std::string_view text_;
};

void read_symbols(H5Image& image, uint64_t address, const Names& names, std::vector<H5Link>& links) {
  ByteReader head = image.peek(address, 8, "symbol node");
  if (head.text(4) != "SNOD" || head.number<uint8_t>() != 1) image.refuse(address, "symbol node: expected it to begin with SNOD, version 1");
  head.take(1);
  const auto count = head.number<uint16_t>();
  ByteReader r = image.claim(address, 8 + kEntryBytes * count, "symbol node");
  r.take(8);
  for (int i = 0; i < count; ++i) {
    const auto offset = r.number<uint64_t>(), object = r.number<uint64_t>();
    const auto kind = r.number<uint32_t>();
    r.take(20);
    const std::string_view name = names.at(offset, r);
    if (kind > 1) r.damaged("'{}': got a link to a name or another file (kind {}), expected one to an object of this file", shown(name), kind);
    if (!links.empty() && links.back().name >= name) r.damaged("'{}': comes after '{}', expected names in order", shown(name), shown(links.back().name));
    links.push_back({std::string(name), object});
  }
}

// The symbol nodes in order, by walking down from the root: TREE, kind, level, count, siblings, then keys and children by turns.
std::vector<H5Link> read_symbol_table(H5Image& image, ByteReader message) {
  const auto root = message.number<uint64_t>(), heap = message.number<uint64_t>();
  const Names names(image, heap);
  struct Node {
    uint64_t address;
    int level;                                   // -1: any; below that of the parent
  };
  std::vector<Node> todo{{root, -1}};
  std::vector<H5Link> links;
  while (!todo.empty()) {
    const Node node = todo.back();
    todo.pop_back();
    if (node.level == 0) {
      read_symbols(image, node.address, names, links);
      continue;
    }
    ByteReader head = image.peek(node.address, kNodeHeadBytes, "B-tree");
    if (head.text(4) != "TREE" || head.number<uint8_t>() != 0) image.refuse(node.address, "B-tree: expected it to begin with TREE, of a group");
    const int level = head.number<uint8_t>() + 1;  // a level of 0 is above the symbol nodes
    if (node.level != -1 && level != node.level) image.refuse(node.address, "B-tree: got level {}, expected {}", level - 1, node.level - 1);
    const auto count = head.number<uint16_t>();
    ByteReader r = image.claim(node.address, kNodeHeadBytes + 16 * uint64_t(count) + 8, "B-tree");
    r.take(kNodeHeadBytes);
    std::vector<Node> children;
    for (int i = 0; i < count; ++i) {
      r.take(8);
      children.push_back({r.number<uint64_t>(), level - 1});
    }
    todo.insert(todo.end(), children.rbegin(), children.rend());
  }
  return links;
}

// ---- new groups

H5Link read_link(ByteReader r) {
  const auto version = r.number<uint8_t>(), flags = r.number<uint8_t>();
  if (version != 1) r.damaged("link: got version {}, expected 1", version);
  const int kind = flags & 8 ? r.number<uint8_t>() : 0;
  if (flags & 4) r.take(8);
  if (flags & 0x10) r.take(1);
  const uint64_t bytes = h5_number(r, uint64_t(1) << (flags & 3));
  const std::string name(r.text(bytes));
  if (kind != 0) r.damaged("'{}': got a {}, expected a link to an object of this file", shown(name), kind == 1 ? "link to a name" : kind == 64 ? "link to another file" : "link of an unknown kind");
  return {name, r.number<uint64_t>()};
}

// ---- fractal heap: here the objects are in a table of blocks whose rows double in size

struct Heap {
  uint64_t offset_bytes, length_bytes;           // of an object's id
  struct Direct {
    uint64_t first, bytes, at;                   // in the heap's own space, where blocks follow each other; in the file
  };
  std::vector<Direct> blocks;
};

void read_direct_block(H5Image& image, Heap& heap, uint64_t owner, uint64_t address, uint64_t first, uint64_t bytes, bool summed) {
  ByteReader r = image.claim(address, bytes, "fractal heap's block");
  if (r.text(4) != "FHDB" || r.number<uint8_t>() != 0) image.refuse(address, "fractal heap's block: expected it to begin with FHDB, version 0");
  if (r.number<uint64_t>() != owner || h5_number(r, heap.offset_bytes) != first) image.refuse(address, "fractal heap's block: belongs elsewhere");
  if (summed) {                                  // over the whole block, with zeros for the sum itself
    const uint64_t at = r.at();
    const auto expected = r.number<uint32_t>();
    const auto taken = image.peek(address, bytes, "fractal heap's block").take(bytes);
    std::vector<std::byte> whole(taken.begin(), taken.end());
    std::fill_n(whole.begin() + ptrdiff_t(at), 4, std::byte{0});
    if (const uint32_t got = h5_checksum(whole); got != expected) image.refuse(address, "fractal heap's block: got the checksum {:08x}, expected {:08x}", got, expected);
  }
  heap.blocks.push_back({first, bytes, address});
}

Heap read_heap(H5Image& image, uint64_t address) {
  constexpr uint64_t kHeadBytes = 146;
  ByteReader r = image.claim_summed(address, kHeadBytes, "fractal heap");
  if (r.text(4) != "FRHP" || r.number<uint8_t>() != 0) image.refuse(address, "fractal heap: expected it to begin with FRHP, version 0");
  const auto id_bytes = r.number<uint16_t>(), filters = r.number<uint16_t>();
  const auto flags = r.number<uint8_t>();
  if (filters != 0) image.refuse(address, "fractal heap: is filtered, expected it plain");
  const auto largest = r.number<uint32_t>();
  r.take(96);                                    // of huge objects, free space, and how many there are
  const auto width = r.number<uint16_t>();
  const auto start = r.number<uint64_t>(), largest_block = r.number<uint64_t>();
  const auto bits = r.number<uint16_t>();
  r.take(2);
  const auto root = r.number<uint64_t>();
  const auto rows = r.number<uint16_t>();
  Heap heap{(uint64_t(bits) + 7) / 8, std::min(h5_number_bytes(largest), h5_number_bytes(largest_block)), {}};
  if (bits == 0 || bits > 64 || heap.offset_bytes + heap.length_bytes + 1 > id_bytes || start < 64 || start > largest_block || largest_block > kMaxFileBytes || width == 0)
    image.refuse(address, "fractal heap: blocks of {} to {} bytes, {} in a row, do not fit ids of {}", start, largest_block, width, id_bytes);
  if (root == kH5Undefined) return heap;
  if (rows == 0) {
    read_direct_block(image, heap, address, root, 0, start, flags & 2);
    return heap;
  }
  const uint64_t blocks = uint64_t(rows) * width, bytes = 13 + heap.offset_bytes + 8 * blocks + 4;
  ByteReader table = image.claim_summed(root, bytes, "fractal heap's table");
  if (table.text(4) != "FHIB" || table.number<uint8_t>() != 0) image.refuse(root, "fractal heap's table: expected it to begin with FHIB, version 0");
  if (table.number<uint64_t>() != address || h5_number(table, heap.offset_bytes) != 0) image.refuse(root, "fractal heap's table: belongs elsewhere");
  uint64_t first = 0, size = start;
  for (int row = 0; row < rows; ++row) {
    if (row > 1) size *= 2;
    if (size > largest_block) image.refuse(root, "fractal heap's table: got {} rows, expected those of blocks up to {} bytes: more links than are supported", rows, largest_block);
    for (int i = 0; i < width; ++i, first += size)
      if (const auto at = table.number<uint64_t>(); at != kH5Undefined) read_direct_block(image, heap, address, at, first, size, flags & 2);
  }
  return heap;
}

ByteReader heap_object(const H5Image& image, const Heap& heap, ByteReader id) {
  const auto kind = id.number<uint8_t>();
  if (kind != 0) id.damaged("fractal heap's object: got kind {:#x}, expected it within a block", kind);
  const uint64_t offset = h5_number(id, heap.offset_bytes), bytes = h5_number(id, heap.length_bytes);
  const auto after = std::ranges::upper_bound(heap.blocks, offset, {}, &Heap::Direct::first);
  if (after == heap.blocks.begin() || offset - std::prev(after)->first >= std::prev(after)->bytes)
    id.damaged("fractal heap's object: got offset {}, expected it within a block", offset);
  const Heap::Direct& b = *std::prev(after);
  if (bytes > b.bytes - (offset - b.first)) id.damaged("fractal heap's object: got {} bytes, expected at most the {} of its block", bytes, b.bytes);
  return image.peek(b.at + (offset - b.first), bytes, "fractal heap's object");
}

}  // namespace

std::vector<ByteReader> read_dense(H5Image& image, uint64_t heap_address, uint64_t tree, int type, uint64_t id_at) {
  constexpr uint64_t kHeadBytes = 38, kPrefix = 6, kSum = 4;
  constexpr int kMaxTreeDepth = 4;
  const Heap heap = read_heap(image, heap_address);
  ByteReader r = image.claim_summed(tree, kHeadBytes, "B-tree");
  if (r.text(4) != "BTHD" || r.number<uint8_t>() != 0 || r.number<uint8_t>() != type) image.refuse(tree, "B-tree: expected it to begin with BTHD, version 0, records of kind {}", type);
  const auto node_bytes = r.number<uint32_t>();
  const uint64_t record = r.number<uint16_t>();
  const int depth = r.number<uint16_t>();
  r.take(2);
  const auto root = r.number<uint64_t>();
  const uint64_t root_count = r.number<uint16_t>(), total = r.number<uint64_t>(), id_bytes = 1 + heap.offset_bytes + heap.length_bytes;
  if (record < id_at + id_bytes || node_bytes < 64 + record || depth > kMaxTreeDepth)
    image.refuse(tree, "B-tree: got records of {} bytes in nodes of {}, {} levels, expected at most {} levels", record, node_bytes, depth + 1, kMaxTreeDepth + 1);
  // A node: signature, version, kind, records, [children: address, records, and above the lowest ones records of all below], checksum.
  // Numbers of records take as many bytes as the most there can be.
  const uint64_t in_leaf = (node_bytes - kPrefix - kSum) / record, count_bytes = h5_number_bytes(in_leaf);
  std::vector<uint64_t> pointer_bytes{0}, below{in_leaf};  // by depth
  for (int d = 1; d <= depth; ++d) {
    const uint64_t pointer = 8 + count_bytes + (d > 1 ? h5_number_bytes(below.back()) : 0);
    const uint64_t most = (node_bytes - kPrefix - kSum - pointer) / (record + pointer);
    pointer_bytes.push_back(pointer);
    below.push_back(std::min(kMaxFileBytes, (most + 1) * below.back() + most));
  }
  struct Node {
    uint64_t address, count;
    int depth;
  };
  std::vector<Node> todo;
  if (root != kH5Undefined) todo.push_back({root, root_count, depth});
  std::vector<ByteReader> objects;
  while (!todo.empty()) {
    const Node node = todo.back();
    todo.pop_back();
    const uint64_t pointers = node.depth ? (node.count + 1) * pointer_bytes[size_t(node.depth)] : 0;
    ByteReader n = image.claim_summed(node.address, kPrefix + node.count * record + pointers + kSum, "B-tree's node");
    if (n.text(4) != (node.depth ? "BTIN" : "BTLF") || n.number<uint8_t>() != 0 || n.number<uint8_t>() != type) image.refuse(node.address, "B-tree's node: expected {}, version 0", node.depth ? "BTIN" : "BTLF");
    for (uint64_t i = 0; i < node.count; ++i) {
      const uint64_t at = n.base() + n.at();
      const auto id = n.take(record).subspan(id_at, id_bytes);
      objects.push_back(heap_object(image, heap, ByteReader(id, "h5", image.source(), at + id_at)));
    }
    for (uint64_t i = 0; node.depth && i <= node.count; ++i) {
      const auto address = n.number<uint64_t>();
      todo.push_back({address, h5_number(n, count_bytes), node.depth - 1});
      n.take(pointer_bytes[size_t(node.depth)] - 8 - count_bytes);
    }
  }
  if (objects.size() != total) image.refuse(tree, "B-tree: got {} records, expected {}", objects.size(), total);
  std::ranges::sort(objects, {}, [](const ByteReader& o) { return o.base(); });
  for (size_t i = 1; i < objects.size(); ++i)
    if (objects[i].base() < objects[i - 1].base() + objects[i - 1].left()) image.refuse(objects[i].base(), "fractal heap's objects overlap");
  return objects;
}

std::optional<std::vector<H5Link>> read_links(H5Image& image, const std::vector<H5Message>& messages) {
  std::optional<std::vector<H5Link>> links;
  for (const H5Message& m : messages) {
    ByteReader r = reader_of(image, m);
    if (m.type != H5MessageType::symbol_table && m.type != H5MessageType::link_info && m.type != H5MessageType::link) continue;
    if (!links) links.emplace();
    if (m.type == H5MessageType::symbol_table)
      for (H5Link& link : read_symbol_table(image, r)) links->push_back(std::move(link));
    if (m.type == H5MessageType::link) links->push_back(read_link(r));
    if (m.type != H5MessageType::link_info) continue;
    if (const auto version = r.number<uint8_t>(); version != 0) r.damaged("link info: got version {}, expected 0", version);
    if (r.number<uint8_t>() & 1) r.take(8);
    const auto objects = r.number<uint64_t>(), names = r.number<uint64_t>();
    constexpr int kLinkNames = 5;
    if (objects != kH5Undefined)
      for (const ByteReader& link : read_dense(image, objects, names, kLinkNames, 4)) links->push_back(read_link(link));
  }
  return links;
}

}  // namespace vkfer
