#include "storage/sql/pg_connect.h"

#include <fmt/format.h>
#include <poll.h>

#include "base/ids.h"

namespace asahi::sql {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kFirstPause{100};
constexpr std::chrono::milliseconds kLongestPause{2'000};

/// Runs one statement without parameters on a fresh connection.
Result<void> set_up(PGconn* connection, const char* sql, SteadyClock::time_point deadline,
                    const PgClosing& closing) {
  if (PQsendQuery(connection, sql) != 1) return fail(Errc::kUnavailable, pg_message(connection));
  while (true) {
    const int unsent = PQflush(connection);
    if (unsent < 0) return fail(Errc::kUnavailable, pg_message(connection));
    if (unsent == 0 && PQisBusy(connection) == 0) break;
    if (!pg_wait(connection, unsent == 1, deadline, closing)) {
      return fail(Errc::kUnavailable, "no answer within connect_timeout");
    }
    if (PQconsumeInput(connection) != 1) return fail(Errc::kUnavailable, pg_message(connection));
  }
  Result<void> outcome;
  while (const PgResult result{PQgetResult(connection)}) {
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK)
      outcome = std::unexpected(pg_error(result.get()));
  }
  return outcome;
}

bool reports(PGconn* connection, const char* parameter, std::string_view expected) {
  const char* value = PQparameterStatus(connection, parameter);
  return value != nullptr && std::string_view(value).starts_with(expected);
}

}  // namespace

std::string pg_message(const PGconn* connection) {
  std::string message = PQerrorMessage(connection);
  while (!message.empty() && message.back() == '\n') message.pop_back();
  std::replace(message.begin(), message.end(), '\n', ' ');
  return message;
}

bool PgGate::down() const {
  const std::lock_guard lock(mutex_);
  return failures_ > 0;
}

PgGate::Steady PgGate::next_attempt() const {
  const std::lock_guard lock(mutex_);
  return next_attempt_;
}

void PgGate::succeeded() {
  const std::lock_guard lock(mutex_);
  if (failures_ > 0) {
    const auto away = SteadyClock::now() - down_since_;
    log_.info("PostgreSQL is reachable again",
              {{"away_ms", std::chrono::duration_cast<std::chrono::milliseconds>(away).count()},
               {"failed_attempts", failures_}});
  }
  failures_ = 0;
  next_attempt_ = {};
}

void PgGate::failed(const Error& error) {
  const std::lock_guard lock(mutex_);
  const auto now = SteadyClock::now();
  if (failures_ == 0) {
    down_since_ = now;
    log_.warning("PostgreSQL cannot be reached; statements fail until it can",
                 {{"error", error.message}});
  }
  const auto pause = std::min(kLongestPause, kFirstPause * (1 << std::min(failures_, 5)));
  const auto jitter = std::chrono::milliseconds(random_u64() % 50);
  next_attempt_ = now + pause + jitter;
  ++failures_;
  last_message_ = error.message;
}

std::unexpected<Error> PgGate::refusal() const {
  const std::lock_guard lock(mutex_);
  auto error = fail(Errc::kUnavailable, last_message_);
  error.error().retry_after = kLongestPause;
  return error;
}

