#pragma once
// The names of ImageNet's 1000 classes (ILSVRC 2012), in the order in which published networks answer them: imagenet_names.txt.
#include <string>
#include <string_view>
#include <vector>

namespace vkfer {

constexpr int kImagenetClasses = 1000;

std::string_view imagenet_names_text();   // generated; one name a line

inline std::vector<std::string> imagenet_names() {
  std::vector<std::string> names;
  const std::string_view text = imagenet_names_text();
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    names.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return names;
}

}  // namespace vkfer
