#include "identity/limits/budget_shared.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "base/ids.h"
#include "identity/limits/budget_script.h"
#include "net/loop.h"

namespace asahi::identity {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kAccountsPerWrite = 16;
constexpr std::size_t kDropsPerWrite = 128;
constexpr std::size_t kMaxDrops = 4'096;  ///< per account; what is beyond runs out by itself
constexpr std::size_t kMaxMet = 200'000;
constexpr std::chrono::seconds kRetry{1};
constexpr milliseconds kStopLimit{1'000};
constexpr std::size_t kValuesPerAccount = 7;

const cache::Script& script() {
  static const cache::Script once = budget_script();
  return once;
}

std::string text(std::int64_t number) { return std::to_string(number); }

std::vector<std::string> names_of(std::span<const Budget> budgets) {
  std::vector<std::string> names;
  for (const Budget& budget : budgets) {
    if (std::ranges::find(names, budget.account) == names.end()) names.push_back(budget.account);
  }
  return names;
}

std::optional<std::int64_t> number_in(const cache::Reply& reply) {
  if (reply.type == cache::Reply::Type::kInteger) return reply.integer;
  std::int64_t value = 0;
  const char* const end = reply.text.data() + reply.text.size();
  const auto [stop, error] = std::from_chars(reply.text.data(), end, value);
  if (error != std::errc{} || stop != end || reply.text.empty()) return std::nullopt;
  return value;
}

BudgetSums others(const BudgetSums& all, const BudgetSums& own) {
  return {std::max(all.spent - own.spent, NanoUsd{0}),
          std::max<std::int64_t>(all.requests - own.requests, 0)};
}

}  // namespace

BudgetKeys budget_keys(const std::string& account) {
  // A brace in a name would move the hash tag.
  std::string name = account;
  std::ranges::replace(name, '{', '(');
  std::ranges::replace(name, '}', ')');
  const auto slash = name.find('/');
  if (slash == std::string::npos) return {name, fmt::format("asahi:budget:{{{}}}:", name)};
  const std::string kind = name.substr(0, slash);
  const auto next = name.find('/', slash + 1);
  const std::string tag = name.substr(slash + 1, next - slash - 1);
  const std::string rest = next == std::string::npos ? "" : name.substr(next);
  if (kind == "org" && rest.empty()) return {tag, fmt::format("asahi:budget:{{{}}}:", tag)};
  return {tag, fmt::format("asahi:budget:{{{}}}:{}{}:", tag, kind, rest)};
}

SharedBudgets::SharedBudgets(std::shared_ptr<cache::RedisClients> redis,
                             std::shared_ptr<LocalBudgets> local, const Clock& clock)
    : redis_(std::move(redis)),
      local_(std::move(local)),
      clock_(clock),
      start_(random_id("", 12)) {}

bool SharedBudgets::available() const {
  return !away_ || clock_.steady_now().time_since_epoch() >= std::chrono::nanoseconds{retry_at_ns_};
}

std::string SharedBudgets::new_token() {
  return fmt::format("{}/{}/{}", local_->node(), start_,
                     next_token_.fetch_add(1, std::memory_order_relaxed));
}

std::vector<std::vector<std::string>> SharedBudgets::groups(std::vector<std::string> accounts) {
  std::vector<std::vector<std::string>> all;
  if (!cluster_) {
    all.push_back(std::move(accounts));
    return all;
  }
  std::map<std::string, std::vector<std::string>> by_tag;
  for (std::string& account : accounts) {
    by_tag[budget_keys(account).tag].push_back(std::move(account));
  }
  for (auto& [tag, group] : by_tag) all.push_back(std::move(group));
  return all;
}

Result<SharedBudgets::Sent> SharedBudgets::compose(const std::vector<std::string>& accounts,
                                                   std::span<const Budget> budgets,
                                                   NanoUsd estimate, const std::string& token) {
  Sent sent;
  const auto now = clock_.now();
  const std::string month = month_name(month_of(now));
  const auto ms = std::chrono::floor<milliseconds>(now.time_since_epoch()).count();
  auto& args = sent.args;
  args = {local_->node(),
          start_,
          text(ms),
          text(milliseconds(kLease).count()),
          token.empty() ? "w" : "r",
          token,
          text(estimate.nanos),
          text(std::ssize(accounts)),
          text(std::ssize(budgets))};
  for (const std::string& account : accounts) {
    std::vector<std::string> drops;
    bool first = false;
    {
      // Before the truth is taken: what is to go was settled before, and the truth has it.
      const std::scoped_lock lock(mutex_);
      if (const auto found = pending_.find(account); found != pending_.end()) {
        const auto& all = found->second.drops;
        const auto count = std::min(all.size(), kDropsPerWrite);
        drops.assign(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count));
      }
      first = !met_.contains(account);
    }
    ASAHI_TRY(LocalBudgets::Truth truth, local_->truth(account));
    const std::string prefix = budget_keys(account).prefix;
    sent.keys.insert(sent.keys.end(), {prefix + "daily", prefix + month, prefix + "open"});
    args.insert(args.end(), {text(truth.seq), text(truth.day.spent.nanos), text(truth.day.requests),
                             text(truth.month.spent.nanos), text(truth.month.requests),
                             text(truth.factor), first ? "1" : "0", text(std::ssize(drops))});
    args.insert(args.end(), drops.begin(), drops.end());
    if (!first) truth.others.clear();
    args.push_back(text(std::ssize(truth.others)));
    for (const auto& [node, sums] : truth.others) {
      args.insert(args.end(), {node, text(sums.first.spent.nanos), text(sums.first.requests),
                               text(sums.second.spent.nanos), text(sums.second.requests)});
    }
    sent.truths.push_back(std::move(truth));
    sent.drops.push_back(std::move(drops));
  }
  for (const Budget& budget : budgets) {
    const auto at = std::ranges::find(accounts, budget.account) - accounts.begin();
    args.insert(args.end(), {text(at + 1), budget.period == Budget::Period::kDay ? "d" : "m",
                             budget.max_spend ? text(budget.max_spend->nanos) : "",
                             budget.max_requests ? text(*budget.max_requests) : ""});
  }
  return sent;
}

