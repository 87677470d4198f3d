// Max and average pooling over windows. Sizes, padding, ceil_mode and what an average divides by are torch's.
#include <limits>

#include "graph/ops/ops.h"
#include "graph/ops/util.h"
#include "shaders/params/pool.h"

namespace vkfer::ops {

namespace {

struct Pooling {
  int64_t kernel[2], stride[2], pad[4];  // {y,x}; top, left, bottom, right
  bool ceil_mode, count_include_pad;
  bool adaptive = false;                 // windows follow from the sizes of x and y alone
};

Pooling pooling_of(const Attrs& attrs, std::string_view label = "pool") {
  const Integers kernel = attrs.integers("kernel", {}), stride = attrs.integers("stride", kernel),
                 pad = attrs.integers("pad", {0, 0, 0, 0});
  if (kernel.size() != 2 || stride.size() != 2 || pad.size() != 4)
    fail("pool",
         "'{}': got kernel, stride and pad of {}, {} and {} numbers, expected 2, 2 and 4. Fix: correct the attributes.",
         label, kernel.size(), stride.size(), pad.size());
  return {{kernel[0], kernel[1]},
          {stride[0], stride[1]},
          {pad[0], pad[1], pad[2], pad[3]},
          attrs.integer("ceil_mode", 0) != 0,
          attrs.integer("count_include_pad", 1) != 0};
}

// With ceil_mode a last, partial window counts if it starts inside the input or its leading padding.
int64_t pooled_size(const Pooling& p, int axis, int64_t size) {
  const int64_t before = p.pad[axis], after = p.pad[axis + 2], room = size + before + after - p.kernel[axis];
  if (room < 0) return 0;
  int64_t count = (p.ceil_mode ? divide_round_up(room, p.stride[axis]) : room / p.stride[axis]) + 1;
  if (p.ceil_mode && (count - 1) * p.stride[axis] >= size + before) --count;
  return count;
}

// Windows between shapes x and y that share out all of x.
Pooling adaptive_pooling() { return {{1, 1}, {1, 1}, {0, 0, 0, 0}, false, false, true}; }

Shape pooled_shape(const Pooling& p, const Shape& x) {
  return {x.n(), pooled_size(p, 0, x.h()), pooled_size(p, 1, x.w()), x.c()};
}

void check_pooling(const InputCheck& check, const Pooling& p, const Shape& x) {
  for (int i = 0; i < 2; ++i) {
    check.require(p.kernel[i] > 0 && p.stride[i] > 0,
                  "got kernel {} and stride {}, expected at least 1. Fix: correct the attributes.", p.kernel[i],
                  p.stride[i]);
    // else a window could lie in the padding alone
    check.require(p.pad[i] >= 0 && p.pad[i] < p.kernel[i] && p.pad[i + 2] >= 0 && p.pad[i + 2] < p.kernel[i],
                  "got pad {} and {} for kernel {}, expected 0 to {}. Fix: correct the attributes.", p.pad[i],
                  p.pad[i + 2], p.kernel[i], p.kernel[i] - 1);
  }
  const Shape y = pooled_shape(p, x);
  check.require(y.h() > 0 && y.w() > 0,
                "kernel {}x{} does not fit input {}. Fix: use a larger --size or a smaller kernel.", p.kernel[0],
                p.kernel[1], x.to_string());
}

template <OpName kOp>
std::vector<TensorDesc> shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check(kOp.text, label, in);
  check.alike({"x"});
  check.rank(0, "x", 4);
  const Pooling p = pooling_of(attrs, label);
  check_pooling(check, p, in[0].shape);
  return {{pooled_shape(p, in[0].shape), in[0].dtype}};
}

std::vector<TensorDesc> max_grad_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("max_pool_grad", label, in);
  check.count(2);
  check.storage(0, "x");
  check.rank(0, "x", 4);
  check.same_type(1, "dy", 0, "x");
  const Pooling p = pooling_of(attrs, label);
  check_pooling(check, p, in[0].shape);
  check.shape(1, "dy", pooled_shape(p, in[0].shape));
  return {in[0]};
}

// size = {h,w} of x, which an average does not need otherwise
Shape avg_grad_x(const Attrs& attrs, const Shape& dy, std::string_view label) {
  const Integers size = attrs.integers("size", {});
  if (size.size() != 2)
    fail("avg_pool_grad", "'{}': got size of {} numbers, expected height and width. Fix: correct the attribute.", label,
         size.size());
  return {dy.n(), size[0], size[1], dy.c()};
}

