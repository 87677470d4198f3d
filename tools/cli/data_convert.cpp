#include "tools/cli/data_action.h"

namespace vkfer {
namespace {

// As it is: where the data says nothing of splits, neither does the copy.
void convert_data(Arguments& a, Console& console) {
  DatasetOptions options = dataset_options(a);
  options.complete_split = false;
  const Dataset dataset = open_dataset(a.data, options);
  for (const std::string& warning : dataset.warnings()) console.notice(warning);
  write_data(a, console, dataset.contents());
}

}  // namespace

extern const DataAction convert_action;
const DataAction convert_action{
    .name = "convert",
    .arguments = [] { return std::vector<std::string_view>{"--out", "--format"}; },
    .run = convert_data,
};

}  // namespace vkfer
