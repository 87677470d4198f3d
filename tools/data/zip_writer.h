#pragma once
// A zip written in one pass, members stored as they are (pictures are compressed already), the same bytes for the same members:
// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tools/data/output_file.h"

namespace vkfer {

class ZipWriter {
 public:
  explicit ZipWriter(const std::filesystem::path& path) : file_(path) {}
  void add(std::string_view name, std::span<const std::byte> bytes);  // "train/happy/1.png"; below 4 GiB
  void finish();                                                      // the directory at the end; without it the file is no zip

 private:
  struct Member {
    std::string name;
    uint32_t crc, bytes;
    uint64_t offset;
  };
  OutputFile file_;
  std::vector<Member> members_;
  uint64_t at_ = 0;
};

}  // namespace vkfer
