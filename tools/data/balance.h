#pragma once
// Two data sets as one, and classes made equally large by altered copies of their training pictures.
#include "tools/data/dataset.h"

namespace vkfer {

struct BalanceOptions {
  size_t per_class = 0;  // training images of each class; larger classes stay as they are
  size_t total = 0;      // or: training images in all, the smallest classes filled up to one level
  bool cut = false;      // leave out what larger classes have too many
  uint64_t seed = 1;     // which pictures are copied, and which are left out
};

// How many training images each class shall have, from how many it has. With `total` the sum is exact: the classes that come first
// get one more where the level is no whole number.
std::vector<size_t> balanced_counts(const std::vector<size_t>& counts, const BalanceOptions&);

// A picture altered: the `version`th copy (1, 2, ...) of the picture whose id hashes to `key`. Thread safe.
using Alter = std::function<Image(const Image&, uint32_t version, uint32_t key)>;

// Training images of the classes up to balanced_counts(): every picture of a class is copied as often as any other, but for the
// last round, where the seed decides. A copy is "<id>~<version>" and keeps class, valence, arousal and weight. Other splits, and
// images without a class, stay as they are.
DatasetContents balanced(DatasetContents, const BalanceOptions&, const Alter&);

// `more`'s samples, all as training images, behind those of `data`; `labels` has for each of more's classes its number in `data`.
// Ids become "added/<id>".
DatasetContents with_added(DatasetContents data, DatasetContents more, const std::vector<int>& labels);

}  // namespace vkfer
