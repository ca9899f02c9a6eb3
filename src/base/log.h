#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace asahi {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kCritical };

/// One structured field. Values are written by type; a Secret cannot be given by design.
struct LogField {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, double, bool> value;
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  template <class T>
    requires std::is_integral_v<T>
  LogField(std::string_view k, T v) : key(k), value(static_cast<std::int64_t>(v)) {}
  LogField(std::string_view k, bool v) : key(k), value(v) {}
  LogField(std::string_view k, double v) : key(k), value(v) {}
};

/// One JSON object per line on stdout (or readable text), written by a background thread from a
/// bounded queue: logging never waits for the output; lines that did not fit are counted and
/// reported. Thread-safe. Text that is not UTF-8 is mended, and a message or value longer than 16
/// KiB is cut.
///   {"timestamp":"…","level":"INFO","logger":"gateway","message":"…","request_id":"…", …}
class Logger {
 public:
  /// A logger of the process's sink with its own name (one per module).
  explicit Logger(std::string name) : name_(std::move(name)) {}

  void debug(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    write(LogLevel::kDebug, message, fields);
  }
  void info(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    write(LogLevel::kInfo, message, fields);
  }
  void warning(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    write(LogLevel::kWarning, message, fields);
  }
  void error(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    write(LogLevel::kError, message, fields);
  }
  void critical(std::string_view message, std::initializer_list<LogField> fields = {}) const {
    write(LogLevel::kCritical, message, fields);
  }
  void write(LogLevel level, std::string_view message,
             std::initializer_list<LogField> fields) const;
  bool enabled(LogLevel level) const;

 private:
  std::string name_;
};

enum class LogFormat { kJson, kText };
struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kJson;
  std::size_t queue_lines = 8192;
  int descriptor = 1;  ///< file descriptor of the output; borrowed, stays open for the process
};
/// Sets up the process's sink; before it, lines go to stderr as text. Call it first in main. A
/// second call writes out what is queued and then changes the options. A forked child starts
/// unconfigured.
void configure_logging(const LogOptions& options);
/// Changes the level at run time. Thread-safe.
void set_log_level(LogLevel level);
/// Returns once what is queued has been written, or after 5 s when the output takes nothing. Runs
/// at exit by itself.
void flush_logging();
/// Lines dropped since the process began, because the queue was full or the output was closed.
std::uint64_t dropped_log_lines();

/// Keeps a repeating outage from filling the log: one guard per site, as a member beside the thing
/// that fails.
///   if (auto held_back = outage_.pass(clock.steady_now())) log_.error("…", {{"suppressed",
///   *held_back}});
/// Thread-safe.
class RateLimited {
 public:
  explicit RateLimited(std::chrono::nanoseconds interval) : interval_ns_(interval.count()) {}

  /// Empty: hold this line back. Otherwise write it; the number says how many were held back since
  /// the last one.
  std::optional<std::uint64_t> pass(std::chrono::steady_clock::time_point now);

 private:
  std::int64_t interval_ns_;
  std::atomic<std::int64_t> next_ns_{INT64_MIN};
  std::atomic<std::uint64_t> held_back_{0};
};

}  // namespace asahi
