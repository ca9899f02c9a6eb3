#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "gateway/alerts/alert.h"
#include "gateway/alerts/config.h"
#include "gateway/events/event.h"

namespace asahi::gateway::alerts {

/// What a process counts, since its start.
struct Counts {
  std::uint64_t requests = 0;  ///< model calls, answered or not
  std::uint64_t failures = 0;  ///< of these, lost to a fault of the gateway's or a vendor's
  std::uint64_t lookups = 0, hits = 0;
  std::uint64_t events_lost = 0, audit_lost = 0, stream_lost = 0;
};

/// What rules look at: the counters and the state of now.
struct Facts {
  Counts counts;
  bool events_written = true;  ///< the disk takes events
  struct Vendor {
    std::string name;
    bool breaker_open = false;  ///< or half open
    bool away = false;          ///< its breaker is open, or it could not be reached
  };
  std::vector<Vendor> vendors;  ///< those that could be asked: they have a key
  struct OrgCost {
    std::string org_id;
    double today = 0;    ///< USD, since midnight UTC
    double average = 0;  ///< of the days before, up to seven, from the first with events on
    int days = 0;        ///< how many these are
  };
  std::vector<OrgCost> costs;
  struct TokenRatio {
    std::string model;
    double ratio = 1;  ///< billed ÷ counted tokens of late
  };
  std::vector<TokenRatio> token_ratios;
};

/// True for errors that somebody must mend: not those of callers (a bad body, a budget used up, a
/// client that left).
bool is_failure(const InferenceEvent& event);

/// Spec §7.2 as pure rules: facts in, conditions that hold out. Remembers a day of counters. Not
/// thread-safe.
class Rules {
 public:
  explicit Rules(const AlertsConfig& config) : config_(config) {}

  /// One look; `now` never goes back. Between two looks pass `check_seconds`, or more.
  std::vector<Finding> look(const Facts& facts, Clock::Steady now);

 private:
  struct Reading {
    Clock::Steady at;
    Counts counts;
  };
  /// The newest reading at or before `now - ago`, else the oldest one.
  static const Reading& before(const std::deque<Reading>& readings, Clock::Steady now,
                               std::chrono::seconds ago);
  void remember(const Counts& counts, Clock::Steady now);
  void look_at_losses(const Facts& facts, Clock::Steady now, std::vector<Finding>& found);
  void look_at_errors(const Facts& facts, Clock::Steady now, std::vector<Finding>& found);
  void look_at_vendors(const Facts& facts, std::vector<Finding>& found) const;
  void look_at_cache(const Facts& facts, Clock::Steady now, std::vector<Finding>& found) const;
  void look_at_costs(const Facts& facts, std::vector<Finding>& found) const;
  void look_at_tokens(const Facts& facts, std::vector<Finding>& found) const;

  /// A loss that was seen a moment ago is still news.
  struct Loss {
    std::uint64_t seen = 0, lost = 0;
    std::optional<Clock::Steady> last;
  };
  void lose(Loss& loss, std::uint64_t total, Clock::Steady now, Finding finding,
            std::string_view what, std::vector<Finding>& found);

  const AlertsConfig& config_;
  std::deque<Reading> recent_;   ///< each look of the last minutes
  std::deque<Reading> minutes_;  ///< one a minute of the last day
  std::optional<Clock::Steady> failing_since_;
  Loss events_, audit_, stream_;
};

}  // namespace asahi::gateway::alerts
