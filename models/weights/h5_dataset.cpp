// The elements of HDF5 datasets: in the header (compact), in one piece (contiguous), or in chunks, which may be filtered.
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "models/weights/h5_object.h"

namespace vkfer {
namespace {

constexpr uint64_t kMaxChunkBytes = uint64_t(1) << 31;
constexpr uint64_t kMaxDeflateRatio = 1032;       // what deflate can reach

// ---- filters

enum FilterId : uint16_t { kDeflate = 1, kShuffle = 2, kFletcher32 = 3 };
using Filters = std::vector<uint16_t>;            // in the order in which they were applied

Filters read_filters(ByteReader r) {
  const auto version = r.number<uint8_t>(), count = r.number<uint8_t>();
  if (version != 1 && version != 2) r.damaged("filters: got version {}, expected 1 or 2", version);
  if (version == 1) r.take(6);
  Filters filters;
  for (int i = 0; i < count; ++i) {
    const auto id = r.number<uint16_t>();
    const uint16_t name = version == 1 || id >= 256 ? r.number<uint16_t>() : 0;
    r.take(2);
    const auto values = r.number<uint16_t>();
    const std::string_view text = r.text(version == 1 ? (uint64_t(name) + 7) / 8 * 8 : name);
    r.take(4 * uint64_t(values) + (version == 1 && values % 2 ? 4 : 0));
    if (id != kDeflate && id != kShuffle && id != kFletcher32)
      r.damaged("filters: got {} ('{}'), expected deflate, shuffle or fletcher32", id, shown(text.substr(0, text.find('\0'))));
    if (std::ranges::count(filters, id)) r.damaged("filters: got {} twice", id);
    filters.push_back(id);
  }
  return filters;
}

// Over big-endian words of 16 bits, an odd byte counting as a word's first.
uint32_t fletcher32(std::span<const std::byte> bytes) {
  uint32_t a = 0, b = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    const uint32_t word = uint32_t(bytes[i]) << 8 | (i + 1 < bytes.size() ? uint32_t(bytes[i + 1]) : 0);
    a = (a + word) % 65535;
    b = (b + a) % 65535;
  }
  return b << 16 | a;
}

std::vector<std::byte> inflated(std::span<const std::byte> packed, uint64_t bytes, const ByteReader& at) {
  if (bytes / kMaxDeflateRatio > packed.size() + 64) at.damaged("chunk: claims {} bytes from {} packed ones: no deflate reaches that", bytes, packed.size());
  std::vector<std::byte> out(bytes + 1);          // a byte of room past the end shows that there is more
  z_stream z{};
  if (inflateInit(&z) != Z_OK) throw std::bad_alloc();
  z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));
  z.avail_in = uInt(packed.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = uInt(out.size());
  const int code = ::inflate(&z, Z_FINISH);
  const bool whole = code == Z_STREAM_END && z.total_out == bytes && z.avail_in == 0;
  inflateEnd(&z);
  if (!whole) at.damaged("chunk: does not unpack to its {} bytes: damaged", bytes);
  out.resize(bytes);
  return out;
}

std::vector<std::byte> unshuffled(std::span<const std::byte> in, uint64_t element) {
  const uint64_t count = in.size() / element;
  std::vector<std::byte> out(in.begin(), in.end());
  for (uint64_t b = 0; b < element; ++b)
    for (uint64_t i = 0; i < count; ++i) out[i * element + b] = in[b * count + i];
  return out;
}

