#include "tools/data/exact_float.h"

#include "tools/data/synthetic.h"

#include "runtime/error.h"
#include "tools/data/dataset.h"
#include "tools/data/face_canvas.h"
#include "tools/data/philox.h"

namespace vkfer {
namespace {

Colour scaled(const Colour& colour, float by) { return {colour[0] * by, colour[1] * by, colour[2] * by}; }

Colour blend(const Colour& a, const Colour& b, float t) {
  return {a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t};
}

// Paints one face, back to front.
class FacePainter {
 public:
  FacePainter(FaceCanvas& canvas, const FaceParameters& face) : canvas_(canvas), face_(face), m_(face.muscles) {}

  void paint() {
    background();
    body();
    if (!face_.bald) hair_behind();
    head();
    if (face_.beard) beard();
    folds();
    nose();
    mouth();
    if (face_.moustache) moustache();
    eye(-1);
    eye(1);
    brow(-1);
    brow(1);
    if (!face_.bald) fringe();
    if (face_.glasses) glasses();
    if (face_.occluded) occlusion();
  }

 private:
  // Features slide over the head with the pose.
  Point feature(float x, float y) const { return {x + face_.yaw * (1 - x * x * .5f), y + face_.pitch}; }

  float head_distance(Point p, float grow = 0) const {
    const float chin = std::clamp(p.y, 0.f, 1.1f), narrow = 1 - face_.jaw * chin * chin;
    return ellipse(p, {0, 0}, (face_.head_width + grow) * narrow, 1 + grow);
  }

  // Brighter towards the light, darker where the head turns away.
  Colour lit(const Colour& colour, Point p) const {
    const float rim = 1 - .28f * (p.x * p.x / (face_.head_width * face_.head_width) + .4f * p.y * p.y);
    return scaled(colour, rim * (1 + face_.light_x * p.x + face_.light_y * p.y));
  }

  void background() {
    canvas_.paint([](Point) { return 1.f; }, [this](Point p) {
      return scaled(face_.background, 1 + face_.background_x * p.x * .6f + face_.background_y * p.y * .6f);
    });
  }

  void body() {
    canvas_.paint([this](Point p) { return canvas_.inside(ellipse(p, {0, 1.75f}, 1.25f, .8f)); }, face_.clothes);
    canvas_.paint(
        [this](Point p) {
          const float x = std::abs(p.x) - .3f, y = std::abs(p.y - .95f) - .25f;
          return canvas_.inside(std::max(x, y));
        },
        scaled(face_.skin, .68f));
  }

  void hair_behind() {
    const float volume = face_.hair_volume;
    canvas_.paint(
        [this, volume](Point p) {
          return canvas_.inside(ellipse(p, {0, -.12f}, face_.head_width + .06f + volume * .6f, 1 + volume * .5f));
        },
        [this](Point p) { return scaled(face_.hair, 1 + .3f * face_.light_x * p.x); });
  }

  void head() {
    for (const float side : {-1.f, 1.f}) {
      const Point ear{side * (face_.head_width + .01f) + face_.yaw * -.3f, face_.eye_height + .15f + face_.pitch * .5f};
      canvas_.paint([this, ear](Point p) { return canvas_.inside(ellipse(p, ear, .09f, .17f)); }, scaled(face_.skin, .74f));
    }
    canvas_.paint([this](Point p) { return canvas_.inside(head_distance(p)); },
                  [this](Point p) { return lit(face_.skin, p); });
  }

  void beard() {
    const Point mouth = feature(0, face_.mouth_height);
    canvas_.paint(
        [this, mouth](Point p) {
          const float below = mouth.y - .18f + .35f * (1 - std::abs(p.x) / face_.head_width) - p.y;
          return .7f * canvas_.inside(std::max(head_distance(p), below), 3);
        },
        face_.hair);
  }

