#pragma once
// What one synthetic face looks like. Lengths are in face units: the head is about 2 high, x to the right, y down.
#include <array>
#include <cstdint>

namespace vkfer {

using Colour = std::array<float, 3>;  // red, green, blue in 0..1

// Muscles, after the Facial Action Coding System (Ekman and Friesen, 1978); 0 is at rest.
struct Muscles {
  float brow_inner = 0, brow_outer = 0;  // up (AU 1, 2), down (AU 4)
  float brow_knit = 0;                   // towards each other (AU 4)
  float eye_open = 0;                    // wider (AU 5), narrower
  float lower_lid = 0;                   // up (AU 6, 7)
  float mouth_corner = 0;                // up (AU 12), down (AU 15)
  float mouth_open = 0;                  // AU 25 to 27
  float mouth_wide = 0;                  // stretched (AU 20), pursed
  float upper_lip = 0;                   // raised (AU 10)
  float nose_wrinkle = 0;                // AU 9
  float teeth = 0;                       // bared
  float furrow = 0;                      // folds from nose to mouth
};

struct FaceParameters {
  int label = 0;
  float valence = 0, arousal = 0;
  Muscles muscles;

  // Pose: image = rotate(face) * scale + shift; yaw and pitch slide the features over the head.
  float sine = 0, cosine = 1, scale = 1, shift_x = 0, shift_y = 0, yaw = 0, pitch = 0;

  // Build
  float head_width = 0, jaw = 0, eye_distance = 0, eye_height = 0, eye_width = 0, iris = 0, gaze_x = 0, gaze_y = 0;
  float brow_height = 0, brow_thick = 0, nose_length = 0, nose_width = 0, mouth_height = 0, mouth_width = 0, lips = 0;
  float hair_line = 0, hair_volume = 0, hair_wave = 0, asymmetry = 0;
  bool glasses = false, beard = false, moustache = false, bald = false;

  Colour skin{}, hair{}, lip{}, iris_colour{}, background{}, clothes{};

  // Picture
  float light_x = 0, light_y = 0, light_gain = 1, background_x = 0, background_y = 0, noise = 0, blur = 0;
  bool occluded = false;
  float occlusion_x = 0, occlusion_y = 0, occlusion_size = 0, occlusion_shade = 0;
};

FaceParameters face_parameters(uint64_t seed, uint32_t index);

}  // namespace vkfer
