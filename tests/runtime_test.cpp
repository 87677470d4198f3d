// The runtime on whatever device is there, with synchronization validation on: what is derived (barriers, bindings,
// sizes), what is refused, and that results are right. Kernels: shaders/copy.comp only.
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "runtime/cache_file.h"
#include "runtime/device.h"
#include "runtime/device_error.h"
#include "runtime/hazards.h"
#include "runtime/quirks.h"
#include "shaders/embedded.h"
#include "tests/catch.h"
#include "tests/environment.h"

using namespace vkfer;
using vkfer::test::Environment;

namespace {

// One device for all tests of this file: opening one with the layers costs a moment. Its messages must stay empty.
Device& device() {
  static Device shared({.validation = true, .sync_validation = true});
  return shared;
}

struct CopyPush {
  uint32_t count;
  float scale;
};

const Kernel& copy_kernel(Device& on, std::string_view module = "copy.f32", float scale = 1) {
  uint32_t bits;
  std::memcpy(&bits, &scale, 4);
  const uint32_t constants[] = {32, 1, 1, bits};
  return on.kernel(module, constants);
}

Region whole(Buffer& buffer) { return {&buffer, 0, buffer.bytes()}; }

void scaled_copy(CommandStream& stream, const Kernel& kernel, Region from, Region to, float scale) {
  auto count = uint32_t(std::min(from.bytes, to.bytes) / 4);
  CopyPush push{count, scale};
  const Region regions[] = {from, to};
  stream.dispatch(kernel, regions, std::as_bytes(std::span(&push, 1)), {(count + 31) / 32, 1, 1});
}

std::vector<float> ramp(size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 1.0f);
  return values;
}

void put(Device& on, Region to, std::span<const float> values) { on.upload(to, std::as_bytes(values)); }

std::vector<float> get(Device& on, Region from) {
  std::vector<float> values(from.bytes / 4);
  on.download(from, std::as_writable_bytes(std::span(values)));
  return values;
}

void run(CommandStream& stream) {
  stream.submit();
  stream.wait();
}

DeviceInfo made_up(std::string name, DeviceType type, std::string uuid, std::string rejected = "") {
  DeviceInfo info;
  info.name = std::move(name);
  info.type = type;
  info.uuid = std::move(uuid);
  info.rejected = std::move(rejected);
  return info;
}

std::filesystem::path scratch(const char* name) {
  auto path = std::filesystem::temp_directory_path() / fmt::format("vkfer-{}-{}", name, ::getpid());
  std::filesystem::remove_all(path);
  return path;
}

}  // namespace

TEST_CASE("devices are listed best first, with limits", "[runtime]") {
  auto devices = list_devices();
  REQUIRE(!devices.empty());
  for (size_t i = 1; i < devices.size(); ++i) {
    auto rank = [](const DeviceInfo& info) { return std::pair(!info.rejected.empty(), int(info.type)); };
    CHECK(rank(devices[i - 1]) <= rank(devices[i]));
  }
  const DeviceInfo& info = device().info();
  CHECK(info.uuid.size() == 32);
  CHECK(info.max_storage_range >= (128u << 20));
  CHECK(info.max_invocations >= 128);
  CHECK(info.max_push_bytes >= 128);
  CHECK(info.subgroup_size >= 1);
  CHECK(info.heap_bytes > 0);
  CHECK((info.type == DeviceType::cpu) == !driver_notice(info).empty());
}

TEST_CASE("a device is chosen by rank, index, name or uuid", "[runtime]") {
  const DeviceInfo devices[] = {made_up("Radeon RX", DeviceType::discrete, std::string(32, 'a')),
                                made_up("Arc Graphics", DeviceType::integrated, std::string(32, 'b')),
                                made_up("Old Card", DeviceType::discrete, std::string(32, 'c'), "it is too old")};
  CHECK(choose_device(devices, "") == 0);
  CHECK(choose_device(devices, "1") == 1);
  CHECK(choose_device(devices, "arc") == 1);
  CHECK(choose_device(devices, "bbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb") == 1);
  CHECK_THROWS_WITH(choose_device(devices, "geforce"), contains("no such Vulkan device") && contains("Arc Graphics"));
  CHECK_THROWS_WITH(choose_device(devices, "7"), contains("no such Vulkan device"));
  CHECK_THROWS_WITH(choose_device(devices, "old"), contains("it is too old"));
  CHECK_THROWS_WITH(choose_device({devices + 2, 1}, ""), contains("no usable Vulkan device") && contains("too old"));
  CHECK_THROWS_WITH(choose_device({}, ""), contains("(none)"));
  CHECK_THROWS_AS(Device({.query = "no such device"}), Error);
}

