// The report as a file: complete, and nothing in the data gets out of its place.
#include "tools/report/report.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/catch.h"
#include "tests/workplace.h"

using namespace vkfer;
using namespace vkfer::test;
namespace fs = std::filesystem;

namespace {

// The JSON inside the page.
Json data_of(const std::string& page) {
  const std::string start = "<script type=\"application/json\" id=\"data\">";
  const size_t first = page.find(start) + start.size();
  return Json::parse(page.substr(first, page.find("</script>", first) - first));
}

size_t count(const std::string& text, std::string_view what) {
  size_t n = 0;
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + what.size())) ++n;
  return n;
}

}  // namespace

TEST_CASE("report: whatever the data says stays data", "[report]") {
  const std::string bad = "</script><script>alert(1)</script><!-- @SCRIPT@ @DATA@ \xff";
  const std::string plain = report_html({{"runs", Json::array()}}), page = report_html({{"runs", Json::array({{{"name", bad}}})}});
  CHECK(count(page, "<script") == count(plain, "<script"));
  CHECK(count(page, "</script>") == count(plain, "</script>"));
  CHECK(data_of(page).at("runs")[0].at("name").get<std::string>().substr(0, bad.size() - 1) == bad.substr(0, bad.size() - 1));
  for (const char* field : {"@STYLE@", "@CHARTS@"}) CHECK(count(page, field) == 0);
  CHECK_THAT(page, contains("default-src 'none'") && contains("Okabe") && contains("Chart.js"));
}

TEST_CASE("tool: report of a run, beside another, and of weights alone", "[cli][report]") {
  Workplace place;
  draw_faces(place.path / "faces", 16, true);
  REQUIRE(place.run("train --model compact_resnet --data faces --size 16 --batch 4 --epochs 2 --run a").status == 0);
  REQUIRE(place.run("train --model compact_resnet --data faces --size 16 --batch 4 --epochs 1 --seed 2 --run b").status == 0);
  const Ran ran = place.run("report a --baseline b -o r.html");
  INFO(ran.err);
  REQUIRE(ran.status == 0);
  const Json j = data_of(text_of(place.path / "r.html"));
  REQUIRE(j.at("runs").size() == 2);
  const Json& a = j.at("runs")[0];
  CHECK(a.at("history").size() == 2);
  CHECK(a.at("images") == 6);
  CHECK(a.at("classes").size() == 3);
  CHECK(a.at("sample").size() == 6);
  CHECK(a.at("cams").size() == 6);
  CHECK(a.at("cams")[0].at("overlay").get<std::string>().starts_with("data:image/png;base64,"));
  CHECK(a.at("features").at("points3").size() == 6);
  CHECK(a.at("features").at("points3")[0].size() == 3);
  CHECK(a.at("features").at("labels").size() == 6);
  CHECK(a.at("worst").size() == size_t(6 - std::lround(6 * a.at("scores").at("accuracy").at("value").get<double>())));
  CHECK(a.at("class_counts").at("train") == Json::array({4, 4, 4}));
  CHECK(a.at("settings").at("epochs") == 2);
  CHECK(a.at("affect").is_null());
  CHECK(a.at("curves").size() == 3);

  const Ran weights = place.run("report --weights a/model.safetensors --model compact_resnet --data faces --batch 4 -o w.html --json");
  INFO(weights.err);
  REQUIRE(weights.status == 0);
  CHECK(data_of(text_of(place.path / "w.html")).at("runs")[0].at("history").empty());

  expect_refused(place, "report a b", "--baseline b");
  expect_refused(place, "report a --baseline nowhere", "nowhere: no run there");
  expect_refused(place, "report a --split PrivateTest", "--split");
  CHECK(place.run("report a -o nowhere/r.html").status == 2);
}
