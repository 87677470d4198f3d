// The acceptance of "nothing is lost": all that a run may have switched on, killed fifty times. Hidden, for it takes minutes:
//   vkfer_tests "[kill]"
#include <algorithm>
#include <random>

#include "tests/catch.h"
#include "tests/workplace.h"

namespace fs = std::filesystem;
using namespace vkfer;
using namespace vkfer::test;

TEST_CASE("tool: killed fifty times with everything on, a run ends with the same bits", "[.][kill]") {
  Workplace place;
  draw_faces(place.path / "faces", 24);
  const std::string start =
      "train --model compact_resnet --data faces --size 24 --batch 4 --micro-batch 2 --epochs 400 --optimizer adamw --schedule onecycle --clip-norm 1 --ema 0.99 "
      "--label-smoothing 0.1 --class-weights balanced --dropout 0.3 --crop 2 --rotate 15 --shift 0.1 --shear 5 --zoom 0.1 --perspective 0.1 --brightness 0.2 "
      "--contrast 0.2 --saturation 0.2 --erase 0.5 --mixup 0.2 --cutmix 1 --backbone-rate 0.5 --no-norm-decay --freeze backbone --freeze-epochs 100 --unfreeze-blocks 1 "
      "--tensorboard --events log.jsonl";
  const std::string precision = GENERATE("fp32", "fp16");
  const std::string all = start + " --precision " + precision;
  REQUIRE(place.run(all + " --run whole").status == 0);
  const fs::path run = place.path / "run";
  std::mt19937 random(11);
  int killed = 0, finished = 0;
  while (killed < 25) {
    const bool begun = fs::exists(run / "config.json");
    const double seconds = 0.2 + double(random() % 1000) / 250;
    const Ran ran = place.run_killed_after(seconds, begun ? "train --resume run --tensorboard --events log.jsonl" : all + " --run run");
    INFO(ran.err);
    if (ran.status == 0) {   // done before its fifty lives were over: once more from the beginning
      ++finished;
      CHECK(text_of(run / "model.safetensors") == text_of(place.path / "whole" / "model.safetensors"));
      fs::remove_all(run);
      continue;
    }
    REQUIRE(ran.status == 137);
    ++killed;
  }
  const Ran last = place.run(fs::exists(run / "config.json") ? "train --resume run --tensorboard" : all + " --run run");
  INFO(last.err);
  REQUIRE(last.status == 0);
  CHECK(text_of(run / "model.safetensors") == text_of(place.path / "whole" / "model.safetensors"));
  const std::string history = text_of(run / "history.csv");
  CHECK(std::count(history.begin(), history.end(), '\n') == 401);
  WARN(precision << ": killed " << killed << " times, finished " << finished + 1 << " times, each with the same weights");
}
