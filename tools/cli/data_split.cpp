#include <algorithm>
#include <cmath>

#include "runtime/error.h"
#include "tools/cli/data_action.h"
#include "tools/data/csv.h"
#include "tools/data/split.h"

namespace vkfer {
namespace {

// "0.8,0.1,0.1": two or three numbers; of train, val and test.
std::vector<double> numbers_of(const std::string& option, const std::string& text) {
  std::vector<double> numbers;
  for (const std::string_view part : split_at(',', text)) {
    double value = 0;
    if (!parse_number(part, value) || !(value >= 0)) fail(option, "got '{}', expected two or three numbers with commas between: train,val,test", text);
    numbers.push_back(value);
  }
  if (numbers.size() < 2 || numbers.size() > 3) fail(option, "got {} numbers, expected two or three: train,val,test", numbers.size());
  numbers.resize(3);
  return numbers;
}

SplitSizes sizes_of(const Arguments& a, size_t images) {
  if (a.given("--counts")) {
    if (a.given("--fractions")) fail("--counts", "got --fractions, too. Fix: give one of them");
    const std::vector<double> n = numbers_of("--counts", a.counts);
    for (const double value : n)
      if (value != std::floor(value) || value > 1e9) fail("--counts", "got '{}', expected whole numbers", a.counts);
    return {size_t(n[0]), size_t(n[1]), size_t(n[2])};
  }
  const std::vector<double> f = numbers_of("--fractions", a.fractions);
  const double sum = f[0] + f[1] + f[2];
  if (!(sum > 0 && sum <= 1 + 1e-9)) fail("--fractions", "got {}, together {:g}, expected above 0 and at most 1", a.fractions, sum);
  const auto share = [&](double fraction) { return size_t(std::floor(fraction * double(images) + 0.5)); };
  const size_t val = share(f[1]);
  const SplitSizes held{0, val, std::min(share(f[2]), images - val)};   // both may be rounded up
  const size_t rest = images - held.val - held.test;
  return {sum > 1 - 1e-9 ? rest : std::min(rest, share(f[0])), held.val, held.test};
}

void split_data(Arguments& a, Console& console) {
  DatasetOptions options = dataset_options(a);
  options.complete_split = false;
  const Dataset dataset = open_dataset(a.data, options);
  for (const std::string& warning : dataset.warnings()) console.notice(warning);
  DatasetContents data = dataset.contents();
  if (std::ranges::any_of(data.samples, [](const Sample& s) { return s.split != Split::unassigned; }))
    console.print("the splits that {} has are put together, and all {} images split anew", dataset.source(), dataset.size());
  stratify(data.samples, sizes_of(a, data.samples.size()), a.seed);
  const size_t left = std::erase_if(data.samples, [](const Sample& s) { return s.split == Split::unassigned; });
  if (left) console.print("{} images are in no split, and left out", left);
  write_data(a, console, data);
}

}  // namespace

extern const DataAction split_action;
const DataAction split_action{
    .name = "split",
    .arguments = [] { return std::vector<std::string_view>{"--fractions", "--counts", "--out", "--format"}; },
    .run = split_data,
};

}  // namespace vkfer
