#include "tools/predict/ask.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runtime/error.h"
#include "tools/data/ordered_workers.h"

namespace vkfer {
namespace {

constexpr size_t kBatchBytes = size_t{64} << 20;   // of pictures that wait to be answered
constexpr size_t kBatchPictures = 256;             // most of them may be without a face, or broken

// Readers of data sets have an option for bad files; here the others are done anyway.
std::string reason_of(const std::exception& e) {
  const std::string text = e.what();
  return text.substr(0, text.find("; --skip-bad"));
}

std::vector<std::byte> read_standard_input() {
  std::vector<std::byte> bytes;
  while (true) {
    const size_t had = bytes.size();
    if (had > kMaxImageFileBytes) fail("image", "the standard input has more than {} bytes, expected one picture", kMaxImageFileBytes);
    bytes.resize(had + (size_t{1} << 20));
    const ssize_t n = ::read(STDIN_FILENO, bytes.data() + had, bytes.size() - had);
    if (n < 0 && errno != EINTR) fail("image", "the standard input cannot be read: {}", std::strerror(errno));
    bytes.resize(had + size_t(std::max<ssize_t>(n, 0)));
    if (n == 0) return bytes;
  }
}

Image read_listed(const ListedPicture& listed) {
  return listed.name == kStandardInput ? decode_upright(read_standard_input(), "standard input") : read_upright(listed.name);
}

// On a worker.
AskedPicture searched(const ListedPicture& listed, const FaceFinder* finder) {
  AskedPicture asked;
  asked.answer.name = listed.name;
  asked.answer.problem = listed.problem;
  if (!listed.problem.empty()) return asked;
  try {
    asked.picture = read_listed(listed);
    asked.answer.width = asked.picture.width, asked.answer.height = asked.picture.height;
    asked.answer.searched = finder != nullptr;
    if (!finder) asked.answer.faces.push_back({});
    else for (const Face& face : finder->find(asked.picture)) asked.answer.faces.push_back({face, {}});
  } catch (const Error& e) {
    asked = {{listed.name, reason_of(e)}, {}};
  } catch (const std::bad_alloc&) {
    asked = {{listed.name, "[memory] the host's memory does not suffice for it"}, {}};
  }
  return asked;
}

// Pictures that wait for the answers to all of their faces.
class Batch {
 public:
  Batch(Predictor& predictor, const AskOptions& options, const std::function<void(AskedPicture)>& take)
      : predictor_(predictor), options_(options), take_(take) {}

  void add(AskedPicture asked) {
    bytes_ += asked.picture.pixels.size();
    faces_ += asked.answer.faces.size();
    waiting_.push_back(std::move(asked));
    if (faces_ >= size_t(options_.batch) || bytes_ >= kBatchBytes || waiting_.size() >= kBatchPictures) finish();
  }

  void finish() {
    try {
      answer_all(waiting_);
    } catch (const Error& e) {
      if (e.kind() == ErrorKind::device) throw;
      for (AskedPicture& one : waiting_) answer_alone(one);   // to find whose fault it is
    }
    for (AskedPicture& asked : waiting_) take_(std::move(asked));
    waiting_.clear();
    bytes_ = faces_ = 0;
  }

 private:
  void answer_all(std::span<AskedPicture> pictures) {
    std::vector<Image> crops;
    std::vector<Prediction*> answers;
    for (AskedPicture& asked : pictures)
      for (FaceAnswer& f : asked.answer.faces) {
        crops.push_back(f.face ? face_crop(asked.picture, *f.face, options_.margin) : asked.picture);
        answers.push_back(&f.said);
      }
    std::vector<Prediction> said = predictor_.predict(crops);
    for (size_t i = 0; i < said.size(); ++i) *answers[i] = std::move(said[i]);
  }

  void answer_alone(AskedPicture& asked) {
    try {
      answer_all({&asked, 1});
    } catch (const Error& e) {
      if (e.kind() == ErrorKind::device) throw;
      asked.answer = {asked.answer.name, reason_of(e)};
    }
  }

  Predictor& predictor_;
  const AskOptions& options_;
  const std::function<void(AskedPicture)>& take_;
  std::vector<AskedPicture> waiting_;
  size_t bytes_ = 0, faces_ = 0;
};

}  // namespace

void ask_about(Predictor& predictor, std::span<const ListedPicture> pictures, const AskOptions& options,
               const std::function<void(AskedPicture)>& take) {
  OrderedWorkers<AskedPicture> workers(pictures.size(), {}, [&](size_t i) { return searched(pictures[i], options.finder); },
                                       [](const AskedPicture& asked) { return asked.picture.pixels.size(); });
  Batch batch(predictor, options, take);
  while (std::optional<AskedPicture> asked = workers.next()) batch.add(std::move(*asked));
  batch.finish();
}

}  // namespace vkfer
