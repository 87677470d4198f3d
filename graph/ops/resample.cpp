// Images of any size to one size on the device: a triangle filter, antialiased, as PIL's resize(BILINEAR).
#include <cmath>

#include "graph/ops/ops.h"
#include "graph/ops/util.h"
#include "shaders/params/image.h"

namespace vkfer::ops {

namespace {

constexpr int64_t kTableColumns = 8;

std::vector<TensorDesc> resample_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("resample", label, in);
  check.count(2);
  check.dtype(0, "bytes", DType::u8);
  check.rank(0, "bytes", 1);
  check.not_empty(0, "bytes");
  check.dtype(1, "table", DType::i32);
  check.rank(1, "table", 2);
  check.not_empty(1, "table");
  check.shape(1, "table", Shape{in[1].shape[0], kTableColumns});
  const int64_t size = attrs.integer("size"), channels = attrs.integer("channels");
  check.require(size > 0, "got size={}, expected at least 1. Fix: correct --size.", size);
  check.require(channels == 1 || channels == 3, "got channels={}, expected 1 or 3. Fix: correct the attribute.",
                channels);
  return {{Shape{in[1].shape[0], size, size, channels}, DType::u8}};
}

struct Taps {
  int64_t first = 0;
  std::vector<double> weights;  // they sum to 1
};

// The triangle filter for position `at` of `size`, over `length` source samples: wider than a sample when shrinking.
Taps taps(int64_t at, int64_t size, int64_t length) {
  const double ratio = double(length) / double(size), support = std::max(ratio, 1.0),
               centre = (double(at) + 0.5) * ratio;
  Taps t;
  t.first = std::max<int64_t>(int64_t(centre - support + 0.5), 0);
  const int64_t end = std::min(int64_t(centre + support + 0.5), length);
  double sum = 0;
  for (int64_t tap = t.first; tap < end; ++tap) {
    t.weights.push_back(std::max(1 - std::abs((double(tap) + 0.5 - centre) / support), 0.0));
    sum += t.weights.back();
  }
  for (double& w : t.weights) w /= sum;
  return t;
}

struct Source {
  int64_t offset, height, width, channels, y0, x0, crop_height, crop_width;
};

Source source_of(const HostTensor& table, int64_t image) {
  int64_t v[kTableColumns];
  for (int64_t i = 0; i < kTableColumns; ++i) v[i] = int64_t(table[size_t(image * kTableColumns + i)]);
  return {v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]};
}

double filtered(const HostTensor& bytes, const Source& s, const Taps& rows, const Taps& columns, int64_t channel) {
  double sum = 0;
  for (size_t i = 0; i < rows.weights.size(); ++i)
    for (size_t j = 0; j < columns.weights.size(); ++j) {
      const int64_t row = s.y0 + rows.first + int64_t(i), column = s.x0 + columns.first + int64_t(j);
      sum += rows.weights[i] * columns.weights[j] *
             bytes[size_t(s.offset + (row * s.width + column) * s.channels + channel)];
    }
  return sum;
}

void resample_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const int64_t size = attrs.integer("size"), channels = attrs.integer("channels");
  size_t at = 0;
  for (int64_t image = 0; image < out[0].shape.n(); ++image) {
    const Source s = source_of(in[1], image);
    const bool colour = s.channels >= 3;  // a second or fourth channel is alpha
    for (int64_t y = 0; y < size; ++y)
      for (int64_t x = 0; x < size; ++x)
        for (int64_t c = 0; c < channels; ++c) {
          const Taps rows = taps(y, size, s.crop_height), columns = taps(x, size, s.crop_width);
          double value = 0;
          if (channels == 1 && colour)
            for (int64_t k = 0; k < 3; ++k) value += kGray[k] * filtered(in[0], s, rows, columns, k);
          else
            value = filtered(in[0], s, rows, columns, colour ? c : 0);
          out[0][at++] = std::clamp(std::floor(value + 0.5), 0.0, 255.0);
        }
  }
}

void resample_lower(Lowering& l) {
  const TensorDesc &bytes = l.in_desc(0), &y = l.out_desc(0);
  if (bytes.bytes() > l.target.max_storage_range)
    fail("resample", "'{}': {} source bytes, more than the device binds at once ({}). Fix: use a smaller --batch.",
         l.label(), bytes.bytes(), l.target.max_storage_range);
  const uint32_t size = uint32_t(y.shape.h()), channels = uint32_t(y.shape.c());
  for (Slice s : l.batch_slices({l.in_desc(1), y})) {
    const int64_t pixels = s.count * size * size;
    const params::Resample push{uint32_t(pixels),
                                size,
                                uint32_t(bytes.bytes() / 4),
                                uint32_t(divide_round_up(pixels * channels, 4)),
                                params::divisor(size),
                                params::divisor(size)};
    l.dispatch("resample.f32", {l.target.workgroup, channels}, {l.in(0), l.in(1, s), l.out(0, s)}, push,
               groups_for_single(l, divide_round_up(pixels, 4)));
  }
}

// Work depends on the sizes of the sources; a sample read and weighted for every stored byte is the least.
Cost resample_cost(const Attrs& attrs, std::span<const TensorDesc> in, std::span<const TensorDesc> out) {
  Cost c = elementwise_cost<12>(attrs, in, out);
  c.flops += 6 * double(in[0].elements());
  return c;
}

std::vector<Case> resample_cases() {
  const auto row = [](int64_t capacity, int size, int channels, Numbers table) {
    const int64_t images = int64_t(table.size()) / kTableColumns;
    return Case{.in = {u8({capacity}), i32({images, kTableColumns})},
                .attrs = {{"size", size}, {"channels", channels}},
                .fill = {Fill::index(0, 255), Fill::fixed(std::move(table))}};
  };
  return {row(1, 1, 1, {0, 1, 1, 1, 0, 0, 1, 1}),
          row(1, 3, 3, {0, 1, 1, 1, 0, 0, 1, 1}),
          row(100, 5, 3, {0, 5, 5, 3, 0, 0, 5, 5}),                                       // the same size: a copy
          row(1000, 7, 3, {3, 9, 14, 3, 0, 0, 9, 14, 500, 20, 11, 1, 2, 3, 17, 8}),       // shrink; gray; a crop box
          row(300, 11, 1, {1, 5, 6, 3, 0, 0, 5, 6, 101, 4, 3, 1, 0, 0, 4, 3}),            // grow; colour to gray
          row(5000, 6, 3, {10, 31, 37, 4, 1, 2, 29, 33, 4700, 13, 11, 2, 0, 0, 13, 11}),  // alpha is not read
          row(8000, 48, 1, {0, 64, 60, 1, 0, 0, 64, 60, 3840, 48, 48, 1, 0, 0, 48, 48})};
}

}  // namespace

// A value within rounding of a half may round to the other level: one level in a small image is 1e-3.
const OpDef resample{.name = "resample",
                     .shape = resample_shape,
                     .reference = resample_reference,
                     .lower = resample_lower,
                     .cost = resample_cost,
                     .cases = resample_cases,
                     .error = 3e-3};

}  // namespace vkfer::ops
