// Cookie fields of strangers, as sessions and logins read them. A value stands whole behind its
// name in the field, and means the same in one field as in two.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "identity/http/cookies.h"
#include "identity/users/sessions.h"

namespace {

using namespace asahi;
using namespace asahi::identity;

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const http::Request& request, std::string_view bytes, std::string_view name) {
  const std::string_view value = cookie_value(request, name);
  if (value.empty()) return;
  require(value.find(';') == value.npos);
  const auto at = static_cast<std::size_t>(value.data() - request.headers.get("Cookie").data());
  require(at > name.size() && at + value.size() <= bytes.size());
  require(bytes.substr(at - 1 - name.size(), name.size() + 1) == std::string(name) + '=');
  require(at + value.size() == bytes.size() || bytes[at + value.size()] == ';');
  const std::size_t before = at - 1 - name.size();
  require(before == 0 || bytes[before - 1] == ';' || bytes[before - 1] == ' ');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  http::Request request;
  request.headers.add("Cookie", std::string(bytes));
  for (const std::string_view name : {Sessions::kCookie, std::string_view("asahi_saml")})
    check(request, bytes, name);
  require(Sessions::id_in(request) == cookie_value(request, Sessions::kCookie));
  if (const std::size_t cut = bytes.find(';'); cut != bytes.npos) {
    http::Request two;
    two.headers.add("cookie", std::string(bytes.substr(0, cut)));
    two.headers.add("COOKIE", std::string(bytes.substr(cut + 1)));
    require(Sessions::id_in(two) == Sessions::id_in(request));
  }
  return 0;
}
