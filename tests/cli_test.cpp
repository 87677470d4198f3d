// The built tool as a program: exit status, messages, JSON, and what is left in the folder.
#include <algorithm>
#include <cmath>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <nlohmann/json.hpp>
#include <sstream>

#include "runtime/error.h"
#include "tests/catch.h"
#include "models/weights/formats.h"
#include "tests/workplace.h"
#include "tools/data/image.h"
#include "tools/data/npy.h"
#include "tools/data/synthetic.h"
#include "tools/train/altered_image.h"

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using namespace vkfer;
using namespace vkfer::test;

TEST_CASE("tool: help and version", "[cli]") {
  Workplace place;
  const Ran help = place.run("--help");
  CHECK(help.status == 0);
  CHECK_THAT(help.out, contains("train") && contains("trace") && contains("Exit status"));
  for (const char* verb : {"train", "recipes", "sweep", "eval", "infer", "serve", "import", "weights", "models", "devices", "dump", "trace", "profile", "bench", "tune", "version"}) {
    const Ran ran = place.run(std::string(verb) + " --help");
    CHECK(ran.status == 0);
    CHECK_THAT(ran.out, contains("Examples:") && contains("vkfer " + std::string(verb)));
    std::istringstream lines(ran.out);
    for (std::string line; std::getline(lines, line);) {
      INFO(line);
      CHECK(line.size() <= 80);
    }
  }
  CHECK_THAT(place.run("--version").out, contains("vkfer "));
  CHECK(place.run("").status == 2);
  CHECK(place.empty());
}

TEST_CASE("tool: wrong usage is refused with a remedy, and nothing is written", "[cli]") {
  Workplace place;
  expect_refused(place, "trian", "did you mean 'train'");
  expect_refused(place, "test", "./vkfer test");
  expect_refused(place, "train --modle x", "did you mean --model?");
  expect_refused(place, "train --model mobilnetv2", "did you mean mobilenetv2?");
  expect_refused(place, "train extra", "unexpected argument 'extra'");
  expect_refused(place, "train --epochs 0", "--epochs");
  expect_refused(place, "train --epochs three", "--epochs");
  expect_refused(place, "train --epochs 99999999999", "--epochs");
  expect_refused(place, "train --lr nan", "--lr");
  expect_refused(place, "train --lr 0", "--lr");
  expect_refused(place, "train --lr=-0.1", "--lr");
  expect_refused(place, "train --batch 0", "--batch");
  expect_refused(place, "train --size 0", "--size");
  expect_refused(place, "train --channels 2", "--channels");
  expect_refused(place, "train --optimizer sdg", "did you mean 'sgd'");
  expect_refused(place, "train --schedule cosin", "did you mean 'cosine'");
  expect_refused(place, "train --data nowhere", "nowhere");
  expect_refused(place, "train --run a --resume b", "choose one");
  expect_refused(place, "train --resume nowhere", "no run there");
  expect_refused(place, "eval nowhere", "nowhere: no run there");
  expect_refused(place, "infer face.png", "no trained run");
  expect_refused(place, "trace --model compact_resnet", "--input is missing");
  expect_refused(place, "dump nothing", "unknown model");
  expect_refused(place, "weights", "no file named");
  expect_refused(place, "weights nowhere.pth", "nowhere.pth: no such file");
  expect_refused(place, "import", "no file named");
  expect_refused(place, "import x.pth --model mobilenetv2", "--out is missing");
  expect_refused(place, "import x.pth --model mobilenetv2 -o y --adapt-stem mean", "expected sum");
  expect_refused(place, "train --head gpa", "did you mean gap?");
  expect_refused(place, "train --freeze blocks:", "--freeze blocks:4");
  expect_refused(place, "train --freeze none --freeze-backbone", "give one of them");
  expect_refused(place, "train --freeze-epochs 2", "nothing is frozen. Fix: --freeze backbone");
  expect_refused(place, "train --freeze backbone --unfreeze-blocks 1", "Fix: --freeze-epochs 1");
  expect_refused(place, "dump vgg16 --freeze blocks:6 --training", "vgg16 has 5 blocks");
  expect_refused(place, "dump resnet18 --freeze layer9 --training", "no layer of that name");
  expect_refused(place, "dump resnet18 --num-classes 0", "classes");
  expect_refused(place, "dump vgg16 --size 31", "32 to 4096");
  expect_refused(place, "devices --device 99", "99");
  expect_refused(place, "profile --model nothing", "unknown model");
  expect_refused(place, "profile --training --inference", "exclude each other");
  expect_refused(place, "profile --model compact_resnet --repeats 0", "--repeats");
  expect_refused(place, "bench", "expected train, infer or ops");
  expect_refused(place, "bench trian", "did you mean 'train'");
  expect_refused(place, "bench train --optimizer sdg", "did you mean 'sgd'");
  expect_refused(place, "bench ops --gemm 3x4", "MxNxK");
  expect_refused(place, "bench ops --conv 1x2x3x4", "RxSxK");
  expect_refused(place, "bench ops --op nothing", "'nothing'");
  expect_refused(place, "tune --op relu", "'relu'");
  expect_refused(place, "tune --training --inference", "exclude each other");
  CHECK(place.empty());
}

