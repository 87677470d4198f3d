#include "tools/data/writer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "runtime/error.h"
#include "tools/data/ordered_workers.h"
#include "tools/data/output_file.h"

namespace vkfer {

namespace fs = std::filesystem;

namespace {

constexpr std::array kFormats{
    DataFormat{"folders", false, false, prepare_tree, write_folders},          // train|val|test/<class>/ with a file for each picture
    DataFormat{"zip", false, false, prepare_tree, write_zip_tree},             // the same folders in one file
    DataFormat{"fer-csv", false, false, prepare_fer_csv, write_fer_csv},       // emotion,pixels,Usage
    DataFormat{"manifest", true, true, prepare_manifest, write_manifest},      // manifest.csv beside images/, or x.csv alone
};

// The suffix that the name has, if it looks like one; else what the first bytes say.
std::string suffix_of(std::string_view id, std::span<const std::byte> bytes) {
  const size_t dot = id.rfind('.');
  const std::string_view suffix = dot == id.npos ? std::string_view{} : id.substr(dot);
  const bool plain = suffix.size() > 1 && suffix.size() <= 5 && std::ranges::all_of(suffix.substr(1), [](unsigned char c) { return std::isalnum(c) != 0; });
  if (plain) return std::string(suffix);
  struct Magic {
    std::string_view begins, suffix;
  };
  for (const Magic& m : {Magic{"\xFF\xD8\xFF", ".jpg"}, Magic{"\x89PNG", ".png"}, Magic{"BM", ".bmp"}, Magic{"GIF8", ".gif"}, Magic{"P5", ".pgm"}, Magic{"P6", ".ppm"}})
    if (bytes.size() >= m.begins.size() && std::memcmp(bytes.data(), m.begins.data(), m.begins.size()) == 0) return std::string(m.suffix);
  return ".tga";  // the one without a magic
}

using Counts = std::map<std::pair<Split, std::string>, int64_t>;

void count(Counts& counts, std::span<const Sample> samples, const std::vector<std::string>& classes, int64_t by) {
  for (const Sample& s : samples) {
    const std::pair key(s.split, s.label < 0 ? std::string() : classes[size_t(s.label)]);
    if ((counts[key] += by) == 0) counts.erase(key);
  }
}

void note_losses(const DatasetContents& data, const DataFormat& format, std::vector<std::string>& notes) {
  const auto count = [&](auto holds) { return std::ranges::count_if(data.samples, holds); };
  const auto affect = count([](const Sample& s) { return !std::isnan(s.valence) || !std::isnan(s.arousal); });
  const auto weights = count([](const Sample& s) { return s.weight != 1; });
  const auto voted = count([](const Sample& s) { return !s.distribution.empty(); });
  if (voted) notes.push_back(fmt::format("the distributions of votes on {} images are lost: a label each is kept", voted));
  if (affect && !format.affect) notes.push_back(fmt::format("valence and arousal of {} images are lost: {} holds none. --format manifest keeps them", affect, format.name));
  if (weights && !format.weights) notes.push_back(fmt::format("the weights of {} images are lost: {} holds none. --format manifest keeps them", weights, format.name));
}

// What the tool itself reads from what it wrote. Cheap: no picture is decoded but the few that opening looks at.
std::vector<std::string> check_reads_back(const Counts& expected, const fs::path& path, const std::vector<std::string>& classes) {
  DatasetOptions options;
  options.complete_split = false;
  const Dataset read = open_dataset(path.string(), options);
  Counts found;
  count(found, read.contents().samples, read.classes(), +1);
  if (found != expected)
    fail("data", "what was written does not read back with the same splits and classes, so it was removed. Fix: --format manifest, or simpler names of classes and files");
  if (read.classes() == classes) return {};
  return {fmt::format("classes are numbered as this format reads them: {}, not {}", fmt::join(read.classes(), ", "), fmt::join(classes, ", "))};
}

}  // namespace

std::span<const DataFormat> data_formats() { return kFormats; }

const DataFormat& format_for(std::string_view name, const fs::path& destination) {
  const std::string suffix = destination.extension().string();
  if (name.empty()) name = suffix == ".zip" ? "zip" : suffix == ".csv" ? "manifest" : "folders";
  std::string known;
  for (const DataFormat& f : kFormats) {
    if (f.name == name) return f;
    known += (known.empty() ? "" : ", ") + std::string(f.name);
  }
  fail("--format", "got '{}', expected one of {}", name, known);
}

PictureFile picture_file(const DatasetContents& data, const Sample& sample) {
  PictureFile file;
  file.bytes = original_bytes(data, sample);
  if (file.bytes.empty()) return {png_bytes(data.decode(sample), sample.id), ".png"};
  decode_image(file.bytes, sample.id);
  file.suffix = suffix_of(sample.id, file.bytes);
  return file;
}

void each_picture(const WriteJob& job, const std::function<PictureFile(const Sample&)>& make, const std::function<void(const Sample&, PictureFile)>& take) {
  struct Made {
    std::optional<PictureFile> file;
    std::string problem;
  };
  const std::vector<Sample>& samples = job.data.samples;
  OrderedWorkers<Made> workers(
      samples.size(), {},
      [&](size_t i) -> Made {
        try {
          return {make(samples[i]), {}};
        } catch (const Error& error) {
          if (!job.options.skip_bad) throw;
          return {std::nullopt, error.what()};
        }
      },
      [](const Made& made) { return made.file ? made.file->bytes.size() : 0; });
  size_t bad = 0;
  std::string first;
  for (size_t i = 0; auto made = workers.next(); ++i) {
    if (made->file) {
      take(samples[i], std::move(*made->file));
    } else {
      if (bad++ == 0) first = made->problem;
      job.left_out.push_back(samples[i]);
    }
    if (job.options.progress) job.options.progress(i + 1, samples.size());
  }
  if (bad) job.notes.push_back(fmt::format("{} unreadable images left out; the first: {}", bad, first));
  if (bad == samples.size()) fail("data", "no image can be read. {}", first);
}

std::vector<std::string> write_dataset(const DatasetContents& data, const fs::path& destination, const DataFormat& format, const WriteOptions& options) {
  std::vector<std::string> notes;
  if (data.samples.empty()) fail("data", "there is no image to write");
  note_losses(data, format, notes);
  const DatasetContents prepared = format.prepare(data, notes);
  NewPath path(destination);
  std::vector<Sample> left_out;
  format.write({prepared, path.temporary(), destination.extension() == ".csv", options, notes, left_out});
  Counts expected;
  count(expected, prepared.samples, prepared.classes, +1);
  count(expected, left_out, prepared.classes, -1);
  for (std::string& note : check_reads_back(expected, path.temporary(), data.classes)) notes.push_back(std::move(note));
  path.commit();
  return notes;
}

}  // namespace vkfer
