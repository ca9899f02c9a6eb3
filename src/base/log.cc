#include "base/log.h"

#include <errno.h>
#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/json.h"
#include "base/log_observer.h"
#include "base/utf8.h"

namespace asahi {
namespace {

constexpr std::size_t kMaxText = 16 * 1024;
constexpr std::size_t kMaxQueueBytes = 16 * 1024 * 1024;
constexpr std::size_t kKeptBufferBytes = 256 * 1024;
constexpr std::chrono::seconds kFlushLimit{5};

constinit std::atomic<LogLevel> minimum_level{LogLevel::kInfo};
constinit std::atomic<std::uint64_t> dropped_lines{0};
/// Above every level: nobody watches.
constexpr auto kNobody = static_cast<LogLevel>(static_cast<int>(LogLevel::kCritical) + 1);
constinit std::atomic<LogLevel> observed_level{kNobody};

/// Who is told of lines. Rarely more than one at a time is, so a mutex does.
class Watch {
 public:
  void set(LogLevel least, LogObserver observer) {
    const std::scoped_lock lock(mutex_);
    observed_level = observer ? least : kNobody;
    observer_ = std::move(observer);
  }
  void tell(LogLevel level, std::string_view logger, std::string_view message,
            std::span<const LogField> fields) {
    thread_local bool telling = false;
    if (std::exchange(telling, true)) return;
    {
      const std::scoped_lock lock(mutex_);
      if (observer_) observer_(level, logger, message, fields);
    }
    telling = false;
  }

 private:
  std::mutex mutex_;
  LogObserver observer_;
};

/// Never destroyed: destructors of static objects may still log.
Watch& watch() {
  static auto* const one = new Watch;
  return *one;
}

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "DEBUG";
    case LogLevel::kInfo:
      return "INFO";
    case LogLevel::kWarning:
      return "WARNING";
    case LogLevel::kError:
      return "ERROR";
    case LogLevel::kCritical:
      return "CRITICAL";
  }
  return "ERROR";
}

bool needs_mending(std::string_view text) { return text.size() > kMaxText || !is_utf8(text); }

std::string mended(std::string_view text) {
  std::string out = mended_utf8(text.substr(0, kMaxText));
  if (text.size() > kMaxText) out += fmt::format("... [{} bytes cut]", text.size() - kMaxText);
  return out;
}

void append_text(std::string& out, std::string_view text) {
  if (needs_mending(text)) {
    append_json_string(out, mended(text));
  } else {
    append_json_string(out, text);
  }
}

/// Readable, yet one line: whatever could break or forge a line is written as a JSON string.
void append_plain(std::string& out, std::string_view text, bool quote_spaces) {
  const bool plain =
      !text.empty() && !needs_mending(text) && std::ranges::all_of(text, [&](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte >= 0x20 && byte != 0x7F &&
               !(quote_spaces && (c == ' ' || c == '"' || c == '='));
      });
  if (plain) {
    out += text;
  } else {
    append_text(out, text);
  }
}

void append_value(std::string& out, const LogField& field, LogFormat format) {
  std::visit(
      [&](const auto& value) {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          if (format == LogFormat::kJson) {
            append_text(out, value);
          } else {
            append_plain(out, value, true);
          }
        } else if constexpr (std::is_same_v<T, double>) {
          if (std::isfinite(value)) {
            fmt::format_to(std::back_inserter(out), "{}", value);
          } else {
            out += "null";  // JSON has no such number
          }
        } else {
          fmt::format_to(std::back_inserter(out), "{}", value);
        }
      },
      field.value);
}

void append_line(std::string& out, LogFormat format, LogLevel level, std::string_view logger,
                 std::string_view message, std::span<const LogField> fields) {
  const std::string time = format_rfc3339(system_clock().now());
  if (format == LogFormat::kJson) {
    out += R"({"timestamp":")";
    out += time;
    out += R"(","level":")";
    out += level_name(level);
    out += R"(","logger":)";
    append_text(out, logger);
    out += R"(,"message":)";
    append_text(out, message);
    for (const LogField& field : fields) {
      out += ',';
      append_text(out, field.key);
      out += ':';
      append_value(out, field, format);
    }
    out += '}';
  } else {
    fmt::format_to(std::back_inserter(out), "{} {:<8} ", time, level_name(level));
    append_plain(out, logger, true);
    out += ": ";
    append_plain(out, message, false);
    for (const LogField& field : fields) {
      out += ' ';
      append_plain(out, field.key, true);
      out += '=';
      append_value(out, field, format);
    }
  }
  out += '\n';
}

/// False when the output is closed or broken.
bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written > 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (written < 0 && errno == EAGAIN) {
      // Somebody else made the shared terminal or pipe non-blocking.
      pollfd waiting{descriptor, POLLOUT, 0};
      ::poll(&waiting, 1, -1);
    } else if (written == 0 || errno != EINTR) {
      return false;
    }
  }
  return true;
}

