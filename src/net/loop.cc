#include "net/loop.h"

#include <sched.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/exception_text.h"
#include "base/log.h"
#include "base/scheduling.h"
#include "net/event.h"

namespace asahi::net {
namespace {

using SteadyTimer = boost::asio::basic_waitable_timer<
    std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, IoExecutor>;
using Steady = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kGrain{10};

thread_local Loop* current_loop = nullptr;

const Logger& logger() {
  static const Logger instance("net");
  return instance;
}

/// Rounded up, so that nothing fires before its time.
TimerWheel::Tick tick_at_or_after(Steady::time_point when) {
  const auto since = when.time_since_epoch();
  return since.count() <= 0
             ? 0
             : static_cast<TimerWheel::Tick>((since + kGrain - Steady::duration(1)) / kGrain);
}

TimerWheel::Tick tick_before(Steady::time_point when) {
  return static_cast<TimerWheel::Tick>(when.time_since_epoch() / kGrain);
}

std::size_t usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
}

void log_escaped(const std::string& what, const std::exception_ptr& error) {
  logger().error("exception escaped", {{"task", what}, {"error", exception_text(error)}});
}

}  // namespace

struct Loop::Timers {
  explicit Timers(boost::asio::io_context& io)
      : timer(io.get_executor()), wheel(tick_before(Steady::now())) {}

  /// Sets the one timer for the wheel's next tick. It is never moved to a later time and never
  /// stopped: a wake-up that finds nothing due is cheaper than a system call for each deadline that
  /// is dropped.
  void arm() {
    const TimerWheel::Tick next = wheel.next();
    if (next >= armed) return;
    armed = next;
    timer.expires_at(Steady::time_point(kGrain * next));
    timer.async_wait([this](boost::system::error_code error) {
      if (error) return;  // moved to an earlier time, or the loop's end
      armed = TimerWheel::kNever;
      wheel.advance(tick_before(Steady::now()));
      arm();
    });
  }

  SteadyTimer timer;
  TimerWheel wheel;
  TimerWheel::Tick armed = TimerWheel::kNever;
};

Loop::Loop(std::size_t index) : index_(index), io_(1), timers_(std::make_unique<Timers>(io_)) {}

Loop::~Loop() {
  // Coroutines that wait for an event go first: what they own (deadlines, sockets) still finds its
  // loop.
  while (waiting_ != nullptr) {
    Event* const event = waiting_;
    waiting_ = event->next_;
    if (waiting_ != nullptr) waiting_->prev_ = nullptr;
    event->next_ = nullptr;
    const auto waiter = std::exchange(event->waiter_, nullptr);
  }
}

void Loop::post(std::move_only_function<void()> work) { boost::asio::post(io_, std::move(work)); }

namespace {

auto log_outcome(std::string what) {
  return [what = std::move(what)](std::exception_ptr error) {
    if (error) log_escaped(what, error);
  };
}

}  // namespace

void Loop::spawn(std::string what, std::function<Aw<void>()> body) {
  boost::asio::co_spawn(io_.get_executor(), std::move(body), log_outcome(std::move(what)));
}

void Loop::spawn(std::string what, Aw<void> task) {
  boost::asio::co_spawn(io_.get_executor(), std::move(task), log_outcome(std::move(what)));
}

void Loop::run() {
  current_loop = this;
  take_short_turns();
  for (;;) {
    try {
      io_.run();
      break;
    } catch (...) {
      log_escaped("loop", std::current_exception());
    }
  }
  current_loop = nullptr;
}

Loop* Loop::current() { return current_loop; }

Loop::Deadline::Deadline(Deadline&& other) noexcept
    : entry_(std::exchange(other.entry_, nullptr)) {}

Loop::Deadline& Loop::Deadline::operator=(Deadline&& other) noexcept {
  if (this != &other) {
    reset();
    entry_ = std::exchange(other.entry_, nullptr);
  }
  return *this;
}

Loop::Deadline::~Deadline() { reset(); }

void Loop::Deadline::reset() {
  if (entry_ != nullptr) TimerWheel::drop(std::exchange(entry_, nullptr));
}

Loop::Deadline Loop::at(Steady::time_point when, std::function<void()> expired) {
  if (when == Steady::time_point::max()) return {};
  Deadline deadline(timers_->wheel.add(tick_at_or_after(when), std::move(expired)));
  timers_->arm();
  return deadline;
}

Aw<bool> Loop::sleep_for(std::chrono::nanoseconds time, CancelSource* cancel) {
  if (cancel != nullptr && cancel->cancelled()) co_return false;
  SteadyTimer timer(io_.get_executor(), std::chrono::ceil<Steady::duration>(time));
  bool cancelled = false;
  CancelSource::Subscription subscription;
  if (cancel != nullptr) {
    subscription = cancel->on_cancel([&timer, &cancelled] {
      cancelled = true;
      timer.cancel();
    });
  }
  boost::system::error_code ignored;
  co_await timer.async_wait(boost::asio::redirect_error(use_aw, ignored));
  co_return !cancelled;
}

LoopPool::LoopPool(std::size_t count) {
  if (count == 0) count = usable_cpus();
  for (std::size_t i = 0; i < count; ++i) {
    loops_.push_back(std::make_unique<Loop>(i));
    work_.emplace_back(loops_.back()->executor());
  }
}

LoopPool::~LoopPool() { stop(); }

void LoopPool::start() {
  if (!threads_.empty()) return;
  for (const auto& loop : loops_) {
    threads_.emplace_back([raw = loop.get()] { raw->run(); });
  }
}

void LoopPool::stop() {
  for (const auto& loop : loops_) loop->io_.stop();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace asahi::net
