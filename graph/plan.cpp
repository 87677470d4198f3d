#include "graph/plan.h"

#include <algorithm>
#include <map>

#include "graph/problem.h"
#include "graph/tuning.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

// Nodes that an output or an update depends on.
std::vector<bool> live_nodes(const Graph& g) {
  std::vector<bool> needed(g.values().size()), live(g.nodes().size());
  for (size_t v = 0; v < g.values().size(); ++v) needed[v] = g.values()[v].output;
  for (const Update& u : g.updates()) needed[size_t(u.value.id)] = true;
  for (size_t n = g.nodes().size(); n-- > 0;) {
    for (Value v : g.nodes()[n].out) live[n] = live[n] || needed[size_t(v.id)];
    if (live[n])
      for (Value v : g.nodes()[n].in) needed[size_t(v.id)] = true;
  }
  return live;
}

// Nodes that see states alone, none of them updated by this graph: their results change only when a state is written.
std::vector<bool> prologue_nodes(const Graph& g) {
  std::vector<bool> fixed(g.values().size()), prologue(g.nodes().size());
  for (Value s : g.states()) fixed[size_t(s.id)] = true;
  for (const Update& u : g.updates()) fixed[size_t(u.state.id)] = false;
  for (size_t n = 0; n < g.nodes().size(); ++n) {
    const Node& node = g.nodes()[n];
    prologue[n] = std::all_of(node.in.begin(), node.in.end(), [&](Value v) { return fixed[size_t(v.id)]; });
    for (Value v : node.out) fixed[size_t(v.id)] = prologue[n];
  }
  return prologue;
}

// Values that lie in one piece of storage: of the arena, or of the states.
struct ValuePack {
  std::vector<int> values;
  PackLayout layout;
  Placement place;
};

// One piece of storage: a value (with those that share it), a pack or a workspace.
struct Storage {
  size_t bytes = 0;
  int first = 0, last = 0;       // node indices between which it holds data
  Placement* place = nullptr;
};

class Planner {
 public:
  Planner(const Graph& g, const Target& target, const PlanOptions& options) : g_(g), options_(options) {
    plan_.target = target;
    plan_.target.tuning.clear();  // what is used comes back
    tuning_ = &target.tuning;
    plan_.guard_bytes = options.guard_bytes;
  }

  Plan run() {
    lower();
    find_lifetimes();
    find_updates();
    find_packs();
    if (options_.reuse) share_storage();
    place();
    return std::move(plan_);
  }

 private:
  void lower() {
    const std::vector<bool> live = live_nodes(g_), prologue = prologue_nodes(g_);
    for (size_t n = 0; n < g_.nodes().size(); ++n) {
      if (!live[n]) continue;
      const Node& node = g_.nodes()[n];
      if (!node.op->lower) fail("plan", "'{}': {} has no kernel", node.label, node.op->name);
      const Target target = target_of(node);
      Lowering lowering(g_, node, target, options_.guard_bytes);
      node.op->lower(lowering);
      lowering.result.cost = cost(node);
      plan_.cost.flops += lowering.result.cost.flops;
      plan_.cost.bytes += lowering.result.cost.bytes;
      PlannedNode planned{int(n), std::move(lowering.result), {}, prologue[n]};
      planned.workspaces.resize(planned.lowered.workspaces.size());
      plan_.nodes.push_back(std::move(planned));
    }
  }

  Target target_of(const Node& node) {
    if (tuning_->empty()) return plan_.target;
    const auto tuned = tuning_->find(problem_of(g_, node).key());
    if (tuned == tuning_->end()) return plan_.target;
    plan_.target.tuning.insert(*tuned);
    return apply_choice(plan_.target, tuned->second);
  }

  Cost cost(const Node& node) const {
    std::vector<TensorDesc> in, out;
    for (Value v : node.in) in.push_back(g_.desc(v));
    for (Value v : node.out) out.push_back(g_.desc(v));
    if (node.op->cost) return node.op->cost(node.attrs, in, out);
    Cost c;
    for (const TensorDesc& t : in) c.bytes += double(t.bytes());
    for (const TensorDesc& t : out) c.bytes += double(t.bytes()), c.flops += double(t.elements());
    return c;
  }

  void find_lifetimes() {
    const int end = int(g_.nodes().size());
    first_.assign(g_.values().size(), -2);
    last_.assign(g_.values().size(), -2);
    for (const PlannedNode& p : plan_.nodes) {
      const Node& node = g_.nodes()[size_t(p.node)];
      for (Value v : node.in) last_[size_t(v.id)] = p.node;
      for (Value v : node.out) {
        first_[size_t(v.id)] = last_[size_t(v.id)] = p.node;
        // What a prologue node computed must survive the runs that follow without it.
        if (p.prologue) first_[size_t(v.id)] = -1, persistent(v);
      }
    }
    for (size_t v = 0; v < g_.values().size(); ++v) {
      const ValueInfo& info = g_.values()[v];
      // Inputs keep their storage: a host may write one once and run many times.
      if (info.role == Role::input) first_[v] = -1, last_[v] = end;
      if ((info.output && first_[v] != -2) || keep_.count(int(v))) last_[v] = end;
    }
  }

