// y[o] = finish(combine over e of prepare(x[o, e])): sums, products, extremes of the elements along some dimensions. f32 or i32.
// A long line is cut into slices whose results are written as [slice, o], and reduced by further launches.
//   0 x, 1 m (kExponential, kShiftedLogarithm: the maximum of every output; else x), 2 y, 3 dimensions
// An invocation makes one result of a slice; sums are made in blocks of 32.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "strided.h"
#include "strided.glsl"
#include "math.glsl"
#include "reduce.h"
layout(constant_id = 1) const uint kPrepare = 0;
layout(constant_id = 2) const uint kCombine = 0;
layout(constant_id = 3) const uint kFinish = 0;
layout(constant_id = 4) const uint kInteger = 0;
layout(push_constant) uniform Push { Reduce push; };
INPUT1_U32(0, x);
INPUT1_F32(1, m);
OUTPUT1_U32(2, y);
STRIDED_TABLE(3)

// Offset of an element in x, by its number in the dimensions [first, end) of the table.
int offset_of(uint element, uint first, uint end) {
  int at = 0;
  for (uint d = first; d + 1 < end; ++d) {
    const uint rest = divide(element, dims[d].size);
    at += int(element - rest * dims[d].size.value) * dims[d].a;
    element = rest;
  }
  return at + int(element) * dims[end - 1].a;
}

float finite_or_zero(float v) { return is_inf(v) || is_nan(v) ? 0.0 : v; }

float prepare(float v, float shift) {
  if (kPrepare == kMagnitude) return abs(v);
  if (kPrepare == kSquare) return v * v;
  return kPrepare == kExponential ? exp_of(v - shift) : v;
}

float combine(float s, float t) {
  if (kCombine == kSum) return s + t;
  if (kCombine == kProduct) return s * t;
  if (is_nan(s)) return s;
  return is_nan(t) ? t : kCombine == kMost ? max(s, t) : min(s, t);
}

int combine_whole(int s, int t) {
  if (kPrepare == kMagnitude) t = abs(t);
  if (kPrepare == kSquare) t *= t;
  return kCombine == kSum ? s + t : kCombine == kProduct ? s * t : kCombine == kMost ? max(s, t) : min(s, t);
}

float finish(float v, float shift) {
  if (kFinish == kScaled) return v * push.factor;
  if (kFinish == kRoot) return sqrt(v);
  if (kFinish == kLogarithm) return log_of(v);
  return kFinish == kShiftedLogarithm ? log_of(v) + shift : v;
}

void main() {
  const uint i = linear_group() * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (i >= push.count) return;
  const uint slice = divide(i, push.by_outputs), output_ = i - slice * push.by_outputs.value;
  const int first = offset_of(output_, 0, push.kept_rank);
  const uint begin = slice * push.per_slice, end = min(begin + push.per_slice, push.elements);
  const float shift = kPrepare == kExponential || kFinish == kShiftedLogarithm ? finite_or_zero(m[output_]) : 0.0;
  if (kInteger != 0) {
    int total = kCombine == kSum ? 0 : kCombine == kProduct ? 1 : kCombine == kMost ? 0x80000000 : 0x7fffffff;
    for (uint e = begin; e < end; ++e)
      total = combine_whole(total, int(x[first + offset_of(e, push.kept_rank, push.kept_rank + push.reduced_rank)]));
    y[i] = uint(total);
    return;
  }
  const float none = kCombine == kSum ? 0.0 : kCombine == kProduct ? 1.0 : kCombine == kMost ? -infinity() : infinity();
  float total = none, block = none;
  for (uint e = begin; e < end; ++e) {
    const float v = uintBitsToFloat(x[first + offset_of(e, push.kept_rank, push.kept_rank + push.reduced_rank)]);
    block = combine(block, prepare(v, shift));
    if ((e & 31u) == 31u) total = combine(total, block), block = none;
  }
  y[i] = floatBitsToUint(finish(combine(total, block), shift));
}
