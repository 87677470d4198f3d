#pragma once
// Where the faces are in a picture, and what a network is shown of them.
#include <memory>
#include <vector>

#include "tools/data/image.h"

namespace vkfer {

// A square around the features, from the brows to the chin, in the picture's pixels. It may reach over the border.
struct Face {
  int x = 0, y = 0, width = 0, height = 0;
  double score = 0;   // how sure: 0 is where dlib draws the line, 1 and more are clear frontal faces
};

struct FaceFinderOptions {
  int min_face = 40;      // pixels: narrower faces are not looked for. Time grows with the square of 1 / min_face
  double min_score = 0;   // below 0: more faces, and more that are none
};

// Frontal faces, turned by up to some 30 degrees to a side: dlib's detector on histograms of oriented gradients (Dalal and Triggs,
// Histograms of Oriented Gradients for Human Detection, 2005; King, Max-Margin Object Detection, 2015), five filters that are part of its
// headers. No network, no file of weights.
//
// Thread-safe. The first one of a process takes a second to unpack the filters; copies share them.
class FaceFinder {
 public:
  explicit FaceFinder(const FaceFinderOptions& = {});   // fails for options out of range
  ~FaceFinder();
  FaceFinder(const FaceFinder&) = default;

  // The surest first; ties from left to right. Pictures of any size: large ones are searched at kSearchedPixels at most, so that the time
  // is bounded, about a second; there the smallest face that is found grows accordingly (about 200 pixels in a picture of 24 million).
  std::vector<Face> find(const Image& picture) const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
  FaceFinderOptions options_;
};

constexpr double kSearchedPixels = 4e6;

// How FER2013 frames faces, in widths of the found square: its pictures are 1.16 as wide, and their centre lies 0.065 above the square's.
// Mean of the 199 of 252 pictures of fer2013-mini that a face is found in, each scaled at random to even out the steps of the search.
constexpr double kFaceMargin = 0.16, kFaceLift = 0.065;

// The square picture of a face that a network takes, `margin` wider than the found square. What lies outside the picture repeats its edge.
Image face_crop(const Image& picture, const Face&, double margin = kFaceMargin);

}  // namespace vkfer
