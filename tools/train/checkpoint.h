#pragma once
// All that a run needs to go on: one file, written whole or not at all, with a checksum. The single source of truth of
// a run folder: history.csv and model.safetensors are made from it.
//
//   "VKFERCKP"  version u32  header bytes u64  header (JSON)  states, in the header's order  best weights  CRC-32 of all before
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "graph/op.h"
#include "runtime/error.h"
#include "tools/train/evaluation.h"

namespace vkfer {

struct EpochRecord {
  int epoch = 0;  // from 1
  Evaluation train, val;
  double learning_rate = 0, seconds = 0;
};

// What decides the order of sums, and so the last bits of a result.
struct Arithmetic {
  Target target;
  std::string training_signature, evaluation_signature;  // of the plans
  std::string device, driver;
};

struct Checkpoint {
  int epoch = 0;        // from 0: the epoch under way
  int64_t step = 0;     // steps of that epoch that are done
  bool finished = false;
  double epoch_seconds = 0;
  int best_epoch = 0;   // from 1; 0: none yet
  std::vector<int64_t> skipped_before;  // steps that mixed precision had skipped when each phase but the first began
  std::vector<EpochRecord> history;
  Arithmetic arithmetic;
  std::map<std::string, std::vector<std::byte>> states;
  std::vector<std::byte> best_model;  // the file model.safetensors; empty before the first validation

  int64_t order(int64_t steps_per_epoch) const { return epoch * steps_per_epoch + step; }
};

Json choice_json(const Attrs&);         // of tuning: names with numbers or words
Attrs choice_from_json(const Json&);
Json target_json(const Target&);
Target target_from_json(const Json&);

std::vector<std::byte> encode_checkpoint(const Checkpoint&);
// Its bytes are not what was written.
struct DamagedCheckpoint : Error {
  using Error::Error;
};

// Throws DamagedCheckpoint naming `source`; an Error when it is sound but of another version.
Checkpoint decode_checkpoint(std::span<const std::byte>, const std::string& source);

}  // namespace vkfer
