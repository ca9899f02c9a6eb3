#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "gateway/alerts/alert.h"
#include "gateway/alerts/config.h"

namespace asahi::gateway::alerts {

/// Something to tell people.
struct Notice {
  enum class What { kTriggered, kResolved, kTest } what = What::kTriggered;
  Alert alert;
};

/// Turns the findings of one look after another into alerts that begin and end, and says when
/// somebody is to be told: once per alert, not more often than every `cooldown_seconds`, and of the
/// end whoever heard of the beginning. What comes back within the cool-down is the same alert. Low
/// severities are never told, they wait for the digest. Pure; not thread-safe.
class Book {
 public:
  Book(const AlertsConfig& config, std::string node) : config_(config), node_(std::move(node)) {}

  struct Changes {
    std::vector<Alert> fresh;    ///< alerts that began now
    std::vector<Alert> changed;  ///< others that began again, ended, or were seen once more
    std::vector<Notice> notices;
  };
  Changes update(const std::vector<Finding>& findings, Clock::Time now, Clock::Steady steady);

  /// An alert that this process had open when it ended; before the first update.
  void restore(const Alert& alert, Clock::Steady now);
  /// Another process tells this one; here it is not told, and not said to have ended.
  void leave_to_others(const std::string& key);
  /// Nobody could be told: tried again after the cool-down, as long as it is active.
  void untold(const std::string& key);

  std::vector<Alert> active() const;

 private:
  struct Entry {
    Alert alert;
    bool active = true;
    bool foreign = false;
    Clock::Steady seen{}, saved{};
    std::optional<Clock::Steady> told_at;
  };
  bool may_tell(const Entry& entry, Clock::Steady now) const;
  void tell(Entry& entry, Clock::Steady now, Changes& changes) const;
  void end_what_is_gone(Clock::Time now, Clock::Steady steady, Changes& changes);

  const AlertsConfig& config_;
  const std::string node_;
  std::map<std::string, Entry> entries_;  ///< by key; ended ones stay for the cool-down
};

}  // namespace asahi::gateway::alerts
