// matmul: products of matrices, batch after batch. Where a product is large and lies where it can be bound, it takes the kernels of
// linear: a batch of matrices times one matrix is one product; other batches are launched one by one.
#include "graph/ops/conv_geometry.h"
#include "graph/ops/ops.h"
#include "graph/ops/strided.h"
#include "graph/ops/util.h"
#include "shaders/params/reduce.h"

namespace vkfer::ops {

namespace {

struct Matmul {
  int64_t m, k, n;
  Shape a, b, batch;  // batch dimensions: of a, of b, of both
};

Shape batch_of(const Shape& s) {
  Integers sizes = sizes_of(s);
  sizes.resize(sizes.size() - 2);
  return Shape(sizes);
}

Matmul matmul_of(const Shape& a, const Shape& b, std::string_view label) {
  if (a.rank() < 2 || b.rank() < 2 || a.last() != b[b.rank() - 2])
    fail("matmul", "'{}': got {} times {}, expected [...,m,k] times [...,k,n]. Fix: check the layers that feed it.", label, a.to_string(), b.to_string());
  return {a[a.rank() - 2], a.last(), b.last(), batch_of(a), batch_of(b), broadcast_shape("matmul", label, batch_of(a), batch_of(b))};
}

std::vector<TensorDesc> matmul_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("matmul", label, in);
  check.count(2);
  check.dtype(0, "a", DType::f32), check.dtype(1, "b", DType::f32);
  const Matmul p = matmul_of(in[0].shape, in[1].shape, label);
  Integers sizes = sizes_of(p.batch);
  sizes.push_back(p.m), sizes.push_back(p.n);
  return {{Shape(sizes), DType::f32}};
}

// Offsets of the matrices of every batch.
Walk batch_walk(const Matmul& p) {
  Walk w{sizes_of(p.batch), {broadcast_strides(p.a, p.batch), broadcast_strides(p.b, p.batch)}};
  for (int64_t& s : w.strides[0]) s *= p.m * p.k;
  for (int64_t& s : w.strides[1]) s *= p.k * p.n;
  return w;
}

void matmul_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Matmul p = matmul_of(in[0].shape, in[1].shape, "reference");
  size_t y = 0;
  for_each_place(batch_walk(p), [&](const std::vector<int64_t>& at) {
    for (int64_t i = 0; i < p.m; ++i)
      for (int64_t j = 0; j < p.n; ++j, ++y)
        for (int64_t k = 0; k < p.k; ++k) out[0][y] += in[0][size_t(at[0] + i * p.k + k)] * in[1][size_t(at[1] + k * p.n + j)];
  });
}

Value with_last_two_swapped(Gradient& g, Value v, std::string_view suffix) {
  const int rank = g.graph.shape(v).rank();
  Integers perm;
  for (int i = 0; i < rank; ++i) perm.push_back(i);
  std::swap(perm[size_t(rank) - 1], perm[size_t(rank) - 2]);
  return g.add(transpose, {{"perm", perm}}, {v}, suffix)[0];
}

// da = dy b', db = a' dy. A batch times one matrix is one product of many rows, and so is its db.
void matmul_gradient(Gradient& g) {
  const Value dy = g.grad();
  if (g.wants(0)) g.set(0, summed_to(g, g.add(matmul, {}, {dy, with_last_two_swapped(g, g.in(1), "b_transposed")}, "grad_a")[0], g.in(0), "grad_a_sum"));
  if (!g.wants(1)) return;
  Value a = g.in(0), d = dy;
  if (g.graph.shape(g.in(1)).rank() == 2 && g.graph.shape(a).rank() > 2) {
    const Shape sa = g.graph.shape(a), sy = g.graph.shape(dy);
    a = g.add(reshape, {{"shape", Integers{sa.rows(), sa.last()}}}, {a}, "a_rows")[0];
    d = g.add(reshape, {{"shape", Integers{sy.rows(), sy.last()}}}, {d}, "dy_rows")[0];
  }
  g.set(1, summed_to(g, g.add(matmul, {}, {with_last_two_swapped(g, a, "a_transposed"), d}, "grad_b")[0], g.in(1), "grad_b_sum"));
}

void lower_as_linear(Lowering& l, Binding a, Binding b, Binding y, int64_t m, int64_t k, int64_t n) {
  l.substitute_in(0, a, {{m, k}, DType::f32}), l.substitute_in(1, b, {{k, n}, DType::f32}), l.substitute_out(0, y, {{m, n}, DType::f32});
  const ConvGeometry g{m, 1, 1, k, 1, 1, n, 1, 1, 1, 1, 0, 0, 1, 1, 1};
  conv_engine(l, g).forward(l, g, {});
}