  // Folds from nose to mouth, wrinkles on nose and forehead: thin, soft and darker than the skin.
  void folds() {
    const Colour dark = scaled(face_.skin, .55f);
    const auto crease = [&](Point a, Point b, Point c, float strength) {
      if (strength <= .1f) return;
      const Stroke stroke(a, b, c, .012f);
      canvas_.paint([&](Point p) { return std::min(strength, 1.f) * .75f * canvas_.inside(stroke.distance(p), 1.5f); }, dark);
    };
    const float wing = face_.nose_width, mouth = face_.mouth_width * (1 + .35f * m_.mouth_wide);
    const float nose = face_.eye_height + face_.nose_length;
    for (const float side : {-1.f, 1.f}) {
      crease(feature(side * (wing + .05f), nose), feature(side * (mouth + .02f), nose + .08f),
             feature(side * (mouth + .08f), face_.mouth_height), m_.furrow);
      crease(feature(side * .05f, face_.eye_height - .1f), feature(side * .07f, face_.eye_height - .2f),
             feature(side * .05f, face_.eye_height - .28f), m_.brow_knit);
    }
    for (const float row : {0.f, 1.f}) {
      const float y = face_.eye_height + .02f + row * .09f;
      crease(feature(-.09f, y), feature(0, y + .04f), feature(.09f, y), m_.nose_wrinkle);
      const float brow = std::min(m_.brow_inner, m_.brow_outer + .4f), forehead = face_.eye_height - .5f - row * .1f;
      crease(feature(-.3f, forehead), feature(0, forehead - .05f), feature(.3f, forehead), brow);
    }
  }

  void nose() {
    const float tip = face_.eye_height + face_.nose_length - .03f * m_.nose_wrinkle, width = face_.nose_width * (1 + .2f * m_.nose_wrinkle);
    const Colour shadow = scaled(face_.skin, .62f), light = scaled(face_.skin, 1.12f);
    const float side = face_.light_x > 0 ? -1.f : 1.f;
    const Stroke bridge(feature(side * .04f, face_.eye_height), feature(side * .05f, tip - .1f), feature(side * width, tip), .02f);
    canvas_.paint([&](Point p) { return .6f * canvas_.inside(bridge.distance(p), 2); }, shadow);
    const Point ball = feature(0, tip - .02f);
    canvas_.paint([&](Point p) { return .5f * canvas_.inside(ellipse(p, ball, width * .6f, .06f), 2); }, light);
    for (const float s : {-1.f, 1.f}) {
      const Point nostril = feature(s * width * .55f, tip + .035f);
      canvas_.paint([&](Point p) { return .85f * canvas_.inside(ellipse(p, nostril, .035f, .022f)); }, scaled(face_.skin, .3f));
    }
  }

  // Between two curves over u in -1..1, which is x in half widths of the mouth or eye.
  float between(float y, float top, float bottom, float u, float half_width) const {
    return canvas_.inside(top - y) * canvas_.inside(y - bottom) * canvas_.inside((std::abs(u) - 1) * half_width);
  }

  struct Lips {
    float middle, top, bottom, bow;  // y of the line between the lips, of the opening's edges; 1 - u^2
  };

  Lips lips_at(float u) const {
    const float bow = 1 - u * u;
    const float middle = .30f * m_.mouth_corner * (bow - .5f) * (1 + face_.asymmetry * u) - .03f * m_.upper_lip;
    return {middle, middle - (.12f * m_.mouth_open + .09f * std::max(0.f, m_.upper_lip)) * bow,
            middle + (.36f * m_.mouth_open + .02f * std::max(0.f, m_.teeth)) * bow, bow};
  }

  void mouth() {
    const Point centre = feature(0, face_.mouth_height + .04f * m_.mouth_open);
    const float half_width = face_.mouth_width * (1 + .35f * m_.mouth_wide), lip = face_.lips;
    const auto layer = [&](auto top, auto bottom, const Colour& colour, float alpha) {
      canvas_.paint(
          [&, top, bottom](Point p) {
            const float u = (p.x - centre.x) / half_width;
            if (u < -1.3f || u > 1.3f) return 0.f;
            const Lips l = lips_at(std::clamp(u, -1.f, 1.f));
            return alpha * between(p.y - centre.y, top(l), bottom(l), u, half_width);
          },
          colour);
    };
    layer([lip](const Lips& l) { return l.top - lip * l.bow - .008f; },
          [lip](const Lips& l) { return l.bottom + lip * 1.2f * l.bow + .008f; }, face_.lip, 1);
    layer([](const Lips& l) { return l.top - .014f; }, [](const Lips& l) { return l.bottom + .014f; }, {.14f, .05f, .05f}, 1);
    if (m_.teeth > .25f || m_.upper_lip > .4f) {
      layer([](const Lips& l) { return l.top + .006f; },
            [](const Lips& l) { return l.top + .006f + std::min(.11f, (l.bottom - l.top) * .75f); }, {.93f, .92f, .88f}, .95f);
    }
  }

