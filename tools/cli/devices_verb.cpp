#include "graph/executor.h"
#include "runtime/driver_choice.h"
#include "runtime/error.h"
#include "runtime/kernel.h"
#include "tools/cli/verb.h"
#include "tools/train/training.h"

namespace vkfer {
namespace {

std::string reason(const std::vector<DeviceInfo>& devices, size_t chosen, const std::string& query) {
  if (!query.empty()) return fmt::format("--device {}", query);
  size_t usable = 0;
  for (const DeviceInfo& d : devices) usable += d.rejected.empty();
  if (usable == 1) return "the only usable device";
  return fmt::format("the best kind present ({}); --device chooses another", to_string(devices[chosen].type));
}

// The engine of convolutions and linear layers, and why it is not the coopmat one where the device has matrices.
std::string engine_text(const DeviceInfo& d) {
  const Target t = target_for(d);
  std::string text = engine_name(t.engine);
  if (t.engine == Engine::coopmat) text += fmt::format(", matrices of {}", fmt::join(t.matrix, "x"));
  else if (d.cooperative_matrix && !has_module("conv_coopmat.f16"))
    text += "; this build has no coopmat modules, they need glslang 14 (third_party/glslang)";
  return text;
}

void print_device(Console& console, size_t index, const DeviceInfo& d, bool chosen) {
  console.print("{} {}  {}", chosen ? "*" : " ", index, d.name);
  console.print("     {}, Vulkan {}, driver {}", to_string(d.type), d.api_version, driver_text(d));
  console.print("     memory {}, subgroups of {}, {} invocations, {} kB shared", bytes_text(double(d.heap_bytes)),
                d.subgroup_size, d.max_invocations, d.shared_memory_bytes / 1024);
  if (d.rejected.empty()) console.print("     engine {}", engine_text(d));
  console.print("     UUID {}", d.uuid);
  if (!d.rejected.empty()) console.print("     cannot be used: {}", d.rejected);
}

Json describe(size_t index, const DeviceInfo& d, bool chosen) {
  Json j = {{"index", index}};
  j.update(device_json(d));
  j["chosen"] = chosen;
  j["usable"] = d.rejected.empty();
  j["rejected"] = d.rejected;
  j["memory_bytes"] = d.heap_bytes;
  j["subgroup_size"] = d.subgroup_size;
  j["engine"] = d.rejected.empty() ? engine_name(target_for(d).engine) : "";
  Json shapes = Json::array();
  for (const MatrixShape& s : d.matrix_shapes) shapes.push_back({s.m, s.n, s.k});
  j["matrix_shapes"] = shapes;
  j["max_invocations"] = d.max_invocations;
  j["shared_memory_bytes"] = d.shared_memory_bytes;
  j["max_storage_range"] = d.max_storage_range;
  Json features = Json::object();
  for (const DeviceFeature& f : device_features()) features[std::string(f.name)] = d.*f.flag;
  j["features"] = features;
  return j;
}

void run_devices(Arguments& a, Console& console) {
  const std::vector<DeviceInfo> devices = list_devices();
  const size_t chosen = choose_device(devices, a.device);
  Json list = Json::array();
  for (size_t i = 0; i < devices.size(); ++i) {
    print_device(console, i, devices[i], i == chosen);
    list.push_back(describe(i, devices[i], i == chosen));
  }
  const std::string why = reason(devices, chosen, a.device);
  console.line("");
  console.paragraph("* is used: " + why);
  console.paragraph(choose_driver());
  const std::string notice = driver_notice(devices[chosen]);
  if (!notice.empty()) console.paragraph(notice);
  console.answer({{"devices", list}, {"chosen", chosen}, {"reason", why}, {"drivers", choose_driver()}});
}

}  // namespace

extern const Verb devices_verb;
const Verb devices_verb{
    .name = "devices",
    .summary = "List the Vulkan devices, and which is used and why",
    .arguments = {"--device", "--json"},
    .examples = "  vkfer devices\n  vkfer devices --device nvidia --json",
    .run = run_devices,
};

}  // namespace vkfer
