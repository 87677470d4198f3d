// Class folders on disk.
#include "runtime/error.h"
#include "tools/data/class_tree.h"
#include "tools/data/sources.h"

namespace vkfer {

namespace fs = std::filesystem;

namespace {

constexpr int kMaxDepth = 8;

std::vector<TreePath> list_folder(const fs::path& root) {
  std::vector<TreePath> paths;
  std::error_code code;
  auto entry = fs::recursive_directory_iterator(root, fs::directory_options::follow_directory_symlink, code);
  for (; !code && entry != fs::recursive_directory_iterator(); entry.increment(code)) {
    if (entry.depth() > kMaxDepth)
      fail("class folders", "'{}' is nested deeper than {} levels. Fix: look for a link that leads back",
           entry->path().string(), kMaxDepth);
    std::error_code ignored;
    if (entry->is_directory(ignored))
      paths.push_back({entry->path().lexically_relative(root).generic_string(), true, 0});
    else
      paths.push_back({entry->path().lexically_relative(root).generic_string(), false, 0});
  }
  if (code) fail("class folders", "'{}' cannot be listed: {}. Fix: check its permissions", root.string(), code.message());
  return paths;
}

}  // namespace

DatasetContents open_folder(const fs::path& path, const DatasetOptions&) {
  ClassTree tree = read_class_tree(path.string(), list_folder(path));
  DatasetContents contents;
  contents.classes = std::move(tree.classes);
  contents.samples = std::move(tree.samples);
  contents.warnings = std::move(tree.warnings);
  contents.decode = [path](const Sample& sample) { return read_image(path / sample.id); };
  contents.file = [path](const Sample& sample) { return ImageFile{path / sample.id}; };
  return contents;
}

}  // namespace vkfer
