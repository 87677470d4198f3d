#pragma once
// Measures what an op says may be chosen (OpDef::candidates) for one problem. A candidate is timed only after its result
// agreed with that of the `direct` engine: no NaN, within the op's error, nothing written behind an end, the same bits twice.
#include <functional>
#include <string>
#include <vector>

#include "graph/problem.h"
#include "runtime/device.h"
#include "tools/tune/tuning_file.h"

namespace vkfer {

struct Candidate {
  Attrs choice;                    // empty: the defaults
  std::string rejected;            // why it may not be used; empty: it may
  double milliseconds = 0;         // median; 0 when it was rejected
};

struct TunedProblem {
  CountedProblem what;
  std::vector<Candidate> candidates;   // that differ in what they launch; the first is the defaults
  size_t chosen = 0;
  std::string skipped;             // why nothing was measured, or empty
  TunedEntry entry() const;        // of a problem that was not skipped
};

// `profile`: the device's, without tuning.
TunedProblem tune_problem(Device&, const CountedProblem&, const Target& profile, int repeats);

}  // namespace vkfer
