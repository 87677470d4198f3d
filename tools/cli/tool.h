#pragma once
#include <stdexcept>
#include <string>
#include <vector>

namespace vkfer {

// Some of the input was bad and all else was done: exit status 1.
class PartlyDone : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Parses the command line and runs its verb. Throws Error; returns normally for success, help included.
void run_tool(const std::vector<std::string>& arguments);

}  // namespace vkfer
