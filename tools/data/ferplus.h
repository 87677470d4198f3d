#pragma once
// FER+: ten people's votes on each image of FER2013. Barsoum et al., Training Deep Networks for Facial Expression Recognition with
// Crowd-Sourced Label Distribution, 2016; fer2013new.csv of https://github.com/microsoft/FERPlus lies beside fer2013.csv.
#include <array>
#include <vector>

#include "tools/data/dataset.h"

namespace vkfer {

constexpr size_t kVoteColumns = 10;  // eight expressions, unknown, no face
using Votes = std::array<double, kVoteColumns>;

// What votes come to. Empty: the image is to be left out.
struct Verdict {
  int label = -1;                   // the expression with the most; of several, the first
  std::vector<float> distribution;  // over the eight expressions, 1 together
};

// As the authors' reader (src/ferplus.py) has it: single votes are outliers and do not count.
//   majority      more than half of the votes are one expression's; its distribution is that alone
//   probability   the expressions with the most votes, until they have three quarters of all; left out when these are more than three, or
//                 have no more than half, or "unknown" or "no face" is the first of them
Verdict judge(const Votes&, VoteMode);

// Replaces the labels of a fer2013.csv's samples ("row N") by what the votes say, and leaves out what they reject. Fails when the
// files do not belong together.
void apply_votes(const std::filesystem::path& fer_csv, VoteMode, DatasetContents&);

const std::vector<std::string>& ferplus_classes();

// "" (none), majority or probability.
VoteMode vote_mode(std::string_view name);

}  // namespace vkfer
