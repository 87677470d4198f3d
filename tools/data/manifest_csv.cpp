// A csv manifest: image,label[,valence,arousal,split,weight,x,y,w,h]. Image paths are relative to the csv; labels are
// names (sorted) or numbers (class "3" is index 3); x,y,w,h is a box in pixels to cut out. Columns in any order.
#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <unordered_map>

#include "runtime/error.h"
#include "tools/data/bad_rows.h"
#include "tools/data/csv.h"
#include "tools/data/sources.h"

namespace vkfer {
namespace {

constexpr const char* kFix = "Fix: repair or delete the line; --skip-bad skips and counts them";
constexpr long long kMaxClasses = 10'000;

struct Columns {
  int image, label, valence, arousal, split, weight;
  std::array<int, 4> box;
};

struct Row {
  Sample sample;
  std::string image, label, where;
  std::array<int, 4> box{};  // x y w h; w == 0: the whole image
};

Columns find_columns(const CsvReader& csv, const std::string& name) {
  Columns columns{csv.column({"image", "path", "file", "filename"}),
                  csv.column({"label", "class", "emotion", "expression"}),
                  csv.column({"valence"}),
                  csv.column({"arousal"}),
                  csv.column({"split", "usage"}),
                  csv.column({"weight"}),
                  {csv.column({"x"}), csv.column({"y"}), csv.column({"w", "width"}), csv.column({"h", "height"})}};
  if (columns.label < 0 && (columns.valence < 0 || columns.arousal < 0))
    fail("manifest", "'{}' has neither a column 'label' nor 'valence' and 'arousal'. Fix: add one to the header line", name);
  const auto missing = std::ranges::count(columns.box, -1);
  if (missing != 0 && missing != 4)
    fail("manifest", "'{}' has only some of the columns x,y,w,h. Fix: give all four or none", name);
  return columns;
}

// A value in -1..1; empty and -2 mean unknown. False when it is anything else.
bool parse_affect(std::string_view text, float& value) {
  double number = 0;
  if (text.empty()) return true;
  if (!parse_number(text, number)) return false;
  if (number == -2) return true;
  value = static_cast<float>(number);
  return number >= -1 && number <= 1;
}

bool parse_box(const CsvReader& csv, const Columns& columns, Row& row) {
  if (columns.box[0] < 0 || csv.field(columns.box[2]).empty()) return true;
  for (size_t i = 0; i < 4; ++i) {
    double value = 0;
    if (!parse_number(csv.field(columns.box[i]), value) || !(value >= (i < 2 ? 0 : 1)) || value > 1e6) return false;
    row.box[i] = static_cast<int>(value);
  }
  return true;
}

// "" or what is wrong with the row.
std::string read_row(const CsvReader& csv, const Columns& columns, const std::filesystem::path& folder, Row& row) {
  const auto wrong = [&](std::string_view what, int column) {
    return fmt::format("{}: {} '{}'. {}", csv.where(), what, csv.field(column), kFix);
  };
  if (csv.wrong_field_count())
    return fmt::format("{}: {} fields, expected {}. {}", csv.where(), csv.field_count(), csv.header_count(), kFix);
  row.where = csv.where();
  row.image = csv.field(columns.image);
  row.label = csv.field(columns.label);
  if (row.image.empty()) return fmt::format("{}: no image. {}", csv.where(), kFix);
  std::error_code code;
  if (!std::filesystem::is_regular_file(folder / row.image, code)) return wrong("there is no file", columns.image);
  if (!parse_affect(csv.field(columns.valence), row.sample.valence))
    return wrong("valence must be in -1..1, or -2 for unknown, got", columns.valence);
  if (!parse_affect(csv.field(columns.arousal), row.sample.arousal))
    return wrong("arousal must be in -1..1, or -2 for unknown, got", columns.arousal);
  if (columns.label >= 0 && row.label.empty() && columns.valence < 0) return fmt::format("{}: no label. {}", csv.where(), kFix);
  if (columns.split >= 0 && (row.sample.split = split_from_name(csv.field(columns.split))) == Split::unassigned)
    return wrong("split must be train, val, test, PublicTest or PrivateTest, got", columns.split);
  double weight = 1;
  if (columns.weight >= 0 && !csv.field(columns.weight).empty() &&
      (!parse_number(csv.field(columns.weight), weight) || !(weight >= 0 && weight < 1e6)))
    return wrong("weight must be 0 or more, got", columns.weight);
  row.sample.weight = static_cast<float>(weight);
  if (!parse_box(csv, columns, row)) return fmt::format("{}: x,y,w,h must be pixels, w and h 1 or more. {}", csv.where(), kFix);
  return {};
}

// Numbers keep their value as index, names are sorted; both in one column is a mistake.
std::vector<std::string> assign_labels(std::vector<Row>& rows) {
  std::set<std::string> names;
  const Row *numbered = nullptr, *named = nullptr;
  long long highest = -1;
  for (const Row& row : rows) {
    long long number = 0;
    if (row.label.empty()) continue;
    names.insert(row.label);
    if (!parse_integer(row.label, number)) {
      named = &row;
      continue;
    }
    numbered = &row;
    if (number < -1 || number >= kMaxClasses)
      fail("manifest", "{}: label {}, expected 0 to {}, or -1 for unlabelled", row.where, number, kMaxClasses - 1);
    highest = std::max(highest, number);
  }
  if (named && numbered)
    fail("manifest", "{}: label '{}' is a name, but {}: '{}' is a number. Fix: use one of them throughout", named->where,
         named->label, numbered->where, numbered->label);
  std::vector<std::string> classes(names.begin(), names.end());
  if (numbered) {
    classes.clear();
    for (long long i = 0; i <= highest; ++i) classes.push_back(std::to_string(i));
  }
  for (Row& row : rows) {
    if (row.label.empty()) continue;
    row.sample.label = numbered ? std::stoi(row.label)
                                : static_cast<int>(std::ranges::lower_bound(classes, row.label) - classes.begin());
  }
  return classes;
}

}  // namespace

DatasetContents open_manifest(const std::filesystem::path& path, const DatasetOptions& options) {
  CsvReader csv(path);
  const Columns columns = find_columns(csv, path.string());
  const std::filesystem::path folder = path.parent_path();
  BadRows bad(options.skip_bad, "manifest");
  const auto rows = std::make_shared<std::vector<Row>>();
  std::unordered_map<std::string, int> seen;
  while (csv.next()) {
    Row row;
    const std::string problem = read_row(csv, columns, folder, row);
    if (!problem.empty()) {
      bad.report(problem);
      continue;
    }
    const int times = seen[row.image]++;  // several faces of one image
    row.sample.id = times ? fmt::format("{}#{}", row.image, times) : row.image;
    row.sample.entry = rows->size();
    rows->push_back(std::move(row));
  }
  DatasetContents contents;
  bad.hand_over(contents);
  contents.classes = assign_labels(*rows);
  for (const Row& row : *rows) contents.samples.push_back(row.sample);
  contents.file = [rows, folder](const Sample& sample) { return ImageFile{folder / (*rows)[sample.entry].image, (*rows)[sample.entry].box}; };
  contents.decode = [rows, folder](const Sample& sample) {
    const Row& row = (*rows)[sample.entry];
    Image image = read_image(folder / row.image);
    if (row.box[2] == 0) return image;
    return crop_image(image, row.box[0], row.box[1], row.box[2], row.box[3], row.where);
  };
  return contents;
}

}  // namespace vkfer
