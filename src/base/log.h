#pragma once

#include <cstdint>
#include <memory>
#include <initializer_list>
#include <string>
#include <string_view>
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

/// One JSON object per line on stdout (or readable text), written by a background thread from a bounded queue:
/// logging never blocks a loop; lines that did not fit are counted and reported. Thread-safe.
///   {"timestamp":"…","level":"INFO","logger":"gateway","message":"…","request_id":"…", …}
class Logger {
 public:
  /// A logger of the process's sink with its own name (one per module).
  explicit Logger(std::string name) : name_(std::move(name)) {}

  void debug(std::string_view message, std::initializer_list<LogField> fields = {}) const { write(LogLevel::kDebug, message, fields); }
  void info(std::string_view message, std::initializer_list<LogField> fields = {}) const { write(LogLevel::kInfo, message, fields); }
  void warning(std::string_view message, std::initializer_list<LogField> fields = {}) const { write(LogLevel::kWarning, message, fields); }
  void error(std::string_view message, std::initializer_list<LogField> fields = {}) const { write(LogLevel::kError, message, fields); }
  void critical(std::string_view message, std::initializer_list<LogField> fields = {}) const { write(LogLevel::kCritical, message, fields); }
  void write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) const;
  bool enabled(LogLevel level) const;

 private:
  std::string name_;
};

enum class LogFormat { kJson, kText };
struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kJson;
  std::size_t queue_lines = 8192;
};
/// Sets up the process's sink; before it, lines go to stderr as text. Call once, first in main.
void configure_logging(const LogOptions& options);
/// Changes the level at run time. Thread-safe.
void set_log_level(LogLevel level);
/// Writes out what is queued; at shutdown.
void flush_logging();
/// Lines dropped because the queue was full.
std::uint64_t dropped_log_lines();

}  // namespace asahi
