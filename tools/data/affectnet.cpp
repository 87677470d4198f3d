// AffectNet's layout: images/{id}.jpg and annotations/{id}_exp.npy, {id}_val.npy, {id}_aro.npy, below an optional
// train_set|val_set. Mollahosseini et al., AffectNet, 2017. Any of the three may be missing; -2 is invalid.
#include <algorithm>
#include <optional>

#include "runtime/error.h"
#include "tools/data/bad_rows.h"
#include "tools/data/npy.h"
#include "tools/data/sources.h"

namespace vkfer {

namespace fs = std::filesystem;

namespace {

const std::vector<std::string> kAffectNetClasses{"neutral", "happy",   "sad",   "surprise",
                                                 "fear",    "disgust", "anger", "contempt"};
constexpr size_t kMaxAnnotationBytes = 1 << 20;

bool has_layout(const fs::path& path) {
  std::error_code code;
  return fs::is_directory(path / "images", code) && fs::is_directory(path / "annotations", code);
}

struct Part {
  fs::path folder;
  std::string prefix;  // of ids
  Split split;
};

std::vector<Part> parts_of(const fs::path& path) {
  if (has_layout(path)) return {{path, "", Split::unassigned}};
  std::vector<Part> parts;
  for (const auto& [name, split] : std::initializer_list<std::pair<const char*, Split>>{{"train_set", Split::train},
                                                                                        {"train", Split::train},
                                                                                        {"val_set", Split::val},
                                                                                        {"val", Split::val},
                                                                                        {"test_set", Split::test},
                                                                                        {"test", Split::test}})
    if (has_layout(path / name)) parts.push_back({path / name, std::string(name) + "/", split});
  return parts;
}

// The one number of an annotation; nothing when the file is not there.
std::optional<double> annotation(const fs::path& path) {
  std::error_code code;
  if (!fs::exists(path, code)) return std::nullopt;
  if (fs::file_size(path, code) > kMaxAnnotationBytes) fail("affectnet", "'{}' is too large for one number", path.string());
  const NpyArray array = read_npy(path);
  if (array.count() != 1) fail("affectnet", "'{}': {} values, expected 1", path.string(), array.count());
  return array.number(0);
}

float affect(std::optional<double> value, const fs::path& path, const char* what) {
  if (!value || *value == -2) return std::numeric_limits<float>::quiet_NaN();
  if (!(*value >= -1 && *value <= 1))
    fail("affectnet", "'{}': {} is {}, expected -1..1, or -2 for invalid", path.string(), what, *value);
  return static_cast<float>(*value);
}

// Expressions 8 (none), 9 (uncertain) and 10 (no face) carry no class.
int expression(std::optional<double> value, const fs::path& path) {
  if (!value || *value == -2) return -1;
  if (!(*value >= 0 && *value <= 10) || *value != std::floor(*value))
    fail("affectnet", "'{}': expression is {}, expected 0..7 (8..10: none)", path.string(), *value);
  return *value <= 7 ? static_cast<int>(*value) : -1;
}

Sample read_sample(const Part& part, const std::string& file) {
  const std::string stem = (part.folder / "annotations" / fs::path(file).stem()).string();
  Sample sample;
  sample.id = part.prefix + "images/" + file;
  sample.split = part.split;
  sample.label = expression(annotation(stem + "_exp.npy"), stem + "_exp.npy");
  sample.valence = affect(annotation(stem + "_val.npy"), stem + "_val.npy", "valence");
  sample.arousal = affect(annotation(stem + "_aro.npy"), stem + "_aro.npy", "arousal");
  if (sample.label < 0 && std::isnan(sample.valence))
    fail("affectnet", "'{}' has no usable annotation ({}_exp.npy, _val.npy, _aro.npy). Fix: add them or remove the image",
         sample.id, stem);
  return sample;
}

}  // namespace

bool is_affectnet(const fs::path& path) { return !parts_of(path).empty(); }

DatasetContents open_affectnet(const fs::path& path, const DatasetOptions& options) {
  DatasetContents contents;
  BadRows bad(options.skip_bad, "affectnet");
  bool labelled = false;
  for (const Part& part : parts_of(path)) {
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator(part.folder / "images"))
      if (entry.is_regular_file() && !entry.path().filename().string().starts_with('.'))
        files.push_back(entry.path().filename().string());
    std::ranges::sort(files);
    for (const std::string& file : files) {
      try {
        contents.samples.push_back(read_sample(part, file));
        labelled |= contents.samples.back().label >= 0;
      } catch (const Error& error) {
        if (!options.skip_bad) throw;
        bad.report(error.what());
      }
    }
  }
  bad.hand_over(contents);
  if (labelled) contents.classes = kAffectNetClasses;
  // AffectNet-7 is AffectNet-8 without its last class.
  const int contempt = int(kAffectNetClasses.size()) - 1;
  if (labelled && std::ranges::none_of(contents.samples, [&](const Sample& s) { return s.label == contempt; })) contents.classes.pop_back();
  contents.decode = [path](const Sample& sample) { return read_image(path / sample.id); };
  contents.file = [path](const Sample& sample) { return ImageFile{path / sample.id}; };
  return contents;
}

}  // namespace vkfer
