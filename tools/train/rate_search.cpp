#include "tools/train/rate_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace vkfer {
namespace {

constexpr double kSmoothing = 0.98, kTooMuch = 4;   // fastai's

// The end and the length of the longest run of points, not all of them neighbours, that falls.
std::pair<size_t, size_t> longest_fall(std::span<const RatePoint> p) {
  std::vector<size_t> length(p.size(), 1);
  size_t end = 0;
  for (size_t i = 1; i < p.size(); ++i) {
    for (size_t j = 0; j < i; ++j)
      if (p[i].smoothed < p[j].smoothed) length[i] = std::max(length[i], length[j] + 1);
    if (length[i] > length[end]) end = i;
  }
  return {end, p.empty() ? 0 : length[end]};
}

}  // namespace

double rate_at(const RateRange& r, int step) { return r.lowest * std::pow(r.highest / r.lowest, r.steps > 1 ? double(step) / (r.steps - 1) : 0); }

bool add_point(RateSearch& s, double lr, double loss) {
  if (!std::isfinite(loss)) return false;
  const size_t n = s.points.size();
  // The average with its bias: average_n = smoothed_n * (1 - b^n).
  const double before = n ? s.points.back().smoothed * (1 - std::pow(kSmoothing, double(n))) : 0;
  const double smoothed = (kSmoothing * before + (1 - kSmoothing) * loss) / (1 - std::pow(kSmoothing, double(n + 1)));
  double best = smoothed;
  for (const RatePoint& p : s.points) best = std::min(best, p.smoothed);
  s.points.push_back({lr, loss, smoothed});
  return smoothed <= kTooMuch * best;
}

void conclude(RateSearch& s) {
  const auto& p = s.points;
  if (p.size() < 3) return;
  const auto [end, length] = longest_fall(p);
  if (length > 1) {
    const size_t start = end + 1 - std::min(length, end + 1), third = (end - start) / 3;
    s.valley = p[start + third + third / 2].lr;
  }
  double steepest = 0;
  for (size_t i = 1; i + 1 < p.size(); ++i) {
    const double slope = (p[i + 1].smoothed - p[i - 1].smoothed) / std::log(p[i + 1].lr / p[i - 1].lr);
    if (slope < steepest) steepest = slope, s.steepest = p[i].lr;
  }
  s.lowest = std::ranges::min_element(p, {}, &RatePoint::smoothed)->lr;
}

std::string rate_csv(const RateSearch& s) {
  std::string text = "lr,loss,smoothed_loss\n";
  for (const RatePoint& p : s.points) text += fmt::format("{},{},{}\n", p.lr, p.loss, p.smoothed);
  return text;
}

std::string rate_svg(const RateSearch& s) {
  constexpr double kWidth = 720, kHeight = 400, kLeft = 60, kRight = 20, kTop = 30, kBottom = 50;
  std::string svg = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"13\">\n"
                                "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n", kWidth, kHeight);
  if (s.points.size() > 1) {
    const double low = std::log10(s.points.front().lr), high = std::log10(s.points.back().lr);
    auto [least, most] = std::ranges::minmax(s.points, {}, &RatePoint::smoothed);
    // What explodes at the end must not flatten all that comes before.
    const double bottom = least.smoothed, top = std::max(std::min(most.smoothed, s.points.front().smoothed + 2 * (s.points.front().smoothed - bottom)), bottom + 1e-6);
    const auto x = [&](double lr) { return kLeft + (kWidth - kLeft - kRight) * (std::log10(lr) - low) / std::max(high - low, 1e-9); };
    const auto y = [&](double v) { return kTop + (kHeight - kTop - kBottom) * (top - std::min(v, top)) / (top - bottom); };
    for (int e = int(std::ceil(low)); e <= int(std::floor(high)); ++e)
      svg += fmt::format("<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" stroke=\"#ddd\"/><text x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">1e{4}</text>\n",
                         x(std::pow(10, e)), kTop, kHeight - kBottom, kHeight - kBottom + 18, e);
    for (int i = 0; i <= 4; ++i) {
      const double v = bottom + (top - bottom) * i / 4;
      svg += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:.3g}</text>\n", kLeft - 6, y(v) + 4, v);
    }
    svg += "<polyline fill=\"none\" stroke=\"#0072b2\" stroke-width=\"2\" points=\"";
    for (const RatePoint& p : s.points) svg += fmt::format("{:.1f},{:.1f} ", x(p.lr), y(p.smoothed));
    svg += "\"/>\n";
    if (s.valley > 0)
      svg += fmt::format("<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" stroke=\"#d55e00\" stroke-dasharray=\"5 4\"/>"
                         "<text x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\" fill=\"#d55e00\">{4:.2g}</text>\n", x(s.valley), kTop, kHeight - kBottom, kTop - 8, s.valley);
  }
  return svg + fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">learning rate</text>\n<text x=\"14\" y=\"{}\" transform=\"rotate(-90 14 {})\" "
                           "text-anchor=\"middle\">loss, smoothed</text>\n</svg>\n", kWidth / 2, kHeight - 10, kHeight / 2, kHeight / 2);
}

}  // namespace vkfer
