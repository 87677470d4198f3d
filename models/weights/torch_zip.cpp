#include <set>

#include "models/weights/bytes.h"
#include "models/weights/torch_read.h"
#include "models/weights/torch_values.h"
#include "models/weights/zip.h"

namespace vkfer {
namespace {

constexpr std::string_view kPickle = "data.pkl";

// A persistent id is ('storage', type, key, location, elements).
class ZipStorages : public TorchStorages {
 public:
  ZipStorages(ZipFile& zip, const Pickle& pickle, std::string root) : zip_(zip), pickle_(pickle), root_(std::move(root)) {
    std::set<std::string> seen;
    for (const PickleValue persistent : pickle_.persistent)
      if (const ZipMember& m = member(persistent); seen.insert(m.name).second) bytes_ += m.size;
  }
  TorchView find(PickleValue persistent) override {
    const auto id = pickle_.items(pickle_.items(persistent)[0]);
    const ZipMember& m = member(persistent);
    TorchView v;
    v.storage = {torch_type(pickle_.text(id[1]), zip_.source()), zip_.read(m)};
    const uint64_t element = stored_bytes(v.storage.type);
    if (id[4].kind != PickleKind::integer || id[4].integer < 0 || uint64_t(id[4].integer) > m.size / element || uint64_t(id[4].integer) * element != m.size)
      fail("torch", "{}: storage '{}' has {} bytes, expected those of {} elements of {}. Fix: save the file again", zip_.source(), shown(m.name), m.size,
           id[4].kind == PickleKind::integer ? id[4].integer : -1, stored_name(v.storage.type));
    return v;
  }
  uint64_t bytes() const override { return bytes_; }

 private:
  const ZipMember& member(PickleValue persistent) const {
    const auto id = pickle_.items(pickle_.items(persistent)[0]);
    if (id.size() < 5 || pickle_.text(id[0]) != "storage" || id[2].kind != PickleKind::text)
      fail("torch", "{}: {}: got a persistent id that names no storage, expected ('storage', type, key, location, size). Fix: save the file again", zip_.source(), kPickle);
    const std::string name = root_ + "data/" + std::string(pickle_.text(id[2]));
    const ZipMember* m = zip_.find(name);
    if (!m) fail("torch", "{}: storage '{}' is not in the file. Fix: download or save the file again", zip_.source(), shown(name));
    return *m;
  }

  ZipFile& zip_;
  const Pickle& pickle_;
  std::string root_;
  uint64_t bytes_ = 0;
};

const ZipMember& find_pickle(const ZipFile& zip) {
  const ZipMember* found = nullptr;
  for (const ZipMember& m : zip.members()) {
    if (m.name != kPickle && !m.name.ends_with("/" + std::string(kPickle))) continue;
    if (found) fail("torch", "{}: got both '{}' and '{}', expected one {}. Fix: save the file again", zip.source(), shown(found->name), shown(m.name), kPickle);
    found = &m;
  }
  if (!found) fail("torch", "{}: got a zip archive without {}, expected what torch.save writes. Fix: name a .pth or .pt file", zip.source(), kPickle);
  return *found;
}

}  // namespace

WeightFile parse_torch_zip(std::span<const std::byte> bytes, const std::string& source) {
  ZipFile zip(bytes, source);
  const ZipMember& member = find_pickle(zip);
  const std::string root = member.name.substr(0, member.name.size() - kPickle.size());
  for (const ZipMember& m : zip.members()) zip.read(m);  // whatever is in the file has its checksum verified
  if (const ZipMember* order = zip.find(root + "byteorder"); order && ByteReader::as_text(zip.read(*order)) != "little")
    fail("torch", "{}: got elements in '{}' order, expected 'little'. Fix: save the file on a little-endian machine", source, shown(ByteReader::as_text(zip.read(*order))));

  const auto text = zip.read(member);
  uint64_t used = 0;
  const Pickle pickle = read_pickle(text, source + ":" + shown(member.name), 0, &used);
  if (used != text.size()) fail("torch", "{}: {} bytes behind the pickle in '{}', expected none. Fix: save the file again", source, text.size() - used, shown(member.name));
  ZipStorages storages(zip, pickle, root);
  WeightFile file = TorchValues(pickle, source, storages).network();
  if (zip.find(root + "constants.pkl")) file.notes.push_back("a TorchScript module: its tensors were read, its code was not");
  return file;
}

}  // namespace vkfer
