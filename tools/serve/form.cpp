// multipart/form-data: RFC 7578, with the parts of RFC 2046.
#include "tools/serve/form.h"

#include <fmt/format.h>

namespace vkfer {
namespace {

constexpr size_t kMaxBoundary = 70, kMaxPartHead = 8192, kMaxName = 200;

[[noreturn]] void refuse_form(std::string_view what) {
  throw HttpRefusal(400, fmt::format("the form cannot be read: {}. Fix: send it as curl -F image=@face.png does", what));
}

// The value of ;name=value or ;name="value" in a header; nothing when it is absent.
std::optional<std::string> parameter(std::string_view header, std::string_view name) {
  size_t at = header.find(';');
  while (at < header.size()) {
    ++at;
    while (at < header.size() && header[at] == ' ') ++at;
    const size_t equals = header.find_first_of("=;", at);
    if (equals == header.npos) return std::nullopt;
    if (header[equals] == ';') {
      at = equals;
      continue;
    }
    const std::string key = lower_case(header.substr(at, equals - at));
    std::string value;
    at = equals + 1;
    if (at < header.size() && header[at] == '"') {
      for (++at; at < header.size() && header[at] != '"'; ++at) {
        if (header[at] == '\\' && at + 1 < header.size()) ++at;
        value += header[at];
      }
      at = header.find(';', at);
    } else {
      const size_t end = std::min(header.find(';', at), header.size());
      value = header.substr(at, end - at);
      at = end;
    }
    if (key == name) return value;
  }
  return std::nullopt;
}

struct PartHead {
  std::string field, file;
};

PartHead read_part_head(std::string_view head) {
  while (!head.empty()) {
    const size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    if (lower_case(line.substr(0, line.find(':'))) != "content-disposition") continue;
    return {parameter(line, "name").value_or(""), parameter(line, "filename").value_or("").substr(0, kMaxName)};
  }
  refuse_form("a part has no Content-Disposition");
}

std::vector<Upload> parts_of(std::string_view body, const std::string& boundary, size_t most) {
  std::vector<Upload> found;
  const std::string first = "--" + boundary, next = "\r\n--" + boundary;
  if (!body.starts_with(first)) refuse_form("it does not begin with its boundary");
  body.remove_prefix(first.size());
  while (!body.starts_with("--")) {
    if (!body.starts_with("\r\n")) refuse_form("a boundary is not followed by a part");
    const size_t blank = body.substr(0, kMaxPartHead).find("\r\n\r\n");
    if (blank == body.npos) refuse_form("the head of a part has no end");
    PartHead head = read_part_head(body.substr(2, blank < 2 ? 0 : blank - 2));
    body.remove_prefix(blank + 4);
    const size_t end = body.find(next);
    if (end == body.npos) refuse_form("its last boundary is missing");
    if (head.field == "image") {
      if (found.size() == most) throw HttpRefusal(413, fmt::format("more than {} pictures in one request. Fix: send them in several", most));
      found.push_back({std::move(head.file), body.substr(0, end)});
    }
    body.remove_prefix(end + next.size());
  }
  if (found.empty()) refuse_form("it has no field called image");
  return found;
}

}  // namespace

std::vector<Upload> uploads_of(const HttpRequest& request, size_t most) {
  const std::string_view header = request.header("content-type");
  const std::string type = lower_case(header.substr(0, header.find_first_of("; ")));
  if (type == "multipart/form-data") {
    const std::optional<std::string> boundary = parameter(header, "boundary");
    if (!boundary || boundary->empty() || boundary->size() > kMaxBoundary) refuse_form("its boundary is missing, or longer than 70 characters");
    return parts_of(request.body, *boundary, most);
  }
  // curl --data-binary says that it sends a form.
  if (!type.empty() && !type.starts_with("image/") && type != "application/octet-stream" && type != "application/x-www-form-urlencoded")
    throw HttpRefusal(415, "the body is neither a picture nor a form. Fix: curl --data-binary @face.png, or curl -F image=@face.png");
  if (request.body.empty()) throw HttpRefusal(400, "the body is empty. Fix: curl --data-binary @face.png");
  return {{"", request.body}};
}

}  // namespace vkfer
