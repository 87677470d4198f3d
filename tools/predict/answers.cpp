#include "tools/predict/answers.h"

#include <algorithm>

#include "runtime/error.h"
#include "tools/data/csv.h"

namespace vkfer {

Json prediction_json(const Prediction& p, const std::vector<std::string>& classes, size_t top) {
  Json said = Json::object();
  if (!classes.empty()) {
    std::vector<size_t> order = by_probability(p.probabilities);
    said = {{"prediction", classes[order[0]]}, {"probability", p.probabilities[order[0]]}};
    if (top == 0) std::ranges::sort(order);
    else order.resize(std::min(order.size(), top));
    Json all = Json::object();
    for (const size_t c : order) all[classes[c]] = p.probabilities[c];
    said["probabilities"] = std::move(all);
  }
  if (p.valence) said["valence"] = *p.valence, said["arousal"] = *p.arousal;
  return said;
}

Json answer_json(const PictureAnswer& answer, const std::vector<std::string>& classes, size_t top) {
  if (!answer.problem.empty()) return {{"image", answer.name}, {"error", answer.problem}};
  Json json = {{"image", answer.name}, {"width", answer.width}, {"height", answer.height}};
  if (!answer.searched) {
    json.update(prediction_json(answer.faces.at(0).said, classes, top));
    return json;
  }
  Json faces = Json::array();
  for (const FaceAnswer& f : answer.faces) {
    Json face = {{"x", f.face->x}, {"y", f.face->y}, {"width", f.face->width}, {"height", f.face->height}, {"score", f.face->score}};
    face.update(prediction_json(f.said, classes, top));
    faces.push_back(std::move(face));
  }
  json["faces"] = std::move(faces);
  return json;
}

std::string csv_header(const std::vector<std::string>& classes, bool affect) {
  std::string header = "image,face,x,y,width,height,score";
  if (!classes.empty()) header += ",prediction,probability";
  for (const std::string& name : classes) header += "," + csv_field(name);
  if (affect) header += ",valence,arousal";
  return header + "\n";
}

std::string csv_rows(const PictureAnswer& answer, const std::vector<std::string>& classes, bool affect) {
  if (!answer.problem.empty()) return {};
  const std::string image = csv_field(answer.name);
  const size_t empty = 5 + (classes.empty() ? 0 : 2 + classes.size()) + (affect ? 2 : 0);
  if (answer.faces.empty()) return fmt::format("{},0{}\n", image, std::string(empty, ','));
  std::string rows;
  for (size_t i = 0; i < answer.faces.size(); ++i) {
    const FaceAnswer& f = answer.faces[i];
    rows += fmt::format("{},{}", image, i + 1);
    rows += f.face ? fmt::format(",{},{},{},{},{:.3f}", f.face->x, f.face->y, f.face->width, f.face->height, f.face->score)
                   : fmt::format(",0,0,{},{},", answer.width, answer.height);
    const std::vector<float>& p = f.said.probabilities;
    if (!classes.empty()) {
      const size_t best = by_probability(p)[0];
      rows += fmt::format(",{},{:.6f}", csv_field(classes[best]), p[best]);
    }
    for (const float probability : p) rows += fmt::format(",{:.6f}", probability);
    if (affect) rows += fmt::format(",{:.4f},{:.4f}", f.said.valence.value_or(0), f.said.arousal.value_or(0));
    rows += "\n";
  }
  return rows;
}

}  // namespace vkfer
