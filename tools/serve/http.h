#pragma once
// HTTP/1.1 as far as a local server needs it: strict, and without a socket, so that hostile bytes are tried without one.
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vkfer {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method, path, query;   // "POST", "/api/infer", "detect=1": as they were sent, nothing is decoded
  HttpHeaders headers;               // names in lower case
  std::string body;
  // Empty when it is absent. `name` in lower case.
  std::string_view header(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  HttpHeaders headers = {};          // beside type, length and the security headers, which every response has
};

// A request that is answered with an error. `what` is for people: what was got, and how to do better.
struct HttpRefusal : std::runtime_error {
  int status;
  HttpHeaders headers;
  HttpRefusal(int status, const std::string& what, HttpHeaders headers = {}) : std::runtime_error(what), status(status), headers(std::move(headers)) {}
  HttpResponse response() const;     // {"error": what}
};

struct HttpHead {
  HttpRequest request;               // without its body
  size_t bytes = 0;                  // of the head, the blank line included
  size_t body_bytes = 0;
  bool keep_alive = true;            // the client can take another response on this connection
  bool expects_continue = false;     // it waits for "100 Continue" before it sends the body
};

// The head that `bytes` begin with; nothing as long as its end is not there. Throws HttpRefusal for what is not HTTP/1.0 or 1.1 to the
// letter, is longer than `most`, or has a body whose length is not declared.
std::optional<HttpHead> parse_head(std::string_view bytes, size_t most);

// What goes over the wire. `without_body`: the answer to HEAD.
std::string http_bytes(const HttpResponse&, bool keep_alive, bool without_body);

std::string lower_case(std::string_view);

}  // namespace vkfer
