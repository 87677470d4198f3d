// Tuning: what a choice changes, what the file is worth, and that no wrong kernel is ever chosen.
#include "graph/tuning.h"

#include <cctype>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "graph/executor.h"
#include "graph/ops/ops.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/op_shader.h"
#include "tests/small_nets.h"
#include "tests/scratch.h"
#include "tools/train/checkpoint.h"
#include "tools/tune/tuner.h"

namespace fs = std::filesystem;
using namespace vkfer;
using namespace vkfer::test;

namespace {

std::string text_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_text(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

DeviceInfo some_device() {
  DeviceInfo info;
  info.name = "a device", info.driver_name = "a driver", info.driver_info = "1.2", info.uuid = "0123";
  info.driver_version = 7;
  return info;
}

Problem small_conv() { return {&ops::conv2d, {{"pad", std::vector<int64_t>{1, 1, 1, 1}}}, {{{2, 6, 5, 8}}, {{3, 3, 8, 12}}}}; }

std::vector<TunedEntry> two_entries() {
  return {{"conv2d | 1x2x3x4 f32", {{"engine", "direct"}}, 1.25, 2.5}, {"linear | 3x4 f32", {{"parallel_groups", 4}, {"vectors_per_invocation", 2}}, 0.1, 0.3}};
}

// What reading it gives, and how many notices.
std::vector<TunedEntry> read_counting(const fs::path& path, const DeviceInfo& info, const Target& profile, std::vector<std::string>& notices) {
  return read_tuning(path, info, profile, [&](const std::string& text) { notices.push_back(text); });
}

// ---- an op with candidates that lie -----------------------------------------------------------------------------------

constexpr uint32_t kOther = 201, kWrong = 202, kNothing = 203, kBehind = 204, kThrows = 205;

// relu lets positive words through: a guard that x and y shared would be copied over itself, unseen.
void lying_lower(Lowering& l) {
  const uint32_t which = l.target.engine == Engine::direct ? 0 : l.target.parallel_groups;
  if (which == kThrows) fail("lying", "'{}' cannot be lowered so", l.label());
  if (which == kWrong) return ops::sigmoid.lower(l);
  ops::relu.lower(l);
  if (which == kNothing) l.result.dispatches.clear();
  if (which == kOther) l.result.dispatches.push_back(l.result.dispatches[0]);  // right, but twice the work
  if (which == kBehind) {
    uint32_t count;  // the first push constant: elements
    std::memcpy(&count, l.result.dispatches[0].push.data(), 4);
    count += 4;
    std::memcpy(l.result.dispatches[0].push.data(), &count, 4);
  }
}

std::vector<Attrs> lying_candidates(const Target&) {
  std::vector<Attrs> all;
  for (const uint32_t which : {kOther, kWrong, kNothing, kBehind, kThrows}) all.push_back({{"parallel_groups", int64_t(which)}});
  return all;
}

const OpDef& lying() {
  static const OpDef op = [] {
    OpDef o = ops::relu;
    o.lower = lying_lower;
    o.candidates = lying_candidates;
    o.in_place = {};
    return o;
  }();
  return op;
}

CountedProblem problem_for(const OpDef& op) {
  Problem p;
  p.op = &op;
  p.in.push_back({Shape{2, 4, 5, 8}, DType::f32});
  return {p, "x", 1};
}

// Whatever the device: the lying op's engines differ.
Target subgroup_profile() {
  Target t = target_for(test_device().info());
  t.engine = Engine::subgroup;
  return t;
}

const Candidate& candidate(const TunedProblem& t, uint32_t which) {
  for (const Candidate& c : t.candidates)
    if (c.choice == Attrs{{"parallel_groups", int64_t(which)}}) return c;
  FAIL("no candidate " << which);
  return t.candidates[0];
}

}  // namespace

TEST_CASE("a choice changes the target where it may", "[tuning]") {
  Target t;
  t.engine = Engine::subgroup;
  const Target changed = apply_choice(t, {{"engine", "direct"}, {"parallel_groups", 5}, {"vectors_per_invocation", 3}});
  CHECK(changed.engine == Engine::direct);
  CHECK(changed.parallel_groups == 5);
  CHECK(changed.vectors_per_invocation == 3);
  CHECK(apply_choice(t, {}).to_string() == t.to_string());
  CHECK_THROWS_WITH(apply_choice(t, {{"engine", "coopmat"}}), contains("coopmat"));
  CHECK_THROWS_WITH(apply_choice(t, {{"engine", "warp"}}), contains("warp"));
  CHECK_THROWS_AS(apply_choice(t, {{"engine", 3}}), Error);
  CHECK_THROWS_WITH(apply_choice(t, {{"subgroup_size", 4}}), contains("subgroup_size"));
  for (const int64_t bad : {int64_t(0), int64_t(-1), int64_t(1) << 40})
    CHECK_THROWS_WITH(apply_choice(t, {{"parallel_groups", bad}}), contains("parallel_groups"));
}

TEST_CASE("every op's candidates are choices that its target allows", "[tuning]") {
  int ops_with_choices = 0;
  for (const Engine engine : {Engine::direct, Engine::subgroup, Engine::shared})
    for (const OpDef* op : all_ops()) {
      if (!op->candidates) continue;
      ++ops_with_choices;
      Target t;
      t.engine = engine;
      INFO(op->name);
      for (const Attrs& choice : op->candidates(t)) CHECK_NOTHROW(apply_choice(t, choice));
    }
  CHECK(ops_with_choices >= 3 * 6);
}

TEST_CASE("a plan follows the tuning of its problems, and keeps what it used", "[tuning][graph]") {
  const Graph g = lone_graph(small_conv());
  Target t;
  const Plan by_default = make_plan(g, t);
  t.tuning[small_conv().key()] = {{"engine", "direct"}};
  t.tuning["conv2d | of another network"] = {{"engine", "direct"}};
  const Plan tuned = make_plan(g, t);
  CHECK_THAT(by_default.nodes[0].lowered.dispatches[0].module, contains("conv_gemm"));
  CHECK_THAT(tuned.nodes[0].lowered.dispatches[0].module, contains("conv_direct"));
  CHECK(tuned.signature() != by_default.signature());
  CHECK(tuned.target.tuning.size() == 1);
  CHECK(make_plan(g, tuned.target).signature() == tuned.signature());
  t.tuning[small_conv().key()] = {{"engine", "coopmat"}};
  CHECK_THROWS_WITH(make_plan(g, t), contains("coopmat"));
}

TEST_CASE("a checkpoint's target carries its tuning, and old ones have none", "[tuning]") {
  Target t;
  t.tuning["conv2d | x"] = {{"engine", "direct"}, {"parallel_groups", 4}};
  Json j = Json::parse(target_json(t).dump());
  CHECK(target_from_json(j).tuning == t.tuning);
  j.erase("tuning");
  CHECK(target_from_json(j).tuning.empty());
  j["tuning"] = {{"conv2d | x", {{"engine", "warp"}}}};
  CHECK_THROWS_AS(target_from_json(j), Error);
}

TEST_CASE("a tuning file gives back what was written, and takes more", "[tuning]") {
  const Scratch folder;
  const fs::path path = folder.path / "new" / "tuning.json";
  const DeviceInfo info = some_device();
  const Target profile;
  std::vector<std::string> notices;
  CHECK(read_counting(path, info, profile, notices).empty());
  CHECK(notices.empty());  // absent is nothing to speak of
  write_tuning(path, info, profile, two_entries());
  std::vector<TunedEntry> read = read_counting(path, info, profile, notices);
  REQUIRE(read.size() == 2);
  CHECK(read[0].problem == "conv2d | 1x2x3x4 f32");
  CHECK(read[0].choice == two_entries()[0].choice);
  CHECK(read[1].choice == two_entries()[1].choice);
  CHECK(read[1].milliseconds == 0.1);
  CHECK(read[0].default_milliseconds == 2.5);
  write_tuning(path, info, profile, {{"linear | 3x4 f32", {}, 0.2, 0.2}, {"other", {}, 1, 1}});
  read = read_counting(path, info, profile, notices);
  REQUIRE(read.size() == 3);
  CHECK(read[0].problem == "linear | 3x4 f32");
  CHECK(read[0].choice == Attrs{});
  CHECK(notices.empty());
}

TEST_CASE("a tuning file of another device, driver or profile is ignored with one notice", "[tuning]") {
  const Scratch folder;
  const fs::path path = folder.path / "tuning.json";
  const Target profile;
  write_tuning(path, some_device(), profile, two_entries());
  const auto ignored = [&](const DeviceInfo& info, const Target& target, const char* what) {
    std::vector<std::string> notices;
    INFO(what);
    CHECK(read_counting(path, info, target, notices).empty());
    REQUIRE(notices.size() == 1);
    CHECK_THAT(notices[0], contains(what) && contains("Fix:"));
  };
  DeviceInfo other = some_device();
  other.uuid = "4567";
  ignored(other, profile, "uuid");
  other = some_device(), other.driver_info = "1.3";
  ignored(other, profile, "driver");
  other = some_device(), other.driver_version = 8;
  ignored(other, profile, "driver_version");
  Target slower;
  slower.engine = Engine::direct;
  ignored(some_device(), slower, "profile");
}

TEST_CASE("a damaged tuning file is ignored with one notice", "[tuning]") {
  const Scratch folder;
  const fs::path path = folder.path / "tuning.json";
  const Target profile;
  write_tuning(path, some_device(), profile, two_entries());
  const std::string good = text_of(path);
  const auto ignored = [&](const std::string& text) {
    write_text(path, text);
    std::vector<std::string> notices;
    const bool nothing = read_counting(path, some_device(), profile, notices).empty();
    return nothing && notices.size() == 1;
  };
  for (size_t cut = 0; cut + 2 < good.size(); cut += 7) {
    INFO("cut at " << cut);
    CHECK(ignored(good.substr(0, cut)));
  }
  // Any letter or digit that changes, changes a name or a value.
  for (size_t at = 0; at < good.size(); at += 3) {
    if (!std::isalnum(static_cast<unsigned char>(good[at]))) continue;
    std::string bad = good;
    bad[at] = bad[at] == '7' ? '8' : '7';
    INFO("byte " << at);
    CHECK(ignored(bad));
  }
  for (const char* text : {"[]", "3", "{}", "null", "{\"checksum\": 3}", "\xff\xfe", "{\"checksum\": \"x\", \"entries\": []}"}) {
    INFO(text);
    CHECK(ignored(text));
  }
  write_text(path, good);
  CHECK(read_tuning(path, some_device(), profile).size() == 2);
  fs::remove(path), fs::create_directory(path);
  std::vector<std::string> notices;
  CHECK(read_counting(path, some_device(), profile, notices).empty());
}

TEST_CASE("the tuner rejects candidates that lie", "[tuning][device]") {
  const TunedProblem t = tune_problem(test_device(), problem_for(lying()), subgroup_profile(), 2);
  REQUIRE(t.skipped == "");
  CHECK(candidate(t, kOther).rejected == "");
  CHECK_THAT(candidate(t, kWrong).rejected, contains("differs from the direct engine's"));
  CHECK_THAT(candidate(t, kNothing).rejected, contains("NaN"));
  CHECK_THAT(candidate(t, kBehind).rejected, contains("wrote behind the end"));
  CHECK_THAT(candidate(t, kThrows).rejected, contains("cannot be lowered so"));
  CHECK(t.candidates[0].rejected == "");
  CHECK(t.candidates[t.chosen].rejected == "");
  CHECK(t.candidates[t.chosen].milliseconds >= 0);
}

TEST_CASE("where the defaults are wrong, the tuner takes a candidate that is right, or none", "[tuning][device]") {
  Target profile = subgroup_profile();
  profile.parallel_groups = kWrong;
  const TunedProblem t = tune_problem(test_device(), problem_for(lying()), profile, 1);
  CHECK(t.skipped == "");
  CHECK(t.candidates[0].rejected != "");
  CHECK(t.candidates[t.chosen].choice == Attrs{{"parallel_groups", int64_t(kOther)}});
  OpDef hopeless = lying();
  hopeless.candidates = [](const Target&) { return std::vector<Attrs>{{{"parallel_groups", int64_t(kNothing)}}}; };
  CHECK_THAT(tune_problem(test_device(), problem_for(hopeless), profile, 1).skipped, contains("no candidate agrees"));
  CHECK(tune_problem(test_device(), problem_for(ops::relu), profile, 1).skipped == "nothing to choose");
}

TEST_CASE("a choice changes a result by no more than the op's error", "[tuning][device]") {
  const Target profile = target_for(test_device().info());
  SmallNet net = small_net({.batch = 3});
  fuse_for_training(net.graph);
  add_training(net);
  int tuned = 0;
  for (const CountedProblem& p : problems_of(net.graph)) {
    if (!p.problem.op->candidates) continue;
    INFO(p.problem.key());
    const TunedProblem t = tune_problem(test_device(), p, profile, 1);
    if (t.skipped == "nothing to choose") continue;
    CHECK(t.skipped == "");
    for (const Candidate& c : t.candidates) {
      INFO(c.choice.to_string());
      CHECK(c.rejected == "");
    }
    ++tuned;
  }
  CHECK(tuned > 3);
  CHECK(new_validation_messages() == "");
}
