#pragma once
// What the tests of tools/data share: files made on the spot (JPEG, PNG of any colour type, zip, npy), and damage to them.
#include <turbojpeg.h>
#include <unistd.h>
#include <zip.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "runtime/error.h"
#include "tests/catch.h"
#include "tools/data/dataset.h"
#include "tools/data/philox.h"

namespace vkfer::test {

namespace fs = std::filesystem;


using Bytes = std::vector<std::byte>;

struct TempDir {
  fs::path path;
  TempDir() {
    static int count = 0;
    path = fs::temp_directory_path() / fmt::format("vkfer_data_test_{}_{}", ::getpid(), count++);
    fs::create_directories(path);
  }
  ~TempDir() { fs::remove_all(path); }
};

inline Bytes to_bytes(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return Bytes(bytes.begin(), bytes.end());
}

inline Bytes first(Bytes bytes, size_t count) {
  bytes.resize(count);
  return bytes;
}

inline void write_file(const fs::path& path, std::span<const std::byte> bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}
inline void write_file(const fs::path& path, std::string_view text) { write_file(path, to_bytes(text)); }

inline Bytes file_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  return to_bytes(text);
}

// A picture with a little of everything a codec must get right.
inline Image picture(int width, int height, int channels, uint32_t seed = 1) {
  Image image{height, width, channels, {}};
  PhiloxSequence random(seed, PhiloxStream::synthetic);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c)
        image.pixels.push_back(static_cast<uint8_t>((x * 7 + y * 3 + c * 40 + random.below(24)) % 256));
  return image;
}

inline Bytes jpeg_of(const Image& image, int subsampling = TJSAMP_444, int flags = 0, int quality = 95) {
  tjhandle handle = tjInitCompress();
  unsigned char* out = nullptr;
  unsigned long size = 0;
  const int format = image.channels == 1 ? TJPF_GRAY : image.channels == 3 ? TJPF_RGB : TJPF_CMYK;
  REQUIRE(tjCompress2(handle, image.pixels.data(), image.width, 0, image.height, format, &out, &size,
                      image.channels == 1 ? static_cast<int>(TJSAMP_GRAY) : subsampling, quality, flags) == 0);
  Bytes bytes(size);
  std::memcpy(bytes.data(), out, size);
  tjFree(out);
  tjDestroy(handle);
  return bytes;
}

// PNG written by hand, so that every colour type and depth can be had: 8-byte signature, IHDR, chunks, IEND.
inline void append32(Bytes& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(std::byte(value >> shift & 255));
}
inline void append_chunk(Bytes& out, std::string_view type, std::span<const std::byte> data) {
  append32(out, static_cast<uint32_t>(data.size()));
  const size_t start = out.size();
  const Bytes name = to_bytes(type);
  out.insert(out.end(), name.begin(), name.end());
  out.insert(out.end(), data.begin(), data.end());
  append32(out, static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(out.data() + start), static_cast<uInt>(out.size() - start))));
}
inline Bytes png_of(uint32_t width, uint32_t height, int depth, int colour_type, std::span<const uint8_t> rows,
             const std::vector<std::pair<std::string, std::vector<uint8_t>>>& before_data = {}, int interlace = 0) {
  Bytes out = to_bytes("\x89PNG\r\n\x1A\n"), header, data;
  append32(header, width);
  append32(header, height);
  for (const int field : {depth, colour_type, 0, 0, interlace}) header.push_back(std::byte(field));
  append_chunk(out, "IHDR", header);
  for (const auto& [type, content] : before_data) append_chunk(out, type, std::as_bytes(std::span(content)));
  uLongf size = compressBound(rows.size());
  data.resize(size);
  REQUIRE(compress(reinterpret_cast<Bytef*>(data.data()), &size, rows.data(), rows.size()) == Z_OK);
  data.resize(size);
  append_chunk(out, "IDAT", data);
  append_chunk(out, "IEND", {});
  return out;
}

inline Bytes png_of(const Image& image) {
  std::vector<uint8_t> rows;
  const size_t stride = static_cast<size_t>(image.width) * image.channels;
  for (int y = 0; y < image.height; ++y) {
    rows.push_back(0);
    rows.insert(rows.end(), image.pixels.begin() + y * stride, image.pixels.begin() + (y + 1) * stride);
  }
  return png_of(image.width, image.height, 8, image.channels == 1 ? 0 : 2, rows);
}

