#include "tools/cli/train_job.h"

#include "models/onnx/network.h"
#include "runtime/error.h"
#include "tools/data/atomic_file.h"
#include "tools/data/output_file.h"
#include "tools/data/utf8.h"
#include "tools/train/saved_network.h"

namespace vkfer {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNetworkCopy = "network.onnx";

// One validation picture of each class, to try `infer` on. Of drawn faces only: pictures of people stay where they are.
void write_examples(const Dataset& dataset, const fs::path& folder) {
  if (!dataset.synthetic()) return;
  make_folder(folder);
  std::vector<bool> written(dataset.classes().size());
  for (const size_t i : dataset.split("val")) {
    const int label = dataset.sample(i).label;
    if (label < 0 || written[size_t(label)]) continue;
    written[size_t(label)] = true;
    write_png(folder / (dataset.classes()[size_t(label)] + ".png"), dataset.image(i));
  }
}

void check_same_data(const TrainJob& job, const Dataset& dataset) {
  const std::string now = fingerprint(dataset, job.settings.answers_affect());
  if (!job.fingerprint.empty() && job.fingerprint != now)
    fail("data", "{} is not what the run was trained on (fingerprint {}, expected {}). Fix: --data where it is now",
         dataset.source(), now, job.fingerprint);
}

// What a person expects of the data, as a number or as names in the order of the labels.
void check_expected_classes(const std::string& expected, const Dataset& dataset, bool va_only) {
  if (expected.empty()) return;
  if (va_only) fail("--classes", "got {} with --va-only: there are no classes. Fix: leave one of them out", expected);
  const std::string names = fmt::format("{}", fmt::join(dataset.classes(), ","));
  if (expected != names && expected != std::to_string(dataset.classes().size()))
    fail("--classes", "got {}, but {} has {}: {}. Fix: leave it out, or give other data", expected, dataset.source(), dataset.classes().size(), names);
}

// Of the settings in `given`, those that the run has otherwise.
void check_agree(const Json& given, const TrainSettings& saved, std::string_view where) {
  TrainSettings asked = saved;
  apply_settings(given, asked);
  make_paths_absolute(asked);
  const Json ours = settings_json(resolve_settings(asked, saved.size)), theirs = settings_json(resolve_settings(saved, saved.size));
  for (const auto& [name, value] : given.items())
    if (name != "data" && ours.at(name) != theirs.at(name))
      fail(where.empty() ? setting_option(name) : where, "{}got {}, but the run was started with {}. Fix: leave it out, or start a new run",
           where.empty() ? "" : fmt::format("'{}': ", name), ours.at(name).dump(), theirs.at(name).dump());
}

}  // namespace

void make_paths_absolute(TrainSettings& s) {
  for (const auto& [option, path] : {std::pair{"--data", &s.data}, {"--model", &s.model}, {"--weights", &s.weights}})
    if (!is_utf8(*path)) fail(option, "the name is not UTF-8, and would not be read back. Fix: rename it");
  if (s.data.empty()) s.data = "builtin";
  if (s.data != "builtin") s.data = fs::absolute(s.data).lexically_normal().string();
  if (is_onnx_path(s.model)) {
    s.model = fs::absolute(s.model).lexically_normal().string();
    if (s.weights.empty()) s.weights = s.model;   // its own
  }
  if (!s.weights.empty()) s.weights = fs::absolute(s.weights).lexically_normal().string();
}

void check_needs(const AskedTraining& asked, bool from_scratch) {
  const bool weights = !asked.settings.weights.empty();
  if (from_scratch && weights) fail("--from-scratch", "got --weights {}, too. Fix: give one of them", asked.settings.weights);
  if (weights || from_scratch || !asked.recipe || asked.recipe->needs.empty()) return;
  fail("recipe", "{} begins with ImageNet weights of {}, and none are given. Fix: --weights FILE (vkfer import reads PyTorch's and Keras'), or --from-scratch",
       asked.recipe->name, asked.settings.model);
}

Json AskedTraining::recipe_part() const {
  if (!recipe) return {};
  Json part = recipe_json(*recipe);
  part["overridden"] = Json::object();
  for (const auto& [name, value] : given.items())
    if (recipe->settings.contains(name) && recipe->settings.at(name) != value) part["overridden"][name] = value;
  return part;
}

AskedTraining asked_training(std::optional<Recipe> recipe, const Json& given) {
  AskedTraining asked;
  asked.given = given;
  asked.recipe = std::move(recipe);
  if (asked.recipe) apply_settings(asked.recipe->settings, asked.settings);
  apply_settings(given, asked.settings);
  make_paths_absolute(asked.settings);
  return asked;
}

AskedTraining asked_training(const Arguments& a) {
  std::optional<Recipe> recipe;
  if (a.given("--recipe")) recipe = load_recipe(a.recipe);
  if (recipe && recipe->sweep) fail("--recipe", "{} is a sweep. Fix: vkfer sweep {}", recipe->source, a.recipe);
  return asked_training(std::move(recipe), a.given_settings());
}

