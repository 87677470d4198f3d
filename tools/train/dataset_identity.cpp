#include <zlib.h>

#include <cmath>

#include "tools/train/training.h"

namespace vkfer {

std::string fingerprint(const Dataset& dataset, bool valence_arousal) {
  uLong crc = 0;
  const auto add = [&](const std::string& text) {
    crc = crc32_z(crc, reinterpret_cast<const Bytef*>(text.data()), text.size());
  };
  for (const std::string& name : dataset.classes()) add(name + "\n");
  for (size_t i = 0; i < dataset.size(); ++i) {
    const Sample& s = dataset.sample(i);
    add(fmt::format("{}\t{}\t{}\n", s.id, s.label, int(s.split)));
    for (const float p : s.distribution) add(fmt::format("{}\t", p));
    if (s.weight != 1) add(fmt::format("weight {}\t", s.weight));
    if (valence_arousal) add(fmt::format("{}\t{}\n", s.valence, s.arousal));
  }
  return fmt::format("{:08x}-{}", uint32_t(crc), dataset.size());
}

std::vector<size_t> labelled(const Dataset& dataset, std::string_view split, bool valence_arousal, bool classes) {
  std::vector<size_t> indices = dataset.split(split);
  std::erase_if(indices, [&](size_t i) {
    const Sample& s = dataset.sample(i);
    return !(classes && s.label >= 0) && !(valence_arousal && !std::isnan(s.valence) && !std::isnan(s.arousal));
  });
  return indices;
}

}  // namespace vkfer