TEST_CASE("features are switched off by name and by quirk", "[runtime]") {
  DeviceInfo info;
  info.subgroup_shuffle = info.storage_16bit = true;
  info.driver_id = 3;
  info.driver_version = 20;
  disable_features(info, "subgroup_shuffle,memory_budget");
  CHECK(!info.subgroup_shuffle);
  CHECK(info.disabled == std::vector<std::string>{"subgroup_shuffle"});
  CHECK_THROWS_WITH(disable_features(info, "magic"), contains("magic") && contains("storage_16bit"));
  const Quirk elsewhere[] = {{.driver_id = 4, .disable = "storage_16bit"},
                             {.driver_id = 3, .last_version = 19, .disable = "storage_16bit"},
                             {.driver_id = 3, .any_type = false, .type = DeviceType::cpu, .disable = "storage_16bit"},
                             {.driver_id = 3, .least_subgroup = 17, .disable = "storage_16bit"},
                             {.driver_id = 3, .most_subgroup = 8, .disable = "storage_16bit"}};
  info.min_subgroup_size = 16;
  apply_quirks(info, elsewhere);
  CHECK(info.storage_16bit);
  const Quirk here[] = {{.driver_id = 3, .first_version = 20, .least_subgroup = 16, .most_subgroup = 16, .disable = "storage_16bit"}};
  apply_quirks(info, here);
  CHECK(!info.storage_16bit);
  for (const Quirk& quirk : quirks()) {
    CHECK(quirk.issue.starts_with("https://"));
    CHECK_NOTHROW(disable_features(info, quirk.disable));
  }
}

TEST_CASE("a kernel's interface is read from its SPIR-V", "[runtime]") {
  SpirvModule module = reflect_spirv("copy.f32", find_shader("copy.f32"));
  REQUIRE(module.bindings.size() == 2);
  CHECK((module.bindings[0].read && !module.bindings[0].written && !module.bindings[0].texel));
  CHECK((!module.bindings[1].read && module.bindings[1].written && !module.bindings[1].texel));
  CHECK(module.push_bytes == sizeof(CopyPush));
  CHECK(module.local_size_id == std::array<int, 3>{0, 1, 2});
  CHECK(module.constant_ids == std::vector<uint32_t>{0, 1, 2, 3});
  CHECK(!module.uses_subgroups);
  CHECK(reflect_spirv("copy.f32_texel", find_shader("copy.f32_texel")).bindings[0].texel);
  CHECK(copy_kernel(device()).local_size() == std::array<uint32_t, 3>{32, 1, 1});
}

