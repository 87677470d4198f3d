#include "models/weights/torch_values.h"

#include <algorithm>

#include "models/weights/bytes.h"

namespace vkfer {
namespace {

constexpr size_t kMaxRank = 16, kMaxDepth = 64, kMaxName = 500, kMaxNotes = 20;
constexpr size_t kMaxChildren = 1 << 20, kMaxLooks = 64 << 20;  // containers entered and values looked at while walking
constexpr int kMaxWraps = 8;                     // Parameter(Tensor), type(Tensor), ...
constexpr uint64_t kFreely = 64 << 20, kMaxExpansion = 8;  // views may expand to so much, and so many times their storages

struct TypeRow {
  std::string_view storage, dtype, numpy;
  StoredType type;
};
constexpr TypeRow kTypes[] = {
    {"FloatStorage", "float32", "f4", StoredType::f32},   {"DoubleStorage", "float64", "f8", StoredType::f64},
    {"HalfStorage", "float16", "f2", StoredType::f16},    {"BFloat16Storage", "bfloat16", "", StoredType::bf16},
    {"LongStorage", "int64", "i8", StoredType::i64},      {"IntStorage", "int32", "i4", StoredType::i32},
    {"ShortStorage", "int16", "i2", StoredType::i16},     {"CharStorage", "int8", "i1", StoredType::i8},
    {"ByteStorage", "uint8", "u1", StoredType::u8},       {"BoolStorage", "bool", "b1", StoredType::boolean},
    {"", "uint64", "u8", StoredType::u64},                {"", "uint32", "u4", StoredType::u32},
    {"", "uint16", "u2", StoredType::u16},                {"UntypedStorage", "", "", StoredType::u8},
};

// Where checkpoints keep the network, likeliest first.
constexpr std::string_view kNetworks[] = {"state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "weights", "params", "params_ema", "ema", "generator"};

// What PyTorch calls to make a tensor again.
enum class Rebuild { tensor, tensor_with_dtype, wrapped_first, wrapped_call, array, array_buffer, scalar };
struct RebuildRow {
  std::string_view global;
  Rebuild how;
};
constexpr RebuildRow kRebuilds[] = {
    {"torch._utils _rebuild_tensor", Rebuild::tensor},
    {"torch._utils _rebuild_tensor_v2", Rebuild::tensor},
    {"torch._utils _rebuild_tensor_v3", Rebuild::tensor_with_dtype},
    {"torch._utils _rebuild_parameter", Rebuild::wrapped_first},
    {"torch._utils _rebuild_parameter_with_state", Rebuild::wrapped_first},
    {"torch.nn.parameter Parameter", Rebuild::wrapped_first},
    {"torch.autograd.variable Variable", Rebuild::wrapped_first},
    {"torch._tensor _rebuild_from_type", Rebuild::wrapped_call},
    {"torch._tensor _rebuild_from_type_v2", Rebuild::wrapped_call},
    {"numpy.core.multiarray _reconstruct", Rebuild::array},
    {"numpy._core.multiarray _reconstruct", Rebuild::array},
    {"numpy.core.numeric _frombuffer", Rebuild::array_buffer},
    {"numpy._core.numeric _frombuffer", Rebuild::array_buffer},
    {"numpy.core.multiarray scalar", Rebuild::scalar},
    {"numpy._core.multiarray scalar", Rebuild::scalar},
};
// Tensors that are no plain array; named, so that the message is better than "missing".
constexpr std::string_view kRefused[] = {"_rebuild_sparse_tensor", "_rebuild_sparse_csr_tensor", "_rebuild_qtensor", "_rebuild_meta_tensor_no_storage", "_rebuild_nested_tensor",
                                         "_rebuild_wrapper_subclass", "_rebuild_device_tensor_from_numpy", "_load_from_bytes"};

const RebuildRow* rebuild_row(std::string_view global) {
  const auto row = std::ranges::find(kRebuilds, global, &RebuildRow::global);
  return row == std::end(kRebuilds) ? nullptr : row;
}

bool is_refused(std::string_view global) {
  return global.starts_with("torch") && std::ranges::any_of(kRefused, [&](std::string_view r) { return global.ends_with(r) && global[global.size() - r.size() - 1] == ' '; });
}

std::vector<int64_t> row_major(const std::vector<int64_t>& shape) {
  std::vector<int64_t> stride(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) stride[i - 1] = stride[i] * std::max<int64_t>(shape[i], 1);
  return stride;
}

PickleValue whole_value(size_t i) {
  PickleValue v;
  v.kind = PickleKind::integer;
  v.integer = int64_t(i);
  return v;
}

// Of a shape that was checked.
uint64_t view_bytes(const TorchView& v) {
  uint64_t bytes = stored_bytes(v.storage.type);
  for (const int64_t d : v.shape) bytes *= uint64_t(d);
  return bytes;
}

}  // namespace

StoredType torch_type(std::string_view global, const std::string& source) {
  const size_t space = global.find(' ');
  const std::string_view module = global.substr(0, space), name = space == global.npos ? std::string_view() : global.substr(space + 1);
  if (!name.empty() && (module == "torch" || module == "torch.cuda" || module == "torch.storage"))
    for (const TypeRow& row : kTypes)
      if (name == row.storage || name == row.dtype) return row.type;
  fail("torch", "{}: got elements of type '{}', expected floats (half to double), integers or booleans. Fix: save the model in such a type", source, shown(global));
}

template <class... Args>
void TorchValues::refuse(const std::string& name, fmt::format_string<Args...> format, Args&&... args) const {
  fail("torch", "{}: '{}': {}. Fix: save the file again", source_, shown(name), fmt::format(format, std::forward<Args>(args)...));
}

// ---- values -------------------------------------------------------------------------------------------------------

PickleValue TorchValues::item(PickleValue tuple, size_t i, const std::string& name) const {
  const auto items = pickle_.items(tuple);
  if (tuple.kind == PickleKind::object || i >= items.size()) refuse(name, "got {} arguments, expected {} or more", items.size(), i + 1);
  return items[i];
}

int64_t TorchValues::whole(PickleValue v, const std::string& name, const char* what) const {
  if (v.kind != PickleKind::integer || v.integer < 0) refuse(name, "{}: expected a whole number, 0 or more", what);
  return v.integer;
}

std::vector<int64_t> TorchValues::wholes(PickleValue v, const std::string& name, const char* what) const {
  if (v.kind == PickleKind::object) v = item(pickle_.arguments(v), 0, name);  // torch.Size((2, 3))
  const auto items = pickle_.items(v);
  if ((v.kind != PickleKind::tuple && v.kind != PickleKind::list) || items.size() > kMaxRank) refuse(name, "{}: expected a tuple of at most {} numbers", what, kMaxRank);
  std::vector<int64_t> numbers;
  for (const PickleValue i : items) numbers.push_back(whole(i, name, what));
  return numbers;
}

void TorchValues::spend(size_t& counter, size_t amount, size_t limit) const {
  counter += amount;
  if (counter > limit) fail("torch", "{}: more than {} values to walk through, expected a network's. Fix: save its state_dict alone", source_, limit);
}

std::optional<PickleValue> TorchValues::entry(PickleValue map, std::string_view key) {
  const auto entries = pickle_.entries(map);
  spend(looked_at_, entries.size(), kMaxLooks);
  for (size_t i = 0; i + 1 < entries.size(); i += 2)
    if (entries[i].kind == PickleKind::text && pickle_.text(entries[i]) == key) return entries[i + 1];
  return std::nullopt;
}

// An object's attributes; with __slots__ they are the first of two.
PickleValue TorchValues::state_of(PickleValue object) const {
  const PickleValue state = pickle_.state(object);
  const auto items = pickle_.items(state);
  return state.kind == PickleKind::tuple && !items.empty() ? items[0] : state;
}

// ---- tensors ------------------------------------------------------------------------------------------------------

bool TorchValues::is_tensor(PickleValue v) const {
  if (v.kind == PickleKind::persistent) return storages_.is_tensor(v);
  if (v.kind != PickleKind::object) return false;
  const std::string_view global = pickle_.text(pickle_.callable(v));
  return rebuild_row(global) || is_refused(global);
}

TorchView TorchValues::view(PickleValue v, const std::string& name) {
  if (v.kind == PickleKind::persistent) return storages_.find(v);
  PickleValue callable = pickle_.callable(v), arguments = pickle_.arguments(v), state = pickle_.state(v);
  for (int wraps = 0; wraps < kMaxWraps; ++wraps) {
    const std::string_view global = pickle_.text(callable);
    if (is_refused(global)) refuse(name, "got a tensor made by '{}', expected a dense one", shown(global));
    const RebuildRow* row = rebuild_row(global);
    if (!row) break;
    const auto argument = [&](size_t i) { return item(arguments, i, name); };
    switch (row->how) {
      case Rebuild::tensor: return rebuilt(arguments, name, false);
      case Rebuild::tensor_with_dtype: return rebuilt(arguments, name, true);
      case Rebuild::array: return array(item(state, 4, name), item(state, 2, name), item(state, 1, name), item(state, 3, name).integer != 0, name);
      case Rebuild::array_buffer: return array(argument(0), argument(1), argument(2), pickle_.text(argument(3)) == "F", name);
      case Rebuild::scalar: return array(argument(1), argument(0), {}, false, name);
      case Rebuild::wrapped_call:
        callable = argument(0);
        arguments = argument(2);
        break;
      case Rebuild::wrapped_first: {
        const PickleValue inner = argument(0);
        if (inner.kind == PickleKind::persistent) return storages_.find(inner);
        if (inner.kind != PickleKind::object) refuse(name, "got a parameter without a tensor");
        callable = pickle_.callable(inner), arguments = pickle_.arguments(inner), state = pickle_.state(inner);
      }
    }
  }
  refuse(name, "got a tensor made by '{}', expected one of PyTorch's or NumPy's", shown(pickle_.text(callable)));
}

TorchView TorchValues::rebuilt(PickleValue arguments, const std::string& name, bool with_dtype) {
  const PickleValue storage = item(arguments, 0, name);
  if (storage.kind != PickleKind::persistent) refuse(name, "got a tensor without a storage");
  TorchView v = storages_.find(storage);
  v.offset += uint64_t(whole(item(arguments, 1, name), name, "offset"));
  v.shape = wholes(item(arguments, 2, name), name, "shape");
  v.stride = wholes(item(arguments, 3, name), name, "strides");
  if (with_dtype) v.storage.type = torch_type(pickle_.text(item(arguments, 6, name)), source_);
  return v;
}

// NumPy's "dtype('f4', 0, 1)" with the state (3, '<', ...).
StoredType TorchValues::array_type(PickleValue dtype, const std::string& name) const {
  if (dtype.kind != PickleKind::object || pickle_.text(pickle_.callable(dtype)) != "numpy dtype") refuse(name, "got an array without a dtype");
  const std::string_view text = pickle_.text(item(pickle_.arguments(dtype), 0, name));
  const auto state = pickle_.items(pickle_.state(dtype));
  if (state.size() > 1 && pickle_.text(state[1]) == ">") refuse(name, "got an array in big-endian order, expected little-endian");
  for (const TypeRow& row : kTypes)
    if (!row.numpy.empty() && row.numpy == text) return row.type;
  refuse(name, "got an array of dtype '{}', expected floats, integers or booleans", shown(text));
}

// Bytes, or what protocol 2 makes of them: _codecs.encode(text, 'latin1').
std::span<const std::byte> TorchValues::raw_bytes(PickleValue v) {
  if (v.kind != PickleKind::object) return std::as_bytes(std::span(pickle_.text(v)));
  const auto arguments = pickle_.items(pickle_.arguments(v));
  if (pickle_.text(pickle_.callable(v)) != "_codecs encode" || arguments.empty()) return {};
  std::vector<std::byte> out;
  const std::string_view text = pickle_.text(arguments[0]);
  for (size_t i = 0; i < text.size(); ++i) {     // UTF-8 of U+0000 to U+00FF
    const uint8_t c = uint8_t(text[i]);
    if (c < 0x80) out.push_back(std::byte(c));
    else if ((c == 0xc2 || c == 0xc3) && i + 1 < text.size()) out.push_back(std::byte((c << 6) | (uint8_t(text[++i]) & 0x3f)));
    else return {};
  }
  decoded_.push_back(std::move(out));
  return decoded_.back();
}

TorchView TorchValues::array(PickleValue data, PickleValue dtype, PickleValue shape, bool fortran, const std::string& name) {
  TorchView v;
  v.storage = {array_type(dtype, name), raw_bytes(data)};
  if (shape.kind != PickleKind::none) v.shape = wholes(shape, name, "shape");
  uint64_t elements = v.storage.bytes.size() / stored_bytes(v.storage.type), wanted = 1;
  for (const int64_t d : v.shape)
    if (__builtin_mul_overflow(wanted, uint64_t(d), &wanted)) wanted = UINT64_MAX;
  if (wanted != elements || v.storage.bytes.size() % stored_bytes(v.storage.type) != 0) refuse(name, "got an array of {} bytes, expected as many as its shape and dtype say", v.storage.bytes.size());
  v.stride = row_major(v.shape);
  if (fortran) {
    const std::vector<int64_t> reversed(v.shape.rbegin(), v.shape.rend());
    v.stride = row_major(reversed);
    std::ranges::reverse(v.stride);
  }
  return v;
}

// Every element must lie inside the storage, by arithmetic that cannot overflow.
void TorchValues::check(const TorchView& v, const std::string& name) const {
  const uint64_t element = stored_bytes(v.storage.type), count = v.storage.bytes.size() / element;
  if (v.shape.size() != v.stride.size()) refuse(name, "got {} dimensions and {} strides, expected as many", v.shape.size(), v.stride.size());
  uint64_t bytes = element, last = v.offset;
  bool empty = false;
  for (const int64_t d : v.shape) empty = empty || d == 0;
  for (size_t i = 0; i < v.shape.size(); ++i) {
    uint64_t reach = 0;
    const uint64_t d = uint64_t(v.shape[i]);
    if (d > kMaxFileBytes || (!empty && bytes > kMaxFileBytes / d)) refuse(name, "its shape [{}] exceeds 8 GiB", fmt::join(v.shape, ","));
    if (empty) continue;
    bytes *= d;
    if (__builtin_mul_overflow(d - 1, uint64_t(v.stride[i]), &reach) || __builtin_add_overflow(last, reach, &last))
      refuse(name, "shape [{}] with strides [{}] leaves its storage of {} elements", fmt::join(v.shape, ","), fmt::join(v.stride, ","), count);
  }
  if (!empty && last >= count)
    refuse(name, "shape [{}] with strides [{}] from element {} on reaches element {}, expected below the {} of its storage", fmt::join(v.shape, ","), fmt::join(v.stride, ","),
           v.offset, last, count);
}

WeightTensor copied(const TorchView& v) {
  WeightTensor t{v.storage.type, v.shape, {}};
  const uint64_t element = stored_bytes(t.type), bytes = view_bytes(v);
  t.bytes.resize(bytes);
  if (bytes == 0) return t;
  const std::byte* from = v.storage.bytes.data();
  if (v.stride == row_major(v.shape)) {
    std::memcpy(t.bytes.data(), from + v.offset * element, bytes);
    return t;
  }
  std::vector<int64_t> at(v.shape.size());
  uint64_t source = v.offset;
  for (uint64_t to = 0; to < bytes; to += element) {
    std::memcpy(t.bytes.data() + to, from + source * element, element);
    for (size_t i = at.size(); i-- > 0;) {       // the next element: an odometer
      source += uint64_t(v.stride[i]);
      if (++at[i] < v.shape[i]) break;
      source -= uint64_t(v.stride[i]) * uint64_t(v.shape[i]);
      at[i] = 0;
    }
  }
  return t;
}

// ---- the way to the network ---------------------------------------------------------------------------------------

bool TorchValues::is_module(PickleValue v) {
  return v.kind == PickleKind::object && entry(state_of(v), "_parameters") && entry(state_of(v), "_modules");
}

// What lies directly below a value, by name: a map's entries, a module's parameters, buffers and modules, a list's
// elements, an object's attributes.
std::vector<TorchValues::Named> TorchValues::children(PickleValue v, Take take) {
  std::vector<Named> out;
  const auto add_named = [&](std::string_view name, PickleValue value) {
    if (take == Take::containers && value.kind < PickleKind::tuple) return;
    if (name.size() > kMaxName) refuse(std::string(name.substr(0, kMaxName)), "a name of {} bytes, expected at most {}", name.size(), kMaxName);
    spend(children_, 1, kMaxChildren);
    out.push_back({std::string(name), value});
  };
  const auto add = [&](PickleValue key, PickleValue value) {
    if (key.kind == PickleKind::text) add_named(pickle_.text(key), value);
    if (key.kind == PickleKind::integer) add_named(std::to_string(key.integer), value);
  };
  const auto add_entries = [&](std::optional<PickleValue> map) {
    if (!map) return;
    const auto entries = pickle_.entries(*map);
    spend(looked_at_, entries.size(), kMaxLooks);
    for (size_t i = 0; i + 1 < entries.size(); i += 2) add(entries[i], entries[i + 1]);
  };
  if (is_module(v)) {
    const PickleValue state = state_of(v);
    std::vector<std::string_view> transient;
    if (const auto names = entry(state, "_non_persistent_buffers_set")) {
      PickleValue list = *names;
      if (list.kind == PickleKind::object && !pickle_.items(pickle_.arguments(list)).empty()) list = pickle_.items(pickle_.arguments(list))[0];  // set([...])
      spend(looked_at_, pickle_.items(list).size(), kMaxLooks);
      for (const PickleValue name : pickle_.items(list)) transient.push_back(pickle_.text(name));
    }
    add_entries(entry(state, "_parameters"));
    add_entries(entry(state, "_buffers"));
    if (!transient.empty()) {
      std::ranges::sort(transient);
      std::erase_if(out, [&](const Named& n) { return std::ranges::binary_search(transient, std::string_view(n.name)); });
    }
    add_entries(entry(state, "_modules"));
    return out;
  }
  if (v.kind == PickleKind::tuple || v.kind == PickleKind::list) {
    const auto items = pickle_.items(v);
    spend(looked_at_, items.size(), kMaxLooks);
    for (size_t i = 0; i < items.size(); ++i) add(whole_value(i), items[i]);
    return out;
  }
  add_entries(v);
  if (v.kind != PickleKind::object || !out.empty()) return out;
  if (pickle_.text(pickle_.callable(v)) == "collections OrderedDict") {  // of Python 2: OrderedDict([[key, value], ...])
    const auto arguments = pickle_.items(pickle_.arguments(v));
    if (!arguments.empty()) spend(looked_at_, pickle_.items(arguments[0]).size(), kMaxLooks);
    if (!arguments.empty())
      for (const PickleValue pair : pickle_.items(arguments[0]))
        if (const auto two = pickle_.items(pair); two.size() == 2) add(two[0], two[1]);
    return out;
  }
  add_entries(state_of(v));
  return out;
}

std::vector<TorchValues::Named> TorchValues::tensors_below(PickleValue root) {
  struct Frame {
    std::vector<Named> children;
    size_t next = 0, name_bytes = 0;             // of the path to here
  };
  std::vector<Named> found;
  if (is_tensor(root)) return {{"tensor", root}};
  std::vector<Frame> frames;
  std::string path;
  const auto enter = [&](PickleValue v) {
    if (frames.size() >= kMaxDepth) refuse(path, "values nest deeper than {}", kMaxDepth);
    frames.push_back({children(v, Take::containers), 0, path.size()});
  };
  enter(root);
  while (!frames.empty()) {
    Frame& frame = frames.back();
    path.resize(frame.name_bytes);
    if (frame.next == frame.children.size()) {
      frames.pop_back();
      continue;
    }
    const Named& child = frame.children[frame.next++];
    path += (path.empty() ? "" : ".") + child.name;
    if (path.size() > kMaxName) refuse(path, "its name has {} bytes, expected at most {}", path.size(), kMaxName);
    if (is_tensor(child.value)) found.push_back({path, child.value});
    else enter(child.value);
  }
  return found;
}

void TorchValues::note(const Named& n, WeightFile& file) {
  const auto add = [&](const std::string& text) {
    if (file.notes.size() < kMaxNotes) file.notes.push_back(shown(n.name) + ": " + text);
  };
  switch (n.value.kind) {
    case PickleKind::boolean: return add(n.value.integer ? "true" : "false");
    case PickleKind::integer: return add(std::to_string(n.value.integer));
    case PickleKind::real: return add(fmt::format("{:.6g}", n.value.real));
    case PickleKind::text: return add("'" + shown(pickle_.text(n.value)) + "'");
    default: break;
  }
  const std::vector<Named> tensors = is_tensor(n.value) ? std::vector<Named>{n} : tensors_below(n.value);
  if (tensors.empty()) return;
  uint64_t bytes = 0;
  for (const Named& t : tensors) {
    const TorchView v = view(t.value, n.name + "." + t.name);
    check(v, n.name + "." + t.name);
    bytes += view_bytes(v);
  }
  add(fmt::format("{} tensor{}, {:.1f} MB, not of the network", tensors.size(), tensors.size() == 1 ? "" : "s", double(bytes) / 1e6));
}

// Through the wrappers of a checkpoint down to what holds the network's tensors.
PickleValue TorchValues::find_network(WeightFile& file) {
  PickleValue at = pickle_.root;
  for (int depth = 0; depth < 4 && !is_module(at) && (at.kind == PickleKind::dict || !pickle_.entries(at).empty()); ++depth) {
    const std::vector<Named> inside = children(at, Take::all);
    if (std::ranges::any_of(inside, [&](const Named& n) { return is_tensor(n.value) && std::ranges::count(n.name, '.') > 0; })) break;  // a state_dict
    std::vector<const Named*> holders;
    for (const Named& n : inside)
      if (n.value.kind >= PickleKind::dict && !is_tensor(n.value) && !tensors_below(n.value).empty()) holders.push_back(&n);
    const Named* chosen = holders.size() == 1 && std::ranges::none_of(inside, [&](const Named& n) { return is_tensor(n.value); }) ? holders[0] : nullptr;
    for (const std::string_view name : kNetworks) {
      const auto it = std::ranges::find(holders, name, [](const Named* n) { return std::string_view(n->name); });
      if (it == holders.end()) continue;
      chosen = *it;
      break;
    }
    if (!chosen) break;
    file.notes.push_back(fmt::format("the network is under '{}'", shown(chosen->name)));
    for (const Named& n : inside)
      if (&n != chosen) note(n, file);
    at = chosen->value;
  }
  return at;
}

WeightFile TorchValues::network() {
  const uint64_t storage_bytes = storages_.bytes();
  WeightFile file;
  file.source = source_;
  const uint64_t limit = std::min(kMaxFileBytes, kFreely + kMaxExpansion * storage_bytes);
  uint64_t total = 0;
  for (const Named& n : tensors_below(find_network(file))) {
    const TorchView v = view(n.value, n.name);
    check(v, n.name);
    total += view_bytes(v);
    if (total > limit) refuse(n.name, "the tensors expand to more than {} bytes, expected at most that from storages of {}", limit, storage_bytes);
    if (std::ranges::any_of(n.name, [](unsigned char c) { return c < 32 || c == 127; })) refuse(n.name, "its name holds control characters");
    if (!file.tensors.emplace(n.name, copied(v)).second) refuse(n.name, "appears twice");
  }
  if (file.tensors.empty()) fail("torch", "{}: no tensors in it, expected a state_dict, a checkpoint or a module. Fix: name a file of weights", source_);
  return file;
}

}  // namespace vkfer
