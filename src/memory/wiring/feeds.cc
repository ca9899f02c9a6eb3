#include "memory/wiring/feeds.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <utility>

#include "memory/ageing/find.h"
#include "net/blocking.h"

namespace asahi::memory {
namespace {

/// Which of `keys` are in one of the tiers (hottest first), asked one after the other for what is
/// missing.
Result<std::vector<bool>> in_any(std::span<Store* const> tiers, const std::vector<Key>& keys,
                                 std::vector<bool> there, net::LoopPool& loops) {
  for (Store* const tier : ageing::reading_order({tiers.begin(), tiers.end()})) {
    std::vector<std::size_t> places;
    std::vector<Key> missing;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (there[i]) continue;
      places.push_back(i);
      missing.push_back(keys[i]);
    }
    if (missing.empty()) break;
    using Found = Result<std::vector<std::optional<Memory>>>;
    const auto found = net::run_sync<Found>(
        loops.at(0), [tier, &missing]() -> Aw<Found> { return tier->get(missing); });
    if (!found) return std::unexpected(found.error());
    for (std::size_t i = 0; i < places.size(); ++i) there[places[i]] = (*found)[i].has_value();
  }
  return there;
}

class EngineFeed final : public knowledge::MemoryFeed {
 public:
  EngineFeed(hot::Engine& engine, std::vector<Store*> tiers, net::LoopPool& loops)
      : engine_(engine), loops_(loops) {
    for (Store* const tier : tiers) {
      if (tier->tier() != Tier::kHot) colder_.push_back(tier);
    }
  }

  Result<Place> place() override {
    ASAHI_TRY(std::string name, engine_.feed_name());
    return Place{std::move(name), engine_.last_written()};
  }
  bool wait(std::uint64_t since, std::chrono::milliseconds most, std::stop_token stop) override {
    return engine_.wait_written(since, most, std::move(stop));
  }
  Result<Page> after(std::uint64_t since, std::size_t limit) override {
    hot::WrittenPage written = engine_.written_since(since, limit);
    Page page{.rows = {}, .upto = written.upto, .end = engine_.last_written()};
    page.rows.reserve(written.rows.size());
    for (hot::Written& row : written.rows)
      page.rows.push_back({std::move(row.memory), row.duplicate});
    return page;
  }
  Result<std::vector<bool>> present(std::vector<Key> keys) override {
    return in_any(colder_, keys, engine_.has(keys), loops_);
  }

 private:
  hot::Engine& engine_;
  net::LoopPool& loops_;
  std::vector<Store*> colder_;
};

class RemoteFeed final : public knowledge::MemoryFeed {
 public:
  RemoteFeed(remote::RemoteStore& hot, std::vector<Store*> tiers, net::LoopPool& loops)
      : hot_(hot), tiers_(std::move(tiers)), loops_(loops) {}

  Result<Place> place() override {
    ASAHI_TRY(remote::RemoteStore::Written now, ask(0, 0));
    name_ = now.name;
    return Place{std::move(now.name), now.end};
  }
  bool wait(std::uint64_t, std::chrono::milliseconds most, std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, most, [] { return false; });
    return true;
  }
  Result<Page> after(std::uint64_t since, std::size_t limit) override {
    ASAHI_TRY(remote::RemoteStore::Written written, ask(since, limit));
    if (written.name != name_)
      return fail(Errc::kConflict, "another hot store stands in the place of the one followed");
    Page page{.rows = {}, .upto = written.upto, .end = written.end};
    page.rows.reserve(written.rows.size());
    for (auto& [memory, duplicate] : written.rows)
      page.rows.push_back({std::move(memory), duplicate});
    return page;
  }
  Result<std::vector<bool>> present(std::vector<Key> keys) override {
    return in_any(tiers_, keys, std::vector<bool>(keys.size()), loops_);
  }

 private:
  Result<remote::RemoteStore::Written> ask(std::uint64_t since, std::size_t limit) {
    using Reply = Result<remote::RemoteStore::Written>;
    return net::run_sync<Reply>(loops_.at(0), [this, since, limit]() -> Aw<Reply> {
      return hot_.written_since(since, limit);
    });
  }

  remote::RemoteStore& hot_;
  const std::vector<Store*> tiers_;
  net::LoopPool& loops_;
  std::string name_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
};

