#include "gateway/alerts/book.h"

#include "base/ids.h"

namespace asahi::gateway::alerts {
namespace {

/// How often the table hears that an alert is still there.
constexpr std::chrono::minutes kSaveEvery{5};
/// Beyond, further findings are not followed: something is wrong with whoever finds so many.
constexpr std::size_t kMostEntries = 1'000;

Clock::Steady::duration steps(double seconds) {
  return std::chrono::duration_cast<Clock::Steady::duration>(
      std::chrono::duration<double>(seconds));
}

}  // namespace

bool Book::may_tell(const Entry& entry, Clock::Steady now) const {
  return entry.alert.severity != Severity::kLow && !entry.foreign &&
         (!entry.told_at || now - *entry.told_at >= steps(config_.cooldown_seconds));
}

void Book::tell(Entry& entry, Clock::Steady now, Changes& changes) const {
  if (entry.alert.told || !may_tell(entry, now)) return;
  entry.alert.told = true;
  entry.told_at = now;
  changes.notices.push_back({Notice::What::kTriggered, entry.alert});
}

Book::Changes Book::update(const std::vector<Finding>& findings, Clock::Time now,
                           Clock::Steady steady) {
  Changes changes;
  for (const Finding& finding : findings) {
    Alert alert;
    static_cast<Finding&>(alert) = finding;
    alert.node = node_;
    const std::string key = alert.key();
    const auto known = entries_.find(key);
    if (known == entries_.end()) {
      if (entries_.size() >= kMostEntries) continue;
      alert.id = "alt_" + make_ulid(now);
      alert.fired_at = alert.last_seen_at = now;
      Entry& entry = entries_[key];
      entry.alert = std::move(alert);
      entry.seen = entry.saved = steady;
      tell(entry, steady, changes);
      changes.fresh.push_back(entry.alert);
      continue;
    }
    Entry& entry = known->second;
    static_cast<Finding&>(entry.alert) = finding;
    entry.alert.last_seen_at = now;
    entry.seen = steady;
    bool worth_saving = steady - entry.saved >= kSaveEvery;
    if (!entry.active) {
      entry.active = true;
      entry.alert.resolved_at.reset();
      entry.alert.told = false;
      ++entry.alert.occurrences;
      worth_saving = true;
    }
    const std::size_t notices = changes.notices.size();
    tell(entry, steady, changes);
    worth_saving |= changes.notices.size() > notices;
    if (!worth_saving || entry.foreign) continue;
    entry.saved = steady;
    changes.changed.push_back(entry.alert);
  }
  end_what_is_gone(now, steady, changes);
  return changes;
}

void Book::end_what_is_gone(Clock::Time now, Clock::Steady steady, Changes& changes) {
  for (auto at = entries_.begin(); at != entries_.end();) {
    Entry& entry = at->second;
    const auto gone = steady - entry.seen;
    if (entry.active && gone > Clock::Steady::duration::zero() &&
        gone >= steps(config_.resolve_seconds)) {
      entry.active = false;
      entry.alert.resolved_at = now;
      if (!entry.foreign) {
        changes.changed.push_back(entry.alert);
        if (entry.alert.told) changes.notices.push_back({Notice::What::kResolved, entry.alert});
      }
    }
    const bool cold = !entry.told_at || steady - *entry.told_at >= steps(config_.cooldown_seconds);
    at = !entry.active && cold ? entries_.erase(at) : std::next(at);
  }
}

void Book::restore(const Alert& alert, Clock::Steady now) {
  if (entries_.size() >= kMostEntries) return;
  Entry& entry = entries_[alert.key()];
  entry.alert = alert;
  entry.seen = entry.saved = now;
  if (alert.told) entry.told_at = now;
}

void Book::leave_to_others(const std::string& key) {
  if (const auto found = entries_.find(key); found != entries_.end()) found->second.foreign = true;
}

void Book::untold(const std::string& key) {
  if (const auto found = entries_.find(key); found != entries_.end())
    found->second.alert.told = false;
}

std::vector<Alert> Book::active() const {
  std::vector<Alert> all;
  for (const auto& [key, entry] : entries_) {
    if (entry.active) all.push_back(entry.alert);
  }
  return all;
}

}  // namespace asahi::gateway::alerts
