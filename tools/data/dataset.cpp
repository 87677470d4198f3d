#include "tools/data/dataset.h"

#include <algorithm>
#include <array>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>

#include "runtime/error.h"
#include "tools/data/bytes.h"
#include "tools/data/csv.h"
#include "tools/data/ferplus.h"
#include "tools/data/sources.h"
#include "tools/data/split.h"
#include "tools/data/utf8.h"

namespace vkfer {

namespace fs = std::filesystem;

namespace {

constexpr size_t kLookAt = 128;  // images decoded on opening, to learn their size and colour

bool in_split(Split split, std::string_view name) {
  if (name == "train") return split == Split::train;
  if (name == "val") return split == Split::val || split == Split::public_test;
  if (name == "test") return split == Split::test || split == Split::public_test || split == Split::private_test;
  if (name == "PublicTest") return split == Split::public_test;
  if (name == "PrivateTest") return split == Split::private_test;
  if (name == "all") return true;
  fail("data", "there is no split '{}'. Fix: use train, val, test, PublicTest, PrivateTest or all", name);
}

void check_fractions(const DatasetOptions& options) {
  const bool ok = options.val_fraction >= 0 && options.test_fraction >= 0 &&
                  options.val_fraction + options.test_fraction < 1;
  if (!ok)
    fail("data", "validation and test fractions are {} and {}, expected 0 or more and together below 1",
         options.val_fraction, options.test_fraction);
}

bool begins_like_zip(const fs::path& path) {
  std::array<char, 4> magic{};
  std::ifstream(path, std::ios::binary).read(magic.data(), magic.size());
  const std::string_view text(magic.data(), magic.size());
  return text == std::string_view("PK\3\4", 4) || text == std::string_view("PK\5\6", 4);
}

DatasetContents open_source(const std::string& where, const DatasetOptions& options) {
  if (where.empty() || where == "builtin") return open_synthetic(options.synthetic);
  const fs::path path = where;
  std::error_code code;
  const fs::file_status status = fs::status(path, code);
  if (!fs::exists(status))
    fail("data", "'{}' does not exist. Fix: name a folder, a zip or a csv, or leave --data out for the built-in faces", where);
  if (fs::is_directory(status) && fs::is_regular_file(path / kManifestName, code)) return open_manifest(path / kManifestName, options);
  if (fs::is_directory(status)) return is_affectnet(path) ? open_affectnet(path, options) : open_folder(path, options);
  if (!fs::is_regular_file(status)) fail("data", "'{}' is neither a folder nor a file", where);
  if (fs::file_size(path, code) == 0) fail("data", "'{}' is empty. Fix: name a folder, a zip or a csv", where);
  if (begins_like_zip(path)) return open_zip(path, options);
  if (path.extension() == ".zip")
    fail("data", "'{}' is not a zip: it does not begin with PK. Fix: download it again", where);
  return open_csv(path, options);
}

}  // namespace

Split split_from_name(std::string_view name) {
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  static const std::map<std::string, Split> kNames{
      {"train", Split::train},           {"training", Split::train},          {"val", Split::val},
      {"valid", Split::val},             {"validation", Split::val},          {"test", Split::test},
      {"testing", Split::test},          {"publictest", Split::public_test},  {"privatetest", Split::private_test}};
  const auto found = kNames.find(lower);
  return found == kNames.end() ? Split::unassigned : found->second;
}

DatasetContents open_csv(const fs::path& path, const DatasetOptions& options) {
  const CsvReader csv(path);
  if (csv.column({"pixels"}) >= 0) return open_fer_csv(path, options);
  if (csv.column({"image", "path", "file", "filename"}) >= 0) return open_manifest(path, options);
  fail("data",
       "'{}' is no data set: a csv needs a header line with a column 'pixels' (FER2013: emotion,pixels,Usage) or "
       "'image' (a manifest: image,label). Fix: name a folder, a zip or such a csv",
       path.string());
}

std::vector<std::byte> original_bytes(const DatasetContents& data, const Sample& sample) {
  if (data.encoded) return data.encoded(sample);
  if (!data.file) return {};
  const ImageFile file = data.file(sample);
  return file.path.empty() || file.box[2] != 0 ? std::vector<std::byte>{} : read_file(file.path, kMaxImageFileBytes);
}

Dataset::Dataset(DatasetContents contents, const DatasetOptions& options) : contents_(std::move(contents)) {
  if (contents_.samples.empty()) fail("data", "'{}' holds no images", contents_.source);
  for (size_t c = 0; c < contents_.classes.size(); ++c)
    if (!is_utf8(contents_.classes[c])) fail("data", "'{}': the name of class {} is not UTF-8. Fix: rename it", contents_.source, c);
  assign_splits(options);
  if (contents_.channels == 0) look_at_images();
  if (has_labels()) {
    const std::vector<size_t> counts = class_counts("all");
    for (size_t c = 0; c < counts.size(); ++c)
      if (counts[c] == 0) contents_.warnings.push_back(fmt::format("class '{}' has no image", contents_.classes[c]));
  }
}

void Dataset::assign_splits(const DatasetOptions& options) {
  check_fractions(options);
  const auto any = [&](std::string_view name) { return !split(name).empty(); };
  official_split_ = any("PublicTest") || any("PrivateTest");
  if (!options.complete_split) return;
  std::vector<Sample>& samples = contents_.samples;
  if (std::ranges::all_of(samples, [](const Sample& s) { return s.split == Split::unassigned; })) {
    for (Sample& sample : samples) sample.split = Split::train;
    hold_out(samples, Split::train, Split::test, options.test_fraction, options.seed);
    hold_out(samples, Split::train, Split::val, options.val_fraction / (1 - options.test_fraction), options.seed);
    return;
  }
  if (any("train") && !any("val") && options.val_fraction > 0) {
    hold_out(samples, Split::train, Split::val, options.val_fraction, options.seed);
    contents_.warnings.push_back(fmt::format("no validation images: {} of the training images serve as such, chosen by seed",
                                             split("val").size()));
  }
}

void Dataset::look_at_images() {
  const size_t count = std::min(size(), kLookAt);
  std::map<int, size_t> sizes;
  std::exception_ptr first_error;
  for (size_t i = 0; i < count; ++i) {
    try {
      const Image picture = image(i * size() / count);
      contents_.channels = std::max(contents_.channels, picture.channels);
      if (picture.width == picture.height) ++sizes[picture.width];
    } catch (const Error&) {
      if (!first_error) first_error = std::current_exception();
    }
  }
  if (contents_.channels == 0) std::rethrow_exception(first_error);
  const auto commonest = std::ranges::max_element(sizes, {}, [](const auto& entry) { return entry.second; });
  if (commonest != sizes.end()) contents_.native_size = commonest->first;
}

std::vector<size_t> Dataset::split(std::string_view name) const {
  std::vector<size_t> indices;
  for (size_t i = 0; i < size(); ++i)
    if (in_split(contents_.samples[i].split, name)) indices.push_back(i);
  return indices;
}

bool Dataset::has_labels() const {
  return std::ranges::any_of(contents_.samples, [](const Sample& s) { return s.label >= 0; });
}

bool Dataset::has_valence() const {
  return std::ranges::any_of(contents_.samples, [](const Sample& s) { return !std::isnan(s.valence) && !std::isnan(s.arousal); });
}

std::vector<size_t> Dataset::class_counts(std::string_view split_name) const {
  std::vector<size_t> counts(classes().size());
  for (const size_t i : split(split_name))
    if (sample(i).label >= 0) ++counts.at(static_cast<size_t>(sample(i).label));
  return counts;
}

Dataset open_dataset(const std::string& where, const DatasetOptions& options) {
  try {
    DatasetContents contents = open_source(where, options);
    if (options.votes != VoteMode::none && contents.classes != ferplus_classes())
      fail("--votes", "'{}' is no fer2013.csv: FER+'s votes are on its rows. Fix: --data fer2013.csv, with fer2013new.csv beside it, or --votes none", where);
    if (contents.source.empty()) contents.source = where;
    return Dataset(std::move(contents), options);
  } catch (const fs::filesystem_error& error) {  // a folder that may not be read, or that changes under our hands
    fail("data", "{}. Fix: check the path and its permissions", error.what());
  }
}

}  // namespace vkfer
