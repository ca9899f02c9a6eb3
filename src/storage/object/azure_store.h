#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "storage/object/azure_rules.h"
#include "storage/object/credentials.h"
#include "storage/object/curl_client.h"
#include "storage/object/store.h"

namespace asahi::object {

struct AzureOptions : TransferLimits {
  std::string container;
  std::string prefix;  ///< of all keys, "archive/" or empty
  /// The account's Blob service, "https://account.blob.core.windows.net" (when empty), or
  /// "http://127.0.0.1:10000/account" as emulators have it.
  std::string endpoint;
  AzureCredentials credentials;
  /// Objects larger than this go up in blocks of this size, each held in memory while it is sent;
  /// 64 KiB to 1 GiB.
  std::size_t part_bytes = 8 * 1024 * 1024;
};

/// Objects as block blobs in a container of Azure's Blob service (REST API, Shared Key or SAS).
/// Large ones go up as blocks that a block list makes into a blob. Conditions are the service's own
/// (If-None-Match, If-Match).
///
/// Azure gives pages of a list by markers of its own instead of keys: the markers of the latest
/// lists are remembered, and a list that begins behind a key nobody was led to is read from its
/// beginning. Accounts with hierarchical namespace list in another order and are not supported.
class AzureStore final : public ObjectStore {
 public:
  /// Does not ask the service. Errors: invalid_argument (settings), unavailable (libcurl).
  static Result<std::unique_ptr<AzureStore>> open(AzureOptions options);

  Result<ObjectInfo> put(const std::string& key, std::string_view bytes,
                         const PutOptions& options = {}) override;
  Result<ObjectInfo> put_file(const std::string& key, const std::string& path,
                              const PutOptions& options = {}) override;
  Result<std::unique_ptr<Upload>> begin_upload(const std::string& key,
                                               const PutOptions& options = {}) override;
  Result<ObjectInfo> read(const std::string& key, const Sink& sink,
                          const ReadOptions& options = {}) override;
  Result<std::optional<ObjectInfo>> head(const std::string& key) override;
  Result<Page> list(const ListQuery& query) override;
  Result<void> erase(const std::string& key) override;
  void stop() override { curl_->stop(); }
  std::string where() const override;

 private:
  class Blocks;
  struct Request {
    const char* method = "GET";
    std::string key = {};  ///< with the store's prefix; empty: the container
    S3Query query = {};
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::string_view body = {};
    const Sink* sink = nullptr;
    bool partial = false;
    HttpHeaders* seen = nullptr;
  };
  /// Where a list goes on behind a key.
  struct Place {
    std::string prefix, after;
    bool folders = false;
    std::string marker;
  };

  AzureStore(AzureOptions options, std::unique_ptr<CurlClient> curl, std::string key);
  std::string full(const std::string& key) const { return options_.prefix + key; }
  Result<HttpAnswer> once(const Request& request);
  Result<HttpAnswer> send(const Request& request) {
    return curl_->repeated([&](int) { return once(request); });
  }
  /// A put that is known again when its answer was lost.
  Result<ObjectInfo> put_request(const std::string& key, Request request, const PutOptions& options,
                                 std::uint64_t size);
  Result<std::unique_ptr<Upload>> begin(const std::string& key, const PutOptions& options,
                                        std::size_t part_bytes);
  Result<AzurePage> ask_page(const ListQuery& query, const std::string& marker);
  std::string marker_of(const ListQuery& query);
  void remember(const ListQuery& query, const std::string& next, std::string marker);

  const AzureOptions options_;
  std::unique_ptr<CurlClient> curl_;
  const std::string key_;  ///< of the account, decoded; empty: by SAS
  std::string origin_;     ///< "https://host"
  std::string path_;       ///< up to the key, "/container/" or "/account/container/"
  std::mutex mutex_;
  std::deque<Place> places_;  ///< of the latest lists, newest last; bounded
};

}  // namespace asahi::object
