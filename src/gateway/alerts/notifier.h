#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/task.h"
#include "gateway/alerts/book.h"
#include "gateway/alerts/channels.h"
#include "gateway/alerts/config.h"
#include "gateway/alerts/rules.h"
#include "gateway/alerts/store.h"
#include "gateway/events/event.h"
#include "net/background.h"
#include "net/loop.h"
#include "storage/sql/database.h"
#include "telemetry/metrics.h"

namespace asahi::gateway::alerts {

/// Looks at what the process counts, keeps the table of alerts, and tells people. Works on loop 0;
/// nothing of it is on the way of a request, and no channel, slow or broken, keeps another one
/// waiting. Counts `asahi_alerts_total{kind,severity}` and
/// `asahi_alert_notifications_total{channel,outcome}` (delivered, failed, dropped).
class Notifier {
 public:
  struct Parts {
    const AlertsConfig& config;
    Sender sender;
    net::LoopPool& loops;
    net::PerLoop<http::Client>& clients;
    sql::Database& database;
    telemetry::Registry& metrics;
    const Clock& clock;
    /// Fills in vendors and what was lost; on loop 0.
    std::function<void(Facts&)> facts;
    /// Conditions that others find (analytics), asked every `analysis_seconds`; may be null. An
    /// error keeps those of before.
    std::function<Task<std::vector<Finding>>()> further = nullptr;
  };
  /// Errors: as Channels::make.
  static Result<std::unique_ptr<Notifier>> make(Parts parts);

  /// Counts one event. The event writer's thread; two atomic adds.
  void observe(const InferenceEvent& event);

  void start();
  /// Ends the looks and the deliveries; ordinary thread, loops still running. No later than that it
  /// goes.
  void stop();

  Store& store() { return store_; }
  const std::vector<Channel>& channels() const { return channels_->all(); }

  struct Delivery {
    Channel channel;
    Result<void> outcome;
  };
  /// A test notification through every channel, once. On a loop.
  Aw<std::vector<Delivery>> test(std::string by);
  /// Yesterday's sums by mail; nothing where no mail is configured. On a loop. Errors: those of the
  /// database and of the mail server.
  Task<void> send_digest();

 private:
  /// One notification on its way; who could tell anybody?
  struct Round {
    std::string key;
    std::size_t left = 0;
    bool delivered = false;
  };
  struct Job {
    Notice notice;
    std::shared_ptr<Round> round;
  };
  /// What waits for one channel.
  struct Lane {
    std::deque<Job> jobs;
    bool running = false;
  };

  explicit Notifier(Parts parts);
  Aw<void> run(net::Background::Sleep sleep);
  Aw<void> look();
  Aw<void> analyse();
  Aw<void> read_costs();
  Aw<void> read_open_alerts();
  Aw<void> keep(Book::Changes& changes);
  Aw<void> save_later();
  void notify(const Notice& notice);
  Aw<void> drain(Channel channel, net::Background::Sleep sleep);
  Aw<Result<void>> deliver(Channel channel, Notice notice, net::Background::Sleep sleep);
  void count(Channel channel, std::string outcome);

  const Parts parts_;
  Logger logger_{"alerts"};
  Store store_;
  std::unique_ptr<Channels> channels_;
  std::atomic<std::uint64_t> requests_{0}, failures_{0}, lookups_{0}, hits_{0};
  RateLimited database_outage_{std::chrono::minutes(5)};

  // Of loop 0.
  Rules rules_;
  Book book_;
  Facts slow_;                    ///< what was found out at the last analysis
  std::vector<Finding> further_;  ///< the same, from others
  Clock::Steady analysed_{};
  bool restored_ = false;
  std::string history_day_;  ///< of `history_`
  int history_age_ = 0;
  std::map<std::string, Facts::OrgCost> history_;
  std::map<std::string, Alert> unsaved_;  ///< by id, while the database is away; bounded
  std::array<Lane, 5> lanes_;

  net::Background background_;  ///< on loop 0
};

}  // namespace asahi::gateway::alerts
