// Dropout (Srivastava et al., 2014) and stochastic depth (Huang et al., Deep Networks with Stochastic Depth, 2016), whose masks are
// pure functions of seed, layer and step, so that replay and resume agree: Philox4x32-10 (Salmon et al.,
// Parallel Random Numbers: As Easy as 1, 2, 3, 2011).
#include "graph/ops/ops.h"
#include "graph/ops/util.h"
#include "shaders/params/elementwise.h"

namespace vkfer::ops {

namespace {

using Words = std::array<uint32_t, 4>;

Words philox(Words c, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t(0xD2511F53u) * c[0], b = uint64_t(0xCD9E8D57u) * c[2];
    c = {uint32_t(b >> 32) ^ c[1] ^ key0, uint32_t(b), uint32_t(a >> 32) ^ c[3] ^ key1, uint32_t(a)};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c;
}

void check_random(const InputCheck& check, const Attrs& attrs) {
  check.storage(0, "x");
  check.not_empty(0, "x");
  check.dtype(1, "step", DType::i32);
  check.shape(1, "step", Shape{5});
  const double p = attrs.number("p");
  check.require(p >= 0 && p < 1, "got p={}, expected 0 <= p < 1. Fix: correct the drop probability.", p);
  attrs.integer("salt");
}

// ---- dropout: a decision an element --------------------------------------------------------------------------------

size_t row_elements(const Shape& x) { return size_t(x.elements() / x[0]); }

std::vector<TensorDesc> dropout_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("dropout", label, in);
  check.count(2);
  check_random(check, attrs);
  return {in[0]};
}

void dropout_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const auto word = [&](size_t i) { return uint32_t(int64_t(in[1][i])); };
  const double p = float(attrs.number("p"));  // the shader compares in f32
  const size_t before = word(4) * row_elements(in[0].shape);
  for (size_t i = 0; i < out[0].data.size(); ++i) {
    const size_t at = before + i;
    const Words random = philox({uint32_t(at / 4), uint32_t(attrs.integer("salt")), word(2), word(3)}, word(0), word(1));
    const double u = double(random[at % 4] >> 8) / double(1 << 24);
    out[0][i] = u >= p ? in[0][i] / (1 - attrs.number("p")) : 0;
  }
}

// The same mask on dy: same step, same salt.
void dropout_grad(Gradient& g) {
  if (g.wants(0)) g.set(0, g.add(dropout, g.attrs(), {g.grad(), g.in(1)}, "grad")[0]);
}

void dropout_lower(Lowering& l) {
  const double p = l.attrs().number("p");
  const uint32_t salt = uint32_t(l.attrs().integer("salt"));
  const uint32_t row = uint32_t(row_elements(l.in_desc(0).shape));
  lower_flat(l, l.module("dropout", l.in_desc(0).dtype), 1, {row % 4 != 0}, [=](Slice s) {
    return params::Dropout{uint32_t(s.count), uint32_t(s.first / 4), salt, float(p), float(1 / (1 - p)), row};
  });
}

std::vector<Case> dropout_cases() {
  const auto row = [](const Shape& s, double p, int salt, Numbers step) {
    return Case{.in = {f32(s), i32({5})},
                .attrs = {{"p", p}, {"salt", salt}},
                .fill = {Fill::real(), Fill::fixed(std::move(step))}};
  };
  return {row({1}, 0.5, 0, {0, 0, 0, 0, 0}), row({2, 3, 5, 7}, 0.2, 1, {7, 0, 1, 0, 0}),
          row({8, 1280}, 0.2, 3, {-1, 123456789, 77, 2, 16}), row({3, 6}, 0, 2, {1, 2, 3, 4, 5}),
          row({5, 7}, 0.9, 5, {12345, -5, -2147483648.0, 1, 0}), row({5, 7}, 0.5, 5, {12345, -5, 7, 1, 3}), row({4, 5}, 0.5, 5, {1, 2, 7, 1, 2}), row({9, 3}, 0.5, 5, {1, 2, 7, 1, 3})};
}

