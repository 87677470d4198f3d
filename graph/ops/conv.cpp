// conv2d and its gradients. Filters are [r,s,ci/groups,co]; a convolution here is a cross-correlation, as everywhere in the field.
#include "graph/ops/activation.h"
#include "graph/ops/conv_geometry.h"
#include "graph/ops/ops.h"
#include "graph/ops/util.h"

namespace vkfer::ops {

ConvGeometry conv_geometry(std::string_view op, const Attrs& attrs, const Shape& x, const Shape& filter, std::string_view label) {
  auto list = [&](const char* name, std::vector<int64_t> fallback) {
    const size_t size = fallback.size();
    std::vector<int64_t> v = attrs.integers(name, std::move(fallback));
    const bool is_pad = size == 4;
    const auto out_of_range = [&](int64_t e) { return e < (is_pad ? 0 : 1) || e > 4096; };
    if (v.size() != size || std::any_of(v.begin(), v.end(), out_of_range))
      fail(op, "'{}': {} is {}, expected {} numbers from {} to 4096. Fix: correct the attribute", label, name, fmt::join(v, ","),
           size, is_pad ? 0 : 1);
    return v;
  };
  const auto stride = list("stride", {1, 1}), dilation = list("dilation", {1, 1}), pad = list("pad", {0, 0, 0, 0});
  const int64_t groups = attrs.integer("groups", 1);
  if (x.rank() != 4 || filter.rank() != 4 || x.elements() == 0 || filter.elements() == 0)
    fail(op, "'{}': x is {} and the filter {}, expected [n,h,w,c] and [r,s,ci/groups,co], none empty", label, x.to_string(), filter.to_string());
  if (groups < 1 || x.c() % groups || filter[3] % groups || filter[2] != x.c() / std::max<int64_t>(groups, 1))
    fail(op, "'{}': filter {} does not fit input {} with groups={}: expected {} filter channels. Fix: make ci/groups the filter's third size and "
             "both channel counts multiples of groups", label, filter.to_string(), x.to_string(), groups, groups > 0 ? x.c() / groups : 0);
  ConvGeometry g{x.n(), x.h(), x.w(), x.c(), 0, 0, filter[3], filter[0], filter[1], stride[0], stride[1], pad[0], pad[1],
                 dilation[0], dilation[1], groups};
  const int64_t room_y = x.h() + pad[0] + pad[2] - dilation[0] * (filter[0] - 1) - 1, room_x = x.w() + pad[1] + pad[3] - dilation[1] * (filter[1] - 1) - 1;
  if (room_y < 0 || room_x < 0)
    fail(op, "'{}': a {}x{} filter is larger than the padded input {}. Fix: use a larger --size or more padding", label, filter[0], filter[1], x.to_string());
  g.out_h = room_y / stride[0] + 1;
  g.out_w = room_x / stride[1] + 1;
  return g;
}

Epilogue epilogue_of(const Attrs& attrs, std::string_view label) {
  Epilogue e;
  e.bias = attrs.integer("bias", 0) != 0;
  e.residual = attrs.integer("residual", 0) != 0;
  e.activation = uint32_t(activation_from_name(attrs.text("activation", "none"), std::string(label)));
  return e;
}

namespace {

bool has_depthwise_kernel(const Lowering&, const ConvGeometry& g) { return depthwise_kernel_fits(g); }
bool is_whole(const Lowering&, const ConvGeometry& g) { return g.groups == 1; }
bool always(const Lowering&, const ConvGeometry&) { return true; }

constexpr ConvEngine kEngines[] = {  // the fastest first
    {Engine::subgroup, has_depthwise_kernel, lower_depthwise, lower_depthwise_grad_input, lower_depthwise_grad_filter},
    {Engine::coopmat, conv_coopmat_fits, lower_conv_coopmat, lower_conv_coopmat_grad_input, lower_conv_coopmat_grad_filter},
    {Engine::shared, conv_shared_fits, lower_conv_shared, lower_conv_shared_grad_input, lower_conv_shared_grad_filter},
    {Engine::subgroup, is_whole, lower_conv_gemm, lower_conv_gemm_grad_input, lower_conv_gemm_grad_filter},
    {Engine::direct, always, lower_conv_direct, lower_conv_direct_grad_input, lower_conv_direct_grad_filter},
};

}  // namespace

const ConvEngine& conv_engine(const Lowering& l, const ConvGeometry& g) {
  return *std::find_if(std::begin(kEngines), std::end(kEngines), [&](const ConvEngine& e) { return e.least <= l.target.engine && e.fits(l, g); });
}

namespace {

Shape shape_attr(const Attrs& attrs, const char* name) { return Shape(attrs.integers(name, {})); }
Attr to_attr(const Shape& s) {
  std::vector<int64_t> v;
  for (int i = 0; i < s.rank(); ++i) v.push_back(s[i]);
  return v;
}

// ---- y = conv(x, filter) -------------------------------------------------------------------------------------------

std::vector<TensorDesc> conv2d_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const Epilogue e = epilogue_of(attrs, label);
  InputCheck check("conv2d", label, in);
  check.count(2 + size_t(e.bias) + size_t(e.residual));
  check.storage(0, "x");
  check.same_type(1, "filter", 0, "x");
  const ConvGeometry g = conv_geometry("conv2d", attrs, in[0].shape, in[1].shape, label);
  const Shape y{g.n, g.out_h, g.out_w, g.out_c};
  if (e.bias) check.shape(2, "bias", Shape{g.out_c}), check.dtype(2, "bias", DType::f32);
  if (e.residual) check.shape(size_t(e.residual_input()), "residual", y), check.same_type(size_t(e.residual_input()), "residual", 0, "x");
  return {{y, in[0].dtype}};
}

// Calls visit(output index, input index, filter index) for every product of the convolution.
template <class Visit>
void for_each_product(const ConvGeometry& g, Visit visit) {
  const int64_t group_in = g.in_c / g.groups, group_out = g.out_c / g.groups;
  for (int64_t n = 0; n < g.n; ++n)
    for (int64_t oy = 0; oy < g.out_h; ++oy)
      for (int64_t ox = 0; ox < g.out_w; ++ox)
        for (int64_t r = 0; r < g.filter_h; ++r)
          for (int64_t s = 0; s < g.filter_w; ++s) {
            const int64_t iy = oy * g.stride_y - g.pad_y + r * g.dilation_y, ix = ox * g.stride_x - g.pad_x + s * g.dilation_x;
            if (iy < 0 || ix < 0 || iy >= g.in_h || ix >= g.in_w) continue;
            for (int64_t co = 0; co < g.out_c; ++co)
              for (int64_t ci = 0; ci < group_in; ++ci)
                visit(size_t(((n * g.out_h + oy) * g.out_w + ox) * g.out_c + co),
                      size_t(((n * g.in_h + iy) * g.in_w + ix) * g.in_c + co / group_out * group_in + ci),
                      size_t(((r * g.filter_w + s) * group_in + ci) * g.out_c + co));
          }
}

void conv2d_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const ConvGeometry g = conv_geometry("conv2d", attrs, in[0].shape, in[1].shape, "reference");
  const Epilogue e = epilogue_of(attrs, "reference");
  HostTensor& y = out[0];
  for_each_product(g, [&](size_t o, size_t i, size_t f) { y[o] += in[0][i] * in[1][f]; });
  for (size_t i = 0; i < y.data.size(); ++i) {
    if (e.bias) y[i] += in[2][i % size_t(g.out_c)];
    if (e.residual) y[i] += in[size_t(e.residual_input())][i];
    y[i] = activate(Activation(e.activation), y[i]);
  }
}