TEST_CASE("every embedded module can be reflected, and none that was damaged crashes", "[runtime]") {
  REQUIRE(!shader_names().empty());
  for (std::string_view name : shader_names()) {
    INFO(name);
    auto words = find_shader(name);
    CHECK(!reflect_spirv(name, words).bindings.empty());
  }
  auto words = find_shader("copy.f32");
  CHECK_THROWS_WITH(reflect_spirv("none", {}), contains("magic"));
  size_t refused = 0;
  for (size_t cut = 0; cut < words.size(); ++cut) {
    try {
      reflect_spirv("cut", words.first(cut));
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(refused > 0);
  uint32_t random = 1;
  for (int i = 0; i < 4000; ++i) {
    std::vector<uint32_t> damaged(words.begin(), words.end());
    for (int k = 0; k < 3; ++k) {
      random = random * 1664525 + 1013904223;
      damaged[random % damaged.size()] = (random >> 7) % (k ? 90 : 0xffffffff);
    }
    try {
      reflect_spirv("damaged", damaged);
    } catch (const Error&) {
    }
  }
}

TEST_CASE("hazards: read after write, write after read, write after write; not read after read", "[runtime]") {
  int a = 0, b = 0;
  auto once = [](HazardTracker& tracker, Access access) { return tracker.command({&access, 1}); };
  const bool kRead = true, kWrite = true;
  HazardTracker tracker;
  CHECK(!once(tracker, {&a, 0, 64, false, kWrite}));
  CHECK(!once(tracker, {&a, 64, 128, false, kWrite}));  // neighbours
  CHECK(!once(tracker, {&b, 0, 64, kRead, false}));     // another buffer
  CHECK(once(tracker, {&a, 63, 64, kRead, false}));     // read after write
  CHECK(!once(tracker, {&a, 0, 128, kRead, false}));    // the barrier covered both writes
  CHECK(once(tracker, {&a, 100, 101, false, kWrite}));  // write after read
  CHECK(once(tracker, {&a, 100, 101, false, kWrite}));  // write after write
  tracker.clear();
  CHECK(!once(tracker, {&a, 100, 101, kRead, false}));
}

TEST_CASE("chains of all three hazards give the right result twice, with the least barriers", "[runtime]") {
  Device& on = device();
  const size_t count = 1024;
  Buffer a = on.buffer(count * 4, Usage::device, "a"), b = on.buffer(count * 4, Usage::device, "b");
  const Kernel& kernel = copy_kernel(on, "copy.f32", 2.0f);
  CommandStream stream = on.stream();
  stream.fill(whole(b), 0);
  scaled_copy(stream, kernel, whole(a), whole(b), 3);    // write after write: b = 6a
  scaled_copy(stream, kernel, whole(b), whole(a), 0.5);  // read after write, write after read: a = b
  stream.copy({&a, 0, 400}, {&b, 2048, 400});            // read after write, write after read
  scaled_copy(stream, kernel, {&b, 0, 400}, {&a, 2048, 400}, 1);  // overlaps nothing written since: only reads and other ranges
  stream.mark("end");
  stream.finish();
  CHECK(stream.dispatches() == 3);
  CHECK(stream.barriers() == 3);
  CHECK(stream.submissions() == 1);
  for (int replay = 0; replay < 2; ++replay) {
    std::vector<float> x = ramp(count);
    put(on, whole(a), x);
    run(stream);
    std::vector<float> from_a = get(on, whole(a)), from_b = get(on, whole(b));
    bool right = true;
    for (size_t i = 0; i < count; ++i) {
      float b_first = 6 * x[i];
      float want_b = i >= 512 && i < 612 ? 6 * x[i - 512] : b_first;
      float want_a = i >= 512 && i < 612 ? 12 * x[i - 512] : b_first;
      right &= from_a[i] == want_a && from_b[i] == want_b;
    }
    CHECK(right);
  }
  auto timings = stream.timings();
  REQUIRE(timings.size() == (on.info().timestamp_valid_bits ? 1 : 0));
  if (!timings.empty()) CHECK((timings[0].label == "end" && timings[0].milliseconds >= 0 && timings[0].milliseconds < 6e4));
  CHECK(on.validation_messages() == std::vector<std::string>{});
}

TEST_CASE("hazards across cuts and across replays are covered", "[runtime]") {
  Device& on = device();
  const size_t count = 4096;
  Buffer a = on.buffer(count * 4, Usage::device, "a"), b = on.buffer(count * 4, Usage::device, "b");
  const Kernel& kernel = copy_kernel(on);
  CommandStream stream = on.stream();
  for (int i = 0; i < 4; ++i) {
    scaled_copy(stream, kernel, whole(a), whole(b), 2);
    stream.cut();
    stream.cut();  // an empty submission is none
    scaled_copy(stream, kernel, whole(b), whole(a), 1);
    stream.mark("pair");
  }
  stream.finish();
  CHECK(stream.submissions() == 5);
  put(on, whole(a), ramp(count));
  run(stream);
  stream.submit();
  stream.submit();  // waits for the one before
  stream.wait();
  CHECK(get(on, whole(a))[count - 1] == float(count) * 4096);
  CHECK(on.validation_messages() == std::vector<std::string>{});
}

TEST_CASE("texel bindings read what storage bindings read", "[runtime]") {
  Device& on = device();
  size_t alignment = std::max<size_t>(on.info().texel_alignment, on.info().storage_alignment);
  Buffer a = on.buffer(alignment + 4 * 64, Usage::device, "a"), b = on.buffer(4 * 64, Usage::device, "b");
  put(on, {&a, alignment, 4 * 64}, ramp(64));
  const Kernel& kernel = copy_kernel(on, "copy.f32_texel");
  CommandStream stream = on.stream();
  scaled_copy(stream, kernel, {&a, alignment, 4 * 64}, whole(b), 2);
  CHECK_THROWS_WITH(scaled_copy(stream, kernel, {&a, alignment, 4 * 63}, whole(b), 2), contains("whole texels"));
  CHECK_THROWS_WITH(scaled_copy(stream, kernel, {&a, 4, 4 * 64}, whole(b), 2), contains("whole texels"));
  stream.finish();
  run(stream);
  std::vector<float> twice = ramp(64);
  for (float& value : twice) value *= 2;
  CHECK(get(on, whole(b)) == twice);
  CHECK(on.validation_messages() == std::vector<std::string>{});
}

TEST_CASE("kernels are cached by module and constants, and constants take effect", "[runtime]") {
  Device& on = device();
  CHECK(&copy_kernel(on, "copy.f32", 5) == &copy_kernel(on, "copy.f32", 5));
  CHECK(&copy_kernel(on, "copy.f32", 5) != &copy_kernel(on, "copy.f32", 7));
  Buffer a = on.buffer(64, Usage::device, "a"), b = on.buffer(64, Usage::device, "b");
  put(on, whole(a), ramp(16));
  CommandStream stream = on.stream();
  scaled_copy(stream, copy_kernel(on, "copy.f32", 7), whole(a), whole(b), 1);
  stream.finish();
  run(stream);
  CHECK(get(on, whole(b))[15] == 7 * 16);
}

TEST_CASE("wrong commands are refused with a message", "[runtime]") {
  Device& on = device();
  const DeviceInfo& info = on.info();
  Buffer a = on.buffer(1024, Usage::device, "a"), b = on.buffer(1024, Usage::device, "b");
  const Kernel& kernel = copy_kernel(on);
  CommandStream stream = on.stream();
  CopyPush push{1, 1};
  auto bytes = std::as_bytes(std::span(&push, 1));
  const Region regions[] = {whole(a), whole(b)};
  auto dispatch = [&](std::span<const Region> bound, std::span<const std::byte> pushed, std::array<uint32_t, 3> groups) {
    stream.dispatch(kernel, bound, pushed, groups);
  };
  CHECK_THROWS_WITH(dispatch({regions, 1}, bytes, {1, 1, 1}), contains("binding 1"));
  CHECK_THROWS_WITH(dispatch(regions, bytes.first(4), {1, 1, 1}), contains("push constants"));
  CHECK_THROWS_WITH(dispatch(regions, bytes, {0, 1, 1}), contains("0 workgroups"));
  CHECK_THROWS_WITH(dispatch(regions, bytes, {1, info.max_groups[1] + 1, 1}), contains("dimension 1"));
  const Region beyond[] = {whole(a), {&b, 512, 513}};
  CHECK_THROWS_WITH(dispatch(beyond, bytes, {1, 1, 1}), contains("expected at most 1024"));
  const Region wrapped[] = {whole(a), {&b, 512, ~size_t(0) - 100}};
  CHECK_THROWS_WITH(dispatch(wrapped, bytes, {1, 1, 1}), contains("expected at most 1024"));
  const Region skewed[] = {whole(a), {&b, 1, 512}};
  CHECK_THROWS_WITH(dispatch(skewed, bytes, {1, 1, 1}), contains("multiple of"));
  const Region missing[] = {whole(a), {}};
  CHECK_THROWS_WITH(dispatch(missing, bytes, {1, 1, 1}), contains("without a buffer"));
  CHECK_THROWS_WITH(stream.copy({&a, 0, 8}, {&b, 0, 4}), contains("expected the same"));
  CHECK_THROWS_WITH(stream.copy({&a, 0, 8}, {&a, 4, 8}), contains("overlap"));
  CHECK_THROWS_WITH(stream.fill({&a, 2, 4}, 0), contains("multiples of 4"));
  CHECK_THROWS_WITH(stream.submit(), contains("finish()"));
  stream.finish();
  CHECK_THROWS_WITH(stream.fill(whole(a), 0), contains("after finish()"));
  const uint32_t none[] = {0, 1, 1}, many[] = {info.max_workgroup[0], info.max_workgroup[1], 2};
  CHECK_THROWS_WITH(on.kernel("copy.f32", none), contains("workgroup size 0"));
  CHECK_THROWS_WITH(on.kernel("copy.f32", many), contains("invocations"));
  CHECK_THROWS_WITH(on.kernel("copy.f99", none), contains("no such module"));
  CHECK_THROWS_WITH(on.buffer(info.max_allocation_bytes + 1, Usage::device, "huge"), contains("huge"));
  CHECK(on.validation_messages() == std::vector<std::string>{});
}

TEST_CASE("copies of odd sizes arrive, mapped or staged", "[runtime]") {
  for (bool staged : {false, true}) {
    Environment off("VKFER_DISABLE", staged ? "unified_memory" : "");
    Device on({.validation = true, .sync_validation = true});
    if (staged) CHECK(on.buffer(64, Usage::device, "x").mapped() == nullptr);
    for (size_t bytes : {size_t(1), size_t(3), size_t(4097), (size_t(8) << 20) + 5, (size_t(25) << 20) + 7}) {
      Buffer buffer = on.buffer(bytes + 9, Usage::device, "odd");
      std::vector<std::byte> sent(bytes), received(bytes), edges(9, std::byte{0x5a});
      for (size_t i = 0; i < bytes; ++i) sent[i] = std::byte(i * 7 + i / 251);
      on.upload({&buffer, 0, 5}, {edges.data(), 5});
      on.upload({&buffer, bytes + 5, 4}, {edges.data(), 4});
      on.upload({&buffer, 5, bytes}, sent);
      on.download({&buffer, 5, bytes}, received);
      CHECK(sent == received);
      std::vector<std::byte> around(9);
      on.download({&buffer, 0, 5}, {around.data(), 5});
      on.download({&buffer, bytes + 5, 4}, {around.data() + 5, 4});
      CHECK(around == edges);
    }
    Buffer small = on.buffer(8, Usage::device, "small");
    std::vector<std::byte> wrong(9);
    CHECK_THROWS_WITH(on.upload({&small, 0, 8}, wrong), contains("expected the same"));
    CHECK_THROWS_WITH(on.download({&small, 0, 9}, wrong), contains("expected at most 8"));
    CHECK(on.validation_messages() == std::vector<std::string>{});
  }
}

TEST_CASE("buffers share memory blocks and give their memory back", "[runtime]") {
  Device& on = device();
  size_t before = on.allocated_bytes();
  const float marker = 42;
  {
    std::vector<Buffer> buffers;
    for (int i = 0; i < 300; ++i) buffers.push_back(on.buffer(size_t(4 + 4 * (i % 70)), Usage::device, "many"));
    for (int i = 0; i < 300; i += 2) buffers[size_t(i)] = Buffer();
    for (int i = 0; i < 300; i += 2) buffers[size_t(i)] = on.buffer(256, Usage::device, "again");
    for (Buffer& each : buffers) put(on, whole(each), std::vector<float>(each.bytes() / 4, 1));
    put(on, {&buffers[7], 0, 4}, {&marker, 1});
    size_t marked = 0;
    for (Buffer& each : buffers)
      for (float value : get(on, whole(each))) marked += value == marker;
    CHECK(marked == 1);
    CHECK(on.allocated_bytes() > before);
  }
  CHECK(on.allocated_bytes() == before);
  CHECK(on.peak_allocated_bytes() > before);
  Buffer upload = on.buffer(100, Usage::upload, "up"), readback = on.buffer(100, Usage::readback, "down");
  CHECK((upload.mapped() && readback.mapped()));
  CHECK((upload.bytes() == 100 && Buffer().bytes() == 0));
}

TEST_CASE("buffers and streams outlive their device", "[runtime]") {
  auto owner = std::make_unique<Device>();
  Buffer a = owner->buffer(64, Usage::readback, "a");
  CommandStream stream = owner->stream();
  stream.fill(whole(a), 0x3f800000);
  stream.finish();
  owner.reset();
  run(stream);
  float value = 0;
  std::memcpy(&value, a.mapped() + 60, 4);
  CHECK(value == 1);
}

TEST_CASE("a kernel whose capability the device lacks is refused", "[runtime]") {
  for (std::string_view name : shader_names()) {
    SpirvModule module = reflect_spirv(name, find_shader(name));
    if (std::find(module.capabilities.begin(), module.capabilities.end(), 4433u) == module.capabilities.end()) continue;
    Environment off("VKFER_DISABLE", "storage_16bit");
    Device on;
    const uint32_t constants[] = {8, 1, 1};
    CHECK_THROWS_WITH(on.kernel(name, constants), contains("StorageBuffer16BitAccess"));
    return;
  }
  WARN("no module with 16-bit storage in this build");
}

TEST_CASE("failures of the device are typed and carry a hint", "[runtime]") {
  CHECK_NOTHROW(check_vulkan(0, "here", "working"));
  CHECK_THROWS_AS(check_vulkan(-4, "here", "working"), DeviceLost);
  CHECK_THROWS_AS(check_vulkan(-2, "here", "working"), OutOfDeviceMemory);
  CHECK_THROWS_AS(check_vulkan(-1, "here", "working"), OutOfHostMemory);
  CHECK_THROWS_WITH(check_vulkan(-2, "here", "working"), contains("[here] working") && contains("Fix: ") && contains("--batch"));
  CHECK_THROWS_WITH(check_vulkan(-4, "here", "working"), contains("VK_ERROR_DEVICE_LOST") && contains("Fix: "));
  try {
    check_vulkan(-3, "here", "working");
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::device);
  }
}

TEST_CASE("the pipeline cache file is used only when all of it fits", "[runtime]") {
  auto folder = scratch("cache-file");
  auto path = folder / "deep" / "pipelines.bin";
  CacheHeader header;
  header.vendor = 1;
  header.device = 2;
  header.driver = 3;
  header.uuid[15] = 4;
  const std::vector<std::byte> payload(1000, std::byte{9});
  CHECK(read_cache_file(path, header).empty());
  REQUIRE(write_cache_file(path, header, payload));
  CHECK(read_cache_file(path, header) == payload);
  CHECK(std::distance(std::filesystem::directory_iterator(path.parent_path()), {}) == 1);  // no temporary file stays
  CacheHeader other = header;
  other.driver = 4;
  CHECK(read_cache_file(path, other).empty());
  other = header;
  other.uuid[0] = 1;
  CHECK(read_cache_file(path, other).empty());
  std::ifstream in(path, std::ios::binary);
  const std::string good((std::istreambuf_iterator<char>(in)), {});
  for (size_t at = 0; at < good.size(); at += at < 64 ? 1 : 97) {  // every byte of the header, some of the payload
    std::string bad = good;
    bad[at] = char(bad[at] ^ 0x10);
    std::ofstream(path, std::ios::binary) << bad;
    INFO("byte " << at);
    CHECK(read_cache_file(path, header).empty());
  }
  for (size_t length : {size_t(0), size_t(10), sizeof(CacheHeader), good.size() - 1}) {
    std::ofstream(path, std::ios::binary) << good.substr(0, length);
    CHECK(read_cache_file(path, header).empty());
  }
  std::ofstream(path, std::ios::binary) << good << "x";
  CHECK(read_cache_file(path, header).empty());
  CHECK(!write_cache_file("/proc/no/such/folder/x.bin", header, payload));
  std::filesystem::remove_all(folder);
}

TEST_CASE("a device keeps its pipelines on disk, and survives a spoilt or unwritable cache", "[runtime]") {
  auto folder = scratch("cache");
  {
    Environment cache("VKFER_CACHE_DIR", folder.c_str());
    std::filesystem::path path;
    {
      Device on;
      path = pipeline_cache_path(on.info());
      copy_kernel(on);
    }
    REQUIRE(path.parent_path() == folder);
    REQUIRE(std::filesystem::exists(path));
    auto size = std::filesystem::file_size(path);
    std::ofstream(path, std::ios::binary) << "spoilt";
    {
      Device on;
      copy_kernel(on);
    }
    CHECK(std::filesystem::file_size(path) == size);
  }
  Environment cache("VKFER_CACHE_DIR", "/proc/no/such/folder");
  {
    Device on;
    CHECK_NOTHROW(copy_kernel(on));
  }
  std::filesystem::remove_all(folder);
}
