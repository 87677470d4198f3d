#include "tools/cli/train_logs.h"

#include <cmath>
#include <csignal>
#include <cstdio>

#include "runtime/error.h"
#include "tools/cli/train_report.h"

namespace vkfer {
namespace {

namespace fs = std::filesystem;
constexpr int64_t kCurveSteps = 10;                  // a point of the curves of steps every so many
constexpr std::chrono::seconds kEventInterval{1};    // between events of steps

// Both, if there are two.
template <class First, class Second>
auto both(First first, Second second) {
  return [=](const auto&... args) {
    if (first) first(args...);
    second(args...);
  };
}

}  // namespace

TrainLogs::TrainLogs(const Arguments& a, Console& console)
    : console_(console), tensorboard_(a.tensorboard), wants_curves_(a.given("--tensorboard")), wants_events_(a.given("--events")) {
  if (!wants_events_) return;
  std::signal(SIGPIPE, SIG_IGN);  // a reader that is gone ends the events, not the run
  if (a.events != "-") file_.emplace(a.events, OutputFile::Mode::append);
}

TrainHooks TrainLogs::around(TrainHooks h) {
  if (!wants_curves_ && !wants_events_) return h;
  h.step = both(h.step, [this](const StepReport& r) { step(r); });
  h.epoch = both(h.epoch, [this](const EpochRecord& r, bool best) { epoch(r, best); });
  h.saved = both(h.saved, [this](int at_epoch, int64_t at_step) { saved(at_epoch, at_step); });
  return h;
}

void TrainLogs::start(const Json& config, const fs::path& run, const std::optional<TrainStart>& from) {
  steps_per_epoch_ = config.at("plan").at("steps_per_epoch").get<int64_t>();
  if (wants_curves_) {
    const std::string name = fs::absolute(run).lexically_normal().filename().string();
    curves_.emplace(tensorboard_.empty() ? run / "tensorboard" : fs::path(tensorboard_) / name,
                    from ? LoggedUntil{from->epoch * steps_per_epoch_ + from->step, from->epoch} : LoggedUntil{});
    if (from)  // epochs that no earlier process has logged
      for (const EpochRecord& r : from->history)
        if (curves_ && r.epoch > curves_->until().epoch) curve(r.epoch * steps_per_epoch_, epoch_scalars(r));
  }
  event("start", {{"run", run.string()}, {"goes_on", from.has_value()}, {"epoch", from ? from->epoch : 0}, {"step", from ? from->step : 0},
                  {"steps_per_epoch", steps_per_epoch_}, {"settings", config.at("settings")}, {"classes", config.at("network").at("classes")},
                  {"images", config.at("data").at("images")}, {"device", config.at("device").at("name")}});
}

void TrainLogs::step(const StepReport& r) {
  const int64_t done = (r.epoch - 1) * steps_per_epoch_ + r.step;
  if (done % kCurveSteps == 0) curve(done, {{"step/loss", r.loss}, {"step/learning_rate", r.learning_rate}});
  const Clock::time_point now = Clock::now();
  if (now - last_step_event_ < kEventInterval) return;
  last_step_event_ = now;
  event("step", {{"epoch", r.epoch}, {"epochs", r.epochs}, {"step", r.step}, {"steps", r.steps}, {"loss", std::isfinite(r.loss) ? Json(r.loss) : Json()},
                 {"learning_rate", r.learning_rate}, {"skipped", r.skipped}});
}

void TrainLogs::epoch(const EpochRecord& r, bool best) {
  curve(r.epoch * steps_per_epoch_, epoch_scalars(r));
  Json content = history_json(r);
  content["learning_rate"] = r.learning_rate;
  content["best"] = best;
  event("epoch", content);
}

void TrainLogs::saved(int epoch, int64_t step) { event("checkpoint", {{"epoch", epoch}, {"step", step}}); }

void TrainLogs::end(const TrainResult& result, const fs::path& run) {
  event("end", {{"finished", result.finished}, {"epochs", result.history.size()}, {"best_epoch", result.best_epoch},
                {"model", result.best_epoch ? Json(model_path(run).string()) : Json()}});
}

void TrainLogs::failed(const Error& e) { event("error", {{"message", e.what()}, {"exit", int(e.kind())}}); }

void TrainLogs::event(const char* name, Json content) {
  if (!wants_events_) return;
  Json line = {{"event", name}, {"time", std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count()}};
  line.update(content);
  const std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  try {
    if (file_) file_->write(text);
    else if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) fail("write", "stdout cannot be written");
  } catch (const Error& e) {
    wants_events_ = false;
    console_.notice(fmt::format("{}; --events ends here, the run goes on", e.what()));
  }
}

void TrainLogs::curve(int64_t step, const Scalars& scalars) {
  if (!curves_) return;
  try {
    curves_->write(step, scalars);
  } catch (const Error& e) {
    curves_.reset();
    console_.notice(fmt::format("{}; --tensorboard ends here, the run goes on", e.what()));
  }
}

}  // namespace vkfer