void check_agrees(const AskedTraining& asked, const TrainSettings& saved, const Json& saved_recipe) {
  check_agree(asked.given, saved, "");
  // The recipe that it was started with agrees, whatever the command line gave over it then.
  if (!asked.recipe || (saved_recipe.is_object() && saved_recipe.value("fingerprint", "") == asked.recipe->fingerprint)) return;
  check_agree(asked.recipe->settings, saved, "--recipe");
}

// What going on with a run reads in its config.json, but for the settings.
static void check_config(const Json& config, const fs::path& path) {
  try {
    const Json &data = config.at("data"), &network = config.at("network");
    for (const char* text : {"fingerprint", "source"}) data.at(text).get<std::string>();
    for (const char* split : {"train", "val", "test"}) data.at("images").at(split).get<int>();
    network.at("classes").get<std::vector<std::string>>();
    network.at("trainable_parameters").get<int64_t>();
    config.at("plan").is_object();
  } catch (const nlohmann::json::exception& e) {
    fail("run", "{}: {}. Fix: the file is damaged", (path / "config.json").string(), e.what());
  }
}

std::string fingerprint_of(const Json& config) { return config.at("data").at("fingerprint"); }

TrainJob existing_job(const fs::path& path, Console& console) {
  TrainJob job;
  job.path = path;
  job.folder.emplace(RunFolder::open(path));
  job.config = read_config(path);
  job.settings = settings_from_json(job.config.value("settings", Json()), (path / "config.json").string());
  check_config(job.config, path);
  job.fingerprint = fingerprint_of(job.config);
  // Of a network that came from a file the run keeps a copy.
  if (is_onnx_path(job.settings.model)) onnx_network((job.path / kNetworkCopy).string(), job.settings.model);
  make_paths_absolute(job.settings);
  job.checkpoint = job.folder->load([&](const std::string& line) { console.notice(line); });
  if (!job.checkpoint) console.print("{} has no checkpoint yet: starting from the beginning", path.string());
  return job;
}

TrainJob new_job(const AskedTraining& asked, const fs::path& path, bool from_scratch, Console& console) {
  check_needs(asked, from_scratch);
  TrainJob job;
  job.settings = asked.settings;
  job.recipe = asked.recipe_part();
  job.path = path;
  if (job.settings.weights.empty() && !job.settings.freeze.empty() && job.settings.freeze != "none")
    console.notice(fmt::format("--freeze {} without --weights: what is frozen stays random", job.settings.freeze));
  return job;
}

Device& Trainer::device() {
  if (!device_) device_.reset(new Device(open_device(arguments_, console_)));
  return *device_;
}

TrainOutcome Trainer::finished(const TrainJob& job) const {
  job.folder->derive(*job.checkpoint, job.config.at("network").at("classes").get<std::vector<std::string>>());
  return {job.path, {.finished = true, .history = job.checkpoint->history, .best_epoch = job.checkpoint->best_epoch}, job.config, job.settings, ""};
}

Dataset Trainer::open(TrainJob& job) {
  check_settings(job.settings);
  Dataset dataset = open_data(job.settings, console_);
  check_expected_classes(arguments_.class_names, dataset, job.settings.va_only);
  check_same_data(job, dataset);
  if (!job.folder) {
    job.settings = resolve_settings(job.settings, dataset.native_size());
    const std::string warning = follow_weights(job.settings);
    if (!warning.empty()) console_.notice(warning);
  }
  if (!guard_) guard_.emplace();
  return dataset;
}

RateSearch Trainer::find_rate(TrainJob job, TrainReport& report) {
  const Dataset dataset = open(job);
  RateSearch found = Training(device(), dataset, job.settings, {}, report.hooks()).find_rate({});
  check_validation(device(), console_);
  return found;
}

TrainOutcome Trainer::run(TrainJob job, TrainReport& report, const std::function<void(TrainHooks&)>& watch) {
  std::optional<TrainStart> from;
  if (job.folder) from.emplace();
  if (job.checkpoint) from = {job.checkpoint->history, job.checkpoint->epoch, job.checkpoint->step};
  const Dataset dataset = open(job);
  TrainHooks hooks = report.hooks();
  if (watch) watch(hooks);
  if (logs_) hooks = logs_->around(std::move(hooks));
  Training training(device(), dataset, job.settings, std::move(job.checkpoint), std::move(hooks));
  if (!job.folder) {
    job.folder.emplace(RunFolder::create(job.path));
    if (is_onnx_path(job.settings.model)) write_file(job.folder->path() / kNetworkCopy, std::string_view(onnx_bytes(read_onnx(job.settings.model))));
    job.config = with_version(training.config());
    if (!job.recipe.is_null()) job.config["recipe"] = job.recipe;
    job.folder->write_config(job.config);
    write_examples(dataset, job.folder->path() / "examples");
  }
  if (logs_) logs_->start(job.config, job.folder->path(), from);
  report.introduce(job.config, job.folder->path(), device());
  if (!training.inexact_because().empty())
    console_.notice(fmt::format("going on, but no longer bit for bit as without the interruption: {}", training.inexact_because()));
  TrainResult result = training.run(*job.folder);
  check_validation(device(), console_);
  if (logs_) logs_->end(result, job.folder->path());
  return {job.folder->path(), std::move(result), std::move(job.config), std::move(job.settings), training.inexact_because()};
}

}  // namespace vkfer