  void persistent(Value v) { keep_[v.id] = true; }

  // What a state becomes is written over it.
  void find_updates() {
    plan_.state_of.assign(g_.values().size(), -1);
    root_.resize(g_.values().size());
    for (size_t v = 0; v < root_.size(); ++v) root_[v] = int(v);
    for (const Update& u : g_.updates()) {
      plan_.state_of[size_t(u.value.id)] = u.state.id;
      if (last_[size_t(u.state.id)] > g_.info(u.value).producer)
        fail("plan", "state '{}' is read after its update by '{}'", g_.info(u.state).name, g_.info(u.value).name);
    }
  }

  // The tensors that nodes want side by side.
  void find_packs() {
    packed_.assign(g_.values().size(), -1);
    plan_.packed.assign(g_.values().size(), false);
    for (const PlannedNode& p : plan_.nodes) {
      const Node& node = g_.nodes()[size_t(p.node)];
      const size_t n = size_t(node.attrs.integer("tensors", 1));
      if (n < 2) continue;
      for (size_t kind = 0; kind < size_t(node.op->packed_inputs); ++kind) pack(node, std::span(node.in).subspan(kind * n, n));
      for (size_t kind = 0; kind < size_t(node.op->packed_outputs); ++kind) pack(node, std::span(node.out).subspan(kind * n, n));
    }
  }

  void pack(const Node& node, std::span<const Value> values) {
    std::vector<int> members;
    std::vector<TensorDesc> descs;
    size_t states = 0;
    for (Value v : values) {
      const int state = plan_.state_of[size_t(v.id)];
      members.push_back(state >= 0 ? state : v.id);
      descs.push_back(g_.desc(v));
      states += g_.values()[size_t(members.back())].role == Role::state;
    }
    if (states != 0 && states != members.size())
      fail("plan", "'{}': '{}' and its neighbours are partly states. Fix: pack states with states", node.label, g_.info(values[0]).name);
    for (const ValuePack& p : packs_)
      if (p.values == members) return;
    for (int v : members) {
      if (packed_[size_t(v)] >= 0)
        fail("plan", "'{}': '{}' lies in another pack already. Fix: give every node the same tensors in the same order", node.label,
             g_.values()[size_t(v)].name);
      packed_[size_t(v)] = int(packs_.size());
    }
    packs_.push_back({members, pack_layout(descs, plan_.target, options_.guard_bytes), {}});
    if (states) plan_.state_packs.push_back({members, packs_.back().layout});
    for (int v : members) plan_.packed[size_t(v)] = true;
  }

  // Outputs written over an input whose last reader is the node itself.
  void share_storage() {
    for (const PlannedNode& p : plan_.nodes) {
      const Node& node = g_.nodes()[size_t(p.node)];
      for (auto [out, in] : in_place_of(node))
        if (size_t(in) < node.in.size() && may_write_over(node, out, node.in[size_t(in)]))
          share(p, node.in[size_t(in)].id, node.out[size_t(out)].id);
    }
  }

  // A node may read a value twice: then it must be able to write over either of the inputs.
  static bool may_write_over(const Node& node, int out, Value in) {
    const std::vector<std::pair<int, int>> pairs = in_place_of(node);
    for (size_t i = 0; i < node.in.size(); ++i)
      if (node.in[i] == in && !std::count(pairs.begin(), pairs.end(), std::pair(out, int(i)))) return false;
    return true;
  }

  void share(const PlannedNode& p, int in, int out) {
    const ValueInfo& source = g_.values()[size_t(in)];
    if (source.role != Role::computed || plan_.state_of[size_t(in)] >= 0 || plan_.state_of[size_t(out)] >= 0 || p.prologue) return;
    if (packed_[size_t(in)] >= 0 || packed_[size_t(out)] >= 0) return;
    if (!(source.desc == g_.values()[size_t(out)].desc) || keep_.count(in) || root_[size_t(out)] != out) return;
    const int root = root_[size_t(in)];
    if (last_[size_t(in)] != p.node || last_[size_t(root)] != p.node || source.output) return;
    root_[size_t(out)] = root;
    last_[size_t(root)] = last_[size_t(out)];
  }

