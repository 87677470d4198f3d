#include "tools/predict/annotate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "runtime/error.h"
#include "tools/data/atomic_file.h"
#include "tools/data/output_file.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_easy_font.h>
#pragma GCC diagnostic pop

namespace vkfer {
namespace {

namespace fs = std::filesystem;
using Colour = std::array<uint8_t, 3>;

constexpr int kReadable = 256;                         // pixels on the shorter side that are wanted
constexpr int kMostEnlarged = 1024;                    // and on the longer side that are allowed for it
constexpr int kLineHeight = 12, kInset = 2;            // of the font, in its pixels

// Told apart on a screen, also by most who see colours differently: Okabe and Ito's, the brighter ones.
constexpr std::array<Colour, 7> kColours = {
    {{86, 180, 233}, {230, 159, 0}, {0, 200, 140}, {240, 228, 66}, {204, 121, 167}, {213, 94, 0}, {220, 220, 220}}};
constexpr Colour kInk = {0, 0, 0};

void fill(Image& image, int x, int y, int width, int height, const Colour& colour) {
  const int right = std::min(x + width, image.width), bottom = std::min(y + height, image.height);
  for (int row = std::max(y, 0); row < bottom; ++row)
    for (int column = std::max(x, 0); column < right; ++column)
      std::memcpy(image.pixels.data() + (size_t(row) * size_t(image.width) + size_t(column)) * 3, colour.data(), 3);
}

// What the font has: printable ASCII. A character of several bytes becomes one '?'.
std::string drawable(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if ((u & 0xC0) != 0x80) out += u >= 32 && u < 127 ? c : '?';
  }
  return out.substr(0, 200);
}

int text_width(std::string text, int scale) { return stb_easy_font_width(text.data()) * scale; }

void draw_text(Image& image, int x, int y, std::string text, int scale, const Colour& colour) {
  std::vector<char> quads(text.size() * 1024 + 64);
  const int count = stb_easy_font_print(0, 0, text.data(), nullptr, quads.data(), int(quads.size()));
  for (int i = 0; i < count; ++i) {
    float first[2], third[2];   // two corners of a rectangle
    std::memcpy(first, quads.data() + i * 64, sizeof first);
    std::memcpy(third, quads.data() + i * 64 + 32, sizeof third);
    fill(image, x + int(first[0]) * scale, y + int(first[1]) * scale, int(third[0] - first[0]) * scale, int(third[1] - first[1]) * scale,
         colour);
  }
}

void draw_box(Image& image, int x, int y, int width, int height, int line, const Colour& colour) {
  fill(image, x, y, width, line, colour);
  fill(image, x, y + height - line, width, line, colour);
  fill(image, x, y, line, height, colour);
  fill(image, x + width - line, y, line, height, colour);
}

struct Label {
  std::vector<std::string> lines;
  Colour colour = kColours.back();
};

Label label_of(const Prediction& said, const std::vector<std::string>& classes) {
  Label label;
  if (!classes.empty()) {
    const size_t best = by_probability(said.probabilities)[0];
    label.lines.push_back(drawable(fmt::format("{} {:.0f} %", classes[best], 100 * said.probabilities[best])));
    label.colour = kColours[best % kColours.size()];
  }
  if (said.valence) label.lines.push_back(fmt::format("v {:+.2f} a {:+.2f}", *said.valence, *said.arousal));
  return label;
}

// With its lower left corner at x, bottom, moved into the picture where it would leave it.
void draw_label(Image& image, int x, int bottom, const Label& label, int scale) {
  int width = 0;
  for (const std::string& line : label.lines) width = std::max(width, text_width(line, scale));
  width += 2 * kInset * scale;
  const int height = (int(label.lines.size()) * kLineHeight + kInset) * scale;
  x = std::max(0, std::min(x, image.width - width));
  const int top = std::max(0, std::min(bottom, image.height) - height);
  fill(image, x, top, width, height, label.colour);
  for (size_t i = 0; i < label.lines.size(); ++i)
    draw_text(image, x + kInset * scale, top + (kInset + int(i) * kLineHeight) * scale, label.lines[i], scale, kInk);
}

Image enlarged(const Image& in, int factor) {
  Image out{in.height * factor, in.width * factor, in.channels, {}};
  out.pixels.resize(size_t(out.height) * size_t(out.width) * size_t(out.channels));
  uint8_t* to = out.pixels.data();
  for (int y = 0; y < out.height; ++y)
    for (int x = 0; x < out.width; ++x, to += in.channels)
      std::memcpy(to, in.pixels.data() + (size_t(y / factor) * size_t(in.width) + size_t(x / factor)) * size_t(in.channels),
                  size_t(in.channels));
  return out;
}

int enlargement(const Image& picture) {
  const int shorter = std::min(picture.width, picture.height), longer = std::max(picture.width, picture.height);
  return std::max(1, std::min((kReadable + shorter - 1) / shorter, kMostEnlarged / longer));
}

// Where the file system has it, links followed; an empty path for what is not there.
fs::path real_path(const fs::path& path) {
  std::error_code error;
  return fs::canonical(path, error);
}

fs::path absolute_folder(const std::string& input) {
  std::error_code error;
  return fs::absolute(input, error).lexically_normal().parent_path();
}

fs::path common_part(const fs::path& a, const fs::path& b) {
  fs::path common;
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end() && *i == *j; ++i, ++j) common /= *i;
  return common;
}

