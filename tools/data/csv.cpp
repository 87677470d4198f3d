#include "tools/data/csv.h"

#include <algorithm>
#include <charconv>

#include "runtime/error.h"

namespace vkfer {
namespace {

constexpr size_t kChunkBytes = 1 << 20;
constexpr size_t kMaxLineBytes = 64 << 20;
constexpr size_t kMaxFields = 4096;

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

}  // namespace

CsvReader::CsvReader(const std::filesystem::path& path) : name_(path.string()), file_(path, std::ios::binary) {
  if (!file_) fail("csv", "'{}' cannot be opened. Fix: check the path and its permissions", name_);
  if (!next()) fail("csv", "'{}' is empty. Fix: name a csv with a header line", name_);
  header_ = fields_;
  for (std::string& name : header_) {
    if (name.starts_with("\xEF\xBB\xBF")) name.erase(0, 3);  // a byte order mark
    name = trim(name);
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  }
}

int CsvReader::column(std::initializer_list<std::string_view> names) const {
  for (const std::string_view name : names)
    for (size_t i = 0; i < header_.size(); ++i)
      if (header_[i] == name) return static_cast<int>(i);
  return -1;
}

bool CsvReader::next() {
  while (read_line()) {
    if (trim(line_).empty()) continue;
    split_line();
    return true;
  }
  return false;
}

std::string_view CsvReader::field(int column) const {
  if (column < 0 || static_cast<size_t>(column) >= fields_.size()) return {};
  return trim(fields_[static_cast<size_t>(column)]);
}

std::string CsvReader::where() const { return fmt::format("{}:{}", name_, line_number_); }

bool CsvReader::read_line() {
  size_t end;
  while ((end = buffer_.find('\n', at_)) == buffer_.npos && file_) {
    buffer_.erase(0, at_);
    at_ = 0;
    if (buffer_.size() > kMaxLineBytes)
      fail("csv", "{}:{}: a line longer than {} bytes. Fix: this is no csv", name_, line_number_ + 1, kMaxLineBytes);
    const size_t had = buffer_.size();
    buffer_.resize(had + kChunkBytes);
    file_.read(buffer_.data() + had, kChunkBytes);
    buffer_.resize(had + static_cast<size_t>(file_.gcount()));
  }
  if (end == buffer_.npos) end = buffer_.size();
  if (at_ >= buffer_.size()) return false;
  line_.assign(buffer_, at_, end - at_);
  at_ = end + 1;
  ++line_number_;
  if (line_.find('\0') != line_.npos) fail("csv", "{}:{}: binary data. Fix: name a text file", name_, line_number_);
  return true;
}

// Quotes only count where a field begins with one, so that stray ones inside a file name do no harm.
void CsvReader::split_line() {
  fields_.clear();
  size_t at = 0;
  while (true) {
    std::string field;
    const size_t first = line_.find_first_not_of(" \t", at);
    if (first != line_.npos && line_[first] == '"') {
      size_t end = first + 1;
      while (true) {
        const size_t quote = line_.find('"', end);
        if (quote == line_.npos) fail("csv", "{}: a quote is not closed. Fix: put each row on one line", where());
        field.append(line_, end, quote - end);
        end = quote + 1;
        if (end >= line_.size() || line_[end] != '"') break;
        field += '"';  // "" inside quotes
        ++end;
      }
      at = std::min(line_.find(',', end), line_.size());
    } else {
      const size_t end = std::min(line_.find(',', at), line_.size());
      field.assign(line_, at, end - at);
      at = end;
    }
    fields_.push_back(std::move(field));
    if (fields_.size() > kMaxFields) fail("csv", "{}: more than {} fields", where(), kMaxFields);
    if (at >= line_.size()) return;
    ++at;  // the comma
  }
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + "\"";
}

bool parse_number(std::string_view text, double& value) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size();
}

bool parse_integer(std::string_view text, long long& value) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size();
}

std::vector<std::string_view> split_at(char separator, std::string_view text) {
  std::vector<std::string_view> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

}  // namespace vkfer
