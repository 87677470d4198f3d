#include <algorithm>
#include <future>

#include "runtime/error.h"
#include "tools/cli/class_names.h"
#include "tools/cli/distinct_files.h"
#include "tools/cli/infer_outputs.h"
#include "tools/cli/tool.h"
#include "tools/cli/trained.h"
#include "tools/cli/verb.h"
#include "tools/predict/predictor.h"
#include "tools/train/run_folder.h"

namespace vkfer {
namespace {

// The pictures that the command line names, and in front of them a run.
struct Named {
  std::vector<std::string> run;
  std::vector<ListedPicture> pictures;
};

Named named(const Arguments& a) {
  std::vector<std::string> names = a.positional;
  Named all;
  if (!names.empty() && is_run(names[0])) {
    all.run.push_back(names[0]);
    names.erase(names.begin());
  }
  if (a.list == "-" && std::ranges::count(names, kStandardInput))
    fail("usage", "the standard input is asked for names and for a picture. Fix: leave one out");
  all.pictures = list_pictures(names);
  if (a.given("--list"))
    for (ListedPicture& picture : list_named(read_name_list(a.list))) all.pictures.push_back(std::move(picture));
  if (all.pictures.empty()) fail("usage", "no picture named. Fix: vkfer infer face.png");
  return all;
}

Trained open_network(const Arguments& a, std::vector<std::string> run) {
  Trained trained = open_trained(a, run);
  if (!run.empty()) fail("usage", "a run and --weights both name weights. Fix: choose one");
  if (!a.given("--classes")) return trained;
  trained.saved.classes = read_class_names(a.class_names);
  if (int(trained.saved.classes.size()) != trained.saved.network.classes)
    fail("--classes", "got {} names, expected {}: one for each output of the network", trained.saved.classes.size(),
         trained.saved.network.classes);
  return trained;
}

// Unpacking the detector takes a second: meanwhile the device is opened.
std::future<FaceFinder> start_finder(const Arguments& a) {
  if (!a.detect) return {};
  return std::async(std::launch::async, [options = FaceFinderOptions{a.min_face, a.min_score}] { return FaceFinder(options); });
}

struct Tally {
  size_t pictures = 0, failed = 0, faces = 0, without = 0;

  void count(const PictureAnswer& answer) {
    ++pictures;
    failed += !answer.problem.empty();
    faces += answer.faces.size();
    without += answer.problem.empty() && answer.faces.empty();
  }
  void print(Console& console, bool searched) const {
    if (pictures < 2) return;
    const auto counted = [](size_t n, const char* what) { return fmt::format("{} {}{}", count_text(int64_t(n)), what, n == 1 ? "" : "s"); };
    const std::string done = counted(pictures - failed, "picture");
    if (searched) console.print("{} in {}; no face in {}", counted(faces, "face"), done, count_text(int64_t(without)));
    else console.line(done);
  }
  void check() const {
    if (failed == 0) return;
    if (failed == pictures) fail("infer", "no picture could be read; the reasons are above");
    throw PartlyDone(fmt::format("[infer] {} of {} pictures could not be read; the reasons are above", failed, pictures));
  }
};

void check_some_exist(const std::vector<ListedPicture>& pictures, Console& console) {
  if (std::ranges::any_of(pictures, [](const ListedPicture& p) { return p.problem.empty(); })) return;
  for (const ListedPicture& p : pictures) console.notice(shown_name(p.problem));
  fail("infer", "there is no picture to look at; the reasons are above");
}

void run_infer(Arguments& a, Console& console) {
  check_infer_outputs(a);
  check_distinct_files({{"--csv", a.csv}, {"--jsonl", a.jsonl}}, {{"--list", a.list}, {"--weights", a.weights}});
  if (!a.detect && (a.given("--min-face") || a.given("--min-score") || a.given("--margin")))
    fail("usage", "--min-face, --min-score and --margin are about faces that are looked for. Fix: --detect");
  Named what = named(a);
  const Trained trained = open_network(a, what.run);
  check_some_exist(what.pictures, console);
  if (a.jsonl == "-" || a.csv == "-") console.text_to_stderr();
  std::future<FaceFinder> finding = start_finder(a);

  Device device = open_device(a, console);
  Predictor predictor(device, trained, {.precision = asked_precision(a)});
  const InferJob job{a, predictor.classes(), trained.saved.network.valence_arousal, std::move(what.pictures)};
  auto outputs = infer_outputs(job, console);
  if (a.given("--cam")) outputs.push_back(cam_output(job, device, trained));
  if (!trained.run.empty()) console.print("{} of {}", trained.saved.network.model->name, trained.run.string());
  std::optional<FaceFinder> finder;
  if (finding.valid()) finder = finding.get();

  Json answers = Json::array();
  Tally tally;
  ask_about(predictor, job.pictures, {.finder = finder ? &*finder : nullptr, .margin = a.margin}, [&](const AskedPicture& asked) {
    for (const auto& output : outputs) output->take(asked);
    tally.count(asked.answer);
    if (console.wants_json()) answers.push_back(answer_json(asked.answer, job.classes, job.json_top()));
  });
  check_validation(device, console);
  tally.print(console, a.detect);
  console.answer({{"model", trained.saved.network.model->name}, {"weights", trained.saved.weights.source}, {"images", answers}});
  tally.check();
}

}  // namespace

extern const Verb infer_verb;
const Verb infer_verb{
    .name = "infer",
    .summary = "Tell the expression on pictures of faces",
    .arguments = {"--run", "--model", "--weights", "--head", "--preprocessing", "--padding", "--batch-norm", "--size", "--channels",
                  "--classes", "--list", "--detect", "--min-face", "--min-score", "--margin", "--top", "--csv", "--jsonl", "--annotate", "--cam", "--precision", "--device", "--json"},
    .positional = "images",
    .positional_help = "pictures or folders; a run may come first",
    .max_positional = -1,
    .examples = "  vkfer infer face.png\n"
                "  vkfer infer holiday/*.jpg --detect --annotate out/ --csv results.csv\n"
                "  vkfer infer runs/1 photos/ --jsonl answers.jsonl\n"
                "  find . -name '*.jpg' | vkfer infer --list - --csv -\n"
                "  curl -s $URL | vkfer infer - --json\n"
                "  vkfer infer photos/ --model mobilenetv2 --weights imagenet.pth\n\n"
                "Without --run the newest run in runs/ answers. Without --detect the whole\n"
                "picture is resized to the network's input: it should show one face and little\n"
                "else. A picture that cannot be read is told of on stderr and the others are\n"
                "done; then the exit status is 1, or 2 if none could be read.",
    .run = run_infer,
};

}  // namespace vkfer
