#include "graph/executor.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <set>
#include <utility>

#include "graph/op.h"
#include "runtime/error.h"

namespace vkfer {

// ---- States -------------------------------------------------------------------------------------------------------

namespace {
constexpr size_t kStateBlockBytes = size_t(4) << 20;
size_t round_up(size_t n, size_t step) { return (n + step - 1) / step * step; }
}  // namespace

Region States::region(const std::string& name, const TensorDesc& desc) {
  if (auto it = entries_.find(name); it != entries_.end()) {
    if (!(it->second.desc == desc))
      fail("states", "'{}' is kept as {}, but this graph uses it as {}", name, it->second.desc.to_string(), desc.to_string());
    return it->second.region;
  }
  create(name, desc, allocate(desc.bytes()));
  return entries_[name].region;
}

void States::create(const std::string& name, const TensorDesc& desc, Region region) {
  entries_[name] = {desc, region};
  write_bytes(name, std::vector<std::byte>(desc.bytes()));
}

Region States::allocate(size_t bytes) {
  if (bytes > kStateBlockBytes / 4) {  // a block of its own, before the one that is being filled
    blocks_.insert(blocks_.begin(), std::make_unique<Buffer>(device_.buffer(bytes, Usage::device, "states")));
    if (blocks_.size() == 1) block_used_ = bytes;
    return {blocks_.front().get(), 0, bytes};
  }
  if (blocks_.empty() || block_used_ + bytes > blocks_.back()->bytes()) {
    blocks_.push_back(std::make_unique<Buffer>(device_.buffer(kStateBlockBytes, Usage::device, "states")));
    block_used_ = 0;
  }
  const Region region{blocks_.back().get(), block_used_, bytes};
  block_used_ = round_up(block_used_ + bytes, std::max<size_t>(device_.info().storage_alignment, 64));
  return region;
}

bool States::lies_so(std::span<const Placed> tensors) const {
  const auto begin = [&](const Placed& t) -> std::pair<const Buffer*, ptrdiff_t> {
    const auto it = entries_.find(t.name);
    if (it == entries_.end()) return {nullptr, 0};
    return {it->second.region.buffer, ptrdiff_t(it->second.region.offset) - ptrdiff_t(t.offset)};
  };
  const auto first = begin(tensors[0]);
  return first.first && std::all_of(tensors.begin(), tensors.end(), [&](const Placed& t) { return begin(t) == first; });
}

void States::arrange(std::span<const Placed> tensors, size_t bytes) {
  for (const Placed& t : tensors)
    if (has(t.name)) region(t.name, t.desc);  // fails for another shape
  if (lies_so(tensors)) return;
  const Region whole = allocate(bytes);
  bool moved = false;
  for (const Placed& t : tensors) {
    const Region place{whole.buffer, whole.offset + t.offset, t.desc.bytes()};
    if (!has(t.name)) {
      create(t.name, t.desc, place);
      continue;
    }
    const std::vector<std::byte> contents = read_bytes(t.name);
    entries_[t.name].region = place;
    write_bytes(t.name, contents);
    moved = true;
  }
  if (!moved) return;
  ++layout_;
  std::set<const Buffer*> used{blocks_.back().get()};
  for (const auto& [name, entry] : entries_) used.insert(entry.region.buffer);
  std::erase_if(blocks_, [&](const auto& block) { return !used.count(block.get()); });
}

const TensorDesc& States::desc(const std::string& name) const {
  auto it = entries_.find(name);
  if (it == entries_.end()) fail("states", "there is no tensor named '{}'", name);
  return it->second.desc;
}

std::vector<std::string> States::names() const {
  std::vector<std::string> all;
  for (const auto& [name, entry] : entries_) all.push_back(name);
  return all;
}

size_t States::bytes() const {
  size_t sum = 0;
  for (const auto& b : blocks_) sum += b->bytes();
  return sum;
}

void States::write_bytes(const std::string& name, std::span<const std::byte> bytes) {
  const size_t expected = desc(name).bytes();
  if (bytes.size() != expected) fail("states", "'{}': got {} bytes, expected {}", name, bytes.size(), expected);
  if (expected) device_.upload(entries_[name].region, bytes);
  touch();
}

std::vector<std::byte> States::read_bytes(const std::string& name) {
  std::vector<std::byte> bytes(desc(name).bytes());
  if (!bytes.empty()) device_.download(entries_[name].region, bytes);
  return bytes;
}

namespace {

std::vector<std::byte> to_stored(std::span<const float> values, const TensorDesc& desc) {
  std::vector<std::byte> bytes(desc.bytes());
  if (desc.dtype == DType::f32) {
    std::memcpy(bytes.data(), values.data(), values.size_bytes());
  } else {
    auto* halves = reinterpret_cast<uint16_t*>(bytes.data());
    for (size_t i = 0; i < values.size(); ++i) halves[i] = float_to_half(values[i]);
  }
  return bytes;
}

void from_stored(std::span<const std::byte> bytes, const TensorDesc& desc, std::span<float> values) {
  if (desc.dtype == DType::f32) {
    std::memcpy(values.data(), bytes.data(), values.size_bytes());
  } else {
    auto* halves = reinterpret_cast<const uint16_t*>(bytes.data());
    for (size_t i = 0; i < values.size(); ++i) values[i] = half_to_float(halves[i]);
  }
}

bool is_float(DType t) { return t == DType::f32 || t == DType::f16; }

void check_access(const std::string& name, const TensorDesc& desc, size_t count, bool type_fits) {
  if (!type_fits || count != size_t(desc.elements()))
    fail("executor", "'{}' is {}: got {} elements{}", name, desc.to_string(), count, type_fits ? "" : " of another type");
}

}  // namespace

void States::write(const std::string& name, std::span<const float> values) {
  check_access(name, desc(name), values.size(), is_float(desc(name).dtype));
  write_bytes(name, to_stored(values, desc(name)));
}

std::vector<float> States::read(const std::string& name) {
  const TensorDesc& d = desc(name);
  check_access(name, d, size_t(d.elements()), is_float(d.dtype));
  std::vector<float> values(size_t(d.elements()));
  from_stored(read_bytes(name), d, values);
  return values;
}

// ---- device profiles ------------------------------------------------------------------------------------------------

namespace {

// Shapes that conv_coopmat.cpp's tiles divide into; of those, the one with the most products.
std::array<uint32_t, 3> matrix_for(const DeviceInfo& info) {
  std::array<uint32_t, 3> best{};
  if (!info.cooperative_matrix || !info.shader_float16 || !info.storage_16bit || !has_module("conv_coopmat.f16")) return best;
  const auto fits = [](uint32_t n) { return n == 8 || n == 16 || n == 32; };
  for (const MatrixShape& s : info.matrix_shapes)
    if (fits(s.m) && fits(s.n) && fits(s.k) && s.m * s.n * s.k > best[0] * best[1] * best[2]) best = {s.m, s.n, s.k};
  return best;
}

// The fastest engine whose needs the device meets. A CPU driver has neither shared memory nor matrix units: it emulates both.
Engine engine_for(const DeviceInfo& info, const Target& t) {
  if (info.type == DeviceType::cpu) return info.subgroup_shuffle && t.subgroup_size >= 4 ? Engine::subgroup : Engine::direct;
  return t.matrix[0] ? Engine::coopmat : Engine::shared;
}

}  // namespace

Target target_for(const DeviceInfo& info) {
  Target t;
  t.subgroup_size = std::max(1u, info.subgroup_size);
  t.max_invocations = info.max_invocations;
  t.shared_memory_bytes = uint32_t(info.shared_memory_bytes);
  t.max_storage_range = info.max_storage_range;
  t.storage_alignment = std::max<size_t>(info.storage_alignment, 16);
  t.max_groups = std::min({info.max_groups[0], info.max_groups[1], 65535u});
  t.matrix = matrix_for(info);
  t.engine = engine_for(info, t);
  if (info.type == DeviceType::cpu) {
    // A workgroup runs on one core, subgroup after subgroup: small groups, much work for each invocation.
    t.workgroup = t.subgroup_size;
    t.vectors_per_invocation = 16;
    t.parallel_groups = 16;
    t.scalar_loads = info.scalar_loads;
    t.texel = info.texel_loads;
  } else {
    t.workgroup = std::min(128u, info.max_invocations);
    t.vectors_per_invocation = 4;
    t.parallel_groups = info.cores ? 16 * info.cores : info.type == DeviceType::discrete ? 1024 : 128;
  }
  if (const char* name = std::getenv("VKFER_ENGINE"))
    if (const Engine wanted = engine_from_name(name); wanted < t.engine)
      t.engine = wanted == Engine::subgroup && !(info.subgroup_shuffle && t.subgroup_size >= 4) ? Engine::direct : wanted;
  return t;
}

namespace {

// What a submission may hold, from a cautious guess at the device's speed: drivers end work that runs for seconds.
struct Speed {
  double flops_per_ms, bytes_per_ms;
  double milliseconds(const Cost& c) const { return c.flops / flops_per_ms + c.bytes / bytes_per_ms; }
};

Speed guessed_speed(DeviceType type) {
  switch (type) {
    case DeviceType::discrete: return {1e9, 1e8};   // 1 TFLOP/s, 100 GB/s
    case DeviceType::integrated: return {1e8, 1e7};
    default: return {1e7, 2e6};                     // 10 GFLOP/s, 2 GB/s
  }
}

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + ptrdiff_t(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

constexpr double kSubmissionMilliseconds = 60;
constexpr uint32_t kGuardWord = 0x5AFEC0DEu, kPoisonWord = 0x7FC00001u;  // the latter is a NaN

}  // namespace

// ---- Executor -----------------------------------------------------------------------------------------------------

struct Executor::Impl {
  Device& device;
  Graph graph;
  Plan plan;
  States& states;
  std::vector<Buffer> blocks;
  std::map<int, Region> state_regions;                // by value id
  uint64_t states_layout = 0;                         // that state_regions is true of
  Buffer table_memory;
  std::vector<std::vector<Region>> tables;            // by planned node
  std::unique_ptr<CommandStream> prologue, main;
  double time_scale = 1;                              // measured / guessed
  double waited_milliseconds = 0;
  bool warm = false;
  uint64_t prologue_version = 0;
  bool updates_states;

