#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "storage/object/store.h"

namespace asahi::object {

// What S3 says and how it wants to be asked, without a connection: the REST API of 2006-03-01.

/// Names in lower case.
using S3Headers = std::map<std::string, std::string, std::less<>>;
using S3Query = std::vector<std::pair<std::string, std::string>>;

/// Percent-encoding as signatures want it: all but letters, digits, '-', '_', '.' and '~' (and '/'
/// in keys).
std::string encode_key(std::string_view key);
std::string encode_query_part(std::string_view text);
/// "a=1&b=": sorted by encoded name and value, each with its '='. libcurl signs a query as it is
/// written, so it is written as the signature wants it.
std::string canonical_query(S3Query query);
/// Reads percent-encoding; '+' is a space, as S3 writes it with encoding-type=url.
std::string decode_listed(std::string_view text);

/// The failure that an answer of 300 and above stands for. `what`: "GET object 'a/b'".
Error s3_error(std::string_view what, int status, const S3Headers& headers, std::string_view body);

/// Errors: corrupt for what is no complete list.
Result<Page> parse_list(std::string_view body, std::string_view prefix_of_store);

/// etag, size and time from the headers of HEAD or GET; `size` from Content-Range when there is
/// one.
ObjectInfo info_from(std::string key, const S3Headers& headers);
/// Without the quotes.
std::string bare_etag(std::string_view etag);

}  // namespace asahi::object
