#pragma once
// A trained network that is asked by many at once: on a thread of its own, one after the other, with few waiting. Of a run in progress it
// takes the best weights as they come.
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "runtime/device.h"
#include "tools/predict/predictor.h"
#include "tools/predict/trained.h"

namespace vkfer {

// What there is to ask, at the moment.
struct AnalystState {
  bool ready = false;
  std::string reason;                 // why not
  std::string model, weights;         // names; of the network and of the file
  std::vector<std::string> classes;
  int size = 0, channels = 0;
  bool valence_arousal = false;
};

class RunAnalyst {
 public:
  // Gets the predictor, or null: AnalystState::reason says why.
  using Job = std::function<void(Predictor*, const AnalystState&)>;
  // `open` reads the network, again whenever `watched` (its file) is another than it was. `device` must outlive it and is its alone.
  RunAnalyst(Device& device, std::function<Trained()> open, std::filesystem::path watched, const PredictorOptions&);
  // Ends after the job under way; those that wait are dropped.
  ~RunAnalyst();
  RunAnalyst(const RunAnalyst&) = delete;

  AnalystState state() const;
  // From any thread. False when as many as may be wait already. What the job throws is the bug of the job.
  bool ask(Job);

 private:
  using FileTime = std::filesystem::file_time_type;
  void work();
  void look_at_file();
  void load();
  void publish(AnalystState);

  Device& device_;
  const std::function<Trained()> open_;
  const std::filesystem::path watched_;
  const PredictorOptions options_;
  std::unique_ptr<Predictor> predictor_;   // of the thread
  FileTime loaded_;                        // the date of what predictor_ was made from, or could not be made from
  mutable std::mutex mutex_;               // of all below
  std::condition_variable turn_;
  AnalystState state_;
  std::deque<Job> waiting_;
  bool ends_ = false;
  std::thread thread_;                     // last: it uses the others
};

}  // namespace vkfer
