// The report and the served page as a person meets them, in a browser without a window: narrow and wide, light and dark. With
// VKFER_SCREENSHOTS=FOLDER they are kept as pictures, to be looked at.
#include <cstdlib>

#include "tests/catch.h"
#include "tests/data_files.h"
#include "tests/server_process.h"
#include "tests/web_driver.h"
#include "tools/train/folder_lock.h"

using namespace vkfer;
using namespace vkfer::test;
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr const char *kTab = "\xEE\x80\x84", *kEnter = "\xEE\x80\x87";

struct Look {
  int width, height;
  const char* scheme;
};
constexpr Look kLooks[] = {{400, 800, "light"}, {400, 800, "dark"}, {1600, 1000, "light"}, {1600, 1000, "dark"}};

bool no_browser() {
  if (Browser::is_there()) return false;
  WARN("skipped: no chromium with chromedriver here (Debian: chromium-driver)");
  return true;
}

// Valence and arousal beside the classes, so that everything there is is drawn.
void train(const Workplace& place) {
  std::string manifest = "image,label,split,valence,arousal\n";
  for (int i = 0; i < 36; ++i) {
    const SyntheticFace drawn = synthetic_face(9, uint32_t(i));
    write_png(place.path / fmt::format("{}.png", i), draw_synthetic_face(9, uint32_t(i), 24, 1));
    manifest += fmt::format("{}.png,{},{},{:.2f},{:.2f}\n", i, "abc"[drawn.label % 3], i % 3 == 0 ? "test" : i % 3 == 1 ? "val" : "train", i / 36.0, -i / 40.0);
  }
  write_file(place.path / "faces.csv", manifest);
  const Ran ran = place.run("train --model compact_resnet --data faces.csv --size 24 --batch 4 --epochs 3 --va --run a");
  INFO(ran.err);
  REQUIRE(ran.status == 0);
}

void keep_picture(Browser& browser, const std::string& name, const Look& look) {
  const char* folder = std::getenv("VKFER_SCREENSHOTS");
  if (!folder) return;
  const fs::path path = fs::path(folder) / fmt::format("{}-{}-{}", name, look.width, look.scheme);
  std::ofstream(path.string() + ".base64") << browser.picture();
  if (std::system(fmt::format("base64 -d '{0}.base64' > '{0}.png' && rm '{0}.base64'", path.string()).c_str()) != 0) WARN("no picture " << path);
}

// What holds of either page, at any time.
void check_page(Browser& browser, const Look& look, const std::string& own) {
  for (const Json& entry : browser.log("browser")) {
    INFO(entry.dump());
    if (entry.at("message").get<std::string>().find("willReadFrequently") != std::string::npos) continue;   // of blank_canvases()
    CHECK(entry.at("level") != "SEVERE");
    CHECK(entry.at("level") != "WARNING");
  }
  int requests = 0;
  for (const Json& entry : browser.log("performance")) {
    const Json message = Json::parse(entry.at("message").get<std::string>()).at("message");
    if (message.at("method") != "Network.requestWillBeSent") continue;
    if (message.at("params").at("documentURL").get<std::string>().starts_with("chrome://")) continue;   // the browser's own first page
    const std::string url = message.at("params").at("request").at("url");
    INFO(url.substr(0, 200));
    CHECK((url.starts_with(own) || url.starts_with("data:") || url.starts_with("blob:") || url == "about:blank"));
    ++requests;
  }
  CHECK(requests > 0);
  CHECK(browser.run("return innerWidth") == look.width);
  CHECK(browser.run("return document.documentElement.scrollWidth") <= look.width);
  const std::string paper = browser.run("return getComputedStyle(document.body).backgroundColor");
  CHECK(paper == (std::string_view(look.scheme) == "dark" ? "rgb(22, 24, 28)" : "rgb(255, 255, 255)"));
}

// Those canvases on which nothing is drawn, by their labels.
Json blank_canvases(Browser& browser) {
  return browser.run(R"(return [...document.querySelectorAll("canvas")].filter((c) => {
      const p = new Uint32Array(c.getContext("2d").getImageData(0, 0, c.width, c.height).data.buffer);
      return !p.some((v) => v !== p[0]);
    }).map((c) => c.getAttribute("aria-label")))");
}

}  // namespace