void conv2d_gradient(Gradient& g) {
  const Epilogue e = epilogue_of(g.attrs(), "conv2d");
  Value dy = g.grad();
  Attrs attrs = g.attrs();
  attrs.set("activation", "none");
  if (e.activation) {
    // The epilogue kept no pre-activation; graphs that train fuse the activation elsewhere, so computing it again is fine.
    std::vector<Value> inputs;
    for (int i = 0; i < g.inputs(); ++i) inputs.push_back(g.in(i));
    const Value z = g.add(conv2d, attrs, inputs, "recompute")[0];
    dy = g.add(activation_grad, {{"function", g.attrs().text("activation", "none")}}, {z, dy}, "grad_activation")[0];
  }
  attrs.set("bias", 0).set("residual", 0);
  if (g.wants(0)) g.set(0, g.add(conv2d_grad_input, Attrs(attrs).set("input", to_attr(g.graph.shape(g.in(0)))), {dy, g.in(1)}, "grad_input")[0]);
  if (g.wants(1)) g.set(1, g.add(conv2d_grad_filter, Attrs(attrs).set("filter", to_attr(g.graph.shape(g.in(1)))), {g.in(0), dy}, "grad_filter")[0]);
  if (e.bias && g.wants(2)) g.set(2, g.add(channel_sum, {}, {dy}, "grad_bias")[0]);
  if (e.residual && g.wants(e.residual_input())) g.set(e.residual_input(), dy);
}