  void place() {
    const size_t alignment = std::max<size_t>(plan_.target.storage_alignment, 16);
    // A tensor without elements has a place too.
    auto rounded = [&](size_t bytes) { return (std::max<size_t>(bytes, 1) + options_.guard_bytes + alignment - 1) / alignment * alignment; };
    plan_.values.assign(g_.values().size(), {});
    std::vector<Storage> all;
    for (size_t v = 0; v < g_.values().size(); ++v) {
      Placement& p = plan_.values[v];
      p.bytes = g_.values()[v].desc.bytes();
      if (g_.values()[v].role == Role::state) {
        if (last_[v] != -2) plan_.state_bytes += p.bytes;
        continue;
      }
      if (plan_.state_of[v] >= 0) continue;
      p.block = -2;
      if (first_[v] == -2 || root_[v] != int(v) || packed_[v] >= 0) continue;
      all.push_back({rounded(p.bytes), first_[v], options_.reuse ? last_[v] : int(g_.nodes().size()), &p});
      if (!options_.reuse) all.back().first = -1;
    }
    for (ValuePack& pack : packs_)
      if (g_.values()[size_t(pack.values[0])].role != Role::state) all.push_back(storage_of(pack));
    for (PlannedNode& n : plan_.nodes)
      for (size_t i = 0; i < n.workspaces.size(); ++i) {
        n.workspaces[i].bytes = n.lowered.workspaces[i];
        all.push_back({rounded(n.workspaces[i].bytes), n.node, n.node, &n.workspaces[i]});
        if (!options_.reuse) all.back().first = -1, all.back().last = int(g_.nodes().size());
      }
    assign(all);
    for (const ValuePack& pack : packs_)
      for (size_t i = 0; i < pack.values.size() && pack.place.block >= 0; ++i) {
        Placement& p = plan_.values[size_t(pack.values[i])];
        p.block = pack.place.block;
        p.offset = pack.place.offset + pack.layout.offsets[i];
      }
    for (size_t v = 0; v < root_.size(); ++v)
      if (root_[v] != int(v)) plan_.values[v] = plan_.values[size_t(root_[v])];
  }

  Storage storage_of(ValuePack& pack) const {
    Storage s{pack.layout.bytes, int(g_.nodes().size()), -1, &pack.place};
    for (int v : pack.values) s.first = std::min(s.first, first_[size_t(v)]), s.last = std::max(s.last, last_[size_t(v)]);
    if (!options_.reuse) s.first = -1, s.last = int(g_.nodes().size());
    pack.place.bytes = s.bytes;
    return s;
  }

  // Largest first; each to the lowest free offset of the first block that has room (Pisarchyk and Lee, Efficient Memory Management
  // for Deep Neural Net Inference, 2020: "greedy by size").
  void assign(std::vector<Storage>& all) {
    std::stable_sort(all.begin(), all.end(), [](const Storage& a, const Storage& b) { return a.bytes > b.bytes; });
    std::vector<std::vector<const Storage*>> blocks;
    for (const Storage& s : all) {
      if (s.bytes > options_.max_block_bytes)
        fail("plan", "one tensor takes {} bytes, expected at most {}. Fix: a smaller --batch or --size, or --micro-batch for training", s.bytes,
             options_.max_block_bytes);
      for (size_t b = 0;; ++b) {
        if (b == blocks.size()) blocks.emplace_back(), plan_.block_bytes.push_back(0);
        const size_t offset = lowest_free(blocks[b], s);
        if (offset + s.bytes > options_.max_block_bytes) continue;
        s.place->block = int(b);
        s.place->offset = offset;
        blocks[b].push_back(&s);
        plan_.block_bytes[b] = std::max(plan_.block_bytes[b], offset + s.bytes);
        break;
      }
    }
  }

  static size_t lowest_free(const std::vector<const Storage*>& placed, const Storage& s) {
    std::vector<std::pair<size_t, size_t>> busy;
    for (const Storage* p : placed)
      if (p->first <= s.last && s.first <= p->last) busy.push_back({p->place->offset, p->place->offset + p->bytes});
    std::sort(busy.begin(), busy.end());
    size_t offset = 0;
    for (auto [begin, end] : busy) {
      if (offset + s.bytes <= begin) break;
      offset = std::max(offset, end);
    }
    return offset;
  }

  const Graph& g_;
  const PlanOptions& options_;
  const std::map<std::string, Attrs>* tuning_ = nullptr;
  Plan plan_;
  std::vector<int> first_, last_, root_;   // by value id; -2: never
  std::map<int, bool> keep_;
  std::vector<int> packed_;                // by value id: index into packs_, or -1
  std::vector<ValuePack> packs_;
};

}  // namespace

size_t Plan::arena_bytes() const {
  size_t sum = 0;
  for (size_t b : block_bytes) sum += b;
  return sum;
}

std::string Plan::signature() const {
  uint64_t hash = 1469598103934665603ull;  // FNV-1a, 64 bits
  auto mix = [&](const void* data, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) hash = (hash ^ static_cast<const unsigned char*>(data)[i]) * 1099511628211ull;
  };
  const std::string t = target.to_string();
  mix(t.data(), t.size());
  for (const PlannedNode& n : nodes) {
    for (const auto& table : n.lowered.tables) mix(table.data(), table.size());
    for (const Dispatch& d : n.lowered.dispatches) {
      mix(d.module.data(), d.module.size());
      mix(d.constants.data(), d.constants.size() * 4);
      mix(d.push.data(), d.push.size());
      mix(d.groups.data(), sizeof(d.groups));
    }
  }
  return fmt::format("{:016x}", hash);
}

Plan make_plan(const Graph& g, const Target& target, const PlanOptions& options) { return Planner(g, target, options).run(); }

}  // namespace vkfer
