// Training as a whole: it learns, it stops and goes on bit for bit, and its files survive what happens to files.
#include "tools/train/training.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "graph/problem.h"
#include "models/weights/transfer.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/environment.h"
#include "tests/op_shader.h"
#include "tests/scratch.h"
#include "tests/small_runs.h"
#include "tools/data/atomic_file.h"
#include "tools/data/bytes.h"
#include "tools/train/history.h"
#include "tools/train/saved_network.h"
#include "tools/tune/tuning_file.h"

using namespace vkfer;
using namespace vkfer::test;
namespace fs = std::filesystem;

namespace {

std::vector<std::byte> bytes_of(const fs::path& path) { return read_file(path, size_t{1} << 30); }

struct Outcome {
  std::vector<std::byte> model;
  std::map<std::string, std::vector<std::byte>> states;
  std::vector<Evaluation> train, val;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome outcome(RunFolder& folder) {
  const auto last = folder.load([](const std::string&) {});
  REQUIRE(last);
  CHECK(last->finished);
  Outcome o{bytes_of(model_path(folder.path())), last->states, {}, {}};
  for (const EpochRecord& r : last->history) o.train.push_back(r.train), o.val.push_back(r.val);
  return o;
}

// One process' share of a run: goes on from what the folder holds, and stops after `steps` steps.
TrainResult run_for(const Dataset& data, const TrainSettings& s, RunFolder& folder, int steps, double checkpoint_seconds = 60) {
  int done = 0;
  TrainHooks hooks;
  hooks.step = [&](const StepReport&) { ++done; };
  hooks.stop = [&] { return done >= steps; };
  hooks.checkpoint_seconds = checkpoint_seconds;
  Training training(test_device(), data, s, folder.load([](const std::string&) {}), hooks);
  CHECK(training.inexact_because() == "");
  return training.run(folder);
}

TrainSettings by_heart_settings() {
  TrainSettings s = small_settings();
  s.batch = 32;
  s.epochs = 40;
  s.dropout = 0;
  s.flip = false;
  s.crop = 0;
  s.schedule = "constant";
  return s;
}

bool has_f16() {
  if (test_device().info().storage_16bit) return true;
  WARN("skipped: the device has no 16-bit storage");
  return false;
}

Checkpoint small_checkpoint(int epoch) {
  Checkpoint c;
  c.epoch = epoch;
  c.step = 3;
  c.best_epoch = 1;
  c.history.push_back({1, {}, {}, 0.01, 2.5});
  c.history[0].train.confusion = c.history[0].val.confusion = Confusion(2);
  c.history[0].val.confusion.at(1, 1) = 4;
  c.history[0].val.count = 4;
  c.arithmetic.device = "a device";
  c.states["w"] = std::vector<std::byte>(100, std::byte(epoch));
  c.best_model = std::vector<std::byte>(50, std::byte{7});
  return c;
}

}  // namespace

TEST_CASE("training: a small network learns 32 faces by heart", "[train]") {
  const Dataset data = faces(32, 14);
  TrainSettings s = by_heart_settings();
  s.precision = GENERATE("fp32", "fp16");
  if (s.precision == "fp16" && !has_f16()) return;
  Scratch scratch;
  RunFolder folder = RunFolder::create(scratch.path / "run");
  const TrainResult result = run_for(data, s, folder, 1 << 30);
  REQUIRE(result.finished);
  REQUIRE(result.history.size() == 40);
  CHECK(result.history.back().train.count == 32);
  CHECK(classification_metrics(result.history.back().train.confusion).accuracy == 1.0);
  CHECK(result.history.back().train.loss() < 0.1);
  CHECK(result.history.front().train.loss() > 1.5);
  CHECK(test::new_validation_messages() == "");
}

TEST_CASE("training: interrupted anywhere, it ends with the same bits", "[train]") {
  const Dataset data = faces(35, 14);  // 4 steps an epoch, 3 pictures left over
  const TrainSettings s = small_settings();
  Scratch scratch;
  RunFolder whole = RunFolder::create(scratch.path / "whole");
  REQUIRE(run_for(data, s, whole, 1 << 30).finished);
  const Outcome expected = outcome(whole);
  CHECK(expected.train.size() == 3);
  CHECK(expected.train[0].count == 32);
  CHECK(expected.val[0].count == 14);

  // Stopped after 1 step, within an epoch, at an epoch's end (before validating), several times; with checkpoints in between.
  const std::vector<std::vector<int>> interruptions{{1}, {4}, {6, 1}, {3, 3, 3}};
  for (size_t i = 0; i < interruptions.size(); ++i) {
    INFO("interruptions " << i);
    RunFolder folder = RunFolder::create(scratch.path / std::to_string(i));
    for (const int steps : interruptions[i]) CHECK_FALSE(run_for(data, s, folder, steps, i % 2 ? 0.0 : 60).finished);
    REQUIRE(run_for(data, s, folder, 1 << 30).finished);
    CHECK(outcome(folder) == expected);
  }

  TrainSettings other = s;
  other.seed = 2;
  RunFolder folder = RunFolder::create(scratch.path / "other");
  REQUIRE(run_for(data, other, folder, 1 << 30).finished);
  CHECK_FALSE(outcome(folder).model == expected.model);  // or the comparison above could not fail
}

namespace {

// The obvious engine for every convolution of the network, written as `vkfer tune` would.
void write_direct_tuning(const TrainSettings& s) {
  NetworkSettings n;
  n.model = &find_model(s.model);
  n.size = s.size, n.batch = s.batch, n.preprocessing = n.model->preprocessing;
  const StepGraph step = training_graph(n, find_optimizer(s.optimizer), s.optimizer_settings()), eval = evaluation_graph(n);
  std::vector<TunedEntry> entries;
  for (const Graph* g : {&step.graph, &eval.graph})
    for (const CountedProblem& p : problems_of(*g))
      if (p.problem.op->candidates && p.problem.op->name.starts_with("conv2d")) entries.push_back({p.problem.key(), {{"engine", "direct"}}, 1, 2});
  const DeviceInfo& info = test_device().info();
  write_tuning(tuning_path(info), info, target_for(info), entries);
}

}  // namespace

TEST_CASE("training: a run uses the device's tuning, and goes on with it when it is gone", "[train][tuning]") {
  if (target_for(test_device().info()).engine == Engine::direct) {
    WARN("this device's profile is the direct engine: nothing to choose");
    return;
  }
  const Dataset data = faces(35, 14);
  const TrainSettings s = small_settings();
  Scratch scratch;
  const Environment cache("VKFER_CACHE_DIR", (scratch.path / "cache").c_str());
  write_direct_tuning(s);
  RunFolder plain = RunFolder::create(scratch.path / "plain"), whole = RunFolder::create(scratch.path / "whole"),
            cut = RunFolder::create(scratch.path / "cut");
  REQUIRE(run_for(data, s, plain, 1 << 30).finished);
  {
    const Environment on("VKFER_TUNING", "1");
    REQUIRE(run_for(data, s, whole, 1 << 30).finished);
    CHECK_FALSE(run_for(data, s, cut, 5).finished);
  }
  const auto checkpoint = cut.load([](const std::string&) {});
  REQUIRE(checkpoint);
  CHECK(checkpoint->arithmetic.target.tuning.size() > 6);
  REQUIRE(run_for(data, s, cut, 1 << 30).finished);  // VKFER_TUNING=0 as in all tests: what the checkpoint says counts
  CHECK(outcome(cut) == outcome(whole));
  CHECK_FALSE(outcome(cut).model == outcome(plain).model);  // or the tuning changed nothing
}

TEST_CASE("training: in fp16 interrupted where the loss scale moves, it ends with the same bits", "[train]") {
  if (!has_f16()) return;
  const Dataset data = faces(35, 14);
  TrainSettings s = small_settings();
  s.precision = "fp16";
  s.epochs = 2;
  Scratch scratch;
  // A checkpoint whose scale is so large that the next steps overflow: the run goes through skipped steps, and Adam's count with it.
  RunFolder begun = RunFolder::create(scratch.path / "begun");
  CHECK_FALSE(run_for(data, s, begun, 1).finished);
  Checkpoint start = *begun.load([](const std::string&) {});
  const float huge = 0x1p40f;
  REQUIRE(start.states.at("loss_scale").size() == sizeof(huge));
  std::memcpy(start.states.at("loss_scale").data(), &huge, sizeof(huge));

  const auto run = [&](const std::string& name, const std::vector<int>& interruptions) {
    RunFolder folder = RunFolder::create(scratch.path / name);
    folder.save(start, start.step, data.classes());
    for (const int steps : interruptions) CHECK_FALSE(run_for(data, s, folder, steps).finished);
    const TrainResult result = run_for(data, s, folder, 1 << 30);
    CHECK(result.finished);
    CHECK(result.skipped_steps > 0);
    return outcome(folder);
  };
  const Outcome expected = run("whole", {});
  float counts[2];
  std::memcpy(counts, expected.states.at("loss_scale.counts").data(), sizeof(counts));
  CHECK(counts[1] >= 2);
  CHECK(run("after a skipped step", {1}) == expected);
  CHECK(run("often", {2, 1, 2}) == expected);
}

TEST_CASE("training: in micro-batches within a budget interrupted, it ends with the same bits", "[train][memory]") {
  const Dataset data = faces(35, 14);
  TrainSettings s = small_settings();
  s.freeze = "blocks:2";  // batch norm of the rest still looks at the batch: only on request
  s.micro_batch = 4;
  s.memory_budget = "1G";
  Scratch scratch;
  RunFolder whole = RunFolder::create(scratch.path / "whole");
  REQUIRE(run_for(data, s, whole, 1 << 30).finished);
  const Outcome expected = outcome(whole);
  for (const auto& [name, bytes] : expected.states) CHECK_FALSE(name.starts_with(kGradientSum));
  RunFolder folder = RunFolder::create(scratch.path / "cut");
  for (const int steps : {3, 4}) CHECK_FALSE(run_for(data, s, folder, steps, 0.0).finished);
  REQUIRE(run_for(data, s, folder, 1 << 30).finished);
  CHECK(outcome(folder) == expected);

  // What was decided is written down: less and less memory ends in computing again, before it ends in a refusal.
  s.micro_batch = 0;
  s.freeze = "";
  bool again = false;
  for (double mib = 64; !again; mib *= 0.9) {
    s.memory_budget = fmt::format("{}M", mib);
    again = Training(test_device(), data, s, std::nullopt, {}).config().at("settings").at("recompute");
  }
  CHECK(again);
}

TEST_CASE("training: in fp16 it gives up when no loss scale helps", "[train]") {
  if (!has_f16()) return;
  const Dataset data = faces(35, 14);
  TrainSettings s = small_settings();
  s.precision = "fp16";
  s.optimizer = "sgd";
  s.lr = 1e6;
  s.epochs = 20;
  s.warmup_epochs = 0;
  Scratch scratch;
  RunFolder folder = RunFolder::create(scratch.path / "run");
  CHECK_THROWS_WITH(run_for(data, s, folder, 1 << 30), contains("any loss scale") && contains("step") && contains("images") && contains("--lr"));
}

TEST_CASE("training: evaluating the run's weights repeats its validation figures", "[train]") {
  const Dataset data = faces(35, 15);
  const TrainSettings s = small_settings();
  Scratch scratch;
  RunFolder folder = RunFolder::create(scratch.path / "run");
  Training training(test_device(), data, s, std::nullopt, {});
  const Json config = training.config();
  const TrainResult result = training.run(folder);

  const SavedNetwork saved = read_network(model_path(folder.path()));
  CHECK(saved.classes == data.classes());
  NetworkSettings network = saved.network;
  network.batch = s.batch;
  network.pixel_channels = 1;
  States states(test_device());
  Evaluator evaluator(test_device(), states, network, target_from_json(config.at("plan").at("target")));
  load_weights(saved.weights, evaluator.graph(), states);
  const DecodedCache cache(data, labelled(data, "val"), {.size = 16, .channels = 1});
  const auto repeated = evaluator.evaluate(cache);
  REQUIRE(repeated);
  CHECK(*repeated == result.history[size_t(result.best_epoch) - 1].val);
}

TEST_CASE("training: a loss that is no number ends the run with the step and the images", "[train]") {
  const Dataset data = faces(35, 14);
  TrainSettings s = small_settings();
  s.optimizer = "sgd";
  s.lr = 1e6;
  s.epochs = 20;
  s.warmup_epochs = 0;
  Scratch scratch;
  RunFolder folder = RunFolder::create(scratch.path / "run");
  CHECK_THROWS_WITH(run_for(data, s, folder, 1 << 30), contains("the loss is") && contains("step") && contains("--lr"));
}

TEST_CASE("training: the step with the bad loss is named, though the next one is under way", "[train]") {
  const Dataset data = faces(35, 14);
  TrainSettings s = small_settings();
  Scratch scratch;
  RunFolder folder = RunFolder::create(scratch.path / "run");
  // Goes on within an epoch, from a checkpoint whose weights give no number.
  CHECK_FALSE(run_for(data, s, folder, 1).finished);
  std::optional<Checkpoint> from = folder.load([](const std::string&) {});
  REQUIRE(from);
  const int64_t done = from->epoch * 4 + from->step;
  REQUIRE(done < 3);
  auto& bias = from->states.at("fc2.bias");
  const float nan = NAN;
  std::memcpy(bias.data(), &nan, sizeof(nan));
  std::vector<fs::path> before;
  for (const auto& entry : fs::directory_iterator(folder.path() / "checkpoint")) before.push_back(entry.path());

  int reported = 0;
  TrainHooks hooks;
  hooks.step = [&](const StepReport&) { ++reported; };
  Training training(test_device(), data, s, std::move(from), hooks);
  std::string named;
  const Sampler sampler(35, {.batch = 8, .seed = s.seed});
  const auto batch = sampler.epoch(uint32_t(done / 4))[size_t(done % 4)];
  const std::vector<size_t> train = labelled(data, "train");
  try {
    training.run(folder);
    FAIL("the run should have failed");
  } catch (const Error& e) {
    CHECK_THAT(e.what(), contains("the loss is") && contains("nan") && contains(fmt::format("epoch {}, step {},", done / 4 + 1, done % 4 + 1)) &&
                             contains(data.sample(train[size_t(batch[0])]).id));
  }
  CHECK(reported == 0);
  std::vector<fs::path> after;
  for (const auto& entry : fs::directory_iterator(folder.path() / "checkpoint")) after.push_back(entry.path());
  CHECK(before == after);
}

TEST_CASE("training: weights that are no numbers are not saved, though every loss was one", "[train]") {
  const Dataset data = faces(32, 14);
  TrainSettings s = small_settings();
  s.batch = 32;  // a step an epoch: its loss is that of the initial weights
  s.optimizer = "sgd";
  s.lr = 1e6;
  s.weight_decay = 1e3;
  s.momentum = 1;
  s.epochs = 50;
  s.warmup_epochs = 0;
  s.schedule = "constant";
  Scratch scratch;
  RunFolder folder = RunFolder::create(scratch.path / "run");
  CHECK_THROWS_WITH(run_for(data, s, folder, 1 << 30, 0.0), contains("the last checkpoint is sound"));
  const auto last = folder.load([](const std::string&) {});
  if (!last) return;
  for (const auto& [name, bytes] : last->states) {
    INFO(name);
    if (name.find("running_") != std::string::npos) continue;
    for (size_t at = 0; at + 4 <= bytes.size(); at += 4) {
      float value = 0;
      std::memcpy(&value, bytes.data() + at, 4);
      REQUIRE(std::isfinite(value));
    }
  }
}

TEST_CASE("training: pictures decoded per batch give the same bits, and one that cannot be read is left out", "[train]") {
  const Dataset data = faces(35, 14);
  TrainSettings s = small_settings();
  const auto trained = [&](const Dataset& d, size_t cache_bytes) {
    Scratch scratch;
    TrainHooks hooks;
    hooks.cache_bytes = cache_bytes;
    RunFolder folder = RunFolder::create(scratch.path / "run");
    Training(test_device(), d, s, std::nullopt, hooks).run(folder);
    return *folder.load({});
  };
  const Checkpoint kept = trained(data, size_t{1} << 30), decoded = trained(data, 0);
  CHECK((kept.states == decoded.states && kept.best_model == decoded.best_model));

  DatasetContents contents = data.contents();
  const size_t bad[] = {data.split("train")[3], data.split("val")[2]};
  contents.decode = [&](const Sample& sample) {
    if (sample.id == data.sample(bad[0]).id || sample.id == data.sample(bad[1]).id) fail("png", "'{}' is cut off", sample.id);
    return data.contents().decode(sample);
  };
  s.skip_bad = true;
  const Checkpoint left_out = trained(Dataset(contents, {}), 0);
  REQUIRE(left_out.history.size() == 3);
  int64_t seen = 0;
  for (const EpochRecord& r : left_out.history) {
    CHECK(r.val.count == 13);
    seen += r.train.count;
  }
  CHECK((seen >= 3 * 31 && seen < 3 * 32));   // of 35 images an epoch has 32
}

TEST_CASE("training: the host's share of a step is told", "[train]") {
  const Dataset data = faces(35, 14);
  Scratch scratch;
  RunFolder folder = RunFolder::create(scratch.path / "run");
  const TrainResult result = run_for(data, small_settings(), folder, 1 << 30);
  CHECK(result.steps == 12);
  CHECK(result.milliseconds_per_step > 0);
  CHECK(result.host_milliseconds_per_step > 0);
  CHECK(result.host_milliseconds_per_step <= result.milliseconds_per_step);
}

TEST_CASE("checkpoint: comes back as it was, and any damage is noticed", "[train]") {
  const Checkpoint c = small_checkpoint(1);
  const std::vector<std::byte> bytes = encode_checkpoint(c);
  const Checkpoint back = decode_checkpoint(bytes, "x");
  CHECK(back.epoch == 1);
  CHECK(back.step == 3);
  CHECK(back.states == c.states);
  CHECK(back.best_model == c.best_model);
  CHECK(back.history.size() == 1);
  CHECK(back.history[0].val == c.history[0].val);
  CHECK(back.arithmetic.device == "a device");
  for (size_t at = 0; at < bytes.size(); at += 7) {
    std::vector<std::byte> damaged = bytes;
    damaged[at] ^= std::byte{0x10};
    CHECK_THROWS_AS(decode_checkpoint(damaged, "x"), DamagedCheckpoint);
    damaged = bytes;
    damaged.resize(at);
    CHECK_THROWS_AS(decode_checkpoint(damaged, "x"), DamagedCheckpoint);
  }
}

TEST_CASE("run folder: falls back to the last good checkpoint and says so", "[train]") {
  Scratch scratch;
  RunFolder folder = RunFolder::create(scratch.path / "run");
  folder.write_config({{"a", 1}});
  const std::vector<std::string> classes{"a", "b"};
  for (int epoch = 1; epoch <= 4; ++epoch) folder.save(small_checkpoint(epoch), epoch * 10, classes);
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder.path() / "checkpoint")) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  REQUIRE(files.size() == 2);

  std::string said;
  const auto say = [&](const std::string& line) { said += line; };
  CHECK(folder.load(say)->epoch == 4);
  CHECK(said == "");
  fs::resize_file(files[1], fs::file_size(files[1]) - 1);
  CHECK(folder.load(say)->epoch == 3);
  CHECK_THAT(said, contains("going back"));
  // Saving goes on from there, and the good one is the one that is kept.
  folder.save(small_checkpoint(5), 50, classes);
  CHECK(folder.load(say)->epoch == 5);
  CHECK(fs::exists(files[0]));
  std::ofstream(files[0]) << "no checkpoint";
  std::ofstream(folder.path() / "checkpoint" / "step-000000050.ckpt") << "";
  CHECK_FALSE(folder.load(say));
}

