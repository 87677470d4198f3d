#pragma once
// Bytes as text (RFC 4648, with padding), for metadata that may hold text only.
#include <optional>
#include <string>
#include <string_view>

namespace vkfer {

std::string to_base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);  // nothing unless it is what to_base64() writes

}  // namespace vkfer
