// Global average and maximum pooling: [n,h,w,c] -> [n,c].  Lin, Chen, Yan, Network in Network, 2014
#include "graph/ops/ops.h"
#include "graph/ops/util.h"
#include "shaders/params/elementwise.h"

namespace vkfer::ops {

namespace {

constexpr uint32_t kReduceMean = 0, kReduceMax = 2;  // shaders/reduce_spatial.comp
constexpr uint32_t kChannelSpread = 1;               // shaders/channel_scale.comp

template <OpName kOp>
std::vector<TensorDesc> shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check(kOp.text, label, in);
  check.alike({"x"});
  check.rank(0, "x", 4);
  return {{Shape{in[0].shape.n(), in[0].shape.c()}, in[0].dtype}};
}

std::vector<TensorDesc> avg_grad_shape(const Attrs& attrs, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("global_avg_pool_grad", label, in);
  check.alike({"dy"});
  check.rank(0, "dy", 2);
  const Integers size = attrs.integers("size", {});
  check.require(size.size() == 2 && size[0] > 0 && size[1] > 0,
                "got size of {} numbers, expected height and width of at least 1", size.size());
  return {{Shape{in[0].shape[0], size[0], size[1], in[0].shape[1]}, in[0].dtype}};
}

std::vector<TensorDesc> max_grad_shape(const Attrs&, std::span<const TensorDesc> in, std::string_view label) {
  const InputCheck check("global_max_pool_grad", label, in);
  check.count(2);
  check.storage(0, "x");
  check.rank(0, "x", 4);
  check.same_type(1, "dy", 0, "x");
  check.shape(1, "dy", Shape{in[0].shape.n(), in[0].shape.c()});
  return {in[0]};
}

// The element of y that element i of x, of shape s, belongs to.
size_t pooled_element(const Shape& s, size_t i) {
  return i / size_t(s.h() * s.w() * s.c()) * size_t(s.c()) + i % size_t(s.c());
}

void avg_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Shape& s = in[0].shape;
  for (size_t i = 0; i < in[0].data.size(); ++i) out[0][pooled_element(s, i)] += in[0][i] / double(s.h() * s.w());
}

void avg_grad_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const Shape& s = out[0].shape;
  for (size_t i = 0; i < out[0].data.size(); ++i) out[0][i] = in[0][pooled_element(s, i)] / double(s.h() * s.w());
}

// Per element of y the first maximum of x in reading order.
std::vector<size_t> maxima(const HostTensor& x) {
  std::vector<size_t> best(size_t(x.shape.n() * x.shape.c()), size_t(-1));
  for (size_t i = 0; i < x.data.size(); ++i) {
    size_t& b = best[pooled_element(x.shape, i)];
    if (b == size_t(-1) || x[i] > x[b]) b = i;
  }
  return best;
}

void max_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const std::vector<size_t> best = maxima(in[0]);
  for (size_t i = 0; i < best.size(); ++i) out[0][i] = in[0][best[i]];
}

void max_grad_reference(const Attrs&, std::span<const HostTensor> in, std::span<HostTensor> out) {
  const std::vector<size_t> best = maxima(in[0]);
  for (size_t i = 0; i < best.size(); ++i) out[0][best[i]] = in[1][i];
}

void avg_grad(Gradient& g) {
  const Shape& x = g.graph.shape(g.in(0));
  if (g.wants(0)) g.set(0, g.add(global_avg_pool_grad, {{"size", Integers{x.h(), x.w()}}}, {g.grad()}, "grad")[0]);
}

void max_grad(Gradient& g) {
  if (g.wants(0)) g.set(0, g.add(global_max_pool_grad, {}, {g.in(0), g.grad()}, "grad")[0]);
}

// One invocation per image and unit of channels; `large` is [n,h,w,c].
params::ReduceSpatial reduce_push(const Shape& large, Slice s) {
  const int64_t channels = large.c() / unit_channels(large.c());
  return {uint32_t(s.count * channels), uint32_t(large.h()), uint32_t(large.w()),
          float(1 / double(large.h() * large.w())), params::divisor(channels)};
}

