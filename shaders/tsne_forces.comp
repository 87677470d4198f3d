// What draws point i to the others and what drives it away from them, over a slice of the others j:
//   u = 1 / (1 + |yi - yj|^2 / v), q = u^((v+1)/2), v = 1 in two dimensions and 2 in three
//   attraction = sum of P[i,j] u (yi - yj), repulsion = sum of q u (yi - yj), weight = sum of q,
//   divergence = sum of P[i,j] log(P[i,j] / q), where settings[kMeasure] asks for it, else 0
//   0 y f32 [dimensions,N], 1 P f32 [rows,N], both seen as vec4 and as floats, 2 settings f32 [5]
//   3 partial sums f32 [slices, 2 * dimensions + 2, N]
// P is symmetric: GPUs read it by columns, so that neighbours read neighbours; CPU drivers by rows (kByRows), so that one load brings four.
// An invocation makes one point's sums, four j a turn, in blocks of 32.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "tsne.h"
#include "math.glsl"
layout(constant_id = 1) const uint kDimensions = 2;
layout(push_constant) uniform Push { TsneForces push; };
layout(set = 0, binding = 0, std430) readonly buffer Vectors { vec4 y4[]; };
layout(set = 0, binding = 0, std430) readonly buffer Scalars { float y1[]; };
layout(constant_id = 2) const uint kByRows = 0;
layout(set = 0, binding = 1, std430) readonly buffer JointVectors { vec4 joint4[]; };
layout(set = 0, binding = 1, std430) readonly buffer JointScalars { float joint1[]; };
INPUT1_F32(2, settings);
OUTPUT1_F32(3, partial);

uint plane() { return 4 * push.vectors; }

// |yi - yj|^2 / v, and whether i and j are two points.
float scaled_square(vec3 d) { return kDimensions == 3 ? 0.5 * dot(d, d) : dot(d.xy, d.xy); }
bool is_pair(uint i, uint j) { return j != i && j < push.points; }
float weight_of(float u) { return kDimensions == 3 ? u * sqrt(u) : u; }
vec4 coordinates(uint k, uint j4) { return k < kDimensions ? y4[k * push.vectors + j4] : vec4(0.0); }

// P of point i with the four points from row j on; all rows are bound where it goes by rows.
vec4 joint(uint i, uint j) {
  if (kByRows != 0) return joint4[i * push.vectors + j / 4];
  return vec4(joint1[j * plane() + i], joint1[(j + 1) * plane() + i], joint1[(j + 2) * plane() + i], joint1[(j + 3) * plane() + i]);
}

void main() {
  const uint group = linear_group(), slice = divide(group, push.by_groups);
  const uint i = (group - slice * push.by_groups.value) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (slice >= push.slices || i >= plane()) return;
  const uint begin = slice * push.per_slice, end = min(begin + push.per_slice, push.rows);
  const vec3 yi = vec3(y1[i], y1[plane() + i], kDimensions == 3 ? y1[2 * plane() + i] : 0.0);
  vec3 attraction = vec3(0.0), repulsion = vec3(0.0), attraction_block = vec3(0.0), repulsion_block = vec3(0.0);
  float weight = 0.0, weight_block = 0.0, divergence = 0.0, divergence_block = 0.0;
  for (uint row = begin; row < end; row += 4) {
    const uint j4 = (push.first + row) / 4;
    const vec4 x = coordinates(0, j4), y = coordinates(1, j4), z = coordinates(2, j4), p = joint(i, row);
    [[unroll]] for (uint k = 0; k < 4; ++k) {
      const vec3 d = yi - vec3(x[k], y[k], z[k]);
      const float u = is_pair(i, 4 * j4 + k) ? 1.0 / (1.0 + scaled_square(d)) : 0.0, q = weight_of(u);
      attraction_block += p[k] * u * d;
      repulsion_block += q * u * d;
      weight_block += q;
    }
    if ((row & 31u) == 28u) {
      attraction += attraction_block, repulsion += repulsion_block, weight += weight_block;
      attraction_block = vec3(0.0), repulsion_block = vec3(0.0), weight_block = 0.0;
    }
  }
  // A loop of its own, which makes no turn where it is not wanted: CPU drivers go through both sides of a branch.
  for (uint row = begin; row < (settings[kMeasure] != 0.0 ? end : begin); row += 4) {
    const uint j4 = (push.first + row) / 4;
    const vec4 x = coordinates(0, j4), y = coordinates(1, j4), z = coordinates(2, j4), p = joint(i, row);
    [[unroll]] for (uint k = 0; k < 4; ++k) {
      const float q = weight_of(1.0 / (1.0 + scaled_square(yi - vec3(x[k], y[k], z[k]))));
      if (p[k] > 0.0 && is_pair(i, 4 * j4 + k)) divergence_block += p[k] * (log_of(p[k]) - log_of(q));
    }
    if ((row & 31u) == 28u) divergence += divergence_block, divergence_block = 0.0;
  }
  attraction += attraction_block, repulsion += repulsion_block;
  const bool is_point = i < push.points;
  const uint first = (push.first_slice + slice) * (2 * kDimensions + 2) * plane() + i;
  [[unroll]] for (uint k = 0; k < kDimensions; ++k) {
    partial[first + k * plane()] = is_point ? attraction[k] : 0.0;
    partial[first + (kDimensions + k) * plane()] = is_point ? repulsion[k] : 0.0;
  }
  partial[first + 2 * kDimensions * plane()] = is_point ? weight + weight_block : 0.0;
  partial[first + (2 * kDimensions + 1) * plane()] = is_point ? divergence + divergence_block : 0.0;
}
