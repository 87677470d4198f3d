// JPEG through libjpeg-turbo's TurboJPEG interface: https://libjpeg-turbo.org/Documentation/Documentation
#include <turbojpeg.h>

#include <memory>
#include <string>

#include "runtime/error.h"
#include "tools/data/codecs.h"

namespace vkfer {
namespace {

using Decompressor = std::unique_ptr<void, int (*)(tjhandle)>;

// Stop on the first warning (premature end, corrupt data, extraneous bytes), bound the scans of a progressive file
// (a few kilobytes can ask for minutes of work), and use the exact integer transform so that results do not depend
// on the processor.
constexpr int kFlags = TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS | TJFLAG_ACCURATEDCT;

// libjpeg-turbo 2.1 leaves a decompressor that failed in a header unable to read the next file: it is dropped.
[[noreturn]] void fail_jpeg(Decompressor& decompressor, std::string_view name) {
  const std::string message = tjGetErrorStr2(decompressor.get());
  decompressor.reset();
  fail("jpeg", "'{}': {}. Fix: replace or remove the file; --skip-bad leaves such files out", name, message);
}

// Adobe stores CMYK inverted, and every CMYK JPEG seen in practice is Adobe's: R = C K / 255 in stored values.
std::vector<uint8_t> cmyk_to_rgb(const std::vector<uint8_t>& cmyk) {
  std::vector<uint8_t> rgb(cmyk.size() / 4 * 3);
  for (size_t i = 0; i < cmyk.size() / 4; ++i)
    for (size_t c = 0; c < 3; ++c)
      rgb[i * 3 + c] = static_cast<uint8_t>((cmyk[i * 4 + c] * cmyk[i * 4 + 3] + 127) / 255);
  return rgb;
}

}  // namespace

Image decode_jpeg(std::span<const std::byte> bytes, std::string_view name) {
  // One decompressor per thread: creating one costs more than decoding a 48x48 face.
  thread_local Decompressor decompressor(nullptr, [](tjhandle handle) { return tjDestroy(handle); });
  if (!decompressor) decompressor.reset(tjInitDecompress());
  if (!decompressor) fail("jpeg", "libjpeg-turbo cannot start: {}", tjGetErrorStr2(nullptr));
  tjhandle handle = decompressor.get();
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto size = static_cast<unsigned long>(bytes.size());
  int width = 0, height = 0, subsampling = 0, colorspace = -1;
  // It also refuses subsamplings it has no name for, which it decodes well: then the size is there nevertheless.
  const int status = tjDecompressHeader3(handle, data, size, &width, &height, &subsampling, &colorspace);
  if (status != 0 && (width <= 0 || colorspace < 0)) fail_jpeg(decompressor, name);
  if (width <= 0 || height <= 0) {   // no complaint, and no size: the file ends in front of it
    decompressor.reset();
    fail("jpeg", "'{}': the file ends before the picture begins. Fix: replace or remove the file; --skip-bad leaves such files out", name);
  }
  check_image_size(width, height, name);

  const bool cmyk = colorspace == TJCS_CMYK || colorspace == TJCS_YCCK;
  const int format = cmyk ? TJPF_CMYK : colorspace == TJCS_GRAY ? TJPF_GRAY : TJPF_RGB;
  Image image{height, width, tjPixelSize[format], {}};
  image.pixels.resize(static_cast<size_t>(width) * static_cast<size_t>(height) * static_cast<size_t>(image.channels));
  if (tjDecompress2(handle, data, size, image.pixels.data(), width, 0, height, format, kFlags) != 0)
    fail_jpeg(decompressor, name);
  if (cmyk) {
    image.pixels = cmyk_to_rgb(image.pixels);
    image.channels = 3;
  }
  return image;
}

std::vector<std::byte> jpeg_bytes(const Image& image, std::string_view name, int quality) {
  const std::unique_ptr<void, int (*)(tjhandle)> compressor(tjInitCompress(), [](tjhandle handle) { return tjDestroy(handle); });
  unsigned char* out = nullptr;
  unsigned long size = 0;
  const bool gray = image.channels == 1;
  const bool made = compressor && tjCompress2(compressor.get(), image.pixels.data(), image.width, 0, image.height, gray ? TJPF_GRAY : TJPF_RGB, &out, &size,
                                              gray ? TJSAMP_GRAY : TJSAMP_444, quality, TJFLAG_ACCURATEDCT) == 0;
  const std::unique_ptr<unsigned char, void (*)(unsigned char*)> owned(out, tjFree);
  if (!made) fail("jpeg", "'{}': {}x{} pixels cannot be written: {}", name, image.width, image.height, tjGetErrorStr2(compressor.get()));
  const auto bytes = std::as_bytes(std::span(out, size));
  return {bytes.begin(), bytes.end()};
}

}  // namespace vkfer
