#pragma once
// Curves as TensorBoard reads them: TFRecords (https://www.tensorflow.org/tutorials/load_data/tfrecord) of Event messages
// (tensorflow/core/util/event.proto), written by hand.
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tools/data/output_file.h"
#include "tools/train/checkpoint.h"

namespace vkfer {

using Scalars = std::vector<std::pair<std::string, double>>;

// Where a run is: steps since its beginning, and epochs that are finished. A checkpoint between the last step of an epoch and its
// validation has the one and not yet the other.
struct LoggedUntil {
  int64_t step = -1;
  int epoch = -1;
};

class TensorBoardLog {
 public:
  // A new file in `folder`, for a run that begins ({}: fails when curves are there already) or goes on from a checkpoint: what
  // earlier processes wrote beyond it is cut off first, as it is computed again, and so is a record cut short.
  TensorBoardLog(const std::filesystem::path& folder, LoggedUntil from);

  const std::filesystem::path& path() const { return path_; }
  const LoggedUntil& until() const { return until_; }  // what was there, after the cut
  void write(int64_t step, const Scalars& scalars);    // not finite ones are left out

 private:
  std::filesystem::path path_;
  LoggedUntil until_;
  OutputFile file_;
};

// loss/train, loss/val, accuracy/train, ...
Scalars epoch_scalars(const EpochRecord&);

struct LoggedStep {
  int64_t step = 0;
  Scalars scalars;
};
// The scalars of a file, up to its end or the first damage; `good_bytes`: where that is.
std::vector<LoggedStep> read_tensorboard(const std::filesystem::path&, uint64_t* good_bytes = nullptr);

uint32_t crc32c(std::span<const std::byte>);  // Castagnoli's, as TFRecords have it before masking

}  // namespace vkfer
