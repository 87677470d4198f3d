#pragma once
#include <string>
#include <vector>

namespace vkfer {

// What --classes says: "a,b,c", or a file with one name a line; a line's commas belong to its name. Fails for empty names.
std::vector<std::string> read_class_names(const std::string& where);

}  // namespace vkfer
