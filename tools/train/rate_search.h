#pragma once
// Learning-rate range test (Smith, Cyclical Learning Rates for Training Neural Networks, 2017) as fastai's lr_find does it: the rate
// rises from step to step, and what the loss makes of it is drawn.
#include <span>
#include <string>
#include <vector>

namespace vkfer {

struct RateRange {
  double lowest = 1e-7, highest = 10;
  int steps = 100;
};

struct RatePoint {
  double lr = 0, loss = 0;
  double smoothed = 0;     // exponential average of the losses, bias taken out
};

struct RateSearch {
  std::vector<RatePoint> points;   // until the loss was four times its lowest, or no number
  double valley = 0;       // a third and a half into the longest fall, as fastai's "valley": what to take; 0: it never fell
  double steepest = 0;     // where the smoothed loss falls fastest, by the logarithm of the rate
  double lowest = 0;       // where it is lowest: too high to train with
};

double rate_at(const RateRange&, int step);               // evenly by logarithm
// Adds a point; false when the search is over.
bool add_point(RateSearch&, double lr, double loss);
void conclude(RateSearch&);                               // fills in what the points suggest

std::string rate_csv(const RateSearch&);
std::string rate_svg(const RateSearch&);                  // the smoothed loss over the rate, a picture for people

}  // namespace vkfer
