#include "tools/cli/train_report.h"

#include <build_info.h>

#include "tools/train/figures.h"
#include "tools/train/interrupt.h"
#include "tools/train/recipe.h"

namespace vkfer {
namespace {

Json figures(const EpochRecord& r) {
  Json j = {{"epoch", r.epoch}};
  if (r.val.has_classes()) {
    const ClassificationMetrics m = classification_metrics(r.val.confusion);
    j.update({{"accuracy", m.accuracy}, {"macro_f1", m.macro_f1}});
  }
  j["loss"] = r.val.loss();
  const auto add = [&](const char* name, const std::optional<Affect>& a) {
    if (!a) return;
    const Json all = metrics_json(a->metrics);
    j[name] = {{"rmse", all["rmse"]}, {"ccc", all["ccc"]}};
  };
  if (r.val.valence) j["ccc"] = number_json(r.val.ccc());
  add("valence", r.val.valence);
  add("arousal", r.val.arousal);
  return j;
}

constexpr const char *kColumns = "  epoch   train loss   acc     val loss   acc     F1    images/s    time",
                     *kAffectColumns = "  epoch   train loss   val loss   val CCC   images/s    time";

std::string affect_text(const Evaluation& e) {
  const ContinuousMetrics &v = e.valence->metrics, &a = e.arousal->metrics;
  return fmt::format("valence RMSE {}, CCC {}; arousal RMSE {}, CCC {}", figure_text(v.rmse), figure_text(v.ccc), figure_text(a.rmse), figure_text(a.ccc));
}

// "lr 0.01, epochs 3"
std::string overridden_text(const Json& overridden) {
  std::string text;
  for (const auto& [name, value] : overridden.items()) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, value.is_string() ? value.get<std::string>() : value.dump());
  return text;
}

}  // namespace

TrainHooks TrainReport::hooks() {
  TrainHooks h;
  h.say = [this](const std::string& line) { console_.line(line); };
  h.step = [this](const StepReport& r) { step(r); };
  h.epoch = [this](const EpochRecord& r, bool best) { epoch(r, best); };
  h.progress = [this](const char* what, size_t done, size_t total) {
    console_.progress(what, double(done), double(total), fmt::format("{}/{}", done, total));
  };
  h.stop = [] { return InterruptGuard::requested(); };
  return h;
}

double TrainReport::lap() {
  const Clock::time_point now = Clock::now();
  const double seconds = std::chrono::duration<double>(now - last_).count();
  last_ = now;
  return seconds;
}

void TrainReport::introduce(const Json& config, const std::filesystem::path& run, const Device& device) {
  device_ = &device;
  const Json& s = config.at("settings");
  const Json& data = config.at("data");
  const Json& images = data.at("images");
  epochs_ = s.at("epochs");
  const size_t classes = config.at("network").at("classes").size();
  columns_ = classes ? kColumns : kAffectColumns;
  console_.print("network  {}, {}x{}x{}, {}, {} parameters to train", s.at("model").get<std::string>(),
                 s.at("size").get<int>(), s.at("size").get<int>(), s.at("channels").get<int>(),
                 classes ? fmt::format("{} classes", classes) : "valence and arousal",
                 count_text(config.at("network").at("trainable_parameters").get<int64_t>()));
  console_.print("data     {}: {} train, {} val, {} test", data.at("source").get<std::string>(), images.at("train").get<int>(),
                 images.at("val").get<int>(), images.at("test").get<int>());
  if (const Json recipe = config.value("recipe", Json()); recipe.is_object())
    console_.print("from     {}{}", recipe.at("name").get<std::string>(),
                   recipe.at("overridden").empty() ? "" : fmt::format(", but {}", overridden_text(recipe.at("overridden"))));
  console_.print("recipe   {}, learning rate {:g} ({}), weight decay {:g}", s.at("optimizer").get<std::string>(),
                 s.at("lr").get<double>(), s.at("schedule").get<std::string>(), s.at("weight_decay").get<double>());
  console_.print("         batch {}, {} epochs, seed {}", s.at("batch").get<int>(), epochs_, s.at("seed").get<uint64_t>());
  if (const int micro = s.value("micro_batch", 0))
    console_.print("         in pieces of {} images{}", micro,
                   config.at("plan").value("mixes_images", false) ? ": batch norm sees so many at a time" : "");
  if (s.value("recompute", false)) console_.print("         cheap activations are computed twice, not kept");
  console_.print("device   {}, {}", device.info().name,
                 s.value("precision", "fp32") == "fp16" ? "precision fp16: f16 activations, f32 parameters and sums" : "precision fp32");
  console_.print("run      {}\n", run.string());
  if (!console_.terminal()) console_.line(columns_);
  lap();
}

