#pragma once
// What measuring chose where lowering has a choice, as plain data. A choice changes fields of the Target for one problem:
// "engine=direct", "parallel_groups=64 texel=1". It lives in Target::tuning under the problem's key, so that it goes
// wherever the target goes: into plans, into checkpoints. An op lists the choices worth measuring in OpDef::candidates.
#include "graph/op.h"

namespace vkfer {

// `target` as the choice changes it. Fails for a field that is no choice, and for a value that the target does not allow.
Target apply_choice(const Target& target, const Attrs& choice);

// ---- for OpDef::candidates: choices beside the target's own ----
std::vector<Attrs> engine_choices(const Target&);      // every engine that the target allows
std::vector<Attrs> parallel_choices(const Target&);    // fewer and more workgroups: slices and parts of reductions
std::vector<Attrs> load_choices(const Target&);        // through texel buffers, or one address for a whole workgroup
std::vector<Attrs> vector_choices(const Target&);      // less and more work for an invocation

}  // namespace vkfer
