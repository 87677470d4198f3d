#pragma once
// What `vkfer data` does is one value for each action: its file in this folder has its functions and, at the bottom, the DataAction.

#include "tools/cli/verb.h"

namespace vkfer {

struct DataAction {
  std::string_view name;
  std::vector<std::string_view> (*arguments)();  // beside those that every action takes; a function, as the verb asks before main()
  void (*run)(Arguments&, Console&);             // the data is in Arguments::data
};

// Shared by actions:

// What each option of augmentation is called.
std::vector<std::string_view> augmentation_arguments();
// Writes to --out in the format that --format or its name says; tells what was lost and what was written, and answers.
void write_data(const Arguments&, Console&, const DatasetContents&);

}  // namespace vkfer