  void moustache() {
    const float y = face_.eye_height + face_.nose_length + .1f;
    for (const float side : {-1.f, 1.f}) {
      const Stroke stroke(feature(side * .03f, y), feature(side * .15f, y - .02f), feature(side * .27f, y + .07f), .04f, .6f);
      canvas_.paint([&](Point p) { return .85f * canvas_.inside(stroke.distance(p), 1.5f); }, face_.hair);
    }
  }

  void eye(float side) {
    const Point centre = feature(side * face_.eye_distance, face_.eye_height);
    const float half_width = face_.eye_width, open = std::max(.15f, 1 + .8f * m_.eye_open);
    const float upper = .11f * open, lower = .07f * (1 + .3f * std::max(0.f, m_.eye_open) - .75f * std::max(0.f, m_.lower_lid));
    const auto almond = [&](Point p, float grow) {
      const float u = (p.x - centre.x) / (half_width + grow), bow = std::max(0.f, 1 - u * u);
      if (u < -1.4f || u > 1.4f) return 0.f;
      return between(p.y - centre.y, -(upper + grow * 1.6f) * bow, (lower + grow * .4f) * bow, u, half_width + grow);
    };
    canvas_.paint([&](Point p) { return almond(p, .028f); }, scaled(face_.skin, .32f));  // lids and lashes
    canvas_.paint([&](Point p) { return almond(p, 0); }, {.93f, .93f, .92f});
    const Point iris{centre.x + face_.gaze_x, centre.y + face_.gaze_y - .01f};
    const auto disc = [&](Point p, float radius) { return std::min(almond(p, 0), canvas_.inside(ellipse(p, iris, radius, radius))); };
    canvas_.paint([&](Point p) { return disc(p, face_.iris); }, face_.iris_colour);
    canvas_.paint([&](Point p) { return disc(p, face_.iris * .55f); }, {.03f, .03f, .03f});
    const Point glint{iris.x + .03f, iris.y - .03f};
    canvas_.paint([&](Point p) { return .8f * canvas_.inside(ellipse(p, glint, .018f, .018f)); }, {1, 1, 1});
  }

  void brow(float side) {
    const float height = face_.eye_height - face_.brow_height + .02f * m_.nose_wrinkle;
    const float inner_x = .13f - .05f * m_.brow_knit, outer_x = face_.eye_distance + face_.eye_width + .05f;
    const float inner_y = height - .21f * m_.brow_inner, outer_y = height + .04f - .17f * m_.brow_outer;
    const Stroke stroke(feature(side * inner_x, inner_y),
                        feature(side * (inner_x + outer_x) * .55f, (inner_y + outer_y) * .5f - .07f),
                        feature(side * outer_x, outer_y), face_.brow_thick, .6f);
    const Colour colour = blend(face_.hair, scaled(face_.skin, .3f), .45f);
    canvas_.paint([&](Point p) { return .95f * canvas_.inside(stroke.distance(p)); }, colour);
  }

  void fringe() {
    canvas_.paint(
        [this](Point p) {
          const float line = face_.hair_line + face_.pitch * .5f + face_.hair_wave * p.x + .45f * p.x * p.x;
          return canvas_.inside(std::max(head_distance(p, .02f), p.y - line), 1.5f);
        },
        [this](Point p) { return scaled(face_.hair, 1.1f + .3f * face_.light_x * p.x); });
  }

  void glasses() {
    const Colour frame = scaled(face_.hair, .5f);
    for (const float side : {-1.f, 1.f}) {
      const Point centre = feature(side * face_.eye_distance, face_.eye_height + .01f);
      canvas_.paint(
          [&](Point p) { return canvas_.inside(std::abs(ellipse(p, centre, face_.eye_width + .06f, .17f)) - .014f); }, frame);
    }
    const Stroke bridge(feature(-.1f, face_.eye_height - .03f), feature(0, face_.eye_height - .06f),
                        feature(.1f, face_.eye_height - .03f), .014f);
    canvas_.paint([&](Point p) { return canvas_.inside(bridge.distance(p)); }, frame);
  }

  // A hand, a cup, a shoulder in front: something round at the lower edge or side of the face.
  void occlusion() {
    const Point centre{face_.occlusion_x, face_.occlusion_y};
    const float shade = face_.occlusion_shade;
    canvas_.paint(
        [&](Point p) { return canvas_.inside(ellipse(p, centre, face_.occlusion_size, face_.occlusion_size * .8f)); },
        Colour{shade, shade * .95f, shade * .9f});
  }

