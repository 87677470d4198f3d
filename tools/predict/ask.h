#pragma once
// A network asked about many pictures: read and searched for faces on threads, answered in batches, told in order. Never more than some
// pictures in memory, however many there are.
#include <functional>
#include <span>

#include "tools/predict/answers.h"
#include "tools/predict/picture_list.h"

namespace vkfer {

struct AskOptions {
  const FaceFinder* finder = nullptr;   // none: each picture is one face as a whole
  double margin = kFaceMargin;          // around the faces found, see face_crop()
  int batch = 32;                       // faces at once; the Predictor's
};

struct AskedPicture {
  PictureAnswer answer;
  Image picture;                        // upright; empty for a broken one
};

// `take` is called in the order of `pictures`, for each. What is wrong with a picture becomes its problem, and the others go on; a failure
// of the device is thrown.
void ask_about(Predictor&, std::span<const ListedPicture> pictures, const AskOptions&, const std::function<void(AskedPicture)>& take);

}  // namespace vkfer
