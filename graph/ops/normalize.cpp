// From stored pixels to the network's input: shift, flip and normalisation on the device.
#include "graph/ops/ops.h"
#include "graph/ops/util.h"
#include "shaders/params/image.h"

namespace vkfer::ops {

namespace {


// x [n,h,w,c0] u8 -> [n,h,w,channels]; attr `to` = f32|f16 is the storage of the result ----

struct Normalization {
  int64_t channels;
  double scale;
  Numbers mean, std;
  DType to;
};

Normalization normalization_of(const Attrs& attrs) {
  const int64_t channels = attrs.integer("channels");
  const size_t count = size_t(std::clamp<int64_t>(channels, 0, 4));  // the check comes later: 1 or 3
  return {channels, attrs.number("scale", 1 / 255.0), attrs.numbers("mean", Numbers(count, 0.0)),
          attrs.numbers("std", Numbers(count, 1.0)), attrs.text("to", "f32") == "f16" ? DType::f16 : DType::f32};
}

std::vector<TensorDesc> normalize_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("normalize", label, in);
  check.count(2);
  check.dtype(0, "pixels", DType::u8);
  check.rank(0, "pixels", 4);
  check.not_empty(0, "pixels");
  const Shape& x = in[0].shape;
  const Normalization n = normalization_of(attrs);
  check.require(x.c() == 1 || x.c() == 3, "pixels have {} channels, expected 1 or 3. Fix: convert the images first.",
                x.c());
  check.require(n.channels == 1 || n.channels == 3, "got channels={}, expected 1 or 3. Fix: correct the attribute.",
                n.channels);
  check.require(n.mean.size() == size_t(n.channels) && n.std.size() == size_t(n.channels),
                "got {} means and {} standard deviations, expected {} of each. Fix: give one for every channel.",
                n.mean.size(), n.std.size(), n.channels);
  for (double s : n.std) check.require(s != 0, "got a standard deviation of 0. Fix: give the data's own.");
  check.dtype(1, "augment", DType::i32);
  check.shape(1, "augment", Shape{x.n(), 4});
  return {{Shape{x.n(), x.h(), x.w(), n.channels}, n.to}};
}

// Channel c of the pixel at (row, column) as `channels` of them; black outside the image.
double source_pixel(const HostTensor& x, int64_t image, int64_t row, int64_t column, int64_t c, int64_t channels) {
  const Shape& s = x.shape;
  if (row < 0 || row >= s.h() || column < 0 || column >= s.w()) return 0;
  const size_t first = size_t(((image * s.h() + row) * s.w() + column) * s.c());
  if (s.c() == 1) return x[first];
  if (channels == 3) return x[first + size_t(c)];
  return kGray[0] * x[first] + kGray[1] * x[first + 1] + kGray[2] * x[first + 2];
}

void normalize_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Normalization n = normalization_of(attrs);
  const Shape& s = out[0].shape;
  size_t at = 0;
  for (int64_t image = 0; image < s.n(); ++image) {
    const double* augment = in[1].data.data() + 4 * image;
    for (int64_t row = 0; row < s.h(); ++row)
      for (int64_t column = 0; column < s.w(); ++column)
        for (int64_t c = 0; c < s.c(); ++c) {
          const int64_t shifted = augment[0] != 0 ? s.w() - 1 - column : column;
          const double pixel =
              source_pixel(in[0], image, row - int64_t(augment[1]), shifted - int64_t(augment[2]), c, n.channels);
          out[0][at++] = (pixel * n.scale - n.mean[size_t(c)]) / n.std[size_t(c)];
        }
  }
}

void normalize_lower(Lowering& l) {
  const Normalization n = normalization_of(l.attrs());
  const TensorDesc &x = l.in_desc(0), &y = l.out_desc(0);
  for (Slice s : l.batch_slices({x, l.in_desc(1), y})) {
    params::Normalize push{};
    push.pixels = uint32_t(s.count * x.shape.h() * x.shape.w());
    push.height = uint32_t(x.shape.h());
    push.width = uint32_t(x.shape.w());
    push.channels_in = uint32_t(x.shape.c());
    push.scale = float(n.scale);
    for (size_t c = 0; c < 3; ++c) {
      push.mean[c] = float(n.mean[std::min(c, n.mean.size() - 1)]);
      push.std[c] = float(n.std[std::min(c, n.std.size() - 1)]);
    }
    push.by_x = params::divisor(x.shape.w());
    push.by_y = params::divisor(x.shape.h());
    l.dispatch(l.module("normalize", y.dtype),
               {l.target.workgroup, l.target.vectors_per_invocation, uint32_t(n.channels)},
               {l.in(0, s), l.in(1, s), l.out(0, s)}, push, groups_for(l, push.pixels));
  }
}

std::vector<Case> normalize_cases() {
  const auto row = [](const Shape& x, int channels, Numbers mean, Numbers std, Numbers augment,
                      const char* to = "f32") {
    return Case{.in = {u8(x), i32({x.n(), 4})},
                .attrs = {{"channels", channels}, {"mean", std::move(mean)}, {"std", std::move(std)}, {"to", to}},
                .fill = {Fill::index(0, 255), Fill::fixed(std::move(augment))}};
  };
  const Numbers mean{0.485, 0.456, 0.406}, std{0.229, 0.224, 0.225};
  return {row({1, 1, 1, 1}, 1, {0.5}, {0.5}, {0, 0, 0, 0}),
          row({3, 5, 5, 1}, 3, mean, std, {0, 0, 0, 0, 1, 0, 0, 0, 1, 2, -1, 0}),
          row({2, 7, 7, 3}, 3, mean, std, {0, -3, 2, 0, 1, 1, 3, 0}),
          row({2, 4, 6, 3}, 1, {0.5}, {0.25}, {1, 0, -2, 0, 0, 5, 0, 0}),
          row({5, 12, 12, 1}, 1, {0.5}, {0.25}, {0, 0, 0, 0, 1, 0, 0, 0, 0, 4, -4, 0, 1, -12, 0, 0, 1, 1, 1, 0}),
          row({3, 9, 9, 3}, 3, mean, std, {1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0}, "f16")};
}

}  // namespace

const OpDef normalize{.name = "normalize",
                      .shape = normalize_shape,
                      .reference = normalize_reference,
                      .lower = normalize_lower,
                      .again = same_again,
                      .cases = normalize_cases,
                      .error = 2e-6};

}  // namespace vkfer::ops