void lower_plainly(Lowering& l, const Matmul& p, const Walk& batches) {
  constexpr int64_t kMostTurns = 60000;  // of an invocation's loop: lavapipe ends loops after 65,535
  if (p.k > kMostTurns) fail("plan", "'{}': got sums of {} products, expected at most {}. Fix: split the product", l.label(), p.k, kMostTurns);
  const bool four = p.n % 4 == 0;
  const int64_t units = p.n / (four ? 4 : 1), count = batches.elements() * p.m * units;
  const params::Product push{uint32_t(count), uint32_t(p.m), uint32_t(p.k), uint32_t(p.n), uint32_t(batches.sizes.size()), params::divisor(units), params::divisor(p.m)};
  l.dispatch("matmul.f32", {l.target.workgroup, uint32_t(four)}, {p.k ? l.in(0) : l.out(0), p.k ? l.in(1) : l.out(0), l.out(0), walk_table(l, batches)}, push, groups_for_single(l, count));
}

void matmul_lower(Lowering& l) {
  constexpr int64_t kMostLaunches = 64, kLeastProducts = 32768;  // of a launch: below, many batches in one launch are faster
  const TensorDesc a = l.in_desc(0), b = l.in_desc(1), y = l.out_desc(0);
  if (y.elements() == 0) return;
  Matmul p = matmul_of(a.shape, b.shape, l.label());
  require_bindable(l, {b});
  if (p.k == 0) return lower_plainly(l, p, batch_walk(p).joined());  // sums of nothing
  if (p.b.elements() == 1) return lower_as_linear(l, l.in(0), l.in(1), l.out(0), p.a.elements() * p.m, p.k, p.n);
  require_bindable(l, {a, y});
  const Walk batches = batch_walk(p).joined();
  const int64_t count = batches.elements();
  bool aligned = true;
  for (int64_t elements : {p.m * p.k, p.k * p.n, p.m * p.n}) aligned = aligned && size_t(elements) * 4 % l.target.storage_alignment == 0;
  if (!aligned || count > kMostLaunches || p.m * p.k * p.n < kLeastProducts) return lower_plainly(l, p, batches);
  const auto part = [](Binding whole, int64_t first, int64_t elements) {
    whole.offset += size_t(first) * 4, whole.bytes = size_t(elements) * 4;
    return whole;
  };
  const Binding all_a = l.in(0), all_b = l.in(1), all_y = l.out(0);
  int64_t i = 0;
  for_each_place(batches, [&](const std::vector<int64_t>& at) {
    lower_as_linear(l, part(all_a, at[0], p.m * p.k), part(all_b, at[1], p.k * p.n), part(all_y, i++ * p.m * p.n, p.m * p.n), p.m, p.k, p.n);
  });
}

Cost matmul_cost(const Attrs& attrs, std::span<const TensorDesc> in, std::span<const TensorDesc> out) {
  Cost c = elementwise_cost<0>(attrs, in, out);
  c.flops = 2 * double(out[0].elements()) * double(in[0].shape.last());
  return c;
}

std::vector<Case> matmul_cases() {
  const auto row = [](Shape a, Shape b) { return Case{.in = {f32(a), f32(b)}}; };
  return {row({1, 1}, {1, 1}), row({5, 7}, {7, 3}), row({3, 4, 5}, {5, 8}), row({3, 4, 5}, {3, 5, 6}), row({2, 1, 3, 5}, {4, 5, 8}), row({2, 3, 4}, {1, 4, 4}),
          row({4, 6}, {3, 6, 5}), // large enough for linear's kernels; not differentiated, which would take long
          {.in = {f32({2, 1, 32, 32}), f32({2, 32, 32})}, .fill = {Fill::fixed({1, -2, 3, 0, -1}), Fill::fixed({2, 1, -3})}}, row({2, 3, 70}, {2, 70, 4}), row({0, 3, 4}, {4, 2}), row({2, 0}, {0, 3})};
}

}  // namespace

const OpDef matmul{.name = "matmul",
                   .shape = matmul_shape,
                   .reference = matmul_reference,
                   .grad = matmul_gradient,
                   .lower = matmul_lower,
                   .cost = matmul_cost,
                   .cases = matmul_cases,
                   .exact_on_integers = true,
                   .error = 4e-6};

}  // namespace vkfer::ops
