// The tool: `vkfer VERB ...`. Exit status as in runtime/error.h.
#include <cstdio>
#include <filesystem>
#include <new>

#include "runtime/error.h"
#include "tools/cli/tool.h"

int main(int argc, char** argv) {
  try {
    vkfer::run_tool({argv + 1, argv + argc});
    return 0;
  } catch (const vkfer::Error& e) {
    fmt::print(stderr, "vkfer: {}\n", e.what());
    return int(e.kind());
  } catch (const vkfer::PartlyDone& e) {
    fmt::print(stderr, "vkfer: {}\n", e.what());
    return 1;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "vkfer: [memory] the host's memory does not suffice. Fix: a smaller --batch or --size\n");
    return 2;
  } catch (const std::filesystem::filesystem_error& e) {
    fmt::print(stderr, "vkfer: [files] {}. Fix: check the name and who may read it\n", e.what());
    return 2;
  } catch (const std::exception& e) {
    fmt::print(stderr, "vkfer: [bug] {}. Please report it with the command line.\n", e.what());
    return 1;
  }
}
