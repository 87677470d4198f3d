// FER2013's csv: emotion,pixels,Usage. Square gray pictures of one size, and the seven classes by their numbers.
#include <algorithm>

#include "runtime/error.h"
#include "tools/data/output_file.h"
#include "tools/data/sources.h"
#include "tools/data/writer.h"

namespace vkfer {
namespace {

const char* usage_of(Split split) { return split == Split::train ? "Training" : split == Split::public_test ? "PublicTest" : "PrivateTest"; }

bool is_gray(const Image& image) {
  for (size_t i = 0; image.channels == 3 && i < image.pixels.size(); i += 3)
    if (image.pixels[i] != image.pixels[i + 1] || image.pixels[i] != image.pixels[i + 2]) return false;
  return true;
}

// "70 80 82 ...". Checked here, on the workers; the size is held against the others when rows are put in order.
PictureFile pixel_text(const DatasetContents& data, const Sample& s) {
  const Image image = data.decode(s);
  if (image.width != image.height) fail("fer csv", "'{}' has {}x{} pixels, expected a square. Fix: --format manifest", s.id, image.width, image.height);
  if (!is_gray(image)) fail("fer csv", "'{}' is in colour, which a FER csv cannot hold. Fix: --format manifest", s.id);
  PictureFile text;
  text.suffix = std::to_string(image.width);
  std::string pixels;
  for (size_t i = 0; i < image.pixels.size(); i += size_t(image.channels)) fmt::format_to(std::back_inserter(pixels), "{}{}", i ? " " : "", image.pixels[i]);
  const auto bytes = std::as_bytes(std::span(pixels));
  text.bytes.assign(bytes.begin(), bytes.end());
  return text;
}

}  // namespace

DatasetContents prepare_fer_csv(DatasetContents data, std::vector<std::string>& notes) {
  const std::vector<std::string>& known = fer_classes();
  std::vector<int> numbers;
  for (const std::string& name : data.classes) {
    const auto found = std::ranges::find(known, name);
    const bool used = std::ranges::any_of(data.samples, [&](const Sample& s) { return s.label == int(numbers.size()); });
    if (found == known.end() && used) fail("fer csv", "class '{}' is none of FER2013's: {}. Fix: rename it, or --format manifest", name, fmt::join(known, ", "));
    numbers.push_back(int(found - known.begin()));
  }
  const auto unlabelled = size_t(std::ranges::count_if(data.samples, [](const Sample& s) { return s.label < 0; }));
  if (unlabelled && unlabelled < data.samples.size()) fail("fer csv", "{} images have no class, the others do: a FER csv holds one or the other. Fix: --format manifest", unlabelled);
  size_t renamed = 0, moved = 0;
  for (Sample& s : data.samples) {
    if (unlabelled) {
      moved += s.split != Split::test;
      s.split = Split::test;
      continue;
    }
    s.label = numbers[size_t(s.label)];
    const Split before = s.split;
    if (s.split == Split::val) s.split = Split::public_test;
    if (s.split == Split::test) s.split = Split::private_test;
    renamed += s.split != before;
  }
  data.classes = known;
  if (moved) notes.push_back("images without classes are all test images in a FER csv");
  if (renamed) notes.push_back("val is called PublicTest in a FER csv, and test PrivateTest");
  notes.push_back("a FER csv holds no names of files");
  return data;
}

void write_fer_csv(const WriteJob& job) {
  const bool labels = job.data.samples.front().label >= 0, usage = labels && job.data.samples.front().split != Split::unassigned;
  OutputFile file(job.to);
  file.write(fmt::format("{}pixels{}\n", labels ? "emotion," : "", usage ? ",Usage" : ""));
  std::string size, first;
  each_picture(job, [&](const Sample& s) { return pixel_text(job.data, s); }, [&](const Sample& s, PictureFile text) {
    if (first.empty()) size = text.suffix, first = s.id;
    if (text.suffix != size) fail("fer csv", "'{}' is {} pixels wide and '{}' {}: a FER csv holds one size. Fix: --format manifest", first, size, s.id, text.suffix);
    std::string row = labels ? fmt::format("{},", s.label) : "";
    row.append(reinterpret_cast<const char*>(text.bytes.data()), text.bytes.size());
    if (usage) row += fmt::format(",{}", usage_of(s.split));
    file.write(row + "\n");
  });
  file.sync();
  file.close();
}

}  // namespace vkfer