class PostgresFeed final : public knowledge::MemoryFeed {
 public:
  PostgresFeed(PgVectorStore& hot, std::vector<Store*> tiers, net::LoopPool& loops)
      : hot_(hot), tiers_(std::move(tiers)), loops_(loops) {}

  Result<Place> place() override {
    ASAHI_TRY(name_, hot_.feed_name());
    ASAHI_TRY(const std::uint64_t end, hot_.last_written());
    return Place{name_, end};
  }
  bool wait(std::uint64_t, std::chrono::milliseconds most, std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, stop, most, [] { return false; });
    return true;
  }
  Result<Page> after(std::uint64_t since, std::size_t limit) override {
    ASAHI_TRY(const std::string name, hot_.feed_name());
    if (name != name_)
      return fail(Errc::kConflict, "another table stands in the place of the one followed");
    // In this order: what is written in between is for the next page.
    ASAHI_TRY(const std::uint64_t end, hot_.last_written());
    ASAHI_TRY(std::vector<PgVectorStore::Written> written, hot_.written_since(since, limit));
    // The last writing may have been erased since.
    Page page{.rows = {},
              .upto = written.empty() ? std::max(since, end) : written.back().sequence,
              .end = std::max(end, written.empty() ? since : written.back().sequence)};
    page.rows.reserve(written.size());
    for (auto& row : written) page.rows.push_back({std::move(row.memory), row.duplicate});
    return page;
  }
  Result<std::vector<bool>> present(std::vector<Key> keys) override {
    return in_any(tiers_, keys, std::vector<bool>(keys.size()), loops_);
  }

 private:
  PgVectorStore& hot_;
  const std::vector<Store*> tiers_;
  net::LoopPool& loops_;
  std::string name_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
};

class SwapFeed final : public knowledge::MemoryFeed {
 public:
  SwapFeed(swap::SwapStore& hot, std::vector<Store*> tiers, net::LoopPool& loops)
      : hot_(hot), tiers_(std::move(tiers)), loops_(loops) {}

  Result<Place> place() override {
    const swap::SharedBackend side = hot_.now();
    ASAHI_TRY(Place found, side->feed->place());
    followed_ = side;
    return found;
  }
  bool wait(std::uint64_t since, std::chrono::milliseconds most, std::stop_token stop) override {
    return hot_.now()->feed->wait(since, most, std::move(stop));
  }
  Result<Page> after(std::uint64_t since, std::size_t limit) override {
    const swap::SharedBackend side = hot_.now();
    if (followed_.lock() != side)
      return fail(Errc::kConflict, "the hot tier has gone over to another backend");
    return side->feed->after(since, limit);
  }
  Result<std::vector<bool>> present(std::vector<Key> keys) override {
    ASAHI_TRY(std::vector<bool> there, hot_.now()->feed->present(keys));
    return in_any(tiers_, keys, std::move(there), loops_);
  }

 private:
  swap::SwapStore& hot_;
  const std::vector<Store*> tiers_;
  net::LoopPool& loops_;
  std::weak_ptr<swap::Backend> followed_;
};

}  // namespace

std::unique_ptr<knowledge::MemoryFeed> feed_of(swap::SwapStore& hot, std::vector<Store*> tiers,
                                               net::LoopPool& loops) {
  return std::make_unique<SwapFeed>(hot, std::move(tiers), loops);
}

std::unique_ptr<knowledge::MemoryFeed> feed_of(PgVectorStore& hot, std::vector<Store*> tiers,
                                               net::LoopPool& loops) {
  return std::make_unique<PostgresFeed>(hot, std::move(tiers), loops);
}

std::unique_ptr<knowledge::MemoryFeed> feed_of(hot::Engine& engine, std::vector<Store*> tiers,
                                               net::LoopPool& loops) {
  return std::make_unique<EngineFeed>(engine, std::move(tiers), loops);
}

std::unique_ptr<knowledge::MemoryFeed> feed_of(remote::RemoteStore& hot, std::vector<Store*> tiers,
                                               net::LoopPool& loops) {
  return std::make_unique<RemoteFeed>(hot, std::move(tiers), loops);
}

}  // namespace asahi::memory
