#include "tools/data/exact_float.h"

#include "tools/data/face_canvas.h"

namespace vkfer {

FaceCanvas::FaceCanvas(int size, const FaceParameters& face)
    : size_(size), pixel_(2.5f / (static_cast<float>(size) * face.scale)) {
  const auto count = static_cast<size_t>(size) * static_cast<size_t>(size);
  points_.reserve(count);
  colours_.resize(count);
  for (int row = 0; row < size; ++row) {
    for (int column = 0; column < size; ++column) {
      const float x = (static_cast<float>(column) + .5f) / static_cast<float>(size) * 2.5f - 1.25f - face.shift_x;
      const float y = (static_cast<float>(row) + .5f) / static_cast<float>(size) * 2.5f - 1.25f - face.shift_y;
      points_.push_back({(x * face.cosine + y * face.sine) / face.scale, (y * face.cosine - x * face.sine) / face.scale});
    }
  }
}

Stroke::Stroke(Point a, Point b, Point c, float half_width, float taper) : half_width_(half_width), taper_(taper) {
  for (size_t i = 0; i <= kSegments; ++i) {
    const float t = static_cast<float>(i) / kSegments, s = 1 - t;
    points_[i] = {s * s * a.x + 2 * s * t * b.x + t * t * c.x, s * s * a.y + 2 * s * t * b.y + t * t * c.y};
  }
  left_ = std::min({a.x, b.x, c.x}), right_ = std::max({a.x, b.x, c.x});
  top_ = std::min({a.y, b.y, c.y}), bottom_ = std::max({a.y, b.y, c.y});
}

float Stroke::distance(Point p) const {
  constexpr float kFar = .2f;  // beyond any edge's softness
  const float reach = half_width_ + kFar;
  if (p.x < left_ - reach || p.x > right_ + reach || p.y < top_ - reach || p.y > bottom_ + reach) return kFar;
  float nearest = kFar * 10;
  for (size_t i = 0; i < kSegments; ++i) {
    const float width = half_width_ * (1 - taper_ * static_cast<float>(i) / kSegments);
    nearest = std::min(nearest, segment(p, points_[i], points_[i + 1]) - width);
  }
  return nearest;
}

}  // namespace vkfer
