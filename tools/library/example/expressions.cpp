// expressions RUN picture...: what a trained network says of some pictures, all in one call.
#include <vkfer/vkfer.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "expressions RUN picture...\n"), 2;
  try {
    const vkfer::Session session;
    vkfer::Network network(session, argv[1]);
    std::printf("%s on %s\n", network.model().c_str(), session.device().name.c_str());

    std::vector<vkfer::Picture> pictures;
    for (int i = 2; i < argc; ++i) pictures.push_back(vkfer::read_picture(argv[i]));
    const std::vector<vkfer::Answer> answers = network.infer(pictures);

    for (size_t i = 0; i < answers.size(); ++i) {
      std::printf("%s:", argv[i + 2]);
      if (!network.classes().empty()) std::printf(" %s %.4f", network.classes()[answers[i].best()].c_str(), answers[i].probabilities[answers[i].best()]);
      if (answers[i].valence) std::printf(" valence %+.4f arousal %+.4f", *answers[i].valence, *answers[i].arousal);
      std::printf("\n");
    }
  } catch (const vkfer::Failure& failure) {
    return std::fprintf(stderr, "expressions: %s\n", failure.what()), 1;
  }
}
