// FER+'s votes on FER2013.
#include "tools/data/ferplus.h"

#include <map>

#include "tests/data_files.h"
#include "tools/data/writer.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

constexpr const char* kHeader = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n";

std::string fer_row(int value, const char* usage) { return fmt::format("0,{} 2 3 4,{}\n", value, usage); }

}  // namespace

// Expected: what the authors' reader answers for the same votes (src/ferplus.py), majority and probability; -1: left out.
TEST_CASE("fer+: votes are judged as their authors do", "[data]") {
  struct Row {
    Votes votes;
    int majority, probability;
    std::vector<double> distribution;
  };
  const std::vector<Row> rows{
      {{0, 0, 0, 0, 0, 0, 0, 0, 6, 4}, -1, -1, {}},
      {{0, 0, 2, 1, 0, 0, 1, 0, 0, 0}, 2, 2, {0, 0, 1, 0, 0, 0, 0, 0}},
      {{1, 0, 2, 0, 1, 0, 4, 0, 0, 1}, 6, 6, {0, 0, 1. / 3, 0, 0, 0, 2. / 3, 0}},
      {{0, 0, 0, 0, 1, 0, 0, 0, 0, 0}, -1, -1, {}},
      {{0, 1, 0, 2, 0, 3, 0, 0, 0, 4}, -1, -1, {}},
      {{3, 0, 0, 0, 0, 7, 0, 0, 0, 0}, 5, 5, {0.3, 0, 0, 0, 0, 0.7, 0, 0}},
      {{0, 0, 0, 0, 2, 0, 1, 0, 1, 0}, 4, 4, {0, 0, 0, 0, 1, 0, 0, 0}},
      {{0, 0, 5, 0, 0, 0, 5, 0, 0, 0}, -1, 2, {0, 0, 0.5, 0, 0, 0, 0.5, 0}},
      {{0, 0, 1, 0, 0, 0, 0, 0, 7, 2}, -1, -1, {}},
      {{2, 0, 2, 0, 0, 0, 0, 0, 0, 0}, -1, 0, {0.5, 0, 0.5, 0, 0, 0, 0, 0}},
      {{0, 0, 0, 7, 3, 0, 0, 0, 0, 0}, 3, 3, {0, 0, 0, 0.7, 0.3, 0, 0, 0}},
      {{0, 0, 2, 0, 2, 2, 4, 0, 0, 0}, -1, -1, {}},
      {{0, 0, 0, 0, 0, 5, 2, 0, 1, 2}, 5, 5, {0, 0, 0, 0, 0, 5. / 7, 2. / 7, 0}},
      {{0, 3, 0, 0, 3, 0, 0, 0, 3, 0}, -1, 1, {0, 0.5, 0, 0, 0.5, 0, 0, 0}},
      {{0, 6, 1, 0, 0, 0, 0, 0, 2, 1}, 1, 1, {0, 1, 0, 0, 0, 0, 0, 0}},
      {{0, 1, 0, 0, 0, 0, 4, 0, 0, 4}, -1, -1, {}},
      {{2, 0, 2, 0, 0, 2, 2, 0, 0, 2}, -1, -1, {}},
      {{0, 1, 1, 0, 0, 0, 0, 4, 3, 0}, 7, 7, {0, 0, 0, 0, 0, 0, 0, 1}},
      {{0, 0, 1, 0, 0, 0, 3, 3, 0, 3}, -1, 6, {0, 0, 0, 0, 0, 0, 0.5, 0.5}},
      {{4, 0, 0, 1, 0, 3, 2, 0, 0, 0}, -1, 0, {4. / 7, 0, 0, 0, 0, 3. / 7, 0, 0}},
      {{0, 0, 3, 0, 0, 5, 0, 0, 0, 2}, -1, 5, {0, 0, 0.375, 0, 0, 0.625, 0, 0}},
      {{0, 0, 0, 0, 5, 0, 2, 0, 3, 0}, -1, -1, {}},
      {{0, 1, 0, 0, 0, 0, 0, 1, 0, 2}, -1, -1, {}},
      {{0, 0, 0, 0, 0, 0, 0, 0, 0, 10}, -1, -1, {}},
  };
  for (const Row& row : rows) {
    INFO(fmt::format("{}", fmt::join(row.votes, " ")));
    const Verdict majority = judge(row.votes, VoteMode::majority), probability = judge(row.votes, VoteMode::probability);
    CHECK(majority.label == row.majority);
    CHECK(majority.distribution.size() == (row.majority < 0 ? 0 : 8));
    CHECK(probability.label == row.probability);
    REQUIRE(probability.distribution.size() == row.distribution.size());
    for (size_t i = 0; i < row.distribution.size(); ++i) CHECK(probability.distribution[i] == Approx(row.distribution[i]));
  }
}

