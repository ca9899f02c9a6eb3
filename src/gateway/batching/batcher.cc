#include "gateway/batching/batcher.h"

#include <fmt/format.h>
#include <boost/asio/async_result.hpp>

#include <algorithm>
#include <thread>

#include "base/ids.h"
#include "gateway/batching/combined_prompt.h"
#include "gateway/batching/cost_split.h"
#include "llm/vendor.h"

namespace asahi::gateway {
namespace {

using std::chrono::milliseconds;

/// How long a reply may be on its way between loops and workers before its caller gives up.
constexpr milliseconds kDelivery{100};

BatchReply alone(const std::string& id, std::string why) {
  BatchReply reply;
  reply.id = id;
  reply.text = std::move(why);
  return reply;
}

bool is_text_only(const llm::ChatResponse& response) {
  return std::ranges::all_of(response.parts, [](const llm::Part& part) {
    return std::holds_alternative<llm::TextPart>(part) ||
           std::holds_alternative<llm::ReasoningPart>(part);
  });
}

}  // namespace

struct Batcher::Waiter {
  explicit Waiter(net::Loop& loop) : home(loop) {}
  net::Loop& home;
  // Touched on `home`'s thread only.
  std::optional<BatchReply> reply;
  bool left = false;  ///< its client went away and its item was taken back
  std::move_only_function<void()> resume;
  void settle(BatchReply with) {
    if (reply) return;
    reply = std::move(with);
    if (resume) std::exchange(resume, nullptr)();
  }
};

Batcher::Batcher(const BatchingConfig& config, std::string worker, Parts parts)
    : config_(config),
      worker_(std::move(worker)),
      limits_{.min_size = config.min_batch_size,
              .max_size = config.max_batch_size,
              .max_wait = milliseconds(config.max_wait_ms)},
      parts_(std::move(parts)),
      sizes_(parts_.metrics.histogram("asahi_batch_size", "Requests in one shared vendor call",
                                      {1, 2, 3, 5, 8, 10, 15, 20})),
      shared_(parts_.metrics.counter("asahi_batch_requests_total",
                                     "Requests that waited to share a vendor call",
                                     {{"outcome", "shared"}})),
      alone_(parts_.metrics.counter("asahi_batch_requests_total",
                                    "Requests that waited to share a vendor call",
                                    {{"outcome", "alone"}})),
      errors_(parts_.metrics.counter("asahi_batch_errors_total",
                                     "Shared vendor calls that failed or broke the format")),
      background_(parts_.loops.at(0)) {}

std::optional<BatchItem> Batcher::admit(const BatchCandidate& candidate) const {
  if (draining_ || !running_) return std::nullopt;
  Eligibility found = consider(config_, candidate);
  if (!found.refusal.empty()) return std::nullopt;
  found.item.id = random_id("", 32);
  found.item.origin = worker_;
  return std::move(found.item);
}

Aw<BatchReply> Batcher::wait(std::shared_ptr<Waiter> waiter) {
  if (!waiter->reply) {
    co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<IoExecutor>, void()>(
        [waiter](auto handler) {
          auto shared = std::make_shared<decltype(handler)>(std::move(handler));
          waiter->resume = [shared] { std::move (*shared)(); };
        },
        use_aw);
  }
  co_return std::move(*waiter->reply);
}

Task<BatchReply> Batcher::join(BatchItem item, CancelSource& cancel) {
  net::Loop& home = *net::Loop::current();
  const std::string id = item.id;
  const std::string group = item.group;
  const auto most = left(item);
  auto waiter = std::make_shared<Waiter>(home);
  {
    const std::scoped_lock lock(mutex_);
    waiters_[id] = waiter;
  }
  auto pushed = co_await parts_.buffer.push(std::move(item));
  if (!pushed) {
    {
      const std::scoped_lock lock(mutex_);
      waiters_.erase(id);
    }
    if (auto held_back = outage_.pass(parts_.clock.steady_now())) {
      logger_.warning("a request cannot be batched and goes alone",
                      {{"error", pushed.error().message}, {"suppressed", *held_back}});
    }
    ++fallbacks_;
    alone_.add();
    co_return alone(id, pushed.error().message);
  }
  const auto out_of_time = home.at(std::chrono::steady_clock::now() + most, [waiter, id] {
    waiter->settle(alone(id, "the shared answer did not come in time"));
  });
  {
    const auto on_leave = cancel.on_cancel([this, waiter, id, group, &home] {
      home.spawn("batch item taken back", [this, waiter, id, group]() -> Aw<void> {
        auto removed = co_await parts_.buffer.remove(group, id);
        if (!removed || !*removed) co_return;
        waiter->left = true;
        waiter->settle(alone(id, "the client went away"));
      });
    });
    BatchReply reply = co_await wait(waiter);
    {
      const std::scoped_lock lock(mutex_);
      waiters_.erase(id);
    }
    if (waiter->left) co_return fail(Errc::kCancelled, "the client went away");
    if (!reply.answered) {
      ++fallbacks_;
      alone_.add();
      // Nobody shall take what nobody waits for.
      if (reply.size == 0) (void)co_await parts_.buffer.remove(group, id);
    } else {
      ++answered_;
      shared_.add();
    }
    co_return reply;
  }
}

void Batcher::deliver(std::vector<BatchReply> replies) {
  for (BatchReply& reply : replies) {
    std::shared_ptr<Waiter> waiter;
    {
      const std::scoped_lock lock(mutex_);
      const auto found = waiters_.find(reply.id);
      if (found != waiters_.end()) waiter = found->second;
    }
    if (waiter == nullptr) {
      if (reply.cost.nanos > 0)
        logger_.warning("a shared answer came after its caller had gone alone",
                        {{"cost", reply.cost.dollars()}});
      continue;
    }
    waiter->home.post(
        [waiter, reply = std::move(reply)]() mutable { waiter->settle(std::move(reply)); });
  }
}

void Batcher::start() {
  running_ = true;
  background_.run("batching",
                  [this](net::Background::Sleep sleep) { return run(std::move(sleep)); });
}

Aw<void> Batcher::run(net::Background::Sleep sleep) {
  while (!background_.stopping()) {
    std::string wrong;
    try {
      co_await tick();
    } catch (const std::exception& error) {
      wrong = error.what();
    }
    // What was queued is still there: the next turn goes on with it.
    if (!wrong.empty()) {
      ++failed_;
      errors_.add();
      logger_.error("the batch scheduler failed and starts again", {{"error", wrong}});
    }
    co_await sleep(milliseconds(config_.poll_interval_ms));
  }
  running_ = false;
}

Aw<void> Batcher::tick() {
  auto collected = co_await parts_.buffer.collect();
  if (collected) deliver(*std::move(collected));
  const auto now = parts_.clock.steady_now();
  if (now - maintained_ >= milliseconds(250)) {
    maintained_ = now;
    (void)co_await parts_.buffer.maintain();
  }
  auto groups = co_await parts_.buffer.groups();
  if (!groups) {
    if (auto held_back = outage_.pass(now)) {
      logger_.warning("the batch buffer is away; requests go alone",
                      {{"error", groups.error().message}, {"suppressed", *held_back}});
    }
    co_return;
  }
  for (GroupState& state : *groups) {
    const bool whatever = draining_;
    while (state.size > 0 && (whatever || is_due(state, limits_))) {
      auto items = co_await parts_.buffer.take(state.group, limits_.max_size);
      if (!items || items->empty()) break;
      state.size -= std::min(state.size, items->size());
      // What is left is younger; the next turn looks at it unless it is a full batch again.
      if (state.size < limits_.max_size && !whatever) state.size = 0;
      ++under_way_;
      background_.run("batch",
                      [this, taken = *std::move(items)](const net::Background::Sleep&) mutable {
                        return execute(std::move(taken));
                      });
    }
  }
}

void Batcher::sort_out(std::vector<BatchItem>& items, const ModelProfile* model,
                       std::vector<BatchBuffer::Finished>& out) const {
  const auto refuse = [&](BatchItem& item, const char* why) {
    BatchReply reply = alone(item.id, why);
    out.push_back({std::move(item), std::move(reply)});
  };
  std::vector<BatchItem> kept;
  std::int64_t tokens = kBatchRuleTokens;
  for (BatchItem& item : items) {
    if (model == nullptr || model->availability == Availability::kUnavailable) {
      refuse(item, "the model is not there any more");
      continue;
    }
    if (left(item) <= milliseconds(0)) {
      refuse(item, "its time is over");
      continue;
    }
    // The group says so already; this is what isolation rests on.
    if (!kept.empty()) {
      const BatchItem& first = kept.front();
      if (item.org != first.org || item.model != first.model || item.system != first.system ||
          item.temperature != first.temperature || item.top_p != first.top_p ||
          (config_.isolation == "user" && item.owner != first.owner)) {
        refuse(item, "it does not belong to this group");
        continue;
      }
    }
    const std::int64_t own = llm::estimate_tokens(item.prompt) + 2 * kBatchMarkTokens;
    if (tokens + own > model->max_input_tokens / 2) {
      refuse(item, "the shared call is full");
      continue;
    }
    tokens += own;
    kept.push_back(std::move(item));
  }
  const bool too_few = kept.size() < std::max<std::size_t>(2, config_.min_batch_size);
  if (!kept.empty() && (too_few || (config_.only_if_cheaper &&
                                    batch_saving(*model, kept.front().system, kept.size()) <= 0))) {
    for (BatchItem& item : kept)
      refuse(item, too_few ? "nobody joined in time" : "too few joined for a saving");
    kept.clear();
  }
  items = std::move(kept);
}

Task<std::vector<BatchReply>> Batcher::ask(std::vector<BatchItem> items,
                                           std::shared_ptr<const Registry> registry,
                                           const ModelProfile* model) {
  const std::string tag = draw_tag(items);
  SharedCall call;
  call.request = combine(items, tag, *model);
  const std::int64_t estimated_input = llm::estimate_tokens(call.request);
  call.registry = std::move(registry);
  call.model = model;
  call.org = items.front().org;
  call.request_id = items.front().request_id;
  call.traceparent = items.front().traceparent;
  milliseconds time = left(items.front());
  for (const BatchItem& item : items) time = std::min(time, left(item));
  call.deadline = parts_.clock.steady_now() + std::max(time - kDelivery, milliseconds(0));
  const auto started = std::chrono::steady_clock::now();
  ASAHI_CO_TRY(llm::ChatResponse response, co_await parts_.call(std::move(call)));
  const double vendor_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - started).count();
  const std::string text = response.text();
  if (!response.usage.reported) {
    response.usage = {};
    response.usage.input = estimated_input;
    response.usage.output = llm::estimate_tokens(text);
  }

