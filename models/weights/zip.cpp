#include "models/weights/zip.h"

#include <zlib.h>

#include <algorithm>

#include "models/weights/bytes.h"

namespace vkfer {
namespace {

constexpr uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd64 = 0x06064b50;
constexpr uint64_t kEndBytes = 22, kLocator64Bytes = 20, kMaxComment = 0xffff;
constexpr uint16_t kEncrypted = 1, kDescriptor = 8, kStored = 0, kDeflated = 8, kZip64Extra = 1;
constexpr uint32_t kIn64 = 0xffffffff;           // this field is in the zip64 extra
constexpr uint64_t kMaxDeflateRatio = 1032;      // what deflate can reach; a header that promises more lies
constexpr uint64_t kMaxMembers = 1 << 20;
constexpr uint64_t kFreely = 256 << 20, kMaxRatio = 16;  // all members may unpack to so much, and so many times the file

ByteReader reader(std::span<const std::byte> file, const std::string& source, uint64_t from, const char* what) {
  if (from > file.size()) fail("zip", "{}: the {} lies at byte {}, expected within the {} of the file. Fix: download the file again", source, what, from, file.size());
  return ByteReader(file.subspan(size_t(from)), "zip", source, from);
}

struct End {
  uint64_t at = 0;                               // of the first record that ends the directory
  uint64_t count = 0, bytes = 0, offset = 0;     // of the directory
};

End read_end64(std::span<const std::byte> file, const std::string& source, uint64_t locator) {
  ByteReader r = reader(file, source, locator + 4, "zip64 locator");
  const uint32_t disk = r.number<uint32_t>();
  End end;
  end.at = r.number<uint64_t>();
  if (disk != 0 || r.number<uint32_t>() > 1) r.damaged("the archive has several parts, expected one");
  ByteReader e = reader(file, source, end.at, "zip64 end record");
  if (e.number<uint32_t>() != kEnd64) e.damaged("got no zip64 end record, expected one here");
  const uint64_t bytes = e.number<uint64_t>();
  if (end.at > locator || bytes != locator - end.at - 12) e.damaged("the zip64 end record has {} bytes, expected it to reach the locator at byte {}", bytes, locator);
  e.take(4);                                     // versions
  if (e.number<uint32_t>() != 0 || e.number<uint32_t>() != 0) e.damaged("the archive has several parts, expected one");
  end.count = e.number<uint64_t>();
  if (e.number<uint64_t>() != end.count) e.damaged("the archive has several parts, expected one");
  end.bytes = e.number<uint64_t>();
  end.offset = e.number<uint64_t>();
  return end;
}

// The end record is the last thing in the file, but for a comment of up to 64 KiB.
End read_end(std::span<const std::byte> file, const std::string& source) {
  const std::string_view text = ByteReader::as_text(file);
  const uint64_t first = file.size() < kEndBytes + kMaxComment ? 0 : file.size() - kEndBytes - kMaxComment;
  for (uint64_t at = file.size() < kEndBytes ? 0 : file.size() - kEndBytes + 1; at-- > first;) {
    if (text.substr(at, 4) != std::string_view("PK\5\6", 4)) continue;
    ByteReader r = reader(file, source, at + 4, "end record");
    const uint16_t disk = r.number<uint16_t>(), directory_disk = r.number<uint16_t>(), here = r.number<uint16_t>(), count = r.number<uint16_t>();
    const uint32_t bytes = r.number<uint32_t>(), offset = r.number<uint32_t>();
    if (r.number<uint16_t>() != r.left()) continue;  // by chance in a comment
    const bool has64 = at >= kLocator64Bytes && text.substr(at - kLocator64Bytes, 4) == std::string_view("PK\6\7", 4);
    if (has64) {
      const End end = read_end64(file, source, at - kLocator64Bytes);
      const auto agrees = [](uint64_t small, uint64_t limit, uint64_t large) { return small == limit || small == large; };
      if (!agrees(count, 0xffff, end.count) || !agrees(bytes, kIn64, end.bytes) || !agrees(offset, kIn64, end.offset))
        r.damaged("the end record and its zip64 twin disagree");
      return end;
    }
    if (disk != 0 || directory_disk != 0 || here != count) r.damaged("the archive has several parts, expected one");
    return {at, count, bytes, offset};
  }
  fail("zip", "{}: no end record in the last 64 KiB: not a zip archive, or cut short. Fix: download or save the file again", source);
}

// The fields that are too large for the header, in the order of the format.
void read_zip64_extra(ByteReader& r, std::string_view extra, std::initializer_list<uint64_t*> fields) {
  ByteReader e(std::as_bytes(std::span(extra)), "zip", r.source(), 0);
  while (e.left() >= 4) {
    const uint16_t id = e.number<uint16_t>(), bytes = e.number<uint16_t>();
    ByteReader body(e.take(bytes), "zip", r.source(), 0);
    if (id != kZip64Extra) continue;
    for (uint64_t* field : fields)
      if (*field == kIn64) *field = body.number<uint64_t>();
    return;
  }
}

}  // namespace

bool looks_like_zip(std::span<const std::byte> bytes) {
  return ByteReader::as_text(bytes).starts_with(std::string_view("PK\3\4", 4));
}

ZipFile::ZipFile(std::span<const std::byte> file, std::string source) : file_(file), source_(std::move(source)) {
  const End end = read_end(file_, source_);
  if (end.count > kMaxMembers || end.bytes > end.at || end.offset != end.at - end.bytes)
    fail("zip", "{}: the directory of {} members is at bytes {}+{}, expected it to end at byte {}. Fix: download or save the file again", source_,
         end.count, end.offset, end.bytes, end.at);
  read_directory(end.offset, end.bytes, end.count);
  check_members();
}

void ZipFile::read_directory(uint64_t offset, uint64_t bytes, uint64_t count) {
  ByteReader r(file_.subspan(size_t(offset), size_t(bytes)), "zip", source_, offset);
  for (uint64_t i = 0; i < count; ++i) {
    if (r.number<uint32_t>() != kCentral) r.damaged("got no directory entry, expected {} of {}", i + 1, count);
    ZipMember m;
    r.take(4);                                   // versions
    const uint16_t flags = r.number<uint16_t>(), method = r.number<uint16_t>();
    r.take(4);                                   // time, date
    m.crc = r.number<uint32_t>();
    uint64_t packed = r.number<uint32_t>();
    m.size = r.number<uint32_t>();
    const uint16_t name = r.number<uint16_t>(), extra = r.number<uint16_t>(), comment = r.number<uint16_t>(), disk = r.number<uint16_t>();
    r.take(6);                                   // attributes
    m.header = r.number<uint32_t>();
    m.name = r.text(name);
    read_zip64_extra(r, r.text(extra), {&m.size, &packed, &m.header});
    r.take(comment);
    const auto refuse = [&](const std::string& what) { r.damaged("member '{}': {}", shown(m.name), what); };
    if (flags & kEncrypted) refuse("is encrypted, expected a plain one");
    if (method != kStored && method != kDeflated) refuse(fmt::format("compression method {}, expected 0 (stored) or 8 (deflated)", method));
    if (disk != 0 && disk != 0xffff) refuse("lies in another part of the archive");
    m.deflated = method == kDeflated;
    if (!m.deflated && packed != m.size) refuse(fmt::format("is stored as {} bytes, expected its {}", packed, m.size));
    if (m.size > kMaxFileBytes) refuse(fmt::format("unpacks to {} bytes, expected at most {}", m.size, kMaxFileBytes));
    if (m.deflated && m.size / kMaxDeflateRatio > packed) refuse(fmt::format("claims {} bytes from {} packed ones: no deflate reaches that", m.size, packed));
    if (packed > file_.size()) refuse(fmt::format("has {} packed bytes, expected at most the {} of the file", packed, file_.size()));
    m.end = packed;                              // made a position once its begin is known
    if (!by_name_.emplace(m.name, members_.size()).second) refuse("appears twice");
    members_.push_back(std::move(m));
  }
  if (r.left() != 0) r.damaged("{} bytes behind the last directory entry, expected none", r.left());
  for (ZipMember& m : members_) check_local_header(m, offset);
}

// The header before the member's bytes must say what the directory says; turns m.end from a count into a position.
void ZipFile::check_local_header(ZipMember& m, uint64_t directory) const {
  ByteReader r = reader(file_, source_, m.header, "header of a member");
  const auto refuse = [&](const char* what) { r.damaged("member '{}': {}", shown(m.name), what); };
  if (r.number<uint32_t>() != kLocal) refuse("got no member here, expected its header");
  r.take(2);
  const uint16_t flags = r.number<uint16_t>(), method = r.number<uint16_t>();
  r.take(4);
  const uint32_t crc = r.number<uint32_t>();
  uint64_t packed = r.number<uint32_t>(), size = r.number<uint32_t>();
  const uint16_t name = r.number<uint16_t>(), extra = r.number<uint16_t>();
  if (r.text(name) != m.name) refuse("its header has another name");
  read_zip64_extra(r, r.text(extra), {&size, &packed});
  if ((flags & kEncrypted) || (method == kDeflated) != m.deflated) refuse("its header disagrees with the directory about how it is packed");
  if (!(flags & kDescriptor) && (crc != m.crc || packed != m.end || size != m.size)) refuse("its header disagrees with the directory about its size or checksum");
  m.begin = m.header + r.at();
  if (m.begin > directory || m.end > directory - m.begin) refuse("reaches into the directory");
  m.end += m.begin;
}

// Overlapping members are how a small file claims to be a large one.
void ZipFile::check_members() const {
  std::vector<const ZipMember*> order;
  const uint64_t limit = std::min(kMaxFileBytes, kFreely + kMaxRatio * file_.size());
  uint64_t total = 0;
  for (const ZipMember& m : members_) {
    order.push_back(&m);
    total += m.size;
    if (total > limit) fail("zip", "{}: its members unpack to more than {} bytes, expected at most that from {}. Fix: do not trust this file; if you do, pack it without compression", source_, limit, file_.size());
  }
  std::ranges::sort(order, {}, [](const ZipMember* m) { return m->header; });
  for (size_t i = 1; i < order.size(); ++i)
    if (order[i]->header < order[i - 1]->end)
      fail("zip", "{}: at byte {}: members '{}' and '{}' overlap. Fix: do not trust this file", source_, order[i]->header,
           shown(order[i - 1]->name), shown(order[i]->name));
}

const ZipMember* ZipFile::find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &members_[it->second];
}

