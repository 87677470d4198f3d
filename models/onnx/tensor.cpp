#include "models/onnx/tensor.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <sys/stat.h>
#include <unistd.h>

namespace vkfer {
namespace {

constexpr size_t kMaxRank = 16;
constexpr uint64_t kMaxEntries = 64;          // of external_data: location, offset, length, checksum
constexpr uint64_t kRepeats = 8, kSlack = 64 << 20;  // external bytes read: at most so many times the file's, plus the slack

struct TypeRow {
  int64_t onnx;
  StoredType type;
  int list;                                   // the TensorProto field that holds it when raw_data does not
};
constexpr int kFloats = 4, kInts32 = 5, kInts64 = 7, kDoubles = 10, kUints64 = 11;
constexpr TypeRow kTypes[] = {{1, StoredType::f32, kFloats},  {2, StoredType::u8, kInts32},       {3, StoredType::i8, kInts32},   {4, StoredType::u16, kInts32},
                              {5, StoredType::i16, kInts32},  {6, StoredType::i32, kInts32},      {7, StoredType::i64, kInts64},  {9, StoredType::boolean, kInts32},
                              {10, StoredType::f16, kInts32}, {11, StoredType::f64, kDoubles},    {12, StoredType::u32, kUints64}, {13, StoredType::u64, kUints64},
                              {16, StoredType::bf16, kInts32}};
constexpr const char* kRefused[] = {"nothing", "", "", "", "", "", "", "", "texts", "", "", "", "", "", "complex numbers", "complex numbers"};

struct External {
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
};

// What a TensorProto holds, before it is known to agree with itself.
struct Parts {
  std::string name;
  std::vector<int64_t> dims;
  int64_t type = 0;
  std::optional<std::span<const std::byte>> raw;
  std::vector<float> floats;
  std::vector<double> doubles;
  std::vector<int64_t> ints32, ints64, uints64;
  std::map<std::string, std::string> external;
  bool is_external = false;
  bool is_segment = false;
};

std::pair<std::string, std::string> entry(ProtoReader r) {
  std::pair<std::string, std::string> e;
  while (r.next()) {
    if (r.number() == 1) e.first = r.text();
    if (r.number() == 2) e.second = r.text();
  }
  return e;
}

Parts parts_of(ProtoReader r) {
  Parts p;
  while (r.next()) {
    switch (r.number()) {
      case 1: r.integers(p.dims); break;
      case 2: p.type = r.integer(); break;
      case 3: p.is_segment = true; break;
      case kFloats: r.floats(p.floats); break;
      case kInts32: r.integers(p.ints32); break;
      case kInts64: r.integers(p.ints64); break;
      case 8: p.name = r.text(); break;
      case 9: p.raw = r.bytes(); break;
      case kDoubles: r.doubles(p.doubles); break;
      case kUints64: r.integers(p.uints64); break;
      case 13:
        if (p.external.size() == kMaxEntries) r.damaged("got more than {} entries of external data", kMaxEntries);
        p.external.insert(entry(r.message()));
        break;
      case 14: p.is_external = r.integer() == 1; break;
      default: break;
    }
    if (p.dims.size() > kMaxRank) r.damaged("tensor '{}' has more than {} dimensions", shown(p.name), kMaxRank);
  }
  return p;
}

uint64_t whole(const ProtoReader& at, const Parts& p, const char* key) {
  const std::string& text = p.external.at(key);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) at.damaged("tensor '{}': external {} is '{}', expected a whole number", shown(p.name), key, shown(text));
  return value;
}

External external_of(const ProtoReader& at, const Parts& p) {
  if (!p.external.count("location")) at.damaged("tensor '{}' lies in another file, but no location is given", shown(p.name));
  External e{p.external.at("location"), 0, {}};
  if (p.external.count("offset")) e.offset = whole(at, p, "offset");
  if (p.external.count("length")) e.length = whole(at, p, "length");
  return e;
}

template <class T>
void append(std::vector<std::byte>& to, T value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  to.insert(to.end(), bytes.begin(), bytes.end());
}

// A list holds every element in the widest type of its kind.
template <class Stored>
void append_whole(const ProtoReader& at, const Parts& p, const std::vector<int64_t>& from, std::vector<std::byte>& to) {
  for (const int64_t v : from) {
    const bool fits = std::is_same_v<Stored, uint64_t> || (v >= int64_t(std::numeric_limits<Stored>::min()) && v <= int64_t(std::numeric_limits<Stored>::max()));
    if (!fits) at.damaged("tensor '{}': got {}, expected {} to {}", shown(p.name), v, int64_t(std::numeric_limits<Stored>::min()), int64_t(std::numeric_limits<Stored>::max()));
    append(to, Stored(v));
  }
}

std::vector<std::byte> listed(const ProtoReader& at, const Parts& p, StoredType type) {
  std::vector<std::byte> out;
  switch (type) {
    case StoredType::f32: for (float v : p.floats) append(out, v); break;
    case StoredType::f64: for (double v : p.doubles) append(out, v); break;
    case StoredType::i64: for (int64_t v : p.ints64) append(out, v); break;
    case StoredType::i32: append_whole<int32_t>(at, p, p.ints32, out); break;
    case StoredType::i16: append_whole<int16_t>(at, p, p.ints32, out); break;
    case StoredType::i8: append_whole<int8_t>(at, p, p.ints32, out); break;
    case StoredType::u8: append_whole<uint8_t>(at, p, p.ints32, out); break;
    case StoredType::boolean: append_whole<uint8_t>(at, p, p.ints32, out); break;
    case StoredType::u16: case StoredType::f16: case StoredType::bf16: append_whole<uint16_t>(at, p, p.ints32, out); break;
    case StoredType::u32: append_whole<uint32_t>(at, p, p.uints64, out); break;
    case StoredType::u64: append_whole<uint64_t>(at, p, p.uints64, out); break;
  }
  return out;
}

}  // namespace

