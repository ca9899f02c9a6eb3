#include "memory/wiring/fleet.h"

#include <fmt/format.h>
#include <boost/asio/post.hpp>

#include <map>

#include "base/log.h"
#include "memory/backup/backup.h"
#include "memory/wiring/backups.h"
#include "memory/wiring/buckets.h"
#include "memory/wiring/tiers.h"

namespace asahi::memory {
namespace {

constexpr std::chrono::minutes kListEvery{5};
constexpr double kMostObjects = 1'000'000;

}  // namespace

Fleet::Fleet(Parts parts) : parts_(parts), ledger_(parts.database, parts.clock) {}

Fleet::~Fleet() {
  for (const Bucket& bucket : buckets_) bucket.objects->stop();
  lister_->join();
}

Result<void> Fleet::open_buckets() {
  const MemoryConfig& config = parts_.config;
  if (!config.ingestion.bucket.empty()) {
    ASAHI_TRY(auto opened, open_bucket(config, config.ingestion.bucket));
    buckets_.push_back({"ingest", std::move(opened)});
  }
  // A folder of another machine is not seen from here.
  if (config.cold.enabled && config.cold.backend != "local") {
    ASAHI_TRY(auto place, open_cold_place(config, parts_.database, false));
    if (place) buckets_.push_back({"cold", std::move(place->objects)});
  }
  ASAHI_TRY(auto backups, open_backup_place(config));
  buckets_.push_back({"backup", std::move(backups)});
  return {};
}

void Fleet::list(const Bucket& bucket) {
  double bytes = 0, objects = 0;
  const auto listed = bucket.objects->each("", [&](const object::ObjectInfo& object) {
    bytes += static_cast<double>(object.size);
    return ++objects < kMostObjects;
  });
  if (!listed) {
    Logger("memory.fleet")
        .warning("a bucket was not listed",
                 {{"bucket", bucket.name}, {"error", listed.error().message}});
    return;
  }
  const telemetry::Labels labels = {{"bucket", bucket.name}};
  parts_.metrics.gauge("akosha_bucket_size_bytes", "Bytes of the objects of a bucket", labels)
      .set(bytes);
  parts_.metrics.gauge("akosha_bucket_objects", "Objects of a bucket", labels).set(objects);
}

void Fleet::find_newest_backup(object::ObjectStore& place) {
  const auto newest = list_backups(place, 1);
  if (!newest) return;  // the list of the bucket has said so
  newest_backup_ns_ = newest->empty() ? 0 : newest->front().created_at.time_since_epoch().count();
}

void Fleet::list_buckets() {
  for (const Bucket& bucket : buckets_) {
    list(bucket);
    if (bucket.name == "backup") find_newest_backup(*bucket.objects);
  }
  listing_ = false;
}

void Fleet::tell_age() {
  const Clock::Time newest{std::chrono::nanoseconds(newest_backup_ns_.load())};
  const auto seconds = [](Clock::Time::duration time) {
    return std::chrono::duration<double>(time).count();
  };
  parts_.metrics
      .gauge("akosha_backup_last_success_timestamp_seconds",
             "End of the last good backup; 0: none is known.")
      .set(seconds(newest.time_since_epoch()));
  if (newest == Clock::Time{}) return;
  parts_.metrics.gauge("akosha_backup_age_seconds", "Since the newest backup was made")
      .set(seconds(parts_.clock.now() - newest));
}

Result<std::unique_ptr<Fleet>> Fleet::make(Parts parts) {
  ASAHI_TRY(const StorePlaces places, store_places(parts.config));
  std::unique_ptr<Fleet> fleet(new Fleet(parts));
  const auto add = [&](Tier tier, const http::Origin& origin) {
    fleet->stores_.push_back(connect_store(tier, origin, places, parts.loops, parts.clock));
  };
  for (const HotAddress& address : places.hot.addresses) {
    add(Tier::kHot, address.origin);
    fleet->names_.push_back(address.node.name);
  }
  if (places.warm) add(Tier::kWarm, *places.warm);
  if (auto ok = fleet->open_buckets(); !ok) return std::unexpected(ok.error());
  return fleet;
}

std::vector<Dependency> Fleet::dependencies() {
  return {{.name = "ledger", .ask = [this]() -> Task<void> {
             ASAHI_CO_TRY([[maybe_unused]] const Ledger::Totals totals, co_await ledger_.queue());
             co_return Result<void>{};
           }}};
}

Aw<void> Fleet::measure() {
  const Clock::Steady now = parts_.clock.steady_now();
  if (now >= next_list_.load() && !listing_.exchange(true)) {
    next_list_ = now + kListEvery;
    boost::asio::post(*lister_, [this] { list_buckets(); });
  }
  tell_age();
  if (const auto totals = co_await ledger_.queue()) {
    parts_.metrics
        .gauge("akosha_ingestion_backlog_count",
               "Uploads that wait or are in work, of all processes.")
        .set(static_cast<double>(totals->queued() + totals->in_work()));
    parts_.metrics.gauge("akosha_ingestion_workers", "Processes that hold leases.")
        .set(static_cast<double>(totals->workers));
  }
  std::map<std::string_view, bool> all_answer;
  for (std::size_t i = 0; i < stores_.size(); ++i) {
    const std::string_view tier = tier_name(stores_[i]->tier());
    const bool answers = (co_await stores_[i]->ping()).has_value();
    const auto [at, first] = all_answer.try_emplace(tier, answers);
    at->second = at->second && answers;
    if (names_.size() > 1 && i < names_.size()) {
      parts_.metrics
          .gauge("akosha_hot_node_health_status", "1 while this one of several hot stores answers",
                 {{"node", names_[i]}})
          .set(answers ? 1 : 0);
    }
  }
  for (const auto& [tier, answer] : all_answer) {
    parts_.metrics
        .gauge(fmt::format("akosha_{}_store_health_status", tier), "1 while the store answers")
        .set(answer ? 1 : 0);
  }
}

}  // namespace asahi::memory
