// The test program: every tests/*_test.cpp in one executable. `vkfer_tests --help` lists Catch2's filters.
#define CATCH_CONFIG_RUNNER
#include "tests/catch.h"

int main(int argc, char** argv) { return Catch::Session().run(argc, argv); }
