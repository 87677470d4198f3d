#include "tools/cli/arguments.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>

#include "runtime/error.h"
#include "tools/train/recipe.h"

namespace vkfer {
namespace {

namespace fs = std::filesystem;

struct Argument {
  std::string_view name;         // "--lr"
  std::string_view value;        // "RATE": how help calls it; empty for a flag
  std::string_view help;         // short: help is 80 columns wide
  std::function<CLI::Option*(CLI::App&, Arguments&, const Argument&)> add;
  std::function<void(const Arguments&, const Argument&)> check = {};
};

template <class T, class Owner>
auto option(T Owner::*member) {
  return [member](CLI::App& app, Arguments& a, const Argument& self) {
    CLI::Option* added = app.add_option(std::string(self.name), a.*member, std::string(self.help))->type_name(std::string(self.value));
    // Which would wrap around.
    if constexpr (std::is_unsigned_v<T>) added->check([](const std::string& text) { return text.starts_with('-') ? "got " + text + ", expected 0 or more" : std::string(); });
    return added;
  };
}

// An option that has the usual short form.
template <class Owner>
auto output(std::string Owner::*member) {
  return [member](CLI::App& app, Arguments& a, const Argument& self) {
    return app.add_option("-o," + std::string(self.name), a.*member, std::string(self.help))->type_name(std::string(self.value));
  };
}

// Takes one value each time it stands there.
template <class Owner>
auto repeated(std::vector<std::string> Owner::*member) {
  return [member](CLI::App& app, Arguments& a, const Argument& self) {
    return app.add_option(std::string(self.name), a.*member, std::string(self.help))->type_name(std::string(self.value))->allow_extra_args(false);
  };
}

// An option that may stand without its value, which is then `alone`.
template <class Owner>
auto optional_value(std::string Owner::*member, const char* alone) {
  return [member, alone](CLI::App& app, Arguments& a, const Argument& self) {
    return app.add_option(std::string(self.name), a.*member, std::string(self.help))->type_name(std::string(self.value))->expected(0, 1)->default_str(alone);
  };
}

template <class Owner>
auto flag(bool Owner::*member, bool value = true) {
  return [member, value](CLI::App& app, Arguments& a, const Argument& self) {
    return app.add_flag_callback(std::string(self.name), [&a, member, value] { a.*member = value; }, std::string(self.help));
  };
}

template <class T, class Owner>
auto value(T Owner::*member, const char* given) {
  return [member, given](CLI::App& app, Arguments& a, const Argument& self) {
    return app.add_flag_callback(std::string(self.name), [&a, member, given] { a.*member = given; }, std::string(self.help));
  };
}

template <class T, class Owner>
auto range(T Owner::*member, T lowest, T highest) {
  return [member, lowest, highest](const Arguments& a, const Argument& self) {
    const T got = a.*member;
    if (!(got >= lowest && got <= highest))  // also catches nan
      fail(self.name, "got {}, expected {} to {}", got, lowest, highest);
  };
}

// The same for a member of a member.
template <class T, class Part, class Owner>
auto nested(Part Owner::*part, T Part::*member) {
  return [part, member](CLI::App& app, Arguments& a, const Argument& self) {
    return app.add_option(std::string(self.name), a.*part.*member, std::string(self.help))->type_name(std::string(self.value));
  };
}

template <class T, class Part, class Owner>
auto nested_range(Part Owner::*part, T Part::*member, T lowest, T highest) {
  return [part, member, lowest, highest](const Arguments& a, const Argument& self) {
    const T got = a.*part.*member;
    if (!(got >= lowest && got <= highest)) fail(self.name, "got {}, expected {} to {}", got, lowest, highest);
  };
}

using A = Arguments;

const std::vector<Argument>& table() {
  static const std::vector<Argument> arguments{
      {"--model", "NAME", "network: see vkfer models", option(&A::model)},
      {"--data", "WHERE", "folder, zip or csv; default: built-in faces", option(&A::data)},
      {"--size", "PIXELS", "input height and width; default: the data's", option(&A::size), range(&A::size, 8, 4096)},
      {"--channels", "1|3", "input channels", option(&A::channels), range(&A::channels, 1, 3)},
      {"--batch", "N", "images in a step", option(&A::batch), range(&A::batch, 1, 65536)},
      {"--epochs", "N", "passes over the training images", option(&A::epochs), range(&A::epochs, 1, 1000000)},
      {"--lr", "RATE", "learning rate; default: the optimizer's", option(&A::lr), range(&A::lr, 1e-12, 1e6)},
      {"--optimizer", "NAME", "sgd, adam or adamw", option(&A::optimizer)},
      {"--momentum", "M", "of sgd", option(&A::momentum), range(&A::momentum, 0.0, 1.0)},
      {"--nesterov", "", "Nesterov's momentum", flag(&A::nesterov)},
      {"--adam-epsilon", "torch|keras", "torch's 1e-8 or Keras' 1e-7, where it adds it", option(&A::adam_epsilon)},
      {"--weight-decay", "D", "default: the optimizer's", option(&A::weight_decay), range(&A::weight_decay, 0.0, 1e3)},
      {"--schedule", "NAME", "constant, cosine, step, plateau or onecycle", option(&A::schedule)},
      {"--warmup-epochs", "E", "epochs in which the rate rises", option(&A::warmup_epochs), range(&A::warmup_epochs, 0.0, 1e6)},
      {"--drop-epochs", "E", "schedule step: epochs between drops", option(&A::drop_epochs), range(&A::drop_epochs, 1e-3, 1e6)},
      {"--drop-factor", "F", "schedules step, plateau: factor of a drop", option(&A::drop_factor), range(&A::drop_factor, 0.0, 1.0)},
      {"--min-lr", "RATE", "schedule plateau: the lowest rate", option(&A::min_lr), range(&A::min_lr, 0.0, 1e6)},
      {"--plateau-patience", "E", "schedule plateau: epochs it waits", option(&A::plateau_patience), range(&A::plateau_patience, 0, 1000000)},
      {"--monitor", "FIGURE", "val_accuracy, val_macro_f1, val_ccc, ...", option(&A::monitor)},
      {"--patience", "E", "stop after so many epochs without a gain", option(&A::patience), range(&A::patience, 0, 1000000)},
      {"--min-delta", "D", "what counts as a gain", option(&A::min_delta), range(&A::min_delta, 0.0, 1e6)},
      {"--no-norm-decay", "", "biases and norms do not decay", flag(&A::norm_decay, false)},
      {"--backbone-rate", "F", "the backbone learns at F times the rate", option(&A::backbone_rate), range(&A::backbone_rate, 0.0, 1e3)},
      {"--va-loss", "mse|ccc", "of valence and arousal", option(&A::va_loss)},
      {"--task-weights", "C,V,A", "of the losses: classes, valence, arousal", option(&A::task_weights)},
      {"--mixup", "ALPHA", "blend pairs of faces, as 0.2", nested(&A::mix, &MixSettings::mixup), nested_range(&A::mix, &MixSettings::mixup, 0.0, 100.0)},
      {"--cutmix", "ALPHA", "swap rectangles in pairs of faces, as 1", nested(&A::mix, &MixSettings::cutmix), nested_range(&A::mix, &MixSettings::cutmix, 0.0, 100.0)},
      {"--class-weights", "W", "balanced, or numbers: w1,w2,...", option(&A::class_weights)},
      {"--clip-norm", "N", "keep the gradients' norm below it", option(&A::clip_norm), range(&A::clip_norm, 0.0, 1e9)},
      {"--ema", "DECAY", "use averaged weights, as 0.999", option(&A::ema), range(&A::ema, 0.0, 0.999999)},
      {"--focal-gamma", "G", "focal loss: easy images count less", option(&A::focal_gamma), range(&A::focal_gamma, 0.0, 100.0)},
      {"--label-smoothing", "S", "of the training loss", option(&A::label_smoothing), range(&A::label_smoothing, 0.0, 0.999)},
      {"--dropout", "P", "default: the network's own", option(&A::dropout), range(&A::dropout, 0.0, 0.999)},
      {"--no-flip", "", "do not mirror half of the faces", flag(&A::flip, false)},
      {"--crop", "PIXELS", "shift faces by up to so much", option(&A::crop), range(&A::crop, -1, 1024)},
      {"--rotate", "DEGREES", "turn faces by up to so much", nested(&A::warp, &WarpSettings::rotate), nested_range(&A::warp, &WarpSettings::rotate, 0.0, 180.0)},
      {"--shift", "F", "move faces by up to so much of the size", nested(&A::warp, &WarpSettings::shift), nested_range(&A::warp, &WarpSettings::shift, 0.0, 1.0)},
      {"--shear", "DEGREES", "shear faces by up to so much", nested(&A::warp, &WarpSettings::shear), nested_range(&A::warp, &WarpSettings::shear, 0.0, 80.0)},
      {"--zoom", "F", "make faces up to so much larger or smaller", nested(&A::warp, &WarpSettings::zoom), nested_range(&A::warp, &WarpSettings::zoom, 0.0, 0.9)},
      {"--perspective", "F", "tilt faces by up to so much", nested(&A::warp, &WarpSettings::perspective), nested_range(&A::warp, &WarpSettings::perspective, 0.0, 0.9)},
      {"--brightness", "F", "change it by up to so much", nested(&A::warp, &WarpSettings::brightness), nested_range(&A::warp, &WarpSettings::brightness, 0.0, 1.0)},
      {"--contrast", "F", "change it by up to so much", nested(&A::warp, &WarpSettings::contrast), nested_range(&A::warp, &WarpSettings::contrast, 0.0, 1.0)},
      {"--saturation", "F", "change it by up to so much", nested(&A::warp, &WarpSettings::saturation), nested_range(&A::warp, &WarpSettings::saturation, 0.0, 1.0)},
      {"--erase", "P", "blank a rectangle of so many faces", nested(&A::warp, &WarpSettings::erase), nested_range(&A::warp, &WarpSettings::erase, 0.0, 1.0)},
      {"--seed", "N", "the same seed repeats a run bit for bit", option(&A::seed)},
      {"--split-seed", "N", "of a split by seed; default: the seed", option(&A::split_seed)},
      {"--val-fraction", "F", "of data without a split of its own", option(&A::val_fraction), range(&A::val_fraction, 0.0, 0.9)},
      {"--test-fraction", "F", "of data without a split of its own", option(&A::test_fraction), range(&A::test_fraction, 0.0, 0.9)},
      {"--votes", "NAME", "FER+: majority, or probability in the loss", option(&A::votes)},
      {"--skip-bad", "", "leave unreadable images out", flag(&A::skip_bad)},
      {"--weights", "FILE", "weights: safetensors, PyTorch or Keras", option(&A::weights)},
      {"--preprocessing", "NAME", "input: imagenet, half, unit, none or caffe", option(&A::preprocessing)},
      {"--padding", "torch|same", "of strided convolutions", option(&A::padding)},
      {"--batch-norm", "EPS,M", "epsilon and momentum (torch's) of batch norms", option(&A::batch_norm)},
      {"--precision", "NAME", "fp32, fp16 (mixed) or auto", option(&A::precision)},
      {"--memory-budget", "SIZE", "train within so much memory, as 2G", option(&A::memory_budget)},
      {"--micro-batch", "N", "images at once; gradients are summed", option(&A::micro_batch), range(&A::micro_batch, 1, 65536)},
      {"--recompute", "", "less memory: activations computed twice", flag(&A::recompute)},
      {"--head", "HEAD", "gap,dense512,dropout0.5 or a name; see models", option(&A::head)},
      {"--freeze", "WHAT", "none, backbone, blocks:N or layers by name", option(&A::freeze)},
      {"--freeze-epochs", "N", "frozen so long, then trained, too", option(&A::freeze_epochs), range(&A::freeze_epochs, 0, 1000000)},
      {"--unfreeze-blocks", "K", "the last K first, then K more, ...", option(&A::unfreeze_blocks), range(&A::unfreeze_blocks, 0, 10000)},
      {"--freeze-backbone", "", "the same as --freeze backbone", value(&A::freeze, "backbone")},
      {"--va", "", "outputs for valence and arousal, too", flag(&A::valence_arousal)},
      {"--va-only", "", "regression: valence and arousal, no classes", flag(&A::va_only)},
      {"--recipe", "NAME|FILE", "settings from a recipe: see vkfer recipes", option(&A::recipe)},
      {"--set", "NAME=VALUE", "any setting by its name; may be repeated", repeated(&A::assignments)},
      {"--from-scratch", "", "random weights, whatever the recipe needs", flag(&A::from_scratch)},
      {"--find-lr", "", "try rising learning rates; -o draws the curve", flag(&A::find_rate)},
      {"--run", "DIR", "the run; default: a new runs/N, or the newest run", option(&A::run)},
      {"--resume", "DIR", "go on with a run that was interrupted", option(&A::resume)},
      {"--device", "WHICH", "index, part of the name, or UUID", option(&A::device)},
      {"--split", "NAME", "train, val, test, PublicTest, PrivateTest", option(&A::split)},
      {"--tensorboard", "[DIR]", "curves for TensorBoard; default: in the run", optional_value(&A::tensorboard, "")},
      {"--events", "[FILE|-]", "a line of JSON for all that happens", optional_value(&A::events, "-")},
      {"--json", "[FILE]", "answer as JSON, on stdout or in FILE", option(&A::json)},
      {"--num-classes", "N", "classes of the network", option(&A::classes), range(&A::classes, 0, 100000)},
      {"--training", "", "the training graph, not the inference one", flag(&A::training)},
      {"--inference", "", "the inference graph, not the training one", flag(&A::inference)},
      {"--nodes", "", "a line for every node, too", flag(&A::nodes)},
      {"--trace", "FILE", "write a Chrome trace, for Perfetto", option(&A::trace)},
      {"--warmup", "N", "steps before the measured ones", option(&A::warmup), range(&A::warmup, 1, 100000)},
      {"--repeats", "N", "how often: runs by seed, or measured steps", option(&A::repeats), range(&A::repeats, 1, 100000)},
      {"--trials", "N", "so many, in place of the recipe's number", option(&A::trials), range(&A::trials, 1, 10000)},
      {"--sort", "FIGURE", "of the table: val_accuracy, test_f1_happy, ...", option(&A::sort)},
      {"--gemm", "MxNxK", "a matrix product; may be repeated", option(&A::gemm)},
      {"--conv", "NxHxWxC,RxSxK", "a convolution; ,stride,groups may follow", option(&A::conv)},
      {"--op", "TEXT", "only ops whose name contains it", option(&A::op)},
      {"--tta", "VIEWS", "answers averaged: none, flip or ten views", option(&A::tta)},
      {"--temperature", "T|fit", "of the probabilities; fit: to the val split", option(&A::temperature)},
      {"--bootstrap", "N", "resamples for the intervals; 0: none", option(&A::bootstrap), range(&A::bootstrap, 0, 1000000)},
      {"--baseline", "RUN", "a run to compare with", option(&A::baseline)},
      {"--csv", "FILE", "a table: figures; of infer a row for each face", option(&A::csv)},
      {"--predictions", "FILE", "what is said of each image, as CSV", option(&A::predictions)},
      {"--top", "N", "classes shown for each picture", option(&A::top), range(&A::top, 1, 100000)},
      {"--list", "FILE|-", "a file with the name of a picture on each line", option(&A::list)},
      {"--jsonl", "FILE|-", "a line of JSON for each picture, as it is done", option(&A::jsonl)},
      {"--annotate", "DIR", "copies of the pictures with the answers drawn in", option(&A::annotate)},
      {"--cam", "DIR", "where the network looks: Grad-CAM of each face", option(&A::cam)},
      {"--detect", "", "find the faces in each picture, any number", flag(&A::detect)},
      {"--min-face", "PIXELS", "the narrowest face looked for; default 40", option(&A::min_face), range(&A::min_face, 10, 10000)},
      {"--min-score", "S", "how sure a face must be; default 0, lower: more", option(&A::min_score), range(&A::min_score, -100.0, 100.0)},
      {"--margin", "F", "around a face, of its width; default 0.16", option(&A::margin), range(&A::margin, 0.0, 10.0)},
      {"--host", "ADDRESS", "to listen on; default: 127.0.0.1, this machine", option(&A::host)},
      {"--port", "N", "to listen on; 0: any that is free", option(&A::port), range(&A::port, 0, 65535)},
      {"--max-megabytes", "N", "of one request; default: 16", option(&A::max_megabytes), range(&A::max_megabytes, 1, 256)},
      {"--input", "[NAME=]FILE", "npy; for trace float32 [n,c,s,s]; repeatable", repeated(&A::inputs)},
      {"--output", "[NAME=]FILE", "npy to write; may be repeated", repeated(&A::outputs)},
      {"--labels", "FILE", "npy, int64 [n]", option(&A::labels)},
      {"--targets", "FILE", "npy, float32 [n,2]: valence and arousal", option(&A::targets)},
      {"--loss", "NAME", "ce: softmax cross-entropy", option(&A::loss)},
      {"--steps", "N", "training steps", option(&A::steps), range(&A::steps, 1, 1000000)},
      {"--frozen-bn", "", "batch norm by its running statistics", flag(&A::frozen_batch_norm)},
      {"--out", "FILE", "what to write; also -o", output(&A::out)},
      {"--format", "NAME", "folders, zip, fer-csv or manifest", option(&A::format)},
      {"--fractions", "T,V[,T]", "of train, val, test; default 0.8,0.1,0.1", option(&A::fractions)},
      {"--counts", "T,V[,T]", "images of train, val, test", option(&A::counts)},
      {"--per-class", "N", "training images that each class shall have", option(&A::per_class), range(&A::per_class, 1, 100000000)},
      {"--total", "N", "training images in all, classes levelled", option(&A::total), range(&A::total, 1, 1000000000)},
      {"--cut", "", "leave out what larger classes have too many", flag(&A::cut)},
      {"--add", "WHERE", "a second data set, to join train", option(&A::add)},
      {"--onnx", "FILE", "ONNX model to write", option(&A::onnx)},
      {"--safetensors", "FILE", "weights to write, with what goes with them", option(&A::safetensors)},
      {"--fold-bn", "yes|no", "batch norms into convolutions; default yes", option(&A::fold_batch_norm)},
      {"--partial", "", "take what fits; the rest starts at random", flag(&A::partial)},
      {"--adapt-stem", "sum|replicate", "3 channels to 1, or 1 to 3", option(&A::adapt_stem)},
      {"--classes", "NAMES", "a,b,c, or a file with one name a line", option(&A::class_names)},
  };
  return arguments;
}

const Argument& entry(std::string_view name) {
  for (const Argument& argument : table())
    if (argument.name == name) return argument;
  throw std::logic_error("no argument " + std::string(name));
}

bool holds_json_object(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const int first = file.get();
  return first == EOF || first == '{';  // an empty file may be overwritten, too
}

bool may_be_written(const std::string& name) {
  std::error_code error;
  const fs::file_status status = fs::status(name, error);
  if (fs::is_directory(status)) return false;
  return !fs::is_regular_file(status) || name.ends_with(".json") || holds_json_object(name);
}

}  // namespace

std::vector<std::string_view> setting_arguments(std::vector<std::string_view> more) {
  std::vector<std::string_view> names;
  TrainSettings s;
  for_each_setting(s, [&](const char* setting, const auto&) { names.push_back(entry(setting_option(setting)).name); });
  names.insert(names.end(), more.begin(), more.end());
  return names;
}

Json Arguments::given_settings() const {
  Json all = Json::object();
  for_each_setting(*this, [&](const char* name, const auto& value) {
    if (given(setting_option(name))) all[name] = value;
  });
  if (given("--freeze-backbone")) all["freeze"] = freeze;
  for (const std::string& text : assignments) {
    const auto [name, value] = parse_assignment(text);
    if (all.contains(name)) fail("--set", "'{}' is given twice. Fix: give it once", name);
    all[name] = value;
  }
  return all;
}

void declare(CLI::App& app, Arguments& arguments, const std::vector<std::string_view>& names) {
  for (const std::string_view name : names) entry(name).add(app, arguments, entry(name));
}

void check_given(const CLI::App& app, Arguments& arguments, const std::vector<std::string_view>& names) {
  for (const std::string_view name : names) {
    if (app.get_option(std::string(name))->count() == 0) continue;
    arguments.given_names.insert(std::string(name));
    if (entry(name).check) entry(name).check(arguments, entry(name));
  }
  if (arguments.given("--freeze") && arguments.given("--freeze-backbone")) fail("--freeze", "got --freeze-backbone, too. Fix: give one of them");
  if (arguments.given("--channels") && arguments.channels == 2) fail("--channels", "got 2, expected 1 (gray) or 3 (colour)");
}

std::vector<std::string> resolve_json(std::vector<std::string> arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--") break;
    if (arguments[i] != "--json") continue;
    const bool alone = i + 1 == arguments.size() || arguments[i + 1].starts_with("-") || !may_be_written(arguments[i + 1]);
    if (alone) {
      arguments[i] = "--json=-";
    } else {
      arguments[i] = "--json=" + arguments[i + 1];
      arguments.erase(arguments.begin() + ptrdiff_t(i) + 1);
    }
  }
  return arguments;
}

}  // namespace vkfer
