#include "tools/cli/distinct_files.h"

#include <filesystem>
#include <vector>

#include "runtime/error.h"

namespace vkfer {

namespace fs = std::filesystem;

void check_distinct_files(std::initializer_list<NamedFile> written, std::initializer_list<NamedFile> read) {
  const auto real = [](const std::string& path) {
    std::error_code error;
    const fs::path whole = fs::weakly_canonical(fs::absolute(path, error), error);
    return error ? fs::path(path) : whole;
  };
  const auto check = [&](const NamedFile& a, const NamedFile& b) {
    if (a.path.empty() || b.path.empty() || a.path == "-" || b.path == "-" || real(a.path) != real(b.path)) return;
    fail(a.option, "{} is the file of {}, too. Fix: another file", a.path, b.option);
  };
  for (const NamedFile* a = written.begin(); a != written.end(); ++a) {
    for (const NamedFile* b = a + 1; b != written.end(); ++b) check(*b, *a);
    for (const NamedFile& b : read) check(*a, b);
  }
}

}  // namespace vkfer
