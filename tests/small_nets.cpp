#include "tests/small_nets.h"

#include "graph/op.h"
#include "graph/ops/ops.h"
#include "runtime/error.h"

namespace vkfer::test {

namespace {

class Builder {
 public:
  Builder(Graph& graph, const SmallNetOptions& options) : g_(graph), options_(options) {}

  Value conv(const std::string& name, Value x, int out, int kernel, int stride, int groups = 1) {
    const TensorDesc filter{{kernel, kernel, g_.shape(x).c() / groups, out}, DType::f32};
    const std::vector<int64_t> strides(2, stride), pads(4, kernel / 2);
    return g_.add1(ops::conv2d, {{"stride", strides}, {"pad", pads}, {"groups", groups}},
                   {x, trainable(name + ".weight", filter, Layout::filter)}, name);
  }

  Value norm(const std::string& name, Value x) {
    const TensorDesc channels{{g_.shape(x).last()}, DType::f32};
    const std::vector<Value> in = {x, trainable(name + ".weight", channels), trainable(name + ".bias", channels),
                                   g_.state(name + ".running_mean", channels),
                                   g_.state(name + ".running_var", channels)};
    if (!options_.training) return g_.add1(ops::batch_norm_eval, {}, in, name);
    const std::vector<Value> out = g_.add(ops::batch_norm, {}, in, name);
    g_.update(in[3], out[3]);
    g_.update(in[4], out[4]);
    return out[0];
  }

  Value act(const std::string& name, Value x) { return g_.add1(*find_op(options_.activation), {}, {x}, name); }

  Value linear(const std::string& name, Value x, int out) {
    const int64_t in = g_.shape(x).last();
    return g_.add1(ops::linear, {{"bias", 1}},
                   {x, trainable(name + ".weight", {{in, out}, DType::f32}, Layout::linear),
                    trainable(name + ".bias", {{out}, DType::f32})},
                   name);
  }

  Value excite(const std::string& name, Value x) {
    const int64_t n = g_.shape(x).n(), c = g_.shape(x).c();
    Value s = linear(name + ".fc", g_.add1(ops::global_avg_pool, {}, {x}, name + ".pool"), int(c));
    s = g_.add1(ops::sigmoid, {}, {s}, name + ".gate");
    s = g_.add1(ops::reshape, {{"shape", std::vector<int64_t>{n, 1, 1, c}}}, {s}, name + ".reshape");
    return g_.add1(ops::mul, {}, {x, s}, name);
  }

 private:
  Value trainable(const std::string& name, TensorDesc desc, Layout layout = Layout::plain) {
    return g_.state(name, desc, {.layout = layout, .trainable = true});
  }

  Graph& g_;
  const SmallNetOptions& options_;
};

}  // namespace

SmallNet small_net(const SmallNetOptions& options) {
  SmallNet net;
  Graph& g = net.graph;
  Builder b(g, options);
  net.images = g.input("images", {{options.batch, 7, 6, 3}, DType::f32});
  net.labels = g.input("labels", {{options.batch}, DType::i32});
  net.class_weights = g.input("class_weights", {{3}, DType::f32});
  Value x = b.act("stem.act", b.norm("stem.norm", b.conv("stem", net.images, 8, 3, 1)));
  Value y = b.act("block.act1", b.norm("block.norm1", b.conv("block.depthwise", x, 8, 3, 1, 8)));
  y = b.norm("block.norm2", b.conv("block.project", y, 8, 1, 1));
  x = b.act("block.act2", g.add1(ops::add, {}, {y, x}, "block.add"));  // x has two users
  x = b.excite("excite", x);
  x = b.act("down.act", b.norm("down.norm", b.conv("down", x, 12, 3, 2)));
  x = g.add1(ops::global_avg_pool, {}, {x}, "pool");
  net.logits = b.linear("classifier", x, 3);
  g.output(net.logits, "logits");
  net.loss = g.add(ops::softmax_cross_entropy, {}, {net.logits, net.labels, net.class_weights}, "loss")[0];
  g.output(net.loss, "loss");
  return net;
}

std::map<int, HostTensor> random_values(const Graph& g, std::string_view seed) {
  std::map<int, HostTensor> values;
  for (size_t v = 0; v < g.values().size(); ++v) {
    const ValueInfo& info = g.values()[v];
    if (info.role == Role::computed) continue;
    const bool positive = info.name.find("running_var") != std::string::npos || info.name == "class_weights";
    Fill fill = positive ? Fill::real(0.5, 1.5) : Fill::real(-1, 1);
    if (info.desc.dtype == DType::i32) fill = Fill::index(0, 2);
    if (info.name == "loss_scale") fill = Fill::fixed({1});
    if (info.name == "hyper") fill = Fill::fixed({0.1, 0.9, 0, 0, 1e-4, 1, 1, 0});
    Numbers numbers(fmt::format("{} {}", seed, info.name));
    values[int(v)] = rounded(info.desc.dtype, filled(info.desc, fill, FillMode::real, numbers));
  }
  return values;
}

void add_training(SmallNet& net, bool outputs) {
  Graph& g = net.graph;
  std::vector<Value> parameters;
  for (Value s : g.states())
    if (g.info(s).state.trainable) parameters.push_back(s);
  const std::vector<Value> grads = differentiate(g, net.loss, parameters);
  const Value hyper = g.input("hyper", {{8}, DType::f32});
  std::vector<Value> kept = parameters, in = parameters;
  in.insert(in.end(), grads.begin(), grads.end());
  for (Value p : parameters) {
    kept.push_back(g.state(g.info(p).name + ".velocity", g.desc(p)));
    in.push_back(kept.back());
  }
  in.push_back(hyper);
  const std::vector<Value> out = g.add(ops::sgd, {{"tensors", int64_t(parameters.size())}}, in, "sgd");
  for (size_t i = 0; i < kept.size(); ++i) g.update(kept[i], out[i]);
  if (outputs)
    for (Value grad : grads) g.output(grad);
}

}  // namespace vkfer::test
