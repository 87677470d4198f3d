#pragma once
// Runs a planned graph on a device: records the commands once, replays them. The only file of graph/ that knows runtime/.
// One thread at a time.
#include <map>
#include <memory>

#include "graph/plan.h"
#include "runtime/device.h"

namespace vkfer {

// What the device asks lowering to do: the measured profile for its type. Environment: VKFER_ENGINE=direct|subgroup|shared|coopmat.
Target target_for(const DeviceInfo&);

// Tensors that outlive a graph: parameters, running statistics, optimizer moments. Shared by executors on one device.
class States {
 public:
  explicit States(Device& device) : device_(device) {}
  bool has(const std::string& name) const { return entries_.count(name) != 0; }
  Region region(const std::string& name, const TensorDesc&);   // created (zeros) on first use; another shape fails
  // Brings tensors into one piece of memory, each at its offset, and creates (zeros) those that are new. Tensors that lay
  // elsewhere move: layout() changes, and who holds Regions has to ask for them again.
  struct Placed { std::string name; TensorDesc desc; size_t offset; };
  void arrange(std::span<const Placed>, size_t bytes);
  uint64_t layout() const { return layout_; }
  const TensorDesc& desc(const std::string& name) const;
  std::vector<std::string> names() const;                      // sorted
  void write(const std::string& name, std::span<const float>); // device layout, converted to the stored type
  std::vector<float> read(const std::string& name);
  void write_bytes(const std::string& name, std::span<const std::byte>);
  std::vector<std::byte> read_bytes(const std::string& name);
  uint64_t version() const { return version_; }                // changes with every write and every run that updates a state
  void touch() { ++version_; }
  size_t bytes() const;
  // Runs in flight that use the states: read and write wait for them.
  void begin(CommandStream&);
  void end(CommandStream&);

 private:
  struct Entry { TensorDesc desc; Region region; };
  Region allocate(size_t bytes);
  void create(const std::string& name, const TensorDesc&, Region);
  void settle();
  bool lies_so(std::span<const Placed>) const;
  Device& device_;
  std::map<std::string, Entry> entries_;
  std::vector<std::unique_ptr<Buffer>> blocks_;
  size_t block_used_ = 0;                                      // of the last block
  uint64_t version_ = 1, layout_ = 1;
  std::vector<CommandStream*> in_flight_;
};

struct NodeTiming {
  int node = -1;                  // index into the graph's nodes
  std::string label, op;
  double milliseconds = 0;        // the median of `samples`
  std::vector<double> samples;    // of every profiled run
  Cost cost;
};

// What one replay is made of, the prologue not counted.
struct RecordedWork {
  size_t dispatches = 0, barriers = 0, submissions = 0;
};

// Where the host's time goes: summed over all runs.
struct HostTime {
  double busy_milliseconds = 0;   // in write, submit and read
  double wait_milliseconds = 0;   // until the device was done
  int64_t runs = 0;
};

// run() does one thing after the other. To overlap, write and submit() the next run while one is in flight, then wait():
//
//   write(x, first); submit();
//   for each next: write(x, next); submit(); wait(); read(loss) of the run before
//   wait(); read(loss)
//
// Runs happen in order, each on what the one before it left in the states, so that overlapping changes no bit.
class Executor {
 public:
  Executor(Device&, Graph, Plan, States&);
  ~Executor();
  static constexpr size_t kMostInFlight = 2;
  // Inputs of the next run; they keep what was written for the runs after it. Fails while two runs are in flight. The element
  // count must be the value's. u8 and i32 values take their own types.
  void write(Value, std::span<const float>);
  void write(Value, std::span<const int32_t>);
  void write(Value, std::span<const uint8_t>);
  // Is it an output that is read while the next run is in flight?
  bool is_small(Value) const;
  // Of the run that was waited for last: small outputs at any time; large ones only while nothing is in flight. Also inputs.
  void read(Value, std::span<float>);
  void read(Value, std::span<int32_t>);
  void read(Value, std::span<uint8_t>);
  std::vector<float> read(Value);
  float read_scalar(Value);
  void submit();                               // starts a run behind those in flight
  void wait();                                 // until the oldest run in flight is done
  size_t in_flight() const;                    // runs submitted and not waited for
  void drain();                                // waits for all of them
  void run();                                  // submit() and drain()
  HostTime host_time() const;
  // Runs `runs` times more with a timestamp after every node; empty where the device has no timestamps.
  std::vector<NodeTiming> profile(int runs = 1);
  double waited_milliseconds() const;          // for the run that was waited for last
  RecordedWork recorded() const;
  const Graph& graph() const;
  const Plan& plan() const;
  // Tests: fill the arena with NaN and the guards with a pattern before run(); after it, the first value whose guard was hit, or "".
  void poison();
  std::string check_guards();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vkfer
