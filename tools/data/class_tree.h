#pragma once
// Class folders as a list of paths, wherever the list comes from (a folder, a zip).
#include <string>
#include <string_view>
#include <vector>

#include "tools/data/dataset.h"

namespace vkfer {

struct TreePath {
  std::string path;  // relative, '/' between the parts, no part empty or ".."
  bool folder = false;
  size_t entry = 0;  // becomes Sample::entry
};

struct ClassTree {
  std::vector<std::string> classes;  // alphabetical
  std::vector<Sample> samples;       // in order of their paths' bytes, which no file system or zip changes
  std::vector<std::string> warnings;
};

// train|val|test/<class>/... or <class>/..., below any number of single outer folders. Hidden files are ignored.
// The split comes from FER2013's file names if all have them, else from the folders, else it stays unassigned.
// Throws when there are no two classes, when one is empty or lacks training images, and for images outside classes.
ClassTree read_class_tree(std::string_view where, std::vector<TreePath> paths);

// What FER2013's file names say: Training_*, PublicTest_*, PrivateTest_*; else unassigned.
Split fer_prefix_split(std::string_view file);
// Hidden files and what systems leave in folders: never a class or an image.
bool is_ignored_name(std::string_view part);

}  // namespace vkfer