struct ZipMember {
  std::string name;
  Bytes bytes;
  bool stored = false, encrypted = false;
};

inline void write_zip(const fs::path& path, const std::vector<ZipMember>& members) {
  int code = 0;
  zip_t* zip = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  REQUIRE(zip);
  for (const ZipMember& member : members) {
    if (member.name.back() == '/') {
      REQUIRE(zip_dir_add(zip, member.name.c_str(), 0) >= 0);
      continue;
    }
    zip_source_t* source = zip_source_buffer(zip, member.bytes.data(), member.bytes.size(), 0);
    const auto index = zip_file_add(zip, member.name.c_str(), source, 0);
    REQUIRE(index >= 0);
    if (member.stored) REQUIRE(zip_set_file_compression(zip, static_cast<zip_uint64_t>(index), ZIP_CM_STORE, 0) == 0);
    if (member.encrypted) REQUIRE(zip_file_set_encryption(zip, static_cast<zip_uint64_t>(index), ZIP_EM_TRAD_PKWARE, "secret") == 0);
  }
  REQUIRE(zip_close(zip) == 0);
}

inline Bytes small_jpeg(uint32_t seed) { return jpeg_of(picture(16, 16, 1, seed)); }

// <root>/<class>/NN.jpg, `count` of each.
inline void write_classes(const fs::path& root, const std::vector<std::string>& classes, int count, const std::string& prefix = "") {
  uint32_t seed = 0;
  for (const std::string& name : classes)
    for (int i = 0; i < count; ++i) write_file(root / name / fmt::format("{}{:03}.jpg", prefix, i), small_jpeg(++seed));
}

// Writable while libzip rewrites nothing: replaces the first occurrence of `from` in a file by `to` of equal length.
inline void patch_file(const fs::path& path, std::string_view from, std::string_view to, bool everywhere = true) {
  std::ifstream in(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), {});
  REQUIRE(text.find(from) != text.npos);
  for (size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size()) {
    text.replace(at, from.size(), to);
    if (!everywhere) break;
  }
  write_file(path, text);
}

inline std::string test_data(const std::string& name) {
  const char* root = std::getenv("VKFER_TEST_DATA");
  if (!root || !fs::exists(fs::path(root) / name)) {
    WARN("skipped: set VKFER_TEST_DATA to a folder that holds " << name);
    return {};
  }
  return (fs::path(root) / name).string();
}

// Bytes that no reader may crash on: throws Error or succeeds, nothing else. Returns how often it succeeded.
template <class Read>
int flip_bytes(const Bytes& good, int rounds, uint64_t seed, Read read) {
  PhiloxSequence random(seed, PhiloxStream::shuffle);
  int succeeded = 0;
  for (int round = 0; round < rounds; ++round) {
    Bytes bad = good;
    for (uint32_t i = 0, flips = 1 + random.below(4); i < flips; ++i)
      bad[random.below(static_cast<uint32_t>(bad.size()))] = std::byte(random.below(256));
    if (random.below(4) == 0) bad.resize(random.below(static_cast<uint32_t>(bad.size())) + 1);
    try {
      read(bad);
      ++succeeded;
    } catch (const Error&) {
    }
  }
  return succeeded;
}

// Rounds of random damage: VKFER_FUZZ where set, for long runs by hand.
inline int fuzz_rounds(int usual) {
  const char* rounds = std::getenv("VKFER_FUZZ");
  return rounds ? std::atoi(rounds) : usual;
}

inline Bytes npy_of(std::string header, std::string_view data, int version = 1) {
  header.append(63 - (header.size() + (version == 1 ? 10 : 12)) % 64, ' ');
  header += '\n';
  std::string out = "\x93NUMPY";
  out += static_cast<char>(version);
  out += '\0';
  out += static_cast<char>(header.size() & 255);
  out += static_cast<char>(header.size() >> 8);
  if (version > 1) out += std::string(2, '\0');
  return to_bytes(out + header + std::string(data));
}

template <class T>
inline std::string raw(std::initializer_list<T> values) {
  std::string out(values.size() * sizeof(T), '\0');
  std::memcpy(out.data(), values.begin(), out.size());
  return out;
}

inline std::string header_of(const std::string& descr, const std::string& shape, const char* fortran = "False") {
  return fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}", descr, fortran, shape);
}

}  // namespace vkfer::test
