#include "storage/vector/open/open_index.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/log.h"
#include "storage/vector/open/postgres_index.h"
#include "storage/vector/rest/rest_index.h"
#include "storage/vector/rules.h"

namespace asahi::vector {
namespace {

Result<OpenedIndex> open_local(OpenOptions options) {
  LocalOptions local = std::move(options.local);
  local.space = std::move(options.space);
  if (!options.folder.empty()) {
    std::error_code error;
    std::filesystem::create_directories(options.folder, error);
    if (error) {
      return fail_field("storage.data_dir", fmt::format("cannot make the folder {}: {}",
                                                        options.folder, error.message()));
    }
    local.file =
        options.folder + "/" + collection_name(options.index_name, local.space) + ".vectors";
  }
  OpenedIndex out;
  const bool has_file = !local.file.empty();
  auto index = std::make_unique<LocalIndex>(std::move(local));
  const Result<void> loaded =
      has_file ? index->load() : Result<void>(fail(Errc::kNotFound, "no file"));
  out.begins_empty = !loaded;
  if (!loaded && loaded.error().code != Errc::kNotFound) {
    Logger("storage.vector")
        .warning("the vector index begins empty", {{"reason", loaded.error().message}});
  }
  out.local = index.get();
  out.index = std::move(index);
  return out;
}

Result<http::Origin> origin_of(std::string_view host, bool tls) {
  if (host.find("://") != std::string_view::npos) return http::Origin::parse(host);
  return http::Origin::parse(fmt::format("{}://{}", tls ? "https" : "http", host));
}

Result<std::unique_ptr<Index>> open_remote(OpenOptions options,
                                           net::PerLoop<http::Client>& clients) {
  const std::string provider = options.provider;
  const bool pinecone = provider == "pinecone";
  RemoteOptions remote;
  if (pinecone && options.api_key.empty()) {
    return fail_field("vector_db.api_key_env",
                      "Pinecone needs an API key: set the variable named there "
                      "(PINECONE_API_KEY)");
  }
  if (!pinecone && options.host.empty()) {
    return fail_field(
        "vector_db.host",
        fmt::format("must be the URL of {}, such as http://localhost:8080", provider));
  }
  remote.control_plane = pinecone && options.host.empty();
  auto origin = origin_of(remote.control_plane ? options.pinecone_control : options.host, pinecone);
  if (!origin) return fail_field("vector_db.host", origin.error().message);
  remote.origin = std::move(*origin);
  remote.space = std::move(options.space);
  remote.index_name = std::move(options.index_name);
  remote.api_key = std::move(options.api_key);
  remote.timeout = options.timeout;
  remote.region = std::move(options.region);
  remote.namespace_per_tenant = options.namespace_per_tenant;
  if (pinecone) return make_pinecone(std::move(remote), clients);
  if (provider == "weaviate") return make_weaviate(std::move(remote), clients);
  if (provider == "qdrant") return make_qdrant(std::move(remote), clients);
  return make_milvus(std::move(remote), clients);
}

}  // namespace

Result<OpenedIndex> open_index(OpenOptions options, net::PerLoop<http::Client>& clients,
                               sql::Database* database) {
  if (auto ok = check_space(options.space); !ok) return std::unexpected(ok.error());
  if (options.index_name.empty() || options.index_name.size() > 45) {
    return fail_field("vector_db.index_name", "must be 1 to 45 characters");
  }
  if (options.timeout <= std::chrono::milliseconds(0)) {
    return fail_field("vector_db.timeout_ms", "must be greater than 0");
  }
  const std::string& provider = options.provider;
  if (provider == "local" || provider == "inmemory") return open_local(std::move(options));
  OpenedIndex out;
  if (provider == "postgres") {
    if (database == nullptr || database->dialect() != sql::Dialect::kPostgres) {
      return fail_field("vector_db.provider",
                        "'postgres' needs a PostgreSQL database (database.url); this one is "
                        "SQLite: use 'local', or set that URL");
    }
    out.index = make_postgres(std::move(options.space), std::move(options.index_name), *database);
    return out;
  }
  if (provider == "pinecone" || provider == "weaviate" || provider == "qdrant" ||
      provider == "milvus") {
    ASAHI_TRY(out.index, open_remote(std::move(options), clients));
    return out;
  }
  return fail_field("vector_db.provider",
                    fmt::format("must be local, pinecone, weaviate, qdrant, milvus or postgres, "
                                "not '{}'",
                                provider));
}

}  // namespace asahi::vector
