#pragma once
// Do probabilities mean what they say? (Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks, 2017)
#include <cstdint>
#include <span>
#include <vector>

namespace vkfer {

// Of samples whose largest probability is in (low, high]: how sure the network was, and how often it was right.
struct ReliabilityBin {
  double low = 0, high = 0;
  int64_t count = 0;
  double confidence = 0, accuracy = 0;  // means; 0 without a sample
};

// probabilities [n,k], labels [n] (negative: not known, and not counted), times [n] (empty: once each). Bins of equal width.
std::vector<ReliabilityBin> reliability(std::span<const float> probabilities, std::span<const int32_t> labels, int classes, std::span<const int32_t> times = {}, int bins = 15);
// Expected calibration error: sum over bins of share * |accuracy - confidence|. NaN without a sample.
double expected_calibration_error(std::span<const ReliabilityBin>);

// softmax(log p / temperature), row by row: above 1 less sure, below 1 surer. The order within a row stays.
std::vector<float> tempered(std::span<const float> probabilities, int classes, double temperature);
// The temperature with the least cross-entropy, within 0.05 to 20; 1 without a sample whose label is known (not negative).
double fitted_temperature(std::span<const float> probabilities, std::span<const int32_t> labels, int classes);

}  // namespace vkfer
