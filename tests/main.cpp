// The test program: every tests/*_test.cpp in one executable. `vkfer_tests --help` lists Catch2's filters.
#define CATCH_CONFIG_RUNNER
#include <cstdlib>

#include "tests/catch.h"

int main(int argc, char** argv) {
  setenv("VKFER_TUNING", "0", 0);  // what somebody tuned on this machine decides no test
  return Catch::Session().run(argc, argv);
}
