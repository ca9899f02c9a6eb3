#include "storage/object/azure_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "base/ids.h"
#include "base/markup.h"
#include "storage/object/keys.h"
#include "storage/object/transfers.h"

namespace asahi::object {
namespace {

constexpr std::size_t kMostBlocks = 50'000;
constexpr std::size_t kMostPlaces = 64;
/// A name for each put, so that one whose answer was lost is known again.
constexpr std::string_view kPutName = "x-ms-meta-asahiput";

std::string base64_md5(std::string_view bytes) {
  const Digest128 sum = md5(bytes);
  return base64_encode({reinterpret_cast<const char*>(sum.data()), sum.size()});
}

Result<void> check(const AzureOptions& options) {
  const auto& who = options.credentials;
  const auto small = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  if (options.container.size() < 3 || options.container.size() > 63 ||
      !std::ranges::all_of(options.container,
                           [&](unsigned char c) { return small(c) || c == '-'; }) ||
      options.container.front() == '-' || options.container.back() == '-' ||
      options.container.contains("--"))
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is no name of a container: 3 to 63 of a-z, 0-9 and single '-'",
                            options.container));
  if (who.account.size() < 3 || who.account.size() > 24 || !std::ranges::all_of(who.account, small))
    return fail(Errc::kInvalidArgument,
                who.account.empty()
                    ? "Azure needs the storage account's name: set AZURE_STORAGE_ACCOUNT"
                    : fmt::format("'{}' is no name of a storage account: 3 to 24 of a-z and 0-9",
                                  who.account));
  if (who.key.empty() && who.sas.empty())
    return fail(Errc::kInvalidArgument,
                "Azure needs credentials: set AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN");
  if (who.key.empty() && !who.sas.reveal().contains("sig="))
    return fail(Errc::kInvalidArgument, "the SAS token for Azure has no sig=");
  if (!options.endpoint.empty() && !options.endpoint.starts_with("https://") &&
      !options.endpoint.starts_with("http://"))
    return fail(
        Errc::kInvalidArgument,
        fmt::format("the endpoint '{}' must begin with https:// or http://", options.endpoint));
  constexpr std::size_t kLeast = 64 * 1024, kMost = 1024 * 1024 * 1024;
  if (options.part_bytes < kLeast || options.part_bytes > kMost)
    return fail(Errc::kInvalidArgument, "blocks of an upload are 64 KiB to 1 GiB");
  return {};
}

void add_conditions(std::vector<std::pair<std::string, std::string>>& headers,
                    const PutOptions& options) {
  if (options.only_if_absent) headers.emplace_back("If-None-Match", "*");
  if (!options.only_if_etag.empty())
    headers.emplace_back("If-Match", '"' + options.only_if_etag + '"');
}

}  // namespace

AzureStore::AzureStore(AzureOptions options, std::unique_ptr<CurlClient> curl, std::string key)
    : options_(std::move(options)), curl_(std::move(curl)), key_(std::move(key)) {
  std::string endpoint = options_.endpoint.empty() ? fmt::format("https://{}.blob.core.windows.net",
                                                                 options_.credentials.account)
                                                   : options_.endpoint;
  while (endpoint.ends_with('/')) endpoint.pop_back();
  const std::size_t path = std::min(endpoint.find('/', endpoint.find("://") + 3), endpoint.size());
  origin_ = endpoint.substr(0, path);
  path_ = fmt::format("{}/{}/", endpoint.substr(path), options_.container);
}

Result<std::unique_ptr<AzureStore>> AzureStore::open(AzureOptions options) {
  if (!options.prefix.empty()) {
    if (!options.prefix.ends_with('/')) options.prefix += '/';
    if (auto good = check_prefix(options.prefix); !good) return std::unexpected(good.error());
  }
  // One field for both where settings have only one.
  if (options.credentials.key.reveal().contains("sig="))
    options.credentials.sas = std::exchange(options.credentials.key, Secret());
  if (auto good = check(options); !good) return std::unexpected(good.error());
  std::string key;
  if (!options.credentials.key.empty()) {
    auto decoded = base64_decode(options.credentials.key.reveal());
    if (!decoded || decoded->empty())
      return fail(Errc::kInvalidArgument, "the key of Azure's storage account is no base64");
    key = *std::move(decoded);
  }
  ASAHI_TRY(auto curl, CurlClient::make(options, "Azure"));
  return std::unique_ptr<AzureStore>(
      new AzureStore(std::move(options), std::move(curl), std::move(key)));
}

std::string AzureStore::where() const {
  return fmt::format("azure://{}/{}", options_.container, options_.prefix);
}

