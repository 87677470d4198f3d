#pragma once
// How much work one submission holds. Drivers end work that runs for seconds, so it must be bounded; each submission costs
// the host and the device time, so there should be few. Starts from a guess of the device's speed and follows what submissions
// really took. Moves boundaries alone: the launches, and with them every sum, stay as they are.
#include <cstddef>
#include <span>
#include <vector>

namespace vkfer {

class Pacing {
 public:
  static constexpr double kMilliseconds = 60;      // what a submission should take

  Pacing() = default;
  explicit Pacing(std::vector<double> guessed_milliseconds);  // of each node, in order

  // The nodes before which a submission ends.
  const std::vector<size_t>& cuts() const { return cuts_; }

  // What each submission of a run took. True when cuts() has changed: record again. That gets ever rarer, as each change
  // doubles the number of runs until the next, and submissions between a third and twice of kMilliseconds stay as they are.
  bool observe(std::span<const double> milliseconds);

 private:
  std::vector<size_t> cut(double scale) const;
  double guess(size_t count, size_t submission) const;

  std::vector<double> guessed_;
  std::vector<size_t> cuts_;
  double scale_ = 1;                // measured / guessed
  int wait_ = 1, pause_ = 4;        // runs not looked at: now, and after the next change. In the first, drivers compile
  int short_runs_ = 0;              // in a row
};

}  // namespace vkfer
