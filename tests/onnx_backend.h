#pragma once
// The test data of ONNX's backends: folders with model.onnx and test_data_set_N/{input,output}_N.pb.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "models/onnx/model.h"
#include "runtime/device.h"

namespace vkfer::test {

// Debian's libonnx-testdata, or VKFER_ONNX_TESTS; empty: not here.
std::filesystem::path onnx_test_data();

enum class Outcome { passed, failed, unsupported };

struct BackendResult {
  std::string suite, name;       // "node", "test_add"
  std::string op;                // whose test it is: that of the last node that the model is named after, or its first
  Outcome outcome = Outcome::unsupported;
  std::string reason;            // "" when passed
};

BackendResult run_backend_test(Device&, const std::filesystem::path& folder);
// Of every suite whose ops are ours to do; `only`: names that contain it.
std::vector<BackendResult> run_backend_tests(Device&, const std::string& only = {});

// passed, failed, unsupported by operator, as docs/onnx.md has it.
std::string backend_table(const std::vector<BackendResult>&);

// "" where they agree as ONNX's own runner asks: rtol 1e-3, atol 1e-7.
std::string difference(const WeightTensor& got, const WeightTensor& expected);

}  // namespace vkfer::test