TEST_CASE("fer+: the votes beside a fer2013.csv are its labels", "[data]") {
  const TempDir dir;
  const fs::path csv = dir.path / "fer2013.csv", votes = dir.path / "fer2013new.csv";
  write_file(csv, "emotion,pixels,Usage\n" + fer_row(0, "Training") + fer_row(1, "Training") + fer_row(2, "PublicTest") + fer_row(3, "PrivateTest") + fer_row(4, "Training"));
  const auto rows = [&](const std::string& text) { write_file(votes, kHeader + text); };
  const std::string good = "Training,fer0.png,0,7,3,0,0,0,0,0,0,0\nTraining,,0,0,0,0,0,0,0,0,0,10\nPublicTest,fer2.png,0,0,0,0,0,0,0,8,2,0\n"
                           "PrivateTest,fer3.png,5,0,0,5,0,0,0,0,0,0\nTraining,fer4.png,0,0,0,0,0,10,0,0,0,0\n";
  DatasetOptions options;
  options.votes = VoteMode::majority;
  CHECK_THROWS_WITH(open_dataset(csv.string(), options), contains("no fer2013new.csv beside"));
  rows(good);
  const Dataset majority = open_dataset(csv.string(), options);
  REQUIRE(majority.size() == 3);
  CHECK(majority.classes()[7] == "contempt");
  CHECK((majority.sample(0).label == 1 && majority.sample(1).label == 7 && majority.sample(2).label == 5));
  CHECK(majority.sample(2).id == "row 4");
  CHECK(majority.image(2).pixels == std::vector<uint8_t>{4, 2, 3, 4});
  CHECK(majority.sample(1).split == Split::public_test);
  CHECK(majority.sample(0).distribution.empty());
  CHECK_THAT(majority.warnings().at(0), contains("2 images are left out (1 of them no faces): 3 stay"));
  options.votes = VoteMode::probability;
  const Dataset probability = open_dataset(csv.string(), options);
  REQUIRE(probability.size() == 4);
  CHECK(probability.sample(0).distribution == std::vector<float>{0, 0.7f, 0.3f, 0, 0, 0, 0, 0});
  CHECK(probability.sample(2).distribution == std::vector<float>{0.5f, 0, 0, 0.5f, 0, 0, 0, 0});
  std::vector<std::string> notes = write_dataset(probability.contents(), dir.path / "out", format_for("manifest", "out"));
  CHECK_THAT(notes.at(0), contains("distributions of votes on 4 images are lost"));

  const auto refused = [&](const std::string& text, const char* message) {
    rows(text);
    CHECK_THROWS_WITH(open_dataset(csv.string(), options), contains(message));
  };
  refused(good.substr(0, good.find("PublicTest")), "has 2 rows, but");
  refused("PublicTest" + good.substr(8), "fer2013new.csv:2: Usage is not that");
  refused("Training,fer0.png,0,7,x,0,0,0,0,0,0,0\n", "fer2013new.csv:2: 'x' is no number of votes");
  refused("Training,fer0.png,0,-7,0,0,0,0,0,0,0,0\n", "is no number of votes");
  refused("Training,fer0.png,0,7\n", "4 fields, expected 12");
  write_file(votes, std::string_view("Usage,neutral\nTraining,3\n"));
  CHECK_THROWS_WITH(open_dataset(csv.string(), options), contains("lacks columns"));
  CHECK_THROWS_WITH(open_dataset("builtin", options), contains("is no fer2013.csv"));
  CHECK_THROWS_WITH(vote_mode("mean"), contains("expected majority or probability"));
}