std::vector<TensorDesc> avg_grad_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("avg_pool_grad", label, in);
  check.alike({"dy"});
  check.rank(0, "dy", 4);
  const Shape x = avg_grad_x(attrs, in[0].shape, label);
  const Pooling p = pooling_of(attrs, label);
  check_pooling(check, p, x);
  check.shape(0, "dy", pooled_shape(p, x));
  return {{x, in[0].dtype}};
}

// {h,w} of an attribute, both at least 1
Integers size_of(const Attrs& attrs, std::string_view op, std::string_view label) {
  const Integers size = attrs.integers("size", {});
  if (size.size() != 2 || size[0] < 1 || size[1] < 1)
    fail(op, "'{}': got size of {} numbers, expected height and width of at least 1. Fix: correct the attribute.", label, size.size());
  return size;
}

std::vector<TensorDesc> adaptive_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("adaptive_avg_pool", label, in);
  check.alike({"x"});
  check.rank(0, "x", 4);
  const Integers size = size_of(attrs, "adaptive_avg_pool", label);
  return {{Shape{in[0].shape.n(), size[0], size[1], in[0].shape.c()}, in[0].dtype}};
}

// size = {h,w} of x
std::vector<TensorDesc> adaptive_grad_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("adaptive_avg_pool_grad", label, in);
  check.alike({"dy"});
  check.rank(0, "dy", 4);
  const Integers size = size_of(attrs, "adaptive_avg_pool_grad", label);
  return {{Shape{in[0].shape.n(), size[0], size[1], in[0].shape.c()}, in[0].dtype}};
}

// ---- the definition: a window is rows [y0,y1) and columns [x0,x1) of x; `size` is what an average divides by ----

struct Window {
  int64_t y0, y1, x0, x1;
  double size;
};

Window window_at(const Pooling& p, const Shape& x, const Shape& y, int64_t oy, int64_t ox) {
  if (p.adaptive) {
    Window w{oy * x.h() / y.h(), divide_round_up((oy + 1) * x.h(), y.h()), ox * x.w() / y.w(), divide_round_up((ox + 1) * x.w(), y.w()), 0};
    w.size = double((w.y1 - w.y0) * (w.x1 - w.x0));
    return w;
  }
  const int64_t top = oy * p.stride[0] - p.pad[0], left = ox * p.stride[1] - p.pad[1];
  Window w{std::max<int64_t>(top, 0), std::min(top + p.kernel[0], x.h()), std::max<int64_t>(left, 0),
           std::min(left + p.kernel[1], x.w()), 0};
  const int64_t bottom = std::min(top + p.kernel[0], x.h() + p.pad[2]),
                right = std::min(left + p.kernel[1], x.w() + p.pad[3]);
  w.size = p.count_include_pad ? double((bottom - top) * (right - left)) : double((w.y1 - w.y0) * (w.x1 - w.x0));
  return w;
}

size_t offset(const Shape& s, int64_t n, int64_t y, int64_t x, int64_t c) {
  return size_t(((n * s.h() + y) * s.w() + x) * s.c() + c);
}

// visit(window, output element, n, c) for every element of y
template <class Visit>
void for_windows(const Pooling& p, const Shape& x, const Shape& y, Visit visit) {
  for (int64_t n = 0; n < y.n(); ++n)
    for (int64_t oy = 0; oy < y.h(); ++oy)
      for (int64_t ox = 0; ox < y.w(); ++ox)
        for (int64_t c = 0; c < y.c(); ++c) visit(window_at(p, x, y, oy, ox), offset(y, n, oy, ox, c), n, c);
}

// The first maximum of a window in reading order.
size_t find_maximum(const HostTensor& x, const Window& w, int64_t n, int64_t c) {
  size_t best = offset(x.shape, n, w.y0, w.x0, c);
  for (int64_t row = w.y0; row < w.y1; ++row)
    for (int64_t column = w.x0; column < w.x1; ++column) {
      const size_t at = offset(x.shape, n, row, column, c);
      if (x[at] > x[best]) best = at;
    }
  return best;
}

void max_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  for_windows(pooling_of(attrs), in[0].shape, out[0].shape, [&](const Window& w, size_t at, int64_t n, int64_t c) {
    out[0][at] = in[0][find_maximum(in[0], w, n, c)];
  });
}

void max_grad_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  for_windows(pooling_of(attrs), in[0].shape, in[1].shape, [&](const Window& w, size_t at, int64_t n, int64_t c) {
    out[0][find_maximum(in[0], w, n, c)] += in[1][at];
  });
}

