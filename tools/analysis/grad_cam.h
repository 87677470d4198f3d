#pragma once
// Grad-CAM: which parts of a picture speak for an answer. Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via
// Gradient-based Localization, 2017.
//
//   score y       a class' logit, or valence or arousal
//   map A         [h,w,c], what last_feature_map() finds
//   weights a_c   the mean over h,w of dy/dA
//   result        relu(sum over c of a_c A_c), by its largest element, and that resized bilinearly to the picture
//
// Batch norm uses its running statistics; the gradients are those of graph/differentiate.cpp.
#include <memory>
#include <span>
#include <vector>

#include "graph/executor.h"
#include "tools/train/step_graph.h"

namespace vkfer {

// What is asked of a picture.
struct CamTarget {
  enum class Output : uint8_t { expression, valence, arousal } output = Output::expression;
  int label = -1;           // of expression: the class; -1: the one that the network answers
  bool against = false;     // what speaks against it (lowers valence or arousal): the negative gradient, section 3.3 of the paper
};

struct CamMaps {
  int height = 0, width = 0;    // of the network's map
  int size = 0;                 // of the network's input
  std::vector<float> coarse;    // [n,height,width], each picture's 0 to 1
  std::vector<float> maps;      // [n,size,size], the same resized
  std::vector<float> peaks;     // [n]: what 1 stands for; 0: nothing in the picture speaks for it, and its map is all 0
  std::vector<int> labels;      // [n]: the class that was asked for or answered; of valence and arousal the answered one
};

class GradCam {
 public:
  // As an Evaluator, uses the parameters in `states`: load_weights(weights, cam.graph(), states, ...). Batches of settings.batch, in f32.
  GradCam(Device&, States&, const NetworkSettings&, const Target&);
  ~GradCam();

  const Graph& graph() const;

  // For n pictures, any n: `pixels` [n,s,s,c0], or, where settings.pixel_channels is 0, `images` [n,s,s,c] as the network takes them.
  // `targets`: n of them, or one for all. Fails for labels and outputs that the network does not have.
  CamMaps maps(std::span<const uint8_t> pixels, std::span<const CamTarget> targets);
  CamMaps maps(std::span<const float> images, std::span<const CamTarget> targets);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vkfer
