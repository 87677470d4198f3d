#pragma once
// The second proof of an op: its kernels, and those of its gradient nodes, equal their references on the device.
//
// Every node runs alone, in a graph of one node whose inputs come from the reference run of the whole case. For every
// distinct way to lower it (op_targets.h) and once more writing over its inputs where it may:
//   integers  bitwise equality, where the node is exact on integers (sums, products, comparisons, moves)
//   impulse   zeros with a few elements, in every tensor in turn, for the other nodes: tests indexing
//   real      within the op's declared error
// with NaN in the arena beforehand, canaries behind every tensor, and a second run that gives the same bits.
#include <functional>
#include <string>

#include "graph/op.h"
#include "runtime/device.h"

namespace vkfer::test {

// Opened at the first call; VKFER_TEST_DEVICE chooses it as --device does.
Device& test_device();

// Messages of the validation layers since the last call, one a line.
std::string new_validation_messages();

enum class Targets { own, all, coopmat };  // the device's own target only, every one, or those of the coopmat engine

// Called once a row: the row's words and "" or what is wrong.
using RowReport = std::function<void(const std::string& row, const std::string& wrong)>;

// `name` are the row's first words: "conv2d case=3".
void check_shader(const OpDef&, const Case&, const std::string& name, Targets, const RowReport&);

// Can this node of the case be compared bit by bit when the case is filled with small integers?
bool is_exact_on_integers(const OpDef&, const Case&, size_t node);

}  // namespace vkfer::test
