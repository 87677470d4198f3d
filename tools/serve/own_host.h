#pragma once
// Other sites in the visitor's browser: what they may not ask of a server on this machine.
#include "tools/serve/http.h"

namespace vkfer {

// Refuses, with 403:
//  * a Host that is not a name of this machine, where the server is for this machine alone: a foreign name that was made to point here
//    (DNS rebinding) would make the page of another site count as ours
//  * a POST whose Origin is another than the host that was asked: a form or script of another site
void check_own_host(const HttpRequest&, bool only_this_machine);

}  // namespace vkfer