TEST_CASE("run folder: history.csv and model.safetensors follow the checkpoint", "[train]") {
  Scratch scratch;
  RunFolder folder = RunFolder::create(scratch.path / "run");
  const std::vector<std::string> classes{"a", "b,c"};
  Checkpoint c = small_checkpoint(2);
  c.history.push_back(c.history[0]);
  folder.save(c, 20, classes);
  // As if the process had been killed in the middle, with files from a later time.
  write_file(folder.path() / "history.csv", "epoch\n1\n2\n3\n4\n");
  write_file(model_path(folder.path()), "newer");
  folder.derive(c, classes);
  CHECK(bytes_of(model_path(folder.path())) == c.best_model);
  const std::vector<std::byte> csv = bytes_of(folder.path() / "history.csv");
  const std::string text(reinterpret_cast<const char*>(csv.data()), csv.size());
  CHECK(std::count(text.begin(), text.end(), '\n') == 3);
  CHECK_THAT(text, contains("val_f1_b_c") && contains("1.000000"));
  const auto columns = [](const std::string& line) { return std::count(line.begin(), line.end(), ','); };
  CHECK(columns(text.substr(0, text.find('\n'))) * 3 == columns(text));
}

TEST_CASE("run folder: one writer at a time, and no run is overwritten", "[train]") {
  Scratch scratch;
  const fs::path path = scratch.path / "run";
  {
    RunFolder folder = RunFolder::create(path);
    folder.write_config({{"a", 1}});
    CHECK_THROWS_WITH(RunFolder::open(path), contains("another process"));
  }
  CHECK_NOTHROW(RunFolder::open(path));
  CHECK_THROWS_WITH(RunFolder::create(path), contains("holds a run already"));
  CHECK_THROWS_WITH(RunFolder::open(scratch.path / "none"), contains("no run there"));
  fs::create_directories(scratch.path / "full");
  std::ofstream(scratch.path / "full" / "notes.txt") << "mine";
  CHECK_THROWS_WITH(RunFolder::create(scratch.path / "full"), contains("not empty"));
  // Killed before config.json was complete: the folder may be used again.
  fs::create_directories(scratch.path / "begun");
  std::ofstream(scratch.path / "begun" / "config.json.writing-1") << "{";
  CHECK_NOTHROW(RunFolder::create(scratch.path / "begun"));
  CHECK_FALSE(fs::exists(scratch.path / "begun" / "config.json.writing-1"));
}