// Undoes the filters, last first. `mask` has a bit for each that was not applied.
std::vector<std::byte> unfiltered(ByteReader r, const Filters& filters, uint32_t mask, uint64_t chunk_bytes, uint64_t element) {
  const auto taken = r.take(r.left());
  std::vector<std::byte> bytes(taken.begin(), taken.end());
  const auto on = [&](size_t i) { return !(mask >> i & 1); };
  for (size_t i = filters.size(); i-- > 0;) {
    if (!on(i)) continue;
    if (filters[i] == kShuffle) bytes = unshuffled(bytes, element);
    if (filters[i] == kFletcher32) {
      if (bytes.size() < 4) r.damaged("chunk: got {} bytes, expected at least its checksum", bytes.size());
      uint32_t expected;
      std::memcpy(&expected, bytes.data() + bytes.size() - 4, 4);
      bytes.resize(bytes.size() - 4);
      if (const uint32_t got = fletcher32(bytes); got != expected) r.damaged("chunk: got the checksum {:08x}, expected {:08x}: damaged", got, expected);
    }
    if (filters[i] == kDeflate) {
      const bool summed_before = std::any_of(filters.begin(), filters.begin() + ptrdiff_t(i), [](uint16_t f) { return f == kFletcher32; });
      bytes = inflated(bytes, chunk_bytes + (summed_before ? 4 : 0), r);
    }
  }
  if (bytes.size() != chunk_bytes) r.damaged("chunk: got {} bytes, expected {}", bytes.size(), chunk_bytes);
  return bytes;
}

// ---- chunks

struct Chunk {
  uint64_t index;                                 // row-major among the chunks
  uint64_t at, bytes;                             // in the file
  uint32_t mask;
};

// How a dataset is cut into chunks.
struct Grid {
  std::vector<uint64_t> shape, chunk, counts;     // counts: chunks along each dimension
  uint64_t element = 1, chunk_bytes = 1, chunks = 1;
};

Grid make_grid(const H5Image& image, const H5Space& space, std::vector<uint64_t> chunk, uint64_t element, const ByteReader& r) {
  Grid g;
  g.shape.assign(space.shape.begin(), space.shape.end());
  g.chunk = std::move(chunk);
  g.element = g.chunk_bytes = element;
  for (size_t i = 0; i < g.shape.size(); ++i) {
    if (g.chunk[i] == 0 || g.chunk_bytes > kMaxChunkBytes / g.chunk[i]) r.damaged("layout: got chunks of {} along dimension {}, expected 1 or more and at most 2 GiB in all", g.chunk[i], i);
    g.chunk_bytes *= g.chunk[i];
    g.counts.push_back(g.shape[i] / g.chunk[i] + (g.shape[i] % g.chunk[i] ? 1 : 0));
    if (g.counts[i] && g.chunks > image.size() / g.counts[i]) r.damaged("layout: got more chunks than the file has bytes");
    g.chunks *= g.counts[i];
  }
  return g;
}

// B-tree, version 1: TREE, kind, level, count, siblings; by turns a key (bytes, mask, where the chunk begins) and a child.
std::vector<Chunk> tree_chunks(H5Image& image, uint64_t root, const Grid& g) {
  struct Node {
    uint64_t address;
    int level;                                    // -1: any
  };
  std::vector<Node> todo{{root, -1}};
  std::vector<Chunk> chunks;
  const uint64_t rank = g.shape.size(), key = 8 + 8 * (rank + 1);
  while (!todo.empty()) {
    const Node node = todo.back();
    todo.pop_back();
    ByteReader head = image.peek(node.address, 24, "B-tree");
    if (head.text(4) != "TREE" || head.number<uint8_t>() != 1) image.refuse(node.address, "B-tree: expected it to begin with TREE, of chunks");
    const int level = head.number<uint8_t>();
    if (node.level != -1 && level != node.level) image.refuse(node.address, "B-tree: got level {}, expected {}", level, node.level);
    const uint64_t count = head.number<uint16_t>();
    ByteReader r = image.claim(node.address, 24 + count * (key + 8) + key, "B-tree");
    r.take(24);
    for (uint64_t i = 0; i < count; ++i) {
      Chunk c{0, 0, r.number<uint32_t>(), r.number<uint32_t>()};
      for (uint64_t d = 0; d < rank; ++d) {
        const auto offset = r.number<uint64_t>();
        if (level == 0 && (offset % g.chunk[d] || offset >= g.shape[d])) r.damaged("chunk: begins at {} of dimension {}, expected a multiple of {} below {}", offset, d, g.chunk[d], g.shape[d]);
        c.index = c.index * g.counts[d] + offset / g.chunk[d];
      }
      r.take(8);                                  // within an element
      c.at = r.number<uint64_t>();
      if (level == 0) chunks.push_back(c);
      else todo.push_back({c.at, level - 1});
    }
  }
  return chunks;
}

