#include "tools/predict/cam_overlay.h"

#include "models/weights/transfer.h"
#include "tools/analysis/grad_cam.h"
#include "tools/analysis/heat.h"
#include "tools/predict/trained.h"
#include "tools/train/resize.h"

namespace vkfer {
namespace {

// Gradients are computed in f32, of one picture at a time.
NetworkSettings cam_network(Device& device, const Trained& trained) {
  NetworkSettings network = trained.network_on(device, "fp32", 1);
  network.pixel_channels = network.channels;
  return network;
}

}  // namespace

struct CamOverlay::State {
  NetworkSettings network;
  States states;
  GradCam cam;
  DeviceResize resize;

  State(Device& device, const Trained& trained)
      : network(cam_network(device, trained)), states(device), cam(device, states, network, trained.target_on(device)), resize(device) {
    load_weights(trained.saved.weights, cam.graph(), states, {.classifier = network.classifier()});
  }
};

CamOverlay::CamOverlay(Device& device, const Trained& trained) : state_(std::make_unique<State>(device, trained)) {}
CamOverlay::~CamOverlay() = default;

Image CamOverlay::operator()(const Image& picture) {
  State& s = *state_;
  const Image one = convert_channels(picture, s.network.channels);
  const std::vector<uint8_t> pixels = s.resize({&one, 1}, s.network.size);
  const CamTarget target{.output = s.network.classes > 0 ? CamTarget::Output::expression : CamTarget::Output::valence};
  const CamMaps maps = s.cam.maps(pixels, {&target, 1});
  return {maps.size, maps.size, 3, heat_overlay(pixels, s.network.channels, maps.maps)};
}

}  // namespace vkfer
