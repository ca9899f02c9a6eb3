#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "storage/object/curl_client.h"
#include "storage/object/s3_rules.h"

namespace asahi::object {

// What Azure's Blob service says and how it wants to be asked, without a connection: its REST API
// of version 2021-08-06.

inline constexpr std::string_view kAzureVersion = "2021-08-06";

struct AzureCall {
  std::string method;
  std::string path;  ///< of the URL, percent-encoded: "/container/blob"
  S3Query query;     ///< as meant, not encoded
  std::vector<std::pair<std::string, std::string>> headers;
  std::size_t body_bytes = 0;
};
/// The text that is signed with the account's key. After
/// learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key, versions from
/// 2015-02-21 on.
std::string azure_string_to_sign(const AzureCall& call, std::string_view account);
/// "SharedKey account:signature". `key`: the account's, decoded.
std::string azure_authorization(const AzureCall& call, std::string_view account,
                                std::string_view key);
/// "Sun, 22 Nov 2026 06:45:52 GMT"
std::string azure_date(Clock::Time time);

/// The failure that an answer of 300 and above stands for. `what`: "GET of 'a/b'".
Error azure_error(std::string_view what, int status, const HttpHeaders& headers,
                  std::string_view body);

struct AzurePage {
  Page page;           ///< without `next`
  std::string marker;  ///< where the list goes on, opaque; empty: it ends here
};
/// Names that stores keep for themselves (keys.h) are left out. Errors: corrupt.
Result<AzurePage> parse_blobs(std::string_view body, std::string_view prefix_of_store);

/// Besides check_key: Azure drops dots at the ends of a name's parts and takes '\' for '/', so two
/// names would be one blob; and XML cannot write U+FFFE and U+FFFF. Errors: invalid_argument.
Result<void> check_blob_name(std::string_view key);

}  // namespace asahi::object