  Impl(Device& d, Graph g, Plan p, States& s) : device(d), graph(std::move(g)), plan(std::move(p)), states(s) {
    if (plan.values.size() != graph.values().size()) fail("executor", "the plan was made for another graph");
    for (size_t bytes : plan.block_bytes) blocks.push_back(device.buffer(std::max<size_t>(bytes, 16), Usage::device, "activations"));
    write_tables();
    updates_states = !graph.updates().empty();
    refresh();
  }

  // Finds the states, and records the commands that name their places: again when another graph has moved them.
  void refresh() {
    if (states_layout == states.layout()) return;
    for (const StatePack& pack : plan.state_packs) {
      std::vector<States::Placed> tensors;
      for (size_t i = 0; i < pack.values.size(); ++i) {
        const ValueInfo& info = graph.values()[size_t(pack.values[i])];
        tensors.push_back({info.name, info.desc, pack.layout.offsets[i]});
      }
      states.arrange(tensors, pack.layout.bytes);
    }
    for (size_t v = 0; v < graph.values().size(); ++v)
      if (graph.values()[v].role == Role::state) state_regions[int(v)] = states.region(graph.values()[v].name, graph.values()[v].desc);
    states_layout = states.layout();
    prologue = record(true, false);
    main = record(false, false);
  }

