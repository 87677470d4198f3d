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

// units = units of the whole tensor, row_units = of one row, span in units, chunk_steps steps for each chunk.
Columns walk(uint group, uint units, uint row_units, uint span, uint chunk_steps) {
  Columns k;
  uint size = gl_WorkGroupSize.x, parts = span / size, part = group % parts;
  k.chunk = group / parts;
  k.column = part * size + gl_LocalInvocationID.x;
  k.channel = k.column % row_units;
  uint whole = units / span, last = (k.chunk + 1u) * chunk_steps;
  k.first = min(k.chunk * chunk_steps, whole);
  k.full = min(last, whole);
  k.tail = whole >= k.chunk * chunk_steps && whole < last && whole * span + k.column < units;
  return k;
}
