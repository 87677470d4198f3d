#include "models/weights/bytes.h"

namespace vkfer {

std::string shown(std::string_view name) {
  std::string out;
  for (unsigned char c : name.substr(0, 80)) out += c >= 32 && c < 127 ? char(c) : '?';
  return out;
}

std::string_view ByteReader::line() {
  const std::string_view rest = as_text(bytes_.subspan(size_t(at_)));
  const size_t end = rest.find('\n');
  if (end == rest.npos) damaged("got a line without an end");
  at_ += end + 1;
  return rest.substr(0, end);
}

}  // namespace vkfer