Result<HttpAnswer> AzureStore::once(const Request& request) {
  AzureCall call{.method = request.method,
                 .path = path_ + encode_key(request.key),
                 .query = request.query,
                 .headers = request.headers,
                 .body_bytes = request.body.size()};
  if (request.key.empty()) call.path.pop_back();  // the container itself
  call.headers.emplace_back("x-ms-version", kAzureVersion);
  call.headers.emplace_back("x-ms-date", azure_date(system_clock().now()));
  HttpRequest sent{.method = request.method,
                   .url = origin_ + call.path,
                   .what = request.key.empty()
                               ? fmt::format("{} of the container", request.method)
                               : fmt::format("{} of '{}'", request.method, request.key),
                   .body = request.body,
                   .sink = request.sink,
                   .partial = request.partial,
                   .seen = request.seen};
  if (!request.query.empty()) sent.url += '?' + canonical_query(request.query);
  if (key_.empty()) {
    std::string_view sas = options_.credentials.sas.reveal();
    if (sas.starts_with('?')) sas.remove_prefix(1);
    sent.url += (request.query.empty() ? '?' : '&') + std::string(sas);
  } else {
    call.headers.emplace_back("Authorization",
                              azure_authorization(call, options_.credentials.account, key_));
  }
  sent.headers = std::move(call.headers);
  auto answer = curl_->once(sent);
  if (answer && (answer->status < 200 || answer->status >= 300))
    return std::unexpected(azure_error(sent.what, answer->status, answer->headers, answer->body));
  return answer;
}

Result<ObjectInfo> AzureStore::put_request(const std::string& key, Request request,
                                           const PutOptions& options, std::uint64_t size) {
  const std::string name = random_id("put_", 24);
  request.headers.emplace_back(kPutName, name);
  if (!options.storage_class.empty())
    request.headers.emplace_back("x-ms-access-tier", options.storage_class);
  add_conditions(request.headers, options);
  auto answer = curl_->repeated([&](int) -> Result<HttpAnswer> {
    auto put = once(request);
    if (put || put.error().code != Errc::kConflict) return put;
    auto there = once({.method = "HEAD", .key = request.key});
    if (!there || header_of(there->headers, kPutName) != name) return put;
    return there;
  });
  // A condition on an object that is not there does not hold.
  if (!answer && answer.error().code == Errc::kNotFound && !options.only_if_etag.empty())
    answer.error().code = Errc::kConflict;
  if (!answer) return std::unexpected(std::move(answer.error()));
  ObjectInfo info = info_from(key, answer->headers);
  info.size = size;
  return info;
}

Result<ObjectInfo> AzureStore::put(const std::string& key, std::string_view bytes,
                                   const PutOptions& options) {
  if (auto good = check_blob_name(key); !good) return std::unexpected(good.error());
  Request request{.method = "PUT", .key = full(key), .body = bytes};
  request.headers = {{"Content-Type", options.content_type},
                     {"Content-MD5", base64_md5(bytes)},
                     {"x-ms-blob-type", "BlockBlob"}};
  return put_request(key, std::move(request), options, bytes.size());
}

/// Blocks, sent one by one; unfinished ones are thrown away by Azure within a week.
class AzureStore::Blocks final : public PartedUpload {
 public:
  Blocks(AzureStore& store, std::string key, PutOptions options, std::size_t part_bytes)
      : PartedUpload(std::move(key), part_bytes, kMostBlocks),
        store_(store),
        options_(std::move(options)) {}
  ~Blocks() override { abandon(); }

 private:
  Result<ObjectInfo> send_whole(std::string_view bytes) override {
    return store_.put(key(), bytes, options_);
  }

  Result<void> send(std::size_t number, std::string_view part) override {
    ids_.push_back(base64_encode(fmt::format("{}-{:06}", name_, number)));
    Request request{.method = "PUT",
                    .key = store_.full(key()),
                    .query = {{"comp", "block"}, {"blockid", ids_.back()}},
                    .body = part};
    request.headers = {{"Content-Type", "application/octet-stream"},
                       {"Content-MD5", base64_md5(part)}};
    ASAHI_TRY(const HttpAnswer answer, store_.send(request));
    static_cast<void>(answer);
    return {};
  }

  Result<ObjectInfo> put_together(std::uint64_t size) override {
    std::string body = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>";
    for (const std::string& id : ids_) body += fmt::format("<Latest>{}</Latest>", id);
    body += "</BlockList>";
    Request request{
        .method = "PUT", .key = store_.full(key()), .query = {{"comp", "blocklist"}}, .body = body};
    request.headers = {{"Content-Type", "application/xml"},
                       {"Content-MD5", base64_md5(body)},
                       {"x-ms-blob-content-type", options_.content_type}};
    return store_.put_request(key(), std::move(request), options_, size);
  }

  /// There is no request for it: blocks of no list are gone after a week.
  void forget() override {}

  AzureStore& store_;
  const PutOptions options_;
  /// Of one length, as all ids of a blob's blocks; of two uploads, none is the same.
  const std::string name_ = random_id("", 24);
  std::vector<std::string> ids_;
};

Result<std::unique_ptr<Upload>> AzureStore::begin(const std::string& key, const PutOptions& options,
                                                  std::size_t part_bytes) {
  if (auto good = check_blob_name(key); !good) return std::unexpected(good.error());
  return std::make_unique<Blocks>(*this, key, options, part_bytes);
}