void average(const Pooling& p, const HostTensor& x, HostTensor& y) {
  for_windows(p, x.shape, y.shape, [&](const Window& w, size_t at, int64_t n, int64_t c) {
    for (int64_t row = w.y0; row < w.y1; ++row)
      for (int64_t column = w.x0; column < w.x1; ++column) y[at] += x[offset(x.shape, n, row, column, c)] / w.size;
  });
}

void spread(const Pooling& p, const HostTensor& dy, HostTensor& dx) {
  for_windows(p, dx.shape, dy.shape, [&](const Window& w, size_t at, int64_t n, int64_t c) {
    for (int64_t row = w.y0; row < w.y1; ++row)
      for (int64_t column = w.x0; column < w.x1; ++column) dx[offset(dx.shape, n, row, column, c)] += dy[at] / w.size;
  });
}

void avg_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  average(pooling_of(attrs), in[0], out[0]);
}
void avg_grad_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  spread(pooling_of(attrs), in[0], out[0]);
}
void adaptive_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  average(adaptive_pooling(), in[0], out[0]);
}
void adaptive_grad_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  spread(adaptive_pooling(), in[0], out[0]);
}

void max_grad(Gradient& g) {
  if (g.wants(0)) g.set(0, g.add(max_pool_grad, g.attrs(), {g.in(0), g.grad()}, "grad")[0]);
}

void avg_grad(Gradient& g) {
  const Shape& x = g.graph.shape(g.in(0));
  Attrs attrs = g.attrs();
  attrs.set("size", Integers{x.h(), x.w()});
  if (g.wants(0)) g.set(0, g.add(avg_pool_grad, attrs, {g.grad()}, "grad")[0]);
}

void adaptive_grad(Gradient& g) {
  const Shape& x = g.graph.shape(g.in(0));
  if (g.wants(0)) g.set(0, g.add(adaptive_avg_pool_grad, {{"size", Integers{x.h(), x.w()}}}, {g.grad()}, "grad")[0]);
}

// ---- lowering: x and y as shapes, `written` the one of them that the launch writes ----

void lower_pooling(Lowering& l, std::string_view stem, const Pooling& p, const Shape& x, const Shape& y, const TensorDesc& written,
                   bool average) {
  const int64_t per_unit = unit_channels(x.c()), channels = x.c() / per_unit;
  std::vector<uint32_t> constants{l.target.workgroup, l.target.vectors_per_invocation, uint32_t(per_unit == 4)};
  for (int64_t v : {p.kernel[0], p.kernel[1], p.stride[0], p.stride[1], p.pad[0], p.pad[1], int64_t(average),
                    int64_t(p.count_include_pad), int64_t(p.adaptive)})
    constants.push_back(uint32_t(v));
  const DType storage = written.dtype;
  for (Slice s : l.batch_slices({{x, storage}, {y, storage}})) {
    const int64_t units = s.count * written.shape.h() * written.shape.w() * channels;
    const params::Pool push{uint32_t(units),
                            uint32_t(x.h()),
                            uint32_t(x.w()),
                            uint32_t(y.h()),
                            uint32_t(y.w()),
                            uint32_t(x.h() + p.pad[2]),
                            uint32_t(x.w() + p.pad[3]),
                            params::divisor(channels),
                            params::divisor(written.shape.w()),
                            params::divisor(written.shape.h())};
    std::vector<Binding> bindings;
    for (int i = 0; i < l.inputs(); ++i) bindings.push_back(l.in(i, s));
    bindings.push_back(l.out(0, s));
    l.dispatch(l.module(stem, storage), constants, std::move(bindings), push, groups_for(l, units));
  }
}

template <bool kAverage>
void lower(Lowering& l) {
  lower_pooling(l, "pool", pooling_of(l.attrs()), l.in_desc(0).shape, l.out_desc(0).shape, l.out_desc(0), kAverage);
}

void max_grad_lower(Lowering& l) {
  lower_pooling(l, "max_pool_grad", pooling_of(l.attrs()), l.in_desc(0).shape, l.in_desc(1).shape, l.out_desc(0), false);
}
void avg_grad_lower(Lowering& l) {
  lower_pooling(l, "avg_pool_grad", pooling_of(l.attrs()), l.out_desc(0).shape, l.in_desc(0).shape, l.out_desc(0), true);
}
void adaptive_lower(Lowering& l) {
  lower_pooling(l, "pool", adaptive_pooling(), l.in_desc(0).shape, l.out_desc(0).shape, l.out_desc(0), true);
}
void adaptive_grad_lower(Lowering& l) {
  lower_pooling(l, "avg_pool_grad", adaptive_pooling(), l.out_desc(0).shape, l.in_desc(0).shape, l.out_desc(0), true);
}

