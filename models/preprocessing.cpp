#include <numeric>

#include "models/registry.h"
#include "runtime/error.h"

namespace vkfer {

Preprocessing preprocessing_from_name(std::string_view name) {
  // torchvision's figures for ImageNet; "half" maps 0..255 to -1..1.
  if (name == "imagenet") return {"imagenet", 1.0 / 255, {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}};
  if (name == "half") return {"half", 1.0 / 255, {0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}};
  if (name == "unit") return {"unit", 1.0 / 255, {0, 0, 0}, {1, 1, 1}};
  if (name == "none") return {"none", 1.0, {0, 0, 0}, {1, 1, 1}};
  // Keras' networks with "caffe" inputs take the channels as B, G, R: who reads their weights reverses the first filter's.
  if (name == "caffe") return {"caffe", 1.0, {123.68, 116.779, 103.939}, {1, 1, 1}};
  fail("preprocessing", "unknown name: got '{}', expected imagenet, half, unit, none or caffe. Fix: use one of these", name);
}

Preprocessing Preprocessing::for_channels(int channels) const {
  if (channels == int(mean.size())) return *this;
  if (channels != 1) fail("preprocessing", "'{}': got {} channels, expected 1 or {}. Fix: use 1 or 3 channels", name, channels, mean.size());
  auto average = [](const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 0.0) / double(v.size()); };
  return {name, scale, {average(mean)}, {average(std)}};
}

}  // namespace vkfer
