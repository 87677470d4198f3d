// Training in phases: what is frozen when, and that nothing of it is lost when a run is interrupted.
#include "tools/train/phases.h"

#include <set>

#include "tests/catch.h"
#include "tests/op_shader.h"
#include "tests/scratch.h"
#include "tests/small_runs.h"
#include "tools/train/training.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

TrainSettings phased(const char* freeze, int epochs, int blocks = 0) {
  TrainSettings s = small_settings();
  s.freeze = freeze;
  s.freeze_epochs = epochs;
  s.unfreeze_blocks = blocks;
  return s;
}

using Texts = std::vector<std::string>;

std::optional<Checkpoint> load(RunFolder& folder) {
  return folder.load([](const std::string&) {});
}

// One process' share of a run.
TrainResult run_for(const Dataset& data, const TrainSettings& s, RunFolder& folder, int steps, std::vector<std::string>* said = nullptr) {
  int done = 0;
  TrainHooks hooks;
  hooks.step = [&](const StepReport&) { ++done; };
  hooks.stop = [&] { return done >= steps; };
  if (said) hooks.say = [said](const std::string& line) { said->push_back(line); };
  Training training(test_device(), data, s, load(folder), hooks);
  CHECK(training.inexact_because() == "");
  return training.run(folder);
}

}  // namespace

TEST_CASE("phases: what is frozen when", "[train][phases]") {
  const FreezePhases never = freeze_phases(phased("backbone", 0), 5);
  CHECK(never.freezes == Texts{"backbone"});
  CHECK(never.at(1000) == 0);

  const FreezePhases once = freeze_phases(phased("layer1,layer2", 3), 5);
  CHECK(once.freezes == Texts{"layer1,layer2", ""});
  CHECK(once.at(2) == 0);
  CHECK(once.at(3) == 1);
  CHECK(once.at(1000) == 1);

  CHECK(freeze_phases(phased("backbone", 1, 2), 5).freezes == Texts{"backbone", "blocks:3", "blocks:1", ""});
  CHECK(freeze_phases(phased("blocks:2", 1, 1), 5).freezes == Texts{"blocks:2", "blocks:1", ""});
  CHECK(freeze_phases(phased("backbone", 1, 9), 5).freezes == Texts{"backbone", ""});
  CHECK(freeze_phases(phased("backbone", 2, 1), 2).at(3) == 1);
}

TEST_CASE("phases: settings that make none are refused", "[train][phases]") {
  CHECK_THROWS_WITH(check_settings(phased("", 1)), contains("--freeze-epochs") && contains("--freeze backbone"));
  CHECK_THROWS_WITH(check_settings(phased("none", 1)), contains("nothing is frozen"));
  CHECK_THROWS_WITH(check_settings(phased("backbone", -1)), contains("--freeze-epochs"));
  CHECK_THROWS_WITH(check_settings(phased("backbone", 0, 1)), contains("--unfreeze-blocks") && contains("--freeze-epochs 1"));
  CHECK_THROWS_WITH(check_settings(phased("block1", 1, 1)), contains("names layers"));
  CHECK_NOTHROW(check_settings(phased("block1", 1)));
}

TEST_CASE("phases: each trains what it should, and interrupted anywhere the run ends with the same bits", "[train][phases]") {
  const Dataset data = faces(35, 14);  // 4 steps an epoch
  TrainSettings s = phased("backbone", 1, 1);
  s.epochs = 4;
  s.optimizer = "adamw";
  s.ema = 0.9;
  s.clip_norm = 1;
  s.micro_batch = GENERATE(0, 4);
  Scratch scratch;
  RunFolder whole = RunFolder::create(scratch.path / "whole");
  std::vector<std::string> said;
  REQUIRE(run_for(data, s, whole, 1 << 30, &said).finished);
  CHECK(said == Texts{"from epoch 2 on, blocks:1 of the backbone stay frozen", "from epoch 3 on, everything trains"});
  const Checkpoint expected = *load(whole);
  CHECK(expected.skipped_before == std::vector<int64_t>{0, 0});

  RunFolder cut = RunFolder::create(scratch.path / "cut");
  const std::string first = "block1.conv1.weight", second = "block2.conv1.weight", moment = ".adam_m";
  std::optional<Checkpoint> start;
  std::set<size_t> seen;
  while (!run_for(data, s, cut, 1).finished) {
    const Checkpoint at = *load(cut);
    if (!start) start = at;
    const size_t phase = at.skipped_before.size();
    INFO("phase " << phase << ", epoch " << at.epoch << ", step " << at.step);
    seen.insert(phase);
    CHECK((at.states.at(second) != start->states.at(second)) == (phase >= 1));
    CHECK((at.states.at(first) != start->states.at(first)) == (phase >= 2));
    CHECK(at.states.count("optimizer." + second + moment) == (phase >= 1));
    CHECK(at.states.count("optimizer." + first + moment) == (phase >= 2));
  }
  CHECK(seen == std::set<size_t>{0, 1, 2});
  const Checkpoint got = *load(cut);
  CHECK(got.states == expected.states);
  CHECK(got.best_model == expected.best_model);
  CHECK(got.history.back().val == expected.history.back().val);
}

TEST_CASE("phases: a checkpoint of a phase that the settings do not have is refused", "[train][phases]") {
  const Dataset data = faces(35, 14);
  const TrainSettings s = small_settings();
  Scratch scratch;
  RunFolder folder = RunFolder::create(scratch.path / "run");
  CHECK_FALSE(run_for(data, s, folder, 1).finished);
  Checkpoint damaged = *load(folder);
  damaged.skipped_before = {0, 0};
  folder.save(damaged, 2, data.classes());
  CHECK_THROWS_WITH(run_for(data, s, folder, 1), contains("[checkpoint]") && contains("phase 3"));
}
