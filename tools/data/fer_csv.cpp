// FER2013 as its authors published it: emotion,pixels,Usage with the pixels as decimal text.
// Goodfellow et al., Challenges in Representation Learning, 2013. Variants in use: " pixels" with blanks, other column
// orders, train.csv without Usage, test.csv without emotion.
#include <charconv>
#include <cmath>
#include <memory>

#include "runtime/error.h"
#include "tools/data/bad_rows.h"
#include "tools/data/csv.h"
#include "tools/data/ferplus.h"
#include "tools/data/sources.h"

namespace vkfer {
namespace {

constexpr const char* kFix = "Fix: repair or delete the line; --skip-bad skips and counts them";

struct Columns {
  int emotion, pixels, usage;
};

// Appends the numbers of "70 80 82 ..." and says how many there were; -1 when one is no number in 0..255.
int append_pixels(std::string_view text, std::vector<uint8_t>& out) {
  int count = 0;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    if (*at == ' ') {
      ++at;
      continue;
    }
    unsigned value = 0;
    const auto [stop, code] = std::from_chars(at, end, value);
    if (code != std::errc() || value > 255 || (stop < end && *stop != ' ')) return -1;
    out.push_back(static_cast<uint8_t>(value));
    ++count;
    at = stop;
  }
  return count;
}

int square_side(int count) {
  const int side = static_cast<int>(std::lround(std::sqrt(static_cast<double>(count))));
  return side > 0 && side * side == count ? side : 0;
}

// "" or what is wrong with the row; fills sample.label and split, and appends pixels only when all is well.
std::string read_row(const CsvReader& csv, const Columns& columns, Sample& sample, int& side, std::vector<uint8_t>& all) {
  if (csv.wrong_field_count())
    return fmt::format("{}: {} fields, expected {}. {}", csv.where(), csv.field_count(), csv.header_count(), kFix);
  if (columns.emotion >= 0) {
    long long label = -1;
    if (!parse_integer(csv.field(columns.emotion), label) || label < 0 || label > 6)
      return fmt::format("{}: emotion '{}', expected 0 to 6. {}", csv.where(), csv.field(columns.emotion), kFix);
    sample.label = static_cast<int>(label);
  } else {
    sample.split = Split::test;
  }
  if (columns.usage >= 0) {
    sample.split = split_from_name(csv.field(columns.usage));
    if (sample.split == Split::unassigned)
      return fmt::format("{}: Usage '{}', expected Training, PublicTest or PrivateTest. {}", csv.where(),
                         csv.field(columns.usage), kFix);
  }
  const size_t before = all.size();
  const int count = append_pixels(csv.field(columns.pixels), all);
  if (side == 0) side = square_side(count);
  if (count >= 0 && side > 0 && count == side * side) return {};
  all.resize(before);
  if (count < 0) return fmt::format("{}: pixels must be numbers from 0 to 255. {}", csv.where(), kFix);
  if (side == 0) return fmt::format("{}: {} pixels, expected a square number such as 2304 (48x48). {}", csv.where(), count, kFix);
  return fmt::format("{}: {} pixels, expected {} ({}x{}). {}", csv.where(), count, side * side, side, side, kFix);
}

}  // namespace

const std::vector<std::string>& fer_classes() {
  static const std::vector<std::string> classes{"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"};
  return classes;
}

DatasetContents open_fer_csv(const std::filesystem::path& path, const DatasetOptions& options) {
  CsvReader csv(path);
  const Columns columns{csv.column({"emotion", "label"}), csv.column({"pixels"}), csv.column({"usage"})};
  BadRows bad(options.skip_bad, "fer csv");
  DatasetContents contents;
  contents.classes = fer_classes();
  const auto pixels = std::make_shared<std::vector<uint8_t>>();  // [row, side, side]
  int side = 0;
  for (size_t row = 0; csv.next(); ++row) {
    Sample sample;
    sample.id = fmt::format("row {}", row);
    sample.entry = contents.samples.size();
    const std::string problem = read_row(csv, columns, sample, side, *pixels);
    if (problem.empty())
      contents.samples.push_back(std::move(sample));
    else
      bad.report(problem);
  }
  bad.hand_over(contents);
  if (options.votes != VoteMode::none) apply_votes(path, options.votes, contents);
  else if (columns.emotion < 0) contents.warnings.push_back("no emotion column: the images are unlabelled and serve as test");
  contents.native_size = side;
  contents.channels = 1;
  contents.decode = [pixels, side](const Sample& sample) {
    const auto from = pixels->begin() + static_cast<std::ptrdiff_t>(sample.entry) * side * side;
    return Image{side, side, 1, std::vector<uint8_t>(from, from + side * side)};
  };
  return contents;
}

}  // namespace vkfer
