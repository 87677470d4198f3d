#include <map>

#include "models/weights/bytes.h"
#include "models/weights/torch_read.h"
#include "models/weights/torch_values.h"

namespace vkfer {
namespace {

constexpr std::string_view kMagic("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 13);  // LONG1 of 10 bytes: 0x1950a86a20f9469cfc6c, and the end
constexpr size_t kFrame = 9;                     // of protocols 4 and 5, between their two bytes and the number
constexpr int64_t kProtocol = 1001;

// The pickles and storages one after the other.
class Sections {
 public:
  Sections(std::span<const std::byte> bytes, std::string source) : bytes_(bytes), source_(std::move(source)) {}
  Pickle pickle() {
    uint64_t used = 0;
    Pickle p = read_pickle(bytes_.subspan(size_t(at_)), source_, at_, &used);
    at_ += used;
    return p;
  }
  ByteReader rest() const { return ByteReader(bytes_.subspan(size_t(at_)), "torch", source_, at_); }

 private:
  std::span<const std::byte> bytes_;
  std::string source_;
  uint64_t at_ = 0;
};

// A persistent id is ('storage', type, key, location, elements, view), where view is None or (key, offset, elements);
// or ('module', class, file, source text) for a class, which stays inert.
class LegacyStorages : public TorchStorages {
 public:
  LegacyStorages(const Pickle& pickle, std::string source) : pickle_(pickle), source_(std::move(source)) {
    for (const PickleValue persistent : pickle.persistent) {
      const auto id = pickle_.items(pickle_.items(persistent)[0]);
      if (!id.empty() && pickle_.text(id[0]) == "module") continue;
      if (id.size() < 5 || pickle_.text(id[0]) != "storage") refuse("got a persistent id that names no storage");
      const StoredType type = torch_type(pickle_.text(id[1]), source_);
      const auto [it, added] = storages_.try_emplace(key(id[2]), TorchStorage{type, {}});
      if (!added && it->second.type != type) refuse(fmt::format("storage '{}' has two types", shown(it->first)));
    }
  }

  // After the pickles: the keys in the order in which the storages follow, each with its number of elements.
  void read(const Pickle& keys, ByteReader in) {
    for (const PickleValue k : keys.items(keys.root)) {
      const auto it = storages_.find(std::string(keys.text(k)));
      if (k.kind != PickleKind::text || it == storages_.end()) in.damaged("a storage that no tensor uses: its element type is unknown");
      if (it->second.bytes.data()) in.damaged("storage '{}' comes twice", shown(it->first));
      const uint64_t elements = in.number<uint64_t>(), element = stored_bytes(it->second.type);
      if (elements > in.left() / element) in.damaged("storage '{}' of {} elements, expected at most {}", shown(it->first), elements, in.left() / element);
      it->second.bytes = in.take(elements * element);
      bytes_ += it->second.bytes.size();
    }
    if (in.left() != 0) in.damaged("{} bytes behind the last storage, expected none", in.left());
    for (const auto& [key, storage] : storages_)
      if (!storage.bytes.data()) refuse(fmt::format("storage '{}' is not in the file", shown(key)));
  }

  TorchView find(PickleValue persistent) override {
    const auto id = pickle_.items(pickle_.items(persistent)[0]);
    if (id.size() < 5 || pickle_.text(id[0]) != "storage") refuse("got a tensor whose storage is none");
    TorchView v;
    v.storage = storages_.at(key(id[2]));
    if (id.size() < 6 || id[5].kind == PickleKind::none) return v;
    const auto part = pickle_.items(id[5]);      // a view of the storage; the tensor counts from its begin
    const uint64_t element = stored_bytes(v.storage.type), all = v.storage.bytes.size() / element;
    const bool numbers = part.size() == 3 && part[1].kind == PickleKind::integer && part[2].kind == PickleKind::integer;
    if (!numbers || uint64_t(part[1].integer) > all || uint64_t(part[2].integer) > all - uint64_t(part[1].integer)) refuse("a view of a storage leaves it");
    v.storage.bytes = v.storage.bytes.subspan(size_t(part[1].integer) * element, size_t(part[2].integer) * element);
    return v;
  }
  uint64_t bytes() const override { return bytes_; }

 private:
  std::string key(PickleValue v) const {
    if (v.kind != PickleKind::text) refuse("got a storage without a key");
    return std::string(pickle_.text(v));
  }
  [[noreturn]] void refuse(const std::string& what) const { fail("torch", "{}: {}. Fix: download or save the file again", source_, what); }

  const Pickle& pickle_;
  std::string source_;
  std::map<std::string, TorchStorage> storages_;
  uint64_t bytes_ = 0;
};

bool says_big_endian(const Pickle& system) {
  const auto entries = system.entries(system.root);
  for (size_t i = 0; i + 1 < entries.size(); i += 2)
    if (system.text(entries[i]) == "little_endian" && entries[i + 1].kind == PickleKind::boolean) return entries[i + 1].integer == 0;
  return false;
}

}  // namespace

bool looks_like_torch_legacy(std::span<const std::byte> bytes) {
  const std::string_view text = ByteReader::as_text(bytes);
  return text.starts_with('\x80') && (text.substr(std::min<size_t>(text.size(), 2), kMagic.size()) == kMagic || text.substr(std::min(text.size(), 2 + kFrame), kMagic.size()) == kMagic);
}

WeightFile parse_torch_legacy(std::span<const std::byte> bytes, const std::string& source) {
  Sections in(bytes, source);
  in.pickle();  // the magic number
  const Pickle protocol = in.pickle();
  if (protocol.root.kind != PickleKind::integer || protocol.root.integer != kProtocol)
    in.rest().damaged("got another version of the format, expected {}", kProtocol);
  if (says_big_endian(in.pickle())) in.rest().damaged("got elements in big-endian order, expected little-endian");
  const Pickle object = in.pickle();
  const Pickle keys = in.pickle();
  LegacyStorages storages(object, source);
  storages.read(keys, in.rest());
  return TorchValues(object, source, storages).network();
}

}  // namespace vkfer
