#include "tools/train/optimizers.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "graph/ops/ops.h"
#include "tools/train/names.h"

namespace vkfer {
namespace {

Hyper sgd_hyper(const OptimizerSettings& s, double lr, int64_t) {
  return {float(lr), float(s.momentum), 0, 0, float(s.weight_decay), 1, 1, 0};
}

Hyper adam_hyper(const OptimizerSettings& s, double lr, int64_t step) {
  return {float(lr),
          float(s.beta1),
          float(s.beta2),
          s.keras_epsilon ? 1e-7f : 1e-8f,
          float(s.weight_decay),
          float(1 / (1 - std::pow(s.beta1, double(step)))),
          float(1 / (1 - std::pow(s.beta2, double(step)))),
          float(1 - s.beta2)};
}

}  // namespace

std::span<const OptimizerDef> optimizers() {
  static const std::vector<OptimizerDef> table{
      {"sgd", "SGD with momentum", &ops::sgd, {"momentum"}, 0.05, 1e-4,
       [](const OptimizerSettings& s) { return Attrs{{"nesterov", s.nesterov}}; }, sgd_hyper},
      {"adam", "Adam (Kingma and Ba, 2015)", &ops::adam, {"adam_m", "adam_v"}, 1e-3, 0,
       [](const OptimizerSettings& s) { return Attrs{{"decoupled", false}, {"epsilon", s.keras_epsilon ? "keras" : "torch"}}; }, adam_hyper},
      {"adamw", "AdamW (Loshchilov and Hutter, 2019)", &ops::adam, {"adam_m", "adam_v"}, 2e-3, 1e-2,
       [](const OptimizerSettings& s) { return Attrs{{"decoupled", true}, {"epsilon", s.keras_epsilon ? "keras" : "torch"}}; }, adam_hyper},
  };
  return table;
}

const OptimizerDef& find_optimizer(std::string_view name) {
  return find_by_name("--optimizer", "optimizer", optimizers(), name);
}

std::vector<std::vector<TrainedParameter>> packed_groups(const Graph& g, std::span<const TrainedParameter> all) {
  // The gradients of a group take their place from the first of them on: larger groups save few launches and cost memory where it
  // is tightest, at the start of the backward pass (MobileNetV2: 5 launches and 3 % of the arena; in one group 1 and 13 %).
  constexpr size_t kGroupBytes = size_t(2) << 20;
  std::vector<std::vector<TrainedParameter>> groups;
  struct Open {
    size_t group = 0, room = 0;
  };
  std::map<int, Open> open;  // by phase: the group that small parameters go to
  for (const TrainedParameter& t : all) {
    const size_t bytes = g.desc(t.parameter).bytes();
    if (bytes > kGroupBytes) {
      groups.push_back({t});
      continue;
    }
    Open& o = open[t.joined];
    if (bytes > o.room) {
      o = {groups.size(), kGroupBytes};
      groups.emplace_back();
    }
    groups[o.group].push_back(t);
    o.room -= bytes;
  }
  return groups;
}

std::vector<Value> add_optimizer(Graph& g, const OptimizerDef& def, const OptimizerSettings& settings, std::span<const TrainedParameter> group, Value hyper,
                   const LossScaling& scaling) {
  std::vector<Value> in, kept;
  std::vector<double> rate_factors, decay_factors;
  for (const TrainedParameter& t : group) {
    kept.push_back(t.parameter);
    rate_factors.push_back(t.rate_factor);
    decay_factors.push_back(t.decay_factor);
  }
  in = kept;
  for (const TrainedParameter& t : group) in.push_back(t.gradient);
  for (const std::string_view suffix : def.states)
    for (const TrainedParameter& t : group) {
      kept.push_back(g.state("optimizer." + g.info(t.parameter).name + "." + std::string(suffix), {g.shape(t.parameter), DType::f32}));
      in.push_back(kept.back());
    }
  in.push_back(hyper);
  if (scaling.scale) in.push_back(scaling.scale);
  if (scaling.nonfinite) in.push_back(scaling.nonfinite);
  Attrs attrs = def.attrs(settings);
  attrs.set("tensors", int64_t(group.size()));
  const auto set_factors = [&](const char* name, const std::vector<double>& factors) {
    if (std::any_of(factors.begin(), factors.end(), [](double f) { return f != 1; })) attrs.set(name, factors);
  };
  set_factors("rate_factors", rate_factors);
  set_factors("decay_factors", decay_factors);
  const std::vector<Value> out = g.add(*def.op, std::move(attrs), in, std::string(def.name));
  for (size_t i = 0; i < kept.size(); ++i) g.update(kept[i], out[i]);
  return {out.begin(), out.begin() + ptrdiff_t(group.size())};
}

}  // namespace vkfer
