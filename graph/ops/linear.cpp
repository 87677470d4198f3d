// linear: x [n,k] times weight [k,m]. A 1x1 convolution on n images of one pixel, so it takes that family's kernels; and channel_sum.
// A weight larger than the device binds at once (VGG's first has 411 MB) is taken in parts of equally many rows.
#include "graph/ops/linear.h"

#include "graph/ops/activation.h"
#include "graph/ops/conv_geometry.h"
#include "graph/ops/ops.h"
#include "graph/ops/util.h"
#include "shaders/params/conv.h"

namespace vkfer::ops {
namespace {

ConvGeometry linear_geometry(int64_t n, int64_t k, int64_t m) { return {n, 1, 1, k, 1, 1, m, 1, 1, 1, 1, 0, 0, 1, 1, 1}; }
void conv_forward(Lowering& l, const ConvGeometry& g, const Epilogue& e) { conv_engine(l, g).forward(l, g, e); }
void conv_grad_input(Lowering& l, const ConvGeometry& g) { conv_engine(l, g).grad_input(l, g); }

// How many parts of rows the weight [k,m] is cut into: the fewest that can be bound, in fours of rows where k allows it.
int64_t weight_parts(const Lowering& l, int64_t k, int64_t m, DType storage) {
  const auto fits = [&](int64_t parts, int64_t unit) {
    const size_t bytes = size_t(k / parts * m) * dtype_bytes(storage);
    const size_t columns = size_t(k / parts) * dtype_bytes(storage);  // of one row of dx
    const bool aligned = parts == 1 || (bytes % l.target.storage_alignment == 0 && columns % l.target.storage_alignment == 0);
    return k % (parts * unit) == 0 && bytes <= l.target.max_storage_range && aligned;
  };
  for (int64_t unit : {k % 4 ? 1 : 4, 1})
    for (int64_t parts = 1; parts <= std::min<int64_t>(k, 256); ++parts)
      if (fits(parts, unit)) return parts;
  fail("plan", "'{}': no part of the weight {}x{} can be bound at once ({} bytes at most). Fix: use a smaller --size", l.label(), k, m,
       l.target.max_storage_range);
}

// Part `index` of x [n,k] times the same part of the weight: x is [n,parts,1,k/parts] and the product looks at row `index` of it.
ConvGeometry part_geometry(int64_t n, int64_t k, int64_t m, int64_t parts, int64_t index) {
  ConvGeometry g = linear_geometry(n, k / parts, m);
  g.in_h = parts;
  g.pad_y = -index;
  return g;
}

// Rows of part `index` of a matrix of `rows` rows that lies at `whole`.
Binding part_of(Binding whole, int64_t parts, int64_t index) {
  whole.bytes /= size_t(parts);
  whole.offset += size_t(index) * whole.bytes;
  return whole;
}

// ---- y = x W + b ---------------------------------------------------------------------------------------------------

std::vector<TensorDesc> linear_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const Epilogue e = epilogue_of(attrs, label);
  InputCheck check("linear", label, in);
  check.count(2 + size_t(e.bias));
  check.storage(0, "x"), check.rank(0, "x", 2), check.not_empty(0, "x");
  check.same_type(1, "weight", 0, "x"), check.rank(1, "weight", 2), check.not_empty(1, "weight");
  check.require(in[1].shape[0] == in[0].shape[1], "weight {} does not fit x {}: expected {} rows. Fix: check what is flattened before it.",
                in[1].to_string(), in[0].to_string(), in[0].shape[1]);
  if (e.bias) check.shape(2, "bias", Shape{in[1].shape[1]}), check.dtype(2, "bias", DType::f32);
  return {{Shape{in[0].shape[0], in[1].shape[1]}, in[0].dtype}};
}

void linear_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Epilogue e = epilogue_of(attrs, "reference");
  const size_t n = size_t(in[0].shape[0]), k = size_t(in[0].shape[1]), m = size_t(in[1].shape[1]);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < m; ++j) {
      double sum = e.bias ? in[2][j] : 0;
      for (size_t c = 0; c < k; ++c) sum += in[0][i * k + c] * in[1][c * m + j];
      out[0][i * m + j] = activate(Activation(e.activation), sum);
    }
}

