// Storage types and access macros. A module stores activations as STORE (f32 or f16) and computes in f32.
//
//   STORE4 / STORE1     element types of a storage-typed buffer: vec4 or float, or their 16-bit twins
//   LOAD4(buffer, i)    vec4 of a buffer declared with INPUT4: a storage buffer, or a texel view of one (-DTEXEL)
//   linear_group()      workgroup number when a launch was spread over x and y (Lowering::linear_groups)
#extension GL_EXT_control_flow_attributes : require
#ifdef STORAGE_F16
#extension GL_EXT_shader_16bit_storage : require
#define STORE1 float16_t
#define STORE4 f16vec4
#else
#define STORE1 float
#define STORE4 vec4
#endif

// INPUT4(0, x): binding 0, read as vec4 through LOAD4(x, index of vec4).
#ifdef TEXEL
#define INPUT4(slot, name) layout(set = 0, binding = slot) uniform samplerBuffer name
#define LOAD4(name, i) texelFetch(name, int(i))
#else
#define INPUT4(slot, name) layout(set = 0, binding = slot, std430) readonly buffer Buffer_##name { STORE4 name[]; }
#define LOAD4(name, i) vec4(name[i])
#endif
// Scalar access to a storage-typed buffer, and f32 buffers whatever the storage type.
#define INPUT1(slot, name) layout(set = 0, binding = slot, std430) readonly buffer Buffer_##name { STORE1 name[]; }
#define LOAD1(name, i) float(name[i])
#define INPUT4_F32(slot, name) layout(set = 0, binding = slot, std430) readonly buffer Buffer_##name { vec4 name[]; }
#define INPUT1_F32(slot, name) layout(set = 0, binding = slot, std430) readonly buffer Buffer_##name { float name[]; }
#define INPUT1_I32(slot, name) layout(set = 0, binding = slot, std430) readonly buffer Buffer_##name { int name[]; }
#define INPUT1_U32(slot, name) layout(set = 0, binding = slot, std430) readonly buffer Buffer_##name { uint name[]; }
#define OUTPUT4(slot, name) layout(set = 0, binding = slot, std430) writeonly buffer Buffer_##name { STORE4 name[]; }
#define OUTPUT1(slot, name) layout(set = 0, binding = slot, std430) writeonly buffer Buffer_##name { STORE1 name[]; }
#define OUTPUT4_F32(slot, name) layout(set = 0, binding = slot, std430) writeonly buffer Buffer_##name { vec4 name[]; }
#define OUTPUT1_F32(slot, name) layout(set = 0, binding = slot, std430) writeonly buffer Buffer_##name { float name[]; }
#define OUTPUT1_U32(slot, name) layout(set = 0, binding = slot, std430) writeonly buffer Buffer_##name { uint name[]; }

layout(local_size_x_id = 0) in;   // specialization constant 0 is the workgroup size, always

uint linear_group() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }
