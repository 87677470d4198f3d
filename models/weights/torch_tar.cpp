// The format before 0.2, as torch.serialization still reads it. A tar's members are found by name; no path is taken.
#include <charconv>
#include <map>

#include "models/weights/bytes.h"
#include "models/weights/torch_read.h"
#include "models/weights/torch_values.h"

namespace vkfer {
namespace {

constexpr uint64_t kBlock = 512;
constexpr size_t kMaxRank = 16;
constexpr int64_t kMaxRecords = 1 << 20;

struct Part {
  std::span<const std::byte> bytes;
  uint64_t at = 0;                               // in the file
};

uint64_t octal(ByteReader& in, std::string_view field) {
  while (!field.empty() && (field.back() == '\0' || field.back() == ' ')) field.remove_suffix(1);
  while (!field.empty() && field.front() == ' ') field.remove_prefix(1);
  uint64_t value = 0;
  if (field.empty() || std::from_chars(field.data(), field.data() + field.size(), value, 8).ptr != field.data() + field.size())
    in.damaged("got no octal number in a tar header");
  return value;
}

std::map<std::string, Part> tar_parts(std::span<const std::byte> bytes, const std::string& source) {
  ByteReader in(bytes, "tar", source);
  std::map<std::string, Part> parts;
  while (in.left() >= kBlock) {
    const std::string_view header = in.text(kBlock);
    if (header.find_first_not_of('\0') == header.npos) break;  // the end
    uint64_t sum = 8 * ' ';                      // its own field counts as blanks
    for (size_t i = 0; i < kBlock; ++i) sum += i >= 148 && i < 156 ? 0 : uint8_t(header[i]);
    if (octal(in, header.substr(148, 8)) != sum) in.damaged("the checksum of a tar header is wrong");
    const std::string name(header.substr(0, std::min<size_t>(header.find('\0'), 100)));
    const uint64_t size = octal(in, header.substr(124, 12));
    const uint64_t at = in.at();
    const auto body = in.take(size);
    in.take(std::min(in.left(), (kBlock - size % kBlock) % kBlock));
    const char type = header[156];
    if (type != '0' && type != '\0') continue;   // folders, links, comments
    if (!parts.emplace(name, Part{body, at}).second) in.damaged("member '{}' appears twice", shown(name));
  }
  return parts;
}

class TarStorages : public TorchStorages {
 public:
  TarStorages(const Pickle& pickle, std::string source) : pickle_(pickle), source_(std::move(source)) {}

  // Pickle (key, location, type), then the number of elements and the elements; at the end views of storages.
  void read_storages(const Part& part) {
    Records in(part, source_);
    for (int64_t left = in.count(); left > 0; --left) {
      const Pickle p = in.pickle();
      const auto id = p.items(p.root);
      if (id.size() != 3) in.damaged("got a storage without key, location and type");
      TorchStorage storage{torch_type(p.text(id[2]), source_), {}};
      const uint64_t elements = in.number<uint64_t>(), element = stored_bytes(storage.type);
      if (elements > in.left() / element) in.damaged("got a storage of {} elements, expected at most {}", elements, in.left() / element);
      storage.bytes = in.take(elements * element);
      bytes_ += storage.bytes.size();
      if (!storages_.emplace(key(p, id[0]), storage).second) in.damaged("a storage comes twice");
    }
    const Pickle views = in.pickle();
    for (const PickleValue view : views.items(views.root)) {
      const auto v = views.items(view);
      if (v.size() != 4 || v[2].kind != PickleKind::integer || v[3].kind != PickleKind::integer) in.damaged("got a view of a storage without key, storage, offset and size");
      const auto root = storages_.find(key(views, v[1]));
      if (root == storages_.end()) in.damaged("got a view of a storage that is not there");
      TorchStorage storage = root->second;
      const uint64_t element = stored_bytes(storage.type), all = storage.bytes.size() / element;
      const uint64_t offset = uint64_t(v[2].integer), count = uint64_t(v[3].integer);
      if (offset > all || count > all - offset) in.damaged("a view of a storage leaves it");
      storage.bytes = storage.bytes.subspan(size_t(offset * element), size_t(count * element));
      if (!storages_.emplace(key(views, v[0]), storage).second) in.damaged("a storage comes twice");
    }
    in.end();
  }