void linear_gradient(Gradient& g) {
  const Epilogue e = epilogue_of(g.attrs(), "linear");
  Value dy = g.grad();
  if (e.activation) {
    std::vector<Value> inputs;
    for (int i = 0; i < g.inputs(); ++i) inputs.push_back(g.in(i));
    const Value z = g.add(linear, Attrs(g.attrs()).set("activation", "none"), inputs, "recompute")[0];
    dy = g.add(activation_grad, {{"function", g.attrs().text("activation", "none")}}, {z, dy}, "grad_activation")[0];
  }
  if (g.wants(0)) g.set(0, g.add(linear_grad_input, {}, {dy, g.in(1)}, "grad_input")[0]);
  if (g.wants(1)) g.set(1, g.add(linear_grad_weight, {}, {g.in(0), dy}, "grad_weight")[0]);
  if (e.bias && g.wants(2)) g.set(2, g.add(channel_sum, {}, {dy}, "grad_bias")[0]);
}

// The product of every part is added to that of the parts before it; bias and activation come with the last.
void linear_lower(Lowering& l) {
  const int64_t n = l.in_desc(0).shape[0], k = l.in_desc(0).shape[1], m = l.in_desc(1).shape[1];
  const Epilogue whole = epilogue_of(l.attrs(), l.label());
  const int64_t parts = weight_parts(l, k, m, l.in_desc(1).dtype);
  if (parts == 1) return conv_forward(l, linear_geometry(n, k, m), whole);
  const TensorDesc part{{k / parts, m}, l.in_desc(1).dtype}, y = l.out_desc(0);
  const Binding weight = l.in(1), bias = whole.bias ? l.in(whole.bias_input()) : weight, out = l.out(0), sums[] = {l.workspace(y.bytes()), l.workspace(y.bytes())};
  for (int64_t i = 0; i < parts; ++i) {
    const bool last = i + 1 == parts;
    const Epilogue e{.bias = last && whole.bias, .residual = i > 0, .activation = last ? whole.activation : 0};
    l.substitute_in(1, part_of(weight, parts, i), part);
    if (e.bias) l.substitute_in(e.bias_input(), bias, {{m}, DType::f32});  // where a residual stood before
    if (e.residual) l.substitute_in(e.residual_input(), sums[(i + 1) % 2], y);
    l.substitute_out(0, last ? out : sums[i % 2], y);
    conv_forward(l, part_geometry(n, k, m, parts, i), e);
  }
}

Cost product_cost(std::span<const TensorDesc> in, std::span<const TensorDesc> out, double products) {
  Cost c{2 * products, 0};
  for (const TensorDesc& t : in) c.bytes += double(t.bytes());
  for (const TensorDesc& t : out) c.bytes += double(t.bytes());
  return c;
}
Cost linear_cost(const Attrs&, std::span<const TensorDesc> in, std::span<const TensorDesc> out) {
  return product_cost(in, out, double(in[0].elements()) * double(in[1].shape[1]));
}

std::vector<Attrs> product_candidates(const Target& t) { return joined({engine_choices(t), parallel_choices(t), load_choices(t)}); }

std::vector<Case> linear_cases() {
  return {
      {{{{1, 1}}, {{1, 1}}}},
      {{{{3, 8}}, {{8, 12}}, {{12}}}, {{"bias", 1}}},
      {{{{18, 20}}, {{20, 36}}}},
      {{{{5, 13}}, {{13, 7}}, {{7}}}, {{"bias", 1}, {"activation", "relu"}}},
      {{{{33, 64}}, {{64, 7}}, {{7}}}, {{"bias", 1}}},
      {{{{3, 128}}, {{128, 16}}, {{16}}}, {{"bias", 1}, {"activation", "relu"}}},  // its weight can be taken in parts
      {{{{3, 1030}}, {{1030, 6}}, {{6}}}, {{"bias", 1}, {"activation", "silu"}}},
  };
}

// ---- dx, dW --------------------------------------------------------------------------------------------------------

