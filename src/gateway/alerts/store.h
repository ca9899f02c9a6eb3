#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "gateway/alerts/alert.h"
#include "gateway/alerts/messages.h"
#include "gateway/alerts/rules.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"

namespace asahi::gateway::alerts {

/// Which alerts a caller may see.
struct View {
  std::string org_id;         ///< those of his organisation …
  bool installation = false;  ///< … and those about the installation
};

struct AlertQuery {
  View view;
  std::optional<bool> active;
  std::optional<Severity> severity;
  std::string kind;  ///< empty: any
  bool dismissed = false;
  std::size_t limit = 50;
  std::string before;  ///< id; empty: from the newest on
};
struct AlertPage {
  std::vector<Alert> alerts;
  std::string next;                      ///< `before` of the next page; empty: none
  std::array<std::int64_t, 4> active{};  ///< by severity, of all that are in view and not dismissed
};

/// The table `alerts`, and what rules and the digest ask of analytics' rollups. Thread-safe.
/// Errors: those of the database.
class Store {
 public:
  explicit Store(sql::Database& database) : database_(database) {}

  /// False: another process has this alert open; nothing is stored. A local one that a crash left
  /// open ends now.
  Task<bool> insert(Alert alert);
  /// Everything but who has acknowledged or dismissed it.
  Task<void> save(Alert alert);
  /// What `node` has open.
  Task<std::vector<Alert>> open_of(std::string node);
  Task<AlertPage> list(AlertQuery query);
  enum class Mark { kAcknowledged, kDismissed };
  /// Whoever was first stays. Errors: not_found, also for what is not in view.
  Task<Alert> mark(std::string id, View view, Mark mark, std::string who, Clock::Time now);
  /// Ends alerts that no process has seen since `before`, and deletes those that began before
  /// `oldest`.
  Task<void> tidy(Clock::Time now, Clock::Time before, Clock::Time oldest);

  /// Cost of each organisation and day (UTC) of [from, to), both midnight.
  struct DayCost {
    std::string org_id, day;
    double cost = 0;
  };
  Task<std::vector<DayCost>> costs(Clock::Time from, Clock::Time to);
  /// Of the day that begins at `day`.
  Task<Digest> digest(Clock::Time day);

 private:
  sql::Database& database_;
};

/// Version 160.
sql::Migration alerts_migration();

}  // namespace asahi::gateway::alerts