std::optional<StoredType> type_of_onnx(int64_t data_type) {
  for (const TypeRow& row : kTypes)
    if (row.onnx == data_type) return row.type;
  return std::nullopt;
}

int64_t onnx_type(StoredType type) {
  for (const TypeRow& row : kTypes)
    if (row.type == type) return row.onnx;
  return 0;
}

std::vector<std::byte> ExternalData::read(const std::string& tensor, const std::string& location, uint64_t offset, uint64_t bytes) {
  const auto refuse = [&](const std::string& what) {
    fail("onnx", "{}: tensor '{}' lies in another file, '{}': {}. Fix: keep the model's files together, as they were saved", source_, shown(tensor), shown(location), what);
  };
  std::string name = location.starts_with("./") ? location.substr(2) : location;
  if (name.empty() || name == "." || name == ".." || name.find_first_of("/\\") != name.npos || name.find('\0') != name.npos)
    refuse("expected a plain name in the model's own folder");
  const std::string path = (folder_ / name).string();
  const int file = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) refuse(errno == ELOOP ? "it is a link, expected a file" : std::string("cannot be opened: ") + std::strerror(errno));
  struct Closer {
    int file;
    ~Closer() { ::close(file); }
  } closer{file};
  struct stat info {};
  if (::fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) refuse("it is no file");
  const uint64_t size = uint64_t(info.st_size);
  if (offset > size || bytes > size - offset) refuse(fmt::format("got {} bytes from {}, expected them within its {}", bytes, offset, size));
  read_ += bytes;
  if (read_ > kMaxFileBytes || read_ > kRepeats * size + kSlack) refuse(fmt::format("{} bytes asked of it in all, expected at most {} times its {}", read_, kRepeats, size));
  std::vector<std::byte> out(bytes);
  for (uint64_t done = 0; done < bytes;) {
    const ssize_t got = ::pread(file, out.data() + done, bytes - done, off_t(offset + done));
    if (got <= 0) refuse(got < 0 ? std::strerror(errno) : "it became shorter while it was read");
    done += uint64_t(got);
  }
  return out;
}

std::pair<std::string, WeightTensor> read_onnx_tensor(ProtoReader r, ExternalData* external) {
  const ProtoReader begin = r;
  Parts p = parts_of(r);
  const std::string name = shown(p.name);
  const auto type = type_of_onnx(p.type);
  if (!type) begin.damaged("tensor '{}' holds {} (type {}), expected numbers", name, p.type >= 0 && p.type < 16 ? kRefused[p.type] : "an unknown type", p.type);
  if (p.is_segment) begin.damaged("tensor '{}' is a segment of one, expected it whole", name);
  WeightTensor t{*type, p.dims, {}};
  uint64_t expected = stored_bytes(t.type);
  for (const int64_t d : p.dims)
    if (d < 0) begin.damaged("tensor '{}' has a dimension of {}, expected 0 or more", name, d);
    else if (d > 0 && expected > kMaxFileBytes / uint64_t(d)) begin.damaged("tensor '{}': its elements exceed 8 GiB", name);
    else expected *= uint64_t(std::max<int64_t>(d, 1));
  if (std::ranges::count(p.dims, 0)) expected = 0;

  const bool lists = !p.floats.empty() || !p.doubles.empty() || !p.ints32.empty() || !p.ints64.empty() || !p.uints64.empty();
  if (int(p.raw.has_value()) + int(lists) + int(p.is_external) > 1) begin.damaged("tensor '{}' holds its elements twice", name);
  if (p.is_external) {
    const External e = external_of(begin, p);
    if (!external) begin.damaged("tensor '{}' lies in another file, expected its elements here", name);
    if (e.length && *e.length != expected) begin.damaged("tensor '{}' has {} bytes in '{}', expected {} by its shape and type", name, *e.length, shown(e.location), expected);
    t.bytes = external->read(p.name, e.location, e.offset, expected);
  } else if (p.raw) {
    t.bytes.assign(p.raw->begin(), p.raw->end());
  } else {
    t.bytes = listed(begin, p, t.type);
  }
  if (t.bytes.size() != expected) begin.damaged("tensor '{}' has {} bytes, expected {} by its shape and type", name, t.bytes.size(), expected);
  return {std::move(p.name), std::move(t)};
}

void write_onnx_tensor(ProtoWriter& to, const std::string& name, const WeightTensor& t) {
  to.integers(1, t.shape);
  to.integer(2, onnx_type(t.type));
  if (!name.empty()) to.text(8, name);
  to.text(9, ByteReader::as_text(t.bytes));
}

WeightTensor parse_onnx_tensor(std::span<const std::byte> bytes, const std::string& source) {
  return read_onnx_tensor(ProtoReader(bytes, source, 0), nullptr).second;
}

}  // namespace vkfer
