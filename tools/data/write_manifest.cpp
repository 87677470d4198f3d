// A manifest: image,label,valence,arousal,split,weight,x,y,w,h, of these the columns that say something. As a folder it has the
// pictures beside it, below images/; as x.csv alone it refers to them where they are.
#include <algorithm>

#include "runtime/error.h"
#include "tools/data/csv.h"
#include "tools/data/inspect.h"
#include "tools/data/output_file.h"
#include "tools/data/sources.h"
#include "tools/data/writer.h"

namespace vkfer {

namespace fs = std::filesystem;

namespace {

// A field as the reader of csv files gives it back.
std::string field(const std::string& text) {
  if (text.find_first_of("\n\r") != text.npos || text.find('\0') != text.npos || (!text.empty() && (text.front() == ' ' || text.back() == ' ' || text.front() == '\t' || text.back() == '\t')))
    fail("manifest", "'{}' cannot stand in a csv: line breaks and blanks at an end are lost. Fix: rename it", text);
  return csv_field(text);
}

struct Columns {
  bool label, affect, split, weight, box;
  explicit Columns(const DatasetContents& data, bool boxes) {
    const auto any = [&](auto holds) { return std::ranges::any_of(data.samples, holds); };
    label = any([](const Sample& s) { return s.label >= 0; });
    affect = any([](const Sample& s) { return !std::isnan(s.valence) || !std::isnan(s.arousal) || s.label < 0; });  // an image without a class is read only beside them
    split = any([](const Sample& s) { return s.split != Split::unassigned; });
    weight = any([](const Sample& s) { return s.weight != 1; });
    box = boxes;
  }
  std::string header() const {
    return fmt::format("image{}{}{}{}{}\n", label ? ",label" : "", affect ? ",valence,arousal" : "", split ? ",split" : "", weight ? ",weight" : "", box ? ",x,y,w,h" : "");
  }
  std::string row(const DatasetContents& data, const Sample& s, const std::string& image, const std::array<int, 4>& part) const {
    std::string text = field(image);
    const auto number = [](float v) { return std::isnan(v) ? std::string() : fmt::format("{}", v); };
    if (label) text += fmt::format(",{}", s.label < 0 ? std::string() : field(data.classes[size_t(s.label)]));
    if (affect) text += fmt::format(",{},{}", number(s.valence), number(s.arousal));
    if (split) text += fmt::format(",{}", split_name(s.split));
    if (weight) text += fmt::format(",{}", number(s.weight));
    if (box) text += part[2] ? fmt::format(",{},{},{},{}", part[0], part[1], part[2], part[3]) : ",,,,";
    text += '\n';
    return text;
  }
};

void write_in_place(const WriteJob& job) {
  bool boxes = false;
  for (const Sample& s : job.data.samples) {
    const ImageFile file = job.data.file ? job.data.file(s) : ImageFile{};
    if (file.path.empty()) fail("manifest", "'{}' is no file that a csv could refer to. Fix: name a folder and --format manifest, which writes the pictures as well", s.id);
    boxes |= file.box[2] != 0;
  }
  const Columns columns(job.data, boxes);
  const fs::path folder = fs::weakly_canonical(fs::absolute(job.to).parent_path());
  std::string csv = columns.header();
  for (const Sample& s : job.data.samples) {
    const ImageFile file = job.data.file(s);
    const fs::path absolute = fs::absolute(file.path).lexically_normal(), relative = fs::weakly_canonical(absolute).lexically_relative(folder);
    const bool near = !relative.empty() && *relative.begin() != "..";
    csv += columns.row(job.data, s, (near ? relative : absolute).string(), file.box);
  }
  OutputFile out(job.to);
  out.write(csv);
  out.sync();
  out.close();
}

void write_with_pictures(const WriteJob& job) {
  PictureNames names(job.data);
  const Columns columns(job.data, false);
  std::string csv = columns.header();
  make_folder(job.to);
  each_picture(job, [&](const Sample& s) { return picture_file(job.data, s); }, [&](const Sample& s, PictureFile file) {
    const std::string split = names.folder(s), name = names.next(split.empty() ? "images" : "images/" + split, s, file.suffix);
    make_folder((job.to / name).parent_path());
    OutputFile out(job.to / name);
    out.write(file.bytes);
    out.close();
    csv += columns.row(job.data, s, name, {});
  });
  OutputFile out(job.to / kManifestName);
  out.write(csv);
  out.close();
}

}  // namespace

DatasetContents prepare_manifest(DatasetContents data, std::vector<std::string>& notes) {
  std::vector<bool> used(data.classes.size());
  size_t unknown = 0;
  for (const Sample& s : data.samples) {
    if (s.label >= 0) used[size_t(s.label)] = true;
    unknown += s.label < 0 && (std::isnan(s.valence) || std::isnan(s.arousal));
  }
  const std::string *number = nullptr, *name = nullptr;
  for (size_t c = 0; c < used.size(); ++c) {
    long long value = 0;
    if (!used[c]) notes.push_back(fmt::format("class '{}' has no image, and so is not in the manifest", data.classes[c]));
    else (parse_integer(data.classes[c], value) ? number : name) = &data.classes[c];
  }
  if (number && name) fail("manifest", "class '{}' is a number and class '{}' is none: a manifest reads one or the other. Fix: rename one", *number, *name);
  if (unknown && std::ranges::none_of(used, [](bool u) { return u; })) fail("manifest", "{} images have neither a class nor valence and arousal: nothing to list", unknown);
  const bool assigned = std::ranges::any_of(data.samples, [](const Sample& s) { return s.split != Split::unassigned; });
  if (assigned && std::ranges::any_of(data.samples, [](const Sample& s) { return s.split == Split::unassigned; }))
    fail("manifest", "some images are in no split, the others are: a manifest holds one or the other");
  return data;
}

void write_manifest(const WriteJob& job) { job.in_place ? write_in_place(job) : write_with_pictures(job); }

}  // namespace vkfer
