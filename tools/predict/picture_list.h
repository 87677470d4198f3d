#pragma once
// Which pictures a person names: files, folders with all that is in them, patterns, lists of names, "-" for one on the standard input.
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vkfer {

inline constexpr std::string_view kStandardInput = "-";

struct ListedPicture {
  std::string name;      // a path, or "-"
  std::string problem;   // why there is nothing to read, in words, with the name: it is not there, a folder may not be listed
};

// In the order of the arguments:
//   a folder    every picture in it and below, by name: what ends as a picture does (.jpg, .png, ...), without hidden ones and links to folders
//   * ? []      where nothing has the name itself: what the pattern matches, by name
//   -           a picture on the standard input; only once
//   else        a file
// An argument that names nothing is listed with its problem, so that the others can be done.
std::vector<ListedPicture> list_pictures(std::span<const std::string> arguments);

// The lines of a file, or of the standard input for "-": names of files and folders, taken as they are. Empty lines are left out. Fails for
// files that are no lists of names.
std::vector<std::string> read_name_list(const std::string& where);
// The same of such names: no patterns.
std::vector<ListedPicture> list_named(std::span<const std::string> names);

// By how it ends: .jpg, .png, ... in any case.
bool is_picture_name(const std::filesystem::path&);

// A file's name as a terminal may be shown it: control characters, which could be escape sequences, become '?'.
std::string shown_name(std::string_view name);

}  // namespace vkfer
