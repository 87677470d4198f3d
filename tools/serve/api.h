#pragma once
// What the server answers: a fixed set of paths. Nothing is read from the disk because a request names it.
#include "tools/predict/faces.h"
#include "tools/serve/run_analyst.h"
#include "tools/serve/run_history.h"
#include "tools/serve/server.h"

namespace vkfer {

struct ServedRun {
  RunAnalyst& analyst;
  RunHistory& history;
  std::string run, device;      // for people; run: "" for weights alone
  std::string version;
  size_t body_bytes = 0;        // what the page tells of the limit
  FaceFinderOptions faces;      // how faces are looked for, and cut out
  double margin = kFaceMargin;
};

// The handler of a server for it; all that it refers to must outlive the server.
class ServeApi {
 public:
  explicit ServeApi(ServedRun served) : served_(std::move(served)) {}
  void operator()(HttpRequest, HttpReply, bool only_this_machine);

 private:
  HttpResponse model() const;
  void infer(HttpRequest, HttpReply);
  Json inferred_json(const HttpRequest&, bool detect, Predictor&, const std::vector<std::string>& classes);
  HttpResponse inferred(const HttpRequest&, bool detect, Predictor*, const AnalystState&);
  ServedRun served_;
  std::unique_ptr<FaceFinder> finder_;   // of the analyst's thread, from the first time that faces are looked for
};

}  // namespace vkfer
