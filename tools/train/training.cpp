#include "tools/train/training.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "models/init.h"
#include "models/weights/transfer.h"
#include "runtime/error.h"
#include "tools/data/ferplus.h"
#include "tools/train/class_weights.h"
#include "tools/train/memory_budget.h"
#include "tools/train/precision.h"
#include "tools/train/resize.h"
#include "tools/train/saved_network.h"
#include "tools/tune/tuning_file.h"

namespace vkfer {
namespace {

// A save that takes long comes seldom: at most a twentieth of the time goes into saving.
constexpr double kSaveShare = 20;

template <class... Args>
[[noreturn]] void fail_diverged(fmt::format_string<Args...> format, Args&&... args) {
  throw Diverged(ErrorKind::bad_input, "train", fmt::format(format, std::forward<Args>(args)...));
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void check_classes(const Dataset& dataset) {
  if (dataset.classes().size() < 2)
    fail("data", "{}: {}, expected 2 or more{}", dataset.source(), dataset.classes().empty() ? "no classes" : "1 class",
         dataset.has_valence() ? ". Fix: --va-only trains on valence and arousal alone" : "");
  const std::vector<size_t> counts = dataset.class_counts("train");
  for (size_t c = 0; c < counts.size(); ++c)
    if (counts[c] == 0) fail("data", "{}: class '{}' has no training image. Fix: add some, or remove the class", dataset.source(), dataset.classes()[c]);
  if (labelled(dataset, "val").empty())
    fail("data", "{}: no labelled validation image. Fix: add a val folder, or --val-fraction 0.1", dataset.source());
}

void check_affect(const Dataset& dataset, const TrainSettings& s, const MonitorDef& monitor) {
  if (!dataset.has_valence())
    fail(s.va_only ? "--va-only" : "--va", "{} knows no valence and arousal. Fix: annotations or columns of that name, or leave it out", dataset.source());
  if (s.va_only && labelled(dataset, "train", true, false).empty())
    fail("data", "{}: no training image whose valence and arousal are known. Fix: another split, or other data", dataset.source());
  if ((s.va_only || monitor.of == MonitorDef::affect) && labelled(dataset, "val", true, false).empty())
    fail("data", "{}: no validation image whose valence and arousal are known. Fix: add a val folder, or --val-fraction 0.1", dataset.source());
}

bool has_weights(const Dataset& dataset) {
  return std::ranges::any_of(dataset.split("train"), [&](size_t i) { return dataset.sample(i).weight != 1; });
}

void check_weights(const Dataset& dataset, const TrainSettings& s) {
  if (std::ranges::none_of(dataset.split("train"), [&](size_t i) { return dataset.sample(i).weight > 0; }))
    fail("data", "{}: every training image has the weight 0. Fix: correct its column 'weight'", dataset.source());
  if (s.focal_gamma > 0 && !s.va_only && has_weights(dataset))
    fail("--focal-gamma", "got {}, but {} gives its images weights, which the focal loss does not know. Fix: leave one of them out", s.focal_gamma, dataset.source());
}

NetworkSettings network_of(const TrainSettings& s, const Dataset& dataset) {
  NetworkSettings n;
  n.model = &find_model(s.model);
  n.size = s.size;
  n.channels = s.channels;
  n.classes = s.va_only ? 0 : int(dataset.classes().size());
  n.batch = s.batch;
  n.pixel_channels = std::min(s.channels, std::max(1, dataset.channels()));
  n.preprocessing = s.preprocessing.empty() ? n.model->preprocessing : preprocessing_from_name(s.preprocessing);
  n.same_padding = !s.padding.empty() && is_same_padding(s.padding);
  n.batch_norm = batch_norm_from_text(s.batch_norm);
  n.dropout = s.dropout;
  n.label_smoothing = s.label_smoothing;
  n.focal_gamma = s.focal_gamma;
  n.warp = s.warp.any();
  n.mix = s.mix.any();
  n.soft_targets = n.classes > 0 && (n.mix || vote_mode(s.votes) == VoteMode::probability || has_weights(dataset));
  n.ccc = s.va_loss == "ccc";
  n.task_weights = s.loss_weights();
  n.backbone_rate = s.backbone_rate;
  n.decay_all = s.norm_decay;
  n.storage = storage_of(s.precision);
  n.recompute = s.recompute;
  n.head = s.head;
  n.valence_arousal = s.valence_arousal;
  return n;
}

// What differs between then and now, or "".
std::string difference(const Arithmetic& then, const Arithmetic& now) {
  if (then.device != now.device) return fmt::format("the device was {}, now it is {}", then.device, now.device);
  if (then.driver != now.driver) return fmt::format("the driver was {}, now it is {}", then.driver, now.driver);
  if (then.training_signature != now.training_signature || then.evaluation_signature != now.evaluation_signature)
    return "this version of vkfer adds in another order";
  return {};
}

// Early averages would remember the beginning for too long (tf.train.ExponentialMovingAverage with num_updates).
double ema_decay(double decay, int64_t step) { return std::min(decay, double(step + 1) / double(step + 10)); }

}  // namespace

std::string driver_text(const DeviceInfo& info) { return info.driver_name + " " + info.driver_info; }

Training::Training(Device& device, const Dataset& dataset, const TrainSettings& settings, std::optional<Checkpoint> from,
                   TrainHooks hooks)
    : device_(device), dataset_(dataset), settings_(settings), hooks_(std::move(hooks)),
      optimizer_(find_optimizer(settings.optimizer)), schedule_(find_schedule(settings.schedule)), monitor_(find_monitor(settings.monitored())), states_(device) {
  if (!settings.va_only) check_classes(dataset);
  if (settings.valence_arousal) check_affect(dataset, settings, monitor_);
  check_weights(dataset, settings);
  const std::string driver = driver_text(device.info());
  const bool same_device = from && from->arithmetic.device == device.info().name && from->arithmetic.driver == driver;
  const Target target = same_device ? from->arithmetic.target : tuned_target(device.info(), hooks_.say);
  settings_.precision = resolve_precision(settings_.precision, device.info(), target);
  network_ = network_of(settings_, dataset);
  phases_ = freeze_phases(settings_, settings_.unfreeze_blocks ? summarise(*network_.model, model_options(network_, false)).blocks : 0);
  if (from) phase_ = int(from->skipped_before.size());
  if (network_.classes > 0) {
    classes_ = dataset.classes();
    class_weights_ = class_weights(settings_.class_weights, class_shares(dataset, "train"));
  }
  build(target, from.has_value());
  Target used = stepper_->plan().target();
  for (const StepPlan& plan : plans_) {
    const Target later = plan.target();
    used.tuning.insert(later.tuning.begin(), later.tuning.end());
  }
  used.tuning.insert(evaluator_->plan().target.tuning.begin(), evaluator_->plan().target.tuning.end());
  const Arithmetic now{used, stepper_->plan().signature(), evaluator_->plan().signature(),
                       device.info().name, driver};
  decode();
  if (from) {
    inexact_because_ = difference(from->arithmetic, now);
    at_ = std::move(*from);
    restore();
  } else {
    start();
  }
  at_.arithmetic = now;
}

std::vector<size_t> Training::samples(std::string_view split) const { return labelled(dataset_, split, settings_.valence_arousal, !settings_.va_only); }

// What was there to train on may not have been readable.
void Training::check_left(const DecodedCache& cache, std::string_view split) const {
  if (cache.skipped().empty()) return;
  std::vector<size_t> left(std::max<size_t>(1, classes_.size()));
  for (size_t i = 0; i < cache.size(); ++i) {
    const int label = cache.sample(i).label;
    if (classes_.empty() || label >= 0) ++left[classes_.empty() ? 0 : size_t(label)];
  }
  const bool none = std::ranges::all_of(left, [](size_t n) { return n == 0; });
  if (none) fail("data", "{}: none of the images of {} that are labelled could be read. Fix: repair them; vkfer data inspect names them", dataset_.source(), split);
  const auto lost = std::ranges::find(left, size_t{0});
  if (split == "train" && lost != left.end())
    fail("data", "{}: none of the training images of class '{}' could be read. Fix: repair them; vkfer data inspect names them", dataset_.source(),
         classes_[size_t(lost - left.begin())]);
}

void Training::decode() {
  CacheOptions options;
  options.size = settings_.size;
  options.channels = network_.pixel_channels;
  options.skip_bad = settings_.skip_bad;
  options.memory_bytes = hooks_.cache_bytes;
  options.resize = resize_on(device_);
  options.left_out = [this](const std::string& problem) {   // when decoded per batch, in every epoch
    constexpr size_t kNamed = 100;
    if (left_out_.size() < kNamed && left_out_.insert(problem).second) say("left out: " + problem);
  };
  const auto decode_split = [&](const char* split, const char* what) {
    if (hooks_.progress) options.progress = [this, what](size_t done, size_t total) { hooks_.progress(what, done, total); };
    auto cache = std::make_unique<DecodedCache>(dataset_, samples(split), options);
    if (!cache->skipped().empty()) say(fmt::format("{} unreadable images left out of {}", cache->skipped().size(), split));
    check_left(*cache, split);
    return cache;
  };
  train_ = decode_split("train", "reading training images");
  val_ = decode_split("val", "reading validation images");
  if (train_->size() < size_t(settings_.batch))
    fail("--batch", "got {}, but there are only {} training images. Fix: --batch {}", settings_.batch, train_->size(),
         std::max<size_t>(1, train_->size() / 4));
  sampler_ = std::make_unique<Sampler>(
      train_->size(), SamplerOptions{.batch = size_t(settings_.batch), .seed = settings_.seed, .shuffle = true, .drop_last = true});
  steps_per_epoch_ = int64_t(sampler_->batches());
}

NetworkSettings Training::network_in(int phase) const {
  NetworkSettings n = network_;
  n.freeze = phases_.freezes[size_t(phase)];
  n.freezes_before.assign(phases_.freezes.begin(), phases_.freezes.begin() + phase);
  return n;
}

void Training::start_phase() {
  if (stepper_) waited_milliseconds_ += stepper_->host_time().wait_milliseconds;
  stepper_.reset();  // its memory goes back first
  stepper_ = std::make_unique<Stepper>(device_, states_, std::move(plans_.front()));
  plans_.pop_front();
  stepper_->set_class_weights(class_weights_);
}

void Training::next_phase() {
  const std::vector<std::string> before = states_.names();
  start_phase();
  ++phase_;
  start_averages(before);
  at_.arithmetic.training_signature = stepper_->plan().signature();
  at_.skipped_before.push_back(skipped_steps_);
  const std::string& freeze = phases_.freezes[size_t(phase_)];
  say(fmt::format("from epoch {} on, {}", at_.epoch + 1, freeze.empty() ? "everything trains" : freeze + " of the backbone stay frozen"));
}

// A run that goes on computes as it did: its settings say how.
void Training::build(const Target& target, bool goes_on) {
  const OptimizerSettings optimizer = settings_.optimizer_settings();
  const int pieces = settings_.micro_batch ? settings_.batch / settings_.micro_batch : goes_on ? 1 : 0;
  const int last = phases_.at(settings_.epochs - 1);
  if (phase_ > last) fail("checkpoint", "it is of phase {}, but its settings have {}. Fix: resume with the version that wrote it", phase_ + 1, last + 1);
  StepPlan plan = settings_.memory_budget.empty() || goes_on   // the last phase trains most
                      ? plan_step(network_in(last), std::max(pieces, 1), optimizer_, optimizer, target)
                      : plan_step_within(parse_bytes(settings_.memory_budget), network_in(last), pieces, optimizer_, optimizer, target);
  settings_.recompute = network_.recompute = plan.network.recompute;
  settings_.micro_batch = plan.pieces > 1 ? plan.network.batch : 0;
  NetworkSettings evaluated = network_;
  evaluated.batch = plan.network.batch;
  for (int phase = phase_; phase < last; ++phase) plans_.push_back(plan_step(network_in(phase), plan.pieces, optimizer_, optimizer, target));
  plans_.push_back(std::move(plan));
  start_phase();
  if (settings_.ema > 0) averaged_ = std::make_unique<States>(device_);
  evaluator_ = std::make_unique<Evaluator>(device_, this->evaluated(), evaluated, target);
}

std::vector<std::string> Training::states_without_affect() const {
  NetworkSettings n = network_;
  n.valence_arousal = false;
  n.classes = std::max(n.classes, 1);
  const Graph graph = evaluation_graph(n).graph;
  std::vector<std::string> names;
  for (const Value v : graph.states()) names.push_back(graph.info(v).name);
  return names;
}

void Training::start() {
  initialise(stepper_->graph(), states_, settings_.seed);
  if (settings_.weights.empty()) return start_averages();
  SavedNetwork saved = read_network(settings_.weights, {.model = settings_.model, .head = settings_.head, .channels = settings_.channels, .classifier_may_be_absent = true});
  const bool says = saved.weights.metadata.count("preprocessing") != 0;  // follow_weights() has told what differs
  set_conventions(saved, says ? "" : settings_.preprocessing, settings_.padding, settings_.batch_norm);
  LoadOptions options{.classifier = network_.classifier()};
  if (saved.network.head != network_.head) {
    say("the head differs from that of --weights: it starts at random");
    options.only = backbone_states(*network_.model, network_.channels);
  } else if (saved.network.valence_arousal != network_.valence_arousal) {
    if (network_.valence_arousal) say("--weights has no outputs for valence and arousal: they start at random");
    options.only = states_without_affect();
  }
  if (saved.network.head == network_.head && (saved.network.classes != network_.classes || (!saved.classes.empty() && saved.classes != classes_))) {
    if (!classes_.empty()) say("the classes differ from those of --weights: the classifier starts at random");
    options.skip_classifier = true;
  }
  load_weights(saved.weights, evaluator_->graph(), states_, options);
  start_averages();
}

// What a checkpoint holds: all but sums that begin anew.
std::vector<std::string> Training::kept_states() const {
  std::vector<std::string> names = states_.names();
  std::erase_if(names, [](const std::string& name) { return name.starts_with(kEvalSums) || name.starts_with(kGradientSum); });
  return names;
}

void Training::restore() {
  const std::vector<std::string> names = kept_states();
  const bool same_names = std::ranges::equal(names, at_.states, {}, {}, [](const auto& entry) { return entry.first; });
  if (!same_names) fail("checkpoint", "its tensors are not those of this network. Fix: resume with the version that wrote it");
  for (const auto& [name, bytes] : at_.states) states_.write_bytes(name, bytes);
  at_.states.clear();
  if (stepper_->scales_loss()) skipped_steps_ = int64_t(states_.read(kLossScaleCounts)[1]);
}

Json Training::config() const {
  const DeviceInfo& info = device_.info();
  const StepPlan& plan = stepper_->plan();
  Json counts = Json::object();
  for (const char* split : {"train", "val", "test"}) counts[split] = samples(split).size();
  int64_t parameters = 0;
  const Graph& graph = plans_.empty() ? stepper_->graph() : plans_.back().step.graph;  // the last phase trains most
  for (const Value v : graph.states())
    if (graph.info(v).state.trainable) parameters += graph.desc(v).elements();
  return {{"settings", settings_json(settings_)},
          {"network", {{"trainable_parameters", parameters}, {"classes", classes_}, {"class_weights", class_weights_},
                       {"preprocessing", {{"name", network_.preprocessing.name}, {"scale", network_.preprocessing.scale},
                                          {"mean", network_.preprocessing.mean}, {"std", network_.preprocessing.std}}}}},
          {"data", {{"source", dataset_.source()}, {"synthetic", dataset_.synthetic()}, {"images", counts},
                    {"official_split", dataset_.official_split()}, {"fingerprint", fingerprint(dataset_, settings_.valence_arousal)}}},
          {"device", {{"name", info.name}, {"type", to_string(info.type)}, {"driver", driver_text(info)},
                      {"api", info.api_version}, {"uuid", info.uuid}}},
          {"plan", {{"target", target_json(at_.arithmetic.target)}, {"training", plan.signature()},
                    {"evaluation", evaluator_->plan().signature()}, {"steps_per_epoch", steps_per_epoch_},
                    {"activation_bytes", plan.activation_bytes()}, {"state_bytes", plan.state_bytes()},
                    {"mixes_images", plan.mixes_images}, {"flops_per_step", plan.step_plan.cost.flops * plan.pieces + plan.optimizer_plan.cost.flops}}}};
}

// ---- the loop -----------------------------------------------------------------------------------------------------

TrainResult Training::run(RunFolder& folder) {
  last_save_ = epoch_start_ = Clock::now();
  bool stopped = false;
  while (!at_.finished && !stopped) {
    stopped = !train_epoch(folder) || !finish_epoch();
    // Short epochs are not all worth a checkpoint, but the end is.
    if (stopped || at_.finished || seconds_since(last_save_) > kSaveShare * save_seconds_) save(folder);
  }
  folder.derive(at_, classes_);
  TrainResult result{at_.finished, at_.history, at_.best_epoch, skipped_steps_, steps_done_};
  if (steps_done_) {
    const double milliseconds = 1e3 * loop_seconds_, waited = waited_milliseconds_ + stepper_->host_time().wait_milliseconds;
    result.milliseconds_per_step = milliseconds / double(steps_done_);
    result.host_milliseconds_per_step = (milliseconds - waited) / double(steps_done_);
  }
  return result;
}

// The rest of the epoch's steps; false when it was stopped.
bool Training::train_epoch(RunFolder& folder) {
  epoch_start_ = Clock::now();
  if (phases_.at(at_.epoch) > phase_) next_phase();
  if (at_.step == 0)
    for (const std::string& name : states_.names())
      if (name.starts_with(kTrainSums)) states_.write(name, std::vector<float>(size_t(states_.desc(name).elements()), 0.0f));
  std::vector<std::vector<int64_t>> batches = sampler_->epoch(uint32_t(at_.epoch));
  batches.erase(batches.begin(), batches.begin() + ptrdiff_t(at_.step));
  BatchLoader loader(*train_, std::move(batches));
  std::vector<int64_t> positions;
  std::vector<uint8_t> pixels;
  bool stopped = false;
  Clock::time_point begun = Clock::now();
  while (!stopped && loader.next(positions, pixels)) {
    stopped = stop_requested();
    if (stopped) break;
    start_step(std::move(positions), pixels);
    if (steps_.size() >= Executor::kMostInFlight) finish_step();
    if (seconds_since(last_save_) <= std::max(hooks_.checkpoint_seconds, kSaveShare * save_seconds_)) continue;
    finish_steps();
    loop_seconds_ += seconds_since(begun);
    save(folder);
    begun = Clock::now();
  }
  finish_steps();
  loop_seconds_ += seconds_since(begun);
  return !stopped;
}

// They begin as the parameters do. `but_not`: sorted, those that have begun.
void Training::start_averages(const std::vector<std::string>& but_not) {
  for (const std::string& name : states_.names())
    if (name.starts_with(kAverage) && !std::ranges::binary_search(but_not, name)) states_.write_bytes(name, states_.read_bytes(name.substr(std::string_view(kAverage).size())));
}

// Into the evaluated network: averages of what is averaged, the rest as it is.
void Training::take_averages() {
  if (!averaged_) return;
  for (const std::string& name : averaged_->names())
    if (!name.starts_with(kEvalSums)) averaged_->write_bytes(name, states_.read_bytes(states_.has(kAverage + name) ? kAverage + name : name));
}

double Training::rate(int64_t index) const {
  const double scheduled = learning_rate(schedule_, settings_.schedule_settings(steps_per_epoch_), settings_.lr, index);
  if (!schedule_.follows_plateaus) return scheduled;
  const double factor = plateau_factor(monitor_, at_.history, settings_.plateau_patience, settings_.drop_factor, settings_.min_delta);
  return std::max(scheduled * factor, std::min(scheduled, settings_.min_lr));
}

OptimizerSettings Training::optimizer_settings(int64_t index) const {
  OptimizerSettings s = settings_.optimizer_settings();
  if (schedule_.momentum) s.momentum = s.beta1 = schedule_.momentum(settings_.schedule_settings(steps_per_epoch_), index);
  return s;
}

// The votes of several people, or all of it the one class; times the image's weight.
void Training::append_row(Batch& b, const Sample& sample) const {
  const size_t first = b.rows.size();
  b.rows.resize(first + class_weights_.size());
  if (!sample.distribution.empty()) std::ranges::copy(sample.distribution, b.rows.begin() + ptrdiff_t(first));
  else if (sample.label >= 0) b.rows[first + size_t(sample.label)] = 1;
  for (size_t i = first; i < b.rows.size(); ++i) b.rows[i] *= double(sample.weight);
}

Training::Batch Training::batch_of(std::span<const int64_t> positions, std::span<const uint8_t> pixels, int64_t index) const {
  Batch b;
  const size_t each = pixels.size() / positions.size();
  for (size_t i = 0; i < positions.size(); ++i) {
    // Decoded per batch, a picture that cannot be read turns up only now: it is a black one without labels.
    const bool readable = positions[i] != kPadding;
    const Sample sample = readable ? train_->sample(size_t(positions[i])) : Sample{};
    const auto number = readable ? uint32_t(train_->dataset_index(size_t(positions[i]))) : 0;
    b.labels.push_back(sample.label);
    b.valence.push_back(sample.valence);
    b.arousal.push_back(sample.arousal);
    b.weights.push_back(sample.weight);
    if (network_.soft_targets) append_row(b, sample);
    const Augmentation a = augmentation(settings_.seed, uint32_t(at_.epoch), number, settings_.crop, settings_.flip ? 0.5f : 0.0f);
    b.augment.insert(b.augment.end(), {a.flip, a.dy, a.dx, 0});
    if (!network_.warp) continue;
    const WarpRow row = warp_row(settings_.warp, settings_.seed, uint32_t(at_.epoch), number, settings_.size, pixels.subspan(i * each, each),
                                 network_.pixel_channels);
    b.warp.insert(b.warp.end(), row.begin(), row.end());
  }
  if (network_.mix) mix(b, pixels, index);
  if (network_.soft_targets) b.targets = soft_targets(b.rows, class_weights_, settings_.label_smoothing);
  return b;
}

namespace {

// Row i of what has n rows of equal length becomes row n-1-i.
template <class T>
std::vector<T> reversed_rows(std::span<const T> values, size_t n) {
  std::vector<T> out;
  out.reserve(values.size());
  const size_t each = values.size() / n;
  for (size_t i = n; i-- > 0;) out.insert(out.end(), values.begin() + ptrdiff_t(i * each), values.begin() + ptrdiff_t((i + 1) * each));
  return out;
}

}  // namespace

void Training::mix(Batch& b, std::span<const uint8_t> pixels, int64_t index) const {
  const size_t n = b.labels.size();
  const BatchMix m = batch_mix(settings_.mix, settings_.seed, index, settings_.size);
  b.partner_pixels = reversed_rows(pixels, n);
  b.partner_augment = reversed_rows<int32_t>(b.augment, n);
  b.partner_warp = reversed_rows<float>(b.warp, n);
  b.share = pixel_shares(m, int(n), settings_.size);
  if (network_.soft_targets) b.rows = mixed_rows(b.rows, class_weights_.size(), m.share);
  b.valence = mixed_values(b.valence, m.share);
  b.arousal = mixed_values(b.arousal, m.share);
  b.weights = mixed_values(b.weights, m.share);
}

void Training::start_step(std::vector<int64_t> positions, const std::vector<uint8_t>& pixels) {
  const int64_t index = at_.order(steps_per_epoch_) + int64_t(steps_.size());
  const double lr = rate(index);
  const Batch b = batch_of(positions, pixels, index);
  // Adam's count of steps leaves out what was skipped, so the step before must have told.
  if (stepper_->scales_loss()) finish_steps();
  submit(b, pixels, hypers(optimizer_settings(index), lr, index), index);
  steps_.push_back({lr, std::move(positions)});
}

// As torch does, Adam counts the steps of a parameter from the first that it takes.
std::vector<Hyper> Training::hypers(const OptimizerSettings& settings, double lr, int64_t index) const {
  std::vector<Hyper> all;
  for (int phase = 0; phase <= phase_; ++phase) {
    const int64_t start = int64_t(phase) * phases_.epochs * steps_per_epoch_, skipped = phase ? at_.skipped_before[size_t(phase) - 1] : 0;
    all.push_back(optimizer_.hyper(settings, lr, index - start + 1 - (skipped_steps_ - skipped)));
  }
  return all;
}

void Training::submit(const Batch& b, std::span<const uint8_t> pixels, std::span<const Hyper> hyper, int64_t index) {
  stepper_->submit({.pixels = pixels, .augment = b.augment, .labels = b.labels, .hyper = hyper[0], .seed = settings_.seed, .index = index,
                    .warp = b.warp, .ema_decay = ema_decay(settings_.ema, index), .valence = b.valence, .arousal = b.arousal, .weights = b.weights,
                    .partner_pixels = b.partner_pixels, .partner_augment = b.partner_augment, .partner_warp = b.partner_warp, .share = b.share,
                    .targets = b.targets.targets, .target_scale = b.targets.scale, .joined_hyper = hyper.subspan(1)});
}

RateSearch Training::find_rate(const RateRange& range) {
  std::vector<std::vector<int64_t>> batches;
  for (uint32_t epoch = 0; int(batches.size()) < range.steps; ++epoch)
    for (auto& batch : sampler_->epoch(epoch)) batches.push_back(std::move(batch));
  batches.resize(size_t(range.steps));
  BatchLoader loader(*train_, std::move(batches));
  RateSearch search;
  std::vector<int64_t> positions;
  std::vector<uint8_t> pixels;
  for (int step = 0; !stop_requested() && loader.next(positions, pixels); ++step) {
    const double lr = rate_at(range, step);
    const Batch b = batch_of(positions, pixels, step);
    if (stepper_->scales_loss()) skipped_steps_ = int64_t(states_.read(kLossScaleCounts)[1]);
    submit(b, pixels, hypers(settings_.optimizer_settings(), lr, step), step);
    if (!add_point(search, lr, stepper_->finish())) break;
    if (hooks_.progress) hooks_.progress("trying learning rates", size_t(step) + 1, size_t(range.steps));
  }
  conclude(search);
  return search;
}

void Training::finish_step() {
  const double loss = stepper_->finish();
  const Step step = std::move(steps_.front());
  steps_.pop_front();
  const bool skipped = stepper_->scales_loss() && follow_loss_scale(loss, step);
  if (!skipped && !std::isfinite(loss)) fail_not_finite(loss, step);
  ++at_.step;
  ++steps_done_;
  if (hooks_.step) hooks_.step({at_.epoch + 1, settings_.epochs, at_.step, steps_per_epoch_, settings_.batch, loss, step.lr, skipped});
}

void Training::finish_steps() {
  while (!steps_.empty()) finish_step();
}

// Was the step skipped? The device has decided that by itself; here it is counted, as torch counts Adam's steps, and a scale that
// can no longer help ends the run.
bool Training::follow_loss_scale(double loss, const Step& step) {
  const int64_t skipped_steps = int64_t(states_.read(kLossScaleCounts)[1]);
  if (skipped_steps == skipped_steps_) return false;
  skipped_steps_ = skipped_steps;
  const double scale = states_.read(kLossScale)[0];
  if (scale < 1)
    fail_diverged("gradients are not finite at any loss scale (now {:g}): the loss is {} at epoch {}, step {}, learning rate {:.3g}, images {}. "
         "Fix: lower --lr, or --precision fp32; the last checkpoint is sound", scale, loss, at_.epoch + 1, at_.step + 1, step.lr, batch_text(step));
  return true;
}

std::string Training::batch_text(const Step& step) const {
  const std::vector<int64_t>& positions = step.positions;
  std::string names;
  constexpr size_t kNamed = 64;
  for (size_t i = 0; i < std::min(kNamed, positions.size()); ++i)
    names += (i ? ", " : "") + (positions[i] == kPadding ? "(unreadable)" : train_->sample(size_t(positions[i])).id);
  if (positions.size() > kNamed) names += fmt::format(" and {} more", positions.size() - kNamed);
  return names;
}

void Training::fail_not_finite(double loss, const Step& step) const {
  fail_diverged("the loss is {} at epoch {}, step {}, learning rate {:.3g}, images {}. Fix: lower --lr; the last checkpoint is sound",
       loss, at_.epoch + 1, at_.step + 1, step.lr, batch_text(step));
}

Evaluation Training::train_figures() {
  Evaluation e = Evaluation::of_sums(network_.classes, network_.classes > 0 ? states_.read(kTrainSums) : std::vector<float>{});
  if (network_.valence_arousal) {
    e.valence = Evaluation::affect_of_sums(states_.read(std::string(kTrainSums) + ".valence"));
    e.arousal = Evaluation::affect_of_sums(states_.read(std::string(kTrainSums) + ".arousal"));
  }
  return e;
}

// Validates and moves to the next epoch; false when it was stopped.
bool Training::finish_epoch() {
  const auto progress = [this](size_t done) {
    if (hooks_.progress) hooks_.progress("validating", done, val_->size());
    return !stop_requested();
  };
  take_averages();
  const std::optional<Evaluation> val = evaluator_->evaluate(*val_, {}, progress);
  if (!val) return false;
  if (val->images() == 0) fail("data", "{}: none of the {} validation images could be read. Fix: vkfer data inspect names them", dataset_.source(), val_->size());
  if (!std::isfinite(val->loss()))
    fail_diverged("the validation loss is {} after epoch {}, at learning rate {:.3g}. Fix: lower --lr; the last checkpoint is sound", val->loss(), at_.epoch + 1,
                  rate(at_.order(steps_per_epoch_) - 1));
  const int64_t last = at_.order(steps_per_epoch_) - 1;
  const EpochRecord record{at_.epoch + 1, train_figures(), *val, rate(last), at_.epoch_seconds + seconds_since(epoch_start_)};
  at_.history.push_back(record);
  const bool best = best_epoch(monitor_, at_.history) == record.epoch;
  if (best) {
    at_.best_epoch = record.epoch;
    at_.best_model = export_model();
  }
  at_.epoch += 1;
  at_.step = 0;
  at_.epoch_seconds = 0;
  const bool gave_up = settings_.patience > 0 && epochs_without_gain(monitor_, at_.history, settings_.min_delta) >= settings_.patience;
  at_.finished = at_.epoch >= settings_.epochs || gave_up;
  if (hooks_.epoch) hooks_.epoch(record, best);
  if (gave_up && at_.epoch < settings_.epochs)
    say(fmt::format("stopping early: {} epochs without a better {}", settings_.patience, monitor_.title));
  return at_.finished || !stop_requested();
}

std::vector<std::byte> Training::export_model() {
  WeightFile file;
  set_metadata(file, network_, classes_);
  export_weights(evaluator_->graph(), evaluated(), file);
  return safetensors_bytes(file);
}

// The loss of a step says nothing of the weights that it leaves: gradients may overflow where the loss did not. Running
// statistics stay as they were where the batch's are not finite.
void Training::check_finite(const std::string& name, std::span<const std::byte> bytes) const {
  const Value state = stepper_->graph().find(name);
  const bool trained = state && stepper_->graph().info(state).state.trainable;
  if (!trained && !name.starts_with("optimizer.") && !name.starts_with(kAverage)) return;
  for (size_t at = 0; at < bytes.size(); at += sizeof(float)) {
    float value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof(value));
    if (!std::isfinite(value))
      fail_diverged("'{}' holds {} after epoch {}, step {}: not saved. Fix: lower --lr; the last checkpoint is sound", name, value,
           at_.epoch + (at_.step > 0), at_.step > 0 ? at_.step : steps_per_epoch_);
  }
}

void Training::save(RunFolder& folder) {
  const Clock::time_point start = Clock::now();
  Checkpoint saved = at_;
  for (const std::string& name : kept_states()) check_finite(name, saved.states[name] = states_.read_bytes(name));
  if (saved.step > 0) saved.epoch_seconds += seconds_since(epoch_start_);
  folder.save(saved, at_.order(steps_per_epoch_), classes_);
  last_save_ = Clock::now();
  save_seconds_ = seconds_since(start);
  if (hooks_.saved) hooks_.saved(saved.epoch, saved.step);
}

}  // namespace vkfer
