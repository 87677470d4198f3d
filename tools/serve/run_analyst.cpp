#include "tools/serve/run_analyst.h"

#include "runtime/error.h"

namespace vkfer {
namespace {

constexpr size_t kMaxWaiting = 8;
constexpr std::chrono::seconds kLooksEvery{2};   // for new weights, where nobody asks anything

}  // namespace

RunAnalyst::RunAnalyst(Device& device, std::function<Trained()> open, std::filesystem::path watched, const PredictorOptions& options)
    : device_(device), open_(std::move(open)), watched_(std::move(watched)), options_(options), loaded_(FileTime::min()) {
  state_.reason = "the network is being loaded";
  thread_ = std::thread([this] { work(); });
}

RunAnalyst::~RunAnalyst() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  turn_.notify_all();
  thread_.join();
}

AnalystState RunAnalyst::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

bool RunAnalyst::ask(Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= kMaxWaiting) return false;
    waiting_.push_back(std::move(job));
  }
  turn_.notify_one();
  return true;
}

void RunAnalyst::work() {
  for (;;) {
    look_at_file();
    Job job;
    {
      std::unique_lock lock(mutex_);
      turn_.wait_for(lock, kLooksEvery, [&] { return ends_ || !waiting_.empty(); });
      if (ends_) return;
      if (waiting_.empty()) continue;
      job = std::move(waiting_.front());
      waiting_.pop_front();
    }
    job(predictor_.get(), state());
  }
}

void RunAnalyst::look_at_file() {
  std::error_code error;
  const FileTime written = std::filesystem::last_write_time(watched_, error);
  if (error) {
    if (!predictor_) publish({.reason = "the run has no weights yet: its first epoch is not finished"});
    return;   // weights that were deleted meanwhile serve on
  }
  if (written == loaded_) return;
  loaded_ = written;
  try {
    load();
  } catch (const std::exception& e) {
    if (!predictor_) publish({.reason = e.what()});   // else the weights from before serve on
  }
}

void RunAnalyst::load() {
  const Trained trained = open_();
  auto predictor = std::make_unique<Predictor>(device_, trained, options_);
  const NetworkSettings& network = trained.saved.network;
  // The first answer is as fast as others, and a network that cannot run is known now.
  const Image gray{network.size, network.size, 1, std::vector<uint8_t>(size_t(network.size) * size_t(network.size), 128)};
  predictor->predict(std::span(&gray, 1));
  predictor_ = std::move(predictor);
  publish({.ready = true, .model = network.model->name, .weights = trained.saved.weights.source, .classes = trained.class_names(), .size = network.size, .channels = network.channels,
           .valence_arousal = network.valence_arousal});
}

void RunAnalyst::publish(AnalystState state) {
  const std::lock_guard lock(mutex_);
  state_ = std::move(state);
}

}  // namespace vkfer
