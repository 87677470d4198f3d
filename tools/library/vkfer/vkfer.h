#pragma once
// VkFER as a library: what a trained network says of pictures of faces, computed on any Vulkan device.
//
//   #include <vkfer/vkfer.h>                       find_package(vkfer REQUIRED)
//                                                  target_link_libraries(mine PRIVATE vkfer::vkfer)
//   vkfer::Session session;                        // opens a device; once for all networks
//   vkfer::Network network(session, "runs/1");     // a run of `vkfer train`, or a file of weights
//   const vkfer::Picture picture = vkfer::read_picture("face.png");
//   for (const vkfer::Answer& answer : network.infer({&picture, 1}))
//     std::cout << network.classes()[answer.best()] << "\n";
//
// Every function throws vkfer::Failure, whose text says where, what was got, what was expected and how to go on; after it everything
// can be used as before, a network whose device was lost excepted. The library prints nothing and reads no file but those it is given,
// the shader cache and the tuning file (~/.cache/vkfer). On a machine without a GPU, opening the first session sets VK_DRIVER_FILES or
// VK_ADD_DRIVER_FILES of this process to a faster CPU driver where one is installed and neither is set; see `vkfer devices`.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#define VKFER_API __attribute__((visibility("default")))

namespace vkfer {

class VKFER_API Failure : public std::runtime_error {
 public:
  enum class Kind : uint8_t { input, device, bug };   // what was given; Vulkan or its driver; ourselves
  Failure(Kind kind, const std::string& text) : std::runtime_error(text), kind_(kind) {}
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

struct DeviceDescription {
  std::string name, driver;   // "NVIDIA H200", "NVIDIA 570.86"
  bool is_cpu = false;
};

// Every Vulkan device that can be used, the best first: the order of `vkfer devices`.
VKFER_API std::vector<DeviceDescription> devices();

// [height, width, channels], rows from top to bottom without gaps. Channels: 1 gray, 3 RGB; never BGR, as OpenCV has it.
struct Picture {
  int width = 0, height = 0, channels = 0;
  std::vector<uint8_t> pixels;
};

// JPEG, PNG, BMP, PNM, TGA and GIF (first frame), told apart by their bytes. A file that is cut short or corrupt is a failure, never part
// of a picture. Transparency is laid over white. JPEG and PNG are turned upright as their Exif data says.
VKFER_API Picture read_picture(const std::filesystem::path&);
VKFER_API Picture decode_picture(std::span<const std::byte> file);

struct Answer {
  std::vector<float> probabilities;        // of Network::classes(), in their order; they sum to 1. Empty for networks without classes
  std::optional<float> valence, arousal;   // of networks that have them; -1 to 1 as trained, not clipped
  VKFER_API size_t best() const;           // the most probable class; a failure where there are none
};

// A device that was opened. Copies are the same device; it is closed when the last copy and the last network on it are gone. Thread-safe.
class VKFER_API Session {
 public:
  // "": the best; an index of devices(), part of a name in any case, or a UUID.
  explicit Session(const std::string& device = {});
  DeviceDescription device() const;

 private:
  friend class Network;
  struct State;
  std::shared_ptr<State> state_;
};

struct NetworkOptions {
  std::string model;       // for files that do not say what they are, as PyTorch's: a name of `vkfer models`
  std::string precision;   // fp32, fp16 or auto; "": as it was trained
  int batch = 32;          // pictures at once at most; memory on the device grows with it
};

// A trained network on a device. Thread-safe: one call computes at a time, the others wait.
class VKFER_API Network {
 public:
  // The folder of a run, or a file of weights (safetensors, PyTorch, Keras, ONNX).
  Network(const Session&, const std::filesystem::path&, const NetworkOptions& = {});
  ~Network();
  Network(Network&&) noexcept;
  Network& operator=(Network&&) noexcept;

  const std::string& model() const;
  const std::vector<std::string>& classes() const;   // in the order of the probabilities
  int input_size() const;                            // height and width that pictures are resized to

  // One answer for each picture, in order; pictures of any sizes. Each is resized as a whole: it should show one face and little else.
  std::vector<Answer> infer(std::span<const Picture>);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// "0.1.0", and the same of this header.
VKFER_API const char* version();

}  // namespace vkfer