  FaceCanvas& canvas_;
  const FaceParameters& face_;
  const Muscles& m_;
};

// A 3x3 binomial filter, mixed in by `strength`; borders repeat.
void blur(std::vector<Colour>& colours, int size, float strength) {
  const std::vector<Colour> sharp = colours;
  const auto at = [&](int x, int y) -> const Colour& {
    return sharp[static_cast<size_t>(std::clamp(y, 0, size - 1)) * size + std::clamp(x, 0, size - 1)];
  };
  for (int y = 0; y < size; ++y)
    for (int x = 0; x < size; ++x)
      for (size_t c = 0; c < 3; ++c) {
        float sum = 0;
        for (int dy = -1; dy <= 1; ++dy)
          for (int dx = -1; dx <= 1; ++dx)
            sum += at(x + dx, y + dy)[c] * static_cast<float>((2 - std::abs(dx)) * (2 - std::abs(dy)));
        Colour& colour = colours[static_cast<size_t>(y) * size + x];
        colour[c] += (sum / 16 - colour[c]) * strength;
      }
}

uint8_t quantise(float value) { return static_cast<uint8_t>(std::clamp(value, 0.f, 1.f) * 255 + .5f); }

// Exposure and sensor noise, then 8 bits; one channel is the luma of the three.
Image develop(const std::vector<Colour>& colours, int size, int channels, const FaceParameters& face,
              PhiloxSequence& random) {
  Image image{size, size, channels, {}};
  image.pixels.reserve(colours.size() * channels);
  for (const Colour& colour : colours) {
    const float noise = face.noise * (random.uniform() + random.uniform() + random.uniform() + random.uniform() - 2);
    const auto value = [&](float v) { return quantise(v * face.light_gain + noise); };
    if (channels == 3)
      for (const float v : colour) image.pixels.push_back(value(v));
    else
      image.pixels.push_back(value(.299f * colour[0] + .587f * colour[1] + .114f * colour[2]));
  }
  return image;
}

// Splits draw from ranges of their own, so that asking for more training faces changes no test face.
constexpr uint32_t kSplitRange = 0x40000000;

void check_options(const SyntheticOptions& options) {
  if (options.size < 16 || options.size > 1024 || (options.channels != 1 && options.channels != 3))
    fail("built-in data", "size {} and {} channels, expected a size from 16 to 1024 and 1 or 3 channels", options.size,
         options.channels);
  for (const int count : {options.train, options.val, options.test})
    if (count < 0 || count > 10'000'000) fail("built-in data", "{} images in a split, expected 0 to 10 million", count);
  if (options.train == 0 && options.val == 0 && options.test == 0) fail("built-in data", "no images were asked for");
}

}  // namespace

SyntheticFace synthetic_face(uint64_t seed, uint32_t index) {
  const FaceParameters face = face_parameters(seed, index);
  return {face.label, face.valence, face.arousal};
}

Image draw_synthetic_face(uint64_t seed, uint32_t index, int size, int channels) {
  const FaceParameters face = face_parameters(seed, index);
  FaceCanvas canvas(size, face);
  FacePainter(canvas, face).paint();
  blur(canvas.colours(), size, face.blur);
  PhiloxSequence noise(seed, PhiloxStream::synthetic, index, 1);
  return develop(canvas.colours(), size, channels, face, noise);
}

DatasetContents open_synthetic(const SyntheticOptions& options) {
  check_options(options);
  DatasetContents contents;
  contents.source = "built-in synthetic faces";
  contents.classes = {"angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"};
  contents.synthetic = true;
  contents.native_size = options.size;
  contents.channels = options.channels;
  const std::pair<Split, int> splits[] = {{Split::train, options.train}, {Split::val, options.val}, {Split::test, options.test}};
  for (const auto& [split, count] : splits) {
    const char* name = split == Split::train ? "train" : split == Split::val ? "val" : "test";
    for (int i = 0; i < count; ++i) {
      Sample sample;
      sample.entry = static_cast<uint32_t>(split) * kSplitRange + static_cast<uint32_t>(i);
      sample.id = fmt::format("synthetic/{}/{:05}", name, i);
      const SyntheticFace face = synthetic_face(options.seed, static_cast<uint32_t>(sample.entry));
      sample.label = face.label;
      sample.valence = face.valence;
      sample.arousal = face.arousal;
      sample.split = split;
      contents.samples.push_back(std::move(sample));
    }
  }
  contents.decode = [options](const Sample& sample) {
    return draw_synthetic_face(options.seed, static_cast<uint32_t>(sample.entry), options.size, options.channels);
  };
  return contents;
}

}  // namespace vkfer
