#pragma once

#include <memory>
#include <string>

#include "storage/object/credentials.h"
#include "storage/object/s3_client.h"
#include "storage/object/store.h"

namespace asahi::object {

struct OpenOptions {
  /// "file:///var/lib/asahi/archive" (an absolute folder), "s3://bucket/prefix" (Amazon and what
  /// speaks its protocol), "azure://container/prefix" or "gs://bucket/prefix" (Google).
  std::string url;
  std::string region;    ///< of S3 (AWS_REGION); empty: us-east-1
  std::string endpoint;  ///< of S3 (AWS_ENDPOINT_URL); empty: Amazon's
  S3Credentials credentials;
  CloudCredentials clouds;
  S3Options::Addressing addressing = S3Options::Addressing::kAutomatic;
};

/// Errors: invalid_argument for a URL or settings that cannot be meant, unavailable.
Result<std::unique_ptr<ObjectStore>> open_store(OpenOptions options);
/// Whether `url` could be opened, without doing it.
Result<void> check_url(const std::string& url);

}  // namespace asahi::object
