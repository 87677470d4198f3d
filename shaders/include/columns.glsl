// Walks a [rows, channels] tensor so that every lane keeps its channels and no loop diverges.
//
// The tensor is flat in units: four channels (vec4), or one in the scalar variant for channel counts that are no multiple of four.
// A span is the least common multiple of the workgroup size and the units of a row: the unit at `column + t * span` has the same
// channel for every t. A workgroup takes size consecutive columns of the span, and the steps [first, last) of its chunk.
//
//   UNIT, UNITS_IN/OUT(slot, name), LOADU(name, i), STOREU(name, i, v), ..._F32 for f32 tensors whatever the storage type
#ifdef SCALAR
#define UNIT float
#define UNITS_IN INPUT1
#define UNITS_OUT OUTPUT1
#define UNITS_IN_F32 INPUT1_F32
#define UNITS_OUT_F32 OUTPUT1_F32
#define LOADU(name, i) LOAD1(name, i)
#define STOREU(name, i, v) name[i] = STORE1(v)
#define ACTIVATE(f, v) activate(f, vec4(v)).x
#define SLOPE(f, v) activate_slope(f, vec4(v)).x
#else
#define UNIT vec4
#define UNITS_IN INPUT4
#define UNITS_OUT OUTPUT4
#define UNITS_IN_F32 INPUT4_F32
#define UNITS_OUT_F32 OUTPUT4_F32
#define LOADU(name, i) LOAD4(name, i)
#define STOREU(name, i, v) name[i] = STORE4(v)
#define ACTIVATE(f, v) activate(f, v)
#define SLOPE(f, v) activate_slope(f, v)
#endif

// Small workgroups take kParts neighbouring pieces of the span at once: a CPU reads memory fastest in long runs.
layout(constant_id = 7) const uint kParts = 1;
const uint kMostParts = 12;
layout(constant_id = 8) const bool kEveryGroup = false;  // no workgroup past the last: CPU drivers run all under a mask once a kernel branches
const uint kSteps = kParts == 1 ? 4 : kParts == 2 ? 2 : 1;  // unrolled: CPU drivers pay for every turn of a loop

struct Columns {
  uint column[kMostParts];   // this lane's places in the span
  uint channel[kMostParts];  // their units of the row
  bool tail[kMostParts];     // step `full` is this chunk's too, and holds an element there
  uint chunk;            // which part of the steps
  uint first, full;      // steps first .. full-1 are whole spans
};

// Needs divide.glsl. whole = units of the tensor / span, tail_units = the remainder; parts = span / (workgroup size * kParts).
Columns walk(uint group, uint parts, float inverse_parts, uint row_units, float inverse_row_units, uint span, uint whole, uint tail_units,
             uint chunk_steps) {
  Columns k;
  k.chunk = divide(group, parts, inverse_parts);
  uint begin = k.chunk * chunk_steps, end = begin + chunk_steps;
  k.first = min(begin, whole);
  k.full = min(end, whole);
  [[unroll]] for (uint j = 0; j < kParts; ++j) {
    k.column[j] = ((group - k.chunk * parts) * kParts + j) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    k.channel[j] = k.column[j] - divide(k.column[j], row_units, inverse_row_units) * row_units;
    k.tail[j] = whole >= begin && whole < end && k.column[j] < tail_units;
  }
  return k;
}

// BODY(j, i) for every unit i of this lane, j saying which of its columns that is.
#define WALK(k, span, BODY)                                                                                    \
  {                                                                                                            \
    uint t = k.first;                                                                                          \
    for (; t + kSteps <= k.full; t += kSteps)                                                                  \
      [[unroll]] for (uint u = 0; u < kSteps; ++u)                                                             \
        [[unroll]] for (uint j = 0; j < kParts; ++j) BODY(j, (t + u) * span + k.column[j])                     \
    for (; t < k.full; ++t) [[unroll]] for (uint j = 0; j < kParts; ++j) BODY(j, t * span + k.column[j])       \
    [[unroll]] for (uint j = 0; j < kParts; ++j) if (k.tail[j]) BODY(j, k.full * span + k.column[j])           \
  }

// BODY(j, i) for the units `column[j]` of every row.
#define DOWN_ROWS(rows, row_units, BODY)                                                                       \
  {                                                                                                            \
    uint t = 0;                                                                                                \
    for (; t + kSteps <= rows; t += kSteps)                                                                    \
      [[unroll]] for (uint u = 0; u < kSteps; ++u)                                                             \
        [[unroll]] for (uint j = 0; j < kParts; ++j) BODY(j, (t + u) * row_units + column[j])                  \
    for (; t < rows; ++t) [[unroll]] for (uint j = 0; j < kParts; ++j) BODY(j, t * row_units + column[j])      \
  }
