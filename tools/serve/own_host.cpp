#include "tools/serve/own_host.h"

#include <algorithm>

namespace vkfer {
namespace {

// Without its port, which differs where one is forwarded (ssh -L).
std::string_view without_port(std::string_view host) {
  const size_t colon = host.rfind(':');
  const bool is_address_6 = host.ends_with(']');
  return colon == host.npos || is_address_6 ? host : host.substr(0, colon);
}

bool is_name_of_this_machine(std::string_view host) {
  const std::string name = lower_case(without_port(host));
  const bool numbers = std::all_of(name.begin(), name.end(), [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
  return name == "localhost" || name == "[::1]" || (name.starts_with("127.") && numbers);
}

bool is_origin_of(std::string_view origin, std::string_view host) {
  for (const std::string_view scheme : {"http://", "https://"})
    if (origin.starts_with(scheme) && lower_case(origin.substr(scheme.size())) == lower_case(host)) return true;
  return false;
}

}  // namespace

void check_own_host(const HttpRequest& request, bool only_this_machine) {
  const std::string_view host = request.header("host"), origin = request.header("origin");
  if (only_this_machine && !host.empty() && !is_name_of_this_machine(host))
    throw HttpRefusal(403, "Host is not a name of this machine. Fix: open http://localhost with the port, or start with --host to serve others");
  if (request.method == "POST" && !origin.empty() && !is_origin_of(origin, host)) throw HttpRefusal(403, "the request comes from a page of another site");
}

}  // namespace vkfer
