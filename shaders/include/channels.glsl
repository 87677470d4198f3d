// Four channels at a time from a [rows, channels] tensor whatever the channel count. The vector variant counts in vec4; the
// scalar variant (-DSCALAR, channel counts that are no multiple of four) reads zeros and writes nothing past the last channel.
//
//   CHANNELS_IN / CHANNELS_IN_F32 / CHANNELS_OUT (slot, name)    declare
//   LOADC(name, row, c, channels)    channels 4c .. 4c+3 of a row; row * ceil4(channels) + c in the vector variant
//   STOREC(name, row, c, channels, v)
#ifdef SCALAR
#define CHANNELS_IN(slot, name) INPUT1(slot, name)
#define CHANNELS_IN_F32(slot, name) INPUT1_F32(slot, name)
#define CHANNELS_OUT(slot, name) OUTPUT1(slot, name)
#define CHANNELS_OUT_F32(slot, name) OUTPUT1_F32(slot, name)
#define CHANNEL_BLOCKS(channels) (((channels) + 3u) / 4u)
#define SCALAR_AT(name, row, i, channels) ((i) < (channels) ? float(name[(row) * (channels) + (i)]) : 0.0)
#define LOADC(name, row, c, channels)                                                                           \
  vec4(SCALAR_AT(name, row, 4u * (c), channels), SCALAR_AT(name, row, 4u * (c) + 1u, channels),                 \
       SCALAR_AT(name, row, 4u * (c) + 2u, channels), SCALAR_AT(name, row, 4u * (c) + 3u, channels))
#define LOADC_F32 LOADC
#define STORE_SCALAR(name, type, row, c, channels, v)                                                           \
  { vec4 v_ = v; uint b_ = (row) * (channels) + 4u * (c), n_ = (channels) - 4u * (c);                           \
    name[b_] = type(v_.x); if (n_ > 1u) name[b_ + 1u] = type(v_.y);                                             \
    if (n_ > 2u) name[b_ + 2u] = type(v_.z); if (n_ > 3u) name[b_ + 3u] = type(v_.w); }
#define STOREC(name, row, c, channels, v) STORE_SCALAR(name, STORE1, row, c, channels, v)
#define STOREC_F32(name, row, c, channels, v) STORE_SCALAR(name, float, row, c, channels, v)
#else
#define CHANNELS_IN(slot, name) INPUT4(slot, name)
#define CHANNELS_IN_F32(slot, name) INPUT4_F32(slot, name)
#define CHANNELS_OUT(slot, name) OUTPUT4(slot, name)
#define CHANNELS_OUT_F32(slot, name) OUTPUT4_F32(slot, name)
#define CHANNEL_BLOCKS(channels) ((channels) / 4u)
#define LOADC(name, row, c, channels) LOAD4(name, (row) * ((channels) / 4u) + (c))
#define LOADC_F32(name, row, c, channels) name[(row) * ((channels) / 4u) + (c)]
#define STOREC(name, row, c, channels, v) name[(row) * ((channels) / 4u) + (c)] = STORE4(v)
#define STOREC_F32(name, row, c, channels, v) name[(row) * ((channels) / 4u) + (c)] = v
#endif