  void write_tables() {
    const size_t alignment = std::max<size_t>(device.info().storage_alignment, 16);
    size_t bytes = 0;
    for (const PlannedNode& n : plan.nodes)
      for (const auto& table : n.lowered.tables) bytes += round_up(table.size(), alignment);
    if (bytes) table_memory = device.buffer(bytes, Usage::device, "tables");
    bytes = 0;
    for (const PlannedNode& n : plan.nodes) {
      tables.emplace_back();
      for (const auto& table : n.lowered.tables) {
        tables.back().push_back({&table_memory, bytes, table.size()});
        device.upload(tables.back().back(), table);
        bytes += round_up(table.size(), alignment);
      }
    }
  }

  Region place(const Placement& p) { return {&blocks[size_t(p.block)], p.offset, p.bytes}; }

  Region region(Value v) {
    const int state = graph.info(v).role == Role::state ? v.id : plan.state_of[size_t(v.id)];
    if (state >= 0) return state_regions.at(state);
    const Placement& p = plan.values[size_t(v.id)];
    if (p.block < 0) fail("executor", "'{}' has no storage: nothing that is kept depends on it. Fix: mark it with Graph::output", graph.info(v).name);
    return place(p);
  }

  Region current(Value v) {  // for the host, between runs
    refresh();
    return region(v);
  }

