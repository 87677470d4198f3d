#include "models/weights/base64.h"

#include <array>
#include <cstdint>

namespace vkfer {
namespace {

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::array<int8_t, 256> values() {
  std::array<int8_t, 256> v;
  v.fill(-1);
  for (size_t i = 0; i < kDigits.size(); ++i) v[uint8_t(kDigits[i])] = int8_t(i);
  return v;
}

}  // namespace

std::string to_base64(std::string_view bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < n ? uint8_t(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) text += k <= n ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  static const std::array<int8_t, 256> kValues = values();
  if (text.size() % 4) return {};
  std::string bytes;
  for (size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    const size_t n = last && text[i + 3] == '=' ? text[i + 2] == '=' ? 1 : 2 : 3;
    uint32_t group = 0;
    for (size_t k = 0; k < 4; ++k) {
      const int8_t v = k <= n ? kValues[uint8_t(text[i + k])] : 0;
      if (v < 0) return {};
      group = group << 6 | uint32_t(v);
    }
    for (size_t k = 0; k < n; ++k) bytes += char(group >> (16 - 8 * k) & 255);
  }
  if (to_base64(bytes) != text) return {};  // bits beyond the end
  return bytes;
}

}  // namespace vkfer