TEST_CASE("tool: bad files are refused, and nothing is written", "[cli]") {
  Workplace place;
  const fs::path bad = place.path / "bad";
  draw_faces(bad / "faces", 16);
  fs::create_directories(bad / "faces" / "train" / "d");
  std::ofstream(bad / "empty.zip") << "";
  std::ofstream(bad / "x.csv") << "nonsense\n";
  std::ofstream(bad / "x.safetensors") << "12345678";
  expect_refused(place, "train --model compact_resnet --data bad/faces --run r", "'d'");
  expect_refused(place, "train --data bad/empty.zip --run r", "empty.zip");
  expect_refused(place, "train --data bad/x.csv --run r", "x.csv");
  expect_refused(place, "eval --weights bad/x.safetensors --model compact_resnet", "x.safetensors");
  expect_refused(place, "eval --weights bad/missing.safetensors --model compact_resnet", "missing.safetensors");
  fs::remove(bad / "faces" / "train" / "d");
  fs::resize_file(fs::directory_iterator(bad / "faces" / "train" / "a")->path(), 60);
  expect_refused(place, "train --model compact_resnet --data bad/faces --run r --batch 4", ".png");
  expect_refused(place, "train --model compact_resnet --data bad/faces --run bad/x.csv --skip-bad --batch 4", "is a file");
  expect_refused(place, "train --task-weights 0,1,1", "does not answer valence and arousal");
  expect_refused(place, "train --va-loss ccc", "does not answer valence and arousal");
  expect_refused(place, "train --adam-epsilon 1e-7", "expected torch or keras");
  expect_refused(place, "train --size 16 --crop 16", "out of sight");
  expect_refused(place, "train --seed -1", "expected 0 or more");
  expect_refused(place, "infer x.png --csv o --jsonl ./o", "is the file of --csv, too");
  expect_refused(place, "export --onnx x --safetensors x", "is the file of --onnx, too");
  expect_refused(place, "eval --csv bad/x.csv --predictions bad/../bad/x.csv", "is the file of --csv, too");
  expect_refused(place, "train --data d\xe9", "not UTF-8");
  fs::create_directories(place.path / "latin1/train/\xfc");
  fs::create_directories(place.path / "latin1/train/b");
  for (const char* name : {"\xfc", "b"}) write_png(place.path / "latin1/train" / name / "a.png", Image{16, 16, 1, std::vector<uint8_t>(256, 7)});
  expect_refused(place, "train --data latin1", "is not UTF-8. Fix: rename it");
  fs::remove_all(place.path / "latin1");
  expect_refused(place, "serve " + std::string(300, 'x'), "[files]");
  fs::remove_all(bad);
  CHECK(place.empty());
}

TEST_CASE("tool: --json answers with one object on stdout, or in a file", "[cli]") {
  Workplace place;
  const Ran models = place.run("models --json");
  CHECK(models.status == 0);
  const Json all = Json::parse(models.out);
  bool found = false;
  for (const Json& m : all.at("models"))
    if (m.at("name") == "compact_mobilenetv2") {
      found = true;
      CHECK(m.at("parameters") == 132935);
    }
  CHECK(found);
  CHECK_THAT(models.err, contains("compact_mobilenetv2"));
  const Json affect = Json::parse(place.run("models --head r3 --num-classes 0 --va --json").out);
  for (const Json& m : affect.at("models"))
    if (m.at("name") == "vgg16") CHECK(m.at("trainable_frozen_backbone") == 131842);
  CHECK(affect.at("heads").size() == 5);
  CHECK(place.run("dump compact_resnet --head r0 --va --freeze blocks:1 --training --batch 2").status == 0);

  const Ran to_file = place.run("devices --json devices.json");
  CHECK(to_file.status == 0);
  CHECK_THAT(to_file.out, contains("is used"));
  const Json devices = Json::parse(text_of(place.path / "devices.json"));
  CHECK(devices.at("devices").at(devices.at("chosen").get<size_t>()).at("chosen") == true);

  const Json dump = Json::parse(place.run("dump compact_resnet --size 48 --training --batch 2 --json").out);
  CHECK(dump.at("nodes").size() > 30);
  CHECK(dump.at("flops").get<double>() > 1e6);
  expect_refused(place, "version --json=no/such/folder/x.json", "no/such/folder");
}

TEST_CASE("tool: --json never takes a picture or a folder for its file", "[cli]") {
  Workplace place;
  std::ofstream(place.path / "face.png", std::ios::binary) << "\x89PNG";
  std::ofstream(place.path / "old.txt") << "{}";
  expect_refused(place, "models --json face.png", "unexpected argument 'face.png'");
  expect_refused(place, "infer --json face.png", "no trained run");
  CHECK(text_of(place.path / "face.png") == "\x89PNG");
  fs::create_directory(place.path / "runs");
  expect_refused(place, "eval --json runs", "runs");
  CHECK(place.run("version --json old.txt").status == 0);  // it holds a JSON object: an earlier answer
  CHECK(Json::parse(text_of(place.path / "old.txt")).contains("version"));
  CHECK(Json::parse(place.run("version --json").out).contains("version"));
}

TEST_CASE("tool: train, eval, infer and resume in one folder", "[cli]") {
  Workplace place;
  draw_faces(place.path / "faces", 20);  // resized on the device
  const std::string train = "train --model compact_resnet --data faces --size 16 --batch 4 --epochs 2 --seed 3";
  const Ran ran = place.run(train + " --json");
  INFO(ran.out << ran.err);
  REQUIRE(ran.status == 0);
  const Json answer = Json::parse(ran.out);
  CHECK(answer.at("finished") == true);
  CHECK(answer.at("run") == "runs/1");
  const fs::path run = place.path / "runs" / "1";
  CHECK(fs::exists(run / "checkpoint"));
  CHECK_FALSE(fs::exists(run / "examples"));
  const std::string history = text_of(run / "history.csv");
  CHECK(std::count(history.begin(), history.end(), '\n') == 3);
  const Json config = Json::parse(text_of(run / "config.json"));
  CHECK(config.at("settings").at("seed") == 3);
  CHECK(config.at("vkfer").contains("commit"));
  CHECK_FALSE(config.at("device").at("driver").get<std::string>().empty());

  SECTION("evaluating repeats the validation figures") {
    REQUIRE(place.run("eval runs/1 --split val --json e.json").status == 0);
    const Json e = Json::parse(text_of(place.path / "e.json"));
    for (const char* figure : {"accuracy", "macro_f1", "loss"}) CHECK(e.at(figure) == answer.at("best").at(figure));
    CHECK(e.at("count") == 6);
    CHECK(e.at("confusion").size() == 3);
    CHECK(e.at("per_class").at("a").at("support") == 2);
    expect_refused(place, "eval runs/1 --split test", "test");
  }
  SECTION("infer takes the newest run") {
    const std::string face = fs::directory_iterator(place.path / "faces" / "val" / "b")->path().string();
    const Ran asked = place.run("infer --json " + face);
    REQUIRE(asked.status == 0);
    const Json first = Json::parse(asked.out).at("images").at(0);
    double sum = 0;
    for (const auto& [name, p] : first.at("probabilities").items()) sum += p.get<double>();
    CHECK(sum == Approx(1).margin(1e-5));
    CHECK_THAT(asked.err, contains("%"));
    expect_refused(place, "infer runs/1/config.json", "config.json");
    expect_refused(place, "infer missing.png", "missing.png");
  }
  SECTION("an equal run gives equal weights; a finished one is left alone") {
    REQUIRE(place.run(train + " --run other").status == 0);
    CHECK(text_of(place.path / "other" / "model.safetensors") == text_of(run / "model.safetensors"));
    const auto before = fs::last_write_time(run / "model.safetensors");
    const Ran again = place.run("train --resume runs/1");
    CHECK(again.status == 0);
    CHECK_THAT(again.out, contains("finished"));
    CHECK(fs::last_write_time(run / "model.safetensors") == before);
    expect_refused(place, "train --resume runs/1 --lr 0.5", "--lr");
    expect_refused(place, train + " --run other", "holds a run already");
  }
}