  bool is_guarded(const Binding& b) const {
    if (b.kind != Binding::Kind::value) return b.kind == Binding::Kind::workspace;
    return graph.info(Value{b.id}).role != Role::state && plan.state_of[size_t(b.id)] < 0;
  }

  Region region(const PlannedNode& n, const Binding& b) {
    if (b.kind == Binding::Kind::table) return tables[size_t(&n - plan.nodes.data())][size_t(b.id)];
    Region r = b.kind == Binding::Kind::value ? region(Value{b.id}) : place(n.workspaces[size_t(b.id)]);
    const size_t whole = r.bytes;
    r.offset += b.offset;
    r.bytes = b.bytes ? b.bytes : whole - b.offset;
    // Tests bind the guard too: drivers drop what goes past a bound range, and the canary would live on.
    if (b.offset + r.bytes == whole && is_guarded(b)) r.bytes += plan.guard_bytes;
    return r;
  }

  std::unique_ptr<CommandStream> record(bool prologue_part, bool timed) {
    const Speed speed = guessed_speed(device.info().type);
    auto stream = std::make_unique<CommandStream>(device.stream());
    double pending = 0;
    for (const PlannedNode& n : plan.nodes) {
      if (n.prologue != prologue_part) continue;
      const double cost = speed.milliseconds(n.lowered.cost) * time_scale;
      if (pending > 0 && pending + cost > kSubmissionMilliseconds) stream->cut(), pending = 0;
      pending += cost;
      for (const Dispatch& d : n.lowered.dispatches) {
        std::vector<Region> regions;
        for (const Binding& b : d.bindings) regions.push_back(region(n, b));
        stream->dispatch(device.kernel(d.module, d.constants), regions, d.push, d.groups);
      }
      if (timed) stream->mark(graph.nodes()[size_t(n.node)].label);
    }
    stream->finish();
    return stream;
  }

  void replay(CommandStream& stream) {
    if (!stream.dispatches()) return;
    stream.submit();
    const auto start = std::chrono::steady_clock::now();
    stream.wait();
    waited_milliseconds += milliseconds_since(start);
  }

  void run_prologue() {
    if (prologue_version == states.version()) return;
    replay(*prologue);
    prologue_version = states.version();
  }

  void run(CommandStream& stream) {
    waited_milliseconds = 0;
    run_prologue();
    replay(stream);
    if (updates_states) {
      states.touch();
      // What the prologue read is never updated here, so its results stay valid.
      prologue_version = states.version();
    }
  }

