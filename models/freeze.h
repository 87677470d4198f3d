#pragma once
// What of a network stays as it is in training: parameters that no optimizer changes, batch norms that use their running
// statistics and leave them alone. Written as
//
//   none              everything trains (the same as "")
//   backbone          only the head trains
//   blocks:N          the first N blocks of the backbone stay: stages of a ResNet or an EfficientNet, the five blocks of a VGG
//   NAME[,NAME...]    parameters by name, with * and ?; a layer's name stands for all below it: layer1,layer2.*.bn1
#include <string>
#include <string_view>
#include <vector>

namespace vkfer {

class Freeze {
 public:
  Freeze() = default;
  explicit Freeze(std::string_view text);  // fails naming what it does not understand

  static constexpr int kHead = -1;
  // `block`: of the backbone from 0, or kHead.
  bool covers(std::string_view parameter, int block) const;

  bool backbone() const { return blocks_ == kAll; }
  int blocks() const { return blocks_; }                          // so many are frozen; kAll for the whole backbone
  const std::vector<std::string>& patterns() const { return patterns_; }
  static constexpr int kAll = 1 << 30;

 private:
  int blocks_ = 0;
  std::vector<std::string> patterns_;
};

// Does `pattern`, in which * stands for any text and ? for one character, match the whole of `name`, or a part of it that
// ends before a dot?
bool matches_layer(std::string_view pattern, std::string_view name);

}  // namespace vkfer
