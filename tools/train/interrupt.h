#pragma once
// Ctrl-C and its like: the first asks for an orderly end, the second ends at once.

namespace vkfer {

// While one lives, SIGINT, SIGTERM and SIGHUP set requested() the first time and end the process the second time. There may be several, in
// any threads: the first that is made begins it, the last that goes ends it.
class InterruptGuard {
 public:
  InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  ~InterruptGuard();
  static bool requested();
};

}  // namespace vkfer