template <uint32_t kOperation>
void lower(Lowering& l) {
  const TensorDesc& x = l.in_desc(0);
  for (Slice s : l.batch_slices({x, l.out_desc(0)})) {
    const params::ReduceSpatial push = reduce_push(x.shape, s);
    l.dispatch(l.module("reduce_spatial", x.dtype),
               {l.target.workgroup, 1, uint32_t(unit_channels(x.shape.c()) == 4), kOperation},
               {l.in(0, s), l.in(0, s), l.out(0, s)}, push, groups_for_single(l, push.outputs));
  }
}

void avg_grad_lower(Lowering& l) {
  const TensorDesc& dx = l.out_desc(0);
  const int64_t channels = dx.shape.c() / unit_channels(dx.shape.c()), pixels = dx.shape.h() * dx.shape.w();
  for (Slice s : l.batch_slices({l.in_desc(0), dx})) {
    const int64_t units = s.count * pixels * channels;
    const params::ChannelScale push{uint32_t(units), float(1 / double(pixels)), params::divisor(pixels * channels),
                                    params::divisor(channels)};
    l.dispatch(l.module("channel_scale", dx.dtype),
               {l.target.workgroup, l.target.vectors_per_invocation, uint32_t(unit_channels(dx.shape.c()) == 4),
                kChannelSpread},
               {l.in(0, s), l.in(0, s), l.out(0, s), l.in(0, s)}, push, groups_for(l, units));
  }
}

void max_grad_lower(Lowering& l) {
  const TensorDesc& x = l.in_desc(0);
  for (Slice s : l.batch_slices({x, l.in_desc(1)})) {
    const params::ReduceSpatial push = reduce_push(x.shape, s);
    l.dispatch(l.module("global_max_pool_grad", x.dtype),
               {l.target.workgroup, 1, uint32_t(unit_channels(x.shape.c()) == 4)},
               {l.in(0, s), l.in(1, s), l.out(0, s)}, push, groups_for_single(l, push.outputs));
  }
}

// flops of a reduction are those of its input
Cost cost(const Attrs& attrs, std::span<const TensorDesc> in, std::span<const TensorDesc> out) {
  Cost c = elementwise_cost<0>(attrs, in, out);
  c.flops = double(in[0].elements());
  return c;
}

std::vector<Case> image_cases() {
  std::vector<Case> cases;
  for (const Shape& s :
       {Shape{1, 1, 1, 1}, Shape{2, 3, 5, 7}, Shape{3, 2, 4, 8}, Shape{2, 7, 7, 32}, Shape{1, 24, 23, 4}})
    cases.push_back({.in = {f32(s)}});
  return cases;
}

}  // namespace

const OpDef global_avg_pool{.name = "global_avg_pool",
                            .shape = shape<"global_avg_pool">,
                            .reference = avg_reference,
                            .grad = avg_grad,
                            .lower = lower<kReduceMean>,
                            .cost = cost,
                            .cases = image_cases,
                            .error = 2e-6,
                            .half = true};

const OpDef global_avg_pool_grad{.name = "global_avg_pool_grad",
                                 .shape = avg_grad_shape,
                                 .reference = avg_grad_reference,
                                 .lower = avg_grad_lower,
                                 .cost = elementwise_cost<1>,
                                 .error = 1e-6,
                                 .half = true};

const OpDef global_max_pool{.name = "global_max_pool",
                            .shape = shape<"global_max_pool">,
                            .reference = max_reference,
                            .grad = max_grad,
                            .lower = lower<kReduceMax>,
                            .cost = cost,
                            .cases = image_cases,
                            .exact_on_integers = true,
                            .error = 1e-7,
                            .half = true};

const OpDef global_max_pool_grad{.name = "global_max_pool_grad",
                                 .shape = max_grad_shape,
                                 .reference = max_grad_reference,
                                 .lower = max_grad_lower,
                                 .cost = elementwise_cost<1>,
                                 .exact_on_integers = true,
                                 .error = 1e-7,
                                 .half = true};

}  // namespace vkfer::ops
