#pragma once
// Runs that take a second: a small network on drawn faces.
#include "tools/data/dataset.h"
#include "tools/train/settings.h"

namespace vkfer::test {

inline Dataset faces(int train, int val) {
  DatasetOptions options;
  options.synthetic = {.train = train, .val = val, .test = 7, .size = 16, .channels = 1, .seed = 5};
  return open_dataset("builtin", options);
}

inline TrainSettings small_settings(int crop = 2, double dropout = 0.2) {
  TrainSettings s;
  s.model = "compact_resnet";
  s.data = "builtin";
  s.size = 16;
  s.batch = 8;
  s.epochs = 3;
  s.crop = crop;
  s.lr = 3e-3;
  s.dropout = dropout;
  return resolve_settings(s, 16);
}

}  // namespace vkfer::test
