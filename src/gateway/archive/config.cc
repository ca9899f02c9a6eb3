#include "gateway/archive/config.h"

#include "storage/object/open_store.h"

namespace asahi::gateway {

void bind(config::Binder& binder, ArchiveConfig& c) {
  auto tracking = binder.section("tracking");
  tracking.value("archive_url", c.url,
                 {.help = "where event files go: file:///folder, s3://bucket/prefix, "
                          "azure://container/prefix, gs://bucket/prefix"});
  tracking.value("archive_local_days", c.local_days,
                 {.min = 0, .max = 3'650, .help = "days that archived event files also stay here"});
  tracking.value("archive_keep_days", c.keep_days,
                 {.min = 1, .max = 3'650, .help = "days until archived event files are deleted"});
  tracking.value("archive_addressing", c.addressing,
                 {.one_of = {"auto", "path", "host"}, .help = "where the bucket's name stands"});
  const auto first_of = [&](std::initializer_list<std::string_view> names) -> std::string {
    for (const std::string_view name : names) {
      if (auto value = binder.environment(name); value && !value->empty()) return *value;
    }
    return {};
  };
  c.region = first_of({"AWS_REGION", "AWS_DEFAULT_REGION"});
  c.endpoint = first_of({"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"});
  c.access_key_id = first_of({"AWS_ACCESS_KEY_ID"});
  c.secret_access_key = Secret(first_of({"AWS_SECRET_ACCESS_KEY"}));
  c.session_token = Secret(first_of({"AWS_SESSION_TOKEN"}));
  c.clouds = object::read_clouds([&](std::string_view name) { return first_of({name}); });
  if (c.url.empty()) return;
  if (auto good = object::check_url(c.url); !good) {
    binder.fault({.path = "tracking.archive_url",
                  .value = c.url,
                  .rule = "must be file:///absolute/folder, s3://bucket/prefix, "
                          "azure://container/prefix or gs://bucket/prefix",
                  .origin = "configuration"});
  } else if (c.url.starts_with("s3://") &&
             (c.access_key_id.empty() || c.secret_access_key.empty())) {
    binder.fault({.path = "tracking.archive_url",
                  .value = c.url,
                  .rule = "needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                  .origin = "configuration"});
  } else if (const auto& azure = c.clouds.azure;
             c.url.starts_with("azure://") &&
             (azure.account.empty() || (azure.key.empty() && azure.sas.empty()))) {
    binder.fault({.path = "tracking.archive_url",
                  .value = c.url,
                  .rule = "needs AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY or "
                          "AZURE_STORAGE_SAS_TOKEN",
                  .origin = "configuration"});
  } else if (const auto& google = c.clouds.google;
             c.url.starts_with("gs://") &&
             (google.access_key_id.empty() || google.secret_access_key.empty())) {
    binder.fault({.path = "tracking.archive_url",
                  .value = c.url,
                  .rule = "needs GCS_ACCESS_KEY_ID and GCS_SECRET_ACCESS_KEY",
                  .origin = "configuration"});
  }
}

}  // namespace asahi::gateway
