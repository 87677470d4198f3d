#include "runtime/spirv.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "runtime/error.h"

namespace vkfer {
namespace {

// Numbers of the SPIR-V specification, section 3.
enum Op : uint32_t {
  OpEntryPoint = 15, OpExecutionMode = 16, OpCapability = 17, OpTypeInt = 21, OpTypeFloat = 22, OpTypeVector = 23,
  OpTypeMatrix = 24, OpTypeImage = 25, OpTypeSampledImage = 27, OpTypeArray = 28, OpTypeRuntimeArray = 29,
  OpTypeStruct = 30, OpTypePointer = 32, OpConstant = 43, OpConstantComposite = 44, OpSpecConstantTrue = 48,
  OpSpecConstantFalse = 49, OpSpecConstant = 50, OpSpecConstantComposite = 51, OpFunction = 54, OpVariable = 59,
  OpDecorate = 71, OpMemberDecorate = 72, OpExecutionModeId = 331
};
enum Decoration : uint32_t {
  SpecId = 1, BufferBlock = 3, ArrayStride = 6, MatrixStride = 7, BuiltIn = 11, NonWritable = 24, NonReadable = 25,
  Binding = 33, DescriptorSet = 34, Offset = 35
};
enum StorageClass : uint32_t { UniformConstant = 0, Uniform = 2, PushConstant = 9, StorageBuffer = 12 };
constexpr uint32_t kMagic = 0x07230203, kGLCompute = 5, kLocalSize = 17, kLocalSizeId = 38, kWorkgroupSize = 25;
constexpr uint32_t kDimBuffer = 5, kSampled = 1;

struct Member {
  uint32_t offset = 0, matrix_stride = 0;
  bool non_writable = false, non_readable = false;
};
struct Id {
  std::span<const uint32_t> words;  // the instruction that defines it
  uint32_t binding = ~0u, set = 0, spec_id = ~0u, stride = 0, builtin = ~0u;
  bool non_writable = false, non_readable = false;
  std::map<uint32_t, Member> members;
  uint32_t op() const { return words.empty() ? 0 : words[0] & 0xffff; }
};

class Reflection {
 public:
  Reflection(std::string_view name, std::span<const uint32_t> words) : name_(name) {
    if (words.size() < 5 || words[0] != kMagic) bad("it does not start with SPIR-V's magic number");
    size_t at = 5;
    while (at < words.size()) {
      size_t length = words[at] >> 16;
      if (length == 0 || length > words.size() - at) bad("an instruction is cut short");
      instruction(words.subspan(at, length));
      at += length;
    }
  }

  SpirvModule result() {
    if (!compute_) bad("it has no compute entry point");
    for (auto& [number, id] : ids_) {
      if (id.op() == OpVariable) variable(id);
      if (id.spec_id != ~0u) module_.constant_ids.push_back(id.spec_id);
      if (id.builtin == kWorkgroupSize && id.words.size() == 6)
        for (int i = 0; i < 3; ++i) local_size(i, id.words[3 + size_t(i)]);
    }
    std::ranges::sort(module_.constant_ids);
    std::ranges::sort(module_.bindings, {}, &SpirvBinding::number);
    return std::move(module_);
  }

 private:
  [[noreturn]] void bad(std::string_view why) const {
    fail(name_, "not a compute module that can be used: {}. Fix: rebuild the shaders", why);
  }

  void instruction(std::span<const uint32_t> words) {
    auto need = [&](size_t count) {
      if (words.size() < count) bad("an instruction is cut short");
    };
    switch (words[0] & 0xffff) {
      case OpCapability: need(2); capability(words[1]); break;
      case OpEntryPoint: need(3); compute_ |= words[1] == kGLCompute; break;
      case OpExecutionMode:
        need(3);
        if (words[2] == kLocalSize) { need(6); std::copy_n(&words[3], 3, module_.local_size.begin()); }
        break;
      case OpExecutionModeId:
        need(3);
        if (words[2] == kLocalSizeId) { need(6); std::copy_n(&words[3], 3, size_ids_.begin()); }
        break;
      case OpDecorate: need(3); decorate(words); break;
      case OpMemberDecorate: need(4); decorate_member(words); break;
      case OpTypeInt: case OpTypeFloat: case OpTypeVector: case OpTypeMatrix: case OpTypeImage: case OpTypeSampledImage:
      case OpTypeArray: case OpTypeRuntimeArray: case OpTypeStruct: case OpTypePointer:
        need(2); ids_[words[1]].words = words; break;
      case OpConstant: case OpConstantComposite: case OpSpecConstant: case OpSpecConstantComposite: case OpVariable:
      case OpSpecConstantTrue: case OpSpecConstantFalse:
        need(3); ids_[words[2]].words = words; break;
      default: break;
    }
  }

  void capability(uint32_t number) {
    module_.capabilities.push_back(number);
    module_.uses_subgroups |= number >= 61 && number <= 68;  // GroupNonUniform and its kinds
  }

  void decorate(std::span<const uint32_t> words) {
    Id& id = ids_[words[1]];
    uint32_t value = words.size() > 3 ? words[3] : 0;
    switch (words[2]) {
      case SpecId: id.spec_id = value; break;
      case ArrayStride: id.stride = value; break;
      case BuiltIn: id.builtin = value; break;
      case NonWritable: id.non_writable = true; break;
      case NonReadable: id.non_readable = true; break;
      case Binding: id.binding = value; break;
      case DescriptorSet: id.set = value; break;
      default: break;
    }
  }

