// PNG through libpng: http://www.libpng.org/pub/png/libpng-manual.txt
#include <png.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "runtime/error.h"
#include "tools/data/bytes.h"
#include "tools/data/codecs.h"
#include "tools/data/output_file.h"

namespace vkfer {
namespace {

// Everything that lives across libpng's longjmp. The functions that call setjmp have no local objects of their own.
struct PngReader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::span<const std::byte> rest;
  int64_t width = 0, height = 0;
  int channels = 0;  // after the transformations: 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha
  std::vector<uint8_t> samples;
  std::vector<png_bytep> rows;
  char message[160] = {};

  PngReader() = default;
  PngReader(const PngReader&) = delete;
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* reader = static_cast<PngReader*>(png_get_error_ptr(png));
  std::strncpy(reader->message, message, sizeof reader->message - 1);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}  // about metadata only: benign errors are errors here

void on_read(png_structp png, png_bytep out, size_t bytes) {
  auto* reader = static_cast<PngReader*>(png_get_io_ptr(png));
  if (bytes > reader->rest.size()) png_error(png, "the file ends too early");
  std::memcpy(out, reader->rest.data(), bytes);
  reader->rest = reader->rest.subspan(bytes);
}

bool read_header(PngReader& reader) {
  png_structp png = reader.png;
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_read_fn(png, &reader, on_read);
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_benign_errors(png, 0);
  // Profiles, texts, times: not used, often slightly wrong in real files, a surface for attacks. -1 leaves tRNS alone.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_read_info(png, reader.info);
  reader.width = png_get_image_width(png, reader.info);
  reader.height = png_get_image_height(png, reader.info);
  return true;
}

// Any of PNG's layouts to 8-bit gray or RGB, with alpha if the file has transparency of any kind.
bool normalise(PngReader& reader) {
  png_structp png = reader.png;
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_scale_16(png);
  png_set_expand(png);  // palettes, 1 to 4 bits, tRNS
  png_set_interlace_handling(png);
  png_read_update_info(png, reader.info);
  reader.channels = png_get_channels(png, reader.info);
  if (png_get_rowbytes(png, reader.info) != static_cast<size_t>(reader.width) * reader.channels)
    png_error(png, "unexpected row size");
  return true;
}

bool read_pixels(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_read_image(reader.png, reader.rows.data());
  png_read_end(reader.png, nullptr);  // checks the last checksums and that IEND is there
  return true;
}

uint32_t big32(std::span<const std::byte> b, size_t at) {
  return byte_at(b, at) << 24 | byte_at(b, at + 1) << 16 | byte_at(b, at + 2) << 8 | byte_at(b, at + 3);
}

[[noreturn]] void fail_png(const PngReader& reader, std::string_view name) {
  fail("png", "'{}': {}. Fix: replace or remove the file; --skip-bad leaves such files out", name, reader.message);
}

}  // namespace

Image decode_png(std::span<const std::byte> bytes, std::string_view name) {
  // Width and height, where IHDR has them: libpng's own limits speak of "invalid data".
  if (bytes.size() >= 24) check_image_size(big32(bytes, 16), big32(bytes, 20), name);
  PngReader reader;
  reader.rest = bytes;
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning);
  if (reader.png) reader.info = png_create_info_struct(reader.png);
  if (!reader.info) fail("png", "libpng cannot start");
  if (!read_header(reader)) fail_png(reader, name);
  check_image_size(reader.width, reader.height, name);
  if (!normalise(reader)) fail_png(reader, name);

  const size_t stride = static_cast<size_t>(reader.width) * reader.channels;
  reader.samples.resize(stride * static_cast<size_t>(reader.height));
  for (int64_t y = 0; y < reader.height; ++y) reader.rows.push_back(reader.samples.data() + stride * y);
  if (!read_pixels(reader)) fail_png(reader, name);

  if (reader.channels % 2 == 0) composite_over_white(reader.samples, reader.channels);
  return Image{static_cast<int>(reader.height), static_cast<int>(reader.width), reader.channels <= 2 ? 1 : 3,
               std::move(reader.samples)};
}

std::vector<std::byte> png_bytes(const Image& image, std::string_view name) {
  const size_t expected = static_cast<size_t>(image.width) * image.height * image.channels;
  if (image.pixels.size() != expected || expected == 0 || (image.channels != 1 && image.channels != 3))
    fail("png", "'{}': an image {}x{} with {} channels and {} bytes cannot be written", name, image.width, image.height, image.channels,
         image.pixels.size());
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  header.width = static_cast<png_uint_32>(image.width);
  header.height = static_cast<png_uint_32>(image.height);
  header.format = image.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(header);
  std::vector<std::byte> bytes(size);
  if (!png_image_write_to_memory(&header, bytes.data(), &size, 0, image.pixels.data(), 0, nullptr))
    fail("png", "'{}' cannot be written: {}", name, header.message);
  bytes.resize(size);
  return bytes;
}

void write_png(const std::filesystem::path& path, const Image& image) {
  OutputFile file(path);
  file.write(png_bytes(image, path.string()));
  file.close();
}

}  // namespace vkfer