TEST_CASE("tool: --precision fp16 trains, resumes and evaluates, or names what the device lacks", "[cli]") {
  const Workplace place;
  draw_faces(place.path / "faces", 24);
  const std::string train = "train --model compact_resnet --data faces --batch 4 --epochs 2 --run r ";
  const Ran lacking = place.run(train + "--precision fp16", "VKFER_DISABLE=storage_16bit");
  CHECK(lacking.status == 2);
  CHECK_THAT(lacking.err, contains("[--precision]") && contains("storage_16bit") && contains("--precision fp32"));
  CHECK_FALSE(fs::exists(place.path / "r"));
  expect_refused(place, train + "--precision half", "unknown precision 'half'");

  const Ran trained = place.run(train + "--precision fp16 --json");
  INFO(trained.err);
  REQUIRE(trained.status == 0);
  CHECK(Json::parse(trained.out).at("skipped_steps").is_number());
  CHECK_THAT(trained.err, contains("fp16"));
  CHECK(Json::parse(text_of(place.path / "r/config.json")).at("settings").at("precision") == "fp16");
  expect_refused(place, "train --resume r --precision fp32", "the run was started with \"fp16\"");
  const Json best = Json::parse(trained.out).at("best");
  const Ran same = place.run("eval r --json"), other = place.run("eval r --precision fp32 --json");
  REQUIRE(same.status == 0);
  REQUIRE(other.status == 0);
  CHECK(Json::parse(same.out).at("loss") == best.at("loss"));
  CHECK(Json::parse(other.out).at("loss") != best.at("loss"));
  CHECK(Json::parse(other.out).at("loss").get<double>() == Approx(best.at("loss").get<double>()).epsilon(1e-2));
}

TEST_CASE("tool: a run from before some settings existed resumes as what it was", "[cli]") {
  const Workplace place;
  draw_faces(place.path / "faces", 24);
  REQUIRE(place.run("train --model compact_resnet --data faces --batch 4 --epochs 2 --run r --precision fp32").status == 0);
  const std::string weights = text_of(place.path / "r/model.safetensors");
  Json config = Json::parse(text_of(place.path / "r/config.json"));
  for (const char* newer : {"precision", "preprocessing", "padding", "batch_norm", "head", "freeze"}) REQUIRE(config.at("settings").erase(newer) == 1);
  config.at("settings")["freeze_backbone"] = false;
  std::ofstream(place.path / "r/config.json") << config;
  fs::remove_all(place.path / "r/checkpoint");
  fs::remove(place.path / "r/model.safetensors");
  const Ran resumed = place.run("train --resume r");
  INFO(resumed.err);
  CHECK(resumed.status == 0);
  CHECK(text_of(place.path / "r/model.safetensors") == weights);
  expect_refused(place, "train --resume r --precision fp16", "the run was started with \"fp32\"");
  // Damage is named, whatever it is.
  const auto damaged = [&](const std::function<void(Json&)>& how) {
    Json bad = config;
    how(bad);
    std::ofstream(place.path / "r/config.json") << bad;
    expect_refused(place, "train --resume r", "config.json");
  };
  damaged([](Json& c) { c = Json::array(); });
  for (const char* part : {"settings", "data", "network", "plan"}) damaged([&](Json& c) { c.erase(part); });
  damaged([](Json& c) { c["network"]["classes"][0] = 7; });
  damaged([](Json& c) { c["data"]["fingerprint"] = nullptr; });
}

// Whatever the moment: in set-up, in a step, while a checkpoint, history.csv or model.safetensors is written.
TEST_CASE("tool: killed again and again, a run resumes and ends with the same bits", "[cli]") {
  Workplace place;
  draw_faces(place.path / "faces", 16);
  const std::string start = "train --model compact_resnet --data faces --size 16 --batch 2 --epochs 12 --crop 2";
  REQUIRE(place.run(start + " --run whole").status == 0);
  const fs::path run = place.path / "run";
  int killed = 0;
  for (int life = 0; life < 40; ++life) {
    const std::string command = fs::exists(run / "config.json") ? "train --resume run" : start + " --run run";
    const Ran ran = place.run_killed_after(0.05 + 0.12 * life, command);
    INFO(ran.err);
    if (ran.status == 0) break;
    CHECK(ran.status == 137);
    ++killed;
  }
  CHECK(killed >= 2);
  const Ran last = place.run("train --resume run --json");
  INFO(last.err);
  REQUIRE(last.status == 0);
  CHECK(Json::parse(last.out).at("finished") == true);
  CHECK(Json::parse(last.out).at("epochs") == 12);
  CHECK(text_of(run / "model.safetensors") == text_of(place.path / "whole" / "model.safetensors"));
}

