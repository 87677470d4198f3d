#include "tools/report/explained.h"

#include <algorithm>
#include <cmath>

#include "models/weights/base64.h"
#include "models/weights/transfer.h"
#include "runtime/error.h"
#include "tools/analysis/features.h"
#include "tools/analysis/grad_cam.h"
#include "tools/analysis/heat.h"
#include "tools/analysis/pca.h"
#include "tools/analysis/tsne.h"
#include "tools/data/image.h"

namespace vkfer {
namespace {

Json points_json(const Matrix& m) {
  Json points = Json::array();
  for (int64_t i = 0; i < m.rows; ++i) {
    Json point = Json::array();
    for (const float v : m.row(i)) point.push_back(std::round(double(v) * 1e3) / 1e3);
    points.push_back(point);
  }
  return points;
}

LoadOptions with_classifier(const NetworkSettings& network) {
  LoadOptions options;
  options.classifier = network.classifier();
  return options;
}

}  // namespace

Json feature_maps(Device& device, const ReportedRun& run, const DecodedCache& cache, const std::function<void(const char*, size_t, size_t)>& progress) {
  NetworkSettings network = run.network;
  network.pixel_channels = cache.channels();
  States states(device);
  PenultimateFeatures features(device, states, network, run.target);
  load_weights(run.saved->weights, features.graph(), states, with_classifier(network));
  const Matrix rows = pca(device, run.target, features.rows(cache).values).scores, pixels = pca(device, run.target, pixel_rows(cache).values).scores;
  const auto laid_out = [&](const Matrix& x, int dimensions, const char* what) {
    TsneOptions options;
    options.dimensions = dimensions;
    if (progress) options.progress = [&, what](int done, int total) { progress(what, size_t(done), size_t(total)); };
    return tsne(device, run.target, x, options);
  };
  const Tsne flat = laid_out(rows, 2, "t-SNE of features"), space = laid_out(rows, 3, "t-SNE in 3-D"), raw = laid_out(pixels, 2, "t-SNE of pixels");
  std::string text = fmt::format("{} pictures, each a point: near each other is what the network finds alike. {} features before the last layer, {} principal components, exact t-SNE "
                                 "with perplexity {:g}; Kullback-Leibler divergence {:.3f} in two dimensions, {:.3f} in three, {:.3f} of the pixels. Distances between far groups say little.",
                                 rows.rows, features.columns(), rows.columns, flat.perplexity, flat.divergence, space.divergence, raw.divergence);
  return {{"points2", points_json(flat.points)}, {"points3", points_json(space.points)}, {"pixels2", points_json(raw.points)}, {"text", text}};
}

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
  load_weights(run.saved->weights, cam.graph(), states, with_classifier(network));
  std::vector<uint8_t> pixels;
  for (size_t i = 0; i < cache.size(); ++i) pixels.insert(pixels.end(), cache.pixels(i).begin(), cache.pixels(i).end());
  const CamMaps maps = cam.maps(pixels, std::vector<CamTarget>{{}});
  std::vector<std::string> overlays;
  const size_t each = size_t(maps.size) * size_t(maps.size);
  for (size_t i = 0; i < cache.size(); ++i)
    overlays.push_back(data_uri(heat_overlay(cache.pixels(i), cache.channels(), std::span(maps.maps).subspan(i * each, each)), maps.size, 3));
  return overlays;
}

}  // namespace vkfer
