#include "tools/data/zip_writer.h"

#include <zlib.h>

#include <algorithm>

#include "runtime/error.h"

namespace vkfer {
namespace {

constexpr uint16_t kVersion = 20, kVersion64 = 45, kUnixVersion = 3 << 8 | kVersion64, kUtf8 = 1 << 11, kStored = 0;
constexpr uint16_t kTime = 0, kDate = 1 << 5 | 1;  // 1980-01-01, where MS-DOS' calendar begins
constexpr uint32_t kFileMode = 0100644;
constexpr uint32_t kMost32 = 0xFFFFFFFF;           // "see the zip64 field"
constexpr uint16_t kMost16 = 0xFFFF;

// Little-endian fields one after another.
class Fields {
 public:
  Fields& u16(uint16_t v) { return put(v, 2); }
  Fields& u32(uint32_t v) { return put(v, 4); }
  Fields& u64(uint64_t v) { return put(v, 8); }
  Fields& text(std::string_view t) {
    bytes_ += t;
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  Fields& put(uint64_t v, int count) {
    for (int i = 0; i < count; ++i) bytes_ += static_cast<char>(v >> (8 * i) & 255);
    return *this;
  }
  std::string bytes_;
};

uint32_t capped(uint64_t v) { return uint32_t(std::min<uint64_t>(v, kMost32)); }

}  // namespace

void ZipWriter::add(std::string_view name, std::span<const std::byte> bytes) {
  if (bytes.size() >= kMost32 || name.size() >= kMost16) fail("zip", "'{}': {} bytes do not fit a member", name.substr(0, 100), bytes.size());
  const auto crc = uint32_t(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
  members_.push_back({std::string(name), crc, uint32_t(bytes.size()), at_});
  Fields header;
  header.u32(0x04034b50).u16(kVersion).u16(kUtf8).u16(kStored).u16(kTime).u16(kDate).u32(crc).u32(uint32_t(bytes.size())).u32(uint32_t(bytes.size()));
  header.u16(uint16_t(name.size())).u16(0).text(name);
  file_.write(header.bytes());
  file_.write(bytes);
  at_ += header.bytes().size() + bytes.size();
}

void ZipWriter::finish() {
  Fields directory;
  for (const Member& m : members_) {
    const bool far = m.offset >= kMost32;
    directory.u32(0x02014b50).u16(kUnixVersion).u16(far ? kVersion64 : kVersion).u16(kUtf8).u16(kStored).u16(kTime).u16(kDate).u32(m.crc).u32(m.bytes).u32(m.bytes);
    directory.u16(uint16_t(m.name.size())).u16(far ? 12 : 0).u16(0).u16(0).u16(0).u32(kFileMode << 16).u32(capped(m.offset)).text(m.name);
    if (far) directory.u16(1).u16(8).u64(m.offset);
  }
  const uint64_t start = at_, size = directory.bytes().size(), count = members_.size();
  Fields end;
  if (start >= kMost32 || size >= kMost32 || count >= kMost16) {
    end.u32(0x06064b50).u64(44).u16(kUnixVersion).u16(kVersion64).u32(0).u32(0).u64(count).u64(count).u64(size).u64(start);
    end.u32(0x07064b50).u32(0).u64(start + size).u32(1);
  }
  const auto members = uint16_t(std::min<uint64_t>(count, kMost16));
  end.u32(0x06054b50).u16(0).u16(0).u16(members).u16(members).u32(capped(size)).u32(capped(start)).u16(0);
  file_.write(directory.bytes());
  file_.write(end.bytes());
  file_.sync();
  file_.close();
}

}  // namespace vkfer
