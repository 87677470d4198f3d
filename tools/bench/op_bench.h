#pragma once
// Single problems, each alone on the device: the layer shapes of a network, or products and convolutions of any shape.
#include "graph/problem.h"
#include "tools/bench/lone_node.h"
#include "tools/bench/spread.h"
#include "tools/bench/step_bench.h"

namespace vkfer {

struct OpBench {
  CountedProblem what;
  std::string kernels;
  Spread milliseconds;
  Cost cost;
  bool by_timestamps = false;
  std::string failure;               // why it cannot be run alone; then there are no times
};

OpBench bench_problem(Device&, const CountedProblem&, const Target&, const BenchOptions&);

// "MxNxK": [M,K] times [K,N]. "NxHxWxC,RxSxK[,stride[,groups]]": a convolution, padded by half its filter.
// Each gives the forward problem and those of its gradients.
std::vector<CountedProblem> gemm_problems(const std::string& shape);
std::vector<CountedProblem> conv_problems(const std::string& shape);

}  // namespace vkfer
