#include "tools/report/explained.h"

#include <algorithm>
#include <cmath>

#include "models/weights/base64.h"
#include "models/weights/transfer.h"
#include "tools/analysis/grad_cam.h"
#include "tools/data/image.h"

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

// Half of the heat over the picture in gray.
std::vector<uint8_t> overlaid(std::span<const uint8_t> pixels, int channels, std::span<const float> map) {
  std::vector<uint8_t> out;
  for (size_t i = 0; i < map.size(); ++i) {
    const auto p = pixels.subspan(i * size_t(channels), size_t(channels));
    const float gray = channels == 1 ? p[0] : 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
    const Colour h = heat(map[i]);
    for (const float c : {h.red, h.green, h.blue}) out.push_back(uint8_t(std::lround(0.5f * gray + 0.5f * c)));
  }
  return out;
}

}  // namespace

std::string data_uri(std::span<const uint8_t> pixels, int size, int channels) {
  const std::vector<std::byte> png = png_bytes({size, size, channels, {pixels.begin(), pixels.end()}}, "report");
  return "data:image/png;base64," + to_base64({reinterpret_cast<const char*>(png.data()), png.size()});
}

std::vector<std::string> cam_overlays(Device& device, const ReportedRun& run, const DecodedCache& cache) {
  NetworkSettings network = run.network;
  network.pixel_channels = cache.channels();
  network.batch = std::min(network.batch, int(cache.size()));
  States states(device);
  GradCam cam(device, states, network, run.target);
  LoadOptions options;
  options.classifier = network.classifier();
  load_weights(run.saved->weights, cam.graph(), states, options);
  std::vector<uint8_t> pixels;
  for (size_t i = 0; i < cache.size(); ++i) pixels.insert(pixels.end(), cache.pixels(i).begin(), cache.pixels(i).end());
  const CamMaps maps = cam.maps(pixels, std::vector<CamTarget>{{}});
  std::vector<std::string> overlays;
  const size_t each = size_t(maps.size) * size_t(maps.size);
  for (size_t i = 0; i < cache.size(); ++i)
    overlays.push_back(data_uri(overlaid(cache.pixels(i), cache.channels(), std::span(maps.maps).subspan(i * each, each)), maps.size, 3));
  return overlays;
}

}  // namespace vkfer
