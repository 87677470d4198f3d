#pragma once
// What the host hands to a run and gets back from it, twice over: while the device works with one half, the host fills the
// other. Part of the executor, and like it allowed to know runtime/.
//
//   host ─ write ─► upload[half] ─ copy ─► input ─ run ─► output ─ copy ─► readback[half] ─ read ─► host
//
// Where the device's memory is the host's, kernels read upload[half] in place and the first copy falls away; but for inputs that
// lie in a pack, which kernels find beside their neighbours.
#include <array>
#include <map>
#include <span>
#include <vector>

#include "graph/plan.h"
#include "runtime/device.h"

namespace vkfer {

class Exchange {
 public:
  static constexpr size_t kHalves = 2;
  // Outputs larger than this stay on the device until they are asked for.
  static constexpr size_t kReadbackBytes = size_t(64) << 10;

  Exchange(Device&, const Graph&, const Plan&);

  bool in_place(Value input) const { return inputs_.at(input.id).in_place; }  // kernels read it where the host wrote it
  bool reads_back(Value v) const { return outputs_.count(v.id) != 0; }
  const std::vector<Value>& inputs() const { return input_values_; }
  const std::vector<Value>& outputs() const { return output_values_; }
  Region upload(size_t half, Value);
  Region readback(size_t half, Value);

  // Only for a half that no run in flight uses.
  void write(size_t half, Value, std::span<const std::byte>);
  void freshen(size_t half);                      // inputs that were last written into the other half
  void poison(size_t half, uint32_t word);        // forgets what was written

  // A run that used the half is done.
  std::span<const std::byte> output(size_t half, Value) const;
  std::span<const std::byte> input(Value) const;  // as last written; empty: never

 private:
  struct Piece {
    size_t offset = 0, bytes = 0;
    bool in_place = false;
    int newest = -1;                              // the half written last
    std::array<bool, kHalves> fresh{};            // halves that hold what was written last
  };
  std::vector<Value> input_values_, output_values_;
  std::map<int, Piece> inputs_, outputs_;         // by value id
  std::array<Buffer, kHalves> uploads_, readbacks_;
};

}  // namespace vkfer
