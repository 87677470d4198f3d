#pragma once
// The data that a trained network is judged by, and how its classes are the network's.
#include "tools/cli/console.h"
#include "tools/cli/trained.h"
#include "tools/data/dataset.h"

namespace vkfer {

struct EvaluatedData {
  Dataset dataset;
  std::vector<std::string> classes;   // the network's; empty: it answers valence and arousal alone
  std::vector<int> label_map;         // the network's class of each of the data's, by name
  bool skip_bad = false;
};

// Where the network's run had the same data under another split, or other pictures in it.
void warn_of_other_split(const Trained&, const Dataset&, Console&);
// --data and what goes with it, else the run's own. Fails where the classes are others.
EvaluatedData evaluated_data(const Arguments&, const Trained&, Console&);

}  // namespace vkfer
