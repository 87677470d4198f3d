#include "tools/train/optimizers.h"

#include <cmath>

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
          float(s.epsilon),
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
       [](const OptimizerSettings&) { return Attrs{{"decoupled", false}, {"epsilon", "torch"}}; }, adam_hyper},
      {"adamw", "AdamW (Loshchilov and Hutter, 2019)", &ops::adam, {"adam_m", "adam_v"}, 2e-3, 1e-2,
       [](const OptimizerSettings&) { return Attrs{{"decoupled", true}, {"epsilon", "torch"}}; }, adam_hyper},
  };
  return table;
}

const OptimizerDef& find_optimizer(std::string_view name) {
  return find_by_name("--optimizer", "optimizer", optimizers(), name);
}

void add_optimizer(Graph& g, const OptimizerDef& def, const OptimizerSettings& settings, Value parameter, Value gradient,
                   Value hyper) {
  const std::string name = g.info(parameter).name;
  std::vector<Value> in{parameter, gradient}, kept{parameter};
  for (const std::string_view suffix : def.states) {
    const Value state = g.state("optimizer." + name + "." + std::string(suffix), {g.shape(parameter), DType::f32});
    in.push_back(state);
    kept.push_back(state);
  }
  in.push_back(hyper);
  const std::vector<Value> out = g.add(*def.op, def.attrs(settings), in, name + "/" + std::string(def.name));
  for (size_t i = 0; i < kept.size(); ++i) g.update(kept[i], out[i]);
}

}  // namespace vkfer