/// The process's output: producers append whole lines to one buffer, the writer thread swaps it out
/// and writes it. Lives until the process ends, so that destructors of static objects may still
/// log.
class Sink {
 public:
  void configure(const LogOptions& options) {
    flush();
    std::lock_guard lock(mutex_);
    max_lines_ = std::max<std::size_t>(options.queue_lines, 1);
    descriptor_ = options.descriptor;
    format_.store(options.format, std::memory_order_relaxed);
    if (started_.load(std::memory_order_relaxed)) return;
    // Signals are handled elsewhere, and a closed pipe must be an error here rather than the
    // process's death.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread([this] { run(); }).detach();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    started_.store(true, std::memory_order_release);
  }

  void write(LogLevel level, std::string_view logger, std::string_view message,
             std::span<const LogField> fields) {
    std::string line;
    line.reserve(512);
    if (!started_.load(std::memory_order_acquire)) {
      append_line(line, LogFormat::kText, level, logger, message, fields);
      write_all(STDERR_FILENO, line);
      return;
    }
    append_line(line, format_.load(std::memory_order_relaxed), level, logger, message, fields);
    {
      std::lock_guard lock(mutex_);
      if (queued_lines_ >= max_lines_ || queue_.size() + line.size() > kMaxQueueBytes) {
        ++unreported_;
        dropped_lines.fetch_add(1, std::memory_order_relaxed);
        return;
      }
      queue_ += line;
      if (++queued_lines_ > 1) return;  // the writer knows
    }
    filled_.notify_one();
  }

  void flush() {
    if (!started_.load(std::memory_order_acquire)) return;
    std::unique_lock lock(mutex_);
    // Two turns of the writer at most: the batch under way, then the one that holds our lines.
    const std::uint64_t goal = batches_done_ + (writing_ ? 1 : 0) + (queued_lines_ > 0 ? 1 : 0);
    written_.wait_for(lock, kFlushLimit, [&] { return batches_done_ >= goal; });
  }

 private:
  [[noreturn]] void run() {
    std::string batch;
    std::unique_lock lock(mutex_);
    for (;;) {
      filled_.wait(lock, [&] { return queued_lines_ > 0; });
      batch.swap(queue_);
      const std::uint64_t lines = std::exchange(queued_lines_, 0);
      const std::uint64_t lost = std::exchange(unreported_, 0);
      const int descriptor = descriptor_;
      writing_ = true;
      lock.unlock();
      if (lost > 0) {
        append_line(batch, format_.load(std::memory_order_relaxed), LogLevel::kWarning, "log",
                    "log lines were dropped because the output is slower than the program",
                    {{{"dropped", lost}}});
      }
      if (!write_all(descriptor, batch)) dropped_lines.fetch_add(lines, std::memory_order_relaxed);
      batch.clear();
      if (batch.capacity() > kKeptBufferBytes) std::string().swap(batch);
      lock.lock();
      writing_ = false;
      ++batches_done_;
      written_.notify_all();
    }
  }

  std::atomic<bool> started_{false};
  std::atomic<LogFormat> format_{LogFormat::kJson};
  std::mutex mutex_;
  std::condition_variable filled_, written_;
  std::string queue_;
  std::size_t queued_lines_ = 0;
  std::size_t max_lines_ = 1;
  std::uint64_t unreported_ = 0;
  std::uint64_t batches_done_ = 0;
  bool writing_ = false;
  int descriptor_ = STDOUT_FILENO;
};

std::atomic<Sink*>& sink_slot() {
  static std::atomic<Sink*> slot = [] {
    // A child has no writer thread, and its copy of the mutex may be locked for ever. It gets a new
    // sink and leaves the old one, whose lines the parent writes.
    pthread_atfork(nullptr, nullptr, [] { sink_slot().store(new Sink); });
    return new Sink;
  }();
  return slot;
}

Sink& sink() { return *sink_slot().load(std::memory_order_acquire); }

}  // namespace

void observe_log(LogLevel least, LogObserver observer) { watch().set(least, std::move(observer)); }

void Logger::write(LogLevel level, std::string_view message,
                   std::initializer_list<LogField> fields) const {
  const std::span all(fields.begin(), fields.size());
  if (level >= observed_level.load(std::memory_order_relaxed))
    watch().tell(level, name_, message, all);
  if (!enabled(level)) return;
  sink().write(level, name_, message, all);
}

bool Logger::enabled(LogLevel level) const {
  return level >= minimum_level.load(std::memory_order_relaxed);
}

void configure_logging(const LogOptions& options) {
  static const int at_exit = std::atexit(flush_logging);
  static_cast<void>(at_exit);
  set_log_level(options.level);
  sink().configure(options);
}

void set_log_level(LogLevel level) { minimum_level.store(level, std::memory_order_relaxed); }

void flush_logging() { sink().flush(); }

std::uint64_t dropped_log_lines() { return dropped_lines.load(std::memory_order_relaxed); }

std::optional<std::uint64_t> RateLimited::pass(std::chrono::steady_clock::time_point now) {
  const std::int64_t now_ns = std::chrono::nanoseconds(now.time_since_epoch()).count();
  std::int64_t next = next_ns_.load(std::memory_order_relaxed);
  if (now_ns < next ||
      !next_ns_.compare_exchange_strong(next, now_ns + interval_ns_, std::memory_order_relaxed)) {
    held_back_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  return held_back_.exchange(0, std::memory_order_relaxed);
}

}  // namespace asahi