void conv2d_lower(Lowering& l) {
  const ConvGeometry g = conv_geometry("conv2d", l.attrs(), l.in_desc(0).shape, l.in_desc(1).shape, l.label());
  const Epilogue e = epilogue_of(l.attrs(), l.label());
  conv_engine(l, g).forward(l, g, e);
}

Cost moved(std::span<const TensorDesc> in, std::span<const TensorDesc> out, double flops) {
  Cost c{flops, 0};
  for (const TensorDesc& t : in) c.bytes += double(t.bytes());
  for (const TensorDesc& t : out) c.bytes += double(t.bytes());
  return c;
}

Cost conv2d_cost(const Attrs& attrs, std::span<const TensorDesc> in, std::span<const TensorDesc> out) {
  return moved(in, out, conv_geometry("conv2d", attrs, in[0].shape, in[1].shape, "cost").flops());
}

// The engine; slices of a filter's gradient; tiles that an invocation of the depthwise kernels does; ways to load.
std::vector<Attrs> conv_candidates(const Target& t) { return joined({engine_choices(t), parallel_choices(t), vector_choices(t), load_choices(t)}); }

std::vector<Case> conv2d_cases() {
  auto conv = [](Shape x, Shape filter, Attrs attrs = {}) { return Case{{{x}, {filter}}, std::move(attrs)}; };
  return {
      conv({1, 1, 1, 1}, {1, 1, 1, 1}),
      conv({2, 3, 5, 8}, {1, 1, 8, 12}),                                                          // 1x1, dense
      conv({3, 5, 7, 16}, {1, 1, 16, 40}),                                                        // rows and columns past the tile
      conv({2, 5, 4, 6}, {1, 1, 6, 7}),                                                           // scalar channels
      conv({2, 6, 5, 8}, {3, 3, 8, 20}, {{"pad", std::vector<int64_t>{1, 1, 1, 1}}}),
      conv({2, 9, 7, 3}, {3, 3, 3, 32}, {{"pad", std::vector<int64_t>{1, 1, 1, 1}}, {"stride", std::vector<int64_t>{2, 2}}}),  // stem
      conv({1, 8, 9, 4}, {3, 3, 4, 8}, {{"pad", std::vector<int64_t>{0, 0, 1, 1}}, {"stride", std::vector<int64_t>{2, 2}}}),  // Keras' padding
      conv({2, 6, 7, 8}, {1, 1, 8, 16}, {{"stride", std::vector<int64_t>{2, 2}}}),                // stride phases without a tap
      conv({1, 11, 10, 4}, {3, 3, 4, 4}, {{"pad", std::vector<int64_t>{2, 2, 2, 2}}, {"dilation", std::vector<int64_t>{2, 2}}}),
      conv({1, 9, 9, 4}, {3, 3, 4, 8}, {{"stride", std::vector<int64_t>{2, 3}}, {"dilation", std::vector<int64_t>{2, 1}}}),
      conv({1, 12, 13, 5}, {5, 4, 5, 6}, {{"stride", std::vector<int64_t>{3, 2}}, {"pad", std::vector<int64_t>{2, 1, 1, 3}}}),
      conv({2, 7, 6, 8}, {3, 3, 4, 12}, {{"groups", 2}, {"pad", std::vector<int64_t>{1, 1, 1, 1}}}),
      conv({1, 7, 7, 3}, {7, 7, 3, 5}, {{"pad", std::vector<int64_t>{3, 3, 3, 3}}, {"stride", std::vector<int64_t>{2, 2}}}),
      conv({1, 15, 17, 20}, {1, 1, 20, 124}),                                                     // the largest tile, its edges
      conv({1, 7, 6, 28}, {3, 3, 28, 124}, {{"pad", std::vector<int64_t>{1, 1, 1, 1}}}),          // the same in the filter's gradient
      conv({1, 2, 3, 520}, {1, 1, 520, 24}),                                                      // few outputs, long sums: split
      conv({1, 5, 4, 12}, {3, 3, 12, 132}, {{"pad", std::vector<int64_t>{1, 1, 1, 1}}, {"stride", std::vector<int64_t>{2, 2}}}),  // split gradient
      conv({2, 9, 8, 1}, {3, 3, 1, 36}, {{"pad", std::vector<int64_t>{1, 1, 1, 1}}}),             // runs: grey images
      conv({2, 10, 7, 3}, {4, 5, 3, 36}, {{"pad", std::vector<int64_t>{2, 3, 1, 4}}, {"stride", std::vector<int64_t>{2, 1}}, {"dilation", std::vector<int64_t>{2, 1}}}),
      conv({3, 9, 8, 5}, {3, 2, 5, 32}, {{"stride", std::vector<int64_t>{3, 2}}}),                 // without a border
      {{{{2, 7, 9, 3}}, {{3, 3, 3, 40}}, {{40}}, {{2, 4, 5, 40}}}, {{"bias", 1}, {"residual", 1}, {"activation", "relu6"}, {"pad", std::vector<int64_t>{1, 1, 1, 1}}, {"stride", std::vector<int64_t>{2, 2}}}},
      // depthwise
      conv({2, 7, 9, 8}, {3, 3, 1, 8}, {{"groups", 8}, {"pad", std::vector<int64_t>{1, 1, 1, 1}}}),
      conv({2, 8, 7, 12}, {3, 3, 1, 12}, {{"groups", 12}, {"pad", std::vector<int64_t>{1, 1, 1, 1}}, {"stride", std::vector<int64_t>{2, 2}}}),
      conv({1, 6, 6, 6}, {3, 3, 1, 6}, {{"groups", 6}, {"pad", std::vector<int64_t>{1, 1, 1, 1}}}),
      conv({1, 9, 5, 6}, {3, 3, 1, 6}, {{"groups", 6}, {"pad", std::vector<int64_t>{0, 0, 1, 1}}, {"stride", std::vector<int64_t>{2, 2}}}),
      conv({1, 8, 10, 4}, {5, 5, 1, 4}, {{"groups", 4}, {"pad", std::vector<int64_t>{2, 2, 2, 2}}}),
      conv({2, 9, 11, 4}, {5, 5, 1, 4}, {{"groups", 4}, {"pad", std::vector<int64_t>{2, 2, 2, 2}}, {"stride", std::vector<int64_t>{2, 2}}}),
      conv({1, 8, 8, 4}, {5, 5, 1, 4}, {{"groups", 4}, {"pad", std::vector<int64_t>{1, 1, 2, 2}}, {"stride", std::vector<int64_t>{2, 2}}}),
      conv({3, 1, 1, 8}, {3, 3, 1, 8}, {{"groups", 8}, {"pad", std::vector<int64_t>{1, 1, 1, 1}}}),
      conv({1, 6, 7, 4}, {2, 3, 1, 4}, {{"groups", 4}, {"pad", std::vector<int64_t>{1, 1, 0, 1}}}),
      // epilogues
      {{{{2, 5, 3, 8}}, {{1, 1, 8, 12}}, {{12}}, {{2, 5, 3, 12}}}, {{"bias", 1}, {"residual", 1}, {"activation", "relu6"}}},
      {{{{1, 5, 6, 4}}, {{3, 3, 4, 5}}, {{5}}}, {{"bias", 1}, {"activation", "relu"}, {"pad", std::vector<int64_t>{1, 1, 1, 1}}}},
      {{{{1, 5, 6, 8}}, {{3, 3, 1, 8}}, {{8}}, {{1, 5, 6, 8}}}, {{"groups", 8}, {"bias", 1}, {"residual", 1}, {"activation", "relu6"}, {"pad", std::vector<int64_t>{1, 1, 1, 1}}}},
      {{{{1, 2, 2, 300}}, {{2, 2, 300, 9}}, {{9}}, {{1, 1, 1, 9}}}, {{"bias", 1}, {"residual", 1}, {"activation", "relu6"}}},
      {{{{1, 5, 6, 6}}, {{3, 3, 3, 4}}, {{1, 5, 6, 4}}}, {{"groups", 2}, {"residual", 1}, {"pad", std::vector<int64_t>{1, 1, 1, 1}}}},
  };
}

