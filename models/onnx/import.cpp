#include "models/onnx/import.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "graph/executor.h"
#include "graph/reference.h"
#include "models/onnx/operators.h"
#include "models/weights/bytes.h"
#include "models/weights/transfer.h"

namespace vkfer {

DType device_type(StoredType type) {
  const bool real = type == StoredType::f32 || type == StoredType::f64 || type == StoredType::f16 || type == StoredType::bf16;
  return real ? DType::f32 : DType::i32;
}

namespace {

constexpr int64_t kMostFolded = 1 << 22;   // elements that the host computes with; larger constants are the device's work, done once
constexpr int64_t kMostGiven = int64_t(1) << 31;   // elements of an input, and far more than any device takes

template <class T>
void append(WeightTensor& t, T v) {
  const auto bytes = std::as_bytes(std::span(&v, 1));
  t.bytes.insert(t.bytes.end(), bytes.begin(), bytes.end());
}

// Toward zero and within the type, as C++ does not promise.
template <class T>
T whole(double v) {
  if (!(v > double(std::numeric_limits<T>::min()))) return v != v ? T(0) : std::numeric_limits<T>::min();
  if (v >= double(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
  return T(v);
}

uint16_t to_bfloat(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, 4);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return uint16_t(bits >> 16 | 64);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace

WeightTensor tensor_of(StoredType type, std::vector<int64_t> shape, std::span<const double> values) {
  WeightTensor t{type, std::move(shape), {}};
  t.bytes.reserve(values.size() * stored_bytes(type));
  for (const double v : values) switch (type) {
      case StoredType::f64: append(t, v); break;
      case StoredType::f32: append(t, float(v)); break;
      case StoredType::f16: append(t, float_to_half(float(v))); break;
      case StoredType::bf16: append(t, to_bfloat(float(v))); break;
      case StoredType::i64: append(t, whole<int64_t>(v)); break;
      case StoredType::i32: append(t, whole<int32_t>(v)); break;
      case StoredType::i16: append(t, whole<int16_t>(v)); break;
      case StoredType::i8: append(t, whole<int8_t>(v)); break;
      case StoredType::u64: append(t, whole<uint64_t>(v)); break;
      case StoredType::u32: append(t, whole<uint32_t>(v)); break;
      case StoredType::u16: append(t, whole<uint16_t>(v)); break;
      case StoredType::u8: append(t, whole<uint8_t>(v)); break;
      case StoredType::boolean: append(t, uint8_t(v != 0)); break;
    }
  return t;
}

namespace {

class Importer {
 public:
  Importer(const OnnxModel& model, Graph& graph, const OnnxOptions& options, const std::set<std::string>& decided)
      : model_(model), options_(options), decided_(decided), target_(graph, false, model.source, options.layers) {}

  ImportedOnnx run() {
    for (const auto& [name, tensor] : model_.initializers) {
      OnnxTensor t = known(tensor);
      t.name = name;
      t.initializer = true;
      tensors_[name] = t;
    }
    for (const OnnxPort& p : model_.inputs)
      if (!model_.initializers.count(p.name) || options_.values.count(p.name)) input(p);
    for (const OnnxNode& n : model_.nodes) node(n);
    for (const OnnxPort& p : model_.outputs) output(p);
    result_.constants = std::move(target_.constants);
    for (const auto& [name, tensor] : tensors_) result_.shapes[name] = tensor.shape;
    return std::move(result_);
  }

 private:
  static OnnxTensor known(WeightTensor t) {
    OnnxTensor k;
    k.type = t.type;
    k.shape = t.shape;
    k.known = std::make_shared<WeightTensor>(std::move(t));
    return k;
  }

  std::vector<int64_t> input_shape(const OnnxPort& p, const std::vector<int64_t>* wanted) {
    if (!wanted && !p.shape) fail("onnx", "{}: input '{}' has no shape in the model. Fix: --input {}=FILE.npy", model_.source, shown(p.name), shown(p.name));
    std::vector<int64_t> shape;
    const size_t rank = p.shape ? p.shape->size() : wanted->size();
    int64_t all = 1;
    if (wanted && wanted->size() != rank)
      fail("onnx", "{}: input '{}': got {} dimensions, expected {}. Fix: give an array of that rank", model_.source, shown(p.name), wanted->size(), rank);
    for (size_t i = 0; i < rank; ++i) {
      const OnnxDim dim = p.shape ? p.shape->at(i) : OnnxDim{};
      int64_t size = dim.size;
      if (size < 0 && symbols_.count(dim.symbol)) size = symbols_.at(dim.symbol);
      if (wanted && size >= 0 && wanted->at(i) != size)
        fail("onnx", "{}: input '{}': dimension {}{} is {}, expected {}. Fix: give an array of that shape", model_.source, shown(p.name), i,
             dim.symbol.empty() ? "" : " (" + shown(dim.symbol) + ")", wanted->at(i), size);
      if (wanted) size = wanted->at(i);
      if (size < 0)
        fail("onnx", "{}: input '{}': dimension {}{} is open. Fix: --input {}=FILE.npy", model_.source, shown(p.name), i,
             dim.symbol.empty() ? "" : " (" + shown(dim.symbol) + ")", shown(p.name));
      if (!dim.symbol.empty()) symbols_[dim.symbol] = size;
      shape.push_back(size);
      all = size > kMostGiven / all ? kMostGiven + 1 : all * std::max<int64_t>(size, 1);   // even where another dimension is 0
      if (all > kMostGiven) fail("onnx", "{}: input '{}' has more than {} elements. Fix: a smaller one", model_.source, shown(p.name), kMostGiven);
    }
    return shape;
  }

  // Of ours: images lie with their channels last.
  void part(const OnnxPort& p, Value v) {
    OnnxTensor t;
    t.name = p.name;
    t.value = v;
    const Shape& s = target_.graph.shape(v);
    for (int i = 0; i < s.rank(); ++i) t.shape.push_back(s[i]);
    t.channels_last = s.rank() > 2;
    if (t.channels_last) std::rotate(t.shape.begin() + 1, t.shape.end() - 1, t.shape.end());
    tensors_[p.name] = t;
  }

  void input(const OnnxPort& p) {
    if (const auto given = options_.part.find(p.name); given != options_.part.end()) return part(p, given->second);
    const auto value = options_.values.find(p.name);
    const auto asked = options_.shapes.find(p.name);
    const std::vector<int64_t>* wanted = value != options_.values.end() ? &value->second.shape : asked != options_.shapes.end() ? &asked->second : nullptr;
    OnnxTensor t;
    t.name = p.name;
    t.shape = input_shape(p, wanted);
    t.inputs = {p.name};
    if (!p.type) throw UnsupportedOnnx(fmt::format("{}: input '{}' holds no numbers", model_.source, shown(p.name)));
    t.type = *p.type;
    if (t.elements() == 0) {  // nothing to give, nothing to compute with
      t.known = std::make_shared<WeightTensor>(WeightTensor{t.type, t.shape, {}});
    } else if (decided_.count(p.name)) {
      const std::vector<double> values = value->second.doubles();
      t.known = std::make_shared<WeightTensor>(value->second.type == t.type ? value->second : tensor_of(t.type, t.shape, values));
    } else {
      t.value = target_.graph.input(p.name, {Shape(t.shape), device_type(t.type)});
      result_.inputs.push_back({p.name, t.type, t.shape, t.value, {}});
    }
    tensors_[p.name] = t;
  }

  static int64_t elements(const std::vector<OnnxTensor>& list) {
    int64_t n = 0;
    for (const OnnxTensor& t : list) n += std::min(t.elements(), kMostFolded + 1);
    return n;
  }

  // Weights that are only moved stay weights where they are to be trained: PyTorch exports linear layers as MatMul(x, Transpose(w)).
  bool moves_weight(const OnnxNode& n, const std::vector<OnnxTensor>& in) const {
    constexpr std::string_view kMoves[] = {"Transpose", "Expand", "Reshape", "Unsqueeze", "Squeeze", "Flatten"};
    return options_.layers && n.domain.empty() && std::ranges::count(kMoves, std::string_view(n.op)) && !in.empty() && is_weight(in[0]);
  }

  void node(const OnnxNode& n) {
    const int64_t opset = model_.opsets.count(n.domain) ? model_.opsets.at(n.domain) : 1;
    const OnnxOperator* op = find_onnx_operator(n.domain, n.op, opset);
    if (!op) throw UnsupportedOnnx(fmt::format("{}: {}{}{} '{}' is not supported. Of this model are not: {}", model_.source, shown(n.domain), n.domain.empty() ? "" : ".",
                                               shown(n.op), shown(n.name.empty() ? n.out.empty() ? "" : n.out[0] : n.name), fmt::join(unsupported_operators(model_), ", ")));
    std::vector<OnnxTensor> in;
    std::set<std::string> inputs;
    bool all_known = true;
    for (const std::string& name : n.in) {
      in.push_back(name.empty() ? OnnxTensor{} : tensors_.at(name));
      if (!name.empty()) in.back().name = name;
      inputs.insert(in.back().inputs.begin(), in.back().inputs.end());
      all_known = all_known && (name.empty() || in.back().known);
    }
    std::vector<OnnxTensor> results = all_known && elements(in) <= kMostFolded && !moves_weight(n, in) ? folded(n, *op, in) : imported(n, *op, std::move(in), target_);
    for (size_t i = 0; i < n.out.size(); ++i) {
      if (n.out[i].empty()) continue;
      OnnxTensor t = std::move(results[i]);
      if (!t.known && t.elements() == 0) {
        t.known = std::make_shared<WeightTensor>(WeightTensor{t.type, t.shape, {}});
        t.value = {};
        t.channels_last = false;
      }
      t.name = t.initializer ? t.name : n.out[i];
      t.inputs.insert(inputs.begin(), inputs.end());
      tensors_[n.out[i]] = std::move(t);
    }
  }

  std::vector<OnnxTensor> imported(const OnnxNode& n, const OnnxOperator& op, std::vector<OnnxTensor> in, OnnxTarget& target) {
    NodeImport import(model_, n, std::move(in), target);
    try {
      op.import(import);
    } catch (const std::out_of_range&) {   // shapes are read with at()
      import.wrong("an axis or a dimension that its inputs do not have");
    }
    for (size_t i = 0; i < n.out.size(); ++i)
      if (import.wants(int(i)) && !import.results[i].known && !import.results[i].value) import.unsupported("output {} is not made", i);
    return std::move(import.results);
  }

  // Everything is known: the node computes on the host, in a graph of its own.
  std::vector<OnnxTensor> folded(const OnnxNode& n, const OnnxOperator& op, const std::vector<OnnxTensor>& in) {
    Graph scratch;
    OnnxTarget target(scratch, true, model_.source, nullptr);
    std::vector<OnnxTensor> results = imported(n, op, in, target);
    if (std::ranges::any_of(results, [](const OnnxTensor& t) { return t.value && t.elements() > 4 * kMostFolded; })) return imported(n, op, in, target_);
    std::map<int, HostTensor> values;
    for (OnnxTensor& t : results) {
      if (t.known || !t.value) continue;
      if (values.empty()) values = run_reference(scratch, target.given);
      HostTensor host = values.at(t.value.id);
      if (t.channels_last) host = reordered(host, inverse(to_channels_last(t.rank())));
      t.known = std::make_shared<WeightTensor>(tensor_of(t.type, t.shape, host.data));
      t.value = {};
      t.channels_last = false;
    }
    return results;
  }

  static HostTensor reordered(const HostTensor& x, const std::vector<int64_t>& perm) {
    const int rank = x.shape.rank();
    std::vector<int64_t> dims, stride(size_t(rank), 1), at(size_t(rank), 0);
    for (int i = rank - 2; i >= 0; --i) stride[size_t(i)] = stride[size_t(i) + 1] * x.shape[i + 1];
    for (const int64_t p : perm) dims.push_back(x.shape[int(p)]);
    HostTensor y{Shape(dims)};
    for (double& element : y.data) {
      int64_t from = 0;
      for (size_t i = 0; i < perm.size(); ++i) from += at[i] * stride[size_t(perm[i])];
      element = x.data[size_t(from)];
      for (size_t i = perm.size(); i-- > 0 && ++at[i] == dims[i];) at[i] = 0;
    }
    return y;
  }

  void output(const OnnxPort& p) {
    const OnnxTensor& t = tensors_.at(p.name);
    ImportedPort port{p.name, t.type, t.shape, {}, {}};
    if (t.known) {
      port.known = *t.known;
    } else if (!options_.part.empty()) {
      const OnnxNode identity{.op = "output", .name = p.name, .in = {p.name}, .out = {p.name}};
      NodeImport import(model_, identity, {t}, target_);
      port.value = import.in_order_of(t, t.rank() > 2);
    } else {
      const OnnxNode identity{.op = "output", .name = p.name, .in = {p.name}, .out = {p.name}};
      NodeImport import(model_, identity, {t}, target_);
      port.value = import.plain(t);
      // What is read must be computed, and under one name.
      if (target_.graph.info(port.value).role != Role::computed) port.value = import.add(ops::reshape, {{"shape", t.shape}}, {port.value});
      target_.graph.output(port.value);
    }
    result_.outputs.push_back(std::move(port));
  }

  const OnnxModel& model_;
  const OnnxOptions& options_;
  const std::set<std::string>& decided_;
  OnnxTarget target_;
  std::map<std::string, OnnxTensor> tensors_;
  std::map<std::string, int64_t> symbols_;
  ImportedOnnx result_;
};

void check_version(const OnnxModel& model) {
  const auto it = model.opsets.find("");
  const int64_t version = it == model.opsets.end() ? kLastOpset : it->second;
  if (version < kFirstOpset || version > kLastOpset)
    throw UnsupportedOnnx(fmt::format("{}: got opset {}, expected {} to {}. Fix: convert it with onnx.version_converter", model.source, version, kFirstOpset, kLastOpset));
}

}  // namespace

std::vector<std::string> unsupported_operators(const OnnxModel& model) {
  std::map<std::string, int> counts;
  for (const OnnxNode& n : model.nodes) {
    const auto opset = model.opsets.find(n.domain);
    if (!find_onnx_operator(n.domain, n.op, opset == model.opsets.end() ? 1 : opset->second)) ++counts[shown(n.domain) + (n.domain.empty() ? "" : ".") + shown(n.op)];
  }
  std::vector<std::string> list;
  for (const auto& [name, count] : counts) list.push_back(fmt::format("{} ({})", name, count));
  return list;
}

ImportedOnnx import_onnx(const OnnxModel& model, Graph& graph, const OnnxOptions& options) {
  check_version(model);
  for (const auto& [name, value] : options.values)
    if (std::ranges::none_of(model.inputs, [&, &n = name](const OnnxPort& p) { return p.name == n; })) {
      std::vector<std::string> names;
      for (const OnnxPort& p : model.inputs) names.push_back(shown(p.name));
      fail("--input", "got '{}', but {} has the inputs {}", shown(name), model.source, fmt::join(names, ", "));
    }
  std::set<std::string> decided;
  if (options.layers) {  // they hold on to the graph, and no values are given to begin again with
    try {
      return Importer(model, graph, options, decided).run();
    } catch (const NeedsKnown& needs) {
      throw UnsupportedOnnx(needs.message);
    }
  }
  for (size_t attempt = 0;; ++attempt) {
    Graph fresh = graph;
    try {
      ImportedOnnx result = Importer(model, fresh, options, decided).run();
      graph = std::move(fresh);
      return result;
    } catch (const NeedsKnown& needs) {
      std::set<std::string> given;
      for (const std::string& name : needs.inputs)
        if (options.values.count(name) && !decided.count(name)) given.insert(name);
      if (given.empty() || attempt > model.inputs.size()) throw UnsupportedOnnx(needs.message + ". Fix: give it with --input, or make it a constant of the model");
      decided.insert(given.begin(), given.end());
    }
  }
}

void set_constants(const ImportedOnnx& net, const Graph& graph, States& states) {
  for (const auto& [name, tensor] : net.constants) {
    const ValueInfo& info = graph.info(graph.find(name));
    states.region(name, info.desc);
    if (info.desc.dtype == DType::f32) {
      states.write(name, from_torch(info, tensor.floats()));
      continue;
    }
    std::vector<int32_t> whole;
    for (const double v : tensor.doubles()) whole.push_back(int32_t(v));
    states.write_bytes(name, std::as_bytes(std::span(whole)));
  }
}

}  // namespace vkfer
