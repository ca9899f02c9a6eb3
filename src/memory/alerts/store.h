#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "memory/series/alerts.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"

namespace asahi::memory {

/// Where a tenant wants to be told.
struct Webhook {
  std::string id;  ///< "whk_…"
  std::string url;
  std::vector<series::AlertType> types;  ///< empty: all
  Clock::Time created_at{};
  std::string created_by;
  bool wants(series::AlertType type) const;
};

/// What became of telling people.
enum class Told : std::uint8_t { kNobody, kUnderWay, kDelivered, kFailed };
/// "nobody", "under_way", "delivered", "failed".
std::string_view told_name(Told told);

/// One alert of the past.
struct PastAlert {
  std::string place;  ///< orders them; AlertQuery::before
  std::string body;   ///< Alert::json
  Told told = Told::kNobody;
};

struct AlertQuery {
  std::string tenant;
  std::optional<series::AlertType> type;
  std::optional<series::Severity> severity;
  std::size_t limit = 50;  ///< 1 to 500
  std::string before;      ///< place; empty: from the newest
};

using Thresholds = std::array<std::optional<double>, series::kAlertTypes>;

/// What tenants want to hear of, and what they were told: tables of SQLite or PostgreSQL. Errors of
/// all: those of sql::Database. Any loop.
class AlertStore {
 public:
  static constexpr std::size_t kMostWebhooks = 20;  ///< of a tenant

  explicit AlertStore(sql::Database& database) : database_(database) {}

  /// The defaults with what the tenant has set.
  Task<Thresholds> thresholds(std::string tenant);
  struct Change {
    series::AlertType type;
    std::optional<double> threshold;  ///< nothing: never
  };
  Task<void> set_thresholds(std::string tenant, std::vector<Change> changes, Clock::Time now);

  Task<std::vector<Webhook>> webhooks(std::string tenant);
  /// Errors: conflict (this URL is there, or too many are).
  Task<void> add_webhook(std::string tenant, Webhook webhook);
  /// False: there is none.
  Task<bool> remove_webhook(std::string tenant, std::string id);

  struct Row {
    std::string tenant;
    series::Alert alert;
    Told told = Told::kNobody;
  };
  Task<void> add(std::vector<Row> rows);
  Task<void> set_told(std::string tenant, std::string alert_id, Told told);
  Task<std::vector<PastAlert>> list(AlertQuery query);
  /// Forgets alerts from before `before`; how many.
  Task<std::uint64_t> sweep(Clock::Time before);

 private:
  sql::Database& database_;
};

/// Version 325.
sql::Migration alert_migration();

}  // namespace asahi::memory
