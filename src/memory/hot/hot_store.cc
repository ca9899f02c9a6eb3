#include "memory/hot/hot_store.h"

#include <fmt/format.h>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <algorithm>
#include <cmath>

#include "base/utf8.h"
#include "net/blocking.h"

namespace asahi::memory {
namespace {

/// Starts an engine's write and resumes on the caller's loop with its answer.
template <class T, class Start>
Task<T> from_engine(Start start) {
  net::Loop* const home = net::Loop::current();
  auto begin = [home](auto handler, Start body) {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    body([home, shared](Result<T> answer) {
      auto value = std::make_shared<Result<T>>(std::move(answer));
      home->post([shared, value] { std::move (*shared)(std::move(*value)); });
    });
  };
  co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<IoExecutor>,
                                                 void(Result<T>)>(std::move(begin), use_aw,
                                                                  std::move(start));
}

Result<void> check_keys(const std::vector<Key>& keys) {
  for (const Key& key : keys) {
    if (auto ok = check_key(key); !ok) return ok;
  }
  return {};
}

/// Ingestion checks before; a store does not rely on it.
Result<void> check_memories(const std::vector<Memory>& memories) {
  for (std::size_t i = 0; i < memories.size(); ++i) {
    const Memory& memory = memories[i];
    const auto field = [&](std::string_view name) {
      return fmt::format("memories[{}].{}", i, name);
    };
    if (auto ok = check_key(memory.key); !ok) {
      ok.error().field = field(ok.error().field);
      return ok;
    }
    if (memory.key.tenant.size() > 256) return fail_field(field("tenant"), "over 256 bytes");
    if (memory.content.empty()) return fail_field(field("content"), "it is empty");
    if (memory.content.size() > kMaxContent || memory.metadata.size() > kMaxMetadata) {
      auto failure = fail(
          Errc::kTooLarge,
          fmt::format("{} bytes of content and {} of metadata; at most {} and {}",
                      memory.content.size(), memory.metadata.size(), kMaxContent, kMaxMetadata));
      failure.error().field = field("content");
      return failure;
    }
    if (!is_utf8(memory.content)) return fail_field(field("content"), "it is not UTF-8");
    if (memory.embedding_model.size() > 256) {
      return fail_field(field("embedding_model"), "its name has over 256 bytes");
    }
    if (memory.embedding.size() > vector::kMaxDimensions) {
      return fail_field(
          field("embedding"),
          fmt::format("{} numbers; at most {}", memory.embedding.size(), vector::kMaxDimensions));
    }
    for (const float number : memory.embedding) {
      if (!std::isfinite(number)) {
        return fail_field(field("embedding"), "a number of it is not finite");
      }
    }
  }
  return {};
}

}  // namespace

HotStore::HotStore(std::unique_ptr<hot::Engine> engine, const HotOptions& options)
    : engine_(std::move(engine)),
      max_waiting_(options.max_waiting),
      preparers_(std::make_unique<boost::asio::thread_pool>(options.prepare_threads)),
      readers_(std::make_unique<boost::asio::thread_pool>(options.search_threads)) {}

HotStore::~HotStore() {
  preparers_->join();
  readers_->join();
}

Result<std::unique_ptr<HotStore>> HotStore::open(HotOptions options) {
  ASAHI_TRY(auto engine, hot::Engine::open(options.engine));
  return std::unique_ptr<HotStore>(new HotStore(std::move(engine), options));
}

template <class Work>
Aw<std::invoke_result_t<Work>> HotStore::on_reader(Work work) {
  if (waiting_.fetch_add(1, std::memory_order_relaxed) >= max_waiting_) {
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    co_return fail(
        Errc::kUnavailable,
        fmt::format("{} reads wait for the hot store already; try again later", max_waiting_));
  }
  co_return co_await net::run_blocking(*readers_, [this, work = std::move(work)] {
    auto out = work();
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    return out;
  });
}

Task<std::vector<UpsertOutcome>> HotStore::upsert_batch(std::vector<Memory> memories,
                                                        UpsertOptions options) {
  if (preparing_.fetch_add(1, std::memory_order_relaxed) >= max_waiting_) {
    preparing_.fetch_sub(1, std::memory_order_relaxed);
    co_return fail(
        Errc::kUnavailable,
        fmt::format("{} batches wait for the hot store already; try again later", max_waiting_));
  }
  co_return co_await from_engine<std::vector<UpsertOutcome>>(
      [this, memories = std::move(memories), options](auto done) mutable {
        boost::asio::post(*preparers_, [this, memories = std::move(memories), options,
                                        done = std::move(done)]() mutable {
          prepare_and_upsert(std::move(memories), options, std::move(done));
          preparing_.fetch_sub(1, std::memory_order_relaxed);
        });
      });
}

void HotStore::prepare_and_upsert(std::vector<Memory> memories, const UpsertOptions& options,
                                  hot::Engine::Done<std::vector<UpsertOutcome>> done) {
  if (auto ok = check_memories(memories); !ok) {
    done(std::unexpected(ok.error()));
    return;
  }
  for (Memory& memory : memories) {
    if (memory.content_hash == Digest{}) memory.content_hash = sha256(memory.content);
  }
  engine_->upsert(std::move(memories), options, std::move(done));
}

Task<std::vector<std::optional<Memory>>> HotStore::get(std::vector<Key> keys) {
  co_return co_await on_reader([this, keys = std::move(keys)] { return engine_->get(keys); });
}

Task<std::uint64_t> HotStore::delete_batch(std::vector<Key> keys) {
  if (auto ok = check_keys(keys); !ok) co_return std::unexpected(ok.error());
  co_return co_await from_engine<std::uint64_t>([this, keys = std::move(keys)](auto done) mutable {
    engine_->erase(std::move(keys), std::move(done));
  });
}

Task<std::uint64_t> HotStore::delete_system(std::string tenant, std::string system_id) {
  co_return co_await from_engine<std::uint64_t>(
      [this, tenant = std::move(tenant), system_id = std::move(system_id)](auto done) mutable {
        engine_->erase_system(std::move(tenant), std::move(system_id), std::move(done));
      });
}

Task<StorePage> HotStore::search(StoreQuery query) {
  co_return co_await on_reader([this, query = std::move(query)] { return engine_->search(query); });
}

Task<std::vector<Eligible>> HotStore::scan_eligible(ScanQuery wanted) {
  co_return co_await from_engine<std::vector<Eligible>>(
      [this, wanted = std::move(wanted)](auto done) mutable {
        engine_->scan_eligible(std::move(wanted), std::move(done));
      });
}

Task<std::uint64_t> HotStore::replace_vectors(std::vector<NewVector> rows) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const NewVector& row = rows[i];
    const auto finite = [](float number) { return std::isfinite(number); };
    if (!std::ranges::all_of(row.embedding, finite) ||
        row.embedding.size() > vector::kMaxDimensions || row.model.size() > 256) {
      co_return fail_field(
          fmt::format("rows[{}].embedding", i),
          fmt::format("it is no vector of at most {} finite numbers with a model's "
                      "name of at most 256 bytes",
                      vector::kMaxDimensions));
    }
  }
  co_return co_await from_engine<std::uint64_t>([this, rows = std::move(rows)](auto done) mutable {
    engine_->replace_vectors(std::move(rows), std::move(done));
  });
}