Result<std::unique_ptr<Upload>> AzureStore::begin_upload(const std::string& key,
                                                         const PutOptions& options) {
  return begin(key, options, options_.part_bytes);
}

Result<ObjectInfo> AzureStore::put_file(const std::string& key, const std::string& path,
                                        const PutOptions& options) {
  return upload_file(path, options_.part_bytes, kMostBlocks,
                     [&](std::size_t part) { return begin(key, options, part); });
}

Result<ObjectInfo> AzureStore::read(const std::string& key, const Sink& sink,
                                    const ReadOptions& options) {
  if (auto good = check_blob_name(key); !good) return std::unexpected(good.error());
  const auto ask = [&](const RangeRequest& asked) {
    Request request{.method = "GET",
                    .key = full(key),
                    .sink = asked.sink,
                    .partial = asked.range && !asked.range->starts_with("bytes=0-"),
                    .seen = asked.seen};
    if (asked.range) request.headers.emplace_back("x-ms-range", *asked.range);
    if (!asked.etag.empty()) request.headers.emplace_back("If-Match", '"' + asked.etag + '"');
    return once(request);
  };
  return read_resumed(*this, *curl_, key, sink, options, ask,
                      [](const HttpHeaders& headers) { return info_from({}, headers); });
}

Result<std::optional<ObjectInfo>> AzureStore::head(const std::string& key) {
  if (auto good = check_blob_name(key); !good) return std::unexpected(good.error());
  auto answer = send({.method = "HEAD", .key = full(key)});
  if (!answer && answer.error().code == Errc::kNotFound) return std::nullopt;
  if (!answer) return std::unexpected(std::move(answer.error()));
  return info_from(key, answer->headers);
}

std::string AzureStore::marker_of(const ListQuery& query) {
  const std::scoped_lock lock(mutex_);
  for (const Place& place : places_) {
    if (place.prefix == query.prefix && place.after == query.after &&
        place.folders == query.folders)
      return place.marker;
  }
  return {};
}

void AzureStore::remember(const ListQuery& query, const std::string& next, std::string marker) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(places_, [&](const Place& place) {
    return place.prefix == query.prefix && place.after == next && place.folders == query.folders;
  });
  if (places_.size() == kMostPlaces) places_.pop_front();
  places_.push_back({query.prefix, next, query.folders, std::move(marker)});
}

Result<AzurePage> AzureStore::ask_page(const ListQuery& query, const std::string& marker) {
  Request request{.query = {{"restype", "container"},
                            {"comp", "list"},
                            {"maxresults", std::to_string(query.limit)}}};
  if (const std::string prefix = full(query.prefix); !prefix.empty())
    request.query.emplace_back("prefix", prefix);
  if (query.folders) request.query.emplace_back("delimiter", "/");
  if (!marker.empty()) request.query.emplace_back("marker", marker);
  AzurePage page;
  auto answer = curl_->repeated([&](int) -> Result<HttpAnswer> {
    auto listed = once(request);
    if (!listed) return listed;
    auto read = parse_blobs(listed->body, options_.prefix);
    // Half a list: the connection ended where the server did not say how much would come.
    if (!read) return fail(Errc::kUpstream, read.error().message);
    page = *std::move(read);
    return listed;
  });
  if (!answer) return std::unexpected(std::move(answer.error()));
  if (!marker.empty() && page.marker == marker)
    return fail(Errc::kUpstream, "Azure lists the same page again and again");
  return page;
}

Result<Page> AzureStore::list(const ListQuery& query) {
  if (auto good = check_prefix(query.prefix); !good) return std::unexpected(good.error());
  if (query.limit < 1 || query.limit > 1'000)
    return fail(Errc::kInvalidArgument, "a page holds 1 to 1000 objects");
  // Behind a folder is behind the greatest key that it could hold.
  const bool past_folder = query.folders && query.after.ends_with('/');
  const auto before = [&](const std::string& name) {
    return name <= query.after || (past_folder && name.starts_with(query.after));
  };
  std::string marker = query.after.empty() ? std::string() : marker_of(query);
  for (;;) {
    ASAHI_TRY(AzurePage asked, ask_page(query, marker));
    Page& page = asked.page;
    std::erase_if(page.objects, [&](const ObjectInfo& object) { return before(object.key); });
    std::erase_if(page.folders, before);
    marker = std::move(asked.marker);
    if (page.objects.empty() && page.folders.empty() && !marker.empty()) continue;
    if (!marker.empty()) {
      if (!page.objects.empty()) page.next = page.objects.back().key;
      if (!page.folders.empty()) page.next = std::max(page.next, page.folders.back());
      remember(query, page.next, std::move(marker));
    }
    return std::move(page);
  }
}

Result<void> AzureStore::erase(const std::string& key) {
  if (auto good = check_blob_name(key); !good) return std::unexpected(good.error());
  auto answer = send({.method = "DELETE", .key = full(key)});
  if (!answer && answer.error().code != Errc::kNotFound)
    return std::unexpected(std::move(answer.error()));
  return {};
}

}  // namespace asahi::object
