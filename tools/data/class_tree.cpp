#include "tools/data/class_tree.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "runtime/error.h"
#include "tools/data/sources.h"

namespace vkfer {
namespace {

struct Node {
  std::vector<std::string_view> parts;
  const TreePath* from;
};

std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    if (slash > 0) parts.push_back(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return parts;
}

bool has_image_suffix(std::string_view name) {
  constexpr std::array<std::string_view, 12> kSuffixes{"jpg", "jpeg", "png", "bmp", "gif", "tga",
                                                       "pgm", "ppm",  "pnm", "tif", "tiff", "webp"};
  std::string suffix(name.substr(std::min(name.rfind('.') + 1, name.size())));
  std::ranges::transform(suffix, suffix.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::ranges::find(kSuffixes, suffix) != kSuffixes.end();
}

bool names_split(std::string_view part) {
  const Split split = split_from_name(part);
  return split == Split::train || split == Split::val || split == Split::test;
}

// archive/fer2013/train/... -> train/...: as long as everything lies in one folder that is neither split nor class.
void strip_outer_folders(std::vector<Node>& nodes) {
  while (!nodes.empty()) {
    const std::string_view outer = nodes[0].parts[0];
    const bool alone = std::ranges::all_of(nodes, [&](const Node& n) {
      return n.parts[0] == outer && (n.parts.size() > 1 || n.from->folder);
    });
    const bool has_classes = std::ranges::any_of(nodes, [](const Node& n) { return n.parts.size() > 2; });
    if (!alone || !has_classes || names_split(outer)) return;
    for (Node& node : nodes) node.parts.erase(node.parts.begin());
    std::erase_if(nodes, [](const Node& n) { return n.parts.empty(); });
  }
}

// FER2013's own split, when every file name carries it and some are held out (train/ alone is data to be split).
bool assign_official_split(std::vector<Sample>& samples) {
  const auto prefix = [](const Sample& s) {
    return fer_prefix_split(std::string_view(s.id).substr(s.id.rfind('/') + 1));
  };
  bool held_out = false;
  for (const Sample& sample : samples) {
    const Split split = prefix(sample);
    if (split == Split::unassigned) return false;
    held_out |= split != Split::train;
  }
  if (!held_out) return false;
  for (Sample& sample : samples) sample.split = prefix(sample);
  return true;
}

void check_classes(std::string_view where, const ClassTree& tree) {
  if (tree.classes.size() < 2)
    fail("class folders",
         "'{}' holds {} class folders, expected 2 or more: <class>/*.jpg or train|val|test/<class>/*.jpg. Fix: name the "
         "folder above the classes",
         where, tree.classes.size());
  std::vector<size_t> count(tree.classes.size()), training(tree.classes.size());
  for (const Sample& sample : tree.samples) {
    ++count[sample.label];
    training[sample.label] += sample.split == Split::train;
  }
  const bool trains = std::ranges::any_of(training, [](size_t n) { return n > 0; });
  for (size_t c = 0; c < tree.classes.size(); ++c) {
    if (count[c] == 0)
      fail("class folders", "'{}': class '{}' has no image. Fix: remove the folder or fill it", where, tree.classes[c]);
    if (trains && training[c] == 0)
      fail("class folders", "'{}': class '{}' has no training image. Fix: add some, or remove it from val and test", where,
           tree.classes[c]);
  }
}

}  // namespace

bool is_ignored_name(std::string_view part) {
  return part.starts_with('.') || part == "__MACOSX" || part == "Thumbs.db" || part == "desktop.ini";
}

Split fer_prefix_split(std::string_view file) {
  if (file.starts_with("Training_")) return Split::train;
  if (file.starts_with("PublicTest_")) return Split::public_test;
  if (file.starts_with("PrivateTest_")) return Split::private_test;
  return Split::unassigned;
}

ClassTree read_class_tree(std::string_view where, std::vector<TreePath> paths) {
  std::ranges::sort(paths, {}, &TreePath::path);
  std::vector<Node> nodes;
  for (const TreePath& path : paths) {
    Node node{parts_of(path.path), &path};
    if (!node.parts.empty() && std::ranges::none_of(node.parts, is_ignored_name)) nodes.push_back(std::move(node));
  }
  strip_outer_folders(nodes);
  const auto is_split_folder = [](const Node& n) { return names_split(n.parts[0]) && (n.from->folder || n.parts.size() > 1); };
  const bool split_layout = std::ranges::any_of(nodes, is_split_folder);
  const size_t depth = split_layout ? 1 : 0;  // of the class folder in a path

  ClassTree tree;
  std::set<std::string_view> names, outside;
  std::vector<std::pair<Sample, std::string_view>> found;
  for (const Node& node : nodes) {
    if (split_layout && !is_split_folder(node)) {
      outside.insert(node.parts[0]);
      continue;
    }
    if (node.from->folder) {
      if (node.parts.size() == depth + 1) names.insert(node.parts[depth]);
      continue;
    }
    if (node.parts.size() < depth + 2) {
      if (has_image_suffix(node.parts.back()))
        fail("class folders", "'{}': image '{}' lies in no class folder. Fix: move it into the folder of its class", where,
             node.from->path);
      outside.insert(node.parts.back());
      continue;
    }
    Sample sample;
    sample.id = node.from->path;
    sample.entry = node.from->entry;
    if (split_layout) sample.split = split_from_name(node.parts[0]);
    names.insert(node.parts[depth]);
    found.emplace_back(std::move(sample), node.parts[depth]);
  }
  for (const std::string_view name : names) tree.classes.emplace_back(name);
  for (auto& [sample, name] : found) {
    sample.label = static_cast<int>(std::ranges::lower_bound(tree.classes, name) - tree.classes.begin());
    tree.samples.push_back(std::move(sample));
  }
  assign_official_split(tree.samples);
  check_classes(where, tree);
  for (const std::string_view name : outside)
    tree.warnings.push_back(fmt::format("'{}' in {} is no part of the data and was left out", name, where));
  return tree;
}

}  // namespace vkfer
