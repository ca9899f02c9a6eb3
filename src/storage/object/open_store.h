#pragma once

#include <memory>
#include <string>

#include "storage/object/s3_client.h"
#include "storage/object/store.h"

namespace asahi::object {

struct OpenOptions {
  /// "file:///var/lib/asahi/archive" (an absolute folder) or "s3://bucket/prefix".
  std::string url;
  std::string region;    ///< AWS_REGION; empty: us-east-1
  std::string endpoint;  ///< AWS_ENDPOINT_URL; empty: Amazon's
  S3Credentials credentials;
  S3Options::Addressing addressing = S3Options::Addressing::kAutomatic;
};

/// Errors: invalid_argument for a URL or settings that cannot be meant, unavailable.
Result<std::unique_ptr<ObjectStore>> open_store(OpenOptions options);
/// Whether `url` could be opened, without doing it.
Result<void> check_url(const std::string& url);

}  // namespace asahi::object
