// The library as another program meets it: installed, found by CMake, linked, and right.
#include "tools/library/vkfer/vkfer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/catch.h"
#include "tests/workplace.h"

using namespace vkfer;
using namespace vkfer::test;
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

// `command` in the shell, its output in the place's file `log`.
int shell(const Workplace& place, const std::string& command) {
  return WEXITSTATUS(std::system(fmt::format("cd '{}' && ( {} ) > log 2>&1", place.path.string(), command).c_str()));
}

bool has_program(const char* name) { return std::system(fmt::format("command -v {} > /dev/null", name).c_str()) == 0; }

void train(const Workplace& place) {
  draw_faces(place.path / "faces", 16);
  REQUIRE(place.run("train --model compact_resnet --data faces --size 16 --batch 4 --epochs 1 --run a").status == 0);
}

}  // namespace

TEST_CASE("library: the answers of the tool, from several threads, and failures that say why", "[library]") {
  Workplace place;
  train(place);
  const fs::path face = fs::directory_iterator(place.path / "faces" / "val" / "b")->path();
  const Ran infer = place.run(fmt::format("infer --run a '{}' --json", face.string()));
  REQUIRE(infer.status == 0);
  const Json expected = Json::parse(infer.out).at("images")[0];

  REQUIRE_FALSE(devices().empty());
  std::optional<Network> network;
  {
    const Session session;
    CHECK(session.device().name == devices()[0].name);
    network.emplace(session, place.path / "a", NetworkOptions{.batch = 2});
  }   // the network keeps the device
  CHECK(network->model() == "compact_resnet");
  CHECK(network->input_size() == 16);
  CHECK(network->classes() == std::vector<std::string>{"a", "b", "c"});
  const std::vector<Picture> pictures(3, read_picture(face));
  std::vector<std::thread> threads;
  std::vector<std::vector<Answer>> answers(4);
  for (auto& mine : answers) threads.emplace_back([&] { mine = network->infer(pictures); });
  for (std::thread& t : threads) t.join();
  for (const auto& mine : answers) {
    REQUIRE(mine.size() == 3);
    for (const Answer& a : mine) {
      CHECK(network->classes()[a.best()] == expected.at("prediction"));
      for (size_t c = 0; c < 3; ++c) CHECK(std::abs(a.probabilities[c] - expected.at("probabilities").at(network->classes()[c]).get<float>()) < 1e-5);
    }
  }
  Network moved = std::move(*network);
  CHECK(moved.infer({}).empty());
  std::ifstream file(face, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  CHECK(decode_picture(std::as_bytes(std::span(bytes))).pixels == pictures[0].pixels);

  const auto refused = [](Failure::Kind kind, const char* text, const auto& what) {
    try {
      what();
      FAIL("not refused: " << text);
    } catch (const Failure& f) {
      CHECK_THAT(f.what(), contains(text));
      CHECK(f.kind() == kind);
    }
  };
  const Session session;
  refused(Failure::Kind::input, "nothing.png", [&] { read_picture(place.path / "nothing.png"); });
  refused(Failure::Kind::input, "picture", [&] { decode_picture(std::as_bytes(std::span(bytes)).first(40)); });
  refused(Failure::Kind::input, "no-run", [&] { Network(session, place.path / "no-run"); });
  refused(Failure::Kind::input, "config.json", [&] { Network(session, place.path / "faces"); });
  refused(Failure::Kind::input, "batch: got 0", [&] { Network(session, place.path / "a", {.batch = 0}); });
  refused(Failure::Kind::input, "no such card", [&] { Session("no such card"); });
  refused(Failure::Kind::input, "expected 1 (gray) or 3 (RGB)", [&] { moved.infer(std::vector<Picture>{{2, 2, 4, std::vector<uint8_t>(16)}}); });
  refused(Failure::Kind::input, "picture 1: got 2 x 3", [&] { moved.infer(std::vector<Picture>{pictures[0], {2, 3, 1, std::vector<uint8_t>(5)}}); });
  refused(Failure::Kind::input, "picture 0", [&] { moved.infer(std::vector<Picture>{{1 << 30, 1 << 30, 1, {}}}); });
  refused(Failure::Kind::input, "no classes", [] { Answer{}.best(); });
  CHECK(moved.infer(pictures).size() == 3);   // and goes on
}

TEST_CASE("library: installed, found by find_package, and an example that uses it", "[library]") {
  Workplace place;
  train(place);
  REQUIRE(shell(place, fmt::format("'{}' --install '{}' --prefix '{}/prefix' --strip", VKFER_CMAKE, VKFER_BUILD, place.path.string())) == 0);
  const fs::path prefix = place.path / "prefix";
  CHECK(fs::exists(prefix / "include/vkfer/vkfer.h"));
  CHECK(fs::exists(prefix / "share/vkfer/lavapipe/fetch.sh"));
  fs::path example;   // installed with the documents
  for (const auto& entry : fs::recursive_directory_iterator(prefix))
    if (entry.path().filename() == "expressions.cpp") example = entry.path().parent_path();
  REQUIRE_FALSE(example.empty());
  const int built = shell(place, fmt::format("'{0}' -S '{1}' -B built -DCMAKE_PREFIX_PATH='{2}' && '{0}' --build built", VKFER_CMAKE, example.string(), prefix.string()));
  INFO(text_of(place.path / "log"));
  REQUIRE(built == 0);
  const fs::path face = fs::directory_iterator(place.path / "faces" / "val" / "c")->path();
  REQUIRE(shell(place, fmt::format("./built/expressions a '{}'", face.string())) == 0);
  const std::string said = text_of(place.path / "log");
  const Ran infer = place.run(fmt::format("infer --run a '{}' --json", face.string()));
  const Json expected = Json::parse(infer.out).at("images")[0];
  CHECK_THAT(said, contains("compact_resnet on ") && contains(fmt::format("{} {:.3f}", expected.at("prediction").get<std::string>(), expected.at("probability").get<double>()).substr(0, 6)));
  CHECK(shell(place, "./built/expressions a log") == 1);
  CHECK_THAT(text_of(place.path / "log"), contains("expressions: ["));

  // The installed tool needs nothing of the folder it was built in, and the library shows its own functions alone.
  REQUIRE(shell(place, "prefix/bin/vkfer version") == 0);
  std::string library;
  for (const auto& entry : fs::recursive_directory_iterator(prefix))
    if (entry.path().filename() == "libvkfer.so") library = entry.path().string();
  REQUIRE_FALSE(library.empty());
  if (has_program("nm")) {
    REQUIRE(shell(place, fmt::format("nm -D --defined-only -C '{}'", library)) == 0);
    const std::string names = text_of(place.path / "log");
    CHECK_THAT(names, contains("T vkfer::Network::infer"));
    for (const char* hidden : {"fmt::", "nlohmann::", "vkfer::Graph", "vkfer::Predictor::", "vkCreate"}) CHECK(names.find(hidden) == std::string::npos);
  }
}

TEST_CASE("library: a Debian package of all of it", "[library]") {
  for (const char* program : {"cpack", "dpkg-deb", "dpkg-shlibdeps", "file"})
    if (!has_program(program)) {
      WARN("skipped: no " << program << " here");
      return;
    }
  Workplace place;
  const int made = shell(place, fmt::format("cpack -G DEB --config '{}/CPackConfig.cmake' -B '{}'", VKFER_BUILD, place.path.string()));
  INFO(text_of(place.path / "log"));
  REQUIRE(made == 0);
  REQUIRE(shell(place, "dpkg-deb -f vkfer_*.deb && dpkg-deb -c vkfer_*.deb") == 0);
  CHECK_THAT(text_of(place.path / "log"), contains("Package: vkfer") && contains("libvulkan1") && contains("libc6") && contains("Recommends: mesa-vulkan-drivers") &&
                                              contains("./usr/bin/vkfer") && contains("libvkfer.so.0.1") && contains("./usr/include/vkfer/vkfer.h") && contains("vkfer-config.cmake"));
}
