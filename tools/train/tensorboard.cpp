#include "tools/train/tensorboard.h"

#include <unistd.h>

#include <array>
#include <chrono>
#include <cmath>
#include <cstring>

#include "models/onnx/protobuf.h"
#include "runtime/error.h"
#include "tools/data/bytes.h"

namespace vkfer {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBegins = "events.out.tfevents.", kEnds = ".vkfer";  // only such files are ours to cut
constexpr const char* kEpochTag = "epoch/number";
constexpr size_t kMaxLogBytes = size_t{4} << 30, kMaxRecordBytes = 1 << 24;

// Fields of Event, Summary, Summary.Value and SessionLog.
enum : uint32_t { kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7 };
enum : uint32_t { kValue = 1, kTag = 1, kSimpleValue = 2, kStatus = 1 };
constexpr int64_t kStart = 1;  // SessionLog.START: readers drop what they have of this step and later ones

constexpr std::array<uint32_t, 256> kTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    table[i] = i;
    for (int bit = 0; bit < 8; ++bit) table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0x82F63B78u : 0u);
  }
  return table;
}();

uint32_t masked_crc(std::span<const std::byte> bytes) {
  const uint32_t crc = crc32c(bytes);
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

template <class T>
std::string raw(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);  // little-endian, as the file and every host of ours
}

std::string record(const ProtoWriter& event) {
  const std::string length = raw(uint64_t(event.bytes().size()));
  return length + raw(masked_crc(std::as_bytes(std::span(length)))) + event.bytes() + raw(masked_crc(std::as_bytes(std::span(event.bytes()))));
}

ProtoWriter event_of(int64_t step) {
  ProtoWriter event;
  event.number64(kWallTime, std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
  if (step > 0) event.integer(kStep, step);
  return event;
}

LoggedStep parse_event(std::span<const std::byte> bytes, const std::string& source) {
  LoggedStep logged;
  for (ProtoReader event(bytes, source, 0); event.next();) {
    if (event.number() == kStep) logged.step = event.integer();
    if (event.number() != kSummary) continue;
    for (ProtoReader summary = event.message(); summary.next();) {
      if (summary.number() != kValue) continue;
      std::pair<std::string, double> scalar;
      for (ProtoReader value = summary.message(); value.next();)
        if (value.number() == kTag) scalar.first = value.text();
        else if (value.number() == kSimpleValue) scalar.second = value.number32();
      logged.scalars.push_back(std::move(scalar));
    }
  }
  return logged;
}

// f(step with scalars, bytes up to its end) for each; false ends it. Damage ends it too.
template <class F>
void each_logged(const fs::path& path, F&& f) {
  const std::vector<std::byte> bytes = read_file(path, kMaxLogBytes);
  const auto field = [&]<class T>(size_t at, T) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
  };
  const std::span<const std::byte> all(bytes);
  for (size_t at = 0; at + 12 <= bytes.size();) {
    const auto length = field(at, uint64_t{});
    if (length > kMaxRecordBytes || bytes.size() - at < length + 16 || field(at + 8, uint32_t{}) != masked_crc(all.subspan(at, 8))) return;
    const auto body = all.subspan(at + 12, size_t(length));
    if (field(at + 12 + size_t(length), uint32_t{}) != masked_crc(body)) return;
    LoggedStep logged;
    try {
      logged = parse_event(body, path.string());
    } catch (const Error&) {
      return;
    }
    at += size_t(length) + 16;
    if (!f(logged, at)) return;
  }
}

std::vector<fs::path> our_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kBegins) && name.ends_with(kEnds) && entry.is_regular_file(error)) files.push_back(entry.path());
  }
  return files;
}

int epoch_of(const LoggedStep& logged) {
  for (const auto& [tag, value] : logged.scalars)
    if (tag == kEpochTag) return int(value);
  return -1;
}

