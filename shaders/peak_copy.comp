#version 450
// The device's limit of memory traffic, for `vkfer bench ops`: to[i] = from[i].     to, from: [count] vec4
// One invocation moves kVectors of them, a workgroup's width apart.
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint kVectors = 4;

layout(binding = 0) readonly buffer From { vec4 from[]; };
layout(binding = 1) writeonly buffer To { vec4 to[]; };

layout(push_constant) uniform Push {
  uint count;
};

void main() {
  uint first = gl_WorkGroupID.x * gl_WorkGroupSize.x * kVectors + gl_LocalInvocationID.x;
  for (uint v = 0; v < kVectors; ++v) {
    uint i = first + v * gl_WorkGroupSize.x;
    if (i < count) to[i] = from[i];
  }
}
