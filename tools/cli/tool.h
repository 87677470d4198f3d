#pragma once
#include <string>
#include <vector>

namespace vkfer {

// Parses the command line and runs its verb. Throws Error; returns normally for success, help included.
void run_tool(const std::vector<std::string>& arguments);

}  // namespace vkfer