// ---- dx ------------------------------------------------------------------------------------------------------------

std::vector<TensorDesc> grad_input_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  InputCheck check("conv2d_grad_input", label, in);
  check.count(2);
  check.storage(0, "dy");
  check.same_type(1, "filter", 0, "dy");
  const Shape x = shape_attr(attrs, "input");
  const ConvGeometry g = conv_geometry("conv2d_grad_input", attrs, x, in[1].shape, label);
  check.shape(0, "dy", Shape{g.n, g.out_h, g.out_w, g.out_c});
  return {{x, in[0].dtype}};
}

void grad_input_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const ConvGeometry g = conv_geometry("conv2d_grad_input", attrs, out[0].shape, in[1].shape, "reference");
  for_each_product(g, [&](size_t o, size_t i, size_t f) { out[0][i] += in[0][o] * in[1][f]; });
}

void grad_input_lower(Lowering& l) {
  const ConvGeometry g = conv_geometry("conv2d_grad_input", l.attrs(), l.out_desc(0).shape, l.in_desc(1).shape, l.label());
  conv_engine(l, g).grad_input(l, g);
}

Cost grad_input_cost(const Attrs& attrs, std::span<const TensorDesc> in, std::span<const TensorDesc> out) {
  return moved(in, out, conv_geometry("conv2d_grad_input", attrs, out[0].shape, in[1].shape, "cost").flops());
}

