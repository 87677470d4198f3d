#include "models/head.h"
#include "models/registry.h"
#include "tools/cli/verb.h"

namespace vkfer {
namespace {

ModelOptions options_of(const Arguments& a, const ModelInfo& model) {
  ModelOptions options;
  options.size = a.given("--size") ? a.size : model.default_size;
  options.channels = a.channels;
  options.classes = a.classes;
  options.valence_arousal = a.valence_arousal;
  options.head = a.head;
  return options;
}

Json describe(const ModelInfo& model, const ModelOptions& o, const ModelSummary& s) {
  return {{"name", model.name}, {"aliases", model.aliases}, {"title", model.title}, {"size", o.size},
          {"channels", o.channels}, {"classes", o.classes}, {"valence_arousal", o.valence_arousal}, {"head", o.head},
          {"parameters", s.parameters}, {"running_statistics", s.running_statistics}, {"trainable", s.trainable},
          {"trainable_frozen_backbone", s.trainable_frozen_backbone}, {"blocks", s.blocks}, {"macs", s.macs},
          {"bytes", s.bytes}, {"preprocessing", model.preprocessing.name}, {"dropout", model.default_dropout}};
}

void run_models(Arguments& a, Console& console) {
  console.print("with {} classes{}{}; MB are those of the weights in 32 bits\n", a.classes, a.valence_arousal ? ", valence and arousal" : "",
                a.given("--size") ? fmt::format(" at {}x{}", a.size, a.size) : "");
  console.print("{:<19} {:>7} {:>12} {:>13} {:>6} {:>8} {:>7}", "name", "input", "parameters", "head alone", "blocks", "MMACs", "MB");
  Json models = Json::array(), heads = Json::array();
  for (const ModelInfo* model : all_models()) {
    const ModelOptions options = options_of(a, *model);
    const ModelSummary s = summarise(*model, options);
    console.print("{:<19} {:>7} {:>12} {:>13} {:>6} {:>8.1f} {:>7.2f}", model->name, fmt::format("{0}x{0}", options.size), count_text(s.parameters),
                  count_text(s.trainable_frozen_backbone), s.blocks, double(s.macs) / 1e6, double(s.bytes) / 1e6);
    models.push_back(describe(*model, options, s));
  }
  console.line("");
  for (const ModelInfo* model : all_models()) console.print("{:<19} {}", model->name, model->title);
  console.line("\nheads, for --head: a name, or words as on the right");
  for (const NamedHead& head : named_heads()) {
    console.print("{:<5} {:<26} {}", head.name, head.composition.size() > 26 ? "" : head.composition, head.title);
    heads.push_back({{"name", head.name}, {"composition", head.composition}, {"title", head.title}});
  }
  console.answer({{"models", models}, {"heads", heads}});
}

}  // namespace

extern const Verb models_verb;
const Verb models_verb{
    .name = "models",
    .summary = "List the networks: input, parameters, MACs, size",
    .arguments = {"--size", "--channels", "--num-classes", "--head", "--va", "--json"},
    .examples = "  vkfer models\n  vkfer models --num-classes 1000 --size 224\n"
                "  vkfer models --head gap,dense512,dropout0.5 --va\n\n"
                "Blocks are what --freeze blocks:N counts. A head is a list of words: gap, gmp\n"
                "or flatten; dense512 (with ReLU), dense512x3; dropout0.5; bn; relu, relu6,\n"
                "silu, sigmoid, hardswish, linear. What stands after a slash, every output has\n"
                "for itself: gap,dense512/dense128.",
    .run = run_models,
};

}  // namespace vkfer
