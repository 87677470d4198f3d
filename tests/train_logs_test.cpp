// What a run tells programs: TensorBoard's files and lines of JSON; and what happens to a run when the disk is full.
#include <cmath>
#include <cstring>
#include <fstream>

#include "models/onnx/protobuf.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/environment.h"
#include "tests/op_shader.h"
#include "tests/scratch.h"
#include "tests/small_runs.h"
#include "tools/data/bytes.h"
#include "tools/train/tensorboard.h"
#include "tools/train/training.h"

using namespace vkfer;
using namespace vkfer::test;
namespace fs = std::filesystem;

namespace {

uint32_t crc_of(std::string_view text) { return crc32c(std::as_bytes(std::span(text))); }

// Everything that the files of a folder hold, in the order of their names.
std::vector<LoggedStep> logged(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::ranges::sort(files);
  std::vector<LoggedStep> all;
  for (const fs::path& file : files)
    for (LoggedStep& step : read_tensorboard(file)) all.push_back(std::move(step));
  return all;
}

std::vector<int64_t> steps_of(const std::vector<LoggedStep>& all) {
  std::vector<int64_t> steps;
  for (const LoggedStep& s : all) steps.push_back(s.step);
  return steps;
}

}  // namespace

TEST_CASE("tensorboard: crc32c of RFC 3720, and bytes as TensorFlow writes them", "[logs]") {
  CHECK(crc_of("123456789") == 0xE3069283);
  CHECK(crc_of(std::string(32, '\0')) == 0x8A9136AA);
  CHECK(crc_of(std::string(32, '\xff')) == 0x62A8AB43);
  const Scratch scratch;
  const TensorBoardLog log(scratch.path / "tb", {});
  CHECK(log.path().filename().string().starts_with("events.out.tfevents."));
  const std::vector<std::byte> bytes = read_file(log.path(), 1 << 20);
  // How every file of TensorFlow's begins: a record of 24 bytes, Event{wall_time, file_version}.
  REQUIRE(bytes.size() == 12 + 24 + 4);
  CHECK(std::string(reinterpret_cast<const char*>(bytes.data()), 13) == std::string("\x18\0\0\0\0\0\0\0\xa3\x7fK\"\t", 13));
  CHECK(std::string(reinterpret_cast<const char*>(bytes.data()) + 12 + 9, 15) == "\x1a\x0d" "brain.Event:2");
}

TEST_CASE("tensorboard: scalars come back, cut records do not", "[logs]") {
  const Scratch scratch;
  fs::path file;
  {
    TensorBoardLog log(scratch.path, {});
    CHECK(log.until().step == -1);
    file = log.path();
    log.write(10, {{"loss/train", 1.5}, {"bad", std::nan("")}, {"accuracy", 0.25}});
    log.write(20, {{"bad", HUGE_VAL}});
    log.write(30, {{"loss/train", 0.5}});
  }
  const std::vector<LoggedStep> all = read_tensorboard(file);
  REQUIRE(all.size() == 2);
  CHECK(all[0].step == 10);
  CHECK(all[0].scalars == Scalars{{"loss/train", 1.5}, {"accuracy", 0.25}});
  CHECK(all[1].step == 30);
  CHECK_THROWS_WITH(TensorBoardLog(scratch.path, {}), contains("holds the curves of a run already"));
  // Damage anywhere ends the reading there, and never crashes it.
  const std::vector<std::byte> good = read_file(file, 1 << 20);
  for (size_t at = 0; at < good.size(); ++at) {
    std::vector<std::byte> bad = good;
    bad[at] ^= std::byte{4};
    std::ofstream(file, std::ios::binary | std::ios::trunc).write(reinterpret_cast<const char*>(bad.data()), std::streamsize(bad.size()));
    uint64_t sound = 0;
    const std::vector<LoggedStep> read = read_tensorboard(file, &sound);
    CHECK(sound <= at);
    CHECK(read.size() < 2);
    std::ofstream(file, std::ios::binary | std::ios::trunc).write(reinterpret_cast<const char*>(good.data()), std::streamsize(at));
    CHECK(read_tensorboard(file).size() <= 2);
  }
}

TEST_CASE("tensorboard: on a full disk it says so, and what it has is sound", "[logs]") {
  const Scratch scratch;
  TensorBoardLog log(scratch.path, {});
  int64_t written = 0;
  {
    const FullDisk full(300);
    CHECK_THROWS_WITH([&] { for (; written < 100; ++written) log.write(written + 1, {{"step/loss", 1.5}}); }(), contains("File too large"));
  }
  CHECK((written > 2 && written < 10));
  CHECK(read_tensorboard(log.path()).size() == size_t(written));
  TensorBoardLog again(scratch.path, {written, 0});  // cuts the half record off
  again.write(written + 1, {{"step/loss", 1.5}});
  CHECK(logged(scratch.path).size() == size_t(written) + 1);
}

