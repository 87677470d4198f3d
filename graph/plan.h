#pragma once
// Lowers every node and places every value: lifetimes -> offsets in a few blocks within the device's limits.
// Plain data, no device: what a run will do and how much memory it takes is known before anything is allocated.
#include "graph/op.h"

namespace vkfer {

struct Placement {
  int block = -1;                 // index into Plan::block_bytes; -1: a state, found by name; -2: not stored (dead)
  size_t offset = 0, bytes = 0;
};

struct PlannedNode {
  int node = -1;                  // index into the graph's nodes
  Lowered lowered;
  std::vector<Placement> workspaces;
  bool prologue = false;          // depends on states alone and no state it reads is updated: runs only when states changed
};

// States that lie in one piece of memory.
struct StatePack {
  std::vector<int> values;        // value ids
  PackLayout layout;
};

struct PlanOptions {
  bool reuse = true;              // false: every value keeps its own storage (tests, debugging)
  size_t guard_bytes = 0;         // canary behind every value and workspace (tests)
  size_t max_block_bytes = size_t(1) << 30;
};

struct Plan {
  Target target;                  // its tuning: the choices that this plan uses
  std::vector<PlannedNode> nodes;
  std::vector<Placement> values;  // by value id
  std::vector<int> state_of;      // by value id: the value id of the state whose storage it shares, or -1
  std::vector<StatePack> state_packs;
  std::vector<bool> packed;       // by value id: it lies in a pack, beside others
  std::vector<size_t> block_bytes;
  size_t guard_bytes = 0;
  size_t arena_bytes() const;     // all blocks
  size_t state_bytes = 0;         // all states
  Cost cost;                      // of one run
  std::string signature() const;  // hash of everything that changes a summation order: engines, tiles, slices, pushes
};

Plan make_plan(const Graph&, const Target&, const PlanOptions& = {});

}  // namespace vkfer
