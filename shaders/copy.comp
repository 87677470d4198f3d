#version 450
#extension GL_GOOGLE_include_directive : require
//! variants: f32 f32_texel
// to[i] = scale * from[i], i < count                to, from: [count] floats
// One invocation moves one float. The runtime's own tests use it; in f32_texel the source is a texel buffer.
layout(local_size_x_id = 0, local_size_y_id = 1, local_size_z_id = 2) in;
layout(constant_id = 3) const float kScale = 1.0;

#ifdef TEXEL
layout(binding = 0) uniform samplerBuffer from;
float load(uint i) { return texelFetch(from, int(i / 4))[i % 4]; }
#else
layout(binding = 0) readonly buffer From { float from[]; };
float load(uint i) { return from[i]; }
#endif
layout(binding = 1) writeonly buffer To { float to[]; };

layout(push_constant) uniform Push {
  uint count;
  float scale;
};

void main() {
  uint i = gl_GlobalInvocationID.x;
  if (i < count) to[i] = kScale * scale * load(i);
}
