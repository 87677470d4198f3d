#include "models/onnx/network.h"
#include "runtime/error.h"
#include "tools/cli/verb.h"
#include "tools/data/npy.h"
#include "tools/train/saved_network.h"
#include "tools/train/trace.h"

namespace vkfer {
namespace {

void require(const Arguments& a, const char* name) {
  if (!a.given(name)) fail("usage", "{} is missing. Fix: vkfer trace --help", name);
}

// What the network is to answer, as far as it answers that.
void read_targets(const Arguments& a, TraceOptions& o) {
  if (o.classes > 0) {
    require(a, "--labels");
    const NpyArray y = read_npy(a.labels);
    if (y.shape.size() != 1) fail("--labels", "{}: got shape [{}], expected [n]", a.labels, fmt::join(y.shape, ","));
    o.labels = y.as_int64s();
  } else if (a.given("--labels")) {
    fail("--labels", "got {}, but the network has no classes. Fix: leave it out", a.labels);
  }
  if (o.valence_arousal) {
    require(a, "--targets");
    const NpyArray y = read_npy(a.targets);
    if (y.shape.size() != 2 || y.shape[1] != 2 || y.dtype != "f4") fail("--targets", "{}: got {} [{}], expected f4 [n,2]", a.targets, y.dtype, fmt::join(y.shape, ","));
    o.affect = y.as_floats();
  } else if (a.given("--targets")) {
    fail("--targets", "got {}, but the network does not answer valence and arousal. Fix: --va", a.targets);
  }
}

TraceOptions options_of(const Arguments& a) {
  for (const char* name : {"--input", "--out"}) require(a, name);
  if (a.loss != "ce") fail("--loss", "unknown loss '{}': expected ce", a.loss);
  TraceOptions o;
  o.model = a.model;
  if (a.inputs.size() != 1) fail("--input", "got {} files, expected one. Fix: name the images", a.inputs.size());
  const std::string& input = a.inputs[0];
  const NpyArray x = read_npy(input);
  if (x.shape.size() != 4 || x.shape[2] != x.shape[3] || x.dtype != "f4")
    fail("--input", "{}: got {} [{}], expected f4 [n,channels,size,size]", input, x.dtype, fmt::join(x.shape, ","));
  if (a.given("--size") && a.size != x.shape[2]) fail("--size", "got {}, but {} has {}x{}", a.size, input, x.shape[2], x.shape[3]);
  if (x.shape[0] < 1 || x.shape[0] > 65536 || x.shape[2] > 4096) fail("--input", "{}: [{}] is too large or empty", input, fmt::join(x.shape, ","));
  o.batch = int(x.shape[0]);
  o.channels = int(x.shape[1]);
  o.size = int(x.shape[2]);
  o.x = x.as_floats();
  o.valence_arousal = a.valence_arousal;
  o.classes = a.classes;
  o.head = a.head;
  o.optimizer = a.optimizer;
  o.lr = a.given("--lr") ? a.lr : find_optimizer(a.optimizer).default_lr;
  o.momentum = a.given("--momentum") ? a.momentum : 0;
  o.weight_decay = a.given("--weight-decay") ? a.weight_decay : 0;
  o.nesterov = a.nesterov;
  o.label_smoothing = a.label_smoothing;
  o.steps = a.steps;
  o.seed = a.seed;
  o.frozen_bn = a.frozen_batch_norm;
  if (a.given("--precision")) o.precision = a.precision;
  if (a.given("--weights") || is_onnx_path(a.model)) {   // an ONNX model has its own
    SavedNetwork saved = read_network(a.given("--weights") ? a.weights : a.model, {.model = a.model, .head = a.head});
    set_conventions(saved, "", a.padding, a.batch_norm);
    o.same_padding = saved.network.same_padding;
    o.batch_norm = saved.network.batch_norm;
    o.valence_arousal |= saved.network.valence_arousal;
    if (saved.network.classes == 0) o.classes = 0;
    o.weights = std::move(saved.weights);
  }
  if (a.given("--batch-norm")) o.batch_norm = batch_norm_from_text(a.batch_norm);
  read_targets(a, o);
  if (a.given("--padding")) o.same_padding = is_same_padding(a.padding);
  return o;
}

void run_trace_verb(Arguments& a, Console& console) {
  const TraceOptions o = options_of(a);
  Device device = open_device(a, console);
  const WeightFile trace = run_trace(device, o);
  check_validation(device, console);
  write_safetensors(a.out, trace);
  const std::vector<float> loss = trace.at("loss").floats();
  console.print("{} tensors in {}; loss {:.6f} -> {:.6f}", trace.tensors.size(), a.out, loss.front(), loss.back());
  console.answer({{"out", a.out}, {"tensors", trace.tensors.size()}, {"loss", loss}});
}

}  // namespace

extern const Verb trace_verb;
const Verb trace_verb{
    .name = "trace",
    .summary = "Lay training steps open, to compare with PyTorch",
    .arguments = {"--model", "--head", "--weights", "--padding", "--batch-norm", "--input", "--labels", "--va", "--targets", "--loss", "--optimizer", "--lr", "--momentum", "--nesterov",
                  "--weight-decay", "--label-smoothing", "--steps", "--num-classes", "--size", "--frozen-bn", "--seed", "--precision",
                  "--out", "--device", "--json"},
    .examples = "  vkfer trace --model mobilenetv2 --weights w.safetensors --input x.npy \\\n"
                "      --labels y.npy --optimizer sgd --lr 0.01 --momentum 0.9 --steps 10 \\\n"
                "      --num-classes 7 --out t.safetensors\n\n"
                "The same batch every step, nothing at random. Writes logits.eval,\n"
                "logits, loss, grad.*, param.*, buffer.* and, without --weights, init.*,\n"
                "named and laid out as torch's state_dict. With --va, or weights that answer\n"
                "them, the mean squares of valence and arousal against --targets join the loss.",
    .run = run_trace_verb,
};

}  // namespace vkfer
