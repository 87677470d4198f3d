#pragma once
// The parts of the report that look inside the network: where it looks, and how its features lie.
#include <span>

#include "tools/data/cache.h"
#include "tools/report/run_report.h"

namespace vkfer {

// The pictures of `cache`, each overlaid with its Grad-CAM for the class that is answered: data URIs, in its order. Fails where the
// network has no feature map.
std::vector<std::string> cam_overlays(Device&, const ReportedRun&, const DecodedCache& cache);

// A picture as a PNG in a data URI: [size,size,channels].
std::string data_uri(std::span<const uint8_t> pixels, int size, int channels);

}  // namespace vkfer
