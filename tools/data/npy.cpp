#include "tools/data/npy.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "runtime/error.h"
#include "tools/data/bytes.h"

namespace vkfer {

static_assert(std::endian::native == std::endian::little, "numbers are copied from and to the file as they are");

namespace {

constexpr size_t kMaxNpyBytes = size_t{8} << 30;
constexpr size_t kMaxHeaderBytes = 1 << 16;

// Reads Python's literal {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } and nothing more general.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  std::string descr;
  bool fortran = false;
  std::vector<int64_t> shape;

  void parse() {
    int seen = 0;
    expect('{');
    while (!take('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr") descr = string(), seen |= 1;
      else if (key == "fortran_order") fortran = boolean(), seen |= 2;
      else if (key == "shape") tuple(), seen |= 4;
      else wrong("an unknown key");
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    if (seen != 7) wrong("descr, fortran_order and shape, one is missing");
  }

 private:
  [[noreturn]] void wrong(std::string_view what) const {
    fail("npy", "'{}': the header has {} at character {}. Fix: write the array again with numpy.save", name_, what, at_);
  }
  void blanks() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool take(char c) {
    blanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) wrong(fmt::format("no '{}'", c));
  }
  std::string string() {
    blanks();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') wrong("no quoted text (structured types are not read)");
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) wrong("an open quote");
    std::string value(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return value;
  }
  bool boolean() {
    blanks();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return value;
    }
    wrong("neither True nor False");
  }
  void tuple() {
    shape.clear();
    expect('(');
    while (!take(')')) {
      blanks();
      int64_t value = 0;
      const auto [end, code] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
      if (code != std::errc() || value < 0) wrong("a bad dimension");
      at_ = static_cast<size_t>(end - text_.data());
      shape.push_back(value);
      if (shape.size() > 32) wrong("more than 32 dimensions");
      if (!take(',')) {
        expect(')');
        break;
      }
    }
  }

  std::string_view text_, name_;
  size_t at_ = 0;
};

struct ElementType {
  char kind = 0;     // f i u b U S
  size_t bytes = 0;  // per element
};

ElementType element_type(std::string_view dtype, std::string_view name) {
  ElementType type;
  size_t number = 0;
  if (!dtype.empty()) type.kind = dtype[0];
  const char* end = dtype.data() + dtype.size();
  const bool numeric = dtype.size() > 1 && std::from_chars(dtype.data() + 1, end, number).ptr == end;
  const bool power = number == 1 || number == 2 || number == 4 || number == 8;
  const bool known = (type.kind == 'f' && power && number > 1) || ((type.kind == 'i' || type.kind == 'u') && power) ||
                     (type.kind == 'b' && number == 1) || ((type.kind == 'U' || type.kind == 'S') && number <= 4096);
  if (!numeric || !known)
    fail("npy", "'{}': element type '{}' is not read, expected f2 f4 f8, i1..i8, u1..u8, b1, U or S. Fix: astype()", name,
         dtype);
  type.bytes = type.kind == 'U' ? number * 4 : number;
  return type;
}

// "<f4" -> "f4"; what lies the other way round is turned on reading.
std::string without_byte_order(std::string_view descr) {
  const bool marked = !descr.empty() && std::string_view("<>|=").find(descr[0]) != std::string_view::npos;
  return std::string(marked ? descr.substr(1) : descr);
}

void turn_bytes(std::vector<std::byte>& data, const ElementType& type) {
  const size_t word = type.kind == 'U' ? 4 : type.kind == 'S' ? 1 : type.bytes;
  for (size_t at = 0; word > 1 && at + word <= data.size(); at += word) std::reverse(data.begin() + ptrdiff_t(at), data.begin() + ptrdiff_t(at + word));
}

// Fortran order: the first index runs fastest. Walks the C order and picks.
std::vector<std::byte> to_c_order(const std::vector<std::byte>& data, std::span<const int64_t> shape, size_t element) {
  std::vector<std::byte> out(data.size());
  std::vector<int64_t> index(shape.size(), 0);
  std::vector<size_t> stride(shape.size(), 1);
  for (size_t d = 1; d < shape.size(); ++d) stride[d] = stride[d - 1] * static_cast<size_t>(shape[d - 1]);
  const size_t count = element ? data.size() / element : 0;
  for (size_t i = 0; i < count; ++i) {
    size_t from = 0;
    for (size_t d = 0; d < shape.size(); ++d) from += stride[d] * static_cast<size_t>(index[d]);
    std::memcpy(out.data() + i * element, data.data() + from * element, element);
    for (size_t d = shape.size(); d-- > 0;) {
      if (++index[d] < shape[d]) break;
      index[d] = 0;
    }
  }
  return out;
}

double half_to_double(uint16_t half) {
  const int exponent = half >> 10 & 31, mantissa = half & 1023;
  const double sign = half & 0x8000 ? -1 : 1;
  if (exponent == 31) return mantissa ? std::numeric_limits<double>::quiet_NaN() : sign * HUGE_VAL;
  return sign * (exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24));
}

