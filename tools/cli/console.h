#pragma once
// Where a verb's words go: text for people, one JSON object for programs.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "tools/train/settings.h"

namespace vkfer {

// `json` is the value of --json: "" none, "-" the answer alone on stdout and all text on stderr, else a file's name.
class Console {
 public:
  explicit Console(std::string json);
  explicit Console(std::FILE* log);   // all that is said, into a file that stays the caller's

  template <class... Args>
  void print(fmt::format_string<Args...> format, Args&&... args) {
    line(fmt::format(format, std::forward<Args>(args)...));
  }
  void line(const std::string& text);           // one line, after wiping the progress bar
  void paragraph(const std::string& text);      // a long line, wrapped between words
  void notice(const std::string& text);         // a line to stderr, "vkfer: ..."
  void answer(const Json&);                     // once, at the end
  void text_to_stderr();                        // as with --json: stdout is for programs
  bool wants_json() const { return !json_.empty(); }

  // Progress of something long: a bar that redraws on a terminal; elsewhere a line every half minute at most.
  // `detail` follows the bar. Call it as often as you like.
  void progress(const std::string& what, double done, double total, const std::string& detail = {});
  bool terminal() const { return terminal_; }
  int width() const;                            // columns; 80 when not a terminal

 private:
  using Clock = std::chrono::steady_clock;
  void wipe();

  std::string json_;
  std::FILE* text_;
  std::FILE* notices_ = stderr;
  bool terminal_;
  bool bar_shown_ = false;
  std::string last_what_;
  Clock::time_point last_progress_;
};

std::string duration_text(double seconds);   // "12 s", "3:05", "1:02:03"
std::string count_text(int64_t);             // "2,232,839"
std::string bytes_text(double bytes);        // "8.9 MB"

}  // namespace vkfer
