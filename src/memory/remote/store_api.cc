#include "memory/remote/store_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "memory/hot/engine.h"
#include "memory/remote/protocol.h"
#include "net/blocking.h"
#include "net/http/server.h"

namespace asahi::memory::remote {
namespace {

namespace fs = std::filesystem;

/// Rows that are asked of the store at a time, so that a reply can stop between them.
constexpr std::uint64_t kStep = 64;
constexpr std::uint64_t kMaxRows = 100'000;
constexpr std::chrono::milliseconds kRetryAfter{1'000};

/// Seconds; spec §8.2.
const std::vector<double> kSeconds = {.0001, .001, .005, .01, .05, .1, .5, 1, 5};

http::Response reply(int status, std::string body) {
  http::Response response;
  response.status = status;
  response.headers.add("Content-Type", std::string(kContentType));
  response.body = std::move(body);
  return response;
}

http::Response refusal(const Error& error) {
  return reply(http::http_status(error.code), to_bytes(error));
}

/// What the metrics call a verb (spec §8.2).
std::string_view operation_of(std::string_view verb) {
  if (verb == UpsertBatch::kName || verb == ReplaceVectors::kName) return "write";
  if (verb.starts_with("delete")) return "delete";
  if (verb.starts_with("scan") || verb == MarkMigrating::kName || verb == Snapshot::kName)
    return "scan";
  return "read";
}

std::size_t bytes_of(const Memory& memory) {
  return memory.content.size() + memory.metadata.size() + memory.embedding.size() * sizeof(float) +
         sizeof(Memory);
}

/// Below its folder, and no other place, whatever is sent.
bool is_path_below(const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos) return false;
  return std::ranges::none_of(fs::path(path), [](const fs::path& part) {
    return part == ".." || part == "." || part == "/" || part.empty();
  });
}

Result<SnapshotFiles::Reply> files_below(const std::string& folder) {
  SnapshotFiles::Reply files;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    if (!at->is_regular_file(error)) continue;
    files.emplace_back(fs::relative(at->path(), folder, error).generic_string(),
                       at->file_size(error));
  }
  if (!error) return files;
  return fail(Errc::kUnavailable, fmt::format("{} cannot be listed: {}", folder, error.message()));
}

Result<SnapshotSums::Reply> sums_below(const std::string& folder, FileSums& known) {
  ASAHI_TRY(const SnapshotFiles::Reply files, files_below(folder));
  SnapshotSums::Reply sums;
  for (const auto& [path, size] : files) {
    ASAHI_TRY(const FileSums::Sum sum, known.of(folder + "/" + path));
    sums.emplace_back(path, sum.sha256);
  }
  return sums;
}

Result<std::string> read_piece(const std::string& path, std::uint64_t offset, std::uint64_t most) {
  std::ifstream in(path, std::ios::binary);
  std::string bytes(most, '\0');
  if (in && in.seekg(static_cast<std::streamoff>(offset)))
    in.read(bytes.data(), static_cast<std::streamsize>(most));
  if (!in && !in.eof()) return fail(Errc::kUnavailable, fmt::format("{} cannot be read", path));
  bytes.resize(static_cast<std::size_t>(in.gcount()));
  return bytes;
}

Result<Disk::Reply> disk_of(const std::string& folder) {
  if (folder.empty() || folder == ":memory:") return Disk::Reply{folder, 0, 0};
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  if (!error) return Disk::Reply{folder, space.capacity, space.available};
  return fail(Errc::kUnavailable,
              fmt::format("the disk of {} does not tell its size: {}", folder, error.message()));
}

}  // namespace

StoreApi::StoreApi(Store& store, const Clock& clock, telemetry::Registry& metrics, Options options)
    : store_(store),
      clock_(clock),
      metrics_(metrics),
      options_(std::move(options)),
      check_(options_.secrets, clock) {}

StoreApi::~StoreApi() { files_.join(); }

void StoreApi::observe(std::string_view operation, bool ok, std::chrono::nanoseconds took) {
  const std::string tier(tier_name(store_.tier()));
  const std::string name(operation);
  metrics_
      .counter("akosha_store_operations_total", "Calls of a store",
               {{"tier", tier}, {"operation", name}, {"status", ok ? "success" : "error"}})
      .add();
  metrics_
      .histogram("akosha_store_operation_duration_seconds", "Time of calls of a store", kSeconds,
                 {{"tier", tier}, {"operation", name}})
      .observe(std::chrono::duration<double>(took).count());
}

