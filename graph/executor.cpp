#include "graph/executor.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <set>

#include "graph/exchange.h"
#include "graph/op.h"
#include "graph/pacing.h"
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

void States::begin(CommandStream& stream) { in_flight_.push_back(&stream); }
void States::end(CommandStream& stream) { std::erase(in_flight_, &stream); }

void States::settle() {
  for (CommandStream* stream : in_flight_) stream->wait();
}

void States::write_bytes(const std::string& name, std::span<const std::byte> bytes) {
  const size_t expected = desc(name).bytes();
  if (bytes.size() != expected) fail("states", "'{}': got {} bytes, expected {}", name, bytes.size(), expected);
  settle();
  if (expected) device_.upload(entries_[name].region, bytes);
  touch();
}

std::vector<std::byte> States::read_bytes(const std::string& name) {
  std::vector<std::byte> bytes(desc(name).bytes());
  settle();
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

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) { return std::chrono::duration<double, std::milli>(Clock::now() - start).count(); }

double median(std::vector<double> values) {
  const auto middle = values.begin() + ptrdiff_t(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Adds the time of its scope to a sum.
class Stopwatch {
 public:
  explicit Stopwatch(double& milliseconds) : milliseconds_(milliseconds), start_(Clock::now()) {}
  ~Stopwatch() { milliseconds_ += milliseconds_since(start_); }
  Stopwatch(const Stopwatch&) = delete;

 private:
  double& milliseconds_;
  const Clock::time_point start_;
};

constexpr uint32_t kGuardWord = 0x5AFEC0DEu, kPoisonWord = 0x7FC00001u;  // the latter is a NaN

Plan made_for(const Graph& graph, Plan plan) {
  if (plan.values.size() != graph.values().size()) fail("executor", "the plan was made for another graph");
  return plan;
}

}  // namespace

// ---- Executor -----------------------------------------------------------------------------------------------------

// The commands of a run, recorded once for each half of the exchange.
struct Frame {
  std::unique_ptr<CommandStream> stream;
  std::vector<size_t> cuts;                           // as recorded
  uint64_t states_layout = 0;                         // as recorded
  Clock::time_point submitted;
};

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
  Exchange exchange;
  Pacing pacing;                                      // of the nodes that every run runs
  std::unique_ptr<CommandStream> prologue;
  std::array<Frame, Exchange::kHalves> frames;
  size_t next = 0, in_flight = 0;                     // the half that write() fills; the runs before it that are not done
  int shown = -1;                                     // the half that read() reads
  Clock::time_point last_done;
  HostTime host;
  double waited_milliseconds = 0;                     // for the run that was waited for last
  uint64_t prologue_version = 0;
  bool updates_states;

  Impl(Device& d, Graph g, Plan p, States& s)
      : device(d), graph(std::move(g)), plan(made_for(graph, std::move(p))), states(s), exchange(device, graph, plan) {
    for (size_t bytes : plan.block_bytes) blocks.push_back(device.buffer(std::max<size_t>(bytes, 16), Usage::device, "activations"));
    write_tables();
    updates_states = !graph.updates().empty();
    pacing = Pacing(guessed_milliseconds(false));
    refresh();
    record_frame(next);
  }

  // Finds the states: again when another graph has moved them. Frames that name their old places are recorded again when their
  // turn comes.
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
    prologue = std::make_unique<CommandStream>(device.stream());
    record_nodes(*prologue, true, 0, Pacing(guessed_milliseconds(true)).cuts(), false);
    prologue->finish();
  }

  ~Impl() {
    for (Frame& frame : frames)
      if (frame.stream) states.end(*frame.stream);
    // The streams wait for what is in flight; they go before the memory that it uses.
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

  // Where kernels find a value, in runs on this half.
  Region region(Value v, size_t half = 0) {
    if (graph.info(v).role == Role::input && exchange.in_place(v)) return exchange.upload(half, v);
    const int state = graph.info(v).role == Role::state ? v.id : plan.state_of[size_t(v.id)];
    if (state >= 0) return state_regions.at(state);
    const Placement& p = plan.values[size_t(v.id)];
    if (p.block < 0) fail("executor", "'{}' has no storage: nothing that is kept depends on it. Fix: mark it with Graph::output", graph.info(v).name);
    return place(p);
  }

  bool is_guarded(const Binding& b) const {
    if (b.kind != Binding::Kind::value) return b.kind == Binding::Kind::workspace;
    const Role role = graph.info(Value{b.id}).role;
    return role != Role::state && plan.state_of[size_t(b.id)] < 0 && !(role == Role::input && exchange.in_place(Value{b.id}));
  }

  Region region(const PlannedNode& n, const Binding& b, size_t half) {
    if (b.kind == Binding::Kind::table) return tables[size_t(&n - plan.nodes.data())][size_t(b.id)];
    Region r = b.kind == Binding::Kind::value ? region(Value{b.id}, half) : place(n.workspaces[size_t(b.id)]);
    const size_t whole = r.bytes;
    r.offset += b.offset;
    r.bytes = b.bytes ? b.bytes : whole - b.offset;
    // Tests bind the guard too: drivers drop what goes past a bound range, and the canary would live on.
    if (b.offset + r.bytes == whole && is_guarded(b)) r.bytes += plan.guard_bytes;
    return r;
  }

  std::vector<double> guessed_milliseconds(bool prologue_part) const {
    const Speed speed = guessed_speed(device.info().type);
    std::vector<double> guesses;
    for (const PlannedNode& n : plan.nodes)
      if (n.prologue == prologue_part) guesses.push_back(speed.milliseconds(n.lowered.cost));
    return guesses;
  }

  // lavapipe answers for timestamps only when its queue is empty, which would wait for the run behind as well.
  bool marks_submissions() const { return device.info().type != DeviceType::cpu; }

  // `timed`: a mark after every node, else one at the end of every submission.
  void record_nodes(CommandStream& stream, bool prologue_part, size_t half, const std::vector<size_t>& cuts, bool timed) {
    size_t position = 0;
    auto cut = cuts.begin();
    for (const PlannedNode& n : plan.nodes) {
      if (n.prologue != prologue_part) continue;
      if (cut != cuts.end() && *cut == position) {
        if (!timed && marks_submissions()) stream.mark("");
        stream.cut();
        ++cut;
      }
      ++position;
      for (const Dispatch& d : n.lowered.dispatches) {
        std::vector<Region> regions;
        for (const Binding& b : d.bindings) regions.push_back(region(n, b, half));
        stream.dispatch(device.kernel(d.module, d.constants), regions, d.push, d.groups);
      }
      if (timed) stream.mark(graph.nodes()[size_t(n.node)].label);
    }
  }

  std::unique_ptr<CommandStream> record_run(size_t half, const std::vector<size_t>& cuts, bool timed) {
    auto stream = std::make_unique<CommandStream>(device.stream());
    for (const Value v : exchange.inputs())
      if (!exchange.in_place(v)) stream->copy(exchange.upload(half, v), region(v));
    if (timed) stream->mark("");
    record_nodes(*stream, false, half, cuts, timed);
    for (const Value v : exchange.outputs())
      if (is_stored(v)) stream->copy(region(v), exchange.readback(half, v));
    if (!timed && marks_submissions()) stream->mark("");
    stream->finish();
    return stream;
  }

  bool is_stored(Value v) const { return plan.state_of[size_t(v.id)] >= 0 || plan.values[size_t(v.id)].block >= 0; }

  void record_frame(size_t half) {
    frames[half].stream = record_run(half, pacing.cuts(), false);
    frames[half].cuts = pacing.cuts();
    frames[half].states_layout = states_layout;
  }

  // ---- running ----

  size_t oldest() const { return (next + Exchange::kHalves - in_flight) % Exchange::kHalves; }

  void check_room() const {
    if (in_flight >= kMostInFlight) fail("executor", "{} runs are in flight: their inputs are in use. Fix: wait() first", in_flight);
  }

  void check_input(Value v) const {
    if (graph.info(v).role != Role::input) fail("executor", "'{}' is no input of the graph: only inputs are written", graph.info(v).name);
  }

  void write(Value v, std::span<const std::byte> bytes) {
    check_room();
    const Stopwatch watch(host.busy_milliseconds);
    exchange.write(next, v, bytes);
  }

  // Before a run, and in the queue, so that nothing waits.
  void submit_prologue() {
    if (prologue_version == states.version()) return;
    if (prologue->dispatches()) prologue->submit();
    prologue_version = states.version();
  }

  void start(CommandStream& stream) {
    const Stopwatch watch(host.busy_milliseconds);
    submit_prologue();
    if (stream.submissions()) stream.submit();
    states.begin(stream);
    if (updates_states) {
      states.touch();
      // What the prologue read is never updated here, so its results stay valid.
      prologue_version = states.version();
    }
  }

  void prepare(Frame& frame) {
    const Stopwatch watch(host.busy_milliseconds);
    exchange.freshen(next);
    refresh();
    if (!frame.stream || frame.cuts != pacing.cuts() || frame.states_layout != states_layout) record_frame(next);
  }

  void submit() {
    check_room();
    Frame& frame = frames[next];
    prepare(frame);
    frame.submitted = Clock::now();
    start(*frame.stream);
    next = (next + 1) % Exchange::kHalves;
    ++in_flight;
  }

  void finish(CommandStream& stream) {
    const Clock::time_point start = Clock::now();
    states.end(stream);
    prologue->wait();
    stream.wait();
    waited_milliseconds = milliseconds_since(start);
    host.wait_milliseconds += waited_milliseconds;
  }

  void wait() {
    if (!in_flight) fail("executor", "no run is in flight. Fix: submit() first");
    const size_t half = oldest();
    Frame& frame = frames[half];
    finish(*frame.stream);
    --in_flight;
    ++host.runs;
    shown = int(half);
    adapt(frame);
  }

  void adapt(const Frame& frame) {
    const Clock::time_point begun = std::max(frame.submitted, last_done);
    last_done = Clock::now();
    std::vector<double> milliseconds;
    if (marks_submissions())
      for (const Timing& t : frame.stream->timings()) milliseconds.push_back(t.milliseconds);
    // Some drivers give timestamps that do not move.
    if (std::ranges::none_of(milliseconds, [](double t) { return t > 0; })) milliseconds.clear();
    if (milliseconds.empty() && frame.stream->submissions())  // the mean
      milliseconds = {std::chrono::duration<double, std::milli>(last_done - begun).count() / double(frame.stream->submissions())};
    // Frames are recorded again when their turn comes. What was recorded before cuts() changed tells nothing of them.
    if (frame.cuts == pacing.cuts()) pacing.observe(milliseconds);
  }

  void drain() {
    while (in_flight) wait();
  }

  // ---- results ----

  void read(Value v, std::span<std::byte> bytes) {
    const Stopwatch watch(host.busy_milliseconds);
    if (graph.info(v).role == Role::input) {
      const auto written = exchange.input(v);
      if (written.empty()) fail("executor", "input '{}' was never written", graph.info(v).name);
      return void(std::memcpy(bytes.data(), written.data(), bytes.size()));
    }
    if (exchange.reads_back(v)) {
      if (shown < 0) fail("executor", "'{}' is read before a run. Fix: run() first", graph.info(v).name);
      return void(std::memcpy(bytes.data(), exchange.output(size_t(shown), v).data(), bytes.size()));
    }
    if (!in_flight) refresh();
    Region r = region(v);
    if (in_flight) fail("executor", "'{}' may be overwritten by a run in flight. Fix: drain() first", graph.info(v).name);
    r.bytes = bytes.size();
    device.download(r, bytes);
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
  impl_->check_input(v);
  impl_->write(v, to_stored(values, d));
}

void Executor::write(Value v, std::span<const int32_t> values) {
  check_access(graph().info(v).name, graph().desc(v), values.size(), graph().desc(v).dtype == DType::i32);
  impl_->check_input(v);
  impl_->write(v, std::as_bytes(values));
}

void Executor::write(Value v, std::span<const uint8_t> values) {
  check_access(graph().info(v).name, graph().desc(v), values.size(), graph().desc(v).dtype == DType::u8);
  impl_->check_input(v);
  impl_->write(v, std::as_bytes(values));
}

void Executor::read(Value v, std::span<float> values) {
  const TensorDesc& d = graph().desc(v);
  check_access(graph().info(v).name, d, values.size(), is_float(d.dtype));
  std::vector<std::byte> bytes(d.bytes());
  impl_->read(v, bytes);
  from_stored(bytes, d, values);
}

void Executor::read(Value v, std::span<int32_t> values) {
  check_access(graph().info(v).name, graph().desc(v), values.size(), graph().desc(v).dtype == DType::i32);
  impl_->read(v, std::as_writable_bytes(values));
}

void Executor::read(Value v, std::span<uint8_t> values) {
  check_access(graph().info(v).name, graph().desc(v), values.size(), graph().desc(v).dtype == DType::u8);
  impl_->read(v, std::as_writable_bytes(values));
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

bool Executor::is_small(Value v) const { return impl_->exchange.reads_back(v); }

void Executor::submit() { impl_->submit(); }
void Executor::wait() { impl_->wait(); }
size_t Executor::in_flight() const { return impl_->in_flight; }
void Executor::drain() { impl_->drain(); }

void Executor::run() {
  impl_->submit();
  impl_->drain();
}

HostTime Executor::host_time() const { return impl_->host; }
double Executor::waited_milliseconds() const { return impl_->waited_milliseconds; }

RecordedWork Executor::recorded() const {
  const CommandStream& stream = *impl_->frames[0].stream;
  return {stream.dispatches(), stream.barriers(), stream.submissions()};
}

std::vector<NodeTiming> Executor::profile(int runs) {
  impl_->drain();
  impl_->refresh();
  const size_t half = impl_->next;
  impl_->exchange.freshen(half);
  const std::unique_ptr<CommandStream> timed = impl_->record_run(half, impl_->pacing.cuts(), true);
  std::vector<NodeTiming> result;
  for (const PlannedNode& n : plan().nodes) {
    if (n.prologue) continue;
    const Node& node = graph().nodes()[size_t(n.node)];
    result.push_back({n.node, node.label, std::string(node.op->name), 0, {}, n.lowered.cost});
  }
  for (int run = 0; run < std::max(runs, 1); ++run) {
    impl_->start(*timed);
    impl_->finish(*timed);
    impl_->shown = int(half);
    const std::vector<Timing> timings = timed->timings();
    if (timings.size() != result.size() + 1) return {};  // the first ends with the copies
    for (size_t i = 0; i < result.size(); ++i) result[i].samples.push_back(timings[i + 1].milliseconds);
  }
  for (NodeTiming& t : result) t.milliseconds = median(t.samples);
  return result;
}

// ---- tests: poison and guards ---------------------------------------------------------------------------------------

namespace {

// Of its own for every place: a kernel that copies past an end copies its input's guard.
uint32_t guard_word(const Placement& p) { return kGuardWord ^ uint32_t(p.offset / 4 + size_t(p.block)) * 2654435761u; }

template <class Visit>
void for_each_placement(const Graph& graph, const Plan& plan, Visit visit) {
  for (size_t v = 0; v < plan.values.size(); ++v)
    if (plan.values[v].block >= 0 && plan.state_of[v] < 0) visit(plan.values[v], graph.values()[v].name);
  for (const PlannedNode& n : plan.nodes)
    for (const Placement& w : n.workspaces) visit(w, graph.nodes()[size_t(n.node)].label + " (workspace)");
}

}  // namespace

void Executor::poison() {
  impl_->drain();
  for (size_t half = 0; half < Exchange::kHalves; ++half) impl_->exchange.poison(half, kPoisonWord);
  std::vector<std::vector<uint32_t>> images;
  for (const Buffer& b : impl_->blocks) images.emplace_back(b.bytes() / 4, kPoisonWord);
  for_each_placement(graph(), plan(), [&](const Placement& p, const std::string&) {
    auto& image = images[size_t(p.block)];
    const size_t begin = (p.offset + p.bytes + 3) / 4;
    std::fill_n(image.begin() + std::ptrdiff_t(begin), plan().guard_bytes / 4, guard_word(p));
  });
  for (size_t b = 0; b < images.size(); ++b)
    impl_->device.upload({&impl_->blocks[b], 0, images[b].size() * 4}, std::as_bytes(std::span(images[b])));
  impl_->prologue_version = 0;
}

std::string Executor::check_guards() {
  impl_->drain();
  std::vector<std::vector<uint32_t>> images;
  for (Buffer& b : impl_->blocks) {
    images.emplace_back(b.bytes() / 4);
    impl_->device.download({&b, 0, images.back().size() * 4}, std::as_writable_bytes(std::span(images.back())));
  }
  std::string hit;
  for_each_placement(graph(), plan(), [&](const Placement& p, const std::string& name) {
    const size_t begin = (p.offset + p.bytes + 3) / 4;
    for (size_t i = 0; i < plan().guard_bytes / 4 && hit.empty(); ++i)
      if (images[size_t(p.block)][begin + i] != guard_word(p)) hit = name;
  });
  return hit;
}

}  // namespace vkfer
