// ONNX's own tests of backends, where they are installed: Debian's libonnx-testdata.
#include <cstdlib>
#include <fstream>

#include "models/onnx/operators.h"
#include "tests/catch.h"
#include "tests/onnx_backend.h"
#include "tests/op_shader.h"

using namespace vkfer;

TEST_CASE("ONNX's backend tests pass, all that we support", "[onnx][onnx_backend][device]") {
  if (test::onnx_test_data().empty()) {
    WARN("no ONNX test data here: install libonnx-testdata, or set VKFER_ONNX_TESTS");
    return;
  }
  const char* only = std::getenv("VKFER_ONNX_TEST");
  const std::vector<test::BackendResult> results = test::run_backend_tests(test::test_device(), only ? only : "");
  size_t passed = 0;
  for (const test::BackendResult& r : results) {
    passed += r.outcome == test::Outcome::passed;
    if (r.outcome == test::Outcome::unsupported && only) WARN(r.suite + "/" + r.name + ": " + r.reason);
    if (r.outcome != test::Outcome::failed) continue;
    INFO("VKFER_ONNX_TEST=" << r.suite << "/" << r.name << ": " << r.reason);
    CHECK(r.outcome != test::Outcome::failed);
  }
  CHECK(test::new_validation_messages() == "");
  if (const char* file = std::getenv("VKFER_ONNX_TABLE")) std::ofstream(file) << test::backend_table(results);
  if (const char* file = std::getenv("VKFER_ONNX_REASONS")) {
    std::ofstream list(file);
    for (const test::BackendResult& r : results)
      list << (r.outcome == test::Outcome::passed ? "passed" : r.outcome == test::Outcome::failed ? "FAILED" : "unsupported") << " " << r.suite << "/" << r.name << " " << r.op << ": " << r.reason << "\n";
  }
  if (!only) CHECK(passed >= 250);
}
