#include "tools/data/utf8.h"

#include <nlohmann/json.hpp>

namespace vkfer {

// As strictly as it will be judged when it is written.
bool is_utf8(const std::string& text) {
  try {
    nlohmann::json(text).dump();
    return true;
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

}  // namespace vkfer
