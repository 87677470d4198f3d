#include "tools/report/report.h"

namespace vkfer {
namespace {

// JSON that cannot end the script element it stands in.
std::string inside_script(const Json& data) {
  const std::string text = data.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) safe += c == '<' ? std::string("\\u003c") : std::string(1, c);
  return safe;
}

}  // namespace

std::string report_html(const Json& data) {
  const PageParts parts = page_parts();
  const std::string json = inside_script(data);
  const std::pair<std::string_view, std::string_view> fields[] = {
      {"@COMMON_STYLE@", parts.common_css}, {"@STYLE@", parts.css}, {"@CHARTS@", parts.charts}, {"@DATA@", json}, {"@COMMON@", parts.common}, {"@SCRIPT@", parts.script}};
  std::string page;
  std::string_view rest = parts.html;
  for (const auto& [name, text] : fields) {  // in the page's order: no field is looked for in another's text
    const size_t at = rest.find(name);
    page.append(rest.substr(0, at)).append(text);
    rest.remove_prefix(at + name.size());
  }
  return page.append(rest);
}

}  // namespace vkfer