Aw<std::optional<SharedBudgets::Reply>> SharedBudgets::send(Sent sent) {
  auto answer = co_await redis_->local().eval(script(), sent.keys, sent.args);
  if (!answer) {
    failed(answer.error());
    co_return std::nullopt;
  }
  auto reply = understand(*answer, sent);
  if (!reply) {
    Error error;
    error.message = "the budget script answered with something else";
    failed(error);
    co_return std::nullopt;
  }
  worked();
  co_return reply;
}

std::optional<SharedBudgets::Reply> SharedBudgets::understand(const cache::Reply& reply,
                                                              const Sent& sent) {
  if (reply.items.size() != 2 + kValuesPerAccount * sent.truths.size()) return std::nullopt;
  std::vector<std::int64_t> values;
  for (const cache::Reply& item : reply.items) {
    const auto value = number_in(item);
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  Reply out{values[0], static_cast<std::size_t>(values[1]), {}};
  std::vector<bool> known;
  for (std::size_t at = 2; at < values.size(); at += kValuesPerAccount) {
    out.sums.push_back({{{values[at]}, values[at + 1]},
                        {{values[at + 2]}, values[at + 3]},
                        {{values[at + 4]}, values[at + 5]}});
    known.push_back(values[at + 6] != 0);
  }
  confirm(sent, out, known);
  return out;
}

void SharedBudgets::confirm(const Sent& sent, const Reply& reply, const std::vector<bool>& known) {
  const auto now = clock_.now();
  for (std::size_t i = 0; i < sent.truths.size(); ++i) {
    const LocalBudgets::Truth& truth = sent.truths[i];
    const Sums& sums = reply.sums[i];
    local_->learn_shared(truth.account,
                         {now, others(sums.day, truth.day), others(sums.month, truth.month),
                          others(sums.open, {truth.reserved, truth.open})});
  }
  const std::scoped_lock lock(mutex_);
  if (met_.size() > kMaxMet) met_.clear();
  for (std::size_t i = 0; i < sent.truths.size(); ++i) {
    const std::string& account = sent.truths[i].account;
    // Unknown though met: Redis lost its data, and needs all of it again.
    if (!met_.insert(account).second && !known[i]) met_.erase(account);
    const auto found = pending_.find(account);
    if (found == pending_.end()) continue;
    std::erase_if(found->second.drops, [&](const std::string& drop) {
      return std::ranges::find(sent.drops[i], drop) != sent.drops[i].end();
    });
    if (found->second.drops.empty() && !found->second.queued) pending_.erase(found);
  }
}

Aw<SharedBudgets::Answer> SharedBudgets::ask(std::vector<Budget> budgets, NanoUsd estimate,
                                             std::string token) {
  {
    const std::scoped_lock lock(mutex_);
    if (home_ == nullptr) {
      home_ = net::Loop::current();
      for (const std::string& account : local_->used_accounts()) queue_locked(account);
    }
  }
  wake_writer();
  const std::vector<std::string> accounts = names_of(budgets);
  if (!asked_for_mode_.exchange(true)) (void)co_await redis_->local().primaries();
  if (!cluster_ && accounts.size() > 1) cluster_ = redis_->local().cluster();
  Answer answer;
  std::vector<std::string> reserved;
  for (std::vector<std::string>& group : groups(accounts)) {
    std::vector<Budget> asked;
    for (const Budget& budget : budgets) {
      if (std::ranges::find(group, budget.account) != group.end()) asked.push_back(budget);
    }
    auto sent = compose(group, asked, estimate, token);
    if (!sent) {
      answer = {Verdict::kRefused, std::move(sent.error())};
      break;
    }
    const auto reply = co_await send(std::move(*sent));
    reserved.insert(reserved.end(), group.begin(), group.end());
    if (!reply) {
      // Whoever decides instead keeps the token: it is taken away when the call settles.
      answer.verdict = Verdict::kAway;
      co_return answer;
    }
    if (reply->code == 0) {
      answer.verdict = Verdict::kAdmitted;
      continue;
    }
    answer.verdict = reply->code == 1 ? Verdict::kWait : Verdict::kRefused;
    if (reply->code >= 2 && reply->budget >= 1 && reply->budget <= asked.size()) {
      Budget budget = asked[reply->budget - 1];
      const auto at =
          static_cast<std::size_t>(std::ranges::find(group, budget.account) - group.begin());
      const Sums& sums = reply->sums[at];
      const BudgetSums& settled = budget.period == Budget::Period::kDay ? sums.day : sums.month;
      const BudgetUse use{settled.spent, sums.open.spent, settled.requests + sums.open.requests};
      if (reply->code == 2) {
        const auto room = local_->room_in(budget, estimate);
        answer.refusal = budget_refusal(budget, use, estimate, room);
      } else {
        Budget requests_only = budget;
        requests_only.max_spend.reset();
        const auto room = local_->room_in(requests_only, estimate);
        answer.refusal = request_refusal(budget, use, room);
      }
    }
    // This group has reserved nothing; those before it have.
    reserved.resize(reserved.size() - group.size());
    break;
  }
  if (answer.verdict != Verdict::kAdmitted && !reserved.empty()) {
    release(token, estimate, reserved);
  }
  co_return answer;
}

void SharedBudgets::queue_locked(const std::string& account) {
  Pending& pending = pending_[account];
  if (pending.queued) return;
  pending.queued = true;
  queue_.push_back(account);
}

void SharedBudgets::release(const std::string& token, NanoUsd estimate,
                            const std::vector<std::string>& accounts) {
  {
    const std::scoped_lock lock(mutex_);
    for (const std::string& account : accounts) {
      queue_locked(account);
      if (token.empty()) continue;
      auto& drops = pending_[account].drops;
      if (drops.size() >= kMaxDrops) drops.pop_front();
      drops.push_back(fmt::format("{} {}", token, estimate.nanos));
    }
  }
  wake_writer();
}

void SharedBudgets::refresh(const std::vector<std::string>& accounts) { release("", {}, accounts); }

void SharedBudgets::failed(const Error& error) {
  retry_at_ns_ = (clock_.steady_now() + kRetry).time_since_epoch().count();
  if (away_.exchange(true)) return;
  log_.warning("budgets are counted by this process alone until Redis is back",
               {{"error", error.message}});
}

void SharedBudgets::worked() {
  if (!away_.exchange(false)) return;
  log_.info("budgets are shared through Redis again");
  refresh(local_->used_accounts());
}

void SharedBudgets::wake_writer() {
  net::Loop* home = nullptr;
  {
    const std::scoped_lock lock(mutex_);
    if (writing_ || stopped_ || home_ == nullptr || queue_.empty()) return;
    writing_ = true;
    home = home_;
  }
  home->spawn("shared budgets", write_in_turn(weak_from_this()));  // may run at once
}

Aw<void> SharedBudgets::write_in_turn(std::weak_ptr<SharedBudgets> weak) {
  milliseconds pause{100};
  for (;;) {
    {
      const auto self = weak.lock();
      if (self == nullptr) co_return;
      while (co_await self->write_some()) pause = milliseconds{100};
      const std::scoped_lock lock(self->mutex_);
      if (self->queue_.empty() || self->stopped_) {
        self->writing_ = false;
        self->idle_.notify_all();
        co_return;
      }
    }
    // Redis is away: nothing is held meanwhile that the ledger's end would wait for.
    co_await net::Loop::current()->sleep_for(pause);
    pause = std::min(pause * 2, milliseconds{2'000});
  }
}

Aw<bool> SharedBudgets::write_some() {
  std::vector<std::string> accounts;
  {
    const std::scoped_lock lock(mutex_);
    if (stopped_) co_return false;
    while (!queue_.empty() && accounts.size() < kAccountsPerWrite) {
      accounts.push_back(std::move(queue_.front()));
      queue_.pop_front();
      pending_[accounts.back()].queued = false;
    }
  }
  if (accounts.empty()) co_return false;
  if (!cluster_) cluster_ = redis_->local().cluster();
  bool all = true;
  for (const std::vector<std::string>& group : groups(accounts)) {
    auto sent = compose(group, {}, {}, "");
    bool written = false;
    if (sent) written = (co_await send(std::move(*sent))).has_value();
    const std::scoped_lock lock(mutex_);
    for (const std::string& account : group) {
      const auto found = pending_.find(account);
      const bool more = found != pending_.end() && !found->second.drops.empty();
      if (!written || more || !met_.contains(account)) queue_locked(account);
      if (written && !more && found != pending_.end() && !found->second.queued) {
        pending_.erase(found);
      }
    }
    all = all && written;
  }
  co_return all;
}

void SharedBudgets::stop() {
  std::unique_lock lock(mutex_);
  stopped_ = true;
  // A loop that no longer runs never ends its writer.
  idle_.wait_for(lock, kStopLimit, [&] { return !writing_; });
}

}  // namespace asahi::identity
