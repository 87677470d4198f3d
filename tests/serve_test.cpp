// `vkfer serve`: what it says of pictures and of a run, and how it begins and ends.
#include <nlohmann/json.hpp>

#include "tests/catch.h"
#include "tests/data_files.h"
#include "tests/http_client.h"
#include "tests/server_process.h"
#include "tools/serve/run_analyst.h"
#include "tools/serve/run_history.h"
#include "tools/train/folder_lock.h"

using namespace vkfer;
using namespace vkfer::test;
namespace fs = std::filesystem;

namespace {

Json json_of(const HttpAnswer& answer) {
  INFO(answer.head << answer.body);
  return Json::parse(answer.body);
}

std::string form_of(const std::vector<std::pair<std::string, std::string>>& pictures) {
  std::string body;
  for (const auto& [name, bytes] : pictures) body += fmt::format("--xyz\r\nContent-Disposition: form-data; name=\"image\"; filename=\"{}\"\r\n\r\n{}\r\n", name, bytes);
  return post("/api/infer", body + "--xyz--\r\n", "Content-Type: multipart/form-data; boundary=xyz\r\n");
}

// Until `is` says so of what `path` answers; gives up after a minute.
template <class Is>
bool becomes(int port, const char* path, const Is& is) {
  for (int i = 0; i < 600; ++i) {
    if (is(json_of(HttpClient(port).ask(get(path))))) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}
bool becomes_ready(int port) {
  return becomes(port, "/api/model", [](const Json& j) { return j.at("ready") == true; });
}

void train(const Workplace& place, const std::string& more = "--run a") {
  if (!fs::exists(place.path / "faces")) draw_faces(place.path / "faces", 16, true);
  const Ran ran = place.run("train --model compact_resnet --data faces --size 16 --batch 4 --epochs 2 " + more);
  INFO(ran.err);
  REQUIRE(ran.status == 0);
}

}  // namespace

TEST_CASE("serve: the curves of a history.csv", "[serve]") {
  const Json rows = history_rows("epoch,learning_rate,train_loss,val_macro_f1,val_f1_a b,val_ccc,seconds\n1,0.001,1.5,0.25,0.1,,2\n2,1e-5,nan,0.5,0.2,-0.5,2.25\n");
  CHECK(rows.dump() == R"([{"epoch":1.0,"learning_rate":0.001,"train_loss":1.5,"val_f1":0.25,"val_ccc":null,"seconds":2.0},)"
                       R"({"epoch":2.0,"learning_rate":1e-05,"train_loss":null,"val_f1":0.5,"val_ccc":-0.5,"seconds":2.25}])");
  CHECK(history_rows("").empty());
  CHECK(history_rows("epoch\n").empty());
  CHECK_THROWS_WITH(history_rows("epoch,train_loss\n1\n"), contains("line 2: 1 cells, expected 2"));
  CHECK_THROWS_WITH(history_rows("epoch\none\n"), contains("'one' is not a number"));
}

TEST_CASE("serve: few may wait, and whoever waits is answered", "[serve]") {
  Device device;
  std::atomic<int> done{0};
  std::atomic<bool> go{false};
  int taken = 0;
  {
    Workplace place;
    RunAnalyst analyst(device, [] { return Trained(); }, place.path / "model.safetensors", {});
    const auto job = [&](Predictor* predictor, const AnalystState& state) {
      CHECK(predictor == nullptr);
      CHECK_FALSE(state.ready);
      while (!go) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      ++done;
    };
    for (int i = 0; i < 100; ++i) taken += analyst.ask(job);
    CHECK(taken >= 8);
    CHECK(taken <= 9);
    go = true;
    for (int i = 0; i < 6000 && done < taken; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    CHECK(done == taken);
    CHECK_THAT(analyst.state().reason, contains("no weights yet"));
    CHECK(analyst.ask(job));
  }
}

TEST_CASE("tool: serve says what infer says, and ends cleanly", "[cli][serve]") {
  Workplace place;
  train(place);
  const fs::path face = fs::directory_iterator(place.path / "faces" / "test" / "b")->path();
  write_png(place.path / "colour.png", picture(31, 20, 3, 5));
  const Ran infer = place.run(fmt::format("infer a '{}' colour.png --json", face.string()));
  REQUIRE(infer.status == 0);
  const Json expected = Json::parse(infer.out).at("images");
  const std::string first = text_of(face), second = text_of(place.path / "colour.png");

  ServerProcess server(place, "a --max-megabytes 1");
  const int port = server.port();
  REQUIRE(becomes_ready(port));
  const auto same = [](const Json& got, const Json& wanted) {
    const Json& faces = got.at("faces");
    REQUIRE(faces.size() == 1);
    CHECK(faces[0].at("box").is_null());
    CHECK(faces[0].at("prediction") == wanted.at("prediction"));
    for (const auto& [name, p] : wanted.at("probabilities").items()) CHECK(std::abs(faces[0].at("probabilities").at(name).get<double>() - p.get<double>()) < 1e-5);
  };
  HttpClient client(port);
  const Json one = json_of(client.ask(post("/api/infer", first))).at("images");
  REQUIRE(one.size() == 1);
  CHECK(one[0].at("width") == 16);
  same(one[0], expected[0]);
  const Json two = json_of(client.ask(form_of({{"one.png", first}, {"two.png", second}}))).at("images");
  REQUIRE(two.size() == 2);
  CHECK(two[1].at("name") == "two.png");
  CHECK(two[1].at("width") == 31);
  CHECK(two[1].at("height") == 20);
  same(two[0], expected[0]);
  same(two[1], expected[1]);

  CHECK(json_of(client.ask(post("/api/infer?detect=1", first))).at("images")[0].at("faces").empty());   // it is all of the picture
  if (const std::string photo = test_data("afewva/images/106.jpg"); !photo.empty()) {
    const Ran found = place.run(fmt::format("infer a '{}' --detect --json", photo));
    REQUIRE(found.status == 0);
    const Json there = Json::parse(found.out).at("images")[0].at("faces")[0], here = json_of(client.ask(post("/api/infer?detect=1", text_of(photo)))).at("images")[0].at("faces")[0];
    CHECK(here.at("box") == Json::array({there.at("x"), there.at("y"), there.at("width"), there.at("height")}));
    CHECK(here.at("score") == there.at("score"));
    for (const auto& [name, p] : there.at("probabilities").items()) CHECK(std::abs(here.at("probabilities").at(name).get<double>() - p.get<double>()) < 1e-5);
  }

  const Json model = json_of(client.ask(get("/api/model")));
  CHECK(model.at("model") == "compact_resnet");
  CHECK(model.at("run") == "a");
  CHECK(model.at("classes") == Json::array({"a", "b", "c"}));
  CHECK(model.at("size") == 16);
  CHECK(model.at("valence_arousal") == false);
  const Json history = json_of(client.ask(get("/api/history")));
  CHECK(history.at("state") == "finished");
  CHECK(history.at("history").size() == 2);
  CHECK(history.at("history")[1].at("epoch") == 2);
  for (const char* figure : {"train_loss", "val_loss", "train_accuracy", "val_accuracy", "train_f1", "val_f1", "learning_rate"}) CHECK(history.at("history")[0].at(figure).is_number());
  for (const auto& [path, type] : {std::pair{"/", "text/html"}, {"/page.css", "text/css"}, {"/common.css", "text/css"}, {"/page.js", "text/javascript"}, {"/common.js", "text/javascript"}, {"/charts.js", "text/javascript"}}) {
    const HttpAnswer file = client.ask(get(path));
    CHECK(file.status == 200);
    CHECK_THAT(file.head, contains(std::string("Content-Type: ") + type));
  }
  CHECK_THAT(client.ask(get("/")).body, contains("<!DOCTYPE html>"));
  CHECK(client.ask(get("/healthz")).body == "{\"ok\":true}\n");

  const auto refused = [&](const std::string& request, int status, const char* text) {
    INFO(request.substr(0, 200));
    const HttpAnswer answer = HttpClient(port).ask(request);
    CHECK(answer.status == status);
    CHECK_THAT(json_of(answer).at("error").get<std::string>(), contains(text));
  };
  for (const char* path : {"/nothing", "/../config.json", "/%2e%2e/config.json", "/a/config.json", "//", "/page.css/", "/api/infer/..", "/api/model%00"}) refused(get(path), 404, "nothing at this path");
  refused(get("/api/infer"), 405, "expected POST");
  refused("DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "expected GET");
  refused(post("/api/model", "x"), 405, "expected GET");
  refused(post("/api/infer", "this is no picture"), 400, "not an image");
  refused(post("/api/infer", first.substr(0, first.size() / 2)), 400, "[png]");
  refused(form_of({{"<b>.png", first}, {"<i>.png", "GIF89a"}}), 400, "<i>.png");
  refused(form_of(std::vector<std::pair<std::string, std::string>>(17, {"x", first})), 413, "more than 16 pictures");
  refused(post("/api/infer", first, "Content-Type: application/json\r\n"), 415, "neither a picture nor a form");
  refused(post("/api/infer?detect=2", first), 400, "detect=1 looks for faces");
  refused("POST /api/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000001\r\n\r\n", 413, "--max-megabytes");
  refused("GET /api/model HTTP/1.1\r\nHost: evil.com\r\n\r\n", 403, "Host");
  refused(post("/api/infer", first, "Origin: http://evil.com\r\n"), 403, "another site");
  const std::string wide = "P5 60000 60000 255 ";   // 3.6 thousand million pixels, declared
  refused(post("/api/infer", wide), 400, "");

  const Ran taken = place.run(fmt::format("serve a --port {}", port));
  CHECK(taken.status == 2);
  CHECK_THAT(taken.err, contains("[--port]") && contains("in use already. Fix: --port 0"));

  // Many at once: each is answered rightly, or told to come again.
  std::vector<std::thread> threads;
  std::atomic<int> right{0}, busy{0};
  for (int t = 0; t < 24; ++t)
    threads.emplace_back([&] {
      HttpClient mine(port);
      for (int i = 0; i < 20; ++i) {
        const HttpAnswer a = mine.ask(post("/api/infer", first));
        right += a.status == 200 && Json::parse(a.body).at("images")[0].at("faces")[0].at("prediction") == expected[0].at("prediction");
        busy += a.status == 503 && a.head.find("Retry-After: ") != a.head.npos;
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(right + busy == 480);
  CHECK(right > 0);
  CHECK(server.end(SIGTERM) == 0);
  CHECK_THAT(server.log(), contains("shows a"));
}

TEST_CASE("tool: serve of a run in progress, from before it has weights", "[cli][serve]") {
  Workplace place;
  train(place);
  train(place, "--run other --seed 2");
  const fs::path run = place.path / "b";
  fs::create_directory(run);
  fs::copy(place.path / "a" / "config.json", run);
  const std::string face = text_of(fs::directory_iterator(place.path / "faces" / "test" / "b")->path());
  std::optional<FolderLock> training(run);
  ServerProcess server(place, "--run b");
  const int port = server.port();
  const auto history = [&] { return json_of(HttpClient(port).ask(get("/api/history"))); };
  CHECK(history().at("state") == "training");
  CHECK(history().at("history").empty());
  const HttpAnswer too_early = HttpClient(port).ask(post("/api/infer", face));
  CHECK(too_early.status == 503);
  CHECK_THAT(too_early.head + too_early.body, contains("first epoch is not finished") && contains("Retry-After"));
  CHECK(json_of(HttpClient(port).ask(get("/api/model"))).at("ready") == false);

  const std::string csv = text_of(place.path / "a" / "history.csv");
  replace_file(run / "history.csv", csv.substr(0, csv.find('\n', csv.find('\n') + 1) + 1));
  replace_file(run / "model.safetensors", text_of(place.path / "a" / "model.safetensors"));
  REQUIRE(becomes_ready(port));
  CHECK(history().at("history").size() == 1);
  const auto answer = [&] { return json_of(HttpClient(port).ask(post("/api/infer", face))).at("images")[0].at("faces")[0].at("probabilities"); };
  const Json before = answer();

  // Better weights, and then the end.
  replace_file(run / "model.safetensors", text_of(place.path / "other" / "model.safetensors"));
  bool changed = false;
  for (int i = 0; i < 300 && !changed; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    changed = answer() != before;
  }
  CHECK(changed);
  replace_file(run / "history.csv", csv);
  training.reset();
  CHECK(history().at("state") == "finished");
  CHECK(history().at("history").size() == 2);

  // Somebody damages it: what was served is served on.
  replace_file(run / "model.safetensors", "damaged");
  std::this_thread::sleep_for(std::chrono::seconds(3));
  CHECK(answer().size() == 3);
  CHECK(server.end(SIGINT) == 0);
}

TEST_CASE("tool: serve of weights alone, of valence and arousal, and wrong usage", "[cli][serve]") {
  Workplace place;
  std::string manifest = "image,split,valence,arousal\n";
  for (int i = 0; i < 12; ++i) {
    write_png(place.path / fmt::format("{}.png", i), picture(16, 16, 1, uint32_t(i) + 1));
    manifest += fmt::format("{}.png,{},{},{}\n", i, i < 8 ? "train" : "val", i / 12.0, -i / 12.0);
  }
  write_file(place.path / "faces.csv", manifest);
  REQUIRE(place.run("train --model compact_resnet --data faces.csv --size 16 --batch 4 --epochs 1 --va-only --run a").status == 0);
  {
    ServerProcess server(place, "--weights a/model.safetensors");
    REQUIRE(becomes_ready(server.port()));
    const Json face = json_of(HttpClient(server.port()).ask(post("/api/infer", text_of(place.path / "0.png")))).at("images")[0].at("faces")[0];
    CHECK(face.at("valence").is_number());
    CHECK(face.at("arousal").is_number());
    CHECK_FALSE(face.contains("prediction"));
    const Json model = json_of(HttpClient(server.port()).ask(get("/api/model")));
    CHECK(model.at("valence_arousal") == true);
    CHECK(model.at("classes").empty());
    CHECK(json_of(HttpClient(server.port()).ask(get("/api/history"))).at("state") == "none");
    CHECK(server.end(SIGTERM) == 0);
  }
  expect_refused(place, "serve nowhere --port 0", "nowhere: no run there");
  expect_refused(place, "serve a a --port 0", "one run is served");
  expect_refused(place, "serve --run nowhere --port 0", "nowhere: no run there");
  expect_refused(place, "serve --port 0", "no trained run");
  expect_refused(place, "serve a --port 65536", "[--port] got 65536");
  expect_refused(place, "serve a --port 0 --host 'a b'", "--host");
  expect_refused(place, "serve a --port 0 --max-megabytes 0", "--max-megabytes");
  expect_refused(place, "serve a --port 0 --head gap", "--head");
}
