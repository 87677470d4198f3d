#include "models/registry.h"
#include "tools/cli/verb.h"

namespace vkfer {
namespace {

void run_models(Arguments& a, Console& console) {
  console.print("with {} classes{}; MB are those of the weights in 32 bits\n", a.classes,
                a.given("--size") ? fmt::format(" at {}x{}", a.size, a.size) : "");
  console.print("{:<22} {:>7} {:>12} {:>15} {:>9} {:>8}", "name", "input", "parameters", "frozen backbone", "MMACs", "MB");
  Json models = Json::array();
  for (const ModelInfo* model : all_models()) {
    ModelOptions options;
    options.size = a.given("--size") ? a.size : model->default_size;
    options.channels = a.channels;
    options.classes = a.classes;
    const ModelSummary s = summarise(*model, options);
    console.print("{:<22} {:>7} {:>12} {:>15} {:>9.1f} {:>8.2f}", model->name,
                  fmt::format("{0}x{0}", options.size), count_text(s.parameters), count_text(s.trainable_frozen_backbone),
                  double(s.macs) / 1e6, double(s.bytes) / 1e6);
    models.push_back({{"name", model->name}, {"aliases", model->aliases}, {"title", model->title}, {"size", options.size},
                      {"channels", options.channels}, {"classes", options.classes}, {"parameters", s.parameters},
                      {"trainable", s.trainable}, {"trainable_frozen_backbone", s.trainable_frozen_backbone},
                      {"macs", s.macs}, {"bytes", s.bytes}, {"preprocessing", model->preprocessing.name},
                      {"dropout", model->default_dropout}});
  }
  console.line("");
  for (const ModelInfo* model : all_models()) console.print("{:<22} {}", model->name, model->title);
  console.answer({{"models", models}});
}

}  // namespace

extern const Verb models_verb;
const Verb models_verb{
    .name = "models",
    .summary = "List the networks: input, parameters, MACs, size",
    .arguments = {"--size", "--channels", "--num-classes", "--json"},
    .examples = "  vkfer models\n  vkfer models --num-classes 1000 --size 224",
    .run = run_models,
};

}  // namespace vkfer
