#pragma once
// The parts of the report that look inside the network: where it looks, and how its features lie.
#include <span>

#include "tools/data/cache.h"
#include "tools/report/run_report.h"

namespace vkfer {

// The pictures of `cache`, each overlaid with its Grad-CAM for the class that is answered: data URIs, in its order. Fails where the
// network has no feature map.
std::vector<std::string> cam_overlays(Device&, const ReportedRun&, const DecodedCache& cache);

// The pictures of `cache` laid out by t-SNE of their first 50 principal components: by the network's features in two and three
// dimensions, by their pixels in two. {"points2": [[x,y],..], "points3": [[x,y,z],..], "pixels2": .., "text"}. Fails for fewer than 4 pictures.
Json feature_maps(Device&, const ReportedRun&, const DecodedCache& cache, const std::function<void(const char* what, size_t done, size_t total)>& progress);

// A picture as a PNG in a data URI: [size,size,channels].
std::string data_uri(std::span<const uint8_t> pixels, int size, int channels);

}  // namespace vkfer
