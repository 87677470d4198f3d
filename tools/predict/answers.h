#pragma once
// What is said of pictures and of the faces in them, and how programs are told: JSON and CSV.
#include <optional>
#include <string>
#include <vector>

#include "tools/predict/faces.h"
#include "tools/predict/predictor.h"
#include "tools/train/settings.h"

namespace vkfer {

struct FaceAnswer {
  std::optional<Face> face;   // none: the picture as a whole
  Prediction said;
};

struct PictureAnswer {
  std::string name;
  std::string problem;        // why it could not be read; then nothing else is said
  int width = 0, height = 0;  // upright
  bool searched = false;      // for faces; then `faces` may be empty
  std::vector<FaceAnswer> faces;
};

// {"image", "width", "height"} and, of a picture as a whole, {"prediction", "probability", "probabilities": {class: p}, "valence",
// "arousal"} as far as the network has them; of a searched one "faces": [{"x", "y", "width", "height", "score", "prediction", ...}]. A broken
// picture is {"image", "error"}. `top`: only so many probabilities, the largest first; 0: all, in the order of the classes.
Json answer_json(const PictureAnswer&, const std::vector<std::string>& classes, size_t top = 0);
Json prediction_json(const Prediction&, const std::vector<std::string>& classes, size_t top = 0);

// image,face,x,y,width,height,score,prediction,probability,<class>...,valence,arousal; each ends with a line break.
std::string csv_header(const std::vector<std::string>& classes, bool affect);
// A row for each face, counted from 1; of a picture in which none was found one with face 0 and the rest empty; of a broken one nothing.
// Where no faces were looked for, the picture as a whole is face 1, without a score.
std::string csv_rows(const PictureAnswer&, const std::vector<std::string>& classes, bool affect);

}  // namespace vkfer