TEST_CASE("browser: the report", "[browser][report]") {
  if (no_browser()) return;
  Workplace place;
  train(place);
  const Ran made = place.run("report a -o r.html");
  INFO(made.err);
  REQUIRE(made.status == 0);
  const std::string url = "file://" + (place.path / "r.html").string();
  Browser browser(place);
  for (const Look& look : kLooks) {
    INFO(look.width << " " << look.scheme);
    browser.look(look.width, look.height, look.scheme);
    browser.open(url);
    REQUIRE(browser.becomes(R"(document.readyState === "complete" && document.querySelectorAll("main section").length === 15)"));
    CHECK(browser.run(R"(return document.querySelectorAll("canvas").length)") >= 15);
    CHECK(blank_canvases(browser) == Json::array());
    CHECK(browser.run(R"(return [...document.images].every((i) => i.loading === "lazy" || i.naturalWidth > 0))") == true);
    CHECK(browser.run(R"(return [...document.querySelectorAll("nav a")].filter((a) => !document.getElementById(a.hash.slice(1))).length)") == 0);
    browser.run(R"(document.querySelectorAll("img").forEach((i) => { i.loading = "eager"; }))");
    CHECK(browser.becomes("[...document.images].every((i) => i.complete && i.naturalWidth > 0)"));
    check_page(browser, look, url);
    keep_picture(browser, "report", look);
  }
  // The cloud turns: by itself, and by keys.
  const char* cloud = R"(document.querySelector("canvas.space").toDataURL())";
  browser.run(fmt::format("window.before = {}; document.querySelector('figure button').scrollIntoView()", cloud));
  browser.click("figure button");
  CHECK(browser.becomes(fmt::format("{} !== window.before", cloud)));
  browser.click("figure button");
  CHECK(browser.run(R"(return document.querySelector("figure button").getAttribute("aria-pressed"))") == "false");
  browser.run(fmt::format("window.before = {}", cloud));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  CHECK(browser.run(fmt::format("return {} === window.before", cloud)) == true);
  browser.type("canvas.space", "\xEE\x80\x92");   // arrow to the left
  CHECK(browser.run(fmt::format("return {} !== window.before", cloud)) == true);
  // Another scheme while it is open.
  browser.look(1600, 1000, "light");
  CHECK(browser.becomes(R"(getComputedStyle(document.body).backgroundColor.includes("255"))"));
  CHECK(blank_canvases(browser) == Json::array());
}

