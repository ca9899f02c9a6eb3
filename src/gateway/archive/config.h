#pragma once

#include <string>

#include "base/config/loader.h"
#include "base/secret.h"
#include "storage/object/credentials.h"

namespace asahi::gateway {

/// `tracking.archive_*`: where event files go when their day is over, and for how long. The
/// credentials are those that other programs use for S3; they never stand in YAML.
struct ArchiveConfig {
  /// file:///absolute/folder, s3://bucket/prefix, azure://container/prefix or gs://bucket/prefix;
  /// empty: files stay where they are.
  std::string url;
  /// Days that an archived file also stays here, 0 to 3650. What reads event files (`asahi events
  /// export`, `asahi train-router`) sees these days.
  int local_days = 30;
  int keep_days = 365;  ///< days until an archived file is deleted, 1 to 3650
  /// Where the bucket's name stands: path (endpoint/bucket/key), host (bucket.endpoint/key); auto:
  /// in the host at Amazon, else in the path.
  std::string addressing = "auto";

  std::string region;         ///< AWS_REGION, AWS_DEFAULT_REGION; empty: us-east-1
  std::string endpoint;       ///< AWS_ENDPOINT_URL; empty: Amazon's
  std::string access_key_id;  ///< AWS_ACCESS_KEY_ID
  Secret secret_access_key;   ///< AWS_SECRET_ACCESS_KEY
  Secret session_token;       ///< AWS_SESSION_TOKEN
  object::CloudCredentials clouds;
};
void bind(config::Binder& binder, ArchiveConfig& config);

}  // namespace asahi::gateway
