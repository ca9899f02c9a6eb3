#include "storage/object/open_store.h"

#include <fmt/format.h>

#include "storage/object/folder_store.h"
#include "storage/object/s3_store.h"

namespace asahi::object {
namespace {

constexpr std::string_view kFolder = "file://", kS3 = "s3://";

std::unexpected<Error> no_url(const std::string& url) {
  return fail(Errc::kInvalidArgument,
              fmt::format("'{}' is neither file:///absolute/folder nor s3://bucket/prefix", url));
}

}  // namespace

Result<void> check_url(const std::string& url) {
  if (url.starts_with(kFolder) && url.size() > kFolder.size() + 1 && url[kFolder.size()] == '/')
    return {};
  if (url.starts_with(kS3) && url.size() > kS3.size() && url[kS3.size()] != '/') return {};
  return no_url(url);
}

Result<std::unique_ptr<ObjectStore>> open_store(OpenOptions options) {
  if (auto good = check_url(options.url); !good) return std::unexpected(good.error());
  if (options.url.starts_with(kFolder))
    return FolderStore::open(options.url.substr(kFolder.size()));
  const std::string place = options.url.substr(kS3.size());
  const std::size_t slash = std::min(place.find('/'), place.size());
  S3Options s3;
  s3.bucket = place.substr(0, slash);
  if (slash < place.size()) s3.prefix = place.substr(slash + 1);
  if (!options.region.empty()) s3.region = options.region;
  s3.endpoint = options.endpoint;
  s3.credentials = std::move(options.credentials);
  s3.addressing = options.addressing;
  return S3Store::open(std::move(s3));
}

}  // namespace asahi::object
