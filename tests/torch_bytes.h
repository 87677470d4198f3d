#pragma once
// Pickles, zips and tars as a hostile hand would write them, byte by byte.
#include <zlib.h>

#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vkfer::test {

using namespace std::string_literals;

template <class T>
std::string le(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

inline std::vector<std::byte> as_bytes(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

// ---- pickles: each makes the opcodes of one value
inline std::string text(std::string_view s) { return "X" + le(uint32_t(s.size())) + std::string(s); }
inline std::string whole(int64_t i) { return "\x8a\x08" + le(i); }
inline std::string global(std::string_view module, std::string_view name) { return "c" + std::string(module) + "\n" + std::string(name) + "\n"; }
inline std::string tuple(const std::vector<std::string>& items) {
  std::string out = "(";
  for (const auto& i : items) out += i;
  return out + "t";
}
inline std::string wholes(const std::vector<int64_t>& numbers) {
  std::vector<std::string> items;
  for (int64_t n : numbers) items.push_back(whole(n));
  return tuple(items);
}
inline std::string call(const std::string& callable, const std::vector<std::string>& arguments) { return callable + tuple(arguments) + "R"; }
inline std::string dict(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string out = "}(";
  for (const auto& [key, value] : entries) out += text(key) + value;
  return out + "u";
}
inline std::string pickle(const std::string& value) { return "\x80\x02" + value + "."; }

inline std::string storage(const std::string& key = "0", int64_t elements = 6, const std::string& type = "FloatStorage") {
  return tuple({text("storage"), global("torch", type), text(key), text("cpu"), whole(elements), "N"}) + "Q";
}
inline std::string tensor(const std::string& over, int64_t offset, const std::vector<int64_t>& shape, const std::vector<int64_t>& stride) {
  return call(global("torch._utils", "_rebuild_tensor_v2"), {over, whole(offset), wholes(shape), wholes(stride), "\x89", call(global("collections", "OrderedDict"), {})});
}
inline std::string good_tensor() { return tensor(storage(), 0, {2, 3}, {3, 1}); }

// ---- containers
struct ZipPart {
  std::string name, data;
  bool deflate = false;
  // What the headers claim; -1 or empty: the truth.
  int64_t size = -1, packed = -1, offset = -1, crc = -1;
  uint16_t flags = 0, method = 0xffff;
  std::string local_name = {};
};

inline std::string deflated(const std::string& data) {
  z_stream z{};
  deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, uLong(data.size())) + 16, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  z.avail_in = uInt(data.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = uInt(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

inline std::string zipped(const std::vector<ZipPart>& parts, int count_lie = 0) {
  std::string file, directory;
  for (const ZipPart& p : parts) {
    const std::string packed = p.deflate ? deflated(p.data) : p.data;
    const uint32_t crc = p.crc >= 0 ? uint32_t(p.crc) : uint32_t(crc32_z(0, reinterpret_cast<const Bytef*>(p.data.data()), p.data.size()));
    const uint16_t method = p.method != 0xffff ? p.method : p.deflate ? 8 : 0;
    const std::string local_name = p.local_name.empty() ? p.name : p.local_name;
    const std::string numbers = le(crc) + le(uint32_t(p.packed >= 0 ? p.packed : int64_t(packed.size()))) + le(uint32_t(p.size >= 0 ? p.size : int64_t(p.data.size())));
    directory += "PK\1\2"s + le(uint16_t(20)) + le(uint16_t(20)) + le(p.flags) + le(method) + le(uint32_t(0)) + numbers + le(uint16_t(p.name.size())) + le(uint16_t(0)) +
                 le(uint16_t(0)) + le(uint16_t(0)) + le(uint16_t(0)) + le(uint32_t(0)) + le(uint32_t(p.offset >= 0 ? p.offset : int64_t(file.size()))) + p.name;
    if (p.offset < 0)
      file += "PK\3\4"s + le(uint16_t(20)) + le(p.flags) + le(method) + le(uint32_t(0)) + numbers + le(uint16_t(local_name.size())) + le(uint16_t(0)) + local_name + packed;
  }
  const uint16_t count = uint16_t(int(parts.size()) + count_lie);
  return file + directory + "PK\5\6"s + le(uint16_t(0)) + le(uint16_t(0)) + le(count) + le(count) + le(uint32_t(directory.size())) + le(uint32_t(file.size())) + le(uint16_t(0));
}

inline std::string floats(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += le(float(i));
  return out;
}

// What torch.save writes around `value`, with one storage of 6 floats.
inline std::vector<ZipPart> torch_parts(const std::string& value) { return {{"net/data.pkl", pickle(value)}, {"net/data/0", floats(6)}, {"net/version", "3\n"}}; }
inline std::string torch_zip(const std::string& value) { return zipped(torch_parts(value)); }

inline const std::string kMagicPickle = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."s;
inline std::string legacy(const std::string& value, const std::string& keys, const std::string& storages, bool little = true, int64_t version = 1001) {
  return kMagicPickle + pickle(whole(version)) + pickle(dict({{"little_endian", little ? "\x88" : "\x89"}})) + pickle(value) + pickle(keys) + storages;
}
inline std::string one_key(const std::string& key = "0") { return "](" + text(key) + "e"; }

inline std::string tarred(const std::vector<std::pair<std::string, std::string>>& parts) {
  std::string out;
  for (const auto& [name, data] : parts) {
    std::string header(512, '\0');
    const auto put = [&](size_t at, const std::string& s) { header.replace(at, s.size(), s); };
    char size[13];
    std::snprintf(size, sizeof size, "%011zo", data.size());
    put(0, name), put(124, size), put(148, "        "), put(156, "0"), put(257, "ustar"s + '\0' + "00");
    unsigned sum = 0;
    for (unsigned char c : header) sum += c;
    char check[9];
    std::snprintf(check, sizeof check, "%06o", sum);
    put(148, std::string(check) + '\0' + ' ');
    out += header + data + std::string((512 - data.size() % 512) % 512, '\0');
  }
  return out + std::string(1024, '\0');
}

}  // namespace vkfer::test
