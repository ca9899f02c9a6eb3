#include "storage/object/open_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "storage/object/azure_store.h"
#include "storage/object/folder_store.h"
#include "storage/object/s3_store.h"

namespace asahi::object {
namespace {

constexpr std::string_view kFolder = "file://", kS3 = "s3://", kAzure = "azure://",
                           kGoogle = "gs://";

/// Bucket and prefix behind a scheme.
std::pair<std::string, std::string> place_of(std::string_view url, std::string_view scheme) {
  const std::string_view place = url.substr(scheme.size());
  const std::size_t slash = std::min(place.find('/'), place.size());
  return {std::string(place.substr(0, slash)),
          std::string(place.substr(std::min(slash + 1, place.size())))};
}

}  // namespace

Result<void> check_url(const std::string& url) {
  if (url.starts_with(kFolder) && url.size() > kFolder.size() + 1 && url[kFolder.size()] == '/')
    return {};
  for (const std::string_view scheme : {kS3, kAzure, kGoogle}) {
    if (url.starts_with(scheme) && url.size() > scheme.size() && url[scheme.size()] != '/')
      return {};
  }
  return fail(Errc::kInvalidArgument,
              fmt::format("'{}' is none of file:///absolute/folder, s3://bucket/prefix, "
                          "azure://container/prefix and gs://bucket/prefix",
                          url));
}

Result<std::unique_ptr<ObjectStore>> open_store(OpenOptions options) {
  if (auto good = check_url(options.url); !good) return std::unexpected(good.error());
  if (options.url.starts_with(kFolder))
    return FolderStore::open(options.url.substr(kFolder.size()));
  if (options.url.starts_with(kAzure)) {
    AzureOptions azure;
    std::tie(azure.container, azure.prefix) = place_of(options.url, kAzure);
    azure.endpoint = options.clouds.azure_endpoint;
    azure.credentials = std::move(options.clouds.azure);
    return AzureStore::open(std::move(azure));
  }
  S3Options s3;
  if (options.url.starts_with(kGoogle)) {
    std::tie(s3.bucket, s3.prefix) = place_of(options.url, kGoogle);
    s3.dialect = S3Dialect::kGoogle;
    s3.endpoint = options.clouds.google_endpoint;
    s3.credentials = std::move(options.clouds.google);
    return S3Store::open(std::move(s3));
  }
  std::tie(s3.bucket, s3.prefix) = place_of(options.url, kS3);
  s3.region = options.region;
  s3.endpoint = options.endpoint;
  s3.credentials = std::move(options.credentials);
  s3.addressing = options.addressing;
  return S3Store::open(std::move(s3));
}

}  // namespace asahi::object
