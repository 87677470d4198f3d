#include "tools/train/stepper.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>

#include "runtime/error.h"

namespace vkfer {
namespace {

template <class T>
std::span<const T> part(std::span<const T> all, int piece, int pieces) {
  const size_t each = all.size() / size_t(pieces);
  return all.subspan(size_t(piece) * each, each);
}

// Of the weights in the batch, those in the piece.
template <class T, class Weight>
float share(std::span<const T> piece, std::span<const T> all, Weight weight) {
  const auto sum = [&](std::span<const T> values) {
    double total = 0;
    for (const T v : values) total += weight(v);
    return total;
  };
  const double whole = sum(all);
  return whole > 0 ? float(sum(piece) / whole) : 0;
}

// What each counts for: nothing where it is not known.
std::vector<float> mask_of(std::span<const float> values, std::span<const float> weights) {
  std::vector<float> mask;
  for (size_t i = 0; i < values.size(); ++i) mask.push_back(std::isnan(values[i]) ? 0 : weights.empty() ? 1 : weights[i]);
  return mask;
}

void write_regression(Executor& e, const Regression& r, std::span<const float> all, std::span<const float> weights, int piece, int pieces) {
  if (!r.prediction || all.empty()) return;
  write_targets(e, r, part(all, piece, pieces), part(weights, piece, pieces));
  if (!r.share) return;
  const std::vector<float> mask = mask_of(all, weights);
  e.write(r.share, std::vector<float>{share(part(std::span<const float>(mask), piece, pieces), std::span<const float>(mask), std::identity())});
}

// For the optimizer's part of a step.
void write_update(Executor& e, const StepGraph& s, const StepInputs& in) {
  e.write(s.hyper, std::span<const float>(in.hyper));
  for (size_t i = 0; i < s.joined_hyper.size(); ++i)
    if (s.joined_hyper[i]) e.write(s.joined_hyper[i], std::span<const float>(in.joined_hyper[i]));
  if (s.ema_decay) e.write(s.ema_decay, std::vector<float>{float(in.ema_decay)});
}

}  // namespace

void write_targets(Executor& e, const Regression& r, std::span<const float> values, std::span<const float> weights) {
  std::vector<float> target;
  for (const float v : values) target.push_back(std::isnan(v) ? 0 : v);
  e.write(r.target, target);
  e.write(r.mask, mask_of(values, weights));
}

Stepper::Stepper(Device& device, States& states, StepPlan plan) : plan_(std::move(plan)) {
  executor_ = std::make_unique<Executor>(device, std::move(plan_.step.graph), plan_.step_plan, states);
  set_class_weights(std::vector<float>(size_t(plan_.network.classes), 1.0f));
  if (plan_.pieces > 1) optimizer_ = std::make_unique<Executor>(device, std::move(plan_.optimizer.graph), plan_.optimizer_plan, states);
}

void Stepper::set_class_weights(const std::vector<float>& weights) {
  class_weights_ = weights;
  if (plan_.step.class_weights) executor_->write(plan_.step.class_weights, weights);
}

void Stepper::submit_piece(const StepInputs& in, int piece) {
  Executor& e = *executor_;
  const StepGraph& s = plan_.step;
  const int pieces = plan_.pieces;
  if (e.in_flight() >= Executor::kMostInFlight) finish_piece();
  e.write(s.pixels, part(in.pixels, piece, pieces));
  e.write(s.augment, part(in.augment, piece, pieces));
  if (s.warp) e.write(s.warp, part(in.warp, piece, pieces));
  if (s.share) {
    e.write(s.partner_pixels, part(in.partner_pixels, piece, pieces));
    e.write(s.partner_augment, part(in.partner_augment, piece, pieces));
    if (s.partner_warp) e.write(s.partner_warp, part(in.partner_warp, piece, pieces));
    e.write(s.share, part(in.share, piece, pieces));
  }
  if (s.targets) {
    e.write(s.targets, part(in.targets, piece, pieces));
    e.write(s.target_scale, std::vector<float>{in.target_scale});
  }
  if (s.labels) e.write(s.labels, part(in.labels, piece, pieces));
  if (s.hyper) write_update(e, s, in);
  if (s.step) {
    const auto low = [](uint64_t v) { return int32_t(uint32_t(v)); };
    const auto index = uint64_t(in.index);
    const std::array<int32_t, 5> words{low(in.seed), low(in.seed >> 32), low(index), low(index >> 32), piece * plan_.network.batch};
    e.write(s.step, std::span<const int32_t>(words));
  }
  const auto weight_of = [&](int32_t label) { return label < 0 ? 0 : class_weights_[size_t(label)]; };
  if (s.class_share) e.write(s.class_share, std::vector<float>{share(part(in.labels, piece, pieces), in.labels, weight_of)});
  write_regression(e, s.valence, in.valence, in.weights, piece, pieces);
  write_regression(e, s.arousal, in.arousal, in.weights, piece, pieces);
  if (s.first) e.write(s.first, std::vector<float>{piece == 0 ? 1.0f : 0.0f});
  e.submit();
}

void Stepper::submit(const StepInputs& in) {
  if (steps_ >= Executor::kMostInFlight) fail("train", "{} steps are on their way. Fix: finish() first", steps_);
  for (int piece = 0; piece < plan_.pieces; ++piece) submit_piece(in, piece);
  if (optimizer_) {
    write_update(*optimizer_, plan_.optimizer, in);
    optimizer_->submit();
  }
  ++steps_;
}

void Stepper::finish_piece() {
  executor_->wait();
  losses_.push_back(executor_->read_scalar(plan_.step.loss));
}

double Stepper::finish() {
  if (!steps_) fail("train", "no step is on its way. Fix: submit() first");
  const auto pieces = size_t(plan_.pieces);
  while (losses_.size() < pieces) finish_piece();
  if (optimizer_) optimizer_->wait();
  const auto end = losses_.begin() + ptrdiff_t(pieces);
  const double loss = std::accumulate(losses_.begin(), end, 0.0);
  losses_.erase(losses_.begin(), end);
  --steps_;
  return loss;
}

HostTime Stepper::host_time() const {
  HostTime sum = executor_->host_time();
  if (!optimizer_) return sum;
  const HostTime more = optimizer_->host_time();
  sum.busy_milliseconds += more.busy_milliseconds;
  sum.wait_milliseconds += more.wait_milliseconds;
  return sum;
}

}  // namespace vkfer
