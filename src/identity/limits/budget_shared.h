#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/task.h"
#include "identity/limits/budget_ledger.h"
#include "identity/limits/budget_local.h"
#include "storage/cache/redis_client.h"

namespace asahi::identity {

/// The names of an account's keys in Redis (spec §6). Account "org/acme" has
///   asahi:budget:{acme}:daily    hash; n:<node> "seq spent requests updated" of each node for the
///                                rolling day, l:<node> the same for reservations that ran out,
///                                open and opens: sum and number of the open ones
///   asahi:budget:{acme}:2026-11  hash; n: and l: "seq spent requests"; spent and requests: totals
///   asahi:budget:{acme}:open     sorted set of "<node>/<start>/<n> <estimate>" by expiry
/// "user/acme/u1" has asahi:budget:{acme}:user/u1:daily and so on.
struct BudgetKeys {
  std::string tag;
  std::string prefix;  ///< up to the last colon
};
BudgetKeys budget_keys(const std::string& account);

/// Sums that all replicas share in Redis. Every node writes its own settled use as a whole, with a
/// growing sequence number: repeated, late and lost messages do no harm, and a Redis that lost its
/// data fills again. Reservations stand there one by one, with an expiry, so that those of a node
/// that died count as spent at their estimate until it comes back and says what it knows. Amounts
/// are exact to 9 million dollars, where Lua's numbers end.
class SharedBudgets : public std::enable_shared_from_this<SharedBudgets> {
 public:
  /// How long a reservation stands before it counts as spent: longer than any call.
  static constexpr std::chrono::minutes kLease{15};

  SharedBudgets(std::shared_ptr<cache::RedisClients> redis, std::shared_ptr<LocalBudgets> local,
                const Clock& clock);

  /// False for a second after Redis failed: decide locally at once.
  bool available() const;
  std::string new_token();

  enum class Verdict {
    kAdmitted,
    kWait,     ///< fits only if open calls cost what was estimated
    kRefused,  ///< `refusal`
    kAway,     ///< nobody knows; the reservation may stand in Redis
  };
  struct Answer {
    Verdict verdict = Verdict::kAway;
    Error refusal;
  };
  /// Reserves in Redis under `token` against every budget, or nothing. On a loop.
  Aw<Answer> ask(std::vector<Budget> budgets, NanoUsd estimate, std::string token);

  /// Takes a reservation away and writes the accounts' truths, in the background.
  void release(const std::string& token, NanoUsd estimate,
               const std::vector<std::string>& accounts);
  /// Writes the accounts' truths in the background.
  void refresh(const std::vector<std::string>& accounts);
  /// Nothing is written from here on; waits a moment for what is under way.
  void stop();

 private:
  struct Pending {
    std::deque<std::string> drops;  ///< reservations to take away
    bool queued = false;
  };
  struct Sent {
    std::vector<LocalBudgets::Truth> truths;
    std::vector<std::vector<std::string>> drops;
    std::vector<std::string> keys;
    std::vector<std::string> args;
  };
  struct Sums {
    BudgetSums day;
    BudgetSums month;
    BudgetSums open;
  };
  struct Reply {
    std::int64_t code = 0;
    std::size_t budget = 0;
    std::vector<Sums> sums;
  };

  Result<Sent> compose(const std::vector<std::string>& accounts, std::span<const Budget> budgets,
                       NanoUsd estimate, const std::string& token);
  Aw<std::optional<Reply>> send(Sent sent);
  std::optional<Reply> understand(const cache::Reply& reply, const Sent& sent);
  void confirm(const Sent& sent, const Reply& reply, const std::vector<bool>& known);
  /// Accounts by the key slot they share; all in one when this is no cluster.
  std::vector<std::vector<std::string>> groups(std::vector<std::string> accounts);
  void failed(const Error& error);
  void worked();
  void queue_locked(const std::string& account);
  void wake_writer();
  static Aw<void> write_in_turn(std::weak_ptr<SharedBudgets> weak);
  Aw<bool> write_some();

  const std::shared_ptr<cache::RedisClients> redis_;
  const std::shared_ptr<LocalBudgets> local_;
  const Clock& clock_;
  const std::string start_;  ///< tells this run of the node from those before
  Logger log_{"identity"};
  std::atomic<std::uint64_t> next_token_{1};
  std::atomic<bool> asked_for_mode_{false};
  std::atomic<bool> cluster_{false};
  std::atomic<bool> away_{false};
  std::atomic<std::int64_t> retry_at_ns_{0};

  std::mutex mutex_;
  std::condition_variable idle_;
  net::Loop* home_ = nullptr;  ///< where the writer runs: the first loop that asked
  bool writing_ = false;
  bool stopped_ = false;
  std::unordered_map<std::string, Pending> pending_;
  std::deque<std::string> queue_;
  std::unordered_set<std::string> met_;  ///< accounts that this run has written once
};

}  // namespace asahi::identity
