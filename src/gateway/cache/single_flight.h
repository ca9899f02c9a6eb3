#pragma once

#include <boost/asio/async_result.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/cancel.h"
#include "base/task.h"
#include "net/loop.h"

namespace asahi::gateway {

/// Collapses concurrent identical calls into one (GW-027), across all loops of the process. The
/// call runs detached from whoever asked first: it ends when it is done, or is cancelled when the
/// last of those waiting has gone.
template <class Value>
class SingleFlight {
 public:
  using Outcome = Result<std::shared_ptr<const Value>>;
  using Call = std::function<Task<std::shared_ptr<const Value>>(CancelSource&)>;

  struct Shared {
    Outcome outcome;
    /// True for the caller whose `call` ran; the others joined it.
    bool leader = false;
  };

  /// Runs `call` for `key`, or joins the one under way. Ends with `cancelled` when `cancel` fires.
  Aw<Shared> run(std::string key, CancelSource& cancel, Call call) {
    // Nobody would wait for what a client that has left starts.
    if (cancel.cancelled()) co_return Shared{fail(Errc::kCancelled, "the client went away"), false};
    net::Loop& home = *net::Loop::current();
    auto waiter = std::make_shared<Waiter>(home);
    std::shared_ptr<Flight> flight;
    bool leader = false;
    {
      const std::scoped_lock lock(mutex_);
      auto& slot = flights_[key];
      if (slot == nullptr) {
        slot = std::make_shared<Flight>(home);
        leader = true;
      }
      flight = slot;
      flight->waiters.push_back(waiter);
    }
    auto on_cancel = cancel.on_cancel([this, waiter, flight, key] { leave(key, flight, waiter); });
    if (leader) {
      home.spawn("single flight", fly(std::move(key), flight, std::move(call)));
    }
    Outcome outcome = co_await wait(waiter);
    co_return Shared{std::move(outcome), leader};
  }

  std::size_t in_flight() const {
    const std::scoped_lock lock(mutex_);
    return flights_.size();
  }

 private:
  struct Waiter {
    explicit Waiter(net::Loop& loop) : home(loop) {}
    net::Loop& home;
    /// Touched on `home`'s thread only.
    std::optional<Outcome> outcome;
    std::move_only_function<void()> resume;
    void settle(Outcome result) {
      if (outcome) return;
      outcome = std::move(result);
      if (resume) std::exchange(resume, nullptr)();
    }
  };
  struct Flight {
    explicit Flight(net::Loop& loop) : home(loop) {}
    net::Loop& home;
    CancelSource cancel;                           // touched on `home`'s thread only
    std::vector<std::shared_ptr<Waiter>> waiters;  // guarded by mutex_
  };

  static Aw<Outcome> wait(std::shared_ptr<Waiter> waiter) {
    if (!waiter->outcome) {
      co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<IoExecutor>, void()>(
          [waiter](auto handler) {
            auto shared = std::make_shared<decltype(handler)>(std::move(handler));
            waiter->resume = [shared] { std::move (*shared)(); };
          },
          use_aw);
    }
    co_return std::move(*waiter->outcome);
  }

  Aw<void> fly(std::string key, std::shared_ptr<Flight> flight, Call call) {
    Outcome outcome = fail(Errc::kInternal, "the shared call ended without a result");
    try {
      outcome = co_await call(flight->cancel);
    } catch (const std::exception& error) {
      outcome = fail(Errc::kInternal, error.what());
    }
    std::vector<std::shared_ptr<Waiter>> waiters;
    {
      const std::scoped_lock lock(mutex_);
      waiters.swap(flight->waiters);
      const auto found = flights_.find(key);
      if (found != flights_.end() && found->second == flight) flights_.erase(found);
    }
    for (auto& waiter : waiters) {
      if (&waiter->home == &flight->home) {
        waiter->settle(outcome);
      } else {
        waiter->home.post([waiter, outcome] { waiter->settle(outcome); });
      }
    }
  }

  void leave(const std::string& key, const std::shared_ptr<Flight>& flight,
             const std::shared_ptr<Waiter>& waiter) {
    bool last = false;
    {
      const std::scoped_lock lock(mutex_);
      const auto removed = std::erase(flight->waiters, waiter);
      last = removed > 0 && flight->waiters.empty();
      // Nobody may join a call that is about to be cancelled.
      if (last) {
        const auto found = flights_.find(key);
        if (found != flights_.end() && found->second == flight) flights_.erase(found);
      }
    }
    if (last) flight->home.post([flight] { flight->cancel.cancel(); });
    waiter->settle(fail(Errc::kCancelled, "the client went away"));
  }

  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Flight>> flights_;
};

}  // namespace asahi::gateway
