#include "tools/train/run_folder.h"

#include <algorithm>
#include <charconv>

#include "runtime/error.h"
#include "tools/data/atomic_file.h"
#include "tools/data/bytes.h"
#include "tools/train/history.h"

namespace vkfer {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMaxCheckpointBytes = size_t{16} << 30;
constexpr size_t kMaxConfigBytes = size_t{16} << 20;
constexpr size_t kKept = 2;  // checkpoints: the newest, and the last good one should it be damaged

void make_folders(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path))
    fail("run", "{}: cannot make the folder: {}. Fix: check its permissions and the free space, or --run elsewhere", path.string(), error.message());
}

// What a run leaves that was killed before its config.json was written.
bool is_leftover(const fs::path& entry) {
  const std::string name = entry.filename().string();
  return name == ".lock" || name.starts_with("config.json.");
}

// Checkpoint files, newest first.
std::vector<fs::path> checkpoints(const fs::path& run) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(run / "checkpoint", error))
    if (entry.path().extension() == ".ckpt") found.push_back(entry.path());
  std::sort(found.rbegin(), found.rend());  // numbers are padded, so names sort as numbers do
  return found;
}

// `derive` runs after every checkpoint: a file that is already right is left alone.
void write_if_changed(const fs::path& path, std::span<const std::byte> bytes) {
  std::error_code error;
  if (fs::is_regular_file(path, error) && fs::file_size(path, error) == bytes.size()) {
    const std::vector<std::byte> old = read_file(path, bytes.size());
    if (std::equal(old.begin(), old.end(), bytes.begin(), bytes.end())) return;
  }
  write_file(path, bytes);
}

}  // namespace

fs::path next_run_folder(const fs::path& root) {
  make_folders(root);
  for (;;) {
    long highest = 0;
    for (const fs::directory_entry& entry : fs::directory_iterator(root)) {
      const std::string name = entry.path().filename().string();
      long number = 0;
      const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
      if (error == std::errc() && end == name.data() + name.size()) highest = std::max(highest, number);
    }
    const fs::path path = root / std::to_string(highest + 1);
    std::error_code error;
    if (fs::create_directory(path, error)) return path;
    if (error) fail("run", "{}: cannot make the folder: {}. Fix: check its permissions and the free space, or --run elsewhere", path.string(), error.message());
    // else another process was faster
  }
}

RunFolder RunFolder::create(const fs::path& path) {
  const fs::path folder = path.empty() ? next_run_folder() : path;
  if (fs::exists(folder) && !fs::is_directory(folder)) fail("--run", "{} is a file, expected a folder", folder.string());
  if (is_run(folder))
    fail("--run", "{} holds a run already. Fix: --resume {} to go on with it, or another folder", folder.string(),
         folder.string());
  if (fs::is_directory(folder))
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
      if (!is_leftover(entry.path()))
        fail("--run", "{} is not empty ({}). Fix: name a new folder", folder.string(), entry.path().filename().string());
  make_folders(folder);
  RunFolder run(folder, FolderLock(folder));
  if (is_run(folder)) fail("--run", "{}: another process has just started a run there", folder.string());
  remove_temporary_files(folder);
  return run;
}

RunFolder RunFolder::open(const fs::path& path) {
  if (!is_run(path)) fail("--resume", "{}: no run there (config.json is missing)", path.string());
  RunFolder run(path, FolderLock(path));
  remove_temporary_files(path);
  remove_temporary_files(path / "checkpoint");
  return run;
}

void RunFolder::write_config(const Json& config) { write_file(path_ / "config.json", config.dump(2) + "\n"); }

std::optional<Checkpoint> RunFolder::load(const std::function<void(const std::string&)>& say) {
  for (const fs::path& path : checkpoints(path_)) {
    try {
      return decode_checkpoint(read_file(path, kMaxCheckpointBytes), path.string());
    } catch (const DamagedCheckpoint& e) {
      say(fmt::format("{}; going back to the one before it", e.what()));
      std::error_code error;
      fs::rename(path, path.string() + ".damaged", error);
    }
  }
  return std::nullopt;
}

std::optional<Checkpoint> newest_checkpoint(const fs::path& run) {
  for (const fs::path& path : checkpoints(run)) {
    try {
      return decode_checkpoint(read_file(path, kMaxCheckpointBytes), path.string());
    } catch (const DamagedCheckpoint&) {  // the one before it
    } catch (const Error&) {
      if (fs::exists(path)) throw;        // else it was replaced meanwhile
    }
  }
  return std::nullopt;
}

void RunFolder::save(const Checkpoint& checkpoint, int64_t order, const std::vector<std::string>& classes) {
  make_folders(path_ / "checkpoint");
  const fs::path newest = path_ / "checkpoint" / fmt::format("step-{:09}.ckpt", order);
  const std::vector<fs::path> before = checkpoints(path_);
  try {
    write_file(newest, encode_checkpoint(checkpoint));
    derive(checkpoint, classes);
  } catch (const Error& e) {  // a full disk; what was there before is as it was
    if (before.empty()) throw;
    fail("run", "not saved: {}. The last checkpoint is sound: --resume {} goes on from it", e.what(), path_.string());
  }
  // Kept: this one and the newest before it. Later ones are of a future that is being computed again.
  size_t kept = 1;
  for (const fs::path& path : before) {
    if (path == newest || (path < newest && kept++ < kKept)) continue;
    std::error_code error;
    fs::remove(path, error);
  }
}

void RunFolder::derive(const Checkpoint& checkpoint, const std::vector<std::string>& classes) const {
  if (!checkpoint.best_model.empty()) write_if_changed(model_path(path_), checkpoint.best_model);
  const std::string csv = history_csv(checkpoint.history, classes);
  write_if_changed(path_ / "history.csv", std::as_bytes(std::span(csv)));
}

bool is_run(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path / "config.json", error);
}

Json read_config(const fs::path& run) {
  if (!is_run(run)) fail("run", "{}: no run there (config.json is missing)", run.string());
  const std::vector<std::byte> bytes = read_file(run / "config.json", kMaxConfigBytes);
  try {
    Json config = Json::parse(reinterpret_cast<const char*>(bytes.data()), reinterpret_cast<const char*>(bytes.data()) + bytes.size());
    if (!config.is_object()) fail("run", "{}: got {}, expected an object. Fix: the file is damaged", (run / "config.json").string(), config.type_name());
    return config;
  } catch (const nlohmann::json::exception& e) {
    fail("run", "{}: {}", (run / "config.json").string(), e.what());
  }
}

fs::path model_path(const fs::path& run) { return run / "model.safetensors"; }

fs::path newest_run(const fs::path& root) {
  fs::path newest;
  fs::file_time_type time = fs::file_time_type::min();
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(root, error)) {
    const fs::file_time_type written = fs::last_write_time(model_path(entry.path()), error);
    if (error || !is_run(entry.path()) || written < time) continue;
    newest = entry.path();
    time = written;
  }
  return newest;
}

}  // namespace vkfer
