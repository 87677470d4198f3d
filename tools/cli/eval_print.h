#pragma once
// What `eval` says in the console.
#include "tools/cli/console.h"
#include "tools/report/eval_report.h"

namespace vkfer {

void print_report(Console&, const EvalReport&);

}  // namespace vkfer
