#include "tools/analysis/network_graph.h"

#include "graph/ops/ops.h"

namespace vkfer {

NetworkGraph network_graph(const NetworkSettings& settings) {
  NetworkSettings n = settings;
  n.storage = DType::f32;
  NetworkGraph net;
  Graph& g = net.graph;
  Value images;
  if (n.pixel_channels == 0) {
    images = g.input("images", {{n.batch, n.size, n.size, n.channels}, DType::f32});
  } else {
    net.pixels = g.input("pixels", {{n.batch, n.size, n.size, n.pixel_channels}, DType::u8});
    net.augment = g.input("augment", {{n.batch, 4}, DType::i32});
    const Preprocessing p = n.preprocessing.for_channels(n.channels);
    images = g.add1(ops::normalize, {{"channels", n.channels}, {"scale", p.scale}, {"mean", p.mean}, {"std", p.std}}, {net.pixels, net.augment}, "normalize");
  }
  net.built = build_model(*n.model, g, images, {}, model_options(n, false));
  return net;
}

}  // namespace vkfer
