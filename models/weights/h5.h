#pragma once
// HDF5 files, as far as weights lie in them: groups of both kinds, datasets of numbers, attributes that are texts.
// https://docs.hdfgroup.org/archive/support/HDF5/doc/H5.format.html is the format. Our own reader, because it must be safe to
// point at any file: every number is checked before it is used, every part of the file belongs to one structure alone (which also
// ends loops), nothing recurses, what is unpacked is bounded, and nothing outside the file is looked at.
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "models/weights/weight_file.h"

namespace vkfer {

using H5Texts = std::map<std::string, std::vector<std::string>>;  // attributes: a text is a list of one

struct H5Contents {
  std::map<std::string, H5Texts> groups;          // by path: "" is the root, then "a", "a/b"
  std::map<std::string, WeightTensor> datasets;   // by path; row-major and little-endian, whatever is stored
  std::vector<std::string> unread;                // datasets whose elements are no numbers
};

bool looks_like_h5(std::span<const std::byte>);
H5Contents read_h5(std::span<const std::byte>, const std::string& source);

}  // namespace vkfer
