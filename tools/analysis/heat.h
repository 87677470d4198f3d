#pragma once
// A map of values over the picture that it is about, as Grad-CAM's are shown.
#include <cstdint>
#include <span>
#include <vector>

namespace vkfer {

// Half of the heat over the picture in gray: pixels [n,channels] of 1 or 3 channels and a map [n] from 0 to 1 -> RGB [n,3].
std::vector<uint8_t> heat_overlay(std::span<const uint8_t> pixels, int channels, std::span<const float> map);

}  // namespace vkfer
