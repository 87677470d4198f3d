#include "models/onnx/node_import.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "graph/ops/ops.h"
#include "models/layers.h"
#include "models/weights/bytes.h"

namespace vkfer {
namespace {

Attr to_attr(std::vector<int64_t> v) { return Attr(std::move(v)); }

StateInfo state_info(const OnnxTensor& t, Form form) {
  StateInfo info;
  info.trainable = is_weight(t) && form != Form::statistic;
  info.layout = form == Form::filter ? Layout::filter : form == Form::linear ? Layout::linear : Layout::plain;
  return info;
}

Shape state_shape(const std::vector<int64_t>& s, Form form) {
  if (form == Form::filter) return Shape{s[2], s[3], s[1], s[0]};
  if (form == Form::linear) return Shape{s[1], s[0]};
  return Shape(s);
}

}  // namespace

// At most INT64_MAX: a file may say anything.
int64_t OnnxTensor::elements() const {
  int64_t n = 1;
  if (std::ranges::count(shape, 0)) return 0;
  for (const int64_t d : shape) n = d < 0 || n > std::numeric_limits<int64_t>::max() / d ? std::numeric_limits<int64_t>::max() : n * d;
  return n;
}

// A lone number is part of a formula, such as the 6 of a ReLU6 in pieces.
bool is_weight(const OnnxTensor& t) { return t.initializer && device_type(t.type) == DType::f32 && !t.shape.empty(); }

std::vector<int64_t> inverse(const std::vector<int64_t>& perm) {
  std::vector<int64_t> to(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) to[size_t(perm[i])] = int64_t(i);
  return to;
}

std::vector<int64_t> to_channels_last(int64_t rank) {
  std::vector<int64_t> perm = {0};
  for (int64_t i = 2; i < rank; ++i) perm.push_back(i);
  perm.push_back(1);
  return perm;
}

// The graph's states hold i32.
void OnnxTarget::check_range(const OnnxTensor& t) const {
  if (device_type(t.type) != DType::i32) return;
  for (const double v : t.known->doubles())
    if (v < double(INT32_MIN) || v > double(INT32_MAX)) throw UnsupportedOnnx(fmt::format("{}: '{}' holds {}, which does not fit 32 bits", source_, shown(t.name), v));
}

Value OnnxTarget::constant(const OnnxTensor& t, Form form) {
  const std::string suffix[] = {"", ":filter", ":linear", ":statistic"};
  Value& value = made_[t.name + suffix[size_t(form)]];
  if (value) return value;
  const TensorDesc desc{state_shape(t.shape, form), device_type(t.type)};
  if (folding) {
    value = graph.input(fmt::format("{}", made_.size()), {Shape(t.shape), desc.dtype});
    HostTensor host{Shape(t.shape)};
    host.data = t.known->doubles();
    given[value.id] = std::move(host);
    return value;
  }
  check_range(t);
  // The same initializer in two orders is two states.
  std::string name = t.name;
  if (graph.find(name)) name += suffix[size_t(form)] + ":constant";
  constants[name] = *t.known;
  const StateInfo info = state_info(t, form);
  return value = layers && info.trainable ? layers->parameter(name, desc.shape, info) : graph.state(name, desc, info);
}

NodeImport::NodeImport(const OnnxModel& model, const OnnxNode& node, std::vector<OnnxTensor> in, OnnxTarget& target)
    : results(node.out.size()), model_(model), node_(node), in_(std::move(in)), target_(target) {
  label_ = !node.name.empty() ? node.name : node.out.empty() ? node.op : node.out[0];
  const auto made = std::ranges::find_if(node.out, [](const std::string& out) { return !out.empty(); });
  made_name_ = made == node.out.end() ? label_ : *made;   // unlike a node's name, which two may have
}

std::string NodeImport::who() const { return fmt::format("{} '{}'", shown(node_.op), shown(label_)); }

const OnnxAttribute* NodeImport::attribute(const std::string& name) const {
  const auto it = node_.attributes.find(name);
  return it == node_.attributes.end() ? nullptr : &it->second;
}

int64_t NodeImport::integer(const std::string& name, int64_t fallback) const {
  const OnnxAttribute* a = attribute(name);
  if (a && a->kind != OnnxAttribute::Kind::integer) wrong("attribute '{}' is no integer", name);
  return a ? a->integer : fallback;
}

double NodeImport::number(const std::string& name, double fallback) const {
  const OnnxAttribute* a = attribute(name);
  if (a && a->kind != OnnxAttribute::Kind::number) wrong("attribute '{}' is no number", name);
  return a ? a->number : fallback;
}

std::string NodeImport::text(const std::string& name, const std::string& fallback) const {
  const OnnxAttribute* a = attribute(name);
  if (a && a->kind != OnnxAttribute::Kind::text) wrong("attribute '{}' is no text", name);
  return a ? a->text : fallback;
}

std::vector<int64_t> NodeImport::integers(const std::string& name, std::vector<int64_t> fallback) const {
  const OnnxAttribute* a = attribute(name);
  if (a && a->kind != OnnxAttribute::Kind::integers) wrong("attribute '{}' is no list of integers", name);
  return a ? a->integers : fallback;
}

const WeightTensor& NodeImport::tensor(const std::string& name) const {
  const OnnxAttribute* a = attribute(name);
  if (!a || a->kind != OnnxAttribute::Kind::tensor) wrong("attribute '{}' is missing, or no tensor", name);
  return a->tensor;
}

int64_t NodeImport::opset() const {
  const auto it = model_.opsets.find(node_.domain);
  return it == model_.opsets.end() ? 1 : it->second;
}

const OnnxTensor& NodeImport::in(int i) const {
  if (!given(i)) wrong("input {} is missing", i);
  return in_[size_t(i)];
}

void NodeImport::needs_known(int i) const {
  throw NeedsKnown{in(i).inputs, fmt::format("{}: {}: input {} ('{}') has to be known when the model is read, because it decides shapes or settings", model_.source,
                                             who(), i, shown(in(i).name))};
}

std::vector<int64_t> NodeImport::integers_of(int i) const {
  const OnnxTensor& t = in(i);
  if (!t.known) needs_known(i);
  std::vector<int64_t> values;
  if (t.type == StoredType::i64) {  // whole: a double would round the largest
    values.resize(t.known->bytes.size() / 8);
    if (!values.empty()) std::memcpy(values.data(), t.known->bytes.data(), values.size() * 8);
    return values;
  }
  for (const double v : t.known->doubles()) {
    if (!(std::abs(v) <= 0x1p53)) wrong("input {}: got {}, expected an integer", i, v);
    values.push_back(int64_t(v));
  }
  return values;
}

std::vector<double> NodeImport::numbers_of(int i) const {
  if (!in(i).known) needs_known(i);
  return in(i).known->doubles();
}

int64_t NodeImport::axis(int64_t a, int64_t rank) const {
  if (a < -rank || a >= rank) wrong("axis {} of a tensor of rank {}", a, rank);
  return a < 0 ? a + rank : a;
}

std::vector<int64_t> NodeImport::axes(std::vector<int64_t> list, int64_t rank) const {
  for (int64_t& a : list) a = axis(a, rank);
  std::ranges::sort(list);
  if (std::ranges::adjacent_find(list) != list.end()) wrong("the same axis twice");
  return list;
}

std::vector<int64_t> NodeImport::shape(Value v) const {
  const Shape& s = target_.graph.shape(v);
  std::vector<int64_t> dims;
  for (int i = 0; i < s.rank(); ++i) dims.push_back(s[i]);
  return dims;
}

std::vector<Value> NodeImport::add_all(const OpDef& op, Attrs attrs, std::vector<Value> in) {
  return target_.graph.add(op, std::move(attrs), std::move(in), label_);
}

Value NodeImport::add(const OpDef& op, Attrs attrs, std::vector<Value> in) { return add_all(op, std::move(attrs), std::move(in))[0]; }

Value NodeImport::reshape(Value v, const std::vector<int64_t>& to) {
  return shape(v) == to ? v : add(ops::reshape, {{"shape", to_attr(to)}}, {v});
}

Value NodeImport::transpose(Value v, std::vector<int64_t> perm) {
  if (std::ranges::is_sorted(perm)) return v;
  // Where only dimensions of one move, the elements stay where they are.
  const std::vector<int64_t> from = shape(v);
  std::vector<int64_t> to, kept;
  for (const int64_t p : perm) {
    to.push_back(from[size_t(p)]);
    if (from[size_t(p)] != 1) kept.push_back(p);
  }
  if (std::ranges::is_sorted(kept)) return reshape(v, to);
  return add(ops::transpose, {{"perm", to_attr(std::move(perm))}}, {v});
}

Value NodeImport::binary(const char* function, Value a, Value b) {
  Attrs attrs{{"function", function}};
  const std::string_view f = function;
  if (dtype(a) == DType::i32 && (f == "div" || f == "mod" || f == "fmod" || f == "pow")) attrs.set("integer", 1);
  return add(ops::binary, attrs, {a, b});
}
Value NodeImport::unary(const char* function, Value x, Attrs attrs) { return add(ops::unary, attrs.set("function", function), {x}); }
Value NodeImport::cast(Value v, DType to) { return dtype(v) == to ? v : add(ops::cast, {{"to", dtype_name(to)}}, {v}); }

Value NodeImport::reduce(const char* function, Value x, std::vector<int64_t> list, bool keep) {
  return add(ops::reduce, {{"function", function}, {"axes", to_attr(std::move(list))}, {"keepdims", keep}}, {x});
}

Value NodeImport::scalar(double v, DType type) {
  OnnxTensor t;
  t.name = fmt::format("constant {} {}", v, dtype_name(type));
  t.type = type == DType::f32 ? StoredType::f32 : StoredType::i32;
  t.known = std::make_shared<WeightTensor>(tensor_of(t.type, {}, std::span(&v, 1)));
  return target_.constant(t, Form::plain);
}

Value NodeImport::table(const std::string& name, StoredType type, std::vector<int64_t> dims, std::span<const double> values) {
  OnnxTensor t;
  t.name = name.starts_with("constant ") ? name : fmt::format("{}/{}", made_name_, name);
  t.type = type;
  t.shape = dims;
  t.known = std::make_shared<WeightTensor>(tensor_of(type, std::move(dims), values));
  return target_.constant(t, Form::plain);
}

Value NodeImport::one_hot(Value labels, int64_t classes, double on, double off) {
  std::vector<double> all(static_cast<size_t>(classes));
  std::iota(all.begin(), all.end(), 0.0);
  std::vector<int64_t> dims = shape(labels);
  dims.push_back(1);
  const Value hot = binary("equal", reshape(labels, dims), table(fmt::format("constant 0..{}", classes - 1), StoredType::i32, {classes}, all));
  return select(hot, scalar(on), scalar(off));
}

Value NodeImport::along(Value x, int64_t axis, int64_t rows, const std::string& name, std::span<const double> matrix) {
  std::vector<int64_t> dims = shape(x);
  const int64_t columns = dims[size_t(axis)];
  int64_t before = 1, after = 1;
  for (int64_t i = 0; i < axis; ++i) before *= dims[size_t(i)];
  for (size_t i = size_t(axis) + 1; i < dims.size(); ++i) after *= dims[i];
  const Value m = table(name, StoredType::f32, {rows, columns}, matrix);
  dims[size_t(axis)] = rows;
  return reshape(add(ops::matmul, {}, {m, reshape(x, {before, columns, after})}), dims);
}

Value NodeImport::plain(const OnnxTensor& t, Form form) {
  if (form != Form::plain && t.known && !target_.folding) return target_.constant(t, form);
  Value v = t.value ? t.value : target_.constant(t, Form::plain);
  if (t.value && t.channels_last) v = transpose(v, inverse(to_channels_last(t.rank())));
  if (form == Form::filter) return transpose(v, {2, 3, 1, 0});
  if (form == Form::linear) return transpose(v, {1, 0});
  return v;
}

Value NodeImport::channels_last(const OnnxTensor& t) {
  if (t.rank() < 3) unsupported("'{}' has {} dimensions, expected images", shown(t.name), t.rank());
  if (t.value && t.channels_last) return t.value;
  return transpose(plain(t), to_channels_last(t.rank()));
}

Value NodeImport::images(const OnnxTensor& t) {
  const Value v = channels_last(t);
  if (t.rank() == 4) return v;
  if (t.rank() != 3) unsupported("{} spatial dimensions, expected 1 or 2", t.rank() - 2);
  return reshape(v, {t.shape[0], 1, t.shape[2], t.shape[1]});
}

Value NodeImport::in_order_of(const OnnxTensor& t, bool last) { return last ? channels_last(t) : plain(t); }

void NodeImport::out(int i, Value v, StoredType type, bool last) {
  if (!wants(i)) return;
  OnnxTensor& t = results[size_t(i)];
  t.type = type;
  t.value = v;
  t.shape = shape(v);
  t.channels_last = last && t.shape.size() > 2;
  if (t.channels_last) {
    t.shape.insert(t.shape.begin() + 1, t.shape.back());
    t.shape.pop_back();
  }
}

void NodeImport::out_known(int i, WeightTensor tensor) {
  if (!wants(i)) return;
  OnnxTensor& t = results[size_t(i)];
  t.type = tensor.type;
  t.shape = tensor.shape;
  t.known = std::make_shared<WeightTensor>(std::move(tensor));
}

void NodeImport::pass(int i, const OnnxTensor& from) {
  if (wants(i)) results[size_t(i)] = from;
}

}  // namespace vkfer