TEST_CASE("tool: asked to stop, training saves and ends with success; then it goes on", "[cli]") {
  Workplace place;
  draw_faces(place.path / "faces", 16);
  const std::string start = "train --model compact_resnet --data faces --size 16 --batch 4 --epochs 100000 --run run";
  const Ran ran = place.run(start + " --json", "timeout -s INT --preserve-status 12");
  INFO(ran.err);
  CHECK(ran.status == 0);
  CHECK(Json::parse(ran.out).at("finished") == false);
  CHECK_THAT(ran.err, contains("vkfer train --resume run"));
  CHECK_FALSE(fs::is_empty(place.path / "run" / "checkpoint"));
  const Ran more = place.run("train --resume run --json", "timeout -s TERM --preserve-status 8");
  CHECK(more.status == 0);
  CHECK(Json::parse(more.out).at("epochs") >= Json::parse(ran.out).at("epochs"));
}

TEST_CASE("tool: trace writes what another framework compares", "[cli]") {
  Workplace place;
  std::vector<float> x(2 * 3 * 16 * 16);
  for (size_t i = 0; i < x.size(); ++i) x[i] = float(i % 17) / 17 - 0.5f;
  const int64_t shape[] = {2, 3, 16, 16}, count[] = {2}, labels[] = {0, 2};
  write_npy(place.path / "x.npy", shape, std::span<const float>(x));
  write_npy(place.path / "y.npy", count, std::span<const int64_t>(labels));
  const std::string command = "trace --model compact_resnet --input x.npy --labels y.npy --lr 0.01 --steps 2 --num-classes 3 --out t.safetensors";
  const Ran ran = place.run(command + " --json");
  INFO(ran.err);
  REQUIRE(ran.status == 0);
  CHECK(Json::parse(ran.out).at("loss").size() == 2);
  CHECK(fs::file_size(place.path / "t.safetensors") > 1000);
  expect_refused(place, command + " --size 32", "--size");
}

TEST_CASE("tool: profile shows every node, and writes a trace", "[cli][bench]") {
  Workplace place;
  const Ran ran = place.run("profile --model compact_resnet --size 16 --batch 2 --warmup 1 --repeats 2 --nodes --trace t.json --json p.json");
  INFO(ran.out << ran.err);
  REQUIRE(ran.status == 0);
  CHECK_THAT(ran.out, contains("conv2d_grad_filter") && contains("whole step") && contains("dispatches"));
  const Json p = Json::parse(text_of(place.path / "p.json"));
  for (const char* name : {"model", "size", "batch", "training", "device", "driver", "timestamps", "device_milliseconds", "milliseconds_per_step",
                           "spread", "host_milliseconds_per_step", "dispatches", "barriers", "submissions", "ops", "nodes"})
    CHECK(p.contains(name));
  CHECK(p.at("training") == true);
  if (p.at("timestamps") == false) return;
  const Json trace = Json::parse(text_of(place.path / "t.json"));
  const auto on_device = [](const Json& e) { return e.at("ph") == "X" && e.at("tid") == 1; };
  CHECK(size_t(std::count_if(trace.at("traceEvents").begin(), trace.at("traceEvents").end(), on_device)) == p.at("nodes").size());
  double share = 0;
  size_t nodes = 0, dispatches = 0;
  for (const Json& op : p.at("ops")) {
    share += op.at("share").get<double>();
    nodes += op.at("nodes").get<size_t>();
    dispatches += op.at("dispatches").get<size_t>();
    for (const char* name : {"milliseconds", "flops", "bytes", "gflops_per_second", "gigabytes_per_second", "kernels"}) CHECK(op.contains(name));
  }
  CHECK(share == Approx(1));
  CHECK(nodes == p.at("nodes").size());
  CHECK(dispatches == p.at("dispatches").get<size_t>());
  expect_refused(place, "profile --inference --model compact_resnet --size 16 --warmup 1 --repeats 1 --trace no/such/folder/t.json", "no/such/folder");
}

TEST_CASE("tool: bench answers with its figures", "[cli][bench]") {
  Workplace place;
  for (const char* what : {"train", "infer"}) {
    const Ran ran = place.run(fmt::format("bench {} --model compact_resnet --size 16 --batch 3 --warmup 1 --repeats 3 --json", what));
    INFO(ran.out << ran.err);
    REQUIRE(ran.status == 0);
    const Json b = Json::parse(ran.out);
    for (const char* name : {"bench", "model", "size", "channels", "batch", "images_per_second", "milliseconds_per_step", "spread",
                             "host_milliseconds_per_step", "peak_bytes", "warmup", "dispatches", "submissions", "device", "driver"})
      CHECK(b.contains(name));
    CHECK(b.at("batch") == 3);
    CHECK(b.at("images_per_second").get<double>() == Approx(3000 / b.at("milliseconds_per_step").get<double>()));
    CHECK(b.at("peak_bytes").get<size_t>() > 10000);
    const Json& s = b.at("spread");
    CHECK(s.at("repeats") == 3);
    CHECK((s.at("min") <= s.at("q1") && s.at("q1") <= b.at("milliseconds_per_step") && b.at("milliseconds_per_step") <= s.at("q3") &&
           s.at("q3") <= s.at("max")));
  }
  const Ran ops = place.run("bench ops --model compact_resnet --size 16 --batch 2 --op linear --gemm 8x12x16 --warmup 1 --repeats 2 --json");
  INFO(ops.out << ops.err);
  REQUIRE(ops.status == 0);
  const Json b = Json::parse(ops.out);
  CHECK(b.at("limits").at("gflops_per_second").get<double>() > 0);
  CHECK(b.at("limits").at("copy_gigabytes_per_second").get<double>() > 0);
  CHECK(b.at("ops").size() >= 6);  // two linear layers at least, with their gradients
  for (const Json& op : b.at("ops")) {
    CHECK_THAT(op.at("op").get<std::string>(), contains("linear"));
    for (const char* name : {"problem", "label", "count", "milliseconds", "spread", "timed_by", "flops", "bytes", "gflops_per_second", "share_of_limit"})
      CHECK(op.contains(name));
  }
}

