// Numbers of the functions of unary_math.comp and broadcast.comp, read by GLSL and by C++; and their push constants.
#ifndef VKFER_PARAMS_FUNCTIONS_H
#define VKFER_PARAMS_FUNCTIONS_H
#include "divisor.h"
#ifdef __cplusplus
namespace vkfer::params {
#endif

// ---- of one number, in the order of the table in graph/ops/unary.cpp
const uint kIdentity = 0, kNegate = 1, kAbs = 2, kSign = 3, kFloor = 4, kCeil = 5, kRound = 6, kReciprocal = 7, kSqrt = 8;
const uint kExp = 9, kLog = 10, kErf = 11, kSin = 12, kCos = 13, kTan = 14, kAsin = 15, kAcos = 16, kAtan = 17;
const uint kSinh = 18, kCosh = 19, kTanh = 20, kAsinh = 21, kAcosh = 22, kAtanh = 23;
const uint kSoftplus = 24, kSoftsign = 25, kElu = 26, kLeakyRelu = 27, kSelu = 28, kCelu = 29, kHardSigmoid = 30, kHardSwish = 31;
const uint kThresholdedRelu = 32, kClip = 33, kGelu = 34, kGeluTanh = 35, kMish = 36, kSwish = 37, kShrink = 38;
const uint kIsNan = 39, kIsInf = 40, kNot = 41;
// cast's: of whatever type to i32, i32 to f32, to 0 or 1
const uint kToInteger = 42, kToFloat = 43, kTruth = 44;

// ---- of two numbers, in the order of the table in graph/ops/broadcast.cpp
const uint kAdd = 0, kSubtract = 1, kMultiply = 2, kDivide = 3, kPower = 4, kMinimum = 5, kMaximum = 6, kPrelu = 7, kMod = 8, kFmod = 9;
const uint kEqual = 10, kLess = 11, kLessEqual = 12, kGreater = 13, kGreaterEqual = 14;
const uint kAnd = 15, kOr = 16, kXor = 17;
const uint kWhere = 18;

struct Math {             // a unit is 4 elements, or 1
  uint units;
  uint per_invocation;
  float alpha, beta, gamma;
  float lo, hi;           // of clip; for i32 these are bits of an integer
};

struct Strided {          // a unit is 4 elements, or 1
  uint units;
  uint per_invocation;
  uint rank;              // entries of the table, at least one
  uint value;             // strided_copy: bits of what stands where nothing is read
  int first_a, first_b;   // strided_copy: where element 0 is read and written
};

#ifdef __cplusplus
}  // namespace vkfer::params
#endif
#endif
