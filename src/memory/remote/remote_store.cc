#include "memory/remote/remote_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/ids.h"
#include "base/log.h"
#include "memory/remote/protocol.h"
#include "net/blocking.h"

namespace asahi::memory::remote {
namespace {

constexpr std::size_t kConnections = 64;

double jitter() { return static_cast<double>(random_u64() >> 11) * 0x1p-53; }

std::unique_ptr<net::PerLoop<http::Client>> make_clients(net::LoopPool& loops,
                                                         const std::string& ca_file) {
  return std::make_unique<net::PerLoop<http::Client>>(loops, [&](net::Loop& loop) {
    http::ClientOptions options;
    options.connect_timeout = std::chrono::milliseconds(2'000);
    options.max_connections_per_origin = kConnections;
    options.max_response_bytes = kMaxReplyBytes;
    options.ca_file = ca_file;
    return std::make_unique<http::Client>(loop, options);
  });
}

/// What cannot be written into the bytes of a memory; the rest of the rules are the store's.
Result<void> check_sizes(const std::vector<Memory>& memories) {
  constexpr std::size_t kMax = 0xFFFF;
  for (std::size_t i = 0; i < memories.size(); ++i) {
    const Key& key = memories[i].key;
    if (key.tenant.size() > kMax || key.system_id.size() > kMax ||
        key.conversation_id.size() > kMax || memories[i].embedding_model.size() > kMax) {
      return fail_field(fmt::format("memories[{}]", i), "an id of it has over 65,535 bytes");
    }
  }
  return {};
}

bool stays_below(const std::string& path) {
  return !path.empty() && std::ranges::none_of(std::filesystem::path(path), [](const auto& part) {
    return part == ".." || part == "." || part == "/" || part.empty();
  });
}

/// A piece to the end of a file that begins with the first one.
Result<void> append(const std::string& path, std::string_view piece, bool first, bool last) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  const File file = File::open(path, O_WRONLY | O_CREAT | (first ? O_TRUNC : O_APPEND));
  if (!file || !write_all(file.get(), piece)) return file_error("write", path);
  if (last && ::fsync(file.get()) != 0) return file_error("sync", path);
  return {};
}

}  // namespace

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host == "[::1]" || host.starts_with("127.");
}

Result<http::Origin> store_origin(const std::string& field, const std::string& url,
                                  const StoreSecrets& secrets) {
  auto origin = http::Origin::parse(url);
  if (!origin) return fail_field(field, origin.error().message);
  if (secrets.current.empty() && !is_loopback(origin->host)) {
    return fail_field(field, fmt::format("{} is beyond this machine: set AKOSHA_STORE_SECRET, the "
                                         "same in every process of the memory",
                                         origin->host));
  }
  return origin;
}

RemoteStore::RemoteStore(net::LoopPool& loops, const Clock& clock, Options options)
    : options_(std::move(options)),
      clock_(clock),
      clients_(make_clients(loops, options_.ca_file)),
      breaker_(options_.breaker) {}

RemoteStore::~RemoteStore() { files_.join(); }

std::string RemoteStore::name() const {
  return fmt::format("the {} store at {}", tier_name(options_.tier), options_.origin.to_string());
}

Result<std::string> RemoteStore::judge(http::ClientResponse reply, std::string_view nonce) const {
  const bool is_signed = is_signed_reply(options_.secrets, nonce, reply.status, reply.body,
                                         reply.headers.get(kSignatureHeader));
  if (reply.status == 200 && is_signed) return std::move(reply.body);
  auto error = from_bytes<Error>(reply.body);
  if (reply.status == 401) {
    return fail(Errc::kUnauthenticated,
                fmt::format("{} refuses us: {}", name(), error ? error->message : "wrong secret"));
  }
  if (reply.status == 404 && !error) {
    // Of the router, which signs nothing: the caller is told that it cannot be had, no more.
    return fail(Errc::kUnavailable,
                fmt::format("{} does not know this call; it may run an older version: update it "
                            "first",
                            name()));
  }
  if (!is_signed) {
    return fail(Errc::kUnauthenticated,
                fmt::format("the answer (status {}) of {} is not signed with our secret; "
                            "AKOSHA_STORE_SECRET must be the same in every process",
                            reply.status, name()));
  }
  if (!error) {
    return fail(Errc::kUpstream,
                fmt::format("{} answered {} without a reason", name(), reply.status));
  }
  return std::unexpected(std::move(*error));
}

