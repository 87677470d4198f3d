#include "tools/train/checkpoint.h"

#include <zlib.h>

#include <cstring>

#include "graph/tuning.h"
#include "runtime/error.h"

namespace vkfer {
namespace {

constexpr std::string_view kMagic = "VKFERCKP";
constexpr uint32_t kVersion = 1;
constexpr size_t kFixed = 8 + 4 + 8, kChecksum = 4;

uint32_t checksum(std::span<const std::byte> bytes) {
  return uint32_t(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

template <class T>
void append(std::vector<std::byte>& to, const T& value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  to.insert(to.end(), bytes.begin(), bytes.end());
}

template <class T>
T field(std::span<const std::byte> bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

Json header_of(const Checkpoint& c) {
  Json history = Json::array(), states = Json::array();
  for (const EpochRecord& r : c.history)
    history.push_back({{"epoch", r.epoch}, {"train", r.train.to_json()}, {"val", r.val.to_json()},
                       {"learning_rate", r.learning_rate}, {"seconds", r.seconds}});
  for (const auto& [name, bytes] : c.states) states.push_back({{"name", name}, {"bytes", bytes.size()}});
  return {{"epoch", c.epoch}, {"step", c.step}, {"finished", c.finished}, {"epoch_seconds", c.epoch_seconds},
          {"best_epoch", c.best_epoch}, {"skipped_before", c.skipped_before}, {"history", history},
          {"arithmetic", {{"target", target_json(c.arithmetic.target)},
                          {"training_signature", c.arithmetic.training_signature},
                          {"evaluation_signature", c.arithmetic.evaluation_signature},
                          {"device", c.arithmetic.device}, {"driver", c.arithmetic.driver}}},
          {"states", states}, {"best_model_bytes", c.best_model.size()}};
}

Checkpoint from_header(const Json& j) {
  Checkpoint c;
  j.at("epoch").get_to(c.epoch);
  j.at("step").get_to(c.step);
  j.at("finished").get_to(c.finished);
  j.at("epoch_seconds").get_to(c.epoch_seconds);
  j.at("best_epoch").get_to(c.best_epoch);
  if (j.contains("skipped_before")) j.at("skipped_before").get_to(c.skipped_before);  // not in checkpoints from before there were phases
  for (const Json& r : j.at("history"))
    c.history.push_back({r.at("epoch"), Evaluation::from_json(r.at("train")), Evaluation::from_json(r.at("val")),
                         r.at("learning_rate"), r.at("seconds")});
  const Json& a = j.at("arithmetic");
  c.arithmetic = {target_from_json(a.at("target")), a.at("training_signature"), a.at("evaluation_signature"),
                  a.at("device"), a.at("driver")};
  return c;
}

}  // namespace

Json choice_json(const Attrs& choice) {
  Json j = Json::object();
  for (const auto& [name, value] : choice.entries()) std::visit([&, &name = name](const auto& v) { j[name] = v; }, value.variant());
  return j;
}

Attrs choice_from_json(const Json& j) {
  Attrs choice;
  for (const auto& [name, value] : j.items())
    value.is_string() ? choice.set(name, value.get<std::string>()) : choice.set(name, value.get<int64_t>());
  return choice;
}

Json target_json(const Target& t) {
  Json tuning = Json::object();
  for (const auto& [problem, choice] : t.tuning) tuning[problem] = choice_json(choice);
  return {{"engine", engine_name(t.engine)}, {"subgroup_size", t.subgroup_size}, {"max_invocations", t.max_invocations},
          {"workgroup", t.workgroup}, {"vectors_per_invocation", t.vectors_per_invocation},
          {"parallel_groups", t.parallel_groups}, {"shared_memory_bytes", t.shared_memory_bytes},
          {"max_storage_range", t.max_storage_range}, {"storage_alignment", t.storage_alignment},
          {"max_groups", t.max_groups}, {"matrix", t.matrix}, {"texel", t.texel}, {"scalar_loads", t.scalar_loads}, {"tuning", tuning}};
}

Target target_from_json(const Json& j) {
  Target t;
  t.engine = engine_from_name(j.at("engine").get<std::string>());
  j.at("subgroup_size").get_to(t.subgroup_size);
  j.at("max_invocations").get_to(t.max_invocations);
  j.at("workgroup").get_to(t.workgroup);
  j.at("vectors_per_invocation").get_to(t.vectors_per_invocation);
  j.at("parallel_groups").get_to(t.parallel_groups);
  j.at("shared_memory_bytes").get_to(t.shared_memory_bytes);
  j.at("max_storage_range").get_to(t.max_storage_range);
  j.at("storage_alignment").get_to(t.storage_alignment);
  j.at("max_groups").get_to(t.max_groups);
  t.matrix = j.value("matrix", t.matrix);           // checkpoints from before the coopmat engine
  j.at("texel").get_to(t.texel);
  t.scalar_loads = j.value("scalar_loads", false);  // checkpoints from before it was known
  if (j.contains("tuning"))  // versions before tuning wrote none
    for (const auto& [problem, choice] : j.at("tuning").items()) {
      t.tuning[problem] = choice_from_json(choice);
      apply_choice(t, t.tuning[problem]);  // fails for what no version of ours writes
    }
  return t;
}

std::vector<std::byte> encode_checkpoint(const Checkpoint& c) {
  const std::string header = header_of(c).dump();
  std::vector<std::byte> out;
  size_t total = kFixed + header.size() + c.best_model.size() + kChecksum;
  for (const auto& [name, bytes] : c.states) total += bytes.size();
  out.reserve(total);
  const auto raw = [&](std::span<const std::byte> bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); };
  raw(std::as_bytes(std::span(kMagic)));
  append(out, kVersion);
  append(out, uint64_t(header.size()));
  raw(std::as_bytes(std::span(header)));
  for (const auto& [name, bytes] : c.states) raw(bytes);
  raw(c.best_model);
  append(out, checksum(out));
  return out;
}

Checkpoint decode_checkpoint(std::span<const std::byte> bytes, const std::string& source) {
  const auto damaged = [&](const std::string& why) {
    throw DamagedCheckpoint(ErrorKind::bad_input, "checkpoint", fmt::format("{}: {}", source, why));
  };
  if (bytes.size() < kFixed + kChecksum || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0)
    damaged("not a checkpoint, or cut short");
  const std::span<const std::byte> body = bytes.first(bytes.size() - kChecksum);
  if (checksum(body) != field<uint32_t>(bytes, body.size())) damaged("wrong checksum: damaged or cut short");
  if (const auto version = field<uint32_t>(bytes, 8); version != kVersion)
    fail("checkpoint", "{}: version {}, expected {}. Fix: use the version of vkfer that wrote it", source, version, kVersion);
  const auto header_bytes = field<uint64_t>(bytes, 12);
  if (header_bytes > body.size() - kFixed) damaged("its header is longer than the file");
  try {
    const Json header = Json::parse(reinterpret_cast<const char*>(body.data()) + kFixed,
                                    reinterpret_cast<const char*>(body.data()) + kFixed + header_bytes);
    Checkpoint c = from_header(header);
    std::span<const std::byte> rest = body.subspan(kFixed + size_t(header_bytes));
    const auto take = [&](uint64_t count) {
      if (count > rest.size()) damaged("its tensors are longer than the file");
      const auto part = rest.first(size_t(count));
      rest = rest.subspan(size_t(count));
      return std::vector<std::byte>(part.begin(), part.end());
    };
    for (const Json& s : header.at("states")) c.states[s.at("name")] = take(s.at("bytes").get<uint64_t>());
    c.best_model = take(header.at("best_model_bytes").get<uint64_t>());
    if (!rest.empty()) damaged("bytes left over");
    return c;
  } catch (const nlohmann::json::exception& e) {
    damaged(e.what());
  }
  return {};
}

}  // namespace vkfer
