#pragma once
// Memory of a device. Buffers keep their device alive, so they may be destroyed in any order.
#include <cstddef>
#include <memory>
#include <string>

namespace vkfer {

struct DeviceState;
struct BufferState;

enum class Usage {
  device,    // for kernels; mapped only when DeviceInfo::unified_memory
  upload,    // mapped; the host writes, the device reads
  readback,  // mapped and cached; the device writes, the host reads
};

// Movable, owns its memory. Every buffer can be bound as storage or texels, copied from and to, and filled.
class Buffer {
 public:
  Buffer();  // empty: bytes() == 0
  Buffer(std::shared_ptr<DeviceState>, size_t bytes, Usage, std::string label);
  Buffer(Buffer&&) noexcept;
  Buffer& operator=(Buffer&&) noexcept;
  ~Buffer();

  size_t bytes() const;
  std::byte* mapped() const;  // nullptr when the host cannot see it; coherent, no flush needed
  const std::string& label() const;
  BufferState& state() const { return *state_; }  // for runtime/ only

 private:
  std::unique_ptr<BufferState> state_;
};

// A byte range of a buffer: what kernels are given. Does not own the buffer.
struct Region {
  Buffer* buffer = nullptr;
  size_t offset = 0, bytes = 0;
};

}  // namespace vkfer