void TrainReport::step(const StepReport& r) {
  train_seconds_ += lap();
  images_ += r.batch;
  if (!r.skipped) shown_loss_ = shown_loss_ == 0 ? r.loss : 0.95 * shown_loss_ + 0.05 * r.loss;
  const double rate = images_per_second();
  const double left_images = double(r.epochs - r.epoch) * double(r.steps * r.batch) + double((r.steps - r.step) * r.batch);
  const double left = left_images / rate + val_seconds_ * double(r.epochs - r.epoch + 1);
  console_.progress(fmt::format("epoch {}/{}", r.epoch, r.epochs), double(r.step), double(r.steps),
                    fmt::format("loss {:.3f}, {:.0f} images/s, {} left", shown_loss_, rate, duration_text(left)));
}

void TrainReport::epoch(const EpochRecord& r, bool best) {
  val_seconds_ = lap();
  if (console_.terminal() && r.epoch == 1) console_.line(columns_);
  if (r.val.has_classes()) {
    const ClassificationMetrics train = classification_metrics(r.train.confusion);
    const ClassificationMetrics val = classification_metrics(r.val.confusion);
    console_.print("{:>4}/{:<4} {:>9.4f}  {:.4f} {:>10.4f}  {:.4f}  {:.4f} {:>8.0f} {:>9}{}", r.epoch, epochs_, r.train.loss(),
                   train.accuracy, r.val.loss(), val.accuracy, val.macro_f1, images_per_second(), duration_text(r.seconds),
                   best ? "  best" : "");
  } else {
    console_.print("{:>4}/{:<4} {:>9.4f} {:>10.4f} {:>9} {:>10.0f} {:>9}{}", r.epoch, epochs_, r.train.loss(), r.val.loss(), figure_text(r.val.ccc()),
                   images_per_second(), duration_text(r.seconds), best ? "  best" : "");
  }
  if (r.val.valence) console_.print("          {}", affect_text(r.val));
}

void TrainReport::conclude(const TrainResult& result, const std::filesystem::path& run, const Json& config) {
  if (!result.finished)
    return console_.print("\nstopped; everything is saved. To go on: vkfer train --resume {}", run.string());
  const EpochRecord& best = result.history[size_t(result.best_epoch) - 1];
  if (best.val.has_classes()) {
    const ClassificationMetrics m = classification_metrics(best.val.confusion);
    console_.print("\nbest: epoch {}, validation accuracy {:.4f}, macro F1 {:.4f}, loss {:.4f}", best.epoch, m.accuracy, m.macro_f1,
                   best.val.loss());
  } else {
    console_.print("\nbest: epoch {}, validation {}, loss {:.4f}", best.epoch, affect_text(best.val), best.val.loss());
  }
  const Json recipe = config.value("recipe", Json());
  if (const std::string published = recipe.is_object() ? published_text(recipe.at("published")) : ""; !published.empty())
    console_.print("published, {}: {}", recipe.at("study").get<std::string>(), published);
  if (result.skipped_steps) console_.print("{} steps changed nothing: 16-bit gradients overflowed, and the loss scale was halved", result.skipped_steps);
  console_.print("weights: {}", model_path(run).string());
  if (result.steps)
    console_.print("a step: {:.1f} ms, {:.2f} ms of it work of the host", result.milliseconds_per_step, result.host_milliseconds_per_step);
  console_.print("next: vkfer eval {} --split test, vkfer infer FACE.png", run.string());
}

Json history_json(const EpochRecord& r) {
  Json row = figures(r);
  row["train_loss"] = r.train.loss();
  if (r.train.has_classes()) row["train_accuracy"] = classification_metrics(r.train.confusion).accuracy;
  row["seconds"] = r.seconds;
  return row;
}

Json with_version(Json config) {
  Json all = {{"vkfer", {{"version", kVersion}, {"commit", kCommit}}}};
  all.update(config);
  return all;
}

Json train_answer(const std::filesystem::path& run, const TrainResult& result, const std::string& inexact_because,
                  const TrainReport* report) {
  Json history = Json::array();
  for (const EpochRecord& r : result.history) history.push_back(history_json(r));
  Json answer = {{"run", run.string()}, {"finished", result.finished}, {"epochs", result.history.size()}};
  answer["best"] = result.best_epoch ? figures(result.history[size_t(result.best_epoch) - 1]) : Json();
  answer["model"] = result.best_epoch ? Json(model_path(run).string()) : Json();
  answer["bit_exact"] = inexact_because.empty();
  if (report) {
    answer["images_per_second"] = report->images_per_second();
    answer["peak_device_bytes"] = report->peak_bytes();
    answer["skipped_steps"] = result.skipped_steps;
    answer["milliseconds_per_step"] = result.milliseconds_per_step;
    answer["host_milliseconds_per_step"] = result.host_milliseconds_per_step;
  }
  answer["history"] = history;
  return answer;
}

}  // namespace vkfer
