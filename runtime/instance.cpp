#include "runtime/instance.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <tuple>

#include "runtime/driver_choice.h"
#include "runtime/quirks.h"

namespace vkfer {

static constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT, VkDebugUtilsMessageTypeFlagsEXT,
                                                 const VkDebugUtilsMessengerCallbackDataEXT* data, void* user) {
  static_cast<Instance*>(user)->add_message(data->pMessage ? data->pMessage : "(no text)");
  return VK_FALSE;
}

// The Vulkan version that the layer knows; 0: there is no such layer.
static uint32_t validation_layer_version() {
  uint32_t count = 0;
  vkEnumerateInstanceLayerProperties(&count, nullptr);
  std::vector<VkLayerProperties> layers(count);
  vkEnumerateInstanceLayerProperties(&count, layers.data());
  auto found = std::ranges::find_if(layers, [](auto& layer) { return !std::strcmp(layer.layerName, kValidationLayer); });
  return found == layers.end() ? 0 : found->specVersion;
}

static bool has_instance_extension(const char* name) {
  uint32_t count = 0;
  vkEnumerateInstanceExtensionProperties(nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> all(count);
  vkEnumerateInstanceExtensionProperties(nullptr, &count, all.data());
  return std::ranges::any_of(all, [&](auto& each) { return !std::strcmp(each.extensionName, name); });
}

// volk's pointers are globals; devices may be opened from several threads.
static std::mutex& loader_mutex() {
  static std::mutex mutex;
  return mutex;
}

Instance::Instance(bool validation, bool sync_validation) {
  std::lock_guard lock(loader_mutex());
  choose_driver();  // before the loader looks for drivers
  if (volkInitialize() != VK_SUCCESS)
    fail_device("vulkan", "got no Vulkan loader, expected libvulkan.so.1. Fix: install libvulkan1 and a driver, "
                          "for example mesa-vulkan-drivers");
  std::vector<const char*> layers, extensions;
  VkInstanceCreateFlags flags = 0;
  if (has_instance_extension("VK_KHR_portability_enumeration")) {  // drivers on top of Metal hide behind this
    extensions.push_back("VK_KHR_portability_enumeration");
    flags |= VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
  }
  VkDebugUtilsMessengerCreateInfoEXT messenger{VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT};
  messenger.messageSeverity =
      VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
  messenger.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT;
  messenger.pfnUserCallback = on_message;
  messenger.pUserData = this;
  VkValidationFeatureEnableEXT enable = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
  VkValidationFeaturesEXT features{VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT, &messenger, sync_validation, &enable};
  if (validation) {
    const uint32_t version = validation_layer_version();
    knows_matrices_ = version >= VK_MAKE_API_VERSION(0, 1, 3, 255);
    if (!version)
      fail_device("vulkan", "validation was asked for, but there is no {}. Fix: install vulkan-validationlayers",
                  kValidationLayer);
    layers.push_back(kValidationLayer);
    extensions.push_back(VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
  }
  uint32_t loader = volkGetInstanceVersion();
  VkApplicationInfo application{VK_STRUCTURE_TYPE_APPLICATION_INFO};
  application.pApplicationName = "vkfer";
  application.apiVersion = std::clamp<uint32_t>(loader, VK_API_VERSION_1_2, VK_API_VERSION_1_3);
  VkInstanceCreateInfo info{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
  info.pNext = validation ? &features : nullptr;
  info.flags = flags;
  info.pApplicationInfo = &application;
  info.enabledLayerCount = uint32_t(layers.size());
  info.ppEnabledLayerNames = layers.data();
  info.enabledExtensionCount = uint32_t(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  check_vulkan(vkCreateInstance(&info, nullptr, &handle_), "vulkan", "creating an instance");
  volkLoadInstanceOnly(handle_);
  if (validation)
    check_vulkan(vkCreateDebugUtilsMessengerEXT(handle_, &messenger, nullptr, &messenger_), "vulkan",
                 "listening to the validation layers");
}

Instance::~Instance() {
  std::lock_guard lock(loader_mutex());
  // volk's instance functions are global and belong to the instance that was made last, which may lack the extension:
  // this one's are asked for by name.
  const auto function = [this](const char* name) { return vkGetInstanceProcAddr(handle_, name); };
  if (messenger_)
    reinterpret_cast<PFN_vkDestroyDebugUtilsMessengerEXT>(function("vkDestroyDebugUtilsMessengerEXT"))(handle_, messenger_, nullptr);
  reinterpret_cast<PFN_vkDestroyInstance>(function("vkDestroyInstance"))(handle_, nullptr);
}

std::vector<Instance::Found> Instance::devices() const {
  uint32_t count = 0;
  check_vulkan(vkEnumeratePhysicalDevices(handle_, &count, nullptr), "vulkan", "counting devices");
  std::vector<VkPhysicalDevice> handles(count);
  check_vulkan(vkEnumeratePhysicalDevices(handle_, &count, handles.data()), "vulkan", "listing devices");
  const char* off = std::getenv("VKFER_DISABLE");
  std::vector<Found> found;
  for (VkPhysicalDevice handle : handles) {
    DeviceInfo info = query_device(handle);
    apply_quirks(info);
    disable_features(info, off ? off : "");
    if (!knows_matrices_) disable_features(info, "cooperative_matrix");
    if (info.cooperative_matrix) info.matrix_shapes = query_matrix_shapes(handle_, handle);
    found.push_back({handle, std::move(info)});
  }
  std::ranges::stable_sort(found, {}, [](const Found& each) {
    const bool cpu = each.info.type == DeviceType::cpu, other = each.info.type == DeviceType::other;
    const int rank = 2 * int(each.info.type) - (other ? 3 : 0);   // whatever it is, before a CPU
    // Of two CPU drivers the newer is the faster; of two GPUs, mostly, the one with more memory.
    return std::tuple(!each.info.rejected.empty(), rank, cpu ? uint64_t(~each.info.driver_version) : ~uint64_t(each.info.heap_bytes));
  });
  return found;
}

std::vector<std::string> Instance::messages() const {
  std::lock_guard lock(mutex_);
  return messages_;
}

void Instance::add_message(std::string message) {
  std::lock_guard lock(mutex_);
  messages_.push_back(std::move(message));
}

std::vector<DeviceInfo> list_devices() {
  Instance instance(false, false);
  std::vector<DeviceInfo> infos;
  for (Instance::Found& each : instance.devices()) infos.push_back(std::move(each.info));
  return infos;
}

}  // namespace vkfer
