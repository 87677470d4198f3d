// Kernels whose subgroups hold lanes without an element, or nothing but such lanes. lavapipe runs these too, with every lane off, and
// a load at one address is no less done: where the number of the descriptor set has gone lost on the way (shaders/include/place.glsl),
// it takes push constants for descriptors. So addresses that lead nowhere are pushed behind what the kernel reads of them, and the
// bindings turned until each has been where these lie.
#include <algorithm>
#include <cstring>

#include "runtime/device_state.h"
#include "shaders/embedded.h"
#include "shaders/params/functions.h"
#include "shaders/params/reduce.h"
#include "shaders/params/strided.h"
#include "tests/catch.h"
#include "tests/op_shader.h"

using namespace vkfer;
using namespace vkfer::test;

namespace {

constexpr uint32_t kPushed = 256;  // bytes: four descriptors

struct Launch {
  std::string module;
  std::vector<uint32_t> constants;  // after the workgroup size
  std::vector<std::byte> push;
  std::vector<std::vector<uint32_t>> regions;  // words, by binding
  size_t output;
  uint32_t expected;  // the output's first word
};

template <class T>
std::vector<std::byte> bytes_of(const T& push) {
  const auto bytes = std::as_bytes(std::span(&push, 1));
  return {bytes.begin(), bytes.end()};
}

template <class Visit>
void for_each_instruction(std::vector<uint32_t>& words, Visit visit) {
  for (size_t at = 5; at < words.size(); at += words[at] >> 16) visit(&words[at], words[at] & 0xffff);
}

// Moves the last member of the push constants to the end of kPushed bytes: so many are pushed then. Gives where it began, and its bytes
// in `tail`.
uint32_t move_last_pushed(std::vector<uint32_t>& words, uint32_t size, uint32_t& tail) {
  constexpr uint32_t OpTypeStruct = 30, OpTypePointer = 32, OpMemberDecorate = 72, kPushConstant = 9, kOffset = 35;
  uint32_t block = 0, inner = 0;
  for_each_instruction(words, [&](uint32_t* i, uint32_t op) {
    if (op == OpTypePointer && i[2] == kPushConstant && !block) block = i[3];
  });
  for_each_instruction(words, [&](uint32_t* i, uint32_t op) {
    if (op == OpTypeStruct && i[1] == block) inner = i[2];
  });
  uint32_t* last = nullptr;
  for_each_instruction(words, [&](uint32_t* i, uint32_t op) {
    if (op == OpMemberDecorate && i[1] == inner && i[3] == kOffset && (!last || i[4] > last[4])) last = i;
  });
  REQUIRE(last);
  const uint32_t offset = last[4];
  tail = size - offset;
  last[4] = kPushed - tail;
  return offset;
}

void turn_bindings(std::vector<uint32_t>& words, std::span<const SpirvBinding> bindings, size_t by) {
  constexpr uint32_t OpDecorate = 71, kBinding = 33;
  for_each_instruction(words, [&](uint32_t* i, uint32_t op) {
    if (op != OpDecorate || i[2] != kBinding) return;
    const auto at = std::ranges::find(bindings, i[3], &SpirvBinding::number) - bindings.begin();
    i[3] = uint32_t((size_t(at) + by) % bindings.size());
  });
}

uint32_t first_result(Device& device, const Launch& launch, size_t by) {
  const auto original = find_shader(launch.module);
  const SpirvModule module = reflect_spirv(launch.module, original);
  std::vector<uint32_t> words(original.begin(), original.end());
  uint32_t tail = 0;
  const uint32_t offset = move_last_pushed(words, module.push_bytes, tail);
  turn_bindings(words, module.bindings, by);

  std::vector<uint32_t> nowhere(kPushed / 4);
  for (size_t i = 0; i < nowhere.size(); i += 4) nowhere[i] = 0xdead0000, nowhere[i + 1] = 0xdead, nowhere[i + 2] = 0x7fffffff;
  std::vector<std::byte> push = bytes_of(std::array<uint32_t, kPushed / 4>{});
  std::memcpy(push.data(), nowhere.data(), kPushed);
  std::memcpy(push.data(), launch.push.data(), offset);
  std::memcpy(push.data() + kPushed - tail, launch.push.data() + offset, tail);

  std::vector<Buffer> buffers;
  for (const auto& words_of : launch.regions) {
    buffers.push_back(device.buffer(words_of.size() * 4, Usage::device, "idle lanes"));
    device.upload({&buffers.back(), 0, words_of.size() * 4}, std::as_bytes(std::span(words_of)));
  }
  std::vector<Region> regions(module.bindings.size());
  for (size_t i = 0; i < regions.size(); ++i) {
    Buffer& buffer = buffers[module.bindings[i].number];
    regions[(i + by) % regions.size()] = {&buffer, 0, buffer.bytes()};
  }
  std::vector<uint32_t> constants{64};
  constants.insert(constants.end(), launch.constants.begin(), launch.constants.end());
  const Kernel kernel(*buffers[0].state().device, launch.module, words, constants);
  CommandStream stream = device.stream();
  stream.dispatch(kernel, regions, push, {1, 1, 1});
  stream.finish();
  stream.submit();
  stream.wait();
  uint32_t result = 0;
  device.download({&buffers[launch.output], 0, 4}, std::as_writable_bytes(std::span(&result, 1)));
  return result;
}

std::vector<uint32_t> table(int rank) {
  std::vector<uint32_t> words;
  for (int i = 0; i < rank; ++i)
    for (const uint32_t word : {1u, 1u, 0u, 1u, 1u, 1u}) words.push_back(word);  // one element
  return words;
}

std::vector<Launch> launches() {
  const std::vector<uint32_t> seven(16, 7), none(16, 0);
  const params::Divisor one = params::divisor(1);
  const std::vector<std::byte> strided = bytes_of(params::Strided{1, 1, 1, 0, 0, 0});
  return {{"strided_copy.f32", {0, 0, 0}, strided, {seven, none, table(1)}, 1, 7},
          {"broadcast.f32", {params::kAdd, 1, 0, 0, 0, 0}, strided, {seven, seven, seven, none, table(1)}, 3, 14},
          {"reduce.f32", {params::kPlain, params::kSum, params::kAsIs, 1}, bytes_of(params::Reduce{1, 1, 1, 1, 1, 1, one}), {seven, seven, none, table(2)}, 2, 7},
          {"matmul.f32", {0}, bytes_of(params::Product{1, 1, 1, 1, 1, one, one}),
           {std::vector<uint32_t>(16, 0x40000000), std::vector<uint32_t>(16, 0x40000000), none, table(1)}, 2, 0x40800000}};
}

}  // namespace

TEST_CASE("subgroups without an element load from where the others do", "[idle][device]") {
  Device& device = test_device();
  if (device.info().max_push_bytes < kPushed) return;
  for (const Launch& launch : launches()) {
    const size_t bindings = reflect_spirv(launch.module, find_shader(launch.module)).bindings.size();
    for (size_t by = 0; by < bindings; ++by) {
      INFO(launch.module << ", bindings turned by " << by);
      CHECK(first_result(device, launch, by) == launch.expected);
    }
  }
  CHECK(new_validation_messages() == "");
}
