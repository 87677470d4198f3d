#include "tools/analysis/heat.h"

#include <algorithm>
#include <cmath>

namespace vkfer {
namespace {

struct Colour {
  float red, green, blue;
};

// Dark to light without a red-green step, as matplotlib's inferno; v from 0 to 1.
Colour heat(float v) {
  static constexpr Colour kStops[] = {{0, 0, 4}, {87, 16, 110}, {188, 55, 84}, {249, 142, 9}, {252, 255, 164}};
  const float at = std::clamp(v, 0.0f, 1.0f) * 4;
  const int stop = std::min(int(at), 3);
  const float share = at - float(stop);
  const auto between = [share](float a, float b) { return a + share * (b - a); };
  const Colour &a = kStops[stop], &b = kStops[stop + 1];
  return {between(a.red, b.red), between(a.green, b.green), between(a.blue, b.blue)};
}

}  // namespace

std::vector<uint8_t> heat_overlay(std::span<const uint8_t> pixels, int channels, std::span<const float> map) {
  std::vector<uint8_t> out;
  for (size_t i = 0; i < map.size(); ++i) {
    const auto p = pixels.subspan(i * size_t(channels), size_t(channels));
    const float gray = channels == 1 ? p[0] : 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
    const Colour h = heat(map[i]);
    for (const float c : {h.red, h.green, h.blue}) out.push_back(uint8_t(std::lround(0.5f * gray + 0.5f * c)));
  }
  return out;
}

}  // namespace vkfer
