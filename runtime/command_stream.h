#pragma once
// Records launches once and replays them any number of times. Barriers are derived from what each command reads and
// writes, never written by hand. Not thread-safe; different streams may be used from different threads, and run in the
// order of submission. Every Buffer and Kernel that was recorded must outlive the stream.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/buffer.h"
#include "runtime/kernel.h"

namespace vkfer {

struct StreamState;

struct Timing {
  std::string label;
  double milliseconds = 0;  // since the previous mark, or since the start for the first
};

class CommandStream {
 public:
  explicit CommandStream(std::shared_ptr<DeviceState>);
  CommandStream(CommandStream&&) noexcept;
  CommandStream& operator=(CommandStream&&) noexcept;
  ~CommandStream();  // waits for work in flight

  // Region i is bound to binding number i, as storage or as texels: the kernel decides. Regions for bindings the kernel
  // no longer has are ignored and may be empty. Throws an Error when a limit of the device or of the kernel is broken.
  void dispatch(const Kernel&, std::span<const Region> bindings, std::span<const std::byte> push,
                std::array<uint32_t, 3> groups);
  void copy(Region from, Region to);      // equal bytes, no overlap
  void fill(Region, uint32_t word);       // offset and bytes are multiples of 4
  void mark(std::string_view label);      // a timestamp, after all commands so far
  void cut();                             // ends a submission here: bounds the time of one, for drivers with a watchdog
  void finish();                          // ends recording

  void submit();                          // all submissions, in order; waits first when the last replay still runs
  void wait();                            // until the last submit() is done; throws DeviceLost and the like
  std::vector<Timing> timings();          // after wait(); empty when the device has no timestamps

  size_t dispatches() const;   // recorded
  size_t barriers() const;     // derived from hazards; the one at the start of each submission is not counted
  size_t submissions() const;  // per replay

 private:
  std::unique_ptr<StreamState> state_;
};

}  // namespace vkfer