// ---- dfilter -------------------------------------------------------------------------------------------------------

std::vector<TensorDesc> grad_filter_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  InputCheck check("conv2d_grad_filter", label, in);
  check.count(2);
  check.storage(0, "x");
  check.same_type(1, "dy", 0, "x");
  const Shape filter = shape_attr(attrs, "filter");
  const ConvGeometry g = conv_geometry("conv2d_grad_filter", attrs, in[0].shape, filter, label);
  check.shape(1, "dy", Shape{g.n, g.out_h, g.out_w, g.out_c});
  return {{filter, DType::f32}};
}

void grad_filter_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const ConvGeometry g = conv_geometry("conv2d_grad_filter", attrs, in[0].shape, out[0].shape, "reference");
  for_each_product(g, [&](size_t o, size_t i, size_t f) { out[0][f] += in[0][i] * in[1][o]; });
}

void grad_filter_lower(Lowering& l) {
  const ConvGeometry g = conv_geometry("conv2d_grad_filter", l.attrs(), l.in_desc(0).shape, l.out_desc(0).shape, l.label());
  conv_engine(l, g).grad_filter(l, g);
}

Cost grad_filter_cost(const Attrs& attrs, std::span<const TensorDesc> in, std::span<const TensorDesc> out) {
  return moved(in, out, conv_geometry("conv2d_grad_filter", attrs, in[0].shape, out[0].shape, "cost").flops());
}


// dy -> dx is linear: its gradients are the convolution itself, and that of the filter with the two images exchanged.
void grad_input_gradient(Gradient& g) {
  const Attrs attrs = Attrs(g.attrs()).set("bias", 0).set("residual", 0).set("activation", "none");
  if (g.wants(0)) g.set(0, g.add(conv2d, attrs, {g.grad(), g.in(1)}, "grad_dy")[0]);
  if (g.wants(1)) g.set(1, g.add(conv2d_grad_filter, Attrs(attrs).set("filter", to_attr(g.graph.shape(g.in(1)))), {g.grad(), g.in(0)}, "grad_filter")[0]);
}