Task<std::map<std::string, std::uint64_t>> HotStore::models(std::string tenant) {
  co_return co_await on_reader(
      [this, tenant = std::move(tenant)]() -> Result<std::map<std::string, std::uint64_t>> {
        return engine_->models(tenant);
      });
}

Task<std::uint64_t> HotStore::delete_migrated(std::vector<std::pair<Key, Digest>> rows) {
  co_return co_await from_engine<std::uint64_t>([this, rows = std::move(rows)](auto done) mutable {
    engine_->erase_migrated(std::move(rows), std::move(done));
  });
}

Task<std::vector<ShardRow>> HotStore::scan_shards(ShardSet wanted, std::size_t limit, Marks marks) {
  if (wanted.size() != kShards)
    co_return fail_field("wanted", fmt::format("{} shards; there are {}", wanted.size(), kShards));
  co_return co_await from_engine<std::vector<ShardRow>>(
      [this, wanted = std::move(wanted), limit, marks](auto done) mutable {
        engine_->scan_shards(std::move(wanted), limit, marks, std::move(done));
      });
}

Task<std::uint64_t> HotStore::delete_moved(std::vector<std::pair<Key, Digest>> rows) {
  co_return co_await from_engine<std::uint64_t>([this, rows = std::move(rows)](auto done) mutable {
    engine_->erase_moved(std::move(rows), std::move(done));
  });
}

Task<std::vector<std::uint64_t>> HotStore::shard_counts() {
  co_return co_await on_reader(
      [this]() -> Result<std::vector<std::uint64_t>> { return engine_->shard_counts(); });
}

Task<std::vector<std::optional<Digest>>> HotStore::checksum(std::vector<Key> keys) {
  co_return co_await on_reader([this, keys = std::move(keys)] { return engine_->checksum(keys); });
}

Task<TierStats> HotStore::stats(std::string tenant) {
  co_return co_await on_reader(
      [this, tenant = std::move(tenant)]() -> Result<TierStats> { return engine_->stats(tenant); });
}

Task<std::vector<HeldFile>> HotStore::snapshot(std::string folder, HeldSums) {
  // Closed segments are linked, which costs less than knowing their sums.
  auto copied =
      co_await on_reader([this, folder = std::move(folder)] { return engine_->copy_to(folder); });
  if (!copied) co_return std::unexpected(std::move(copied.error()));
  co_return std::vector<HeldFile>{};
}

}  // namespace asahi::memory
