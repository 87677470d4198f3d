#pragma once
// Where a network looks: Grad-CAM (tools/analysis/grad_cam.h) over pictures of faces.
#include <memory>

#include "runtime/device.h"
#include "tools/data/image.h"

namespace vkfer {

struct Trained;

// Not thread-safe. Owns the weights on the device once more; `device` must outlive it.
class CamOverlay {
 public:
  CamOverlay(Device& device, const Trained&);   // fails where the network has no feature map
  ~CamOverlay();

  // What speaks for the answered class, or for valence where there are no classes, as heat over the picture in gray: RGB of the network's
  // input size. The picture is resized as a whole, as Predictor does it.
  Image operator()(const Image& picture);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vkfer