Task<std::string> RemoteStore::send(const std::string& target, const std::string& body,
                                    std::chrono::steady_clock::time_point deadline,
                                    Reached& reached) {
  reached = Reached::kBreaker;
  const auto now = clock_.steady_now();
  if (!breaker_.allow(now)) {
    auto failure =
        fail(Errc::kUnavailable, fmt::format("{} is away; it is asked again in a moment", name()));
    failure.error().retry_after = options_.breaker.open_for;
    co_return failure;
  }
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  http::ClientRequest request;
  request.origin = options_.origin;
  request.target = target;
  request.headers.add("Content-Type", std::string(kContentType));
  const std::string nonce = sign_request(options_.secrets, options_.origin.base_path + target, body,
                                         left, clock_.now(), request.headers);
  request.body = body;
  http::CallOptions limits;
  limits.deadline = deadline;
  limits.idle_timeout = std::chrono::duration_cast<std::chrono::milliseconds>(left);
  auto reply = co_await clients_->local().send(std::move(request), limits);
  if (!reply) {
    // Resolving, connecting, TLS: nothing went out.
    reached = reply.error().code == Errc::kUnavailable ? Reached::kNothing : Reached::kStore;
    breaker_.failed(clock_.steady_now());
    const bool late = reply.error().code == Errc::kTimeout;
    auto failure = late ? fail(Errc::kTimeout, fmt::format("{} did not answer in time", name()))
                        : fail(Errc::kUnavailable, fmt::format("{} cannot be reached: {}", name(),
                                                               reply.error().message));
    co_return failure;
  }
  breaker_.succeeded();
  reached = Reached::kStore;
  co_return judge(std::move(*reply), nonce);
}