std::vector<TensorDesc> grad_input_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  InputCheck check("linear_grad_input", label, in);
  check.count(2);
  check.storage(0, "dy"), check.rank(0, "dy", 2), check.rank(1, "weight", 2), check.same_type(1, "weight", 0, "dy");
  check.not_empty(0, "dy"), check.not_empty(1, "weight");
  check.shape(0, "dy", Shape{in[0].shape[0], in[1].shape[1]});
  return {{Shape{in[0].shape[0], in[1].shape[0]}, in[0].dtype}};
}

void grad_input_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const size_t n = size_t(in[0].shape[0]), m = size_t(in[0].shape[1]), k = size_t(in[1].shape[0]);
  for (size_t i = 0; i < n; ++i)
    for (size_t c = 0; c < k; ++c)
      for (size_t j = 0; j < m; ++j) out[0][i * k + c] += in[0][i * m + j] * in[1][c * m + j];
}

// Every part gives some columns of dx. They are gathered as rows of its transpose.
void grad_input_lower(Lowering& l) {
  const int64_t k = l.in_desc(1).shape[0], m = l.in_desc(1).shape[1];
  const DType storage = l.in_desc(0).dtype;
  const int64_t parts = weight_parts(l, k, m, storage);
  if (parts == 1) return conv_grad_input(l, linear_geometry(l.in_desc(0).shape[0], k, m));
  const Binding weight = l.in(1), dy = l.in(0), dx = l.out(0);
  const TensorDesc all_dy = l.in_desc(0), all_dx = l.out_desc(0);
  for (Slice s : l.batch_slices({all_dy, all_dx})) {
    l.substitute_in(0, dy, all_dy), l.substitute_out(0, dx, all_dx);
    const Binding some_dy = l.in(0, s), some_dx = l.out(0, s);
    const TensorDesc columns{{s.count, k / parts}, storage};
    const Binding transposed = l.workspace(size_t(s.count * k) * dtype_bytes(storage)), product = l.workspace(columns.bytes());
    for (int64_t i = 0; i < parts; ++i) {
      l.substitute_in(0, some_dy, {{s.count, m}, storage});
      l.substitute_in(1, part_of(weight, parts, i), {{k / parts, m}, storage});
      l.substitute_out(0, product, columns);
      conv_grad_input(l, linear_geometry(s.count, k / parts, m));
      transpose_matrices(l, product, part_of(transposed, parts, i), storage, 1, s.count, k / parts);
    }
    transpose_matrices(l, transposed, some_dx, storage, 1, k, s.count);
  }
}

Cost grad_input_cost(const Attrs&, std::span<const TensorDesc> in, std::span<const TensorDesc> out) {
  return product_cost(in, out, double(out[0].elements()) * double(in[1].shape[1]));
}

std::vector<TensorDesc> grad_weight_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  InputCheck check("linear_grad_weight", label, in);
  check.count(2);
  check.storage(0, "x"), check.rank(0, "x", 2), check.rank(1, "dy", 2), check.same_type(1, "dy", 0, "x");
  check.shape(1, "dy", Shape{in[0].shape[0], in[1].shape[1]});
  return {{Shape{in[0].shape[1], in[1].shape[1]}, DType::f32}};
}

void grad_weight_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const size_t n = size_t(in[0].shape[0]), k = size_t(in[0].shape[1]), m = size_t(in[1].shape[1]);
  for (size_t i = 0; i < n; ++i)
    for (size_t c = 0; c < k; ++c)
      for (size_t j = 0; j < m; ++j) out[0][c * m + j] += in[0][i * k + c] * in[1][i * m + j];
}

void grad_weight_lower(Lowering& l) {
  const int64_t n = l.in_desc(0).shape[0], k = l.in_desc(0).shape[1], m = l.in_desc(1).shape[1];
  const int64_t parts = weight_parts(l, k, m, DType::f32);
  const Binding whole = l.out(0);
  for (int64_t i = 0; i < parts; ++i) {
    l.substitute_out(0, part_of(whole, parts, i), {{k / parts, m}, DType::f32});
    const ConvGeometry g = part_geometry(n, k, m, parts, i);
    conv_engine(l, g).grad_filter(l, g);
  }
}

