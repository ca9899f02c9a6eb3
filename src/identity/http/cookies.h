#pragma once

#include <string_view>

#include "net/http/message.h"

namespace asahi::identity {

/// Value of a cookie in a request's Cookie fields (RFC 6265 §5.4); empty when it is not there. Of
/// several with one name the first counts. The view is good as long as the request.
std::string_view cookie_value(const http::Request& request, std::string_view name);

}  // namespace asahi::identity
