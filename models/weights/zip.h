#pragma once
// Zip archives in memory, for the weight files that are one (PyTorch's): stored and deflated members, zip64.
// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT gives the format. Trusts nothing: the directory must be
// consistent with the members, members may not overlap, sizes are bounded, and what is unpacked matches its CRC-32.
// Names are keys and never become paths.
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vkfer {

struct ZipMember {
  std::string name;
  uint64_t header = 0, begin = 0, end = 0;  // in the file: local header, packed bytes
  uint64_t size = 0;                        // unpacked
  uint32_t crc = 0;
  bool deflated = false;
};

bool looks_like_zip(std::span<const std::byte>);

class ZipFile {
 public:
  // Reads and checks the directory and every local header; `file` must outlive this.
  ZipFile(std::span<const std::byte> file, std::string source);

  const std::vector<ZipMember>& members() const { return members_; }
  const ZipMember* find(std::string_view name) const;
  // The unpacked bytes, verified; they live as long as this. Fails naming the member.
  std::span<const std::byte> read(const ZipMember&);
  const std::string& source() const { return source_; }

 private:
  void read_directory(uint64_t offset, uint64_t bytes, uint64_t count);
  void check_local_header(ZipMember&, uint64_t directory) const;
  void check_members() const;
  std::vector<std::byte> inflate(const ZipMember&) const;

  std::span<const std::byte> file_;
  std::string source_;
  std::vector<ZipMember> members_;
  std::map<std::string, size_t, std::less<>> by_name_;
  std::map<std::string, std::vector<std::byte>, std::less<>> unpacked_;  // of deflated members
  std::set<std::string, std::less<>> verified_;                          // names
};

}  // namespace vkfer