Result<PgTarget> PgTarget::parse(const std::string& url,
                                 std::chrono::milliseconds connect_timeout) {
  char* parse_error = nullptr;
  const auto give_back = [](PQconninfoOption* parsed) { PQconninfoFree(parsed); };
  const std::unique_ptr<PQconninfoOption, decltype(give_back)> options(
      PQconninfoParse(url.c_str(), &parse_error));
  PQfreemem(parse_error);  // quotes parts of the URL
  if (!options) {
    return fail_field(
        "database.url",
        "the database URL cannot be read; expected "
        "postgres://user:password@host:port/name?sslmode=…, with special characters of "
        "the password percent-encoded");
  }
  PgTarget target;
  target.connect_timeout_ = connect_timeout;
  std::string host = "localhost";
  std::string port = "5432";
  std::string name;
  for (const auto* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    const std::string_view keyword = option->keyword;
    if (keyword == "host" || keyword == "hostaddr") host = option->val;
    if (keyword == "port") port = option->val;
    if (keyword == "dbname") name = option->val;
    target.keywords_.emplace_back(option->keyword, option->val);
  }
  const auto add_default = [&](const char* keyword, const std::string& value) {
    for (const auto& [known, unused] : target.keywords_) {
      if (known == keyword) return;
    }
    target.keywords_.emplace_back(keyword, value);
  };
  add_default("fallback_application_name", "asahi");
  add_default("client_encoding", "UTF8");
  // A vanished peer (a dropped NAT entry, a dead host) is noticed by the kernel, also in a cancel
  // request.
  add_default("tcp_user_timeout", std::to_string(connect_timeout.count()));
  add_default("keepalives_idle", "30");
  add_default("keepalives_interval", "10");
  add_default("keepalives_count", "3");
  target.where_ = fmt::format("{}:{}/{}", host, port, name);
  return target;
}

Result<PgHandle> PgTarget::connect(const PgClosing& closing) const {
  const auto unreachable = [this](std::string_view why) {
    return fail(Errc::kUnavailable,
                fmt::format("PostgreSQL at {} cannot be reached: {}", where_, why));
  };
  std::vector<const char*> keywords;
  std::vector<const char*> values;
  for (const auto& [keyword, value] : keywords_) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  const auto deadline = SteadyClock::now() + connect_timeout_;
  PgHandle connection(PQconnectStartParams(keywords.data(), values.data(), 0));
  if (!connection) return unreachable("out of memory");
  PQsetNoticeReceiver(connection.get(), [](void*, const PGresult*) {}, nullptr);  // else: to stderr
  auto next =
      PQstatus(connection.get()) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (next != PGRES_POLLING_OK) {
    if (next == PGRES_POLLING_FAILED) return unreachable(pg_message(connection.get()));
    if (!pg_wait(connection.get(), next == PGRES_POLLING_WRITING, deadline, closing)) {
      return unreachable("no connection within connect_timeout");
    }
    next = PQconnectPoll(connection.get());
  }
  PQsetnonblocking(connection.get(), 1);
  // Reported parameters, so PgBouncer keeps them per client; start-up `options` it would refuse.
  struct Setting {
    const char* parameter;
    std::string_view expected;
    const char* sql;
  };
  static constexpr std::array kSettings = {
      Setting{"TimeZone", "UTC", "SET TIME ZONE 'UTC'"},
      Setting{"DateStyle", "ISO", "SET datestyle TO 'ISO'"},
      Setting{"standard_conforming_strings", "on", "SET standard_conforming_strings TO on"},
  };
  for (const auto& setting : kSettings) {
    if (reports(connection.get(), setting.parameter, setting.expected)) continue;
    if (auto ok = set_up(connection.get(), setting.sql, deadline, closing); !ok) {
      return unreachable(ok.error().message);
    }
  }
  return connection;
}

bool pg_wait(PGconn* connection, bool for_write, SteadyClock::time_point deadline,
             const PgClosing& closing) {
  constexpr std::chrono::milliseconds kSlice{200};  // how late `closing` may be noticed
  for (bool first = true; !closing.load(std::memory_order_relaxed); first = false) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now());
    if (left.count() <= 0 && !first) return false;
    left = std::max(left, std::chrono::milliseconds{0});
    // Reading stays interesting while writing: both sides could be waiting for the other to read.
    pollfd wait{PQsocket(connection), static_cast<short>(for_write ? POLLIN | POLLOUT : POLLIN), 0};
    if (PQstatus(connection) != CONNECTION_OK) wait.events = for_write ? POLLOUT : POLLIN;
    const int ready = poll(&wait, 1, static_cast<int>(std::min(left, kSlice).count()));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
  return false;
}

void pg_cancel(PGcancel* cancel) {
  std::array<char, 256> error;  // a failed request shows as a statement that runs on
  PQcancel(cancel, error.data(), static_cast<int>(error.size()));
}

}  // namespace asahi::sql
