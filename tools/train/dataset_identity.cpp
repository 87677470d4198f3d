#include <zlib.h>

#include "tools/train/training.h"

namespace vkfer {

std::string fingerprint(const Dataset& dataset) {
  uLong crc = 0;
  const auto add = [&](const std::string& text) {
    crc = crc32_z(crc, reinterpret_cast<const Bytef*>(text.data()), text.size());
  };
  for (const std::string& name : dataset.classes()) add(name + "\n");
  for (size_t i = 0; i < dataset.size(); ++i) {
    const Sample& s = dataset.sample(i);
    add(fmt::format("{}\t{}\t{}\n", s.id, s.label, int(s.split)));
  }
  return fmt::format("{:08x}-{}", uint32_t(crc), dataset.size());
}

std::vector<size_t> labelled(const Dataset& dataset, std::string_view split) {
  std::vector<size_t> indices = dataset.split(split);
  std::erase_if(indices, [&](size_t i) { return dataset.sample(i).label < 0; });
  return indices;
}

}  // namespace vkfer
