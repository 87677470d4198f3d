// Where the elements of tensors of different strides lie. Include after common.glsl and strided.h.
//   STRIDED_TABLE(3)        the binding of the table, StridedDim from the innermost dimension
//   place(element, rank)    offsets of an element, by its number in row-major order, in the tensors a, b and c (place.glsl)
#define STRIDED_TABLE(slot) layout(set = 0, binding = slot, std430) readonly buffer Dims { StridedDim dims[]; };

// WORDS(0, a): binding 0 as 32-bit words, one (a1[i]) or four (a4[i]) at a time.
#define WORDS(slot, name) \
  layout(set = 0, binding = slot, std430) readonly buffer Vectors_##name { uvec4 name##4[]; }; \
  layout(set = 0, binding = slot, std430) readonly buffer Scalars_##name { uint name##1[]; };
#define WORDS_OUT(slot, name) \
  layout(set = 0, binding = slot, std430) writeonly buffer Vectors_##name { uvec4 name##4[]; }; \
  layout(set = 0, binding = slot, std430) writeonly buffer Scalars_##name { uint name##1[]; };
