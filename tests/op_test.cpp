// Two proofs for every op of all_ops(), from the cases in its OpDef. To rerun one row: VKFER_ROW="<the words it
// printed>".
#include <cstdlib>
#include <set>

#include "graph/executor.h"
#include "graph/op.h"
#include "graph/ops/ops.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/op_case.h"
#include "tests/op_gradient.h"
#include "tests/op_shader.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

struct NamedCase {
  std::string name;  // "conv2d case=3 f32"
  Case test_case;
};

std::vector<NamedCase> cases_of(const OpDef& op) {
  std::vector<NamedCase> all;
  if (!op.cases) return all;
  const std::vector<Case> cases = op.cases();
  for (size_t i = 0; i < cases.size(); ++i) {
    all.push_back({fmt::format("{} case={} f32", op.name, i), cases[i]});
    if (!op.half) continue;
    for (HalfCase& half : half_cases(op, cases[i]))
      all.push_back({fmt::format("{} case={} {}", op.name, i, half.words), std::move(half.test_case)});
  }
  return all;
}

void check_row(const std::string& row, const std::string& wrong) {
  INFO("VKFER_ROW=\"" << row << "\"");
  CHECK(wrong == "");
}

void check_cases(const OpDef& op, Targets targets, size_t at_most) {
  for (const NamedCase& c : cases_of(op)) {
    if (!at_most--) break;
    check_shader(op, c.test_case, c.name, targets, check_row);
  }
  CHECK(new_validation_messages() == "");
}

}  // namespace

TEST_CASE("gradients equal finite differences of the reference", "[op][math]") {
  for (const OpDef* op : all_ops()) {
    if (!op->grad) continue;
    DYNAMIC_SECTION(op->name) {
      const std::vector<Case> cases = op->cases ? op->cases() : std::vector<Case>{};
      CHECK_FALSE(cases.empty());
      for (size_t i = 0; i < cases.size(); ++i) {
        const std::string row = fmt::format("{} case={} math", op->name, i);
        if (row_selected(row)) check_row(row, check_gradient(*op, cases[i], row));
      }
    }
  }
}

TEST_CASE("every op with a kernel has rows", "[op][math]") {
  std::set<std::string_view> covered, exact;
  for (const OpDef* op : all_ops()) {
    if (!op->cases) continue;
    for (const Case& c : op->cases()) {
      const CaseGraph g = build_case(*op, c);
      for (size_t n = 0; n < g.graph.nodes().size(); ++n) {
        const std::string_view name = g.graph.nodes()[n].op->name;
        covered.insert(name);
        if (!exact.count(name) && is_exact_on_integers(*op, c, n)) exact.insert(name);
      }
    }
  }
  for (const OpDef* op : all_ops()) {
    INFO(op->name);
    if (op->lower) CHECK(covered.count(op->name) == 1);
    if (op->exact_on_integers) CHECK(exact.count(op->name) == 1);  // else no row holds it to the bits that it claims
  }
}

TEST_CASE("ops that claim 16-bit storage accept it", "[op][math]") {
  for (const OpDef* op : all_ops()) {
    if (!op->half || !op->cases) continue;
    INFO(op->name);
    size_t accepted = 0;
    for (const Case& c : op->cases()) accepted += half_cases(*op, c).size();
    CHECK(accepted > 0);
  }
}

TEST_CASE("kernels equal the reference", "[op][device]") {
  for (const OpDef* op : all_ops())
    DYNAMIC_SECTION(op->name) { check_cases(*op, Targets::all, size_t(-1)); }
}

// For a run without validation layers, where these are too old for cooperative matrices and the run above has no coopmat engine.
TEST_CASE("kernels equal the reference: cooperative matrices", "[.][coopmat]") {
  if (!target_for(test_device().info()).matrix[0]) {
    WARN("skipped: no cooperative matrices on this device, or not in this build");
    return;
  }
  for (const OpDef* op : {&ops::conv2d, &ops::linear}) check_cases(*op, Targets::coopmat, size_t(-1));
}

// A few rows of every op: what an old driver is held to.
TEST_CASE("kernels equal the reference: smoke", "[.][smoke]") {
  for (const OpDef* op : all_ops())
    DYNAMIC_SECTION(op->name) { check_cases(*op, Targets::own, 3); }
}
