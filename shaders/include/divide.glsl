// a / b for a < 2^24, without the integer division that CPU drivers and many GPUs run as a long sequence. inverse is 1.0 / b.
// The float quotient is at most one off, and the remainder says which way.
uint divide(uint a, uint b, float inverse) {
  uint q = uint(float(a) * inverse);
  int r = int(a) - int(q * b);
  return r < 0 ? q - 1u : (r >= int(b) ? q + 1u : q);
}