template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

std::string text_of(const std::byte* from, const ElementType& type) {
  std::string text;
  const size_t step = type.kind == 'U' ? 4 : 1;
  for (size_t at = 0; at < type.bytes; at += step) {
    const uint32_t code = step == 4 ? load<uint32_t>(from + at) : std::to_integer<uint32_t>(from[at]);
    if (code == 0) break;
    text += code < 128 ? static_cast<char>(code) : '?';
  }
  return text;
}

double number_in_text(const std::string& text, std::string_view name) {
  const size_t first = text.find_first_not_of(" \t\n+"), last = text.find_last_not_of(" \t\n");
  double value = 0;
  if (first != std::string::npos) {
    const auto [end, code] = std::from_chars(text.data() + first, text.data() + last + 1, value);
    if (code == std::errc() && end == text.data() + last + 1) return value;
  }
  fail("npy", "'{}': the text '{}' is not a number", name, text);
}

double number_at(const std::byte* from, const ElementType& type, std::string_view name) {
  switch (type.kind) {
    case 'f':
      return type.bytes == 4 ? load<float>(from) : type.bytes == 8 ? load<double>(from) : half_to_double(load<uint16_t>(from));
    case 'i':
      return type.bytes == 1   ? load<int8_t>(from)
             : type.bytes == 2 ? load<int16_t>(from)
             : type.bytes == 4 ? load<int32_t>(from)
                               : static_cast<double>(load<int64_t>(from));
    case 'u':
    case 'b':
      return type.bytes == 1   ? load<uint8_t>(from)
             : type.bytes == 2 ? load<uint16_t>(from)
             : type.bytes == 4 ? load<uint32_t>(from)
                               : static_cast<double>(load<uint64_t>(from));
    default:
      return number_in_text(text_of(from, type), name);
  }
}

// Elements times size, refused before it can overflow.
size_t data_bytes(std::span<const int64_t> shape, size_t element, std::string_view name) {
  const bool empty = element == 0 || std::ranges::find(shape, 0) != shape.end();
  size_t bytes = empty ? 0 : element;
  for (const int64_t size : shape) {
    if (bytes && static_cast<size_t>(size) > kMaxNpyBytes / bytes)
      fail("npy", "'{}': the header declares more than {} bytes", name, kMaxNpyBytes);
    bytes *= static_cast<size_t>(size);
  }
  return bytes;
}

template <class T>
void write_array(const std::filesystem::path& path, std::string_view descr, std::span<const int64_t> shape,
                 std::span<const T> values) {
  std::string dims;
  size_t count = 1;
  for (const int64_t size : shape) dims += fmt::format("{}, ", size), count *= static_cast<size_t>(size);
  if (shape.size() > 1) dims.resize(dims.size() - 2);
  if (count != values.size())
    fail("npy", "'{}': {} values for shape ({}), expected {}", path.string(), values.size(), dims, count);
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, dims);
  header.append(63 - (header.size() + 10) % 64, ' ');  // the data starts on a multiple of 64
  header += '\n';
  std::ofstream file(path, std::ios::binary);
  const auto length = static_cast<uint16_t>(header.size());
  file.write("\x93NUMPY\x01\x00", 8).write(reinterpret_cast<const char*>(&length), 2) << header;
  file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
  file.close();
  if (!file) fail("npy", "'{}' cannot be written. Fix: check the folder and the free space", path.string());
}

}  // namespace

