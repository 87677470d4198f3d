#pragma once
// The built tool as a program, run in a folder of its own.
#include <sys/wait.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "runtime/error.h"
#include "tests/catch.h"
#include "tools/data/image.h"
#include "tools/data/synthetic.h"

namespace vkfer::test {

inline std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// As a run writes its files: whoever reads finds the old one or the new one, whole, and of another date.
inline void replace_file(const std::filesystem::path& path, const std::string& bytes) {
  namespace fs = std::filesystem;
  const auto date = fs::exists(path) ? fs::last_write_time(path) + std::chrono::seconds(1) : fs::file_time_type::clock::now();
  std::ofstream(path.string() + ".new", std::ios::binary) << bytes;
  fs::last_write_time(path.string() + ".new", date);
  fs::rename(path.string() + ".new", path);
}

struct Ran {
  int status = -1;
  std::string out, err;
};

// An empty folder to work in, gone at the end.
struct Workplace {
  std::filesystem::path path;
  Workplace() {
    std::string name = (std::filesystem::temp_directory_path() / "vkfer-cli-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~Workplace() { std::filesystem::remove_all(path); }

  Ran run(const std::string& arguments, const std::string& before = {}) const {
    const std::filesystem::path out = path / ".out", err = path / ".err";
    const std::string command = fmt::format("cd '{}' && {} '{}' {} > '{}' 2> '{}'", path.string(), before, VKFER_TOOL, arguments, out.string(), err.string());
    const int status = std::system(command.c_str());
    Ran ran{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), text_of(out), text_of(err)};
    std::filesystem::remove(out), std::filesystem::remove(err);
    INFO("vkfer " << arguments << "\n" << ran.out << ran.err);
    return ran;
  }
  // Status 137 if it took longer. In the foreground, timeout waits for what it killed: the kernel may need seconds to take it apart on a busy
  // machine, and until then it holds its locks.
  Ran run_killed_after(double seconds, const std::string& arguments) const { return run(arguments, fmt::format("timeout --foreground -s KILL {:.3f}", seconds)); }
  bool empty() const { return std::filesystem::is_empty(path); }
};

// 4 training and 2 validation pictures of each of 3 expressions, drawn; and as many of `test` as for validation when asked.
inline void draw_faces(const std::filesystem::path& root, int size, bool test = false) {
  int counts[3][3] = {};
  for (uint32_t i = 0; i < 200; ++i) {
    const int label = synthetic_face(9, i).label;
    if (label >= 3) continue;
    int* seen = counts[label];
    const int split = seen[0] < 4 ? 0 : seen[1] < 2 || !test ? 1 : 2;
    if (seen[split]++ >= (split ? 2 : 4)) continue;
    const char* names[] = {"train", "val", "test"};
    const std::filesystem::path folder = root / names[split] / std::string(1, char('a' + label));
    std::filesystem::create_directories(folder);
    write_png(folder / fmt::format("{}.png", i), draw_synthetic_face(9, i, size, 1));
  }
}

inline void expect_refused(const Workplace& place, const std::string& arguments, const std::string& message) {
  INFO("vkfer " << arguments);
  const Ran ran = place.run(arguments);
  INFO(ran.out << ran.err);
  CHECK(ran.status == 2);
  CHECK_THAT(ran.err, contains("vkfer: [") && contains(message));
}

}  // namespace vkfer::test
