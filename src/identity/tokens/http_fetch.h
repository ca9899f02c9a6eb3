#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/task.h"
#include "net/http/client.h"

namespace asahi::identity {

/// How documents of identity providers are fetched: `Client::send` of the calling loop's client.
/// Redirects are not followed, and the client bounds the answer (1 MiB is plenty).
using HttpFetch = std::function<Task<http::ClientResponse>(http::ClientRequest, http::CallOptions)>;

/// A request for an absolute URL, query included. Errors: invalid_argument naming what is wrong
/// with it.
Result<http::ClientRequest> request_to(http::Method method, std::string_view url);

/// GET of a JSON document of at most `max_bytes`, within five seconds. Errors: unavailable,
/// timeout, upstream (any status but 200, too long).
Task<std::string> fetch_document(HttpFetch fetch, std::string url, std::size_t max_bytes,
                                 Clock::Steady now);

}  // namespace asahi::identity
