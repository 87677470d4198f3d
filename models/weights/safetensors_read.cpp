// Reads safetensors. Every number of the header is checked before it is used: the file may be cut, damaged or made to harm.
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "models/weights/bytes.h"
#include "models/weights/weight_file.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxHeaderBytes = 32 << 20;           // some 300,000 tensors
constexpr int kMaxDepth = 4;                             // {name: {shape: [..]}} needs 3
constexpr size_t kMaxRank = 16;

struct Extent {
  uint64_t begin, end;
  std::string name;
};

[[noreturn]] void damaged(const std::string& source, const std::string& what) {
  fail("safetensors", "{}: {}. Fix: write or download the file again", source, what);
}

Json parse_header(std::string_view text, const std::string& source) {
  std::vector<std::set<std::string>> keys;   // of the objects that are open
  std::string trouble;
  auto callback = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > kMaxDepth) trouble = "header nests too deeply";
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second)
      trouble = "the same name twice in the header: got '" + shown(value.get<std::string>()) + "'";
    return trouble.empty();  // false: the element is dropped, so a hostile header stays small
  };
  Json header;
  try {
    header = Json::parse(text, callback);
  } catch (const Json::exception&) {
    damaged(source, "header: got no valid JSON, expected the table of tensors");
  }
  if (!trouble.empty()) damaged(source, trouble);
  if (!header.is_object()) damaged(source, "header: got no JSON object, expected the table of tensors");
  return header;
}

uint64_t whole_number(const Json& v, const std::string& source, const std::string& name, const char* what) {
  if (!v.is_number_unsigned()) damaged(source, fmt::format("'{}': {}: expected a whole number, 0 or more", shown(name), what));
  return v.get<uint64_t>();
}

// Adds the tensor `name` of the header entry; returns where its bytes lie.
Extent read_entry(const std::string& name, const Json& entry, std::span<const std::byte> data, WeightFile& file) {
  auto bad = [&](const std::string& what) { damaged(file.source, fmt::format("'{}': {}", shown(name), what)); };
  if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") || !entry.contains("data_offsets"))
    bad("got an entry without dtype, shape and data_offsets, expected all three");
  const Json &dtype = entry["dtype"], &dims = entry["shape"], &offsets = entry["data_offsets"];
  if (!dtype.is_string() || !stored_type(dtype.get_ref<const std::string&>()))
    bad(fmt::format("dtype: got {}, expected F32, F16, BF16, F64 or an integer type", shown(dtype.dump(-1, ' ', true, Json::error_handler_t::replace))));
  if (!dims.is_array() || dims.size() > kMaxRank) bad(fmt::format("shape: expected a list of at most {} numbers", kMaxRank));
  if (!offsets.is_array() || offsets.size() != 2) bad("data_offsets: expected [begin, end]");

  WeightTensor tensor;
  tensor.type = *stored_type(dtype.get_ref<const std::string&>());
  uint64_t bytes = stored_bytes(tensor.type);
  for (const Json& dim : dims) {
    const uint64_t d = whole_number(dim, file.source, name, "shape");
    if (d > kMaxFileBytes || (d != 0 && bytes > kMaxFileBytes / d)) bad("shape: its elements exceed 8 GiB");
    bytes *= d;
    tensor.shape.push_back(int64_t(d));
  }
  const uint64_t begin = whole_number(offsets[0], file.source, name, "data_offsets"), end = whole_number(offsets[1], file.source, name, "data_offsets");
  if (begin > end || end > data.size())
    bad(fmt::format("data_offsets: got {}..{}, expected within the {} bytes after the header", begin, end, data.size()));
  if (end - begin != bytes) bad(fmt::format("got {} bytes, expected {} by its shape and dtype", end - begin, bytes));
  tensor.bytes.assign(data.begin() + ptrdiff_t(begin), data.begin() + ptrdiff_t(end));
  file.tensors.emplace(name, std::move(tensor));
  return {begin, end, name};
}

// The tensors must tile the bytes: no overlap, no gap, nothing behind the last.
void check_tiling(std::vector<Extent> extents, uint64_t total, const std::string& source) {
  std::ranges::sort(extents, [](const Extent& a, const Extent& b) { return std::tie(a.begin, a.end) < std::tie(b.begin, b.end); });
  uint64_t at = 0;
  for (const Extent& e : extents) {
    if (e.begin != at)
      damaged(source, fmt::format("'{}': {}: got it at byte {}, expected {}", shown(e.name), e.begin < at ? "overlaps another tensor" : "a gap lies before it", e.begin, at));
    at = e.end;
  }
  if (at != total) damaged(source, fmt::format("{} bytes behind the last tensor, expected none", total - at));
}

void read_metadata(const Json& entry, WeightFile& file) {
  if (!entry.is_object()) damaged(file.source, "__metadata__: expected an object of texts");
  for (const auto& [key, value] : entry.items()) {
    if (!value.is_string()) damaged(file.source, fmt::format("__metadata__ '{}': expected a text", shown(key)));
    file.metadata[key] = value.get<std::string>();
  }
}

}  // namespace

WeightFile parse_safetensors(std::span<const std::byte> bytes, std::string source) {
  uint64_t header_bytes = 0;
  if (bytes.size() < 8) damaged(source, fmt::format("got {} bytes, expected at least the 8 of the header length", bytes.size()));
  std::memcpy(&header_bytes, bytes.data(), 8);
  if (header_bytes > kMaxHeaderBytes || header_bytes > bytes.size() - 8)
    damaged(source, fmt::format("header length: got {}, expected at most {}: not a safetensors file, or cut short", header_bytes, std::min<uint64_t>(kMaxHeaderBytes, bytes.size() - 8)));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + 8, header_bytes);
  if (text.empty() || text.front() != '{') damaged(source, "header: expected it to start with '{'");

  WeightFile file;
  file.source = std::move(source);
  const auto data = bytes.subspan(8 + header_bytes);
  const Json header = parse_header(text, file.source);
  // Counted along the way: tensors that overlap could otherwise ask for far more memory than the file has.
  uint64_t claimed = 0;
  std::vector<Extent> extents;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      read_metadata(entry, file);
      continue;
    }
    extents.push_back(read_entry(name, entry, data, file));
    claimed += extents.back().end - extents.back().begin;
    if (claimed > data.size()) damaged(file.source, fmt::format("'{}': the tensors overlap: more bytes than the file holds", shown(name)));
  }
  check_tiling(std::move(extents), data.size(), file.source);
  return file;
}

}  // namespace vkfer