TEST_CASE("browser: the served page", "[browser][serve]") {
  if (no_browser()) return;
  Workplace place;
  train(place);
  std::ofstream(place.path / "not.png") << "this is no picture";
  ServerProcess server(place, "a");
  const std::string url = fmt::format("http://127.0.0.1:{}/", server.port());
  Browser browser(place);
  const char* status = R"(document.getElementById("status").textContent)";
  for (const Look& look : kLooks) {
    INFO(look.width << " " << look.scheme);
    browser.look(look.width, look.height, look.scheme);
    browser.open(url);
    REQUIRE(browser.becomes(R"(!document.getElementById("choose").disabled && document.querySelectorAll("#curves canvas").length === 5)"));
    CHECK_THAT(browser.run(R"(return document.getElementById("about").textContent)").get<std::string>(), contains("compact_resnet") && contains("run a") && contains("24×24"));
    CHECK(browser.run(R"(return document.getElementById("progress").textContent)").get<std::string>().starts_with("Finished, 3 epochs."));
    browser.press(kTab);
    CHECK(browser.run("return document.activeElement.id") == "choose");
    browser.type("#files", (place.path / "3.png").string());
    CHECK(browser.becomes(fmt::format("{}.includes('no face found')", status)));   // drawn faces are none to the one who looks for them
    browser.click("#pictures button");
    CHECK(browser.becomes(R"(document.querySelectorAll("#pictures .bars li").length === 3)"));
    browser.click("#detect");
    browser.type("#files", (place.path / "not.png").string());
    CHECK(browser.becomes(fmt::format("{}.includes('not an image')", status)));
    CHECK(browser.run(R"(return document.querySelectorAll("#pictures article").length)") == 1);
    // The refusal of what is no picture is the one complaint that the console may hold.
    for (const Json& entry : browser.log("browser")) CHECK_THAT(entry.at("message").get<std::string>(), contains("400"));
    browser.type("#files", (place.path / "4.png").string() + "\n" + (place.path / "5.png").string());
    CHECK(browser.becomes(R"(document.querySelectorAll("#pictures article").length === 3)"));
    const double sum = browser.run(R"(return [...document.querySelectorAll("article:first-child .bars .value")].reduce((a, v) => a + parseFloat(v.textContent), 0))");
    CHECK(std::abs(sum - 100) < 0.3);
    CHECK(browser.run(R"(return document.querySelectorAll("canvas.affect").length)") == 3);
    CHECK(blank_canvases(browser) == Json::array());
    check_page(browser, look, url);
    keep_picture(browser, "served", look);
  }
  // The camera (a drawn one), until it is stopped.
  browser.click("#clear");
  CHECK(browser.run(R"(return document.querySelectorAll("#pictures article").length)") == 0);
  CHECK(browser.run("return document.activeElement.id") == "choose");
  browser.press(kTab);
  browser.press(kEnter);
  CHECK(browser.becomes(R"(document.querySelectorAll("#pictures .bars li").length === 3)"));
  keep_picture(browser, "camera", kLooks[3]);
  CHECK(browser.run(R"(return document.getElementById("camera").textContent)") == "Stop the camera");
  browser.click("#camera");
  CHECK(browser.run(R"(return document.getElementById("camera").textContent)") == "Use the camera");
  CHECK(blank_canvases(browser) == Json::array());
  check_page(browser, kLooks[3], url);
  // The run is over: nobody asks for its curves any more.
  const char* asked = R"(return performance.getEntriesByType("resource").filter((e) => e.name.endsWith("/api/history")).length)";
  const Json before = browser.run(asked);
  std::this_thread::sleep_for(std::chrono::seconds(4));
  CHECK(browser.run(asked) == before);
  CHECK(server.end(SIGTERM) == 0);
}

TEST_CASE("browser: curves of a run in progress grow on the page", "[browser][serve]") {
  if (no_browser()) return;
  Workplace place;
  train(place);
  const fs::path run = place.path / "b";
  fs::create_directory(run);
  fs::copy(place.path / "a" / "config.json", run);
  std::optional<FolderLock> training(run);
  ServerProcess server(place, "b");
  Browser browser(place);
  browser.look(1600, 1000, "light");
  const std::string url = fmt::format("http://127.0.0.1:{}/", server.port());
  browser.open(url);
  const auto shows = [&](const char* text) { return browser.becomes(fmt::format(R"(document.getElementById("progress").textContent.includes("{}"))", text)); };
  CHECK(shows("In progress: 0 of 3 epochs"));
  CHECK(browser.becomes(R"(document.getElementById("about").textContent.includes("first epoch is not finished"))"));
  CHECK(browser.run(R"(return document.getElementById("choose").disabled)") == true);

  const std::string csv = text_of(place.path / "a" / "history.csv");
  size_t end = csv.find('\n') + 1;
  for (int epoch = 1; epoch <= 3; ++epoch) {
    end = csv.find('\n', end) + 1;
    replace_file(run / "history.csv", csv.substr(0, end));
    CHECK(shows(fmt::format("In progress: {} of 3 epochs", epoch).c_str()));
    CHECK(browser.run("return charts[0].chart.data.datasets[0].data.length") == epoch);
  }
  CHECK(blank_canvases(browser) == Json::array());
  replace_file(run / "model.safetensors", text_of(place.path / "a" / "model.safetensors"));
  CHECK(browser.becomes(R"(!document.getElementById("choose").disabled)"));
  training.reset();
  CHECK(shows("Finished, 3 epochs"));
  check_page(browser, kLooks[2], url);
  CHECK(server.end(SIGINT) == 0);
}
