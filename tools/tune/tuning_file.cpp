#include "tools/tune/tuning_file.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "graph/executor.h"
#include "graph/tuning.h"
#include "runtime/cache_file.h"
#include "runtime/error.h"
#include "shaders/embedded.h"
#include "tools/data/atomic_file.h"
#include "tools/train/checkpoint.h"

namespace vkfer {
namespace {

constexpr int kVersion = 1;
constexpr uintmax_t kMostBytes = 64u << 20;

std::string hash_text(std::string_view text) { return fmt::format("{:016x}", hash_bytes(std::as_bytes(std::span(text)))); }

// Of every module: a kernel that changed was not measured, nor compared.
std::string shaders_hash() {
  std::string all;
  for (const std::string_view name : shader_names()) {
    const std::span<const uint32_t> words = find_shader(name);
    all += fmt::format("{} {:016x}\n", name, hash_bytes(std::as_bytes(words)));
  }
  return hash_text(all);
}

// What the file is true of.
Json key_of(const DeviceInfo& info, const Target& profile) {
  return {{"version", kVersion}, {"device", info.name}, {"uuid", info.uuid}, {"driver", info.driver_name + " " + info.driver_info},
          {"driver_version", info.driver_version}, {"shaders", shaders_hash()}, {"profile", profile.to_string()}};
}

std::string text_of(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::file_size(path, error) > kMostBytes || error) return {};
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The first part of the key that differs, or "".
std::string difference(const Json& then, const Json& now) {
  for (const auto& [name, value] : now.items())
    if (!then.contains(name) || then.at(name) != value) return name;
  return {};
}

std::vector<TunedEntry> entries_of(const Json& list, const Target& profile) {
  std::vector<TunedEntry> entries;
  for (const Json& e : list) {
    entries.push_back({e.at("problem"), choice_from_json(e.at("choice")), e.at("milliseconds"), e.at("default_milliseconds")});
    apply_choice(profile, entries.back().choice);  // fails when the profile does not allow it
  }
  return entries;
}

}  // namespace

std::filesystem::path tuning_path(const DeviceInfo& info) {
  const std::filesystem::path folder = cache_folder();
  return folder.empty() ? folder : folder / fmt::format("tuning-{}-{:x}.json", info.uuid, info.driver_version);
}

std::vector<TunedEntry> read_tuning(const std::filesystem::path& path, const DeviceInfo& info, const Target& profile, const Notice& notice) {
  const auto ignored = [&](const std::string& why) {
    if (notice) notice(fmt::format("{} is ignored: {}. Fix: vkfer tune again", path.string(), why));
    return std::vector<TunedEntry>{};
  };
  std::error_code error;
  if (path.empty() || !std::filesystem::exists(path, error)) return {};
  try {
    Json file = Json::parse(text_of(path));
    const std::string checksum = file.at("checksum");
    file.erase("checksum");
    if (checksum != hash_text(file.dump())) return ignored("it is damaged, or was edited");
    if (const std::string what = difference(file.at("key"), key_of(info, profile)); !what.empty()) return ignored("it was made with another " + what);
    return entries_of(file.at("entries"), profile);
  } catch (const nlohmann::json::exception&) {
    return ignored("it is damaged");
  } catch (const Error& e) {
    return ignored(e.what());
  }
}

void write_tuning(const std::filesystem::path& path, const DeviceInfo& info, const Target& profile, const std::vector<TunedEntry>& entries) {
  std::vector<TunedEntry> all = entries;
  for (TunedEntry& e : read_tuning(path, info, profile)) all.push_back(std::move(e));
  Json list = Json::array();
  std::set<std::string> written;
  for (const TunedEntry& e : all)
    if (written.insert(e.problem).second)
      list.push_back({{"problem", e.problem}, {"choice", choice_json(e.choice)}, {"milliseconds", e.milliseconds},
                      {"default_milliseconds", e.default_milliseconds}});
  Json file = {{"key", key_of(info, profile)}, {"entries", list}};
  file["checksum"] = hash_text(file.dump());
  std::filesystem::create_directories(path.parent_path());
  write_file(path, std::string_view(file.dump(1) + "\n"));
}

Target tuned_target(const DeviceInfo& info, const Notice& notice) {
  Target target = target_for(info);
  const char* wanted = std::getenv("VKFER_TUNING");
  if (wanted && std::string_view(wanted) == "0") return target;
  for (const TunedEntry& e : read_tuning(tuning_path(info), info, target, notice))
    if (!e.choice.entries().empty()) target.tuning[e.problem] = e.choice;
  return target;
}

}  // namespace vkfer
