#pragma once
// A small anti-aliased painter. Shapes are functions of a point in face units; coverage falls from 1 to 0 over about
// one pixel at their edge. Only + - * / and sqrt, which IEEE 754 rounds exactly: the same bits everywhere.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "tools/data/face_parameters.h"

namespace vkfer {

struct Point {
  float x, y;
};

class FaceCanvas {
 public:
  FaceCanvas(int size, const FaceParameters& face);

  float pixel() const { return pixel_; }  // face units
  int size() const { return size_; }
  std::vector<Colour>& colours() { return colours_; }
  Point at(int x, int y) const { return points_[static_cast<size_t>(y) * size_ + x]; }

  // Share of a pixel inside an edge `distance` away (negative: inside), `soft` pixels wide.
  float inside(float distance, float soft = 1) const { return std::clamp(.5f - distance / (pixel_ * soft), 0.f, 1.f); }

  // coverage(Point) in 0..1; shade(Point) is the colour there.
  template <class Coverage, class Shade>
  void paint(Coverage coverage, Shade shade) {
    for (size_t i = 0; i < colours_.size(); ++i) {
      const float alpha = coverage(points_[i]);
      if (alpha <= 0) continue;
      const Colour colour = shade(points_[i]);
      for (size_t c = 0; c < 3; ++c) colours_[i][c] += (colour[c] - colours_[i][c]) * alpha;
    }
  }
  template <class Coverage>
  void paint(Coverage coverage, const Colour& colour) {
    paint(coverage, [&](Point) { return colour; });
  }

 private:
  int size_;
  float pixel_;
  std::vector<Point> points_;    // of pixel centres, in face units
  std::vector<Colour> colours_;  // [size, size]
};

// Signed distances, exact enough for edges a pixel wide.
inline float ellipse(Point p, Point centre, float a, float b) {
  const float x = (p.x - centre.x) / a, y = (p.y - centre.y) / b;
  return (std::sqrt(x * x + y * y) - 1) * std::min(a, b);
}

inline float segment(Point p, Point a, Point b) {
  const float dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
  const float t = length > 0 ? std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / length, 0.f, 1.f) : 0;
  const float x = p.x - a.x - t * dx, y = p.y - a.y - t * dy;
  return std::sqrt(x * x + y * y);
}

// A stroke along the quadratic Bezier curve a, b, c, thinner towards its end c.
class Stroke {
 public:
  Stroke(Point a, Point b, Point c, float half_width, float taper = 0);
  float distance(Point p) const;

 private:
  static constexpr size_t kSegments = 6;
  std::array<Point, kSegments + 1> points_;
  float half_width_, taper_, left_, right_, top_, bottom_;
};

}  // namespace vkfer