  // Pickle (key, storage, type), then rank, shape, strides and offset.
  void read_tensors(const Part& part) {
    Records in(part, source_);
    for (int64_t left = in.count(); left > 0; --left) {
      const Pickle p = in.pickle();
      const auto id = p.items(p.root);
      if (id.size() != 3) in.damaged("got a tensor without key, storage and type");
      const auto storage = storages_.find(key(p, id[1]));
      if (storage == storages_.end()) in.damaged("got a tensor whose storage is not there");
      TorchView v;
      v.storage = storage->second;
      const uint32_t rank = in.number<uint32_t>();
      in.take(4);
      if (rank > kMaxRank) in.damaged("got a tensor of {} dimensions, expected at most {}", rank, kMaxRank);
      for (auto* list : {&v.shape, &v.stride})
        for (uint32_t i = 0; i < rank; ++i) {
          list->push_back(in.number<int64_t>());
          if (list->back() < 0) in.damaged("got a negative shape or stride");
        }
      v.offset = in.number<uint64_t>();
      if (!tensors_.emplace(key(p, id[0]), std::move(v)).second) in.damaged("a tensor comes twice");
    }
    in.end();
  }

  TorchView find(PickleValue persistent) override {
    const std::string id = key(pickle_, pickle_.items(persistent)[0]);
    if (const auto it = tensors_.find(id); it != tensors_.end()) return it->second;
    if (const auto it = storages_.find(id); it != storages_.end()) return TorchView{it->second, 0, {}, {}};
    fail("torch", "{}: tensor '{}' is not in the file. Fix: download or save the file again", source_, shown(id));
  }
  bool is_tensor(PickleValue persistent) const override { return tensors_.count(key(pickle_, pickle_.items(persistent)[0])) != 0; }
  uint64_t bytes() const override { return bytes_; }

 private:
  // Pickles and numbers in turns.
  class Records {
   public:
    Records(const Part& part, const std::string& source) : part_(part), source_(source), in_(part.bytes, "torch", source, part.at) {}
    Pickle pickle() {
      uint64_t used = 0;
      Pickle p = read_pickle(part_.bytes.subspan(size_t(in_.at())), source_, part_.at + in_.at(), &used);
      in_.take(used);
      return p;
    }
    int64_t count() {
      const Pickle p = pickle();
      if (p.root.kind != PickleKind::integer || p.root.integer < 0 || p.root.integer > kMaxRecords) damaged("expected a count of at most {}", kMaxRecords);
      return p.root.integer;
    }
    template <class T>
    T number() { return in_.number<T>(); }
    std::span<const std::byte> take(uint64_t count) { return in_.take(count); }
    uint64_t left() const { return in_.left(); }
    void end() {
      if (left() != 0) damaged("{} bytes behind the last record, expected none", left());
    }
    template <class... Args>
    [[noreturn]] void damaged(fmt::format_string<Args...> format, Args&&... args) const { in_.damaged(format, std::forward<Args>(args)...); }

   private:
    const Part& part_;
    const std::string& source_;
    ByteReader in_;
  };

  static std::string key(const Pickle& p, PickleValue v) { return v.kind == PickleKind::integer ? std::to_string(v.integer) : std::string(p.text(v)); }

  const Pickle& pickle_;
  std::string source_;
  std::map<std::string, TorchStorage> storages_;
  std::map<std::string, TorchView> tensors_;
  uint64_t bytes_ = 0;
};

}  // namespace

bool looks_like_tar(std::span<const std::byte> bytes) { return bytes.size() >= kBlock && ByteReader::as_text(bytes).substr(257, 5) == "ustar"; }

WeightFile parse_torch_tar(std::span<const std::byte> bytes, const std::string& source) {
  const auto parts = tar_parts(bytes, source);
  const auto part = [&](const char* name) -> const Part& {
    const auto it = parts.find(name);
    if (it == parts.end()) fail("torch", "{}: got a tar archive without '{}', expected what PyTorch before 0.2 wrote. Fix: name a weight file", source, name);
    return it->second;
  };
  const Part &object = part("pickle"), &storages_part = part("storages"), &tensors_part = part("tensors");
  const Pickle pickle = read_pickle(object.bytes, source, object.at);
  TarStorages storages(pickle, source);
  storages.read_storages(storages_part);
  storages.read_tensors(tensors_part);
  return TorchValues(pickle, source, storages).network();
}

}  // namespace vkfer