  std::string wrong;
  std::vector<std::optional<std::string>> answers(items.size());
  if (response.finish != llm::FinishReason::kStop || !is_text_only(response)) {
    wrong = fmt::format("the shared answer ended with '{}'", to_string(response.finish));
  } else if (auto found = split(text, tag, items.size()); !found) {
    wrong = found.error().message;
  } else if (quotes_neighbour(items, *found)) {
    wrong = "an answer quotes another item";
  } else {
    answers = *std::move(found);
  }
  std::vector<std::int64_t> texts, lengths;
  for (std::size_t i = 0; i < items.size(); ++i) {
    texts.push_back(llm::estimate_tokens(items[i].prompt));
    const std::int64_t length = answers[i] ? llm::estimate_tokens(*answers[i]) : 0;
    lengths.push_back(length);
    // Alone it would have been cut there, and its reply would say so.
    if (items[i].max_tokens > 0 && length > items[i].max_tokens) answers[i].reset();
  }
  const auto shares = split_call(response.usage, *model, texts, lengths);
  const bool mixed = std::ranges::any_of(
      items, [&](const BatchItem& item) { return item.owner != items.front().owner; });
  std::vector<BatchReply> replies;
  for (std::size_t i = 0; i < items.size(); ++i) {
    BatchReply reply;
    reply.id = items[i].id;
    reply.answered = answers[i].has_value();
    reply.text = answers[i] ? *std::move(answers[i])
                            : (wrong.empty() ? "its block is empty or too long" : wrong);
    reply.size = items.size();
    reply.mixed_owners = mixed;
    reply.usage = shares[i].usage;
    reply.cost = shares[i].cost;
    reply.vendor_ms = vendor_ms;
    replies.push_back(std::move(reply));
  }
  sizes_.observe(static_cast<double>(items.size()));
  if (wrong.empty()) {
    ++batches_;
  } else {
    ++failed_;
    errors_.add();
    logger_.warning("a shared answer cannot be used; its requests go alone",
                    {{"model", model->name}, {"requests", items.size()}, {"reason", wrong}});
  }
  co_return replies;
}

