#pragma once
// The report: one HTML file that is complete, from the JSON of its runs.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace vkfer {

using Json = nlohmann::ordered_json;

// What the file is made of, as page.html says; built into the tool.
struct PageParts {
  std::string_view html, common_css, css, common, script, charts;
};
PageParts page_parts();

// `data`: {"runs": [run_report()...], ...}, see page.js. Whatever the texts in it are, they stay texts.
std::string report_html(const Json& data);

}  // namespace vkfer