template <class Verb, class Work>
void StoreApi::add(http::Router& router, std::size_t max_bytes, Work work) {
  const auto handler = [this, work](http::Context& context) -> Aw<http::Response> {
    auto pass = check_.check(context.request);
    if (!pass) co_return refusal(pass.error());
    const auto started = clock_.steady_now();
    http::Response response;
    auto request = from_bytes<typename Verb::Request>(context.request.body);
    context.request.body = {};
    if (!request) {
      response = refusal(fail(Errc::kInvalidArgument,
                              fmt::format("the body is no request of {} version 1", Verb::kName))
                             .error());
    } else if (pass->time_left && pass->time_left->count() <= 0) {
      response = refusal(fail(Errc::kTimeout, "the caller's time was over on arrival").error());
    } else {
      Result<typename Verb::Reply> done = co_await work(std::move(*request));
      observe(operation_of(Verb::kName), done.has_value(), clock_.steady_now() - started);
      response = done ? reply(200, to_bytes(*done)) : refusal(done.error());
    }
    pass->sign(response);
    co_return response;
  };
  router.add({.method = http::Method::kPost,
              .pattern = std::string(kPrefix) + std::string(Verb::kName),
              .handler = handler,
              .access = "public",  // the signature decides
              .max_body_bytes = max_bytes});
}

void StoreApi::add_routes(http::Router& router) {
  Store* const store = &store_;
  add<Hello>(router, kMaxRequestBytes,
             [store](Hello::Request) -> Task<Tier> { co_return store->tier(); });
  add<UpsertBatch>(router, kMaxUpsertBytes,
                   [this](UpsertBatch::Request asked) { return upsert(std::move(asked)); });
  add<Get>(router, kMaxRequestBytes, [this](Get::Request keys) { return get(std::move(keys)); });
  add<DeleteBatch>(router, kMaxRequestBytes, [store](DeleteBatch::Request keys) {
    return store->delete_batch(std::move(keys));
  });
  add<DeleteSystem>(router, kMaxRequestBytes, [store](DeleteSystem::Request asked) {
    return store->delete_system(std::move(std::get<0>(asked)), std::move(std::get<1>(asked)));
  });
  add<SearchStore>(router, kMaxRequestBytes,
                   [store](StoreQuery query) { return store->search(std::move(query)); });
  add<ScanEligible>(router, kMaxRequestBytes, [this](ScanEligible::Request asked) {
    return scan({.before = std::get<0>(asked), .limit = std::get<1>(asked)});
  });
  add<ScanWanted>(router, kMaxRequestBytes,
                  [this](ScanQuery wanted) { return scan(std::move(wanted)); });
  add<ReplaceVectors>(router, kMaxUpsertBytes, [store](std::vector<NewVector> rows) {
    return store->replace_vectors(std::move(rows));
  });
  add<Models>(router, kMaxRequestBytes,
              [store](std::string tenant) { return store->models(std::move(tenant)); });
  add<MarkMigrating>(router, kMaxRequestBytes, [this](MarkMigrating::Request asked) {
    return mark(std::get<0>(asked), std::get<1>(asked));
  });
  add<DeleteMigrated>(router, kMaxRequestBytes, [store](DeleteMigrated::Request rows) {
    return store->delete_migrated(std::move(rows));
  });
  add<Checksum>(router, kMaxRequestBytes,
                [store](Checksum::Request keys) { return store->checksum(std::move(keys)); });
  add<Stats>(router, kMaxRequestBytes,
             [store](Stats::Request tenant) { return store->stats(std::move(tenant)); });
  add<Snapshot>(router, kMaxRequestBytes,
                [this](Snapshot::Request folder) { return snapshot(std::move(folder)); });
  add_file_routes(router);
  if (ShardRows* const rows = store_.shard_rows()) add_shard_routes(router, *rows);
}

