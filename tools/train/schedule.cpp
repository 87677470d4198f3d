#include "tools/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tools/train/names.h"

namespace vkfer {
namespace {

double constant(const ScheduleSettings&, int64_t) { return 1; }

// Loshchilov and Hutter, SGDR, 2017: half a cosine from 1 to 0, without restarts.
double cosine(const ScheduleSettings& s, int64_t step) {
  const double span = double(std::max<int64_t>(1, s.steps - s.warmup_steps));
  const double t = std::clamp(double(step - s.warmup_steps) / span, 0.0, 1.0);
  return 0.5 * (1 + std::cos(std::numbers::pi * t));
}

double drops(const ScheduleSettings& s, int64_t step) {
  return std::pow(s.drop_factor, double(step / std::max<int64_t>(1, s.drop_every)));
}

}  // namespace

std::span<const ScheduleDef> schedules() {
  static constexpr ScheduleDef table[]{
      {"constant", "the same rate throughout", constant},
      {"cosine", "half a cosine down to 0", cosine},
      {"step", "times --drop-factor every --drop-epochs", drops},
  };
  return table;
}

const ScheduleDef& find_schedule(std::string_view name) {
  return find_by_name("--schedule", "schedule", schedules(), name);
}

double learning_rate(const ScheduleDef& def, const ScheduleSettings& s, double base, int64_t step) {
  if (step < s.warmup_steps) return base * double(step + 1) / double(s.warmup_steps + 1);
  return base * def.factor(s, step);
}

}  // namespace vkfer