// An element of an array of chunks: an address; with filters also bytes and mask.
Chunk array_chunk(ByteReader& r, uint64_t index, uint64_t entry_bytes, bool filtered, const Grid& g) {
  Chunk c{index, r.number<uint64_t>(), g.chunk_bytes, 0};
  if (filtered) c.bytes = h5_number(r, entry_bytes - 12), c.mask = r.number<uint32_t>();
  return c;
}

// Fixed array: a header, then a block of elements; of many elements in pages, each with its checksum.
std::vector<Chunk> array_chunks(H5Image& image, uint64_t address, const Grid& g, bool filtered) {
  ByteReader r = image.claim_summed(address, 28, "fixed array");
  if (r.text(4) != "FAHD" || r.number<uint8_t>() != 0 || r.number<uint8_t>() != (filtered ? 1 : 0)) image.refuse(address, "fixed array: expected it to begin with FAHD, version 0, of such chunks");
  const uint64_t entry = r.number<uint8_t>();
  const int page_bits = r.number<uint8_t>();
  const auto count = r.number<uint64_t>(), block = r.number<uint64_t>();
  if (count != g.chunks || (filtered ? entry < 13 || entry > 20 : entry != 8) || page_bits > 32)
    image.refuse(address, "fixed array: got {} elements of {} bytes, expected one for each of {} chunks", count, entry, g.chunks);
  const uint64_t page = uint64_t(1) << page_bits;
  const bool paged = count > page;
  const uint64_t pages = paged ? (count + page - 1) / page : 1, bitmap = paged ? (pages + 7) / 8 : 0;
  std::vector<Chunk> chunks;
  const auto elements = [&](ByteReader& from, uint64_t n) {
    for (uint64_t i = 0; i < n; ++i) chunks.push_back(array_chunk(from, chunks.size(), entry, filtered, g));
  };
  ByteReader b = image.claim_summed(block, 14 + bitmap + (paged ? 0 : count * entry) + 4, "fixed array's block");
  if (b.text(4) != "FADB" || b.number<uint8_t>() != 0 || b.number<uint8_t>() != (filtered ? 1 : 0) || b.number<uint64_t>() != address)
    image.refuse(block, "fixed array's block: expected it to begin with FADB, version 0, and to name its header");
  if (!paged) elements(b, count);
  uint64_t at = block + 14 + bitmap + 4;
  for (uint64_t p = 0; paged && p < pages; ++p) {
    const uint64_t n = std::min(page, count - p * page);
    ByteReader from = image.claim_summed(at, n * entry + 4, "fixed array's page");
    elements(from, n);
    at += n * entry + 4;
  }
  return chunks;
}

// Copies a chunk to where it lies in the tensor; what reaches beyond the shape is left out.
void place(const Grid& g, const Chunk& c, std::span<const std::byte> from, std::vector<std::byte>& to) {
  const size_t rank = g.shape.size();
  std::vector<uint64_t> begin(rank), size(rank), at(rank, 0);
  uint64_t index = c.index;
  for (size_t d = rank; d-- > 0; index /= g.counts[d]) {
    begin[d] = index % g.counts[d] * g.chunk[d];
    size[d] = std::min(g.chunk[d], g.shape[d] - begin[d]);
  }
  const uint64_t run = size[rank - 1] * g.element;
  for (bool more = true; more;) {                 // a row of the innermost dimension each turn
    uint64_t source = 0, target = 0;
    for (size_t d = 0; d < rank; ++d) source = source * g.chunk[d] + at[d], target = target * g.shape[d] + begin[d] + at[d];
    std::memcpy(to.data() + target * g.element, from.data() + source * g.element, run);
    more = false;
    for (size_t d = rank - 1; d-- > 0 && !more;) more = ++at[d] < size[d] || (at[d] = 0);
  }
}