Cost cost(const Attrs& attrs, std::span<const TensorDesc> in, std::span<const TensorDesc> out) {
  const Pooling p = pooling_of(attrs);
  Cost c = elementwise_cost<1>(attrs, in, out);
  c.flops *= double(p.kernel[0] * p.kernel[1]);
  return c;
}

Case row(const Shape& x, Integers kernel, Integers stride, Integers pad, bool ceil_mode = false,
         bool count_include_pad = true) {
  return {.in = {f32(x)},
          .attrs = {{"kernel", std::move(kernel)},
                    {"stride", std::move(stride)},
                    {"pad", std::move(pad)},
                    {"ceil_mode", ceil_mode},
                    {"count_include_pad", count_include_pad}}};
}

std::vector<Case> window_cases() {
  return {row({1, 1, 1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}),
          row({2, 4, 6, 8}, {2, 2}, {2, 2}, {0, 0, 0, 0}),
          row({2, 5, 7, 3}, {2, 2}, {2, 2}, {0, 0, 0, 0}),
          row({1, 9, 7, 4}, {3, 3}, {2, 2}, {1, 1, 1, 1}),
          row({2, 6, 5, 5}, {3, 2}, {1, 2}, {1, 0, 1, 1}),
          row({1, 7, 8, 4}, {3, 3}, {2, 2}, {0, 0, 0, 0}, true),
          row({1, 5, 5, 6}, {3, 3}, {2, 3}, {1, 1, 1, 1}, true, false),
          row({3, 4, 4, 4}, {2, 2}, {3, 3}, {1, 1, 0, 0}, true),
          row({1, 5, 6, 12}, {5, 6}, {1, 1}, {2, 3, 1, 0}, false, false),
          row({2, 12, 12, 16}, {3, 3}, {2, 2}, {0, 0, 1, 1})};
}

// Maps smaller than the result, larger by whole and by broken factors, and both at once.
std::vector<Case> adaptive_cases() {
  std::vector<Case> cases;
  for (auto [x, size] : {std::pair{Shape{1, 1, 1, 1}, Integers{1, 1}}, {Shape{2, 1, 1, 8}, Integers{7, 7}}, {Shape{1, 2, 3, 5}, Integers{7, 7}},
                         {Shape{2, 14, 14, 4}, Integers{7, 7}}, {Shape{1, 10, 9, 12}, Integers{7, 4}}, {Shape{2, 3, 16, 3}, Integers{5, 6}}})
    cases.push_back({.in = {f32(x)}, .attrs = {{"size", size}}});
  return cases;
}

}  // namespace

const OpDef max_pool{.name = "max_pool",
                     .shape = shape<"max_pool">,
                     .reference = max_reference,
                     .grad = max_grad,
                     .lower = lower<false>,
                     .cost = cost,
                     .cases = window_cases,
                     .exact_on_integers = true,
                     .error = 1e-7,
                     .half = true};

const OpDef max_pool_grad{.name = "max_pool_grad",
                          .shape = max_grad_shape,
                          .reference = max_grad_reference,
                          .lower = max_grad_lower,
                          .cost = cost,
                          .exact_on_integers = true,
                          .error = 1e-6,
                          .half = true};

const OpDef avg_pool{.name = "avg_pool",
                     .shape = shape<"avg_pool">,
                     .reference = avg_reference,
                     .grad = avg_grad,
                     .lower = lower<true>,
                     .cost = cost,
                     .cases = window_cases,
                     .error = 1e-6,
                     .half = true};

const OpDef avg_pool_grad{.name = "avg_pool_grad",
                          .shape = avg_grad_shape,
                          .reference = avg_grad_reference,
                          .lower = avg_grad_lower,
                          .cost = cost,
                          .error = 1e-6,
                          .half = true};

const OpDef adaptive_avg_pool{.name = "adaptive_avg_pool",
                              .shape = adaptive_shape,
                              .reference = adaptive_reference,
                              .grad = adaptive_grad,
                              .lower = adaptive_lower,
                              .cost = elementwise_cost<1>,
                              .cases = adaptive_cases,
                              .error = 1e-6,
                              .half = true};

const OpDef adaptive_avg_pool_grad{.name = "adaptive_avg_pool_grad",
                                   .shape = adaptive_grad_shape,
                                   .reference = adaptive_grad_reference,
                                   .lower = adaptive_grad_lower,
                                   .cost = elementwise_cost<1>,
                                   .error = 1e-6,
                                   .half = true};

}  // namespace vkfer::ops
