// Pictures turned, moved, sheared, zoomed, tilted, and changed in colour, one launch for a batch: augmentation on the device.
#include "graph/ops/ops.h"
#include "graph/ops/util.h"
#include "shaders/params/image.h"

namespace vkfer::ops {

namespace {

constexpr int64_t kColumns = 20;

std::vector<TensorDesc> warp_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("warp", label, in);
  check.count(2);
  check.dtype(0, "pixels", DType::u8), check.rank(0, "pixels", 4), check.not_empty(0, "pixels");
  const Shape& x = in[0].shape;
  check.require(x.c() == 1 || x.c() == 3, "pixels have {} channels, expected 1 or 3. Fix: convert the images first.", x.c());
  check.dtype(1, "table", DType::f32), check.shape(1, "table", Shape{x.n(), kColumns});
  return {in[0]};
}

// Of the picture at (row, column), each clamped to it.
double at(const HostTensor& x, int64_t image, double row, double column, int64_t c) {
  const Shape& s = x.shape;
  const auto r = int64_t(std::clamp(row, 0.0, double(s.h() - 1))), k = int64_t(std::clamp(column, 0.0, double(s.w() - 1)));
  return x[size_t(((image * s.h() + r) * s.w() + k) * s.c() + c)];
}

double level(double v) { return std::clamp(v, 0.0, 255.0); }

void warp_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Shape& s = out[0].shape;
  for (int64_t n = 0; n < s.n(); ++n) {
    const double* t = in[1].data.data() + kColumns * n;
    for (int64_t y = 0; y < s.h(); ++y)
      for (int64_t x = 0; x < s.w(); ++x) {
        double v[3];
        const double px = double(x) + 0.5, py = double(y) + 0.5, w = t[6] * px + t[7] * py + t[8];
        const double sx = (t[0] * px + t[1] * py + t[2]) / w - 0.5, sy = (t[3] * px + t[4] * py + t[5]) / w - 0.5;
        const double fx = sx - std::floor(sx), fy = sy - std::floor(sy);
        for (int64_t c = 0; c < s.c(); ++c) {
          const auto tap = [&](int dy, int dx) { return at(in[0], n, std::floor(sy) + dy, std::floor(sx) + dx, c); };
          v[c] = (1 - fy) * ((1 - fx) * tap(0, 0) + fx * tap(0, 1)) + fy * ((1 - fx) * tap(1, 0) + fx * tap(1, 1));
          v[c] = level(v[c] * t[9]);
          v[c] = level(t[11] * (1 - t[10]) + v[c] * t[10]);
        }
        if (s.c() == 3) {
          const double gray = kGray[0] * v[0] + kGray[1] * v[1] + kGray[2] * v[2];
          for (double& value : v) value = level(gray * (1 - t[12]) + value * t[12]);
        }
        const bool erased = py > t[13] && px > t[14] && py < t[15] && px < t[16];
        for (int64_t c = 0; c < s.c(); ++c)
          out[0][size_t(((n * s.h() + y) * s.w() + x) * s.c() + c)] = std::floor((erased ? t[17] : v[c]) + 0.5);
      }
  }
}

void warp_lower(Lowering& l) {
  const Shape& x = l.in_desc(0).shape;
  for (Slice s : l.batch_slices({l.in_desc(0), l.in_desc(1)})) {
    const int64_t pixels = s.count * x.h() * x.w();
    const params::Warp push{uint32_t(pixels), uint32_t(x.h()), uint32_t(x.w()), uint32_t(divide_round_up(pixels * x.c(), 4)), params::divisor(x.w()),
                            params::divisor(x.h())};
    l.dispatch("warp.f32", {l.target.workgroup, uint32_t(x.c())}, {l.in(0, s), l.in(1, s), l.out(0, s)}, push, groups_for_single(l, divide_round_up(pixels, 4)));
  }
}

std::vector<Case> warp_cases() {
  const Numbers same{1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0};
  const auto row = [](const Shape& x, const std::vector<Numbers>& tables) {
    Numbers all;
    for (const Numbers& t : tables) all.insert(all.end(), t.begin(), t.end());
    return Case{.in = {u8(x), f32({x.n(), kColumns})}, .fill = {Fill::index(0, 255), Fill::fixed(all)}};
  };
  const auto with = [&](std::initializer_list<std::pair<int, double>> changes) {
    Numbers t = same;
    for (const auto& [i, value] : changes) t[size_t(i)] = value;
    return t;
  };
  const Numbers turned = with({{0, 0.9}, {1, 0.25}, {2, -1.3}, {3, -0.25}, {4, 0.95}, {5, 2.1}}), tilted = with({{6, 0.02}, {7, -0.01}});
  const Numbers coloured = with({{9, 1.4}, {10, 0.7}, {11, 90}, {12, 1.5}}), erased = with({{13, 1}, {14, 2}, {15, 4}, {16, 3}, {17, 7}});
  return {row({1, 1, 1, 1}, {same}),
          row({2, 5, 7, 3}, {same, turned}),
          row({4, 9, 9, 1}, {turned, tilted, coloured, erased}),
          row({4, 12, 11, 3}, {coloured, erased, with({{2, 500}, {5, -500}}), tilted}),
          row({3, 48, 48, 1}, {turned, with({{0, 0.5}, {4, 0.5}}), with({{0, 2}, {4, 2}, {2, -24}, {5, -24}})})};
}

}  // namespace

// A value within rounding of a half may round to the other level, as with resample.
const OpDef warp{.name = "warp", .shape = warp_shape, .reference = warp_reference, .lower = warp_lower, .cost = elementwise_cost<40>, .cases = warp_cases, .error = 3e-3};

}  // namespace vkfer::ops
