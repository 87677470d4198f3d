// Ops given what no model would give them: an Error that names the node, or an accepted graph; never a crash. No
// device.
#include <algorithm>
#include <limits>

#include "graph/op.h"
#include "runtime/error.h"
#include "tests/catch.h"
#include "tests/op_case.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

// An op with inputs and attributes that fit: a case's own node, or one that its gradient adds.
struct Fit {
  const OpDef* op;
  Attrs attrs;
  std::vector<TensorDesc> in;
};

std::vector<Fit> fits() {
  std::vector<Fit> all;
  for (const OpDef* op : all_ops()) {
    if (!op->cases) continue;
    const Graph g = build_case(*op, op->cases().front()).graph;
    for (const Node& node : g.nodes()) {
      all.push_back({node.op, node.attrs, {}});
      for (Value v : node.in) all.back().in.push_back(g.desc(v));
    }
  }
  return all;
}

bool is_empty(const TensorDesc& t) { return t.elements() <= 0; }

bool asks_for_empty(const Attrs& attrs) {
  const auto found = attrs.entries().find("shape");
  const auto* sizes = found == attrs.entries().end() ? nullptr : std::get_if<std::vector<int64_t>>(&found->second.variant());
  return sizes && std::count(sizes->begin(), sizes->end(), 0);
}

// "" or what escaped. Accepted inputs must have outputs with sizes, but of empty inputs an op may make empty outputs, and where asked.
std::string try_add(const OpDef& op, const Attrs& attrs, const std::vector<TensorDesc>& in) {
  Graph g;
  std::vector<Value> values;
  for (size_t i = 0; i < in.size(); ++i) values.push_back(g.input("in" + std::to_string(i), in[i]));
  try {
    for (Value v : g.add(op, attrs, values, "hostile"))
      if (is_empty(g.desc(v)) && std::none_of(in.begin(), in.end(), is_empty) && !asks_for_empty(attrs)) return "accepted, with an output of " + g.desc(v).to_string();
    return "";
  } catch (const Error& e) {
    const std::string what = e.what();
    for (const char* named :
         {"'hostile'", "[shape]", "attribute '"})  // a size or kind may be refused before the op sees it
      if (what.find(named) != std::string::npos) return "";
    return "unnamed: " + what;
  } catch (const std::exception& e) {
    return std::string("not an Error: ") + e.what();
  }
}

}  // namespace

TEST_CASE("ops refuse tensors that do not fit", "[graph][hostile]") {
  for (const auto& c : fits()) {
    for (size_t i = 0; i < c.in.size(); ++i) {
      INFO(c.op->name << ", input " << i);
      auto changed = [&](auto change) {
        std::vector<TensorDesc> in = c.in;
        change(in[i]);
        return try_add(*c.op, c.attrs, in);
      };
      CHECK(changed([](TensorDesc& t) { t.shape = Shape{}; }) == "");
      CHECK(changed([](TensorDesc& t) { t.shape = Shape{7, 5, 3, 2, 2}; }) == "");
      CHECK(changed([](TensorDesc& t) { if (t.shape.rank()) t.shape[0] += 1; }) == "");
      CHECK(changed([](TensorDesc& t) { if (t.shape.rank()) t.shape[t.shape.rank() - 1] += 1; }) == "");
      CHECK(changed([](TensorDesc& t) { if (t.shape.rank()) t.shape[0] = 0; }) == "");
      CHECK(changed([](TensorDesc& t) { t.dtype = DType::i32; }) == "");
      CHECK(changed([](TensorDesc& t) { t.dtype = DType::u8; }) == "");
      CHECK(changed([](TensorDesc& t) { t.dtype = DType::f16; }) == "");
    }
    INFO(c.op->name);
    std::vector<TensorDesc> fewer = c.in, more = c.in;
    fewer.pop_back();
    more.push_back(c.in.back());
    CHECK(try_add(*c.op, c.attrs, fewer) == "");
    CHECK(try_add(*c.op, c.attrs, more) == "");
  }
}

TEST_CASE("ops refuse attributes out of range", "[graph][hostile]") {
  const int64_t huge = std::numeric_limits<int64_t>::max();
  for (const auto& c : fits()) {
    for (const char* name : {"stride", "pad", "dilation", "kernel", "shape", "size", "input", "filter"})
      for (const std::vector<int64_t>& value : std::vector<std::vector<int64_t>>{{},
                                                                                 {0},
                                                                                 {0, 0},
                                                                                 {-1, -1},
                                                                                 {1, 1, 1},
                                                                                 {-3, -3, -3, -3},
                                                                                 {huge, huge},
                                                                                 {huge, huge, huge, huge},
                                                                                 {1 << 30, 1 << 30}}) {
        INFO(c.op->name << " " << name << " of " << value.size() << " numbers");
        CHECK(try_add(*c.op, Attrs(c.attrs).set(name, value), c.in) == "");
      }
    for (const char* name : {"groups", "residual", "bias", "channels", "salt", "ceil_mode", "nesterov"})
      for (int64_t value : {int64_t(-1), int64_t(0), int64_t(7), huge}) {
        INFO(c.op->name << " " << name << "=" << value);
        CHECK(try_add(*c.op, Attrs(c.attrs).set(name, value), c.in) == "");
      }
    for (const char* name : {"mean", "std"})
      for (const std::vector<double>& value : std::vector<std::vector<double>>{{}, {0.5}, {0, 0, 0}, {1, 1, 1, 1}}) {
        INFO(c.op->name << " " << name << " of " << value.size() << " numbers");
        CHECK(try_add(*c.op, Attrs(c.attrs).set(name, value), c.in) == "");
      }
    for (const char* name : {"activation", "function", "to", "epsilon"}) {
      INFO(c.op->name << " " << name);
      CHECK(try_add(*c.op, Attrs(c.attrs).set(name, "no such word"), c.in) == "");
    }
  }
}
