#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_out.h"
#include "base/secret.h"
#include "storage/vector/index.h"
#include "storage/vector/rest/rest_client.h"

namespace asahi::vector {

struct RemoteOptions {
  Space space;
  std::string index_name = "asahi-vectors";
  http::Origin origin;
  Secret api_key;
  std::chrono::milliseconds timeout{2'000};  ///< of one call with its retries
  RetryPolicy retry{.max_attempts = 3,
                    .base = std::chrono::milliseconds(100),
                    .cap = std::chrono::milliseconds(1'000)};
  /// Pinecone only: `origin` is the control plane, which knows where the index is (and makes it);
  /// otherwise the index itself.
  bool control_plane = false;
  std::string region = "us-east-1";  ///< Pinecone: where a new index goes, at aws
  /// Pinecone: a namespace for each tenant, or one for all with a filter.
  bool namespace_per_tenant = true;
};

/// What the adapters share: checks, the collection that is made on first use, batches, and the
/// look at every hit whether it is the tenant's.
class RestIndex : public Index {
 public:
  const Space& space() const final { return options_.space; }
  std::string_view backend() const final { return client_.name(); }

  Task<void> upsert(std::string tenant, std::vector<Item> items) final;
  Task<std::vector<Hit>> query(std::string tenant, Query query) final;
  Task<void> erase(std::string tenant, std::vector<std::string> ids) final;
  Task<void> erase_where(std::string tenant, Metadata filter) final;
  Task<void> erase_all(std::string tenant) final;
  Task<std::uint64_t> count(std::string tenant) final;
  Task<void> ping() final;

 protected:
  RestIndex(std::string backend, RemoteOptions options, http::Headers headers,
            net::PerLoop<http::Client>& clients)
      : options_(std::move(options)),
        client_(std::move(backend), std::move(headers), options_.retry, clients) {}

  /// Finds or makes the collection; false: it is being made, and not there yet.
  virtual Task<bool> prepare(Deadline deadline) = 0;
  /// Items fit in one call.
  virtual Task<void> put_batch(std::string tenant, std::vector<Item> items, Deadline deadline) = 0;
  virtual Task<std::vector<Hit>> nearest(std::string tenant, Query query, Deadline deadline) = 0;
  virtual Task<void> drop_ids(std::string tenant, std::vector<std::string> ids,
                              Deadline deadline) = 0;
  /// An empty filter: everything of the tenant.
  virtual Task<void> drop_where(std::string tenant, Metadata filter, Deadline deadline) = 0;
  virtual Task<std::uint64_t> size_of(std::string tenant, Deadline deadline) = 0;
  virtual Task<void> probe(Deadline deadline) = 0;
  /// The most bytes of metadata that an item may have.
  virtual std::size_t max_metadata() const = 0;

  Task<json::value> post(std::string target, std::string body, Deadline deadline,
                         RestClient::Judge judge = {}) {
    return client_.call(http::Method::kPost, options_.origin, std::move(target), std::move(body),
                        deadline, std::move(judge));
  }

  const RemoteOptions options_;
  RestClient client_;

 private:
  Task<void> ready(Deadline deadline);
  /// Remembers to look for the collection again when it has gone.
  void noted(const Error& error);
  Deadline deadline() const { return std::chrono::steady_clock::now() + options_.timeout; }
  Result<void> check_sizes(const std::vector<Item>& items) const;

  std::atomic<bool> ready_{false};
};

/// [1.5,-0.25,…], as short as reads back to the same floats.
void append_floats(JsonOut& out, const std::vector<float>& vector);
/// Members of an open object.
void append_fields(JsonOut& out, const Metadata& metadata);
/// Fields of the item's own: without those that begin with "asahi_".
Metadata fields_of(const json::object& object);
std::string_view text_of(const json::object& object, std::string_view key);
/// What stands at `key`, if that is of the kind; of values that are no objects: nothing.
const json::object* object_at(const json::object& object, std::string_view key);
const json::object* object_at(const json::value& value, std::string_view key);
const json::array* array_at(const json::object& object, std::string_view key);
const json::array* array_at(const json::value& value, std::string_view key);
std::optional<double> number_at(const json::object& object, std::string_view key);
std::optional<double> number_at(const json::value& value, std::string_view key);

/// The adapters. `clients` outlives them.
std::unique_ptr<Index> make_pinecone(RemoteOptions options, net::PerLoop<http::Client>& clients);
std::unique_ptr<Index> make_weaviate(RemoteOptions options, net::PerLoop<http::Client>& clients);
std::unique_ptr<Index> make_qdrant(RemoteOptions options, net::PerLoop<http::Client>& clients);
std::unique_ptr<Index> make_milvus(RemoteOptions options, net::PerLoop<http::Client>& clients);

}  // namespace asahi::vector
