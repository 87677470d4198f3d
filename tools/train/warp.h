#pragma once
// How training pictures are turned, moved, sheared, zoomed, tilted, coloured and partly blanked: pure functions of seed, epoch and
// sample. The device does it (ops::warp).
#include <array>
#include <cstdint>
#include <span>

namespace vkfer {

struct WarpSettings {
  double rotate = 0;       // degrees, either way
  double shift = 0;        // of the size, either way and in both directions
  double shear = 0;        // degrees, either way
  double zoom = 0;         // between 1 - zoom and 1 + zoom times as large
  double perspective = 0;  // an edge is up to so much farther away than the opposite one
  double brightness = 0, contrast = 0, saturation = 0;  // factors between 1 - x and 1 + x, as torchvision's ColorJitter
  double erase = 0;        // how often a rectangle of 2 to 33 % of the area is blanked, as torchvision's RandomErasing
  bool any() const;
};

using WarpRow = std::array<float, 20>;  // see ops::warp

// For a picture of size x size; `pixels` (any number of channels) only for its mean, about which contrast turns.
WarpRow warp_row(const WarpSettings&, uint64_t seed, uint32_t epoch, uint32_t sample, int size, std::span<const uint8_t> pixels, int channels);

}  // namespace vkfer