void StoreApi::add_shard_routes(http::Router& router, ShardRows& rows) {
  ShardRows* const raw = &rows;
  add<ScanShards>(router, kMaxRequestBytes, [this, raw](ScanShards::Request asked) {
    auto& [wanted, limit, marks] = asked;
    return scan_shards(*raw, std::move(wanted), limit, marks);
  });
  add<DeleteMoved>(router, kMaxRequestBytes, [raw](DeleteMoved::Request moved) {
    return raw->delete_moved(std::move(moved));
  });
  add<ShardCounts>(router, kMaxRequestBytes,
                   [raw](ShardCounts::Request) { return raw->shard_counts(); });
  if (options_.placement == nullptr) return;
  add<PlacementOf>(router, kMaxRequestBytes,
                   [record = options_.placement](PlacementOf::Request change) -> Task<std::string> {
                     if (change) co_return co_await record->replace(change->first, change->second);
                     co_return co_await record->record();
                   });
}

Task<std::tuple<std::vector<ShardRow>, bool>> StoreApi::scan_shards(ShardRows& rows,
                                                                    ShardSet wanted,
                                                                    std::uint64_t limit,
                                                                    Marks marks) {
  std::vector<ShardRow> found;
  std::size_t bytes = 0;
  limit = std::min(limit, kMaxRows);
  while (found.size() < limit && bytes < options_.reply_bytes) {
    const std::uint64_t step = std::min(kStep, limit - found.size());
    ASAHI_CO_TRY(auto some, co_await rows.scan_shards(wanted, step, marks));
    marks = Marks::kKeep;
    const bool last = some.size() < step;
    for (ShardRow& row : some) {
      bytes += bytes_of(row.memory);
      found.push_back(std::move(row));
    }
    if (last) co_return std::tuple(std::move(found), false);
  }
  co_return std::tuple(std::move(found), true);
}

void StoreApi::add_file_routes(http::Router& router) {
  add<SnapshotFiles>(router, kMaxRequestBytes,
                     [this](std::string name) -> Task<SnapshotFiles::Reply> {
                       ASAHI_CO_TRY(std::string folder, snapshot_path(name));
                       co_return co_await net::run_blocking(
                           files_, [folder = std::move(folder)] { return files_below(folder); });
                     });
  add<SnapshotSums>(
      router, kMaxRequestBytes, [this](std::string name) -> Task<SnapshotSums::Reply> {
        ASAHI_CO_TRY(std::string folder, snapshot_path(name));
        co_return co_await net::run_blocking(
            files_, [this, folder = std::move(folder)] { return sums_below(folder, sums_); });
      });
  add<SnapshotRead>(router, kMaxRequestBytes,
                    [this](SnapshotRead::Request asked) -> Task<std::string> {
                      auto [name, path, offset, bytes] = std::move(asked);
                      ASAHI_CO_TRY(const std::string folder, snapshot_path(name));
                      if (!is_path_below(path) || bytes > SnapshotRead::kMostRead)
                        co_return fail_field("path", "no piece of a snapshot's file");
                      co_return co_await net::run_blocking(
                          files_, [file = folder + "/" + path, at = offset, most = bytes] {
                            return read_piece(file, at, most);
                          });
                    });
  add<SnapshotDrop>(router, kMaxRequestBytes, [this](std::string name) -> Task<bool> {
    ASAHI_CO_TRY(std::string folder, snapshot_path(name));
    co_return co_await net::run_blocking(files_, [folder = std::move(folder)]() -> Result<bool> {
      std::error_code error;
      fs::remove_all(folder, error);
      if (!error) return true;
      return fail(Errc::kUnavailable, fmt::format("cannot remove {}: {}", folder, error.message()));
    });
  });
  add<Disk>(router, kMaxRequestBytes, [this](Disk::Request) -> Task<Disk::Reply> {
    co_return co_await net::run_blocking(
        files_, [folder = options_.store_folder] { return disk_of(folder); });
  });
  if (options_.followed == nullptr) return;
  add<WrittenSince>(router, kMaxRequestBytes, [this](WrittenSince::Request asked) {
    return written(std::get<0>(asked), std::get<1>(asked));
  });
}

Task<std::vector<UpsertOutcome>> StoreApi::upsert(UpsertBatch::Request asked) {
  if (options_.pressed && options_.pressed()) {
    auto later =
        fail(Errc::kUnavailable, "the store is behind with what it got; send it again in a second");
    later.error().reason = kBackPressure;
    later.error().retry_after = kRetryAfter;
    co_return later;
  }
  co_return co_await store_.upsert_batch(std::move(std::get<0>(asked)), std::get<1>(asked));
}