template <class Verb>
Task<typename Verb::Reply> RemoteStore::call(typename Verb::Request request,
                                             std::chrono::milliseconds timeout) {
  const std::string target = std::string(kPrefix) + std::string(Verb::kName);
  const std::string body = to_bytes(request);
  request = typename Verb::Request{};
  if (body.size() > kMaxUpsertBytes) {
    co_return fail(Errc::kTooLarge, fmt::format("{} bytes for {}; at most {}", body.size(), name(),
                                                kMaxUpsertBytes));
  }
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (int attempt = 1;; ++attempt) {
    auto reached = Reached::kBreaker;
    auto answer = co_await send(target, body, deadline, reached);
    if (answer) {
      auto reply = from_bytes<typename Verb::Reply>(*answer);
      if (reply) co_return std::move(*reply);
      co_return fail(Errc::kUpstream, fmt::format("{} answered {} with bytes that are no reply",
                                                  name(), Verb::kName));
    }
    if (answer.error().reason == kBackPressure) {
      // Asking again is for whoever has the memories: they wait where they are.
      const auto pause = answer.error().retry_after.value_or(std::chrono::milliseconds(1'000));
      pressed_until_ = (clock_.steady_now() + pause).time_since_epoch().count();
      co_return std::unexpected(answer.error());
    }
    if (reached == Reached::kBreaker ||
        (reached == Reached::kStore && Verb::kAgain == Again::kNo)) {
      co_return std::unexpected(answer.error());
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    const auto pause = retry_delay(options_.retry, attempt, answer.error(), jitter(), left);
    if (!pause) co_return std::unexpected(answer.error());
    co_await net::Loop::current()->sleep_for(*pause);
  }
}

Task<void> RemoteStore::ping() {
  ASAHI_CO_TRY(const Tier tier, co_await call<Hello>({}));
  if (tier == options_.tier) co_return Result<void>{};
  co_return fail(Errc::kCorrupt, fmt::format("{} is a {} store", name(), tier_name(tier)));
}

Task<std::vector<UpsertOutcome>> RemoteStore::upsert_batch(std::vector<Memory> memories,
                                                           UpsertOptions options) {
  if (auto ok = check_sizes(memories); !ok) co_return std::unexpected(ok.error());
  const std::size_t count = memories.size();
  ASAHI_CO_TRY(auto outcomes, co_await call<UpsertBatch>({std::move(memories), options}));
  if (outcomes.size() != count)
    co_return fail(Errc::kUpstream, fmt::format("{} told of {} memories, sent were {}", name(),
                                                outcomes.size(), count));
  co_return outcomes;
}

Task<std::vector<std::optional<Memory>>> RemoteStore::get(std::vector<Key> keys) {
  std::vector<std::optional<Memory>> found;
  found.reserve(keys.size());
  do {
    std::vector<Key> rest(keys.begin() + static_cast<std::ptrdiff_t>(found.size()), keys.end());
    const std::size_t asked = rest.size();
    ASAHI_CO_TRY(auto some, co_await call<Get>(std::move(rest)));
    if (some.size() > asked || (some.empty() && asked > 0))
      co_return fail(Errc::kUpstream, fmt::format("{} told of {} memories, asked for were {}",
                                                  name(), some.size(), asked));
    std::ranges::move(some, std::back_inserter(found));
  } while (found.size() < keys.size());
  co_return found;
}

Task<std::uint64_t> RemoteStore::delete_batch(std::vector<Key> keys) {
  co_return co_await call<DeleteBatch>(std::move(keys));
}

Task<std::uint64_t> RemoteStore::delete_system(std::string tenant, std::string system_id) {
  co_return co_await call<DeleteSystem>({std::move(tenant), std::move(system_id)});
}

Task<StorePage> RemoteStore::search(StoreQuery query) {
  const auto timeout =
      std::min(query.patience.value_or(SearchStore::kTimeout), SearchStore::kTimeout);
  co_return co_await call<SearchStore>(std::move(query), timeout);
}

Task<std::vector<Eligible>> RemoteStore::scan_eligible(ScanQuery wanted) {
  const std::size_t limit = wanted.limit;
  const bool by_age_alone =
      wanted.tenant.empty() && wanted.keys.empty() && !wanted.without_model.has_value();
  std::vector<Eligible> rows;
  for (bool more = true; more && rows.size() < limit;) {
    wanted.limit = limit - rows.size();
    auto reply = by_age_alone ? co_await call<ScanEligible>({wanted.before, wanted.limit})
                              : co_await call<ScanWanted>(wanted);
    // What came before is marked over there: it must not be lost with the rest.
    if (!reply && !rows.empty()) break;
    if (!reply) co_return std::unexpected(reply.error());
    std::ranges::move(std::get<0>(*reply), std::back_inserter(rows));
    more = std::get<1>(*reply);
  }
  co_return rows;
}

Task<std::uint64_t> RemoteStore::delete_migrated(std::vector<std::pair<Key, Digest>> rows) {
  co_return co_await call<DeleteMigrated>(std::move(rows));
}

Task<std::uint64_t> RemoteStore::replace_vectors(std::vector<NewVector> rows) {
  co_return co_await call<ReplaceVectors>(std::move(rows));
}

Task<std::map<std::string, std::uint64_t>> RemoteStore::models(std::string tenant) {
  co_return co_await call<Models>(std::move(tenant));
}

Task<std::vector<std::optional<Digest>>> RemoteStore::checksum(std::vector<Key> keys) {
  const std::size_t count = keys.size();
  ASAHI_CO_TRY(auto sums, co_await call<Checksum>(std::move(keys)));
  if (sums.size() != count)
    co_return fail(Errc::kUpstream, fmt::format("{} told of {} sums, asked for were {}", name(),
                                                sums.size(), count));
  co_return sums;
}

Task<TierStats> RemoteStore::stats(std::string tenant) {
  co_return co_await call<Stats>(std::move(tenant));
}

Task<std::vector<ShardRow>> RemoteStore::scan_shards(ShardSet wanted, std::size_t limit,
                                                     Marks marks) {
  std::vector<ShardRow> rows;
  for (bool more = true; more && rows.size() < limit;) {
    auto reply = co_await call<ScanShards>({wanted, limit - rows.size(), marks});
    marks = Marks::kKeep;
    // What came before is marked over there: it must not be lost with the rest.
    if (!reply && !rows.empty()) break;
    if (!reply) co_return std::unexpected(reply.error());
    std::ranges::move(std::get<0>(*reply), std::back_inserter(rows));
    more = std::get<1>(*reply);
  }
  co_return rows;
}

Task<std::uint64_t> RemoteStore::delete_moved(std::vector<std::pair<Key, Digest>> rows) {
  co_return co_await call<DeleteMoved>(std::move(rows));
}

Task<std::vector<std::uint64_t>> RemoteStore::shard_counts() {
  ASAHI_CO_TRY(auto counts, co_await call<ShardCounts>({}));
  if (counts.size() != kShards)
    co_return fail(Errc::kUpstream, fmt::format("{} told of {} shards; there are {}", name(),
                                                counts.size(), kShards));
  co_return counts;
}

Task<std::string> RemoteStore::record() { co_return co_await call<PlacementOf>({}); }

Task<std::string> RemoteStore::replace(std::string expected, std::string next) {
  co_return co_await call<PlacementOf>(std::pair(std::move(expected), std::move(next)));
}

Task<RemoteStore::Written> RemoteStore::written_since(std::uint64_t since, std::size_t limit) {
  ASAHI_CO_TRY(auto reply, co_await call<WrittenSince>({since, limit}));
  auto& [name, end, upto, rows] = reply;
  co_return Written{std::move(name), end, upto, std::move(rows)};
}

Task<RemoteStore::DiskSpace> RemoteStore::disk() {
  ASAHI_CO_TRY(auto reply, co_await call<Disk>({}));
  auto& [folder, capacity, available] = reply;
  co_return DiskSpace{std::move(folder), capacity, available};
}

bool RemoteStore::pressed() const {
  return clock_.steady_now().time_since_epoch().count() < pressed_until_.load();
}

Task<std::vector<HeldFile>> RemoteStore::snapshot(std::string folder, HeldSums held) {
  const std::string copy = random_id("snap_", 16);
  auto fetched = co_await fetch_snapshot(copy, std::move(folder), std::move(held));
  if (auto gone = co_await call<SnapshotDrop>(copy); !gone) {
    static const Logger logger("memory.remote");
    logger.warning("a copy stays with the store until its next start",
                   {{"store", name()}, {"error", gone.error().message}});
  }
  co_return fetched;
}

Task<std::vector<HeldFile>> RemoteStore::fetch_snapshot(std::string copy, std::string folder,
                                                        HeldSums held) {
  ASAHI_CO_TRY([[maybe_unused]] const bool made, co_await call<Snapshot>(copy));
  ASAHI_CO_TRY(const auto files, co_await call<SnapshotFiles>(copy));
  std::map<std::string, Digest> sums;
  if (held != nullptr && !held->empty()) {
    ASAHI_CO_TRY(const auto told, co_await call<SnapshotSums>(copy));
    sums.insert(told.begin(), told.end());
  }
  std::vector<HeldFile> left_out;
  for (const auto& [path, size] : files) {
    if (!stays_below(path))
      co_return fail(Errc::kUpstream, fmt::format("{} names a file '{}'", name(), path));
    const auto sum = sums.find(path);
    if (sum != sums.end() && held->contains(sum->second)) {
      left_out.push_back({path, size, sum->second});
      continue;
    }
    std::uint64_t at = 0;
    do {
      const std::uint64_t most = std::min(SnapshotRead::kMostRead, size - at);
      ASAHI_CO_TRY(std::string piece, co_await call<SnapshotRead>({copy, path, at, most}));
      if (piece.size() != most)
        co_return fail(Errc::kUpstream, fmt::format("{} gives '{}' in part", name(), path));
      const bool first = at == 0;
      at += piece.size();
      auto done = co_await net::run_blocking(
          files_, [file = folder + "/" + path, piece = std::move(piece), first, last = at == size] {
            return append(file, piece, first, last);
          });
      if (!done) co_return std::unexpected(std::move(done.error()));
    } while (at < size);
  }
  co_return left_out;
}

}  // namespace asahi::memory::remote
