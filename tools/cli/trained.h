#pragma once
// Which trained network a verb is to use: a run, the newest run, or a model's name with a weight file.
#include "tools/cli/arguments.h"
#include "tools/predict/trained.h"

namespace vkfer {

// --run, a run folder in front of `positional` (taken away from it), --weights (with --model), or the newest run.
Trained open_trained(const Arguments&, std::vector<std::string>& positional);

// The run that is meant where no weights are: --run, a run folder in front of `positional` (taken away from it), or the newest run.
// Fails where there is none; a run that has no weights yet may be named.
std::filesystem::path asked_run(const Arguments&, std::vector<std::string>& positional);
// The file of weights that is meant instead; "": none is.
std::string asked_weights(const Arguments&);

// Of activations: --precision, or as the run had it.
inline std::string asked_precision(const Arguments& a) { return a.given("--precision") ? a.precision : ""; }
inline int asked_batch(const Arguments& a) { return a.given("--batch") ? a.batch : 0; }

}  // namespace vkfer
