#pragma once
// The activation functions shared by elementwise.cpp and the epilogues; numbers as in shaders/include/activation.glsl.
#include <cstdint>
#include <string>

namespace vkfer::ops {

enum class Activation : uint32_t { none = 0, relu = 1, relu6 = 2, silu = 3, sigmoid = 4, hardswish = 5 };

Activation activation_from_name(const std::string& name, const std::string& label);
double activate(Activation, double x);
double activate_slope(Activation, double x);  // at a kink as torch: relu'(0) = 0, relu6'(0) = relu6'(6) = 0

}  // namespace vkfer::ops
