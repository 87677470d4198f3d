#pragma once
// Names that go into JSON files must be UTF-8; file systems do not ask that of theirs.
#include <string>

namespace vkfer {

bool is_utf8(const std::string& text);

}  // namespace vkfer
