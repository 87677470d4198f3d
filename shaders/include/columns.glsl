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

struct Columns {
  uint column;        // this lane's place in the span
  uint channel;       // its unit of the row
  uint chunk;         // which part of the steps
  uint first, full;   // steps first .. full-1 are whole spans
  bool tail;          // and step `full` is this chunk's too, and holds an element for this lane
};

// Needs divide.glsl. whole = units of the tensor / span, tail_units = the remainder; parts = span / workgroup size.
Columns walk(uint group, uint parts, float inverse_parts, uint row_units, float inverse_row_units, uint span, uint whole, uint tail_units,
             uint chunk_steps) {
  Columns k;
  k.chunk = divide(group, parts, inverse_parts);
  k.column = (group - k.chunk * parts) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  k.channel = k.column - divide(k.column, row_units, inverse_row_units) * row_units;
  uint begin = k.chunk * chunk_steps, end = begin + chunk_steps;
  k.first = min(begin, whole);
  k.full = min(end, whole);
  k.tail = whole >= begin && whole < end && k.column < tail_units;
  return k;
}

// BODY(i) for every unit i of this lane, four steps unrolled: CPU drivers pay for every turn of a loop.
#define WALK(k, span, BODY)                                                                      \
  {                                                                                              \
    uint t = k.first;                                                                            \
    for (; t + 4u <= k.full; t += 4u) [[unroll]] for (uint u = 0; u < 4u; ++u) BODY((t + u) * span + k.column) \
    for (; t < k.full; ++t) BODY(t * span + k.column)                                            \
    if (k.tail) BODY(k.full * span + k.column)                                                   \
  }
