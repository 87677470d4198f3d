#include "tools/predict/picture_list.h"

#include <glob.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iostream>
#include <memory>

#include "runtime/error.h"

namespace vkfer {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostNameBytes = 4096;   // of a path on Linux

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

// Appends what `folder` holds; the number of pictures that were found is told by the length.
void list_folder(const fs::path& folder, std::vector<ListedPicture>& pictures) {
  std::error_code error;
  std::vector<fs::directory_entry> entries;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) entries.push_back(*it);
  if (error) pictures.push_back({folder.string(), fmt::format("[infer] the folder '{}' cannot be listed: {}", folder.string(), error.message())});
  std::ranges::sort(entries, {}, [](const fs::directory_entry& e) { return e.path().native(); });
  for (const fs::directory_entry& entry : entries) {
    if (is_hidden(entry.path())) continue;
    if (entry.is_directory(error) && !entry.is_symlink(error)) list_folder(entry.path(), pictures);
    else if (is_picture_name(entry.path())) pictures.push_back({entry.path().string(), {}});
  }
}

// A file or a folder that is there; false: there is nothing of that name.
bool list_path(const std::string& name, std::vector<ListedPicture>& pictures) {
  std::error_code error;
  const fs::file_status status = fs::status(name, error);
  if (fs::is_directory(status)) {
    const size_t before = pictures.size();
    list_folder(name, pictures);
    constexpr const char* kEmpty = "[infer] the folder '{}' holds no picture: nothing that ends in .jpg, .png, .bmp, .gif, .pgm, .ppm or .tga";
    if (pictures.size() == before) pictures.push_back({name, fmt::format(kEmpty, name)});
    return true;
  }
  if (!fs::exists(status)) return false;
  pictures.push_back({name, {}});
  return true;
}

bool list_pattern(const std::string& pattern, std::vector<ListedPicture>& pictures) {
  if (pattern.find_first_of("*?[") == std::string::npos) return false;
  glob_t matches{};
  const int status = ::glob(pattern.c_str(), 0, nullptr, &matches);
  const std::unique_ptr<glob_t, void (*)(glob_t*)> owned(&matches, ::globfree);
  if (status != 0) return false;
  for (size_t i = 0; i < matches.gl_pathc; ++i) list_path(matches.gl_pathv[i], pictures);
  return true;
}

std::string missing(const std::string& name, bool patterns) {
  if (patterns && name.find_first_of("*?[") != std::string::npos) return fmt::format("[infer] nothing matches '{}'. Fix: check the pattern", name);
  return fmt::format("[infer] '{}' does not exist. Fix: check the path", name);
}

}  // namespace

bool is_picture_name(const fs::path& path) {
  static constexpr std::array kEndings = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".pgm", ".ppm", ".pnm", ".tga", ".gif"};
  std::string ending = path.extension().string();
  std::ranges::transform(ending, ending.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  return std::ranges::find(kEndings, ending) != kEndings.end();
}

std::vector<ListedPicture> list_pictures(std::span<const std::string> arguments) {
  std::vector<ListedPicture> pictures;
  for (const std::string& argument : arguments) {
    if (argument == kStandardInput) {
      if (std::ranges::count(arguments, kStandardInput) > 1) fail("usage", "'-' stands twice: the standard input holds one picture. Fix: leave one out");
      pictures.push_back({argument, {}});
    } else if (!list_path(argument, pictures) && !list_pattern(argument, pictures)) {
      pictures.push_back({argument, missing(argument, true)});
    }
  }
  return pictures;
}

std::vector<ListedPicture> list_named(std::span<const std::string> names) {
  std::vector<ListedPicture> pictures;
  for (const std::string& name : names)
    if (!list_path(name, pictures)) pictures.push_back({name, missing(name, false)});
  return pictures;
}

std::vector<std::string> read_name_list(const std::string& where) {
  std::ifstream file;
  if (where != kStandardInput) {
    std::error_code error;
    if (fs::is_directory(where, error)) fail("--list", "{} is a folder, expected a file with a name on each line", where);
    file.open(where, std::ios::binary);
    if (!file) fail("--list", "{} cannot be opened. Fix: check the path and its permissions", where);
  }
  std::istream& lines = where == kStandardInput ? std::cin : file;
  std::vector<std::string> names;
  size_t number = 1;
  for (std::string line; std::getline(lines, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.find('\0') != std::string::npos || line.size() > kMostNameBytes)
      fail("--list", "{}:{}: got binary data or a line of more than {} bytes, expected the name of a picture", where, number, kMostNameBytes);
    if (!line.empty()) names.push_back(line);
  }
  return names;
}

std::string shown_name(std::string_view name) {
  std::string shown(name);
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
  return shown;
}

}  // namespace vkfer