int64_t NpyArray::count() const {
  int64_t product = 1;
  for (const int64_t size : shape) product *= size;
  return product;
}

double NpyArray::number(int64_t index) const {
  const ElementType type = element_type(dtype, name);
  return number_at(data.data() + static_cast<size_t>(index) * type.bytes, type, name);
}

std::vector<float> NpyArray::as_floats() const {
  const ElementType type = element_type(dtype, name);
  std::vector<float> values(static_cast<size_t>(count()));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(number_at(data.data() + i * type.bytes, type, name));
  return values;
}

std::vector<int64_t> NpyArray::as_int64s() const {
  const ElementType type = element_type(dtype, name);
  std::vector<int64_t> values(static_cast<size_t>(count()));
  for (size_t i = 0; i < values.size(); ++i) {
    const std::byte* from = data.data() + i * type.bytes;
    if (type.kind == 'i' && type.bytes == 8) {  // beyond 2^53 a double would round
      values[i] = load<int64_t>(from);
      continue;
    }
    const double value = number_at(from, type, name);
    if (!(std::abs(value) <= 0x1p53) || value != std::floor(value))
      fail("npy", "'{}': element {} is {}, expected an integer", name, i, value);
    values[i] = static_cast<int64_t>(value);
  }
  return values;
}

NpyArray parse_npy(std::span<const std::byte> bytes, std::string_view name) {
  if (bytes.size() < 10 || std::memcmp(bytes.data(), "\x93NUMPY", 6) != 0)
    fail("npy", "'{}' is not a .npy file. Fix: write it with numpy.save", name);
  const uint32_t version = byte_at(bytes, 6);
  if (version < 1 || version > 3) fail("npy", "'{}': format version {}, expected 1, 2 or 3", name, version);
  const size_t start = version == 1 ? 10 : 12;
  if (bytes.size() < start) fail("npy", "'{}' is truncated in its header", name);
  const size_t length = version == 1 ? little16(bytes, 8) : little32(bytes, 8);
  if (length > kMaxHeaderBytes || length > bytes.size() - start)
    fail("npy", "'{}': a header of {} bytes in a file of {}. Fix: the file is truncated or damaged", name, length,
         bytes.size());
  HeaderParser header({reinterpret_cast<const char*>(bytes.data()) + start, length}, name);
  header.parse();

  NpyArray array;
  array.name = name;
  array.dtype = without_byte_order(header.descr);
  array.shape = header.shape;
  const ElementType type = element_type(array.dtype, name);
  const std::span<const std::byte> data = bytes.subspan(start + length);
  const size_t expected = data_bytes(array.shape, type.bytes, name);
  // Texts of length zero take no bytes, so only this bounds how many of them a header may promise.
  if (type.bytes == 0 && std::ranges::any_of(array.shape, [](int64_t size) { return size > 1; }))
    fail("npy", "'{}': an array of empty texts", name);
  if (data.size() != expected)
    fail("npy", "'{}': {} bytes of data, expected {} for its shape and type {}. Fix: the file is truncated or damaged",
         name, data.size(), expected, array.dtype);
  array.data.assign(data.begin(), data.end());
  if (header.descr.starts_with('>')) turn_bytes(array.data, type);
  if (header.fortran && array.shape.size() > 1) array.data = to_c_order(array.data, array.shape, type.bytes);
  return array;
}

NpyArray read_npy(const std::filesystem::path& path) {
  return parse_npy(read_file(path, kMaxNpyBytes + kMaxHeaderBytes), path.string());
}

void write_npy(const std::filesystem::path& path, std::span<const int64_t> shape, std::span<const float> values) {
  write_array(path, "<f4", shape, values);
}

void write_npy(const std::filesystem::path& path, std::span<const int64_t> shape, std::span<const int64_t> values) {
  write_array(path, "<i8", shape, values);
}

}  // namespace vkfer
