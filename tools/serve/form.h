#pragma once
// The pictures in the body of a request.
#include "tools/serve/http.h"

namespace vkfer {

struct Upload {
  std::string name;          // as the client calls it; "" where it does not. Only to be told back
  std::string_view bytes;    // inside the request's body
};

// Of multipart/form-data the fields called `image`, else the body as it is. Throws HttpRefusal: 400 for a form that is not one, or no
// picture in it; 413 for more than `most` of them; 415 for types that are no pictures.
std::vector<Upload> uploads_of(const HttpRequest&, size_t most);

}  // namespace vkfer
