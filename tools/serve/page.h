#pragma once
// The page and what it loads, built into the tool.
#include <span>
#include <string_view>

namespace vkfer {

struct ServedParts {
  std::string_view html, common_css, css, common, script, charts;
};
ServedParts served_parts();   // of tools/report/embed.cmake

struct ServedFile {
  std::string_view path, type, text;
};
std::span<const ServedFile> served_files();

}  // namespace vkfer
