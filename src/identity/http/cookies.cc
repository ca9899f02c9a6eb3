#include "identity/http/cookies.h"

#include <algorithm>

#include "net/http/ascii.h"

namespace asahi::identity {

std::string_view cookie_value(const http::Request& request, std::string_view name) {
  for (const auto& [field, value] : request.headers) {
    if (!http::iequals(field, "Cookie")) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      std::string_view pair = rest.substr(0, rest.find(';'));
      rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
      while (pair.starts_with(' ')) pair.remove_prefix(1);
      if (pair.starts_with(name) && pair.size() > name.size() && pair[name.size()] == '=') {
        return pair.substr(name.size() + 1);
      }
    }
  }
  return {};
}

}  // namespace asahi::identity
