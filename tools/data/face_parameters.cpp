// From (seed, index) to a face. Only + - * / on random multiples of 2^-24: the same on every platform.
#include "tools/data/face_parameters.h"

#include <algorithm>

#include "tools/data/exact_float.h"
#include "tools/data/philox.h"

namespace vkfer {
namespace {

struct Expression {
  float valence, arousal;  // at full intensity: Russell, A Circumplex Model of Affect, 1980
  Muscles muscles;
};

// Folder order: angry, disgust, fear, happy, neutral, sad, surprise.
const std::array<Expression, 7> kExpressions{{
    {-.65f, .70f, {.brow_inner = -1, .brow_outer = .25f, .brow_knit = 1, .eye_open = -.15f, .lower_lid = .5f, .mouth_corner = -.4f, .mouth_open = .05f, .mouth_wide = -.15f, .teeth = .3f}},
    {-.70f, .35f, {.brow_inner = -.45f, .brow_outer = -.2f, .brow_knit = .4f, .eye_open = -.55f, .lower_lid = .7f, .mouth_corner = -.45f, .mouth_open = .12f, .mouth_wide = -.05f, .upper_lip = 1, .nose_wrinkle = 1, .furrow = .9f}},
    {-.60f, .80f, {.brow_inner = 1, .brow_outer = .15f, .brow_knit = .6f, .eye_open = .75f, .mouth_corner = -.35f, .mouth_open = .35f, .mouth_wide = .4f, .teeth = .8f}},
    {.85f, .45f, {.brow_outer = .1f, .eye_open = -.2f, .lower_lid = .6f, .mouth_corner = 1, .mouth_open = .3f, .mouth_wide = .45f, .teeth = 1, .furrow = .7f}},
    {0, 0, {}},
    {-.70f, -.45f, {.brow_inner = .9f, .brow_outer = -.5f, .brow_knit = .3f, .eye_open = -.4f, .mouth_corner = -1, .mouth_wide = -.1f}},
    {.20f, .85f, {.brow_inner = .9f, .brow_outer = 1, .eye_open = .8f, .mouth_open = 1, .mouth_wide = -.45f}},
}};

// Bell-shaped in (-1, 1): the sum of three uniform numbers.
float bell(PhiloxSequence& random) { return (random.uniform() + random.uniform() + random.uniform()) * (2.f / 3) - 1; }

Colour mix(const Colour& a, const Colour& b, float t) {
  return {a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t};
}

// Any brightness, little colour.
Colour muted(PhiloxSequence& random) {
  const float gray = random.uniform(.2f, .8f);
  Colour colour;
  for (float& part : colour) part = gray * .7f + .3f * random.uniform();
  return colour;
}

void choose_expression(FaceParameters& face, PhiloxSequence& random) {
  const Expression& shown = kExpressions[static_cast<size_t>(face.label)];
  const float intensity = random.uniform(.8f, 1);
  float Muscles::*const muscles[] = {&Muscles::brow_inner,   &Muscles::brow_outer, &Muscles::brow_knit,
                                     &Muscles::eye_open,     &Muscles::lower_lid,  &Muscles::mouth_corner,
                                     &Muscles::mouth_open,   &Muscles::mouth_wide, &Muscles::upper_lip,
                                     &Muscles::nose_wrinkle, &Muscles::teeth,      &Muscles::furrow};
  for (const auto muscle : muscles) face.muscles.*muscle = shown.muscles.*muscle * intensity + .08f * bell(random);
  face.muscles.mouth_open = std::max(0.f, face.muscles.mouth_open * random.uniform(.6f, 1.2f));
  face.valence = std::clamp(shown.valence * intensity + .08f * bell(random), -1.f, 1.f);
  face.arousal = std::clamp(shown.arousal * intensity + .08f * bell(random), -1.f, 1.f);
}

void choose_pose(FaceParameters& face, PhiloxSequence& random) {
  const float t = .08f * bell(random);  // tangent of half the roll: up to 9 degrees either way
  face.cosine = (1 - t * t) / (1 + t * t);
  face.sine = 2 * t / (1 + t * t);
  face.scale = random.uniform(1.14f, 1.3f);
  face.shift_x = random.uniform(-.34f, .34f);
  face.shift_y = random.uniform(-.28f, .28f);
  face.yaw = .1f * bell(random);
  face.pitch = .06f * bell(random);
}

void choose_build(FaceParameters& face, PhiloxSequence& random) {
  face.head_width = random.uniform(.66f, .82f);
  face.jaw = random.uniform(.1f, .4f);
  face.eye_distance = random.uniform(.3f, .36f);
  face.eye_height = random.uniform(-.2f, -.08f);
  face.eye_width = random.uniform(.18f, .22f);
  face.iris = random.uniform(.085f, .105f);
  face.gaze_x = .04f * bell(random);
  face.gaze_y = .03f * bell(random);
  face.brow_height = random.uniform(.24f, .3f);
  face.brow_thick = random.uniform(.05f, .075f);
  face.nose_length = random.uniform(.24f, .34f);
  face.nose_width = random.uniform(.09f, .15f);
  face.mouth_height = random.uniform(.48f, .58f);
  face.mouth_width = random.uniform(.34f, .42f);
  face.lips = random.uniform(.06f, .1f);
  face.hair_line = random.uniform(-.78f, -.62f);
  face.hair_volume = random.uniform(.04f, .3f);
  face.hair_wave = random.uniform(-.25f, .25f);
  face.asymmetry = .12f * bell(random);
  face.glasses = random.uniform() < .1f;
  face.beard = random.uniform() < .05f;
  face.moustache = random.uniform() < .05f;
  face.bald = random.uniform() < .08f;
}

void choose_colours(FaceParameters& face, PhiloxSequence& random) {
  face.skin = mix({.58f, .44f, .35f}, {.96f, .80f, .70f}, random.uniform());
  const Colour fair = mix({.05f, .04f, .04f}, {.80f, .62f, .38f}, random.uniform() * random.uniform() * 1.3f);
  face.hair = random.uniform() < .12f ? Colour{.75f, .74f, .72f} : fair;
  face.lip = mix(face.skin, {.50f, .12f, .12f}, random.uniform(.5f, .85f));
  face.iris_colour = mix({.18f, .10f, .05f}, {.35f, .50f, .62f}, random.uniform());
  face.background = muted(random);
  face.clothes = muted(random);
}

void choose_picture(FaceParameters& face, PhiloxSequence& random) {
  face.light_x = .2f * bell(random);
  face.light_y = .12f * bell(random);
  face.light_gain = random.uniform(.85f, 1.12f);
  face.background_x = .2f * bell(random);
  face.background_y = .2f * bell(random);
  face.noise = random.uniform(.004f, .016f);
  face.blur = random.uniform(0, .3f);
  face.occluded = random.uniform() < .06f;
  face.occlusion_x = random.uniform(-.8f, .8f);
  face.occlusion_y = random.uniform(.2f, 1.1f);
  face.occlusion_size = random.uniform(.15f, .32f);
  face.occlusion_shade = random.uniform(.1f, .9f);
}

}  // namespace

FaceParameters face_parameters(uint64_t seed, uint32_t index) {
  PhiloxSequence random(seed, PhiloxStream::synthetic, index);
  FaceParameters face;
  face.label = static_cast<int>(index % kExpressions.size());
  choose_expression(face, random);
  choose_pose(face, random);
  choose_build(face, random);
  choose_colours(face, random);
  choose_picture(face, random);
  return face;
}

}  // namespace vkfer
