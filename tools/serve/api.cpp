#include "tools/serve/api.h"

#include <algorithm>

#include "runtime/error.h"
#include "tools/data/image.h"
#include "tools/predict/answers.h"
#include "tools/serve/form.h"
#include "tools/serve/own_host.h"
#include "tools/serve/page.h"

namespace vkfer {
namespace {

constexpr size_t kMaxPictures = 16;                  // of one request
constexpr size_t kMaxFaces = 50;                     // of one picture
constexpr int64_t kMaxRequestPixels = 100'000'000;   // of all its pictures
constexpr std::chrono::seconds kMaxWait{60};         // in the queue

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

HttpResponse ok(const Json& json) { return {.body = text_of(json)}; }

HttpRefusal busy() { return HttpRefusal(503, "too many pictures wait already. Fix: try again in a moment", {{"Retry-After", "1"}}); }

Image decoded(const Upload& upload) {
  try {
    return decode_upright(std::as_bytes(std::span(upload.bytes)), upload.name.empty() ? "the picture" : upload.name);
  } catch (const Error& e) {
    const std::string text = e.what();
    throw HttpRefusal(400, text.substr(0, text.find("; --skip-bad")));   // which is an option for data sets
  } catch (const std::bad_alloc&) {
    throw HttpRefusal(413, "the memory does not suffice for this picture. Fix: scale it down");
  }
}

std::vector<Image> decoded(const std::vector<Upload>& uploads) {
  std::vector<Image> pictures;
  int64_t pixels = 0;
  for (const Upload& upload : uploads) {
    pictures.push_back(decoded(upload));
    pixels += int64_t{pictures.back().width} * pictures.back().height;
    if (pixels > kMaxRequestPixels) throw HttpRefusal(413, "the pictures have more than 100 million pixels together. Fix: scale them down, or send them in several requests");
  }
  return pictures;
}

struct FoundFace {
  std::optional<Face> face;   // none: the picture as a whole
  size_t picture;
};

Json face_json(const std::optional<Face>& face, const Prediction& said, const std::vector<std::string>& classes) {
  Json json = {{"box", nullptr}, {"score", nullptr}};
  if (face) json = {{"box", {face->x, face->y, face->width, face->height}}, {"score", face->score}};
  json.update(prediction_json(said, classes));
  return json;
}

// ?detect=1: faces are looked for; 0, and without it: each picture is one.
bool asks_for_faces(const std::string& query) {
  if (query.empty() || query == "detect=0") return false;
  if (query == "detect=1") return true;
  throw HttpRefusal(400, "what stands behind the ? is not known. Fix: detect=1 looks for faces, detect=0 takes the whole picture for one");
}

void only(const HttpRequest& request, bool allowed, const char* methods) {
  if (!allowed) throw HttpRefusal(405, fmt::format("{} is not what {} takes: expected {}", request.method, request.path, methods), {{"Allow", methods}});
}

const ServedFile* served_file(std::string_view path) {
  for (const ServedFile& file : served_files())
    if (file.path == path) return &file;
  return nullptr;
}

}  // namespace

// {"images": [{"name", "width", "height", "faces": [{"box", "score", ...}]}]}
Json ServeApi::inferred_json(const HttpRequest& request, bool detect, Predictor& predictor, const std::vector<std::string>& classes) {
  const std::vector<Upload> uploads = uploads_of(request, kMaxPictures);
  const std::vector<Image> pictures = decoded(uploads);
  if (detect && !finder_) finder_ = std::make_unique<FaceFinder>(served_.faces);
  std::vector<FoundFace> faces;
  std::vector<Image> shown;   // to the network
  Json images = Json::array();
  for (size_t i = 0; i < pictures.size(); ++i) {
    images.push_back({{"name", uploads[i].name}, {"width", pictures[i].width}, {"height", pictures[i].height}, {"faces", Json::array()}});
    if (!detect) {
      faces.push_back({std::nullopt, i});
      shown.push_back(pictures[i]);
      continue;
    }
    std::vector<Face> found = finder_->find(pictures[i]);
    found.resize(std::min(found.size(), kMaxFaces));   // the surest come first
    for (const Face& face : found) {
      faces.push_back({face, i});
      shown.push_back(face_crop(pictures[i], face, served_.margin));
    }
  }
  const std::vector<Prediction> said = predictor.predict(shown);
  for (size_t i = 0; i < faces.size(); ++i) images[faces[i].picture]["faces"].push_back(face_json(faces[i].face, said[i], classes));
  return {{"images", images}};
}

HttpResponse ServeApi::inferred(const HttpRequest& request, bool detect, Predictor* predictor, const AnalystState& state) {
  try {
    if (!predictor) throw HttpRefusal(503, state.reason, {{"Retry-After", "5"}});
    return ok(inferred_json(request, detect, *predictor, state.classes));
  } catch (const HttpRefusal& refusal) {
    return refusal.response();
  } catch (const std::exception& e) {
    return HttpRefusal(500, e.what()).response();
  }
}

HttpResponse ServeApi::model() const {
  const AnalystState s = served_.analyst.state();
  return ok({{"ready", s.ready}, {"reason", s.reason}, {"model", s.model}, {"run", served_.run}, {"weights", s.weights}, {"classes", s.classes}, {"size", s.size}, {"channels", s.channels},
             {"valence_arousal", s.valence_arousal}, {"device", served_.device}, {"version", served_.version}, {"max_bytes", served_.body_bytes}, {"max_pictures", kMaxPictures}});
}

void ServeApi::infer(HttpRequest request, HttpReply reply) {
  const bool detect = asks_for_faces(request.query);
  const auto came = std::chrono::steady_clock::now();
  const bool taken = served_.analyst.ask([this, detect, request = std::make_shared<HttpRequest>(std::move(request)), reply, came](Predictor* predictor, const AnalystState& state) {
    const bool late = std::chrono::steady_clock::now() - came > kMaxWait;
    reply(late ? busy().response() : inferred(*request, detect, predictor, state));
  });
  if (!taken) throw busy();
}

void ServeApi::operator()(HttpRequest request, HttpReply reply, bool only_this_machine) {
  check_own_host(request, only_this_machine);
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (request.path == "/api/infer") {
    only(request, request.method == "POST", "POST");
    return infer(std::move(request), std::move(reply));
  }
  const ServedFile* file = served_file(request.path);
  const bool known = file || request.path == "/api/model" || request.path == "/api/history" || request.path == "/healthz";
  if (!known) throw HttpRefusal(404, "there is nothing at this path. Fix: / is the page, and /api/infer, /api/model, /api/history and /healthz are for programs");
  only(request, reads, "GET, HEAD");
  if (file) return reply({.type = std::string(file->type), .body = std::string(file->text)});
  if (request.path == "/api/model") return reply(model());
  if (request.path == "/api/history") return reply({.body = served_.history.json() + "\n"});
  reply(ok({{"ok", true}}));
}

}  // namespace vkfer
