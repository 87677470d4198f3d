#include "tests/onnx_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>

#include "graph/executor.h"
#include "models/onnx/operators.h"
#include "models/onnx/run.h"
#include "models/weights/formats.h"
#include "runtime/error.h"

namespace vkfer::test {
namespace fs = std::filesystem;
namespace {

constexpr const char* kSuites[] = {"node", "pytorch-converted", "pytorch-operator", "simple"};

WeightTensor tensor(const fs::path& file) {
  try {
    return parse_onnx_tensor(read_weight_bytes(file), file.string());
  } catch (const Error& e) {
    throw UnsupportedOnnx(e.what());  // sequences, texts, optionals: no tensors of numbers
  }
}

// The operator whose name the folder bears, else the last node's.
std::string tested_op(const OnnxModel& model, const std::string& folder) {
  std::string best, lower;
  for (const char c : folder)
    if (c != '_') lower += char(std::tolower(c));
  for (const OnnxNode& n : model.nodes) {
    std::string op = n.op;
    std::ranges::transform(op, op.begin(), [](unsigned char c) { return char(std::tolower(c)); });
    if (lower.find(op) != lower.npos && n.op.size() >= best.size()) best = n.op;
  }
  return !best.empty() ? best : model.nodes.empty() ? "?" : model.nodes.back().op;
}

// Some of the data disagree with their models: bfloat16 stored as the integers that its bits are, and flat.
const WeightTensor& checked(const WeightTensor& t, const OnnxPort& port) {
  if (port.type == StoredType::bf16 && t.type != StoredType::bf16) throw UnsupportedOnnx("test data that is not stored as the bfloat16 it is");
  return t;
}

// Tests whose model is not what the expected values were computed with.
struct Faulty {
  std::string_view name, reason;
};
constexpr Faulty kFaulty[] = {
    {"test_adam_multiple", "the test's own fault: values computed with epsilon 0.01, which its node lacks (onnx 1.12)"},
};

// Doubles are computed in float32, as docs/onnx.md says.
void check_range(const WeightTensor& expected) {
  if (expected.type != StoredType::f64) return;
  for (const double v : expected.doubles())
    if (std::isfinite(v) && std::abs(v) > double(std::numeric_limits<float>::max())) throw UnsupportedOnnx("doubles beyond float32");
}

void run_data_set(Device& device, const OnnxModel& model, const fs::path& folder) {
  std::map<std::string, WeightTensor> values;
  for (size_t i = 0; i < model.inputs.size(); ++i) {
    const fs::path file = folder / fmt::format("input_{}.pb", i);
    if (fs::exists(file)) values[model.inputs[i].name] = checked(tensor(file), model.inputs[i]);
  }
  std::vector<WeightTensor> expected;
  for (size_t i = 0; i < model.outputs.size(); ++i) {
    expected.push_back(checked(tensor(folder / fmt::format("output_{}.pb", i)), model.outputs[i]));
    check_range(expected.back());
  }
  const OnnxAnswer answer = run_onnx(device, target_for(device.info()), model, values);
  for (size_t i = 0; i < model.outputs.size(); ++i)
    if (const std::string wrong = difference(answer.outputs.at(model.outputs[i].name), expected[i]); !wrong.empty())
      fail("onnx test", "output {}: {}", model.outputs[i].name, wrong);
}

}  // namespace

fs::path onnx_test_data() {
  const char* given = std::getenv("VKFER_ONNX_TESTS");
  const fs::path path = given ? given : "/usr/share/libonnx-testdata/data";
  std::error_code error;
  return fs::is_directory(path / "node", error) ? path : fs::path();
}

std::string difference(const WeightTensor& got, const WeightTensor& expected) {
  if (got.type != expected.type) return fmt::format("type {}, expected {}", stored_name(got.type), stored_name(expected.type));
  if (got.shape != expected.shape) return fmt::format("shape [{}], expected [{}]", fmt::join(got.shape, ","), fmt::join(expected.shape, ","));
  const std::vector<double> a = got.doubles(), b = expected.doubles();
  for (size_t i = 0; i < a.size(); ++i) {
    const bool same = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]));
    if (!same && !(std::abs(a[i] - b[i]) <= 1e-7 + 1e-3 * std::abs(b[i]))) return fmt::format("element {} is {}, expected {}", i, a[i], b[i]);
  }
  return {};
}

BackendResult run_backend_test(Device& device, const fs::path& folder) {
  BackendResult result{folder.parent_path().filename().string(), folder.filename().string(), "?", Outcome::failed, {}};
  try {
    const OnnxModel model = read_onnx((folder / "model.onnx").string());
    result.op = tested_op(model, result.name);
    for (const Faulty& f : kFaulty)
      if (f.name == result.name) throw UnsupportedOnnx(std::string(f.reason));
    std::vector<fs::path> sets;
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.is_directory()) sets.push_back(entry.path());
    std::ranges::sort(sets);
    if (sets.empty()) throw UnsupportedOnnx("no data");
    for (const fs::path& set : sets) run_data_set(device, model, set);
    result.outcome = Outcome::passed;
  } catch (const UnsupportedOnnx& e) {
    result.outcome = Outcome::unsupported;
    result.reason = e.what();
  } catch (const std::exception& e) {
    result.reason = e.what();
  }
  return result;
}

std::vector<BackendResult> run_backend_tests(Device& device, const std::string& only) {
  std::vector<fs::path> folders;
  for (const char* suite : kSuites)
    if (fs::is_directory(onnx_test_data() / suite))
      for (const auto& entry : fs::directory_iterator(onnx_test_data() / suite))
        if (entry.path().string().find(only) != std::string::npos) folders.push_back(entry.path());
  std::ranges::sort(folders);
  std::vector<BackendResult> results;
  for (const fs::path& folder : folders) results.push_back(run_backend_test(device, folder));
  return results;
}

std::string backend_table(const std::vector<BackendResult>& results) {
  struct Row {
    int counts[3] = {};
  };
  std::map<std::string, Row> rows;
  Row all;
  for (const BackendResult& r : results) ++rows[r.op].counts[int(r.outcome)], ++all.counts[int(r.outcome)];
  std::string table = "| operator | passed | failed | unsupported |\n|---|---|---|---|\n";
  const auto line = [&](const std::string& name, const Row& row) {
    table += fmt::format("| {} | {} | {} | {} |\n", name, row.counts[0], row.counts[1], row.counts[2]);
  };
  for (const auto& [op, row] : rows) line(op, row);
  line("all", all);
  return table;
}

}  // namespace vkfer::test
