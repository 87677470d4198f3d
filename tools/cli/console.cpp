#include "tools/cli/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "runtime/error.h"
#include "tools/data/atomic_file.h"

namespace vkfer {
namespace {

constexpr double kRedrawSeconds = 0.1, kLineSeconds = 30;
constexpr int kBarWidth = 20;

}  // namespace

Console::Console(std::string json)
    : json_(std::move(json)), text_(json_ == "-" ? stderr : stdout), terminal_(::isatty(::fileno(text_)) == 1),
      last_progress_(Clock::now()) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // a log that is watched grows line by line
}

Console::Console(std::FILE* log) : text_(log), notices_(log), terminal_(false), last_progress_(Clock::now()) {}

void Console::text_to_stderr() {
  text_ = stderr;
  terminal_ = ::isatty(::fileno(text_)) == 1;
}

int Console::width() const {
  winsize size{};
  if (terminal_ && ::ioctl(::fileno(text_), TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) return size.ws_col;
  return 80;
}

void Console::wipe() {
  if (bar_shown_) fmt::print(text_, "\r\033[K");
  bar_shown_ = false;
}

void Console::line(const std::string& text) {
  wipe();
  fmt::print(text_, "{}\n", text);
  std::fflush(text_);
}

void Console::paragraph(const std::string& text) {
  const size_t columns = size_t(width());
  std::string rest = text;
  while (rest.size() > columns) {
    const size_t space = rest.rfind(' ', columns);
    if (space == std::string::npos || space < 10) break;
    line(rest.substr(0, space));
    rest = "  " + rest.substr(space + 1);
  }
  line(rest);
}

void Console::notice(const std::string& text) {
  wipe();
  fmt::print(notices_, "vkfer: {}\n", text);
}

void Console::answer(const Json& json) {
  if (json_.empty()) return;
  const std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  if (json_ != "-") return write_file(json_, std::string_view(text));
  wipe();
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    fail("--json", "cannot write to stdout");
}

void Console::progress(const std::string& what, double done, double total, const std::string& detail) {
  const Clock::time_point now = Clock::now();
  const double since = std::chrono::duration<double>(now - last_progress_).count();
  const bool ends = done >= total;
  if (!terminal_) {
    if (since < kLineSeconds || ends) return;
    last_progress_ = now;
    return line(fmt::format("{}: {:.0f} %{}{}", what, std::floor(100 * done / total), detail.empty() ? "" : ", ", detail));
  }
  if (since < kRedrawSeconds && !ends && what == last_what_) return;
  last_progress_ = now;
  last_what_ = what;
  const int filled = int(kBarWidth * std::clamp(done / std::max(total, 1e-9), 0.0, 1.0));
  std::string bar = fmt::format("{} [{:<{}}] {}", what, std::string(size_t(filled), '='), kBarWidth, detail);
  bar.resize(std::min(bar.size(), size_t(width() - 1)));
  fmt::print(text_, "\r\033[K{}", bar);
  std::fflush(text_);
  bar_shown_ = true;
  if (ends) wipe(), std::fflush(text_);
}

std::string duration_text(double seconds) {
  const int64_t s = std::llround(seconds);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::string count_text(int64_t n) {
  std::string digits = std::to_string(n);
  for (int at = int(digits.size()) - 3; at > (n < 0 ? 1 : 0); at -= 3) digits.insert(size_t(at), ",");
  return digits;
}

std::string bytes_text(double bytes) {
  if (bytes < 1e6) return fmt::format("{:.1f} kB", bytes / 1e3);
  if (bytes < 1e9) return fmt::format("{:.1f} MB", bytes / 1e6);
  return fmt::format("{:.2f} GB", bytes / 1e9);
}

}  // namespace vkfer