TEST_CASE("tool: tune keeps what it found, and plans use it", "[cli][tuning]") {
  Workplace place;
  const std::string tuning = "VKFER_TUNING=1 VKFER_CACHE_DIR=cache";
  const Ran ran = place.run("tune --model compact_resnet --size 16 --batch 4 --op conv2d --repeats 1 --json", tuning);
  INFO(ran.out << ran.err);
  REQUIRE(ran.status == 0);
  const Json t = Json::parse(ran.out);
  const fs::path file = place.path / t.at("file").get<std::string>();
  REQUIRE(fs::exists(file));
  CHECK(t.at("problems").size() > 6);
  for (const Json& p : t.at("problems"))
    for (const Json& c : p.at("candidates")) {
      INFO(p.dump());
      CHECK(c.at("rejected") == "");
    }
  const Json kept = Json::parse(text_of(file));
  CHECK(kept.at("key").contains("uuid"));
  CHECK(kept.at("entries").size() <= t.at("problems").size());

  std::map<std::string, std::string> chosen;  // of problems whose defaults were not the fastest
  for (const Json& p : t.at("problems"))
    if (p.contains("chosen") && p.at("chosen") != "") chosen[p.at("problem")] = p.at("chosen");
  const auto dump = [&](const std::string& before) {
    return Json::parse(place.run("dump compact_resnet --size 16 --batch 4 --training --json", before).out);
  };
  const Json tuned = dump(tuning), untuned = dump("VKFER_TUNING=0 VKFER_CACHE_DIR=cache");
  CHECK(untuned.at("tuned").empty());
  for (const auto& [problem, choice] : tuned.at("tuned").items()) CHECK(chosen.at(problem) == choice);
  CHECK((tuned.at("signature") == untuned.at("signature")) == tuned.at("tuned").empty());

  std::ofstream(file, std::ios::app) << "x";
  const Ran damaged = place.run("bench infer --model compact_resnet --size 16 --warmup 1 --repeats 1", tuning);
  CHECK(damaged.status == 0);
  CHECK_THAT(damaged.err, contains("is ignored: it is damaged"));
  CHECK(dump(tuning).at("signature") == untuned.at("signature"));
}

TEST_CASE("tool: weights of PyTorch are listed, imported and used", "[cli]") {
  Workplace place;
  const fs::path files = fs::path(VKFER_FIXTURES) / "torch";
  const Ran listed = place.run(fmt::format("weights '{}'", (files / "checkpoint_zip.pth").string()));
  CHECK(listed.status == 0);
  CHECK_THAT(listed.out, contains("features.0.weight") && contains("[2,1,2,2]") && contains("epoch: 3") && contains("PyTorch (zip), verified: 8 tensors"));
  const Ran answered = place.run(fmt::format("weights '{}' --json", (files / "legacy2.pth").string()));
  const Json answer = Json::parse(answered.out);
  CHECK((answer["format"] == "PyTorch (before 1.6)" && answer["count"] == 3 && answer["bytes"] == 40));
  CHECK(answer["tensors"][1] == Json({{"name", "a.weight"}, {"dtype", "F32"}, {"shape", {2, 3}}, {"bytes", 24}}));

  std::string damaged = text_of(files / "state_dict.pth");
  damaged[damaged.find("fc.weight")] ^= 1;
  std::ofstream(place.path / "damaged.pth", std::ios::binary) << damaged;
  expect_refused(place, "weights damaged.pth", "damaged.pth: at byte 64: member 'state_dict/data.pkl' has the checksum");
  expect_refused(place, fmt::format("import '{}' --model compact_resnet -o out.safetensors", (files / "parallel.pth").string()), "no classifier");
  CHECK(!fs::exists(place.path / "out.safetensors"));
  expect_refused(place, fmt::format("import '{}' --model compact_resnet --partial --num-classes 3 -o out.safetensors", (files / "parallel.pth").string()), "nothing in it fits");

  // Our own weights under DataParallel's names, as a stranger would bring them; then a run that starts from them.
  draw_faces(place.path / "faces", 16);
  REQUIRE(place.run("train --model compact_resnet --data faces --size 16 --epochs 1 --batch 4 --run r").status == 0);
  expect_refused(place, "eval r --padding same", "a run knows its own");
  const std::string import = "import r/model.safetensors --model compact_resnet ";
  const Ran imported = place.run(import + "-o i.safetensors --json");
  CHECK(imported.status == 0);
  CHECK(Json::parse(imported.out)["missing"].empty());
  expect_refused(place, import + "-o r/model.safetensors", "is the file to read");
  expect_refused(place, import + "--classes a,b -o j.safetensors", "got 2 names, expected 3");
  expect_refused(place, import + "--classes a,b,a -o j.safetensors", "'a' is there twice");
  expect_refused(place, import + "--preprocessing imagenet -o j.safetensors", "was made with half");
  expect_refused(place, import + "--padding odd -o j.safetensors", "expected torch or same");
  expect_refused(place, import + "--channels 1 -o j.safetensors", "--channels");
  CHECK(place.run(import + "--channels 1 --adapt-stem sum --padding same -o gray.safetensors").status == 0);
  const Json gray = Json::parse(place.run("weights gray.safetensors --json").out);
  CHECK((gray["metadata"]["channels"] == "1" && gray["metadata"]["padding"] == "same" && gray["metadata"]["source"] == "model.safetensors"));
  REQUIRE(place.run("train --model compact_resnet --data faces --size 16 --channels 1 --epochs 1 --batch 4 --weights gray.safetensors --run s").status == 0);
  CHECK(Json::parse(place.run("weights s/model.safetensors --json").out)["metadata"]["padding"] == "same");
}