TEST_CASE("schedules: warm-up, cosine, step", "[train]") {
  const ScheduleSettings s{.steps = 110, .warmup_steps = 10, .drop_every = 40, .drop_factor = 0.1};
  CHECK(learning_rate(find_schedule("cosine"), s, 1.0, 0) == Approx(1.0 / 11));
  CHECK(learning_rate(find_schedule("cosine"), s, 1.0, 10) == 1.0);
  CHECK(learning_rate(find_schedule("cosine"), s, 1.0, 60) == Approx(0.5));
  CHECK(learning_rate(find_schedule("cosine"), s, 1.0, 110) == Approx(0).margin(1e-12));
  CHECK(learning_rate(find_schedule("step"), s, 2.0, 39) == 2.0);
  CHECK(learning_rate(find_schedule("step"), s, 2.0, 80) == Approx(0.02));
  CHECK(learning_rate(find_schedule("constant"), s, 2.0, 100) == 2.0);
  CHECK_THROWS_WITH(find_schedule("cosin"), contains("did you mean 'cosine'"));
}

TEST_CASE("settings: to JSON and back; what is out of range is refused", "[train]") {
  TrainSettings s = small_settings();
  s.seed = 18446744073709551615u;
  const TrainSettings back = settings_from_json(settings_json(s), "test");
  CHECK(settings_json(back) == settings_json(s));
  Json missing = settings_json(s);
  missing.erase("lr");
  CHECK_THROWS_WITH(settings_from_json(missing, "config.json"), contains("config.json") && contains("'lr'"));
  s.lr = NAN;
  CHECK_THROWS_WITH(check_settings(s), contains("--lr"));
  s = small_settings();
  s.optimizer = "sgdd";
  CHECK_THROWS_WITH(check_settings(s), contains("did you mean 'sgd'"));
}
