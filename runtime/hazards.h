#pragma once
// Which commands must wait for earlier ones: read after write, write after read and write after write on overlapping
// byte ranges. Plain bookkeeping without Vulkan; as in MLX, derived from what each command reads and writes.
#include <cstddef>
#include <span>
#include <vector>

namespace vkfer {

struct Access {
  const void* buffer;  // identity only
  size_t begin, end;   // bytes
  bool read, written;
};

class HazardTracker {
 public:
  // Notes one command. Returns true when it needs a barrier before it; that barrier then covers everything earlier.
  bool command(std::span<const Access> accesses);
  void clear() { pending_.clear(); }  // a barrier was placed for another reason

 private:
  std::vector<Access> pending_;  // since the last barrier
};

}  // namespace vkfer
