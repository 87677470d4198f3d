// Every layer of every shipped model as a row of the op tests: collected from the models' own graphs, batch and image
// scaled down, channels, strides, padding and groups kept, duplicates merged. The default run takes every sixth shape
// and the device's own target; `[layers_all]` takes the whole table and every target.
#include <map>

#include "graph/op.h"
#include "graph/ops/ops.h"
#include "models/registry.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/op_case.h"
#include "tests/op_shader.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

constexpr int kBatch = 2;

struct LayerRow {
  const OpDef* op;
  Case test_case;
  std::string from;  // the first node of that shape
};

// The fills of the op's own cases where the inputs are alike: labels stay labels, variances positive.
std::vector<Fill> fills_for(const OpDef& op, size_t inputs) {
  if (op.cases)
    for (const Case& c : op.cases())
      if (c.in.size() == inputs) return c.fill;
  return {};
}

// The double reference of a larger tensor takes minutes: VGG's first linear layers are tested by narrower ones.
constexpr int64_t kLargest = 1 << 22;

using Rows = std::map<std::string, LayerRow>;  // by text: sorted, merged

void collect(const Graph& g, const std::string& model, Rows& rows) {
  for (const Node& node : g.nodes()) {
    LayerRow row{node.op, {{}, node.attrs, fills_for(*node.op, node.in.size())}, model + "/" + node.label};
    std::string key = fmt::format("{} {}", node.op->name, node.attrs.to_string());
    int64_t largest = 0;
    for (Value v : node.in) {
      row.test_case.in.push_back(g.desc(v));
      key += " " + g.desc(v).to_string();
      largest = std::max(largest, g.desc(v).elements());
    }
    if (largest > kLargest) continue;
    rows.emplace(key, std::move(row));
  }
}

Rows layer_rows() {
  Rows rows;
  for (const ModelInfo* model : all_models())
    for (bool training : {true, false}) {
      const int size = std::max(model->smallest_size, 36);  // halves to 18, 9, 5, 3, 2: odd sizes too
      Graph g;
      const Value images = g.input("images", {{kBatch, size, size, 3}, DType::f32}),
                  step = g.input("step", {{5}, DType::i32});
      const BuiltModel built =
          build_model(*model, g, images, step, {.size = size, .training = training, .batch = kBatch});
      g.output(built.logits);
      training ? fuse_for_training(g) : fuse_for_inference(g);
      collect(g, model->name, rows);
    }
  return rows;
}

void check_rows(size_t every, Targets targets) {
  size_t index = 0;
  for (const auto& [text, row] : layer_rows()) {
    const std::string& key = text;
    const size_t number = index++;
    if (number % every && !row_filter_set()) continue;
    const std::string name = fmt::format("{} layer={}", row.op->name, row.from);
    check_shader(*row.op, row.test_case, name, targets, [&](const std::string& words, const std::string& wrong) {
      INFO("VKFER_ROW=\"" << words << "\"\n" << key);
      CHECK(wrong == "");
    });
  }
  CHECK(new_validation_messages() == "");
}

}  // namespace

TEST_CASE("layers of the models equal the reference", "[layers][device]") { check_rows(6, Targets::own); }

TEST_CASE("layers of the models equal the reference: all of them, on every target", "[.][layers_all]") {
  check_rows(1, Targets::all);
}