  // Moves submission boundaries, never a summation order: the dispatches stay the same.
  void adapt(double measured_ms) {
    if (!std::exchange(warm, true)) return;  // drivers compile in the first run
    const double guessed = guessed_speed(device.info().type).milliseconds(plan.cost) * time_scale;
    if (main->submissions() < 1 || measured_ms / double(main->submissions()) < 2 * kSubmissionMilliseconds || guessed <= 0) return;
    time_scale *= measured_ms / guessed;
    main = record(false, false);
  }
};

Executor::Executor(Device& device, Graph graph, Plan plan, States& states)
    : impl_(std::make_unique<Impl>(device, std::move(graph), std::move(plan), states)) {}
Executor::~Executor() = default;

const Graph& Executor::graph() const { return impl_->graph; }
const Plan& Executor::plan() const { return impl_->plan; }

void Executor::write(Value v, std::span<const float> values) {
  const TensorDesc& d = graph().desc(v);
  check_access(graph().info(v).name, d, values.size(), is_float(d.dtype));
  impl_->device.upload(impl_->current(v), to_stored(values, d));
}

void Executor::write(Value v, std::span<const int32_t> values) {
  check_access(graph().info(v).name, graph().desc(v), values.size(), graph().desc(v).dtype == DType::i32);
  impl_->device.upload(impl_->current(v), std::as_bytes(values));
}

void Executor::write(Value v, std::span<const uint8_t> values) {
  check_access(graph().info(v).name, graph().desc(v), values.size(), graph().desc(v).dtype == DType::u8);
  Region r = impl_->current(v);
  r.bytes = values.size();
  impl_->device.upload(r, std::as_bytes(values));
}

void Executor::read(Value v, std::span<float> values) {
  const TensorDesc& d = graph().desc(v);
  check_access(graph().info(v).name, d, values.size(), is_float(d.dtype));
  std::vector<std::byte> bytes(d.bytes());
  impl_->device.download(impl_->current(v), bytes);
  from_stored(bytes, d, values);
}

void Executor::read(Value v, std::span<int32_t> values) {
  check_access(graph().info(v).name, graph().desc(v), values.size(), graph().desc(v).dtype == DType::i32);
  impl_->device.download(impl_->current(v), std::as_writable_bytes(values));
}

void Executor::read(Value v, std::span<uint8_t> values) {
  check_access(graph().info(v).name, graph().desc(v), values.size(), graph().desc(v).dtype == DType::u8);
  Region r = impl_->current(v);
  r.bytes = values.size();
  impl_->device.download(r, std::as_writable_bytes(values));
}

std::vector<float> Executor::read(Value v) {
  std::vector<float> values(size_t(graph().desc(v).elements()));
  read(v, std::span<float>(values));
  return values;
}

float Executor::read_scalar(Value v) {
  float value = 0;
  read(v, std::span<float>(&value, 1));
  return value;
}

void Executor::run() {
  impl_->refresh();
  const auto start = std::chrono::steady_clock::now();
  impl_->run(*impl_->main);
  impl_->adapt(milliseconds_since(start));
}

double Executor::waited_milliseconds() const { return impl_->waited_milliseconds; }
RecordedWork Executor::recorded() const { return {impl_->main->dispatches(), impl_->main->barriers(), impl_->main->submissions()}; }

std::vector<NodeTiming> Executor::profile(int runs) {
  impl_->refresh();
  const std::unique_ptr<CommandStream> timed = impl_->record(false, true);
  std::vector<NodeTiming> result;
  for (const PlannedNode& n : plan().nodes) {
    if (n.prologue) continue;
    const Node& node = graph().nodes()[size_t(n.node)];
    result.push_back({n.node, node.label, std::string(node.op->name), 0, {}, n.lowered.cost});
  }
  for (int run = 0; run < std::max(runs, 1); ++run) {
    impl_->run(*timed);
    const std::vector<Timing> timings = timed->timings();
    if (timings.size() != result.size()) return {};
    for (size_t i = 0; i < timings.size(); ++i) result[i].samples.push_back(timings[i].milliseconds);
  }
  for (NodeTiming& t : result) t.milliseconds = median(t.samples);
  return result;
}

// ---- tests: poison and guards ---------------------------------------------------------------------------------------

namespace {

template <class Visit>
void for_each_placement(const Graph& graph, const Plan& plan, Visit visit) {
  for (size_t v = 0; v < plan.values.size(); ++v)
    if (plan.values[v].block >= 0 && plan.state_of[v] < 0) visit(plan.values[v], graph.values()[v].name);
  for (const PlannedNode& n : plan.nodes)
    for (const Placement& w : n.workspaces) visit(w, graph.nodes()[size_t(n.node)].label + " (workspace)");
}

}  // namespace

void Executor::poison() {
  std::vector<std::vector<uint32_t>> images;
  for (const Buffer& b : impl_->blocks) images.emplace_back(b.bytes() / 4, kPoisonWord);
  for_each_placement(graph(), plan(), [&](const Placement& p, const std::string&) {
    auto& image = images[size_t(p.block)];
    const size_t begin = (p.offset + p.bytes + 3) / 4;
    std::fill_n(image.begin() + std::ptrdiff_t(begin), plan().guard_bytes / 4, kGuardWord);
  });
  for (size_t b = 0; b < images.size(); ++b)
    impl_->device.upload({&impl_->blocks[b], 0, images[b].size() * 4}, std::as_bytes(std::span(images[b])));
  impl_->prologue_version = 0;
}

std::string Executor::check_guards() {
  std::vector<std::vector<uint32_t>> images;
  for (Buffer& b : impl_->blocks) {
    images.emplace_back(b.bytes() / 4);
    impl_->device.download({&b, 0, images.back().size() * 4}, std::as_writable_bytes(std::span(images.back())));
  }
  std::string hit;
  for_each_placement(graph(), plan(), [&](const Placement& p, const std::string& name) {
    const size_t begin = (p.offset + p.bytes + 3) / 4;
    for (size_t i = 0; i < plan().guard_bytes / 4 && hit.empty(); ++i)
      if (images[size_t(p.block)][begin + i] != kGuardWord) hit = name;
  });
  return hit;
}

}  // namespace vkfer
