// Writes safetensors: tensors in the order of their names, aligned as they come out, no time or path: same input, same bytes.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "models/weights/weight_file.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

using Json = nlohmann::ordered_json;

// Largest elements first, so that every tensor is aligned to its type; then by name.
std::vector<const std::pair<const std::string, WeightTensor>*> in_order(const WeightFile& file) {
  std::vector<const std::pair<const std::string, WeightTensor>*> order;
  for (const auto& entry : file.tensors) order.push_back(&entry);
  std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) { return stored_bytes(a->second.type) > stored_bytes(b->second.type); });
  return order;
}

class OpenFile {
 public:
  explicit OpenFile(const std::filesystem::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
  ~OpenFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  bool ok() const { return fd_ >= 0; }
  bool write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      bytes = bytes.subspan(size_t(n));
    }
    return true;
  }
  bool sync() { return ::fsync(fd_) == 0; }

 private:
  int fd_;
};

void write_durably(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  auto temporary = path;
  temporary += fmt::format(".{}.tmp", ::getpid());
  auto give_up = [&](const char* what) {
    const std::string reason = std::strerror(errno);
    ::unlink(temporary.c_str());
    fail("safetensors", "{}: cannot be {}: {}. Fix: check the folder, its permissions and free space", path.string(), what, reason);
  };
  {
    OpenFile file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    if (!file.ok()) give_up("created");
    if (!file.write(bytes) || !file.sync()) give_up("written");
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) give_up("renamed into place");
  // The rename itself survives a power cut only when the folder is synced; some file systems refuse that, which is no loss here.
  OpenFile folder(path.has_parent_path() ? path.parent_path() : ".", O_RDONLY | O_DIRECTORY);
  if (folder.ok()) folder.sync();
}

}  // namespace

std::vector<std::byte> safetensors_bytes(const WeightFile& file) {
  Json header = Json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  uint64_t at = 0;
  const auto order = in_order(file);
  for (const auto* entry : order) {
    const auto& [name, tensor] = *entry;
    const uint64_t end = at + tensor.bytes.size();
    header[name] = {{"dtype", stored_name(tensor.type)}, {"shape", tensor.shape}, {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.append((8 - text.size() % 8) % 8, ' ');

  std::vector<std::byte> bytes(8 + text.size() + at);
  const uint64_t length = text.size();
  std::memcpy(bytes.data(), &length, 8);
  std::memcpy(bytes.data() + 8, text.data(), text.size());
  std::byte* to = bytes.data() + 8 + text.size();
  for (const auto* entry : order) to = std::copy(entry->second.bytes.begin(), entry->second.bytes.end(), to);
  return bytes;
}

void write_safetensors(const std::filesystem::path& path, const WeightFile& file) { write_durably(path, safetensors_bytes(file)); }

}  // namespace vkfer
