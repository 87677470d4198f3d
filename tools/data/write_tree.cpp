// Class folders, on disk or in a zip: <split>/<class>/<picture>.
#include <algorithm>

#include "runtime/error.h"
#include "tools/data/class_tree.h"
#include "tools/data/output_file.h"
#include "tools/data/writer.h"
#include "tools/data/zip_writer.h"

namespace vkfer {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxNameBytes = 200;  // of a stem: file systems take 255 for a name

bool is_official(const DatasetContents& data) {
  bool held_out = false;
  for (const Sample& s : data.samples) {
    const bool half = s.split == Split::public_test || s.split == Split::private_test;
    if (!half && s.split != Split::train) return false;
    held_out |= half;
  }
  return held_out;
}

// The last part of an id without its suffix, of characters that every file system takes. A copy's "~3" stays; what tells two rows
// about one file apart, "#1", goes, as names are told apart anyway.
std::string stem_of(const std::string& id) {
  std::string stem = id.substr(id.rfind('/') + 1), tail;
  const size_t mark = stem.find_last_of("#~");
  if (mark != stem.npos && mark > 0 && stem.find_first_not_of("0123456789", mark + 1) == stem.npos) {
    if (stem[mark] == '~') tail = stem.substr(mark);
    stem.resize(mark);
  }
  if (const size_t dot = stem.rfind('.'); dot != stem.npos && dot > 0 && stem.size() - dot <= 5) stem.resize(dot);
  if (stem.size() > kMaxNameBytes) stem.resize(kMaxNameBytes);
  stem += tail;
  for (char& c : stem)
    if (static_cast<unsigned char>(c) <= ' ' || std::string_view("\\:*?\"<>|#").find(c) != std::string_view::npos) c = '_';
  return stem;
}

void check_class_name(const std::string& name) {
  const bool bad = name.empty() || name.size() > kMaxNameBytes || name.find_first_of("/\\:") != name.npos || is_ignored_name(name) ||
                   std::ranges::any_of(name, [](unsigned char c) { return c < ' '; });
  if (bad) fail("class folders", "class '{}' cannot be a folder's name. Fix: --format manifest", name);
}

void write_tree(const WriteJob& job, const std::function<void(const std::string& name, const PictureFile&)>& take) {
  PictureNames names(job.data);
  each_picture(job, [&](const Sample& s) { return picture_file(job.data, s); }, [&](const Sample& s, PictureFile file) {
    take(names.next(fmt::format("{}{}{}", names.folder(s), s.split == Split::unassigned ? "" : "/", job.data.classes[size_t(s.label)]), s, file.suffix), file);
  });
}

}  // namespace

PictureNames::PictureNames(const DatasetContents& data) : official_(is_official(data)) {}

std::string PictureNames::folder(const Sample& s) const {
  switch (s.split) {
    case Split::unassigned: return {};
    case Split::train: return "train";
    case Split::val: return "val";
    default: return "test";
  }
}

// A name like Training_1 tells readers of FER2013's official split: such names stay or are given where that is the split, and are
// cut short where it is not.
std::string PictureNames::next(const std::string& folder, const Sample& s, std::string_view suffix) {
  std::string stem = stem_of(s.id);
  while (fer_prefix_split(stem) != Split::unassigned) stem.erase(0, stem.find('_') + 1);
  if (official_) stem.insert(0, s.split == Split::train ? "Training_" : s.split == Split::public_test ? "PublicTest_" : "PrivateTest_");
  if (stem.empty() || stem.front() == '.') stem.insert(stem.begin(), '_');  // a hidden file is no image
  std::string name = fmt::format("{}/{}{}", folder, stem, suffix);
  for (int& times = used_[name]; times++ > 0;) {
    const std::string again = fmt::format("{}/{}_{}{}", folder, stem, times, suffix);
    if (used_[again]++ > 0) continue;
    return again;
  }
  return name;
}

DatasetContents prepare_tree(DatasetContents data, std::vector<std::string>& notes) {
  const auto unlabelled = std::ranges::count_if(data.samples, [](const Sample& s) { return s.label < 0; });
  if (unlabelled) fail("class folders", "{} images have no class, and so no folder. Fix: --format manifest, or give them classes", unlabelled);
  std::vector<size_t> counts(data.classes.size()), training(data.classes.size());
  for (const Sample& s : data.samples) ++counts[size_t(s.label)], training[size_t(s.label)] += s.split == Split::train;
  const bool trains = std::ranges::any_of(training, [](size_t n) { return n > 0; });
  for (size_t c = 0; c < counts.size(); ++c) {
    if (counts[c] == 0) {
      notes.push_back(fmt::format("class '{}' has no image, and so gets no folder", data.classes[c]));
      continue;
    }
    check_class_name(data.classes[c]);
    if (trains && training[c] == 0)
      fail("class folders", "class '{}' has no training image, which readers of folders refuse. Fix: --format manifest, or another split", data.classes[c]);
  }
  if (std::ranges::count_if(counts, [](size_t n) { return n > 0; }) < 2) fail("class folders", "there are images of one class only, expected 2 or more. Fix: --format manifest");
  if (is_official(data)) return data;
  size_t halves = 0;
  for (Sample& s : data.samples)
    if (s.split == Split::public_test || s.split == Split::private_test) s.split = Split::test, ++halves;
  if (halves) notes.push_back(fmt::format("{} images of FER2013's PublicTest and PrivateTest lie in test: beside another split, folders do not tell them apart", halves));
  return data;
}

void write_folders(const WriteJob& job) {
  fs::path made;
  make_folder(job.to);
  write_tree(job, [&](const std::string& name, const PictureFile& file) {
    const fs::path path = job.to / name;
    if (path.parent_path() != made) make_folder(made = path.parent_path());
    OutputFile out(path);
    out.write(file.bytes);
    out.close();
  });
}

void write_zip_tree(const WriteJob& job) {
  ZipWriter zip(job.to);
  write_tree(job, [&](const std::string& name, const PictureFile& file) { zip.add(name, file.bytes); });
  zip.finish();
}

}  // namespace vkfer
