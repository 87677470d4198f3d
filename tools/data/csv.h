#pragma once
// Comma-separated text, read line by line: RFC 4180 without line breaks inside quotes.
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace vkfer {

class CsvReader {
 public:
  // Opens and reads the header; names are trimmed and in lower case.
  explicit CsvReader(const std::filesystem::path& path);

  // Index of the first of `names` that is a column, or -1.
  int column(std::initializer_list<std::string_view> names) const;

  // The next line that is not blank; false at the end. Fields stay valid until the next call.
  // A line with another number of fields than the header has sets `wrong_field_count` and is returned all the same.
  bool next();
  std::string_view field(int column) const;  // trimmed; "" for column -1 or past the end of a short line
  bool wrong_field_count() const { return fields_.size() != header_.size(); }
  size_t field_count() const { return fields_.size(); }
  size_t header_count() const { return header_.size(); }
  std::string where() const;  // "train.csv:1841"

 private:
  bool read_line();
  void split_line();

  std::string name_;
  std::ifstream file_;
  std::string buffer_;  // bytes read and not yet handed out, from at_ on
  size_t at_ = 0, line_number_ = 0;
  std::string line_;
  std::vector<std::string> fields_, header_;
};

// Text as a field, quoted where it must be.
std::string csv_field(const std::string& text);
// A whole field as a number; false when it is anything else.
bool parse_number(std::string_view text, double& value);
bool parse_integer(std::string_view text, long long& value);
// "a,b,,c" at ',' is a, b, "" and c, without quotes: how options take lists. Views of `text`; never empty.
std::vector<std::string_view> split_at(char separator, std::string_view text);

}  // namespace vkfer
