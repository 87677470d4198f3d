#pragma once
// Where `infer` says what it has to say: the terminal, lines of JSON, a table, annotated pictures.
#include <memory>
#include <vector>

#include "tools/cli/arguments.h"
#include "tools/cli/console.h"
#include "tools/predict/ask.h"
#include "tools/predict/trained.h"

namespace vkfer {

// What is asked, and of how many pictures.
struct InferJob {
  const Arguments& arguments;
  std::vector<std::string> classes;
  bool affect = false;                       // the network answers valence and arousal
  std::vector<ListedPicture> pictures;

  // Of the probabilities that JSON shows: all, unless --top says otherwise.
  size_t json_top() const { return arguments.given("--top") ? size_t(arguments.top) : 0; }
};

class InferOutput {
 public:
  virtual ~InferOutput() = default;
  virtual void take(const AskedPicture&) = 0;   // in order; broken ones, too
};

// Those that the arguments ask for, the terminal's first. `job` and `console` must outlive them. Files are made here.
std::vector<std::unique_ptr<InferOutput>> infer_outputs(const InferJob& job, Console& console);

// Where the network looks at each face, into the folder of --cam.
std::unique_ptr<InferOutput> cam_output(const InferJob& job, Device&, const Trained&);

// Fails for outputs that would be mixed or would take the place of a picture.
void check_infer_outputs(const Arguments&);

}  // namespace vkfer
