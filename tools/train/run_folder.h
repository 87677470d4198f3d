#pragma once
// The folder of one training run:
//
//   config.json         every setting, the data, the device and driver, the version: written once, first
//   history.csv         one row an epoch
//   model.safetensors   the weights that were best on validation; equal runs give equal bytes
//   checkpoint/         the newest two checkpoints, step-<number>.ckpt
//   examples/           some validation pictures, of synthetic data only
//   .lock               held while a process writes the run
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tools/train/checkpoint.h"
#include "tools/train/folder_lock.h"

namespace vkfer {

class RunFolder {
 public:
  // A new run: `path`, or the next free runs/N when it is empty. Fails when `path` holds anything but the leftovers of
  // a run that never started.
  static RunFolder create(const std::filesystem::path& path);
  // An existing run, to go on with it. Fails when another process writes it.
  static RunFolder open(const std::filesystem::path& path);
  const std::filesystem::path& path() const { return path_; }
  void write_config(const Json&);

  // The newest checkpoint that is sound; `say` hears of those that are not, and they are renamed to *.damaged. Empty
  // when there is none.
  std::optional<Checkpoint> load(const std::function<void(const std::string&)>& say);
  // The checkpoint first; then history.csv and model.safetensors are brought in line with it.
  void save(const Checkpoint&, int64_t order, const std::vector<std::string>& classes);
  // history.csv and model.safetensors as the checkpoint has them; files that already are stay untouched.
  void derive(const Checkpoint&, const std::vector<std::string>& classes) const;

 private:
  RunFolder(std::filesystem::path path, FolderLock lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::filesystem::path path_;
  FolderLock lock_;
};

// The newest checkpoint of a run that is sound, only read: whoever writes the run may go on.
std::optional<Checkpoint> newest_checkpoint(const std::filesystem::path& run);

// Makes the next free runs/N.
std::filesystem::path next_run_folder(const std::filesystem::path& root = "runs");

// True when `path` is a run that was started.
bool is_run(const std::filesystem::path& path);
Json read_config(const std::filesystem::path& run);  // fails naming what is wrong
std::filesystem::path model_path(const std::filesystem::path& run);

// The run below `root` whose model was written last; empty when there is none.
std::filesystem::path newest_run(const std::filesystem::path& root = "runs");

}  // namespace vkfer
