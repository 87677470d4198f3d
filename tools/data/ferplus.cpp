#include "tools/data/ferplus.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "runtime/error.h"
#include "tools/data/csv.h"
#include "tools/data/sources.h"

namespace vkfer {

namespace fs = std::filesystem;

namespace {

constexpr size_t kExpressions = 8;
constexpr const char* kFileName = "fer2013new.csv";

double sum(const Votes& v) { return std::accumulate(v.begin(), v.end(), 0.0); }

Votes majority_of(const Votes& votes) {
  const auto most = std::ranges::max_element(votes);
  Votes kept{};
  if (*most > 0.5 * sum(votes)) kept[size_t(most - votes.begin())] = *most;
  return kept;
}

Votes most_probable(Votes left) {
  const double all = sum(left);
  Votes kept{};
  double taken = 0;
  int count = 0;
  for (bool valid = true; taken < 0.75 * all && count < 3 && valid;) {
    const double most = *std::ranges::max_element(left);
    for (size_t i = 0; i < kVoteColumns && valid; ++i) {
      if (left[i] != most) continue;
      kept[i] = most, left[i] = 0;
      taken += most, ++count;
      if (i < kExpressions) continue;
      valid = false;                                    // "unknown" or "no face" has as many as the best expression left
      if (sum(kept) > most) kept[i] = 0, --count;       // expressions before it stand
    }
  }
  return sum(kept) <= 0.5 * all || count > 3 ? Votes{} : kept;
}

struct VoteRow {
  std::string where, image;
  Split split;
  Votes votes{};
};

std::vector<VoteRow> read_votes(const fs::path& path) {
  CsvReader csv(path);
  const int usage = csv.column({"usage"}), image = csv.column({"image name"});
  std::array<int, kVoteColumns> columns;
  for (size_t i = 0; i < kVoteColumns; ++i)
    columns[i] = i < kExpressions ? csv.column({ferplus_classes()[i]}) : csv.column({i == kExpressions ? "unknown" : "nf"});
  if (usage < 0 || image < 0 || std::ranges::count(columns, -1))
    fail("fer+", "'{}' lacks columns of Usage, Image name, neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, NF. Fix: download it again", path.string());
  std::vector<VoteRow> rows;
  while (csv.next()) {
    VoteRow row{csv.where(), std::string(csv.field(image)), split_from_name(csv.field(usage)), {}};
    if (csv.wrong_field_count()) fail("fer+", "{}: {} fields, expected {}. Fix: download the file again", row.where, csv.field_count(), csv.header_count());
    for (size_t i = 0; i < kVoteColumns; ++i)
      if (!parse_number(csv.field(columns[i]), row.votes[i]) || !(row.votes[i] >= 0 && row.votes[i] <= 1000))
        fail("fer+", "{}: '{}' is no number of votes. Fix: download the file again", row.where, csv.field(columns[i]));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

Verdict judge(const Votes& votes, VoteMode mode) {
  Votes counted = votes;
  for (double& v : counted)
    if (v <= 1) v = 0;
  Votes kept = mode == VoteMode::majority ? majority_of(counted) : most_probable(counted);
  const auto best = std::ranges::max_element(kept);
  if (*best == 0 || best - kept.begin() >= ptrdiff_t(kExpressions)) return {};
  Verdict verdict{int(best - kept.begin()), {}};
  const double all = std::accumulate(kept.begin(), kept.begin() + kExpressions, 0.0);
  for (size_t i = 0; i < kExpressions; ++i) verdict.distribution.push_back(float(kept[i] / all));
  return verdict;
}

void apply_votes(const fs::path& fer_csv, VoteMode mode, DatasetContents& data) {
  const fs::path path = fer_csv.parent_path() / kFileName;
  std::error_code error;
  if (!fs::is_regular_file(path, error)) fail("--votes", "there is no {} beside '{}'. Fix: put FER+'s votes there", kFileName, fer_csv.string());
  const std::vector<VoteRow> rows = read_votes(path);
  size_t unnamed = 0, rejected = 0;
  std::vector<Sample> kept;
  for (Sample& s : data.samples) {
    long long number = -1;
    parse_integer(std::string_view(s.id).substr(4), number);  // "row N"
    if (number < 0 || size_t(number) >= rows.size())
      fail("fer+", "'{}' has {} rows, but '{}' has a row {}. Fix: files that belong together", path.string(), rows.size(), fer_csv.string(), number);
    const VoteRow& row = rows[size_t(number)];
    if (row.split != s.split) fail("fer+", "{}: Usage is not that of the same row of '{}'. Fix: files that belong together", row.where, fer_csv.string());
    const Verdict verdict = judge(row.votes, mode);
    if (row.image.empty()) ++unnamed;  // FER+ leaves these out: no faces
    else if (verdict.label < 0) ++rejected;
    if (row.image.empty() || verdict.label < 0) continue;
    s.label = verdict.label;
    if (mode == VoteMode::probability) s.distribution = verdict.distribution;
    kept.push_back(std::move(s));
  }
  data.samples = std::move(kept);
  data.classes = ferplus_classes();
  data.warnings.push_back(fmt::format("by FER+'s votes {} images are left out ({} of them no faces): {} stay", unnamed + rejected, unnamed, data.samples.size()));
}

const std::vector<std::string>& ferplus_classes() {
  static const std::vector<std::string> classes{"neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"};
  return classes;
}

VoteMode vote_mode(std::string_view name) {
  if (name.empty() || name == "none") return VoteMode::none;
  if (name == "majority") return VoteMode::majority;
  if (name == "probability") return VoteMode::probability;
  fail("--votes", "got '{}', expected majority or probability", name);
}

}  // namespace vkfer
