#pragma once
// Ctrl-C and its like: the first asks for an orderly end, the second ends at once.

namespace vkfer {

// While it lives, SIGINT, SIGTERM and SIGHUP set requested() the first time and end the process the second time.
class InterruptGuard {
 public:
  InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  ~InterruptGuard();
  static bool requested();
};

}  // namespace vkfer