std::vector<std::byte> ZipFile::inflate(const ZipMember& m) const {
  std::vector<std::byte> out(m.size);
  z_stream z{};
  if (inflateInit2(&z, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
  int code = Z_OK;
  uint64_t in = m.begin, made = 0;
  std::byte beyond{};                            // one byte of room past the end shows that there is more
  while (code == Z_OK) {
    constexpr uint64_t kPiece = 1 << 30;
    const uInt in_bytes = uInt(std::min(m.end - in, kPiece)), out_bytes = uInt(std::min(m.size - made, kPiece));
    z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(file_.data() + in));
    z.avail_in = in_bytes;
    z.next_out = reinterpret_cast<Bytef*>(out_bytes ? out.data() + made : &beyond);
    z.avail_out = out_bytes ? out_bytes : 1;
    const uInt room = z.avail_out;
    code = ::inflate(&z, Z_NO_FLUSH);
    in += in_bytes - z.avail_in;
    if (!out_bytes && z.avail_out == 0) code = Z_DATA_ERROR;
    else if (out_bytes) made += room - z.avail_out;
  }
  inflateEnd(&z);
  if (code != Z_STREAM_END || made != m.size || in != m.end)
    fail("zip", "{}: at byte {}: member '{}' does not unpack to its {} bytes: damaged. Fix: download or save the file again", source_, in, shown(m.name), m.size);
  return out;
}

std::span<const std::byte> ZipFile::read(const ZipMember& m) {
  std::span<const std::byte> bytes = file_.subspan(size_t(m.begin), size_t(m.end - m.begin));
  if (m.deflated) {
    auto it = unpacked_.find(m.name);
    if (it == unpacked_.end()) it = unpacked_.emplace(m.name, inflate(m)).first;
    bytes = it->second;
  }
  if (!verified_.count(m.name)) {
    const uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
    if (crc != m.crc) fail("zip", "{}: at byte {}: member '{}' has the checksum {:08x}, expected {:08x}: damaged. Fix: download or save the file again", source_, m.begin, shown(m.name), crc, m.crc);
    verified_.insert(m.name);
  }
  return bytes;
}

}  // namespace vkfer