Task<WrittenSince::Reply> StoreApi::written(std::uint64_t since, std::uint64_t limit) {
  co_return co_await net::run_blocking(
      files_, [this, since, limit]() -> Result<WrittenSince::Reply> {
        const hot::Engine& engine = *options_.followed;
        ASAHI_TRY(std::string name, engine.feed_name());
        std::vector<std::pair<Memory, bool>> rows;
        std::uint64_t upto = since;
        std::size_t bytes = 0;
        const std::uint64_t end = engine.last_written();
        // Some at a time, so that the reply can stop between them.
        while (rows.size() < limit && bytes < options_.reply_bytes && upto < end) {
          auto page = engine.written_since(upto, std::min(kStep, limit - rows.size()));
          if (page.upto == upto) break;
          upto = page.upto;
          for (hot::Written& row : page.rows) {
            bytes += bytes_of(row.memory);
            rows.emplace_back(std::move(row.memory), row.duplicate);
          }
        }
        return WrittenSince::Reply{std::move(name), std::max(end, upto), upto, std::move(rows)};
      });
}

Task<std::vector<std::optional<Memory>>> StoreApi::get(std::vector<Key> keys) {
  std::vector<std::optional<Memory>> found;
  std::size_t bytes = 0;
  for (std::size_t from = 0; from < keys.size() && bytes < options_.reply_bytes; from += kStep) {
    const std::size_t to = std::min<std::size_t>(from + kStep, keys.size());
    std::vector<Key> some(keys.begin() + static_cast<std::ptrdiff_t>(from),
                          keys.begin() + static_cast<std::ptrdiff_t>(to));
    ASAHI_CO_TRY(auto got, co_await store_.get(std::move(some)));
    for (std::optional<Memory>& one : got) {
      bytes += one ? bytes_of(*one) : 1;
      found.push_back(std::move(one));
    }
  }
  co_return found;
}

Task<std::tuple<std::vector<Eligible>, bool>> StoreApi::scan(ScanQuery wanted) {
  std::vector<Eligible> rows;
  std::size_t bytes = 0;
  const std::uint64_t limit = std::min<std::uint64_t>(wanted.limit, kMaxRows);
  while (rows.size() < limit && bytes < options_.reply_bytes) {
    const std::uint64_t step = std::min(kStep, limit - rows.size());
    wanted.limit = step;
    ASAHI_CO_TRY(auto some, co_await store_.scan_eligible(wanted));
    const bool last = some.size() < step;
    for (Eligible& row : some) {
      bytes += bytes_of(row.memory);
      rows.push_back(std::move(row));
    }
    if (last) co_return std::tuple(std::move(rows), false);
  }
  co_return std::tuple(std::move(rows), true);
}

Task<std::vector<std::pair<Key, Digest>>> StoreApi::mark(Clock::Time before, std::uint64_t limit) {
  std::vector<std::pair<Key, Digest>> marked;
  limit = std::min(limit, kMaxRows);
  while (marked.size() < limit) {
    const std::uint64_t step = std::min(kStep, limit - marked.size());
    ASAHI_CO_TRY(const auto some, co_await store_.scan_eligible({.before = before, .limit = step}));
    for (const Eligible& row : some) marked.emplace_back(row.memory.key, row.checksum);
    if (some.size() < step) break;
  }
  co_return marked;
}

Result<std::string> StoreApi::snapshot_path(const std::string& name) const {
  if (options_.snapshot_folder.empty())
    return fail(Errc::kUnavailable, "this store has no folder for snapshots");
  if (!is_path_below(name)) {
    return fail_field("folder", fmt::format("'{}' is not below the store's folder for snapshots",
                                            name.substr(0, 200)));
  }
  return options_.snapshot_folder + "/" + name;
}

Task<bool> StoreApi::snapshot(std::string folder) {
  ASAHI_CO_TRY(const std::string path, snapshot_path(folder));
  if (auto ok = co_await store_.snapshot(path, {}); !ok) co_return std::unexpected(ok.error());
  co_return true;
}

}  // namespace asahi::memory::remote
