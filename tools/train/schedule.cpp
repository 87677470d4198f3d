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

// Smith and Topin, Super-Convergence, 2018, as torch.optim.lr_scheduler.OneCycleLR by default: up for three tenths of the steps,
// then down, both along half a cosine, the momentum the other way.
double one_cycle_between(const ScheduleSettings& s, int64_t step, double first, double middle, double last) {
  const auto anneal = [](double from, double to, double t) { return to + (from - to) / 2 * (1 + std::cos(std::numbers::pi * std::clamp(t, 0.0, 1.0))); };
  const double up = 0.3 * double(s.steps) - 1, all = double(s.steps) - 1, at = double(step);
  if (at <= up) return anneal(first, middle, up > 0 ? at / up : 1);
  return anneal(middle, last, all > up ? (at - up) / (all - up) : 1);
}

double one_cycle(const ScheduleSettings& s, int64_t step) { return one_cycle_between(s, step, 1 / 25.0, 1, 1 / 25.0 / 1e4); }
double one_cycle_momentum(const ScheduleSettings& s, int64_t step) { return one_cycle_between(s, step, 0.95, 0.85, 0.95); }

}  // namespace

std::span<const ScheduleDef> schedules() {
  static constexpr ScheduleDef table[]{
      {"constant", "the same rate throughout", constant},
      {"cosine", "half a cosine down to 0", cosine},
      {"step", "times --drop-factor every --drop-epochs", drops},
      {"plateau", "times --drop-factor when the monitored figure stays", constant, nullptr, false, true},
      {"onecycle", "up from a 25th, then down to nearly 0", one_cycle, one_cycle_momentum, true},
  };
  return table;
}

const ScheduleDef& find_schedule(std::string_view name) {
  return find_by_name("--schedule", "schedule", schedules(), name);
}

double learning_rate(const ScheduleDef& def, const ScheduleSettings& s, double base, int64_t step) {
  if (step < s.warmup_steps && !def.warms_up) return base * double(step + 1) / double(s.warmup_steps + 1);
  return base * def.factor(s, step);
}

}  // namespace vkfer
