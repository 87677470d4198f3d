#pragma once
// Learning-rate schedules by name: a factor on the base rate, a pure function of the step.
#include <cstdint>
#include <span>
#include <string_view>

namespace vkfer {

struct ScheduleSettings {
  int64_t steps = 1;            // of the whole training
  int64_t warmup_steps = 0;     // the rate rises linearly over these first
  int64_t drop_every = 1;       // "step": steps between drops
  double drop_factor = 0.1;     // "step"
};

struct ScheduleDef {
  std::string_view name;
  std::string_view title;
  double (*factor)(const ScheduleSettings&, int64_t step);  // after warm-up; step counts from 0
  double (*momentum)(const ScheduleSettings&, int64_t step) = nullptr;  // SGD's momentum, Adam's beta1; null: stays as it is
  bool warms_up = false;        // by itself: no warm-up before it
  bool follows_plateaus = false;// the rate also falls where the monitored figure stays, see monitor.h
};

std::span<const ScheduleDef> schedules();
const ScheduleDef& find_schedule(std::string_view name);  // fails listing them and the nearest

double learning_rate(const ScheduleDef&, const ScheduleSettings&, double base, int64_t step);

}  // namespace vkfer
