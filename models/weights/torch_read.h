#pragma once
// PyTorch's three containers of a pickle and its storages. What can be read from each, and how hostile files are met, is in
// docs/weights.md.
#include <cstddef>
#include <span>
#include <string>

#include "models/weights/weight_file.h"

namespace vkfer {

// Since 1.6, and TorchScript: a zip with data.pkl and a member data/N for each storage.
WeightFile parse_torch_zip(std::span<const std::byte>, const std::string& source);

// 0.2 to 1.5: pickles of a magic number, the protocol, the system, the object and the storages' keys; then the storages.
bool looks_like_torch_legacy(std::span<const std::byte>);
WeightFile parse_torch_legacy(std::span<const std::byte>, const std::string& source);

// Before 0.2: a tar with sys_info, pickle, storages and tensors.
bool looks_like_tar(std::span<const std::byte>);
WeightFile parse_torch_tar(std::span<const std::byte>, const std::string& source);

}  // namespace vkfer