std::vector<std::byte> assembled(H5Image& image, const Grid& g, std::span<const Chunk> chunks, const Filters& filters, uint64_t bytes, const ByteReader& layout) {
  if (chunks.size() != g.chunks) layout.damaged("layout: got {} chunks, expected {}: not all of them were written", chunks.size(), g.chunks);
  std::vector<bool> seen(g.chunks);
  for (const Chunk& c : chunks) {
    if (c.at == kH5Undefined) layout.damaged("layout: chunk {} was never written", c.index);
    if (seen[c.index]) image.refuse(c.at, "chunk {} is there twice", c.index);
    seen[c.index] = true;
  }
  image.spend(bytes, layout.base(), "dataset");
  std::vector<std::byte> out(bytes);
  for (const Chunk& c : chunks) {
    const ByteReader r = image.claim(c.at, c.bytes, "chunk");
    image.spend(g.chunk_bytes, c.at, "chunk");
    place(g, c, unfiltered(r, filters, c.mask, g.chunk_bytes, g.element), out);
  }
  return out;
}

// ---- layouts

struct Dataset {
  H5Image& image;
  const H5Space& space;
  Filters filters;
  uint64_t element, bytes;                        // of one element, of all
};

// Dimensions, the last of which is an element's bytes.
std::vector<uint64_t> read_chunk_shape(ByteReader& r, int dimensions, uint64_t width, const Dataset& d) {
  std::vector<uint64_t> chunk;
  for (int i = 0; i < dimensions; ++i) chunk.push_back(h5_number(r, width));
  if (uint64_t(dimensions) != d.space.shape.size() + 1 || chunk.empty() || dimensions == 1 || chunk.back() != d.element)
    r.damaged("layout: got chunks of {} dimensions, expected {} and elements of {} bytes", dimensions, d.space.shape.size() + 1, d.element);
  chunk.pop_back();
  return chunk;
}

std::vector<std::byte> chunked_3(ByteReader& r, const Dataset& d) {
  const int dimensions = r.number<uint8_t>();
  const auto tree = r.number<uint64_t>();
  const Grid g = make_grid(d.image, d.space, read_chunk_shape(r, dimensions, 4, d), d.element, r);
  if (g.chunks == 0) return {};
  if (tree == kH5Undefined) r.damaged("layout: none of {} chunks was written", g.chunks);
  return assembled(d.image, g, tree_chunks(d.image, tree, g), d.filters, d.bytes, r);
}

std::vector<std::byte> chunked_4(ByteReader& r, const Dataset& d) {
  enum { single = 1, implicit = 2, fixed = 3, extensible = 4, tree = 5 };
  const auto flags = r.number<uint8_t>();
  const int dimensions = r.number<uint8_t>();
  const uint64_t width = r.number<uint8_t>();
  if (width < 1 || width > 8) r.damaged("layout: got dimensions of {} bytes, expected 1 to 8", width);
  const Grid g = make_grid(d.image, d.space, read_chunk_shape(r, dimensions, width, d), d.element, r);
  const auto kind = r.number<uint8_t>();
  if (g.chunks == 0) return {};
  if (kind == extensible || kind == tree) r.damaged("layout: got the chunks of a dataset that may grow, expected one of a fixed shape");
  if (kind < single || kind > fixed) r.damaged("layout: got chunks of kind {}, expected 1 to 3", kind);
  if (flags & 1) r.damaged("layout: got whole chunks at the edges that no filter was applied to, expected filtered ones");
  std::vector<Chunk> chunks;
  if (kind == single) {
    Chunk c{0, 0, g.chunk_bytes, 0};
    if (flags & 2) c.bytes = r.number<uint64_t>(), c.mask = r.number<uint32_t>();
    c.at = r.number<uint64_t>();
    chunks.push_back(c);
  } else if (kind == implicit) {
    const auto at = r.number<uint64_t>();
    if (at == kH5Undefined || g.chunks > d.image.size() / g.chunk_bytes) r.damaged("layout: {} chunks of {} bytes at byte {} are not in the file", g.chunks, g.chunk_bytes, at);
    for (uint64_t i = 0; i < g.chunks; ++i) chunks.push_back({i, at + i * g.chunk_bytes, g.chunk_bytes, 0});
  } else {
    r.take(1);
    const auto at = r.number<uint64_t>();
    if (at == kH5Undefined) r.damaged("layout: none of {} chunks was written", g.chunks);
    chunks = array_chunks(d.image, at, g, !d.filters.empty());
  }
  return assembled(d.image, g, chunks, d.filters, d.bytes, r);
}

