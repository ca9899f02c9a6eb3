#include "net/http/url.h"

#include <algorithm>

namespace asahi::http {

Result<Url> Url::parse(std::string_view url) {
  const auto bad = [] {
    return fail(Errc::kInvalidArgument,
                "this is no usable URL; expected like https://hooks.example.com/path?query");
  };
  url = url.substr(0, url.find('#'));
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return bad();
  const std::size_t path = std::min(url.find_first_of("/?", scheme + 3), url.size());
  auto origin = Origin::parse(url.substr(0, path));
  if (!origin) return bad();
  std::string target(url.substr(path));
  if (!target.starts_with('/')) target.insert(0, "/");
  const auto breaks = [](char c) { return c <= ' ' || c == 0x7f; };
  if (std::ranges::any_of(target, breaks)) return bad();
  return Url{std::move(*origin), std::move(target)};
}

}  // namespace asahi::http