TEST_CASE("cli: data is split, balanced and converted", "[cli][data]") {
  const Workplace place;
  draw_faces(place.path / "faces", 16);
  const Ran split = place.run("data split faces -o split.zip --counts 9,6,3 --seed 3 --json");
  INFO(split.err);
  REQUIRE(split.status == 0);
  CHECK(Json::parse(split.out)["counts"]["val"] == Json{{"a", 2}, {"b", 2}, {"c", 2}});
  CHECK_THAT(split.err, contains("put together, and all 18 images split anew"));
  const Ran balance = place.run("data balance split.zip -o balanced --total 21 --add faces --rotate 5 --json=answer.json");
  INFO(balance.err);
  REQUIRE(balance.status == 0);
  CHECK_THAT(balance.out, contains("faces: 12 images join train; 6 of other splits are left out"));
  CHECK(Json::parse(text_of(place.path / "answer.json"))["counts"]["train"] == Json{{"a", 7}, {"b", 7}, {"c", 7}});  // there were 21
  const Ran convert = place.run("data convert balanced -o again.csv");
  CHECK(convert.status == 0);
  CHECK_THAT(text_of(place.path / "again.csv"), contains("balanced/train/a/"));
  expect_refused(place, "data split faces", "-o");
  expect_refused(place, "data split faces -o faces/inside", "lies in faces");
  expect_refused(place, "data split faces -o split.zip", "exists and is not empty");
  expect_refused(place, "data split faces -o x --counts 1,2,x", "expected two or three numbers");
  expect_refused(place, "data split faces -o x --fractions 0.9,0.2", "together 1.1");
  // Not asked for any alteration, copies have the originals' own pixels, moved: nothing a network could tell them by.
  REQUIRE(place.run("data balance split.zip -o moved --total 21").status == 0);
  for (const auto& entry : fs::recursive_directory_iterator(place.path / "moved")) {
    const std::string name = entry.path().stem().string();
    if (name.find('~') == std::string::npos) continue;
    fs::path original;
    for (const auto& other : fs::directory_iterator(entry.path().parent_path()))
      if (other.path().stem().string() == name.substr(0, name.find('~'))) original = other.path();
    REQUIRE_FALSE(original.empty());
    const Image image = read_image(original);
    bool found = false;
    for (int reach = 1, dy = -reach; dy <= reach; ++dy)
      for (int dx = -reach; dx <= reach; ++dx)
        for (const bool flip : {false, true}) found = found || moved(image, {flip, dx, dy}, Border::edge).pixels == read_image(entry.path()).pixels;
    CHECK(found);
  }
  // Asked for no alteration, copies are the pictures, or their mirror images.
  REQUIRE(place.run("data balance split.zip -o plain --total 21 --rotate 0 --no-flip").status == 0);
  size_t copies = 0;
  for (const auto& entry : fs::recursive_directory_iterator(place.path / "plain")) {
    const std::string name = entry.path().stem().string();
    if (name.find('~') == std::string::npos) continue;
    ++copies;
    fs::path original;
    for (const auto& other : fs::directory_iterator(entry.path().parent_path()))
      if (other.path().stem().string() == name.substr(0, name.find('~'))) original = other.path();
    REQUIRE_FALSE(original.empty());
    CHECK(read_image(entry.path()).pixels == read_image(original).pixels);
  }
  CHECK(copies > 0);
  expect_refused(place, "data balance faces -o x", "one of --per-class and --total");
  expect_refused(place, "data inspect faces --per-class 3", "says nothing to data inspect");
  expect_refused(place, "data blance faces", "did you mean 'balance'");
  expect_refused(place, "data convert faces -o x --format fer", "expected one of folders");
  fs::rename(place.path / "faces/train/c", place.path / "faces/train/cc"), fs::rename(place.path / "faces/val/c", place.path / "faces/val/cc");
  expect_refused(place, "data balance split.zip -o x --per-class 9 --add faces", "unknown class 'cc'");
  CHECK_FALSE(fs::exists(place.path / "x"));
}

TEST_CASE("cli: FER+'s distributions train, and are evaluated by their majority", "[cli][train][votes]") {
  const Workplace place;
  std::ofstream faces(place.path / "fer2013.csv"), votes(place.path / "fer2013new.csv");
  faces << "emotion,pixels,Usage\n";
  votes << "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n";
  for (int row = 0; row < 48; ++row) {   // 4, 1 and 1 of each of eight expressions, a third of the votes for the next one
    const int k = row % 8;
    const char* usage = row < 32 ? "Training" : row < 40 ? "PublicTest" : "PrivateTest";
    std::array<int, 10> cast{};
    cast[size_t(k)] = 6, cast[size_t(k + 1) % 8] = 3, cast[8] = 1;
    faces << "0,";
    for (int i = 0; i < 256; ++i) faces << (i * (k + 1) + row) % 256 << (i < 255 ? " " : "");
    faces << "," << usage << "\n";
    votes << usage << ",fer" << row << ".png," << fmt::format("{}", fmt::join(cast, ",")) << "\n";
  }
  faces.close(), votes.close();
  const std::string train = "train --model compact_resnet --data fer2013.csv --size 16 --batch 8 --epochs 2 ";
  expect_refused(place, train + "--votes probability --focal-gamma 2 --run no", "the focal factor is of one class");
  REQUIRE(place.run(train + "--votes probability --mixup 0.2 --label-smoothing 0.1 --class-weights balanced --run r").status == 0);
  const Json config = Json::parse(text_of(place.path / "r/config.json"));
  CHECK(config["settings"]["votes"] == "probability");
  CHECK(config["network"]["classes"][7] == "contempt");
  for (const Json& w : config["network"]["class_weights"]) CHECK(w.get<float>() == Approx(1));   // as many votes for each
  const Ran again = place.run("train --resume r");
  CHECK(again.status == 0);
  CHECK_THAT(again.out, contains("nothing to do"));
  const Json test = Json::parse(place.run("eval r --split PrivateTest --json").out);
  CHECK(test["count"] == 8);
  for (const Json& row : test["confusion"]) {
    const auto counts = row.get<std::vector<int>>();
    CHECK(std::accumulate(counts.begin(), counts.end(), 0) == 1);
  }
  // The labels alone are another loss, and other weights.
  REQUIRE(place.run(train + "--votes majority --run s").status == 0);
  REQUIRE(place.run(train + "--votes probability --run t").status == 0);
  CHECK(text_of(place.path / "s/model.safetensors") != text_of(place.path / "t/model.safetensors"));
}

