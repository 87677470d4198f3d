// Convolutions, pools, normalisation, resizing and matrix products.
#include <algorithm>
#include <array>
#include <cmath>

#include "graph/ops/ops.h"
#include "models/layers.h"
#include "models/onnx/operators.h"

namespace vkfer {
namespace {

using Integers = std::vector<int64_t>;

// Of one or two spatial dimensions, as two: an image of one has a height of 1.
Integers two(const NodeImport& c, Integers v, size_t spatial, int64_t fallback) {
  if (v.empty()) v.assign(spatial, fallback);
  if (v.size() != spatial) c.wrong("got {} numbers for {} spatial dimensions", v.size(), spatial);
  if (spatial == 1) v.insert(v.begin(), fallback);
  return v;
}

struct Window {
  Integers kernel, stride, dilation, pad;       // pad: top, left, bottom, right
};

// auto_pad and pads. `sizes`: of the image, height and width.
Window window(const NodeImport& c, const OnnxTensor& x, Integers kernel) {
  const size_t spatial = size_t(x.rank() - 2);
  if (spatial < 1 || spatial > 2) c.unsupported("{} spatial dimensions, expected 1 or 2", spatial);
  Window w{two(c, std::move(kernel), spatial, 1), two(c, c.integers("strides", {}), spatial, 1), two(c, c.integers("dilations", {}), spatial, 1), Integers(4, 0)};
  for (size_t i = 0; i < 2; ++i)
    for (const int64_t v : {w.kernel[i], w.stride[i], w.dilation[i]})
      if (v < 1 || v > 4096) c.wrong("a kernel, stride or dilation of {}", v);
  const std::string mode = c.text("auto_pad", "NOTSET");
  if (mode == "NOTSET") {
    Integers pads = c.integers("pads", Integers(2 * spatial, 0));
    if (pads.size() != 2 * spatial) c.wrong("got {} pads, expected {}", pads.size(), 2 * spatial);
    if (spatial == 1) pads = {0, pads[0], 0, pads[1]};
    if (std::ranges::any_of(pads, [](int64_t p) { return p < 0; })) c.unsupported("negative pads");
    w.pad = pads;
  } else if (mode != "VALID") {
    const Integers sizes = two(c, Integers(x.shape.begin() + 2, x.shape.end()), spatial, 1);
    for (size_t i = 0; i < 2; ++i) {
      const int64_t out = (sizes[i] + w.stride[i] - 1) / w.stride[i];
      const int64_t total = std::max<int64_t>(0, (out - 1) * w.stride[i] + (w.kernel[i] - 1) * w.dilation[i] + 1 - sizes[i]);
      w.pad[i] = mode == "SAME_LOWER" ? total - total / 2 : total / 2;
      w.pad[i + 2] = total - w.pad[i];
    }
    if (mode != "SAME_UPPER" && mode != "SAME_LOWER") c.wrong("auto_pad is '{}'", mode);
  }
  return w;
}

void check_images(const NodeImport& c, const OnnxTensor& x) {
  if (x.rank() < 3) c.wrong("got rank {}, expected images", x.rank());
  if (x.elements() == 0) c.unsupported("images without elements");
}

// [n,h,w,c] back to the rank that came in.
void out_images(NodeImport& c, Value v, const OnnxTensor& like, int i = 0) {
  const Integers s = c.shape(v);
  c.out(i, like.rank() == 3 ? c.reshape(v, {s[0], s[2], s[3]}) : v, like.type, true);
}

// A filter [a,b,k...] as [r,s,b,a].
Value filter_of(NodeImport& c, const OnnxTensor& w) {
  if (w.rank() == 4) return c.plain(w, Form::filter);
  if (w.rank() != 3) c.unsupported("{} spatial dimensions, expected 1 or 2", w.rank() - 2);
  return c.transpose(c.reshape(c.plain(w), {w.shape[0], w.shape[1], 1, w.shape[2]}), {2, 3, 1, 0});
}

void conv(NodeImport& c) {
  const OnnxTensor &x = c.in(0), &w = c.in(1);
  check_images(c, x);
  if (w.rank() != x.rank()) c.wrong("a filter of rank {} for images of rank {}", w.rank(), x.rank());
  const Window win = window(c, x, Integers(w.shape.begin() + 2, w.shape.end()));
  std::vector<Value> in = {c.images(x), filter_of(c, w)};
  if (c.given(2)) in.push_back(c.plain(c.in(2)));
  out_images(c, c.add(ops::conv2d, {{"stride", win.stride}, {"pad", win.pad}, {"dilation", win.dilation}, {"groups", c.integer("group", 1)}, {"bias", c.given(2)}}, in), x);
}

void conv_transpose(NodeImport& c) {
  const OnnxTensor &x = c.in(0), &w = c.in(1);
  check_images(c, x);
  if (w.rank() != x.rank()) c.wrong("a filter of rank {} for images of rank {}", w.rank(), x.rank());
  const size_t spatial = size_t(x.rank() - 2);
  Window win = window(c, x, Integers(w.shape.begin() + 2, w.shape.end()));
  const int64_t groups = c.integer("group", 1);
  Integers extra = two(c, c.integers("output_padding", {}), spatial, 0);
  const Integers size = two(c, Integers(x.shape.begin() + 2, x.shape.end()), spatial, 1);
  const std::string mode = c.text("auto_pad", "NOTSET");
  Integers wanted = c.integers("output_shape", {});
  if (!wanted.empty() || mode.starts_with("SAME")) {
    if (wanted.size() > spatial) wanted.erase(wanted.begin(), wanted.end() - ptrdiff_t(spatial));
    if (!wanted.empty()) wanted = two(c, wanted, spatial, 1);
    for (size_t i = 0; i < 2; ++i) {
      const int64_t out = wanted.empty() ? size[i] * win.stride[i] : wanted[i];
      const int64_t total = (size[i] - 1) * win.stride[i] + extra[i] + (win.kernel[i] - 1) * win.dilation[i] + 1 - out;
      if (total < 0) extra[i] -= total;
      const int64_t pad = std::max<int64_t>(total, 0), less = pad / 2;
      win.pad[i] = mode == "SAME_UPPER" ? less : pad - less;
      win.pad[i + 2] = pad - win.pad[i];
    }
  }
  std::vector<Value> in = {c.images(x), filter_of(c, w)};
  // The gradient of the convolution that goes the other way.
  Integers out = {x.shape[0], 0, 0, w.shape[1] * groups};
  for (size_t i = 0; i < 2; ++i) {
    out[i + 1] = (size[i] - 1) * win.stride[i] + extra[i] + (win.kernel[i] - 1) * win.dilation[i] + 1 - win.pad[i] - win.pad[i + 2];
    if (out[i + 1] < 1 || extra[i] < 0) c.wrong("an output of {}", out[i + 1]);
    if (extra[i] >= win.stride[i]) c.unsupported("an output padding of {} with a stride of {}", extra[i], win.stride[i]);
  }
  Value y = c.add(ops::conv2d_grad_input, {{"stride", win.stride}, {"pad", win.pad}, {"dilation", win.dilation}, {"groups", groups}, {"input", out}}, in);
  if (c.given(2)) y = c.binary("add", y, c.plain(c.in(2)));
  out_images(c, y, x);
}

// Pools work on f32; small integers are exact there.
void pool(NodeImport& c, const OpDef& op, Attrs attrs) {
  const OnnxTensor& x = c.in(0);
  check_images(c, x);
  if (c.wants(1)) c.unsupported("the indices of the maxima");
  const Window win = window(c, x, c.integers("kernel_shape", {}));
  attrs.set("kernel", win.kernel).set("stride", win.stride).set("pad", win.pad).set("ceil_mode", c.integer("ceil_mode", 0));
  if (win.dilation != Integers{1, 1}) c.unsupported("a dilation of {}", fmt::join(win.dilation, ","));
  const Value v = c.images(x);
  out_images(c, c.cast(c.add(op, attrs, {c.cast(v, DType::f32)}), c.dtype(v)), x);
}

void max_pool(NodeImport& c) { pool(c, ops::max_pool, {}); }
void average_pool(NodeImport& c) { pool(c, ops::avg_pool, {{"count_include_pad", c.integer("count_include_pad", 0)}}); }

// -> [n,1,...,1,c]
void global_pool(NodeImport& c, const OpDef& op, const char* function) {
  const OnnxTensor& x = c.in(0);
  check_images(c, x);
  const Value v = c.channels_last(x);
  Integers axes;
  for (int64_t i = 1; i + 1 < x.rank(); ++i) axes.push_back(i);
  const Value y = x.rank() == 4 && !c.folding() ? c.reshape(c.add(op, {}, {v}), {x.shape[0], 1, 1, x.shape[1]}) : c.reduce(function, v, axes, true);
  c.out(0, y, x.type, true);
}
void global_average_pool(NodeImport& c) { global_pool(c, ops::global_avg_pool, "mean"); }
void global_max_pool(NodeImport& c) { global_pool(c, ops::global_max_pool, "max"); }

// ---- normalisation ----------------------------------------------------------------------------------------------------

struct Moments {
  Value centred, mean, variance;   // over `axes`, which stay as 1; the variance biased
};
Moments moments(NodeImport& c, Value x, const Integers& axes) {
  Moments m;
  m.mean = c.reduce("mean", x, axes, true);
  m.centred = c.binary("sub", x, m.mean);
  m.variance = c.reduce("mean", c.binary("mul", m.centred, m.centred), axes, true);
  return m;
}
Value inverse_deviation(NodeImport& c, Value variance, double eps) {
  return c.unary("reciprocal", c.unary("sqrt", c.binary("add", variance, c.scalar(eps))));
}

// Batch statistics, biased, as ONNX's training mode has them.
void batch_norm_of_batch(NodeImport& c, double eps) {
  const OnnxTensor& x = c.in(0);
  const bool last = x.rank() > 2;
  const Value v = c.in_order_of(x, last);
  Integers axes;
  for (int64_t i = 0; i + 1 < x.rank(); ++i) axes.push_back(i);
  const Moments m = moments(c, v, axes);
  const Value y = c.binary("mul", c.binary("mul", m.centred, inverse_deviation(c, m.variance, eps)), c.plain(c.in(1)));
  c.out(0, c.binary("add", y, c.plain(c.in(2))), x.type, last);
  const double momentum = c.number("momentum", 0.9);
  const auto mixed = [&](int i, Value now) {
    const Value before = c.binary("mul", c.plain(c.in(i)), c.scalar(momentum));
    return c.binary("add", before, c.binary("mul", c.reshape(now, c.in(i).shape), c.scalar(1 - momentum)));
  };
  if (c.wants(1)) c.out(1, mixed(3, m.mean), c.in(3).type);
  if (c.wants(2)) c.out(2, mixed(4, m.variance), c.in(4).type);
}

void batch_norm(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  const double eps = c.number("epsilon", 1e-5);
  if (x.rank() < 2) c.wrong("got rank {}, expected at least 2", x.rank());
  if (x.elements() == 0) c.unsupported("images without elements");
  if (c.opset() < 9 && !c.integer("spatial", 1)) c.unsupported("statistics for every pixel");
  if (c.opset() >= 14 && c.integer("training_mode", 0)) return batch_norm_of_batch(c, eps);
  for (int i = 1; i < 5; ++i)
    if (c.wants(i)) c.unsupported("training outputs before opset 14");
  const bool last = x.rank() > 2;
  Value v = c.in_order_of(x, last);
  const Integers full = c.shape(v);
  if (x.rank() != 4 && x.rank() != 2) v = c.reshape(v, {full[0], 1, c.graph().shape(v).rows() / full[0], full.back()});
  const Layers::NormStates states{c.plain(c.in(1)), c.plain(c.in(2)), c.plain(c.in(3), Form::statistic), c.plain(c.in(4), Form::statistic)};
  // ONNX's momentum is the share of what was.
  if (c.layers() && c.in(3).known && c.in(4).known) v = c.layers()->batch_norm(c.label(), v, states, {.eps = eps, .momentum = 1 - c.number("momentum", 0.9)});
  else v = c.add(ops::batch_norm_eval, {{"eps", eps}}, {v, states.weight, states.bias, states.mean, states.var});
  c.out(0, c.reshape(v, full), x.type, last);
}

void instance_norm(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  const Value v = c.channels_last(x);
  Integers axes;
  for (int64_t i = 1; i + 1 < x.rank(); ++i) axes.push_back(i);
  const Moments m = moments(c, v, axes);
  const Value y = c.binary("mul", c.binary("mul", m.centred, inverse_deviation(c, m.variance, c.number("epsilon", 1e-5))), c.plain(c.in(1)));
  c.out(0, c.binary("add", y, c.plain(c.in(2))), x.type, true);
}

void layer_norm(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  const int64_t axis = c.axis(c.integer("axis", -1), x.rank());
  Integers axes;
  for (int64_t i = axis; i < x.rank(); ++i) axes.push_back(i);
  const Moments m = moments(c, c.plain(x), axes);
  const Value inverse = inverse_deviation(c, m.variance, c.number("epsilon", 1e-5));
  Value y = c.binary("mul", c.binary("mul", m.centred, inverse), c.plain(c.in(1)));
  if (c.given(2)) y = c.binary("add", y, c.plain(c.in(2)));
  c.out(0, y, x.type);
  c.out(1, m.mean, StoredType::f32);
  c.out(2, inverse, StoredType::f32);
}

void group_norm(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  const int64_t groups = c.integer("num_groups", 1), channels = x.shape.at(1);
  if (x.rank() < 3 || groups < 1 || channels % groups) c.wrong("{} channels in {} groups", channels, groups);
  Integers split = {x.shape[0], groups, channels / groups}, axes = {2}, one(size_t(x.rank()), 1);
  for (int64_t i = 2; i < x.rank(); ++i) split.push_back(x.shape[size_t(i)]), axes.push_back(i + 1);
  const Moments m = moments(c, c.reshape(c.plain(x), split), axes);
  Value y = c.binary("mul", m.centred, inverse_deviation(c, m.variance, c.number("epsilon", 1e-5)));
  const auto parameter = [&](int i) {
    const bool by_group = c.opset() < 21;   // opset 18: one a group; 21: one a channel
    Integers dims(by_group ? split.size() : size_t(x.rank()), 1);
    dims[1] = by_group ? groups : channels;
    return c.reshape(c.plain(c.in(i)), dims);
  };
  if (c.opset() >= 21) y = c.reshape(y, x.shape);
  y = c.binary("add", c.binary("mul", y, parameter(1)), parameter(2));
  c.out(0, c.reshape(y, x.shape), x.type);
}

// (x - E x) / sqrt(E x^2 - (E x)^2), without an epsilon worth the name.
void mean_variance_norm(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  const Moments m = moments(c, c.plain(x), c.axes(c.integers("axes", {0, 2, 3}), x.rank()));
  c.out(0, c.binary("div", m.centred, c.binary("add", c.unary("sqrt", m.variance), c.scalar(1e-9))), x.type);
}

// x / (bias + alpha/size * sum of squares of neighbouring channels)^beta: the sum is a product with a band of ones.
void lrn(NodeImport& c) {
  const OnnxTensor& x = c.in(0);
  check_images(c, x);
  const int64_t size = c.integer("size", 1), channels = x.shape[1];
  if (size < 1 || channels > 8192) c.unsupported("{} channels in windows of {}", channels, size);
  std::vector<double> band;
  for (int64_t i = 0; i < channels; ++i)
    for (int64_t j = 0; j < channels; ++j) band.push_back(i >= j - (size - 1) / 2 && i <= j + size / 2);
  const Value v = c.channels_last(x), m = c.table("band", StoredType::f32, {channels, channels}, band);
  Value sum = c.add(ops::matmul, {}, {c.binary("mul", v, v), m});
  sum = c.binary("add", c.binary("mul", sum, c.scalar(c.number("alpha", 0.0001) / double(size))), c.scalar(c.number("bias", 1)));
  c.out(0, c.binary("div", v, c.binary("pow", sum, c.scalar(c.number("beta", 0.75)))), x.type, true);
}

// ---- matrix products ----------------------------------------------------------------------------------------------------

Value swapped(NodeImport& c, Value v) {
  Integers perm;
  for (size_t i = 0; i < c.shape(v).size(); ++i) perm.push_back(int64_t(i));
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return c.transpose(v, perm);
}

bool not_empty(const OnnxTensor& a, const OnnxTensor& b) { return a.elements() > 0 && b.elements() > 0; }

void gemm(NodeImport& c) {
  const OnnxTensor &a = c.in(0), &b = c.in(1);
  if (a.rank() != 2 || b.rank() != 2) c.wrong("got ranks {} and {}, expected matrices", a.rank(), b.rank());
  const bool turn_a = c.integer("transA", 0) != 0, turn_b = c.integer("transB", 0) != 0;
  const double alpha = c.number("alpha", 1), beta = c.number("beta", 1);
  const int64_t rows = a.shape[turn_a], columns = b.shape[!turn_b];
  const bool real = device_type(a.type) == DType::f32 && not_empty(a, b) && !c.folding();
  const Value x = turn_a ? swapped(c, c.plain(a)) : c.plain(a), w = turn_b ? c.plain(b, Form::linear) : c.plain(b);
  const bool bias = c.given(2) && c.in(2).shape == Integers{columns} && beta == 1 && alpha == 1;
  std::vector<Value> in = {x, w};
  if (bias && real) in.push_back(c.plain(c.in(2)));
  Value y = real ? c.add(ops::linear, {{"bias", in.size() == 3}}, in) : c.add(ops::matmul, {}, {x, w});
  if (alpha != 1) y = c.binary("mul", y, c.scalar(alpha, c.dtype(y)));
  if (c.given(2) && in.size() == 2 && beta != 0) {
    Value z = c.plain(c.in(2));
    if (beta != 1) z = c.binary("mul", z, c.scalar(beta, c.dtype(z)));
    y = c.binary("add", y, z);
  }
  if (c.shape(y) != Integers{rows, columns}) c.wrong("the third operand has the shape [{}]", fmt::join(c.in(2).shape, ","));
  c.out(0, y, a.type);
}

void matmul(NodeImport& c) {
  const OnnxTensor &a = c.in(0), &b = c.in(1);
  if (a.rank() < 1 || b.rank() < 1) c.wrong("a scalar");
  Value x = c.plain(a), y = c.plain(b);
  if (b.rank() == 2 && a.rank() >= 2 && device_type(a.type) == DType::f32 && not_empty(a, b) && !c.folding()) {
    Integers out = a.shape;
    out.back() = b.shape[1];
    x = c.add(ops::linear, {}, {c.reshape(x, {a.elements() / a.shape.back(), a.shape.back()}), y});
    return c.out(0, c.reshape(x, out), a.type);
  }
  // A vector is a row on the left, a column on the right; its dimension goes away again.
  if (a.rank() == 1) x = c.reshape(x, {1, a.shape[0]});
  if (b.rank() == 1) y = c.reshape(y, {b.shape[0], 1});
  Value z = c.add(ops::matmul, {}, {x, y});
  Integers out = c.shape(z);
  if (b.rank() == 1) out.pop_back();
  if (a.rank() == 1) out.erase(out.end() - (b.rank() == 1 ? 1 : 2));
  c.out(0, c.reshape(z, out), a.type);
}

// ---- resizing: along each axis a product with a matrix of interpolation weights -----------------------------------------

struct Resizing {
  std::vector<double> scales;
  Integers sizes, axes;
  std::string mode = "nearest", coordinates = "half_pixel", nearest = "round_prefer_floor", policy = "stretch";
  double cubic = -0.75, outside = 0;
  bool exclude_outside = false, antialias = false;
  std::vector<double> roi;             // starts, then ends, by axis: of tf_crop_and_resize
};

// Where pixel i of the output lies in the input.
double source(const Resizing& r, int64_t i, int64_t in, int64_t out, double scale, double roi_start, double roi_end) {
  const double resized = scale * double(in), n = double(in);
  if (r.coordinates == "half_pixel") return (double(i) + 0.5) / scale - 0.5;
  if (r.coordinates == "half_pixel_symmetric") return n / 2 * (1 - double(out) / resized) + (double(i) + 0.5) / scale - 0.5;
  if (r.coordinates == "pytorch_half_pixel") return out > 1 ? (double(i) + 0.5) / scale - 0.5 : 0;
  if (r.coordinates == "align_corners") return out > 1 ? double(i) * (n - 1) / (resized - 1) : 0;
  if (r.coordinates == "tf_crop_and_resize")
    return out > 1 ? roi_start * (n - 1) + double(i) * (roi_end - roi_start) * (n - 1) / double(out - 1) : 0.5 * (roi_start + roi_end) * (n - 1);
  if (r.coordinates == "tf_half_pixel_for_nn") return (double(i) + 0.5) / scale;
  return double(i) / scale;            // asymmetric
}

int64_t nearest_of(const std::string& mode, double x) {
  if (mode == "floor") return int64_t(std::floor(x));
  if (mode == "ceil") return int64_t(std::ceil(x));
  return mode == "round_prefer_ceil" ? int64_t(std::floor(x + 0.5)) : int64_t(std::ceil(x - 0.5));
}

// Of a tap `d` pixels away.
double weight_of(const Resizing& r, double d) {
  d = std::abs(d);
  if (r.mode == "linear") return std::max(0.0, 1 - d);
  const double a = r.cubic;
  return d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : d < 2 ? a * (((d - 5) * d + 8) * d - 4) : 0;
}

std::vector<double> interpolation(const Resizing& r, int64_t in, int64_t out, double scale, double roi_start, double roi_end, bool* outside) {
  std::vector<double> m(size_t(in * out));
  for (int64_t i = 0; i < out; ++i) {
    const double x = source(r, i, in, out, scale, roi_start, roi_end);
    double* row = m.data() + i * in;
    if (r.coordinates == "tf_crop_and_resize" && (x < 0 || x > double(in - 1))) {
      *outside = true;
      continue;
    }
    if (r.mode == "nearest") {
      row[std::clamp<int64_t>(nearest_of(r.nearest, x), 0, in - 1)] = 1;
      continue;
    }
    const double stretch = r.antialias && scale < 1 ? scale : 1, reach = (r.mode == "linear" ? 1 : 2) / stretch;
    double sum = 0;
    for (int64_t j = int64_t(std::floor(x - reach)); j <= int64_t(std::ceil(x + reach)); ++j) {
      const bool inside = j >= 0 && j < in;
      const double w = r.exclude_outside && !inside ? 0 : weight_of(r, (double(j) - x) * stretch);
      row[std::clamp<int64_t>(j, 0, in - 1)] += w;
      sum += w;
    }
    for (int64_t j = 0; j < in; ++j) row[j] /= sum;
  }
  return m;
}

void resize_to(NodeImport& c, Resizing r) {
  constexpr int64_t kLargest = 1 << 14;
  const OnnxTensor& x = c.in(0);
  check_images(c, x);
  if (r.mode == "bilinear") r.mode = "linear";
  if (r.mode != "nearest" && r.mode != "linear" && r.mode != "cubic") c.unsupported("mode '{}'", r.mode);
  if (r.axes.empty())
    for (int64_t i = 0; i < x.rank(); ++i) r.axes.push_back(i);
  const size_t n = r.axes.size();
  if ((r.sizes.empty() ? r.scales.size() : r.sizes.size()) != n) c.wrong("got {} scales and {} sizes for {} axes", r.scales.size(), r.sizes.size(), n);
  std::vector<double> scales(n);
  for (size_t i = 0; i < n; ++i) scales[i] = r.sizes.empty() ? r.scales[i] : double(r.sizes[i]) / double(x.shape[size_t(c.axis(r.axes[i], x.rank()))]);
  if (!r.sizes.empty() && r.policy != "stretch") {
    const double one = r.policy == "not_larger" ? *std::ranges::min_element(scales) : *std::ranges::max_element(scales);
    for (size_t i = 0; i < n; ++i) scales[i] = one, r.sizes[i] = int64_t(std::floor(one * double(x.shape[size_t(c.axis(r.axes[i], x.rank()))]) + 0.5));
  }
  const bool last = x.value && x.channels_last;
  Value v = c.in_order_of(x, last);
  const std::vector<int64_t> place = last ? inverse(to_channels_last(x.rank())) : Integers{};
  for (size_t i = 0; i < n; ++i) {
    const int64_t a = c.axis(r.axes[i], x.rank()), in = x.shape[size_t(a)];
    const double wanted = r.sizes.empty() ? std::floor(double(in) * scales[i]) : double(r.sizes[i]);
    if (!(scales[i] > 0) || !(wanted >= 1 && wanted <= double(kLargest)) || in > kLargest) c.unsupported("a size of {} from {}", wanted, in);
    const int64_t out = int64_t(wanted);
    const double start = r.roi.empty() ? 0 : r.roi.at(i), end = r.roi.empty() ? 1 : r.roi.at(i + n);
    if (out == in && scales[i] == 1 && start == 0 && end == 1) continue;
    bool outside = false;
    const std::vector<double> m = interpolation(r, in, out, scales[i], start, end, &outside);
    if (outside && r.outside != 0) c.unsupported("a crop that reaches outside, filled with {}", r.outside);
    v = c.along(v, last ? place[size_t(a)] : a, out, fmt::format("weights.{}", a), m);
  }
  c.out(0, v, x.type, last);
}

// Upsample, and Resize of opset 10: corners at corners, and the pixel before.
void upsample(NodeImport& c) {
  Resizing r;
  if (c.opset() >= 9) r.scales = c.numbers_of(1);
  else if (const OnnxAttribute* a = c.attribute("scales")) r.scales = a->numbers;
  r.mode = c.text("mode", "nearest");
  r.coordinates = "asymmetric";
  r.nearest = "floor";
  resize_to(c, r);
}

void resize_11(NodeImport& c) {
  Resizing r;
  if (c.given(2) && c.in(2).elements() > 0) r.scales = c.numbers_of(2);
  if (c.given(3) && c.in(3).elements() > 0) r.sizes = c.integers_of(3), r.scales.clear();
  r.axes = c.integers("axes", {});
  r.mode = c.text("mode", "nearest");
  r.coordinates = c.text("coordinate_transformation_mode", "half_pixel");
  r.nearest = c.text("nearest_mode", "round_prefer_floor");
  r.policy = c.text("keep_aspect_ratio_policy", "stretch");
  r.cubic = c.number("cubic_coeff_a", -0.75);
  r.outside = c.number("extrapolation_value", 0);
  r.exclude_outside = c.integer("exclude_outside", 0) != 0;
  r.antialias = c.integer("antialias", 0) != 0;
  if (r.coordinates == "tf_crop_and_resize") r.roi = c.numbers_of(1);
  if (!r.roi.empty() && r.roi.size() != 2 * (r.axes.empty() ? size_t(c.in(0).rank()) : r.axes.size())) c.wrong("a roi of {} numbers", r.roi.size());
  resize_to(c, r);
}

constexpr OnnxOperator kRows[] = {
    {"AveragePool", 1, average_pool},
    {"BatchNormalization", 6, batch_norm},
    {"Conv", 1, conv},
    {"ConvTranspose", 1, conv_transpose},
    {"Gemm", 1, gemm},
    {"GlobalAveragePool", 1, global_average_pool},
    {"GlobalMaxPool", 1, global_max_pool},
    {"GroupNormalization", 18, group_norm},
    {"InstanceNormalization", 6, instance_norm},
    {"LRN", 1, lrn},
    {"LayerNormalization", 17, layer_norm},
    {"MatMul", 1, matmul},
    {"MaxPool", 1, max_pool},
    {"MeanVarianceNormalization", 9, mean_variance_norm},
    {"Resize", 10, upsample},
    {"Resize", 11, resize_11},
    {"Upsample", 7, upsample},
};

}  // namespace

const std::span<const OnnxOperator> kImageOperators = kRows;

}  // namespace vkfer