std::vector<std::byte> contents(ByteReader r, const Dataset& d) {
  enum { compact = 0, contiguous = 1, chunked = 2 };
  const auto version = r.number<uint8_t>(), kind = r.number<uint8_t>();
  if (version != 3 && version != 4) r.damaged("layout: got version {}, expected 3 or 4", version);
  if (kind > chunked) r.damaged("layout: got {}, expected elements of this file's own", kind == 3 ? "a dataset made of others" : "an unknown one");
  if (kind == chunked) return version == 3 ? chunked_3(r, d) : chunked_4(r, d);
  if (!d.filters.empty()) r.damaged("layout: got filters, expected none but on chunks");
  const auto copied = [&](std::span<const std::byte> bytes) {
    d.image.spend(bytes.size(), r.base(), "dataset");
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  };
  const uint64_t at = kind == contiguous ? r.number<uint64_t>() : 0, bytes = kind == contiguous ? r.number<uint64_t>() : r.number<uint16_t>();
  if (bytes != d.bytes && d.bytes != 0) r.damaged("layout: got {} bytes, expected {} by shape and type", bytes, d.bytes);
  if (d.bytes == 0) return {};
  if (kind == compact) return copied(r.take(bytes));
  if (at == kH5Undefined) r.damaged("layout: its {} bytes were never written", bytes);
  return copied(d.image.claim(at, bytes, "dataset").take(bytes));
}

void reverse_elements(std::vector<std::byte>& bytes, uint64_t element) {
  for (size_t at = 0; at < bytes.size(); at += element) std::reverse(bytes.begin() + ptrdiff_t(at), bytes.begin() + ptrdiff_t(at + element));
}

}  // namespace

std::optional<WeightTensor> read_dataset(H5Image& image, const std::vector<H5Message>& messages, const H5Texts& attributes) {
  const H5Message* const layout = find_message(messages, H5MessageType::layout);
  const auto need = [&](H5MessageType type, const char* what) {
    const H5Message* m = find_message(messages, type);
    if (!m) image.refuse(layout->at, "dataset: got no {}, expected one", what);
    return reader_of(image, *m);
  };
  H5Type type = read_type(need(H5MessageType::datatype, "datatype"));
  const H5Space space = read_space(need(H5MessageType::dataspace, "dataspace"));
  if (const H5Message* m = find_message(messages, H5MessageType::external_files)) image.refuse(m->at, "dataset: its elements lie in other files, expected them in this one");
  if (type.kind == H5Type::Kind::two_bytes) {     // Keras marks what HDF5 has no type for
    const auto it = attributes.find("dtype");
    if (it != attributes.end() && it->second == std::vector<std::string>{"bfloat16"}) type.kind = H5Type::Kind::number, type.stored = StoredType::bf16;
  }
  if (type.kind != H5Type::Kind::number) return std::nullopt;
  if (space.elements > kMaxFileBytes / type.bytes) image.refuse(layout->at, "dataset: got {} elements of {} bytes, expected at most 8 GiB", space.elements, type.bytes);
  Dataset dataset{image, space, {}, type.bytes, space.elements * type.bytes};
  if (const H5Message* m = find_message(messages, H5MessageType::filters)) dataset.filters = read_filters(reader_of(image, *m));
  WeightTensor tensor{type.stored, space.shape, contents(reader_of(image, *layout), dataset)};
  if (type.big_endian) reverse_elements(tensor.bytes, type.bytes);
  return tensor;
}

}  // namespace vkfer