TEST_CASE("cli: a network of valence and arousal alone, from its data to its export", "[cli][train][va_only]") {
  const Workplace place;
  std::ofstream csv(place.path / "affect.csv");
  csv << "image,valence,arousal,split\n";
  for (uint32_t i = 0; i < 24; ++i) {
    const SyntheticFace face = synthetic_face(9, i);
    const std::string name = fmt::format("{}.png", i);
    write_png(place.path / name, draw_synthetic_face(9, i, 16, 1));
    csv << fmt::format("{},{},{},{}\n", name, face.valence, face.arousal, i < 12 ? "train" : i < 18 ? "val" : "test");
  }
  csv.close();
  const std::string data = "--model compact_resnet --data affect.csv --size 16 --batch 6 --epochs 2 ";
  expect_refused(place, "train " + data + "--run no", "no classes, expected 2 or more. Fix: --va-only");
  expect_refused(place, "train " + data + "--va --run no", "Fix: --va-only");
  expect_refused(place, "train " + data + "--va-only --monitor val_accuracy --run no", "there are no classes. Fix: --monitor val_ccc or val_loss");
  expect_refused(place, "train " + data + "--va-only --classes 7 --run no", "there are no classes");
  CHECK_FALSE(fs::exists(place.path / "no"));
  CHECK(Json::parse(place.run("data inspect affect.csv --json").out)["valence_arousal"] == 24);
  CHECK(place.run("data preview affect.csv --rotate 5").status == 0);

  const Ran train = place.run("train " + data + "--va-only --va-loss ccc --run r --events events.jsonl --tensorboard --json answer.json");
  INFO(train.err);
  REQUIRE(train.status == 0);
  CHECK_THAT(train.out, contains("valence and arousal, ") && contains("val CCC") && contains("best: epoch") && !contains("accuracy") && !contains("nan"));
  const std::string told = text_of(place.path / "events.jsonl") + text_of(place.path / "answer.json") + text_of(place.path / "r/history.csv");
  CHECK_THAT(told, contains("valence") && !contains("accuracy") && !contains("f1") && !contains("nan"));
  const Json config = Json::parse(text_of(place.path / "r/config.json"));
  CHECK((config["settings"]["va_only"] == true && config["settings"]["valence_arousal"] == true && config["settings"]["monitor"] == "val_ccc"));
  CHECK(config["network"]["classes"].empty());
  CHECK(config["data"]["images"] == Json{{"train", 12}, {"val", 6}, {"test", 6}});
  CHECK_THAT(place.run("train --resume r --va-only").out, contains("nothing to do"));

  const Ran eval = place.run("eval r --split val --json val.json");
  INFO(eval.err);
  REQUIRE(eval.status == 0);
  CHECK_THAT(eval.out, contains("6 images, loss") && contains("arousal, 6 images") && contains("RMSE") && !contains("accuracy") && !contains("class") && !contains("nan"));
  const Json val = Json::parse(text_of(place.path / "val.json")), answer = Json::parse(text_of(place.path / "answer.json"));
  CHECK(val["valence"]["ccc"] == answer["best"]["valence"]["ccc"]);
  CHECK(val["loss"] == answer["best"]["loss"]);
  CHECK_FALSE(val.contains("confusion"));
  const Json seen = Json::parse(place.run("infer 3.png 4.png --run r --json").out)["images"];
  REQUIRE(seen.size() == 2);
  CHECK((seen[0].contains("valence") && seen[1].contains("arousal") && !seen[0].contains("prediction")));
  CHECK_THAT(place.run("infer 3.png --run r").out, contains("  valence ") && !contains("%"));
  REQUIRE(place.run("export r --onnx r.onnx --safetensors r.safetensors").status == 0);
  CHECK(Json::parse(place.run("weights r.safetensors --json").out)["metadata"]["outputs"] == "valence,arousal");
  CHECK(Json::parse(place.run("eval --weights r.safetensors --data affect.csv --split val --batch 6 --json").out)["loss"] == val["loss"]);
  REQUIRE(place.run("import r.safetensors -o again.safetensors").status == 0);
  CHECK(Json::parse(place.run("eval --weights again.safetensors --data affect.csv --split val --batch 6 --json").out)["loss"] == val["loss"]);

  std::vector<float> x(2 * 3 * 16 * 16), felt{0.5f, -0.5f, NAN, 0.25f}, picture(3 * 16 * 16);
  for (size_t i = 0; i < x.size(); ++i) x[i] = float(i % 17) / 17 - 0.5f;
  std::copy_n(x.begin(), picture.size(), picture.begin());
  const int64_t shape[] = {2, 3, 16, 16}, one[] = {1, 3, 16, 16}, pairs[] = {2, 2}, count[] = {2}, labels[] = {0, 2};
  write_npy(place.path / "x.npy", shape, std::span<const float>(x));
  write_npy(place.path / "one.npy", one, std::span<const float>(picture));
  write_npy(place.path / "t.npy", pairs, std::span<const float>(felt));
  write_npy(place.path / "y.npy", count, std::span<const int64_t>(labels));
  const std::string trace = "trace --model compact_resnet --weights r.safetensors --input x.npy --out t.safetensors ";
  expect_refused(place, trace, "--targets is missing");
  expect_refused(place, trace + "--targets t.npy --labels y.npy", "the network has no classes");
  expect_refused(place, "trace --model compact_resnet --input x.npy --labels y.npy --targets t.npy --out t.safetensors", "Fix: --va");
  REQUIRE(place.run(trace + "--targets t.npy").status == 0);
  REQUIRE(place.run("run r.onnx --input one.npy --output valence=v.npy").status == 0);
  // A network of its own kind, whose last layer is no classifier.
  REQUIRE(place.run("train --model r.onnx --data affect.csv --size 16 --batch 6 --epochs 1 --va-only --run o").status == 0);
  CHECK(place.run("eval o --split val").status == 0);
  const WeightFile traced = read_weights(place.path / "t.safetensors");
  CHECK(traced.at("valence.eval").floats()[0] == Approx(read_npy(place.path / "v.npy").as_floats()[0]).margin(1e-5));
  const std::vector<float> v = traced.at("valence").floats(), a = traced.at("arousal").floats();
  CHECK(traced.at("loss").floats()[0] == Approx(std::pow(v[0] - 0.5, 2) + (std::pow(a[0] + 0.5, 2) + std::pow(a[1] - 0.25, 2)) / 2).epsilon(1e-5));
  CHECK(place.run("trace --model compact_resnet --va --num-classes 3 --input x.npy --labels y.npy --targets t.npy --out both.safetensors").status == 0);

  // A network with classes over images of which nobody has said any.
  std::ofstream both(place.path / "both.csv");
  both << "image,label,valence,arousal,split\n";
  for (int i = 0; i < 18; ++i) both << fmt::format("{}.png,{},0.5,-0.25,{}\n", i, i % 2 ? "odd" : "even", i < 12 ? "train" : "val");
  both.close();
  REQUIRE(place.run("train --model compact_resnet --data both.csv --size 16 --batch 6 --epochs 1 --va --monitor val_ccc --run b").status == 0);
  const Ran unclassed = place.run("eval b --data affect.csv --split val --json unclassed.json");
  CHECK_THAT(unclassed.out, contains("6 images, none of them with a class, loss") && !contains("accuracy"));
  CHECK(Json::parse(text_of(place.path / "unclassed.json"))["accuracy"].is_null());

  const Ran repeats = place.run("train " + data + "--va-only --repeats 2 --run twice");
  INFO(repeats.err);
  REQUIRE(repeats.status == 0);
  CHECK_THAT(repeats.out, contains("valence_rmse") && contains("ccc") && !contains("accuracy") && !contains("nan"));
  CHECK_THAT(text_of(place.path / "twice/repeats.csv"), contains("test") && !contains("accuracy"));
  const std::string recipe = "title = 't'\nmodel = 'compact_resnet'\ndata = 'affect.csv'\nsize = 16\nbatch = 6\nepochs = 2\nva-only = true\n[sweep]\n";
  std::ofstream(place.path / "sweep.toml") << recipe << "[sweep.grid]\nlr = [1e-3, 3e-3]\n";
  const Ran sweep = place.run("sweep sweep.toml --run swept");
  INFO(sweep.err);
  REQUIRE(sweep.status == 0);
  CHECK_THAT(sweep.out, contains("val_ccc") && contains("test_ccc") && !contains("accuracy"));
  CHECK_THAT(text_of(place.path / "swept/table.csv"), contains("val_ccc") && !contains("accuracy"));
  std::ofstream(place.path / "wrong.toml") << recipe << "monitor = 'val_accuracy'\n[sweep.grid]\nlr = [1e-3, 3e-3]\n";
  expect_refused(place, "sweep wrong.toml --run wrong", "there are no classes");
}

