#pragma once
// Items 0..count-1 made on several threads and taken in order by one, so results do not depend on the threads.
#include <algorithm>
#include <condition_variable>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

namespace vkfer {

struct WorkersLimits {
  int threads = 0;                        // 0: one per core
  size_t items = 64;                      // finished or in work, ahead of the consumer
  size_t bytes = size_t{512} << 20;       // finished and not yet taken; the next one needed always goes ahead
};

template <class T>
class OrderedWorkers {
 public:
  // `make(i)` runs on the workers; what it throws comes out of next() when the turn is at i. `weight` is in bytes.
  OrderedWorkers(size_t count, WorkersLimits limits, std::function<T(size_t)> make, std::function<size_t(const T&)> weight)
      : count_(count), limits_(limits), make_(std::move(make)), weight_(std::move(weight)) {
    size_t threads = limits.threads > 0 ? static_cast<size_t>(limits.threads) : std::thread::hardware_concurrency();
    threads = std::clamp<size_t>(threads, 1, std::max<size_t>(1, std::min<size_t>(count, 256)));
    for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this](std::stop_token stop) { work(stop); });
  }

  ~OrderedWorkers() {
    for (std::jthread& thread : threads_) thread.request_stop();
    changed_.notify_all();
  }

  // The next item in order; nothing after the last.
  std::optional<T> next() {
    std::unique_lock lock(mutex_);
    if (taken_ == count_) return std::nullopt;
    changed_.wait(lock, [this] { return done_.contains(taken_); });
    auto node = done_.extract(taken_++);
    Slot slot = std::move(node.mapped());
    bytes_ -= slot.bytes;
    changed_.notify_all();
    if (slot.error) std::rethrow_exception(slot.error);
    return std::move(slot.value);
  }

 private:
  struct Slot {
    std::optional<T> value;
    std::exception_ptr error;
    size_t bytes = 0;
  };

  bool may_start() const {
    return started_ == taken_ || (started_ < taken_ + limits_.items && bytes_ < limits_.bytes);
  }

  void work(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, stop, [this] { return started_ == count_ || may_start(); });
      if (stop.stop_requested() || started_ == count_) return;
      const size_t item = started_++;
      lock.unlock();
      Slot slot = make_slot(item);
      lock.lock();
      bytes_ += slot.bytes;
      done_.emplace(item, std::move(slot));
      changed_.notify_all();
    }
  }

  Slot make_slot(size_t item) {
    Slot slot;
    try {
      slot.value = make_(item);
      slot.bytes = weight_(*slot.value);
    } catch (...) {
      slot.error = std::current_exception();
    }
    return slot;
  }

  const size_t count_;
  const WorkersLimits limits_;
  const std::function<T(size_t)> make_;
  const std::function<size_t(const T&)> weight_;
  std::mutex mutex_;  // guards everything below but the threads
  std::condition_variable_any changed_;
  size_t started_ = 0, taken_ = 0, bytes_ = 0;
  std::map<size_t, Slot> done_;
  std::vector<std::jthread> threads_;  // last: they end before what they use goes
};

}  // namespace vkfer
