// The functions of vkfer/vkfer.h on those of the layers below: values are copied, errors become Failures.
#include "tools/library/vkfer/vkfer.h"

#include <algorithm>
#include <mutex>

#include "runtime/error.h"
#include "tools/data/image.h"
#include "tools/predict/predictor.h"
#include "tools/predict/trained.h"
#include "tools/train/training.h"

namespace vkfer {
namespace {

// Whatever `work` throws, as a Failure: types of ours must not cross the library's border.
template <class Work>
auto guarded(const Work& work) {
  try {
    return work();
  } catch (const Failure&) {
    throw;
  } catch (const Error& e) {
    throw Failure(e.kind() == ErrorKind::device ? Failure::Kind::device : Failure::Kind::input, e.what());
  } catch (const std::filesystem::filesystem_error& e) {
    throw Failure(Failure::Kind::input, e.what());
  } catch (const std::bad_alloc&) {
    throw Failure(Failure::Kind::input, "[memory] not enough of it");
  } catch (const std::exception& e) {
    throw Failure(Failure::Kind::bug, e.what());
  }
}

DeviceDescription description(const DeviceInfo& info) { return {info.name, driver_text(info), info.type == DeviceType::cpu}; }

Picture to_picture(Image image) { return {image.width, image.height, image.channels, std::move(image.pixels)}; }

Image to_image(const Picture& p, size_t position) {
  const bool sound = p.width > 0 && p.height > 0 && (p.channels == 1 || p.channels == 3) && int64_t{p.width} * p.height <= kMaxPixels;
  if (!sound || p.pixels.size() != size_t(p.width) * size_t(p.height) * size_t(p.channels))
    fail("infer", "picture {}: got {} x {} with {} channels in {} bytes, expected 1 (gray) or 3 (RGB) channels in width x height x channels bytes", position,
         p.width, p.height, p.channels, p.pixels.size());
  return {p.height, p.width, p.channels, p.pixels};
}

}  // namespace

std::vector<DeviceDescription> devices() {
  return guarded([] {
    std::vector<DeviceDescription> all;
    for (const DeviceInfo& info : list_devices())
      if (info.rejected.empty()) all.push_back(description(info));
    return all;
  });
}

Picture read_picture(const std::filesystem::path& path) {
  return guarded([&] { return to_picture(read_upright(path)); });
}

Picture decode_picture(std::span<const std::byte> file) {
  return guarded([&] { return to_picture(decode_upright(file, "picture")); });
}

size_t Answer::best() const {
  if (probabilities.empty()) throw Failure(Failure::Kind::input, "[answer] the network has no classes, but valence and arousal alone");
  return size_t(std::ranges::max_element(probabilities) - probabilities.begin());
}

struct Session::State {
  Device device;
};

Session::Session(const std::string& device) {
  state_ = guarded([&] { return std::make_shared<State>(Device({.query = device})); });
}

DeviceDescription Session::device() const { return description(state_->device.info()); }

struct Network::State {
  std::shared_ptr<Session::State> session;
  std::string model;
  int size;
  Predictor predictor;
  std::mutex one_at_a_time;

  State(std::shared_ptr<Session::State> s, const Trained& trained, const NetworkOptions& options)
      : session(std::move(s)),
        model(trained.saved.network.model->name),
        size(trained.saved.network.size),
        predictor(session->device, trained, {.precision = options.precision, .batch = options.batch}) {}
};

Network::Network(const Session& session, const std::filesystem::path& path, const NetworkOptions& options) {
  state_ = guarded([&] {
    const NetworkHints hints{.model = options.model};
    return std::make_unique<State>(session.state_, std::filesystem::is_directory(path) ? open_run(path, hints) : open_weights(path, hints), options);
  });
}
Network::~Network() = default;
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;

const std::string& Network::model() const { return state_->model; }
const std::vector<std::string>& Network::classes() const { return state_->predictor.classes(); }
int Network::input_size() const { return state_->size; }

std::vector<Answer> Network::infer(std::span<const Picture> pictures) {
  return guarded([&] {
    std::vector<Image> images;
    for (const Picture& p : pictures) images.push_back(to_image(p, images.size()));
    const std::lock_guard lock(state_->one_at_a_time);
    std::vector<Answer> answers;
    for (Prediction& p : state_->predictor.predict(images)) answers.push_back({std::move(p.probabilities), p.valence, p.arousal});
    return answers;
  });
}

const char* version() { return VKFER_VERSION; }

}  // namespace vkfer
