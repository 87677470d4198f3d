#include "tools/predict/faces.h"

// The detector's filters are split by singular value decomposition, which dlib does by itself: LAPACK would be one more library for it.
#include <dlib/assert.h>
#include <dlib/test_for_odr_violations.h>
#undef DLIB_USE_BLAS
#undef DLIB_USE_LAPACK
#include <dlib/image_processing/frontal_face_detector.h>
#include <dlib/image_transforms.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "runtime/error.h"

namespace vkfer {
namespace {

using Gray = dlib::array2d<unsigned char>;
constexpr int kWindow = 80;   // of the detector: faces of its smallest size

Gray gray_of(const Image& picture) {
  const Image gray = convert_channels(picture, 1);
  Gray out(gray.height, gray.width);
  for (int y = 0; y < gray.height; ++y)
    std::copy_n(gray.pixels.begin() + ptrdiff_t(y) * gray.width, gray.width, &out[y][0]);
  return out;
}

// Each pixel the mean of four: halving before a bilinear step keeps fine patterns from turning into false edges.
Gray halved(const Gray& in) {
  Gray out(in.nr() / 2, in.nc() / 2);
  for (long y = 0; y < out.nr(); ++y)
    for (long x = 0; x < out.nc(); ++x)
      out[y][x] = uint8_t((in[2 * y][2 * x] + in[2 * y][2 * x + 1] + in[2 * y + 1][2 * x] + in[2 * y + 1][2 * x + 1] + 2) / 4);
  return out;
}

Gray scaled(const Gray& original, long height, long width) {
  Gray in;
  dlib::assign_image(in, original);
  while (in.nr() >= 2 * height && in.nc() >= 2 * width) in = halved(in);
  Gray out(height, width);
  dlib::resize_image(in, out);
  return out;
}

// How much of the smaller one lies in the larger.
double overlap(const Face& a, const Face& b) {
  const double width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
  const double height = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
  if (width <= 0 || height <= 0) return 0;
  return width * height / std::min(double(a.width) * a.height, double(b.width) * b.height);
}

// Adds a face, unless it is one of them, of which the surer one stays.
void join(std::vector<Face>& faces, const Face& face) {
  constexpr double kSame = 0.5;
  const auto same = std::ranges::find_if(faces, [&](const Face& f) { return overlap(f, face) > kSame; });
  if (same == faces.end()) faces.push_back(face);
  else if (face.score > same->score) *same = face;
}

// Where a crop of `size` begins along a side, so that its centre is there.
int start_of(double centre, int size) { return int(std::lround(centre - size / 2.0)); }

}  // namespace

struct FaceFinder::State {
  dlib::frontal_face_detector unpacked = dlib::get_frontal_face_detector();

  // In the picture's own coordinates; any order.
  std::vector<Face> search(const Gray& gray, double scale, double min_score) const {
    const long height = std::lround(gray.nr() * scale), width = std::lround(gray.nc() * scale);
    if (std::min(width, height) < kWindow) return {};
    dlib::frontal_face_detector detector = unpacked;   // it has buffers that it changes
    std::vector<dlib::rect_detection> found;
    detector(scaled(gray, height, width), found, min_score);

    const double back_x = double(gray.nc()) / width, back_y = double(gray.nr()) / height;
    std::vector<Face> faces;
    for (const dlib::rect_detection& f : found) {
      const int x = int(std::lround(f.rect.left() * back_x)), y = int(std::lround(f.rect.top() * back_y));
      const int size = std::max(1, int(std::lround(f.rect.width() * back_x)));
      faces.push_back({x, y, size, size, f.detection_confidence});
    }
    return faces;
  }
};

FaceFinder::FaceFinder(const FaceFinderOptions& options) : options_(options) {
  if (options.min_face < 10 || options.min_face > 10000)
    fail("faces", "narrowest face: got {}, expected 10 to 10000 pixels", options.min_face);
  if (!(std::abs(options.min_score) <= 100)) fail("faces", "lowest score: got {}, expected -100 to 100; 0 is usual", options.min_score);
  static const std::shared_ptr<const State> shared = std::make_shared<State>();
  state_ = shared;
}
FaceFinder::~FaceFinder() = default;

std::vector<Face> FaceFinder::find(const Image& picture) const {
  if (std::min(picture.width, picture.height) < options_.min_face) return {};
  const double pixels = double(picture.width) * picture.height;
  const double finest = std::min(double(kWindow) / options_.min_face, std::sqrt(kSearchedPixels / pixels));
  const Gray gray = gray_of(picture);
  std::vector<Face> faces = state_->search(gray, finest, options_.min_score);
  // Large faces are found less well in an enlarged picture, which is smooth: they are looked for in the picture itself, too.
  if (finest > 1.2)
    for (const Face& face : state_->search(gray, 1, options_.min_score)) join(faces, face);
  std::ranges::sort(faces, [](const Face& a, const Face& b) {
    return std::tie(b.score, a.x, a.y) < std::tie(a.score, b.x, b.y);
  });
  return faces;
}

Image face_crop(const Image& picture, const Face& face, double margin) {
  const int size = int(std::clamp(std::round(face.width * (1 + margin)), 1.0, 2.0 * std::max(picture.width, picture.height)));
  const int left = start_of(face.x + face.width / 2.0, size);
  const int top = start_of(face.y + face.height / 2.0 - kFaceLift * face.width, size);
  Image crop{size, size, picture.channels, {}};
  crop.pixels.reserve(size_t(size) * size * picture.channels);
  for (int y = 0; y < size; ++y) {
    const int from = std::clamp(top + y, 0, picture.height - 1);
    const uint8_t* row = picture.pixels.data() + size_t(from) * picture.width * picture.channels;
    for (int x = 0; x < size; ++x) {
      const uint8_t* pixel = row + size_t(std::clamp(left + x, 0, picture.width - 1)) * picture.channels;
      crop.pixels.insert(crop.pixels.end(), pixel, pixel + picture.channels);
    }
  }
  return crop;
}

}  // namespace vkfer
