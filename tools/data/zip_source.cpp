// Class folders inside a zip, read in place through libzip: https://libzip.org/documentation/
// Nothing is ever written to disk, so names can only mislead, not escape; they are refused nevertheless.
#include <zip.h>

#include <memory>
#include <mutex>
#include <unordered_set>

#include "runtime/error.h"
#include "tools/data/class_tree.h"
#include "tools/data/sources.h"

namespace vkfer {
namespace {

constexpr const char* kFix = "Fix: download or pack the zip again";
constexpr uint64_t kMaxDeflateRatio = 1032;  // what deflate can reach; a header that promises more lies

class ZipArchive {
 public:
  explicit ZipArchive(const std::filesystem::path& path) : name_(path.string()) {
    int code = 0;
    zip_ = zip_open(path.c_str(), ZIP_RDONLY, &code);
    if (zip_) return;
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string message = zip_error_strerror(&error);
    zip_error_fini(&error);
    fail("zip", "'{}' cannot be opened: {}. {}", name_, message, kFix);
  }
  ~ZipArchive() { zip_discard(zip_); }
  ZipArchive(const ZipArchive&) = delete;

  std::vector<TreePath> list() const;
  std::vector<std::byte> read(uint64_t index, const std::string& member) const;
  const std::string& name() const { return name_; }

 private:
  void check_member(const zip_stat_t& stat, std::string_view member) const;

  std::string name_;
  zip_t* zip_ = nullptr;      // one file position: every access is under the mutex, decoding is not
  mutable std::mutex mutex_;
};

bool is_safe(std::string_view name) {
  if (name.empty() || name.starts_with('/') || name.find('\\') != name.npos || name.find(':') != name.npos) return false;
  const std::string padded = fmt::format("/{}/", name);
  return padded.find("/../") == padded.npos && padded.find("/./") == padded.npos && name.find("//") == name.npos;
}

void ZipArchive::check_member(const zip_stat_t& stat, std::string_view member) const {
  constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  if ((stat.valid & kNeeded) != kNeeded) fail("zip", "'{}': '{}' has an incomplete header. {}", name_, member, kFix);
  if (stat.encryption_method != ZIP_EM_NONE)
    fail("zip", "'{}': '{}' is encrypted. Fix: unpack it with its password and name the folder", name_, member);
  if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE)
    fail("zip", "'{}': '{}' uses compression method {}, expected stored or deflated. Fix: pack it with plain zip", name_,
         member, stat.comp_method);
  if (stat.size > kMaxImageFileBytes)
    fail("zip", "'{}': '{}' unpacks to {} bytes, expected at most {}", name_, member, stat.size, kMaxImageFileBytes);
  const uint64_t ratio = stat.comp_method == ZIP_CM_STORE ? 1 : kMaxDeflateRatio;
  if (stat.size > stat.comp_size * ratio + 64)
    fail("zip", "'{}': '{}' claims {} bytes from {} packed ones. {}", name_, member, stat.size, stat.comp_size, kFix);
}

std::vector<TreePath> ZipArchive::list() const {
  std::vector<TreePath> paths;
  std::unordered_set<std::string> seen;
  const zip_int64_t count = zip_get_num_entries(zip_, 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* raw = zip_get_name(zip_, static_cast<zip_uint64_t>(i), 0);
    if (!raw) fail("zip", "'{}': member {} has no readable name. {}", name_, i, kFix);
    std::string member = raw;
    if (!is_safe(member))
      fail("zip", "'{}': member name '{}' is absolute or leaves the archive. Fix: do not trust this file", name_, member);
    const bool folder = member.back() == '/';
    if (folder) member.pop_back();
    if (!seen.insert(member).second)
      fail("zip", "'{}': member '{}' appears twice. Fix: pack the zip again", name_, member);
    paths.push_back({std::move(member), folder, static_cast<size_t>(i)});
  }
  return paths;
}

std::vector<std::byte> ZipArchive::read(uint64_t index, const std::string& member) const {
  const std::lock_guard lock(mutex_);
  zip_stat_t stat;
  if (zip_stat_index(zip_, index, 0, &stat) != 0)
    fail("zip", "'{}': '{}': {}. {}", name_, member, zip_strerror(zip_), kFix);
  check_member(stat, member);
  const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(zip_fopen_index(zip_, index, 0), &zip_fclose);
  if (!file) fail("zip", "'{}': '{}': {}. {}", name_, member, zip_strerror(zip_), kFix);
  std::vector<std::byte> bytes(stat.size);
  size_t at = 0;
  while (at < bytes.size()) {
    const zip_int64_t got = zip_fread(file.get(), bytes.data() + at, bytes.size() - at);
    if (got <= 0) break;
    at += static_cast<size_t>(got);
  }
  std::byte more;
  const zip_int64_t end = zip_fread(file.get(), &more, 1);  // reading past the end compares the checksum
  if (at != bytes.size() || end != 0)
    fail("zip", "'{}': '{}': {} of {} bytes: {}. {}", name_, member, at, bytes.size(), zip_file_strerror(file.get()), kFix);
  return bytes;
}

}  // namespace

DatasetContents open_zip(const std::filesystem::path& path, const DatasetOptions&) {
  const auto archive = std::make_shared<ZipArchive>(path);
  ClassTree tree = read_class_tree(path.string(), archive->list());
  DatasetContents contents;
  contents.classes = std::move(tree.classes);
  contents.samples = std::move(tree.samples);
  contents.warnings = std::move(tree.warnings);
  contents.encoded = [archive](const Sample& sample) { return archive->read(sample.entry, sample.id); };
  contents.decode = [archive](const Sample& sample) {
    return decode_image(archive->read(sample.entry, sample.id), archive->name() + ":" + sample.id);
  };
  return contents;
}

}  // namespace vkfer
