#pragma once
// The built-in data: drawn faces, so that everything can be tried without any data set at hand.
#include <cstdint>

namespace vkfer {

struct Image;
struct DatasetContents;

struct SyntheticOptions {
  int train = 1400, val = 350, test = 350;  // images; classes take turns, so each split is balanced
  int size = 48;
  int channels = 1;   // 1 gray, or 3 with tinted skin, hair and background
  uint64_t seed = 1;  // of the drawings; kept apart from the training seed, so that runs are comparable
};

// One face and what it shows. Classes: angry, disgust, fear, happy, neutral, sad, surprise (folder order).
struct SyntheticFace {
  int label;
  float valence, arousal;  // -1..1, from expression and intensity with some spread (Russell's circumplex, 1980)
};
SyntheticFace synthetic_face(uint64_t seed, uint32_t index);

// [size, size, channels]; the same bytes on every platform. Shows synthetic_face(seed, index).
Image draw_synthetic_face(uint64_t seed, uint32_t index, int size, int channels);

DatasetContents open_synthetic(const SyntheticOptions& options);

}  // namespace vkfer