TEST_CASE("cli: train tells programs what happens, and logs that fail end no run", "[cli][train][logs]") {
  const Workplace place;
  draw_faces(place.path / "faces", 16);
  const std::string train = "train --model compact_resnet --data faces --batch 6 --epochs 2 --size 16 ";
  const auto events_of = [](const std::string& text) {
    std::vector<std::string> names;
    std::stringstream lines(text);
    for (std::string line; std::getline(lines, line);) names.push_back(Json::parse(line).at("event"));
    return names;
  };
  const auto count = [](const std::vector<std::string>& names, const char* name) { return std::ranges::count(names, std::string(name)); };

  const Ran piped = place.run(train + "--run one --events --tensorboard");
  INFO(piped.err);
  REQUIRE(piped.status == 0);
  const std::vector<std::string> names = events_of(piped.out);
  CHECK(names.front() == "start");
  CHECK(names.back() == "end");
  CHECK(count(names, "epoch") == 2);
  CHECK(count(names, "checkpoint") >= 1);
  CHECK_THAT(piped.err, contains("best: epoch"));  // text for people
  CHECK(std::distance(fs::directory_iterator(place.path / "one/tensorboard"), {}) == 1);

  // The same run without logs leaves the same bytes, and so does one whose logs fail from the first byte.
  REQUIRE(place.run(train + "--run plain").status == 0);
  const Ran full = place.run(train + "--run full --events /dev/full");
  INFO(full.err);
  CHECK(full.status == 0);
  CHECK_THAT(full.err, contains("/dev/full: cannot write: No space left on device") && contains("--events ends here, the run goes on"));
  for (const char* run : {"one", "full"}) CHECK(text_of(place.path / run / "model.safetensors") == text_of(place.path / "plain/model.safetensors"));

  const Ran failed = place.run(train + "--lr 1e6 --optimizer sgd --run two --events events.jsonl --tensorboard curves");
  CHECK(failed.status == 2);
  const std::string told = text_of(place.path / "events.jsonl");
  CHECK(events_of(told).back() == "error");
  CHECK_THAT(told, contains("\"exit\":2"));
  CHECK(fs::is_directory(place.path / "curves/two"));
  expect_refused(place, train + "--events no/such/folder", "no/such/folder: cannot open");
  expect_refused(place, train + "--events --json", "goes to stdout, and so does --json");
  expect_refused(place, train + "--run three --tensorboard /proc/nothing", "cannot make the folder");
  fs::create_symlink("/proc", place.path / "runs");  // where nobody may write
  expect_refused(place, train, "cannot make the folder");
  expect_refused(place, train + "--run /proc/run", "cannot make the folder");
}
