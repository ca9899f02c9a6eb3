#include "identity/tokens/http_fetch.h"

#include <fmt/format.h>

namespace asahi::identity {

Result<http::ClientRequest> request_to(http::Method method, std::string_view url) {
  const std::size_t query = url.find('?');
  http::ClientRequest request;
  request.method = method;
  ASAHI_TRY(request.origin, http::Origin::parse(url.substr(0, query)));
  request.target = request.origin.base_path.empty() ? "/" : request.origin.base_path;
  // The parser drops a slash at the end, which is part of the address here.
  if (const auto path = url.substr(0, query); path.ends_with('/') && !request.target.ends_with('/'))
    request.target += '/';
  request.origin.base_path.clear();
  if (query != std::string_view::npos) {
    for (const char c : url.substr(query)) {
      if (c <= ' ' || c == '#' || static_cast<unsigned char>(c) >= 0x7f) {
        return fail(Errc::kInvalidArgument,
                    "the URL has a character in its query that must be percent-encoded");
      }
    }
    request.target += url.substr(query);
  }
  return request;
}

Task<std::string> fetch_document(HttpFetch fetch, std::string url, std::size_t max_bytes,
                                 Clock::Steady now) {
  constexpr std::chrono::seconds kPatience{5};
  ASAHI_CO_TRY(auto request, request_to(http::Method::kGet, url));
  request.headers.add("Accept", "application/json");
  ASAHI_CO_TRY(auto response, co_await fetch(std::move(request), {.deadline = now + kPatience,
                                                                  .idle_timeout = kPatience}));
  if (response.status != 200) {
    co_return fail(Errc::kUpstream,
                   fmt::format("{} answered with status {}; expected 200", url, response.status));
  }
  if (response.body.size() > max_bytes) {
    co_return fail(Errc::kUpstream, fmt::format("{} answered with {} bytes; at most {} are read",
                                                url, response.body.size(), max_bytes));
  }
  co_return std::move(response.body);
}

}  // namespace asahi::identity