Cost grad_weight_cost(const Attrs&, std::span<const TensorDesc> in, std::span<const TensorDesc> out) {
  return product_cost(in, out, double(in[0].elements()) * double(in[1].shape[1]));
}

// ---- channel_sum ---------------------------------------------------------------------------------------------------

std::vector<TensorDesc> channel_sum_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  InputCheck check("channel_sum", label, in);
  check.count(1);
  check.storage(0, "x"), check.not_empty(0, "x");
  return {{Shape{in[0].shape.last()}, DType::f32}};
}

void channel_sum_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const size_t c = size_t(in[0].shape.last());
  for (size_t i = 0; i < in[0].data.size(); ++i) out[0][i % c] += in[0][i];
}

void channel_sum_lower(Lowering& l) {
  constexpr int64_t kMostSummed = 256;  // rows of a slice: bounds the rounding error
  const int64_t c = l.in_desc(0).shape.last(), blocks = divide_round_up(c, 4), n = l.in_desc(0).shape[0];
  const int64_t rows_per_image = l.in_desc(0).shape.rows() / n;
  const std::vector<Slice> batches = l.batch_slices({l.in_desc(0)});
  const int64_t rows = batches.front().count * rows_per_image;
  const int64_t slices = std::max(filling_slices(l, blocks), divide_round_up(rows, kMostSummed));
  const int64_t rows_per_slice = divide_round_up(rows, std::min(slices, rows));
  int64_t total = 0;
  for (Slice s : batches) total += divide_round_up(s.count * rows_per_image, rows_per_slice);
  const Binding partial = total > 1 ? l.workspace(size_t(total * c) * 4) : l.out(0);
  int64_t first = 0;
  for (Slice s : batches) {
    const int64_t here = divide_round_up(s.count * rows_per_image, rows_per_slice);
    const params::ChannelSum p{uint32_t(s.count * rows_per_image), uint32_t(c), uint32_t(rows_per_slice), uint32_t(here), uint32_t(first), uint32_t(here * blocks)};
    l.dispatch(l.channel_module("channel_sum", l.in_desc(0).dtype, {c}), {l.target.workgroup}, {l.in(0, s), partial}, p, groups_for_single(l, p.count));
    first += here;
  }
  if (total > 1) sum_slices(l, partial, l.out(0), c, total);
}

std::vector<Case> channel_sum_cases() { return {{{{{3, 7}}}}, {{{{2, 5, 6, 8}}}}, {{{{40, 9, 7, 12}}}}, {{{{1, 1}}}}}; }

}  // namespace

const OpDef linear{
    .name = "linear",
    .shape = linear_shape,
    .reference = linear_reference,
    .grad = linear_gradient,
    .lower = linear_lower,
    .cost = linear_cost,
    .cases = linear_cases,
    .candidates = product_candidates,
    .exact_on_integers = true,
    .error = 4e-6,  // thousands of terms, one after the other
    .half = true,
};

const OpDef linear_grad_input{
    .name = "linear_grad_input",
    .shape = grad_input_shape,
    .reference = grad_input_reference,
    .lower = grad_input_lower,
    .cost = grad_input_cost,
    .candidates = product_candidates,
    .exact_on_integers = true,
    .error = 1e-6,
    .half = true,
};

const OpDef linear_grad_weight{
    .name = "linear_grad_weight",
    .shape = grad_weight_shape,
    .reference = grad_weight_reference,
    .lower = grad_weight_lower,
    .cost = grad_weight_cost,
    .candidates = product_candidates,
    .exact_on_integers = true,
    .error = 1e-6,
    .half = true,
};

const OpDef channel_sum{
    .name = "channel_sum",
    .shape = channel_sum_shape,
    .reference = channel_sum_reference,
    .lower = channel_sum_lower,
    .cases = channel_sum_cases,
    .exact_on_integers = true,
    .error = 4e-6,  // a slice adds its rows one after the other
    .half = true,
};

}  // namespace vkfer::ops
