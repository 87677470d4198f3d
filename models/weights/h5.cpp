#include "models/weights/h5.h"

#include <algorithm>
#include <set>

#include "models/weights/h5_object.h"

namespace vkfer {
namespace {

constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
constexpr size_t kMaxObjects = 1 << 18, kMaxPath = 1000;
constexpr int kMaxDepth = 64;

void check_widths(ByteReader& r, int offsets, int lengths) {
  if (offsets != 8 || lengths != 8) r.damaged("superblock: got addresses of {} and lengths of {} bytes, expected 8 and 8", offsets, lengths);
}

void check_end(const H5Image& image, ByteReader& r, uint64_t base, uint64_t end) {
  if (base != 0) r.damaged("superblock: got the base address {}, expected 0", base);
  if (end != image.size()) r.damaged("superblock: the file ends at byte {}, expected {}: cut short, or with something behind it", image.size(), end);
}

// Returns the address of the root group's header.
uint64_t read_superblock(H5Image& image) {
  ByteReader head = image.peek(0, 9, "superblock");
  if (head.text(8) != kSignature) image.refuse(0, "superblock: expected it to begin with HDF5's signature");
  const auto version = head.number<uint8_t>();
  if (version > 3) head.damaged("superblock: got version {}, expected 0 to 3", version);
  if (version >= 2) {
    ByteReader r = image.claim_summed(0, 48, "superblock");
    r.take(9);
    const auto offsets = r.number<uint8_t>(), lengths = r.number<uint8_t>();
    check_widths(r, offsets, lengths);
    r.take(1);
    const auto base = r.number<uint64_t>(), extension = r.number<uint64_t>(), end = r.number<uint64_t>();
    check_end(image, r, base, end);
    if (extension != kH5Undefined) r.damaged("superblock: got an extension at byte {}, expected none", extension);
    return r.number<uint64_t>();
  }
  ByteReader r = image.claim(0, version == 0 ? 96 : 100, "superblock");
  r.take(13);
  const auto offsets = r.number<uint8_t>(), lengths = r.number<uint8_t>();
  check_widths(r, offsets, lengths);
  r.take(version == 0 ? 9 : 13);
  const auto base = r.number<uint64_t>();
  r.take(8);
  const auto end = r.number<uint64_t>(), driver = r.number<uint64_t>();
  check_end(image, r, base, end);
  if (driver != kH5Undefined) r.damaged("superblock: got a driver's information at byte {}, expected the file to be one", driver);
  r.take(8);
  return r.number<uint64_t>();
}

class Walk {
 public:
  Walk(std::span<const std::byte> bytes, const std::string& source) : image_(bytes, source), heap_(image_) {}

  H5Contents contents() {
    todo_.push_back({"", read_superblock(image_), 0});
    while (!todo_.empty()) {
      const Place place = std::move(todo_.back());
      todo_.pop_back();
      visit(place);
    }
    return std::move(contents_);
  }

 private:
  struct Place {
    std::string path;
    uint64_t address;
    int depth;
  };

  void visit(const Place& place) {
    if (++objects_ > kMaxObjects) image_.refuse(place.address, "got more than {} groups and datasets", kMaxObjects);
    const std::vector<H5Message> messages = read_object(image_, place.address);
    H5Texts attributes = read_attributes(image_, heap_, messages);
    if (find_message(messages, H5MessageType::layout)) {
      auto tensor = read_dataset(image_, messages, attributes);
      if (tensor) contents_.datasets.emplace(place.path, std::move(*tensor));
      else contents_.unread.push_back(place.path);
      return;
    }
    const auto links = read_links(image_, messages);
    if (!links) image_.refuse(place.address, "'{}': got neither a group nor a dataset", shown(place.path));
    for (const H5Link& link : *links) enter(place, link);
    contents_.groups.emplace(place.path, std::move(attributes));
  }

  void enter(const Place& group, const H5Link& link) {
    const auto refuse = [&](const std::string& what) { image_.refuse(group.address, "'{}': {}", shown(group.path), what); };
    const bool plain = std::ranges::all_of(link.name, [](unsigned char c) { return c >= 32 && c != 127 && c != '/'; });
    if (link.name.empty() || link.name == "." || !plain) refuse(fmt::format("got a link called '{}', expected a name without slashes and control characters", shown(link.name)));
    Place place{group.path.empty() ? link.name : group.path + "/" + link.name, link.address, group.depth + 1};
    if (place.path.size() > kMaxPath || place.depth > kMaxDepth) refuse(fmt::format("groups nest deeper than {}, or to a path of more than {} bytes", kMaxDepth, kMaxPath));
    if (!names_.insert(place.path).second) refuse(fmt::format("got two links called '{}'", shown(link.name)));
    image_.spend(2 * place.path.size() + 64, group.address, "names");
    todo_.push_back(std::move(place));
  }

  H5Image image_;
  H5GlobalHeap heap_;
  H5Contents contents_;
  std::vector<Place> todo_;
  std::set<std::string> names_;
  size_t objects_ = 0;
};

}  // namespace

bool looks_like_h5(std::span<const std::byte> bytes) { return ByteReader::as_text(bytes).starts_with(kSignature); }

H5Contents read_h5(std::span<const std::byte> bytes, const std::string& source) { return Walk(bytes, source).contents(); }

}  // namespace vkfer
