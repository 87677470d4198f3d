// RFC 9112. Where it lets a server choose between refusing and guessing, this one refuses.
#include "tools/serve/http.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace vkfer {
namespace {

constexpr size_t kMaxHeaders = 100, kMaxTarget = 2000;

// Nothing of the page may come from elsewhere, be shown inside another page, or be kept. Images are drawn from what the visitor chose.
constexpr std::string_view kSecurityHeaders =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Cache-Control: no-store\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Permissions-Policy: camera=(self), microphone=(), geolocation=()\r\n";

std::string_view reason(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
  }
}

bool is_token(std::string_view text) {
  const auto fits = [](unsigned char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || std::string_view("!#$%&'*+-.^_`|~").find(char(c)) != std::string_view::npos; };
  return !text.empty() && std::all_of(text.begin(), text.end(), fits);
}

bool is_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c == '\t' || (c >= 0x20 && c != 0x7f); });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Is `token` one of the words of a list such as Connection's?
bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    if (lower_case(trimmed(list.substr(0, comma))) == word) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

// "POST /api/infer?detect=1 HTTP/1.1"; true for 1.1.
bool read_request_line(std::string_view line, HttpRequest& request) {
  const size_t first = line.find(' '), last = line.rfind(' ');
  if (first == line.npos || first == last) throw HttpRefusal(400, "the first line is not that of a request: expected METHOD PATH HTTP/1.1");
  const std::string_view method = line.substr(0, first), target = line.substr(first + 1, last - first - 1), version = line.substr(last + 1);
  if (!is_token(method)) throw HttpRefusal(400, "the first line does not begin with a method: expected GET or POST");
  if (!version.starts_with("HTTP/")) throw HttpRefusal(400, "the first line does not end with HTTP/1.1");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") throw HttpRefusal(505, "this version of HTTP is not spoken here: expected HTTP/1.1");
  if (target.size() > kMaxTarget) throw HttpRefusal(414, fmt::format("the path has {} characters, expected at most {}", target.size(), kMaxTarget));
  if (!target.starts_with('/') || !std::all_of(target.begin(), target.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; }))
    throw HttpRefusal(400, "the first line names no path: expected one that begins with / and has neither blanks nor control characters");
  const size_t question = std::min(target.find('?'), target.size());
  request.method = method;
  request.path = target.substr(0, question);
  request.query = target.substr(std::min(question + 1, target.size()));
  return version == "HTTP/1.1";
}

void read_header_line(std::string_view line, HttpRequest& request) {
  const size_t colon = line.find(':');
  if (colon == line.npos || !is_token(line.substr(0, colon)) || !is_value(line.substr(colon + 1)))
    throw HttpRefusal(400, "a line of the head is not 'Name: value'");
  if (request.headers.size() == kMaxHeaders) throw HttpRefusal(431, fmt::format("more than {} lines in the head", kMaxHeaders));
  request.headers.emplace_back(lower_case(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
}

size_t count_of(const HttpRequest& request, std::string_view name) {
  return size_t(std::count_if(request.headers.begin(), request.headers.end(), [&](const auto& h) { return h.first == name; }));
}

size_t declared_length(const HttpRequest& request) {
  // Two ways to say where a body ends are one too many: what is behind it could be taken for a request of its own.
  if (count_of(request, "transfer-encoding")) throw HttpRefusal(411, "a body in chunks is not taken. Fix: send it whole, with Content-Length");
  const size_t declared = count_of(request, "content-length");
  if (declared > 1) throw HttpRefusal(400, "Content-Length is there twice");
  if (declared == 0) {
    if (request.method == "POST") throw HttpRefusal(411, "Content-Length is missing. Fix: send the body whole, with its length");
    return 0;
  }
  const std::string_view text = request.header("content-length");
  size_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error == std::errc::result_out_of_range) throw HttpRefusal(413, "the body is too large");
  if (error != std::errc() || end != text.data() + text.size()) throw HttpRefusal(400, "Content-Length is not a number");
  return length;
}

void finish_head(HttpHead& head, bool is_1_1) {
  const HttpRequest& r = head.request;
  if (count_of(r, "host") > 1 || (is_1_1 && r.header("host").empty())) throw HttpRefusal(400, "the head names no Host, or several");
  head.body_bytes = declared_length(r);
  head.keep_alive = is_1_1 && !has_word(r.header("connection"), "close");
  if (const std::string_view expect = r.header("expect"); !expect.empty()) {
    if (lower_case(expect) != "100-continue") throw HttpRefusal(417, "Expect asks for what is not known here");
    head.expects_continue = is_1_1;
  }
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return lower;
}

std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [n, value] : headers)
    if (n == name) return value;
  return {};
}

HttpResponse HttpRefusal::response() const {
  return {.status = status, .body = nlohmann::ordered_json{{"error", what()}}.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n", .headers = headers};
}

std::optional<HttpHead> parse_head(std::string_view bytes, size_t most) {
  HttpHead head;
  bool is_1_1 = true;
  if (!bytes.empty() && (bytes[0] < 'A' || bytes[0] > 'Z')) throw HttpRefusal(400, "this is not a request of HTTP");  // nor worth waiting for more
  for (size_t at = 0, lines = 0;; ++lines) {
    const size_t end = bytes.find('\n', at);
    if (std::min(end, bytes.size()) >= most) throw HttpRefusal(431, fmt::format("the head has more than {} bytes", most));
    if (end == bytes.npos) return std::nullopt;
    if (end == at || bytes[end - 1] != '\r') throw HttpRefusal(400, "a line of the head does not end with CR LF");
    const std::string_view line = bytes.substr(at, end - 1 - at);
    at = end + 1;
    if (lines == 0) {
      is_1_1 = read_request_line(line, head.request);
    } else if (!line.empty()) {
      read_header_line(line, head.request);
    } else {
      head.bytes = at;
      finish_head(head, is_1_1);
      return head;
    }
  }
}

std::string http_bytes(const HttpResponse& response, bool keep_alive, bool without_body) {
  std::string bytes = fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: {}\r\n{}", response.status, reason(response.status), response.type,
                                  response.body.size(), keep_alive ? "keep-alive" : "close", kSecurityHeaders);
  for (const auto& [name, value] : response.headers) bytes += fmt::format("{}: {}\r\n", name, value);
  bytes += "\r\n";
  return without_body ? bytes : bytes + response.body;
}

}  // namespace vkfer