TEST_CASE("tensorboard: a run that goes on goes on with its curves, without a step twice", "[logs]") {
  const Scratch scratch;
  const auto write = [](TensorBoardLog& log, int64_t from, int64_t to) {
    for (int64_t step = from; step <= to; step += 10) log.write(step, {{"step/loss", double(step)}});
  };
  {
    TensorBoardLog log(scratch.path, {});
    write(log, 10, 50);
    std::ofstream(log.path(), std::ios::binary | std::ios::app) << "half a rec";  // killed while writing
  }
  {
    TensorBoardLog log(scratch.path, {32, 0});  // the checkpoint is older than the curves
    CHECK(log.until().step == 30);
    write(log, 40, 90);
  }
  std::ofstream(scratch.path / "events.out.tfevents.1.another") << "of another program: left alone";
  TensorBoardLog log(scratch.path, {0, 0});  // from the beginning, after the checkpoint was lost
  CHECK(log.until().step == -1);
  write(log, 10, 20);
  CHECK(steps_of(logged(scratch.path)) == std::vector<int64_t>{10, 20});
  CHECK(fs::file_size(scratch.path / "events.out.tfevents.1.another") == 30);
  { TensorBoardLog again(scratch.path, {95, 9}); CHECK(again.until().step == 20); write(again, 100, 120); }
  CHECK(steps_of(logged(scratch.path)) == std::vector<int64_t>{10, 20, 100, 110, 120});
}

TEST_CASE("tensorboard: validation that is done again is there once", "[logs]") {
  const Scratch scratch;
  EpochRecord r{1, {}, {}, 0.01, 2.5};
  r.train.confusion = r.val.confusion = Confusion(2);
  {
    TensorBoardLog log(scratch.path, {});
    log.write(10, {{"step/loss", 1}});
    log.write(10, epoch_scalars(r));
  }
  {
    TensorBoardLog log(scratch.path, {10, 0});  // a checkpoint after step 10, before the validation of epoch 1
    CHECK((log.until().step == 10 && log.until().epoch == -1));
    log.write(10, epoch_scalars(r));
  }
  CHECK(steps_of(logged(scratch.path)) == std::vector<int64_t>{10, 10});
  CHECK(TensorBoardLog(scratch.path, {10, 1}).until().epoch == 1);
  CHECK(steps_of(logged(scratch.path)) == std::vector<int64_t>{10, 10});
}

TEST_CASE("tensorboard: an epoch's figures", "[logs]") {
  EpochRecord r{3, {}, {}, 0.01, 2.5};
  r.train.confusion = r.val.confusion = Confusion(2);
  r.val.confusion.at(1, 1) = 3, r.val.confusion.at(1, 0) = 1;
  r.val.count = 4, r.val.loss_sum = 6;
  r.val.valence = r.val.arousal = Affect{};
  r.val.valence->metrics.rmse = 0.5, r.val.valence->metrics.ccc = std::nan("");
  const Scalars scalars = epoch_scalars(r);
  const std::map<std::string, double> s(scalars.begin(), scalars.end());
  CHECK(s.at("loss/val") == 1.5);
  CHECK(s.at("accuracy/val") == 0.75);
  CHECK(s.at("epoch/learning_rate") == 0.01);
  CHECK(s.at("epoch/seconds") == 2.5);
  CHECK(s.at("valence/rmse") == 0.5);
  CHECK(s.count("arousal/ccc") == 1);
}

TEST_CASE("training: a full disk ends the run with a message and the last checkpoint intact", "[train][logs]") {
  const Scratch scratch;
  const Dataset data = faces(56, 21);
  const TrainSettings settings = small_settings();
  const fs::path path = scratch.path / "run", undisturbed = scratch.path / "undisturbed";
  const auto train = [&](RunFolder& folder, TrainHooks hooks) {
    hooks.checkpoint_seconds = 0;
    Training training(test_device(), data, settings, folder.load([](const std::string&) {}), hooks);
    return training.run(folder);
  };
  RunFolder whole = RunFolder::create(undisturbed);
  train(whole, {});
  std::optional<Checkpoint> kept;
  {
    RunFolder folder = RunFolder::create(path);
    folder.write_config({{"settings", "as above"}});
    std::optional<FullDisk> full;
    TrainHooks hooks;
    hooks.saved = [&](int, int64_t) {
      kept = folder.load([](const std::string&) {});
      full.emplace(1000);  // from the first checkpoint on; the last epoch's is saved in any case
    };
    CHECK_THROWS_WITH(train(folder, hooks), contains("File too large. Fix: check the folder, its permissions and the free space") && contains("checkpoint is sound"));
  }
  REQUIRE(kept);
  for (const auto& entry : fs::recursive_directory_iterator(path)) CHECK(entry.path().string().find(".writing-") == std::string::npos);
  RunFolder folder = RunFolder::open(path);
  const auto after = folder.load([](const std::string& line) { FAIL(line); });
  REQUIRE(after);
  CHECK(encode_checkpoint(*after) == encode_checkpoint(*kept));
  // With room again it goes on, to the same bytes.
  CHECK(train(folder, {}).finished);
  CHECK(read_file(model_path(path), 1 << 30) == read_file(model_path(undisturbed), 1 << 30));
}

TEST_CASE("run folder: where it may not write", "[train][logs]") {
  CHECK_THROWS_WITH(RunFolder::create("/proc/vkfer"), contains("/proc/vkfer") && contains("cannot make the folder"));
  const Scratch scratch;
  std::ofstream(scratch.path / "file") << "x";
  CHECK_THROWS_WITH(RunFolder::create(scratch.path / "file"), contains("is a file, expected a folder"));
  CHECK_THROWS_WITH(RunFolder::create(scratch.path / "file/run"), contains("cannot make the folder"));
  RunFolder folder = RunFolder::create(scratch.path / "run");
  const FullDisk full(10);
  CHECK_THROWS_WITH(folder.write_config({{"settings", "more than ten bytes"}}), contains("config.json") && contains("free space"));
  CHECK_FALSE(is_run(scratch.path / "run"));
}
