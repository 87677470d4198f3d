#include "tools/cli/infer_outputs.h"

#include <algorithm>

#include "runtime/error.h"
#include "tools/data/output_file.h"
#include "tools/predict/annotate.h"
#include "tools/predict/cam_overlay.h"

namespace vkfer {
namespace {

constexpr size_t kFew = 6;   // pictures that are each shown with bars; more get a line for each face

// Lines for programs, whole ones, as they come: what is there stays there when the tool is killed.
class Lines {
 public:
  Lines(const char* option, const std::string& where) : option_(option) {
    if (where != "-") file_ = std::make_unique<OutputFile>(where);
  }
  void write(const std::string& text) {
    if (file_) return file_->write(text);
    const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
    if (!written) fail(option_, "stdout cannot be written");
  }

 private:
  const char* option_;
  std::unique_ptr<OutputFile> file_;
};

class TextOutput : public InferOutput {
 public:
  TextOutput(const InferJob& job, Console& console) : job_(job), console_(console) {}

  void take(const AskedPicture& asked) override {
    const PictureAnswer& answer = asked.answer;
    if (!answer.problem.empty()) return console_.notice(shown_name(answer.problem));
    job_.pictures.size() <= kFew ? at_length(answer) : briefly(answer);
  }

 private:
  void at_length(const PictureAnswer& answer) {
    console_.line(shown_name(answer.name) + (answer.searched && answer.faces.empty() ? ": no face found" : ""));
    for (const FaceAnswer& f : answer.faces) {
      if (f.face) console_.print("  face {} of {}: {}x{} at {},{}, score {:.2f}", &f - answer.faces.data() + 1, answer.faces.size(),
                                 f.face->width, f.face->height, f.face->x, f.face->y, f.face->score);
      bars(f.said, f.face ? "    " : "  ");
    }
  }

  void bars(const Prediction& said, const char* indent) {
    constexpr int kBar = 40;
    const std::vector<float>& p = said.probabilities;
    for (const size_t c : best(p))
      console_.print("{}{:<16.16} {:>5.1f} %  {}", indent, job_.classes[c], 100 * p[c], std::string(size_t(kBar * p[c] + 0.5f), '#'));
    if (said.valence) console_.print("{}valence {:+.2f}, arousal {:+.2f}", indent, *said.valence, *said.arousal);
  }

  void briefly(const PictureAnswer& answer) {
    const std::string name = shown_name(answer.name);
    if (answer.faces.empty()) console_.print("{}: no face found", name);
    for (const FaceAnswer& f : answer.faces) {
      std::string said = f.face ? fmt::format("{}: face {}:", name, &f - answer.faces.data() + 1) : name + ":";
      const std::vector<float>& p = f.said.probabilities;
      const char* between = " ";
      for (const size_t c : best(p)) said += fmt::format("{}{} {:.1f} %", std::exchange(between, ", "), job_.classes[c], 100 * p[c]);
      if (f.said.valence) said += fmt::format("{}valence {:+.2f}, arousal {:+.2f}", between, *f.said.valence, *f.said.arousal);
      console_.line(said);
    }
  }

  std::vector<size_t> best(const std::vector<float>& p) const {
    std::vector<size_t> order = by_probability(p);
    order.resize(std::min(order.size(), size_t(job_.arguments.top)));
    return order;
  }

  const InferJob& job_;
  Console& console_;
};

class JsonLines : public InferOutput {
 public:
  explicit JsonLines(const InferJob& job) : job_(job), lines_("--jsonl", job.arguments.jsonl) {}
  void take(const AskedPicture& asked) override {
    lines_.write(answer_json(asked.answer, job_.classes, job_.json_top()).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  }

 private:
  const InferJob& job_;
  Lines lines_;
};

class CsvTable : public InferOutput {
 public:
  explicit CsvTable(const InferJob& job) : job_(job), lines_("--csv", job.arguments.csv) { lines_.write(csv_header(job.classes, job.affect)); }
  void take(const AskedPicture& asked) override { lines_.write(csv_rows(asked.answer, job_.classes, job_.affect)); }

 private:
  const InferJob& job_;
  Lines lines_;
};

class AnnotatedPictures : public InferOutput {
 public:
  explicit AnnotatedPictures(const InferJob& job) : job_(job), names_(job.arguments.annotate, job.pictures) {
    make_folder(job.arguments.annotate);
  }
  void take(const AskedPicture& asked) override {
    if (asked.answer.problem.empty()) write_picture(names_.next(asked.answer.name), annotated(asked.picture, asked.answer, job_.classes));
  }

 private:
  const InferJob& job_;
  OutputNames names_;
};

class CamPictures : public InferOutput {
 public:
  CamPictures(const InferJob& job, Device& device, const Trained& trained)
      : job_(job), names_(job.arguments.cam, job.pictures), overlay_(device, trained) {
    make_folder(job.arguments.cam);
  }

  // One picture for each face: `name.png`, `name-2.png`, ...
  void take(const AskedPicture& asked) override {
    for (const FaceAnswer& f : asked.answer.faces) {
      const Image shown = f.face ? face_crop(asked.picture, *f.face, job_.arguments.margin) : asked.picture;
      write_picture(names_.next(asked.answer.name), enlarged_to_read(overlay_(shown)));
    }
  }

 private:
  const InferJob& job_;
  OutputNames names_;
  CamOverlay overlay_;
};

}  // namespace

void check_infer_outputs(const Arguments& a) {
  if ((a.jsonl == "-") + (a.csv == "-") + (a.json == "-") > 1)
    fail("usage", "two of --json, --jsonl and --csv write to stdout. Fix: name a file for one of them");
  for (const auto& [option, where] : {std::pair{"--jsonl", a.jsonl}, {"--csv", a.csv}})
    if (is_picture_name(where)) fail(option, "got '{}', which is a picture's name. Fix: name the file to write, or - for stdout", where);
}

std::vector<std::unique_ptr<InferOutput>> infer_outputs(const InferJob& job, Console& console) {
  std::vector<std::unique_ptr<InferOutput>> outputs;
  outputs.push_back(std::make_unique<TextOutput>(job, console));
  if (job.arguments.given("--jsonl")) outputs.push_back(std::make_unique<JsonLines>(job));
  if (job.arguments.given("--csv")) outputs.push_back(std::make_unique<CsvTable>(job));
  if (job.arguments.given("--annotate")) outputs.push_back(std::make_unique<AnnotatedPictures>(job));
  return outputs;
}

std::unique_ptr<InferOutput> cam_output(const InferJob& job, Device& device, const Trained& trained) {
  return std::make_unique<CamPictures>(job, device, trained);
}

}  // namespace vkfer
