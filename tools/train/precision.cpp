#include "tools/train/precision.h"

#include <algorithm>

#include "runtime/error.h"
#include "tools/train/names.h"

namespace vkfer {
namespace {

bool stores_f16(const DeviceInfo& info) { return info.storage_16bit; }
bool gains_by_f16(const DeviceInfo& info, const Target& target) {
  return stores_f16(info) && info.type != DeviceType::cpu && target.engine == Engine::coopmat;
}

}  // namespace

void check_precision(std::string_view precision) {
  if (precision != "fp32" && precision != "fp16" && precision != "auto")
    fail_unknown("--precision", "precision", precision, {"fp32", "fp16", "auto"});
}

std::string resolve_precision(std::string_view precision, const DeviceInfo& info, const Target& target) {
  check_precision(precision);
  if (precision == "auto") return gains_by_f16(info, target) ? "fp16" : "fp32";
  if (precision == "fp16" && !stores_f16(info))
    fail("--precision", "fp16 needs the device feature storage_16bit (Vulkan's storageBuffer16BitAccess), which {} lacks{}. Fix: --precision fp32",
         info.name, std::count(info.disabled.begin(), info.disabled.end(), "storage_16bit") ? " because it was switched off" : "");
  return std::string(precision);
}

DType storage_of(std::string_view precision) { return precision == "fp16" ? DType::f16 : DType::f32; }

}  // namespace vkfer
