#include <build_info.h>

#include "tools/cli/verb.h"

namespace vkfer {
namespace {

void run_version(Arguments&, Console& console) {
  console.print("vkfer {} ({})", kVersion, kCommit);
  console.answer({{"version", kVersion}, {"commit", kCommit}});
}

}  // namespace

extern const Verb version_verb;
const Verb version_verb{
    .name = "version",
    .summary = "Show the version and the commit it was built from",
    .arguments = {"--json"},
    .examples = "  vkfer version",
    .run = run_version,
};

}  // namespace vkfer