bool is_jpeg_name(const fs::path& path) {
  std::string ending = path.extension().string();
  std::ranges::transform(ending, ending.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  return ending == ".jpg" || ending == ".jpeg" || ending == ".jpe" || ending == ".jfif";
}

}  // namespace

Image enlarged_to_read(Image picture) {
  const int factor = enlargement(picture);
  return factor == 1 ? std::move(picture) : enlarged(picture, factor);
}

Image annotated(const Image& picture, const PictureAnswer& answer, const std::vector<std::string>& classes) {
  const int factor = enlargement(picture);
  Image image = convert_channels(factor == 1 ? picture : enlarged(picture, factor), 3);
  const int shorter = std::min(image.width, image.height);
  const int line = std::clamp(shorter / 200, 1, 20), scale = std::clamp(shorter / 240, 1, 40);
  for (const FaceAnswer& f : answer.faces) {
    const Label label = label_of(f.said, classes);
    if (!f.face) {
      draw_label(image, 0, 0, label, scale);
      continue;
    }
    const int x = f.face->x * factor, y = f.face->y * factor;
    draw_box(image, x, y, f.face->width * factor, f.face->height * factor, line, label.colour);
    draw_label(image, x, y, label, scale);
  }
  return image;
}

OutputNames::OutputNames(fs::path folder, std::span<const ListedPicture> inputs) : folder_(std::move(folder)) {
  bool first = true;
  for (const ListedPicture& input : inputs) {
    if (!input.problem.empty() || input.name == kStandardInput) continue;
    if (fs::path real = real_path(input.name); !real.empty()) inputs_.insert(std::move(real));
    const fs::path lies = absolute_folder(input.name);
    common_ = first ? lies : common_part(common_, lies);
    first = false;
  }
}

fs::path OutputNames::next(const std::string& input) {
  const fs::path inside =
      input == kStandardInput ? fs::path("stdin") : (absolute_folder(input) / fs::path(input).filename()).lexically_relative(common_);
  const fs::path base = folder_ / fs::path(inside).replace_extension();
  const std::string ending = is_jpeg_name(inside) ? inside.extension().string() : ".png";
  for (int n = 1;; ++n) {
    const fs::path name = base.string() + (n == 1 ? "" : "-" + std::to_string(n)) + ending;
    if (taken_.contains(name.string()) || inputs_.contains(real_path(name))) continue;
    taken_.insert(name.string());
    return name;
  }
}

void write_picture(const fs::path& path, const Image& image) {
  if (path.has_parent_path()) make_folder(path.parent_path());
  write_file(path, is_jpeg_name(path) ? jpeg_bytes(image, path.string()) : png_bytes(image, path.string()));
}

}  // namespace vkfer
