#include "tools/serve/page.h"

#include <array>

namespace vkfer {

std::span<const ServedFile> served_files() {
  static constexpr std::string_view kHtml = "text/html; charset=utf-8", kCss = "text/css; charset=utf-8", kScript = "text/javascript; charset=utf-8";
  static const ServedParts parts = served_parts();
  static const std::array files{ServedFile{"/", kHtml, parts.html}, ServedFile{"/common.css", kCss, parts.common_css}, ServedFile{"/page.css", kCss, parts.css},
                                ServedFile{"/common.js", kScript, parts.common}, ServedFile{"/page.js", kScript, parts.script}, ServedFile{"/charts.js", kScript, parts.charts}};
  return files;
}

}  // namespace vkfer