// Leaves of a file what is sound and not beyond `from`; raises `until` to what it then has.
void cut_off(const fs::path& path, const LoggedUntil& from, LoggedUntil& until) {
  uint64_t keep = 0;
  each_logged(path, [&](const LoggedStep& logged, size_t end) {
    if (!logged.scalars.empty()) {
      if (logged.step > from.step || epoch_of(logged) > from.epoch) return false;
      until = {std::max(until.step, logged.step), std::max(until.epoch, epoch_of(logged))};
    }
    keep = end;
    return true;
  });
  std::error_code error;
  if (fs::file_size(path, error) != keep) fs::resize_file(path, keep, error);
  if (error) fail("--tensorboard", "{}: {}. Fix: check its permissions", path.string(), error.message());
}

LoggedUntil prepare(const fs::path& folder, const LoggedUntil& from) {
  const std::vector<fs::path> files = our_files(folder);
  if (from.step < 0 && !files.empty())
    fail("--tensorboard", "{} holds the curves of a run already. Fix: another folder, or remove {}", folder.string(), files[0].filename().string());
  LoggedUntil until;
  for (const fs::path& file : files) cut_off(file, from, until);
  make_folder(folder);
  return until;
}

fs::path new_file(const fs::path& folder) {
  char host[256] = "localhost";
  ::gethostname(host, sizeof host - 1);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  fs::path path;
  for (int n = 0; path.empty() || fs::exists(path); ++n) path = folder / fmt::format("{}{}.{}.{}.{}{}", kBegins, seconds, host, ::getpid(), n, kEnds);
  return path;
}

}  // namespace

uint32_t crc32c(std::span<const std::byte> bytes) {
  uint32_t crc = ~0u;
  for (const std::byte b : bytes) crc = crc >> 8 ^ kTable[(crc ^ std::to_integer<uint32_t>(b)) & 255];
  return ~crc;
}

TensorBoardLog::TensorBoardLog(const fs::path& folder, LoggedUntil from) : until_(prepare(folder, from)), file_(path_ = new_file(folder)) {
  ProtoWriter version = event_of(0);
  version.text(kFileVersion, "brain.Event:2");
  file_.write(record(version));
  if (from.step < 0) return;
  ProtoWriter start, session = event_of(from.step + 1);
  start.integer(kStatus, kStart);
  session.message(kSessionLog, start);
  file_.write(record(session));
}

void TensorBoardLog::write(int64_t step, const Scalars& scalars) {
  ProtoWriter summary, event = event_of(step);
  for (const auto& [tag, number] : scalars) {
    if (!std::isfinite(number)) continue;
    ProtoWriter value;
    value.text(kTag, tag);
    value.number32(kSimpleValue, float(number));
    summary.message(kValue, value);
  }
  if (summary.bytes().empty()) return;
  event.message(kSummary, summary);
  file_.write(record(event));
}

Scalars epoch_scalars(const EpochRecord& r) {
  Scalars s{{"loss/train", r.train.loss()}, {"loss/val", r.val.loss()}};
  if (r.val.has_classes()) {
    const ClassificationMetrics train = classification_metrics(r.train.confusion), val = classification_metrics(r.val.confusion);
    s.insert(s.end(), {{"accuracy/train", train.accuracy}, {"accuracy/val", val.accuracy}, {"macro_f1/train", train.macro_f1}, {"macro_f1/val", val.macro_f1}});
  }
  s.insert(s.end(), {{"epoch/learning_rate", r.learning_rate}, {"epoch/seconds", r.seconds}, {kEpochTag, double(r.epoch)}});
  if (r.val.valence) s.emplace_back("ccc/val", r.val.ccc());
  for (const auto& [name, affect] : {std::pair("valence", &r.val.valence), std::pair("arousal", &r.val.arousal)})
    if (*affect) s.emplace_back(fmt::format("{}/rmse", name), (*affect)->metrics.rmse), s.emplace_back(fmt::format("{}/ccc", name), (*affect)->metrics.ccc);
  return s;
}

std::vector<LoggedStep> read_tensorboard(const fs::path& path, uint64_t* good_bytes) {
  std::vector<LoggedStep> all;
  each_logged(path, [&](LoggedStep& logged, size_t end) {
    if (!logged.scalars.empty()) all.push_back(std::move(logged));
    if (good_bytes) *good_bytes = end;
    return true;
  });
  return all;
}

}  // namespace vkfer