std::vector<Case> grad_input_cases() {
  const auto row = [](Shape dy, Shape filter, Attrs attrs) { return Case{.in = {{dy}, {filter}}, .attrs = std::move(attrs)}; };
  using List = std::vector<int64_t>;
  return {row({1, 3, 4, 8}, {3, 3, 4, 8}, {{"input", List{1, 3, 4, 4}}, {"pad", List{1, 1, 1, 1}}}),
          row({2, 3, 2, 6}, {3, 2, 5, 6}, {{"input", List{2, 8, 5, 5}}, {"stride", List{2, 2}}, {"pad", List{0, 0, 0, 0}}}),
          row({1, 3, 3, 4}, {3, 3, 2, 4}, {{"input", List{1, 6, 6, 4}}, {"stride", List{2, 2}}, {"pad", List{1, 1, 1, 1}}, {"groups", 2}})};
}

// ---- conv_transpose2d: what conv2d_grad_input computes, with the size of the result from the attributes ----

// The shape of y: (h - 1) stride + dilation (r - 1) + 1 + output_padding - pads.
Shape transposed_shape(const Attrs& attrs, const Shape& x, const Shape& filter, std::string_view label) {
  constexpr const char* kOp = "conv_transpose2d";
  const auto stride = attrs.integers("stride", {1, 1}), dilation = attrs.integers("dilation", {1, 1}), pad = attrs.integers("pad", {0, 0, 0, 0}),
             extra = attrs.integers("output_padding", {0, 0});
  const int64_t groups = attrs.integer("groups", 1);
  if (stride.size() != 2 || dilation.size() != 2 || pad.size() != 4 || extra.size() != 2)
    fail(kOp, "'{}': got stride, dilation, pad, output_padding of {}, {}, {}, {} numbers, expected 2, 2, 4, 2. Fix: correct the attributes.", label, stride.size(),
         dilation.size(), pad.size(), extra.size());
  if (x.rank() != 4 || filter.rank() != 4 || groups < 1 || groups > 65536) fail(kOp, "'{}': got {} and filter {} in {} groups, expected [n,h,w,ci] and [r,s,co/groups,ci]", label, x.to_string(), filter.to_string(), groups);
  std::vector<int64_t> y{x.n(), 0, 0, filter[2] * groups};
  for (int i = 0; i < 2; ++i) {
    for (int64_t v : {stride[size_t(i)] - 1, dilation[size_t(i)] - 1, pad[size_t(i)], pad[size_t(i) + 2], extra[size_t(i)]})
      if (v < 0 || v > 4096) fail(kOp, "'{}': got a stride, dilation, pad or output_padding out of range, expected at most 4096. Fix: correct the attributes.", label);
    if (extra[size_t(i)] >= std::max(stride[size_t(i)], dilation[size_t(i)]))
      fail(kOp, "'{}': got output_padding {}, expected less than the stride {} or the dilation {}. Fix: correct the attribute.", label, extra[size_t(i)], stride[size_t(i)], dilation[size_t(i)]);
    y[size_t(i) + 1] = (x[i + 1] - 1) * stride[size_t(i)] + dilation[size_t(i)] * (filter[i] - 1) + 1 + extra[size_t(i)] - pad[size_t(i)] - pad[size_t(i) + 2];
    if (y[size_t(i) + 1] < 1) fail(kOp, "'{}': pads leave nothing of x {}. Fix: use smaller ones.", label, x.to_string());
  }
  return Shape(y);
}

// The convolution that leads from y to x. Where output_padding exceeds the stride its last rows have no window, so the bottom and right
// pads are only what makes the sizes agree.
ConvGeometry transposed_geometry(const Attrs& attrs, const Shape& x, const Shape& filter, const Shape& y, std::string_view label) {
  ConvGeometry g = conv_geometry("conv_transpose2d", attrs, y, filter, label);
  g.out_h = x.h(), g.out_w = x.w();
  return g;
}

