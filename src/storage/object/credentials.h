#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/secret.h"

namespace asahi::object {

/// Who asks S3, or Google by an HMAC key. Empty: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
/// AWS_SESSION_TOKEN are for whoever reads the settings.
struct S3Credentials {
  std::string access_key_id;
  Secret secret_access_key;
  Secret session_token;  ///< of temporary credentials; may be empty
};

/// Who asks Azure: the account's key, or a shared access signature.
struct AzureCredentials {
  std::string account;
  Secret key;  ///< base64, as the portal shows it; or a SAS token ("...sig=...") in its place
  Secret sas;  ///< "sv=...&sig=..."; used when there is no key
};

/// Who asks Azure and Google.
struct CloudCredentials {
  AzureCredentials azure;
  std::string azure_endpoint;   ///< empty: the account's at Azure
  S3Credentials google;         ///< an HMAC key
  std::string google_endpoint;  ///< empty: Google's
};
/// From AZURE_STORAGE_ACCOUNT, AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN,
/// AZURE_STORAGE_BLOB_ENDPOINT, GCS_ACCESS_KEY_ID, GCS_SECRET_ACCESS_KEY, GCS_ENDPOINT. `variable`
/// gives a variable's value, or nothing of it.
CloudCredentials read_clouds(const std::function<std::string(std::string_view name)>& variable);

}  // namespace asahi::object