Aw<void> Batcher::execute(std::vector<BatchItem> items) {
  std::vector<BatchBuffer::Finished> finished;
  // Whatever happens below, every item is finished: a copy stays here.
  const std::vector<BatchItem> all = items;
  try {
    const std::shared_ptr<const Registry> registry = parts_.registry.get();
    const ModelProfile* model = registry->get(items.front().model);
    sort_out(items, model, finished);
    if (!items.empty()) {
      auto replies = co_await ask(items, registry, model);
      if (!replies) {
        ++failed_;
        errors_.add();
        logger_.warning("a shared call failed; its requests go alone",
                        {{"model", items.front().model},
                         {"requests", items.size()},
                         {"error", replies.error().message}});
      }
      for (std::size_t i = 0; i < items.size(); ++i) {
        BatchReply reply =
            replies ? std::move((*replies)[i])
                    : alone(items[i].id, "the shared call failed: " + replies.error().message);
        finished.push_back({std::move(items[i]), std::move(reply)});
      }
    }
  } catch (const std::exception& error) {
    logger_.error("a batch failed; its requests go alone", {{"error", error.what()}});
    ++failed_;
    errors_.add();
    finished.clear();
    for (const BatchItem& item : all)
      finished.push_back({item, alone(item.id, "an internal error")});
  }
  auto own = co_await parts_.buffer.finish(std::move(finished));
  if (own) deliver(*std::move(own));
  --under_way_;
}

void Batcher::stop(milliseconds limit) {
  draining_ = true;
  const auto give_up = std::chrono::steady_clock::now() + limit;
  const auto busy = [this] {
    const std::scoped_lock lock(mutex_);
    return !waiters_.empty() || under_way_ > 0;
  };
  // Those who wait are let go by the scheduler: it ends after them.
  while (running_ && busy() && std::chrono::steady_clock::now() < give_up)
    std::this_thread::sleep_for(milliseconds(2));
  background_.stop(give_up + milliseconds(1'000) - std::chrono::steady_clock::now());
}

BatchStats Batcher::stats() const {
  BatchStats stats;
  stats.running = running_;
  stats.batches_executed = batches_;
  stats.requests_processed = answered_;
  stats.batch_errors = failed_;
  stats.individual_fallbacks = fallbacks_;
  const std::scoped_lock lock(mutex_);
  stats.queue_size = waiters_.size();
  return stats;
}

}  // namespace asahi::gateway