std::vector<TensorDesc> transposed_shapes(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  InputCheck check("conv_transpose2d", label, in);
  check.count(2);
  check.storage(0, "x");
  check.same_type(1, "filter", 0, "x");
  const Shape y = transposed_shape(attrs, in[0].shape, in[1].shape, label);
  const ConvGeometry g = conv_geometry("conv_transpose2d", attrs, y, in[1].shape, label);
  check.require(g.out_c == in[0].shape.c(), "filter {} does not fit x {}: expected {} last. Fix: order it [r,s,co/groups,ci].", in[1].to_string(), in[0].to_string(), in[0].shape.c());
  check.require(g.out_h == in[0].shape.h() && g.out_w == in[0].shape.w(), "output_padding {} is more than the stride leaves over. Fix: pad the result instead.",
                attrs.has("output_padding") ? Attrs{{"", attrs.integers("output_padding", {})}}.to_string() : "0");
  return {{y, in[0].dtype}};
}

void transposed_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const ConvGeometry g = transposed_geometry(attrs, in[0].shape, in[1].shape, out[0].shape, "reference");
  for_each_product(g, [&](size_t o, size_t i, size_t f) { out[0][i] += in[0][o] * in[1][f]; });
}

void transposed_lower(Lowering& l) {
  const ConvGeometry g = transposed_geometry(l.attrs(), l.in_desc(0).shape, l.in_desc(1).shape, l.out_desc(0).shape, l.label());
  conv_engine(l, g).grad_input(l, g);
}

Cost transposed_cost(const Attrs& attrs, std::span<const TensorDesc> in, std::span<const TensorDesc> out) {
  return moved(in, out, transposed_geometry(attrs, in[0].shape, in[1].shape, out[0].shape, "cost").flops());
}

std::vector<Case> transposed_cases() {
  const auto row = [](Shape x, Shape filter, Attrs attrs = {}) { return Case{.in = {{x}, {filter}}, .attrs = std::move(attrs)}; };
  using List = std::vector<int64_t>;
  return {row({1, 3, 4, 8}, {3, 3, 4, 8}),
          row({2, 3, 2, 6}, {3, 2, 5, 6}, {{"stride", List{2, 3}}, {"pad", List{1, 0, 0, 1}}, {"output_padding", List{1, 2}}}),
          row({1, 4, 3, 8}, {4, 4, 12, 8}, {{"stride", List{2, 2}}, {"pad", List{1, 1, 1, 1}}}),
          row({1, 3, 3, 4}, {3, 3, 2, 4}, {{"stride", List{2, 2}}, {"groups", 2}, {"dilation", List{2, 1}}}),
          row({1, 3, 5, 8}, {3, 3, 1, 8}, {{"stride", List{2, 2}}, {"groups", 8}, {"pad", List{1, 1, 1, 1}}, {"output_padding", List{1, 1}}}),
          row({1, 1, 1, 1}, {1, 1, 1, 1})};
}

}  // namespace

const OpDef conv2d{
    .name = "conv2d",
    .shape = conv2d_shape,
    .reference = conv2d_reference,
    .grad = conv2d_gradient,
    .lower = conv2d_lower,
    .cost = conv2d_cost,
    .cases = conv2d_cases,
    .candidates = conv_candidates,
    .exact_on_integers = true,
    .error = 2e-6,  // up to 4,608 terms, one after the other
    .half = true,
};

const OpDef conv2d_grad_input{
    .name = "conv2d_grad_input",
    .shape = grad_input_shape,
    .reference = grad_input_reference,
    .grad = grad_input_gradient,
    .lower = grad_input_lower,
    .cost = grad_input_cost,
    .cases = grad_input_cases,
    .candidates = conv_candidates,
    .exact_on_integers = true,
    .error = 2e-6,  // the same
    .half = true,
};

const OpDef conv_transpose2d{
    .name = "conv_transpose2d",
    .shape = transposed_shapes,
    .reference = transposed_reference,
    .grad = grad_input_gradient,
    .lower = transposed_lower,
    .cost = transposed_cost,
    .cases = transposed_cases,
    .candidates = conv_candidates,
    .exact_on_integers = true,
    .error = 4e-6,
    .half = true,
};

const OpDef conv2d_grad_filter{
    .name = "conv2d_grad_filter",
    .shape = grad_filter_shape,
    .reference = grad_filter_reference,
    .lower = grad_filter_lower,
    .cost = grad_filter_cost,
    .candidates = conv_candidates,
    .exact_on_integers = true,
    .error = 1e-6,
    .half = true,
};

}  // namespace vkfer::ops