  void decorate_member(std::span<const uint32_t> words) {
    Member& member = ids_[words[1]].members[words[2]];
    uint32_t value = words.size() > 4 ? words[4] : 0;
    switch (words[3]) {
      case MatrixStride: member.matrix_stride = value; break;
      case NonWritable: member.non_writable = true; break;
      case NonReadable: member.non_readable = true; break;
      case Offset: member.offset = value; break;
      default: break;
    }
  }

  // The instruction that defines `number`, which must have at least `length` words.
  const Id& get(uint32_t number, size_t length) const {
    auto found = ids_.find(number);
    if (found == ids_.end() || found->second.words.size() < length) bad("a type is not defined");
    return found->second;
  }

  void variable(const Id& id) {
    uint32_t storage = id.words.size() > 3 ? id.words[3] : ~0u;
    if (storage != UniformConstant && storage != Uniform && storage != PushConstant && storage != StorageBuffer) return;
    const Id& pointer = get(id.words[1], 4);
    const Id& type = get(pointer.words[3], 2);
    if (storage == PushConstant) {
      module_.push_bytes = std::max(module_.push_bytes, size(pointer.words[3], 0, 0));
    } else if (id.binding == ~0u || id.set != 0) {
      bad("a resource is not in descriptor set 0");
    } else if (storage == StorageBuffer && type.op() == OpTypeStruct) {
      bool non_writable = id.non_writable, non_readable = id.non_readable;
      size_t count = type.words.size() - 2, read_only = 0, write_only = 0;
      for (auto& [index, member] : type.members) {
        read_only += member.non_writable;
        write_only += member.non_readable;
      }
      non_writable |= count > 0 && read_only == count;
      non_readable |= count > 0 && write_only == count;
      bind({id.binding, !non_readable, !non_writable, false});
    } else if (storage == UniformConstant && type.op() == OpTypeSampledImage && is_buffer(type)) {
      bind({id.binding, true, false, true});
    } else {
      bad(fmt::format("binding {} is neither a storage buffer nor a uniform texel buffer", id.binding));
    }
  }

  bool is_buffer(const Id& sampled_image) const {
    if (sampled_image.words.size() < 3) return false;
    const Id& image = get(sampled_image.words[2], 8);
    return image.op() == OpTypeImage && image.words[3] == kDimBuffer && image.words[7] == kSampled;
  }

  // Several variables may view one binding with different element types.
  void bind(SpirvBinding binding) {
    for (SpirvBinding& other : module_.bindings) {
      if (other.number != binding.number) continue;
      if (other.texel != binding.texel) bad(fmt::format("binding {} is storage and texels at once", binding.number));
      other.read |= binding.read;
      other.written |= binding.written;
      return;
    }
    if (binding.number >= 64) bad(fmt::format("binding number {} is too high", binding.number));
    module_.bindings.push_back(binding);
  }

  // Bytes of a type as laid out in a block.
  uint32_t size(uint32_t number, uint32_t matrix_stride, int depth) const {
    const Id& id = get(number, 2);
    if (depth > 8) bad("types are nested too deeply");
    uint64_t bytes = 0;
    switch (id.op()) {
      case OpTypeInt: case OpTypeFloat: bytes = get(number, 3).words[2] / 8; break;
      case OpTypeVector: bytes = uint64_t(size(get(number, 4).words[2], 0, depth + 1)) * id.words[3]; break;
      case OpTypeMatrix: bytes = uint64_t(matrix_stride) * get(number, 4).words[3]; break;
      case OpTypeArray: bytes = uint64_t(id.stride) * get(get(number, 4).words[3], 4).words[3]; break;
      case OpTypeStruct:
        for (size_t i = 2; i < id.words.size(); ++i) {
          auto found = id.members.find(uint32_t(i - 2));
          Member member = found == id.members.end() ? Member{} : found->second;
          bytes = std::max<uint64_t>(bytes, uint64_t(member.offset) + size(id.words[i], member.matrix_stride, depth + 1));
        }
        break;
      default: bad("a push constant has a type that is not understood");
    }
    if (bytes > 65536) bad("push constants are too large");
    return uint32_t(bytes);
  }

  void local_size(int axis, uint32_t number) {
    const Id& id = get(number, 4);
    module_.local_size[size_t(axis)] = id.words[3];
    if (id.spec_id != ~0u) module_.local_size_id[size_t(axis)] = int(id.spec_id);
  }

 public:
  void apply_size_ids() {
    for (int i = 0; i < 3; ++i)
      if (size_ids_[size_t(i)]) local_size(i, size_ids_[size_t(i)]);
  }

 private:
  std::string_view name_;
  std::unordered_map<uint32_t, Id> ids_;
  std::array<uint32_t, 3> size_ids_{};
  SpirvModule module_;
  bool compute_ = false;
};

}  // namespace

SpirvModule reflect_spirv(std::string_view name, std::span<const uint32_t> words) {
  Reflection reflection(name, words);
  reflection.apply_size_ids();
  return reflection.result();
}

}  // namespace vkfer
