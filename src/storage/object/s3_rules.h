#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "storage/object/curl_client.h"
#include "storage/object/store.h"

namespace asahi::object {

// What S3 says and how it wants to be asked, without a connection: the REST API of 2006-03-01.

using S3Headers = HttpHeaders;
using S3Query = std::vector<std::pair<std::string, std::string>>;

/// What speaks S3's protocol. Google's XML API is it with other words: headers begin with
/// "x-goog-" and signatures with GOOG4, conditions of puts are generations of objects (which stand
/// for etags here: Google's own etag is the same for the same content), parts that are put
/// together know no conditions. After cloud.google.com/storage/docs/xml-api/reference-headers,
/// .../authentication/signatures and .../multipart-uploads ("preconditions are not supported").
enum class S3Dialect : std::uint8_t { kAmazon, kGoogle };
/// "x-amz-{name}", "x-goog-{name}".
std::string own_header(S3Dialect dialect, std::string_view name);

/// Percent-encoding as signatures want it: all but letters, digits, '-', '_', '.' and '~' (and '/'
/// in keys).
std::string encode_key(std::string_view key);
std::string encode_query_part(std::string_view text);
/// "a=1&b=": sorted by encoded name and value, each with its '='. libcurl signs a query as it is
/// written, so it is written as the signature wants it.
std::string canonical_query(S3Query query);
/// Reads percent-encoding; '+' is a space, as S3 writes it with encoding-type=url.
std::string decode_listed(std::string_view text);

/// What of the error that a store wrote may be shown: one line each; empty: it wrote none.
struct SaidError {
  std::string code, message, region;
};
SaidError read_error(std::string_view body);
/// "Sun, 22 Nov 2026 06:45:52 GMT"; the beginning of time for what is none.
Clock::Time parse_http_date(std::string_view text);
/// The value of a header; empty: there is none.
std::string_view header_of(const HttpHeaders& headers, std::string_view name);
/// By what the status says alone.
Errc errc_of_status(int status);
/// "Retry-After: 7", at most a minute.
std::optional<std::chrono::milliseconds> retry_after(const HttpHeaders& headers);

/// The failure that an answer of 300 and above stands for. `what`: "GET object 'a/b'".
Error s3_error(std::string_view what, int status, const S3Headers& headers, std::string_view body);

/// Names that stores keep for themselves (keys.h) are left out. Errors: corrupt for what is no
/// complete list.
Result<Page> parse_list(std::string_view body, std::string_view prefix_of_store,
                        S3Dialect dialect = S3Dialect::kAmazon);

/// etag, size and time from the headers of HEAD or GET; `size` from Content-Range when there is
/// one.
ObjectInfo info_from(std::string key, const S3Headers& headers,
                     S3Dialect dialect = S3Dialect::kAmazon);
/// Without the quotes.
std::string bare_etag(std::string_view etag);

}  // namespace asahi::object
