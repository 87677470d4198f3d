#pragma once
// One picture as an epoch of training would see it, on the CPU in double and so the same on every machine: for pictures that are
// kept, where training has the device alter them anew each epoch.
#include "tools/data/image.h"
#include "tools/data/sampler.h"
#include "tools/train/warp.h"

namespace vkfer {

struct AlterSettings {
  WarpSettings warp;
  bool flip = true;   // half of them mirrored
  int crop = 0;       // shifted by up to so many pixels, over black
  uint64_t seed = 1;
  double slide = 0;   // without crop: shifted by up to so much of the shorter side, in whole pixels, with the edge's pixels repeated
};

// By ops::warp's reference, then mirrored and shifted as ops::normalize does. Pictures that are not square turn about their middle.
Image altered(const Image&, const AlterSettings&, uint32_t version, uint32_t key);

// Mirrored, then shifted, over black or over what the edge repeats.
enum class Border { black, edge };
Image moved(const Image&, const Augmentation&, Border = Border::black);

}  // namespace vkfer