// ---- stochastic depth: a decision an image --------------------------------------------------------------------------

bool has_residual(const Attrs& attrs) { return attrs.integer("residual", 0) != 0; }

std::vector<TensorDesc> depth_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("stochastic_depth", label, in);
  check.count(2 + size_t(has_residual(attrs)));
  check_random(check, attrs);
  if (has_residual(attrs)) check.same_shape(2, "residual", 0, "x"), check.same_type(2, "residual", 0, "x");
  return {in[0]};
}

void depth_reference(const Attrs& attrs, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const auto word = [&](size_t i) { return uint32_t(int64_t(in[1][i])); };
  const size_t each = out[0].data.size() / size_t(in[0].shape[0]);
  for (size_t i = 0; i < out[0].data.size(); ++i) {
    const Words random = philox({uint32_t(word(4) + i / each), uint32_t(attrs.integer("salt")), word(2), word(3)}, word(0), word(1));
    const bool kept = double(random[0] >> 8) / double(1 << 24) >= double(float(attrs.number("p")));
    out[0][i] = (kept ? in[0][i] / (1 - attrs.number("p")) : 0) + (has_residual(attrs) ? in[2][i] : 0);
  }
}

void depth_grad(Gradient& g) {
  if (g.wants(0)) g.set(0, g.add(stochastic_depth, Attrs(g.attrs()).set("residual", 0), {g.grad(), g.in(1)}, "grad")[0]);
  if (has_residual(g.attrs()) && g.wants(2)) g.set(2, g.grad());
}

void depth_lower(Lowering& l) {
  const TensorDesc& x = l.in_desc(0);
  const double p = l.attrs().number("p");
  const int64_t per_image = x.elements() / x.shape[0], unit = per_image % 4 == 0 ? 4 : 1;
  const bool residual = has_residual(l.attrs());
  for (Slice s : l.batch_slices({x})) {
    const int64_t units = s.count * per_image / unit;
    const params::StochasticDepth push{uint32_t(units), uint32_t(s.first), uint32_t(l.attrs().integer("salt")), float(p),
                                       float(1 / (1 - p)), params::divisor(per_image / unit)};
    l.dispatch(l.module("stochastic_depth", x.dtype), {l.target.workgroup, l.target.vectors_per_invocation, uint32_t(unit == 4), residual},
               {l.in(0, s), l.in(1), residual ? l.in(2, s) : l.in(0, s), l.out(0, s)}, push, groups_for(l, units));
  }
}

std::vector<Case> depth_cases() {
  const auto row = [](const Shape& s, double p, int salt, bool residual) {
    Case c{.in = {f32(s), i32({5})}, .attrs = {{"p", p}, {"salt", salt}, {"residual", residual}}, .fill = {Fill::real(), Fill::fixed({7, -5, salt * 1000.0, 2, salt * 3.0})}};
    if (residual) c.in.push_back(f32(s)), c.fill.push_back(Fill::real());
    return c;
  };
  return {row({1}, 0.5, 0, false), row({5, 3, 5, 7}, 0.4, 1, true), row({9, 2, 3, 8}, 0.5, 2, true), row({6, 12}, 0, 3, false),
          row({7, 3}, 0.9, 4, true)};
}

}  // namespace

const OpDef dropout{.name = "dropout",
                    .shape = dropout_shape,
                    .reference = dropout_reference,
                    .grad = dropout_grad,
                    .lower = dropout_lower,
                    .again = same_again,
                    .cost = elementwise_cost<25>,
                    .cases = dropout_cases,
                    .in_place = {{0, 0}},
                    .error = 1e-6,
                    .half = true};

const OpDef stochastic_depth{.name = "stochastic_depth",
                             .shape = depth_shape,
                             .reference = depth_reference,
                             .grad = depth_grad,
                             .lower = depth_lower,
                             .again = same_again,
                             .cost = elementwise_cost<3>,
                             .cases = depth_cases,
                             .in_place = {{0, 0}, {0, 2}},
                             .error = 1e-6,
                             .half = true};

}  // namespace vkfer::ops
