#pragma once
// A browser without a window, driven over WebDriver (W3C) by chromedriver and, for what that lacks, Chromium's DevTools protocol.
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/http_client.h"
#include "tests/workplace.h"

namespace vkfer::test {

class Browser {
 public:
  using Json = nlohmann::ordered_json;

  static bool is_there() { return std::system("command -v chromedriver > /dev/null && command -v chromium > /dev/null") == 0; }

  explicit Browser(const Workplace& place) {
    const std::string log = (place.path / "chromedriver.log").string();
    driver_ = ::fork();
    if (driver_ == 0) {
      ::setsid();   // a group of its own, with the browser in it
      ::setenv("HOME", place.path.c_str(), 1);
      ::execl("/bin/sh", "sh", "-c", fmt::format("exec chromedriver --port=0 > '{}' 2>&1", log).c_str(), nullptr);
      ::_exit(127);
    }
    for (int i = 0; i < 1200 && port_ == 0; ++i) {
      const std::string said = text_of(log);
      if (const size_t at = said.find("on port "); at != said.npos && said.find('\n', at) != said.npos && said.find("successfully") != said.npos)
        port_ = std::atoi(said.c_str() + said.rfind("on port ") + 8);
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    INFO(text_of(log));
    REQUIRE(port_ > 0);
    Json flags = {"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--disable-component-update",
                  "--disable-sync", "--disable-extensions", "--disable-default-apps", "--hide-scrollbars", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                  "--user-data-dir=" + (place.path / "browser").string()};
    const Json options = {{"args", flags}};
    const Json wanted = {{"browserName", "chrome"}, {"goog:chromeOptions", options}, {"goog:loggingPrefs", {{"browser", "ALL"}, {"performance", "ALL"}}}};
    session_ = ask("POST", "/session", {{"capabilities", {{"alwaysMatch", wanted}}}}).at("sessionId");
  }
  ~Browser() {
    if (!session_.empty()) HttpClient(port_, 60'000).ask(request("DELETE", "/session/" + session_, ""));
    ::kill(-driver_, SIGKILL);
    ::waitpid(driver_, nullptr, 0);
  }
  Browser(const Browser&) = delete;

  void open(const std::string& url) { in_session("POST", "/url", {{"url", url}}); }
  // What the JavaScript `body` returns.
  Json run(const std::string& body) { return in_session("POST", "/execute/sync", {{"script", body}, {"args", Json::array()}}); }
  // Until the expression is true; false after a minute.
  bool becomes(const std::string& expression) {
    for (int i = 0; i < 600; ++i) {
      if (run("return !!(" + expression + ")") == true) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return false;
  }
  void click(const std::string& selector) { in_session("POST", "/element/" + element(selector) + "/click", Json::object()); }
  // Keys, or the path of a file for an <input type=file>.
  void type(const std::string& selector, const std::string& text) { in_session("POST", "/element/" + element(selector) + "/value", {{"text", text}}); }
  // Keys to whatever has the focus; "\xEE\x80\x84" is Tab, "\xEE\x80\x87" Enter.
  void press(const std::string& key) {
    const Json down = {{"type", "keyDown"}, {"value", key}}, up = {{"type", "keyUp"}, {"value", key}};
    in_session("POST", "/actions", {{"actions", Json::array({{{"type", "key"}, {"id", "keyboard"}, {"actions", Json::array({down, up})}}})}});
  }
  Json devtools(const std::string& command, const Json& parameters) { return in_session("POST", "/goog/cdp/execute", {{"cmd", command}, {"params", parameters}}); }
  void look(int width, int height, const std::string& scheme) {
    devtools("Emulation.setDeviceMetricsOverride", {{"width", width}, {"height", height}, {"deviceScaleFactor", 1}, {"mobile", false}});
    devtools("Emulation.setEmulatedMedia", {{"features", Json::array({{{"name", "prefers-color-scheme"}, {"value", scheme}}})}});
  }
  // "browser": what the console says; "performance": what happens. Each entry is told once.
  Json log(const std::string& of) { return in_session("POST", "/se/log", {{"type", of}}); }
  // The whole page as PNG, in base64.
  std::string picture() {
    const Json size = devtools("Page.getLayoutMetrics", Json::object()).at("cssContentSize");
    return devtools("Page.captureScreenshot", {{"format", "png"}, {"captureBeyondViewport", true}, {"clip", {{"x", 0}, {"y", 0}, {"width", size.at("width")}, {"height", size.at("height")}, {"scale", 1}}}}).at("data");
  }

 private:
  static std::string request(const std::string& method, const std::string& path, const std::string& body) {
    return fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}", method, path, body.size(), body);
  }
  Json ask(const std::string& method, const std::string& path, const Json& body) {
    const HttpAnswer answer = HttpClient(port_, 180'000).ask(request(method, path, body.dump()));
    INFO(method << " " << path << " " << body.dump().substr(0, 500) << "\n" << answer.body.substr(0, 2000));
    REQUIRE(answer.status == 200);
    return Json::parse(answer.body).at("value");
  }
  Json in_session(const std::string& method, const std::string& path, const Json& body) { return ask(method, "/session/" + session_ + path, body); }
  std::string element(const std::string& selector) {
    return in_session("POST", "/element", {{"using", "css selector"}, {"value", selector}}).begin().value().get<std::string>();
  }
  pid_t driver_ = -1;
  int port_ = 0;
  std::string session_;
};

}  // namespace vkfer::test
