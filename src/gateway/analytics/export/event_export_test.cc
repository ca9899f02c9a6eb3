// GET /analytics/export over SQLite and PostgreSQL.
#include "gateway/analytics/export/event_export.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <sstream>

#include "gateway/analytics/export/routes.h"
#include "gateway/events/event.h"
#include "gateway/migrations/migrations.h"
#include "gateway/testing/loop.h"
#include "identity/principal.h"
#include "identity/testing/fakes.h"
#include "storage/sql/migrations.h"
#include "storage/sql/testing/database_test.h"

namespace asahi::gateway {
namespace {

using analytics::ExportFormat;
using analytics::kExportPage;
using identity::Permission;
using sql::testing::Engine;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// What the program has allocated and not freed, by the allocator's own books: resident pages also
/// count what it keeps for later, which comes and goes.
std::size_t allocated_bytes() {
  const struct mallinfo2 books = ::mallinfo2();
  return books.uordblks + books.hblkhd;
}

/// Counts what it is given, and how much memory is in use meanwhile; the client goes after `most`
/// bytes.
struct Client final : http::BodyWriter {
  explicit Client(std::size_t limit) : most(limit) {}
  Task<void> write(std::string piece) override {
    bytes += piece.size();
    largest = std::max(largest, piece.size());
    lines += static_cast<std::size_t>(std::ranges::count(piece, '\n'));
    ++writes;
    most_allocated = std::max(most_allocated, allocated_bytes());
    if (text.size() < 1'000'000) text += piece;
    if (bytes > most) co_return fail(Errc::kCancelled, "gone");
    co_return Result<void>{};
  }
  std::size_t most;
  std::size_t bytes = 0, lines = 0, writes = 0, largest = 0, most_allocated = 0;
  std::string text;
};

class EventExport : public sql::testing::DatabaseTest {
 protected:
  void SetUp() override {
    if (!open_database(migrations())) return;
    caller_->org_id = "acme";
    caller_->user_id = "root";
    caller_->permissions = identity::PermissionSet::organisation();
    add_export_routes(router_, {*db_, audit_, clock_});
  }

  struct Row {
    std::string user = "ann", org = "acme", model = "gpt-4o", error = {};
    int minute = 0;  ///< since the clock's time less a day
    bool hit = false;
  };
  void add(const Row& row) {
    const auto done = db_->query_blocking(
        {"INSERT INTO inference_events (event_id, request_id, timestamp, user_id, org_id, "
         "model_selected, cost, cache_hit, cache_tier, error_code, routing_reason) "
         "VALUES (?, ?, ?, ?, ?, ?, '0.001500000', ?, ?, ?, '=cmd,\"x\"')",
         {fmt::format("ev{:06}", ++events_), fmt::format("req_{}", events_),
          format_rfc3339(at(row.minute)), row.user, row.org, row.model, std::int64_t{row.hit},
          std::int64_t{row.hit ? 2 : 0},
          row.error.empty() ? sql::Value{} : sql::Value{row.error}}});
    ASSERT_TRUE(done) << done.error().message;
  }
  Clock::Time at(int minute) const {
    return clock_.now() - std::chrono::hours(24) + std::chrono::minutes(minute);
  }
  /// Many rows at once; several of them at each moment.
  void add_many(int count) {
    const auto done = db_->transaction_blocking([&](sql::Session& session) -> Result<void> {
      constexpr int kAtOnce = 500;
      for (int begin = 0; begin < count; begin += kAtOnce) {
        sql::Statement insert{
            "INSERT INTO inference_events (event_id, request_id, timestamp, user_id, org_id, "
            "model_selected, cost) VALUES ",
            {}};
        for (int i = begin; i < std::min(count, begin + kAtOnce); ++i) {
          insert.sql += i == begin ? "" : ", ";
          insert.sql += fmt::format(
              "('m{0}', 'req_{0}', ?, 'user{1}', 'acme', 'gpt-4o', "
              "'0.000010000')",
              i, i % 100);
          insert.params.emplace_back(format_rfc3339(at(i / 1'000)));
        }
        if (auto inserted = session.query(insert); !inserted)
          return std::unexpected(inserted.error());
      }
      return {};
    });
    ASSERT_TRUE(done) << done.error().message;
  }

  struct Reply {
    int status = 0;
    std::string body, type, file;
    std::shared_ptr<Client> client;
    bool whole = false;
  };
  Reply get(const std::string& query, std::size_t most = std::size_t{1} << 40) {
    return loops_.wait_for([&]() -> Aw<Reply> {
      http::Request request;
      request.path = "/analytics/export";
      request.target = request.path + '?' + query;
      request.query = query;
      CancelSource cancel;
      const auto match = router_.match(http::Method::kGet, request.path);
      http::Context context{.request = request,
                            .loop = loops_.loop(),
                            .cancel = cancel,
                            .deadline = std::chrono::steady_clock::now(),
                            .received = {},
                            .request_id = "req_1",
                            .client_request_id = {},
                            .path_params = match.params,
                            .route = match.route->pattern,
                            .caller = caller_,
                            .reply_headers = {}};
      EXPECT_EQ(match.route->access, "view_cost");
      http::Response response = co_await match.route->handler(context);
      Reply reply{.status = response.status,
                  .body = std::move(response.body),
                  .type = std::string(response.headers.get("content-type")),
                  .file = std::string(response.headers.get("content-disposition"))};
      if (response.stream) {
        reply.client = std::make_shared<Client>(most);
        const auto written = co_await response.stream(*reply.client);
        reply.whole = written.has_value();
        reply.body = reply.client->text;
        EXPECT_EQ(context.deadline, std::chrono::steady_clock::time_point::max());
      }
      co_return reply;
    });
  }
  /// The users of the lines of NDJSON.
  static std::vector<std::string> users(const Reply& reply) {
    std::vector<std::string> found;
    std::istringstream lines(reply.body);
    for (std::string line; std::getline(lines, line);) {
      const auto event = event_from_json(line);
      EXPECT_TRUE(event) << line;
      if (event) found.push_back(event->user_id);
    }
    return found;
  }

  ManualClock clock_;
  identity::testing::AuditFake audit_;
  std::shared_ptr<identity::Principal> caller_ = std::make_shared<identity::Principal>();
  http::Router router_;
  testing::Loops loops_;
  int events_ = 0;
};

TEST_P(EventExport, WritesCsvOldestFirst) {
  add({.user = "second", .minute = 2});
  add({.user = "first, \"quoted\"", .error = "circuit_open", .minute = 1});
  const Reply reply = get("");
  ASSERT_EQ(reply.status, 200);
  EXPECT_EQ(reply.type, "text/csv; charset=utf-8");
  EXPECT_THAT(reply.file, HasSubstr(".csv\""));
  EXPECT_TRUE(reply.whole);
  std::istringstream lines(reply.body);
  std::string header, first, second, none;
  std::getline(lines, header);
  std::getline(lines, first);
  std::getline(lines, second);
  EXPECT_FALSE(std::getline(lines, none));
  EXPECT_EQ(header + '\n', csv_header());
  EXPECT_THAT(first, HasSubstr("\"first, \"\"quoted\"\"\""));
  EXPECT_THAT(first, HasSubstr("circuit_open\r"));
  EXPECT_THAT(second, HasSubstr(format_rfc3339(at(2)) + ",req_1,"));
  EXPECT_THAT(second, HasSubstr("0.001500000"));
  EXPECT_EQ(std::ranges::count(header, ','), std::ranges::count(second, ','));
}

TEST_P(EventExport, WritesLinesThatReadAsTheLogDoes) {
  add({.user = "Zoë 日本", .hit = true});
  const Reply reply = get("format=ndjson");
  EXPECT_EQ(reply.type, "application/x-ndjson");
  const auto event = event_from_json(reply.body.substr(0, reply.body.find('\n')));
  ASSERT_TRUE(event) << reply.body;
  EXPECT_EQ(event->user_id, "Zoë 日本");
  EXPECT_EQ(event->model_selected, "gpt-4o");
  EXPECT_EQ(event->cost.nanos, 1'500'000);
  EXPECT_EQ(event->cache_tier, 2);
  EXPECT_TRUE(event->cache_hit);
  EXPECT_EQ(event->timestamp, at(0));
}

TEST_P(EventExport, ShowsOneOrganisationOnly) {
  add({.user = "mine"});
  add({.user = "theirs", .org = "other"});
  EXPECT_THAT(users(get("format=ndjson")), ElementsAre("mine"));
}

TEST_P(EventExport, Filters) {
  add({.user = "a", .minute = 1});
  add({.user = "b", .model = "claude", .minute = 2});
  add({.user = "c", .error = "circuit_open", .minute = 3});
  add({.user = "d", .minute = 4, .hit = true});
  const auto found = [&](const std::string& query) { return users(get("format=ndjson&" + query)); };
  EXPECT_THAT(found("user=a"), ElementsAre("a"));
  EXPECT_THAT(found("model=claude"), ElementsAre("b"));
  EXPECT_THAT(found("error=true"), ElementsAre("c"));
  EXPECT_THAT(found("error=false"), ElementsAre("a", "b", "d"));
  EXPECT_THAT(found("error=circuit_open"), ElementsAre("c"));
  EXPECT_THAT(found("cache_hit=true"), ElementsAre("d"));
  EXPECT_THAT(found("tier=2"), ElementsAre("d"));
  EXPECT_THAT(found("from=" + format_rfc3339(at(2)) + "&to=" + format_rfc3339(at(4))),
              ElementsAre("b", "c"));
  EXPECT_THAT(found("from=" + format_date(at(0)) + "&to=" + format_date(clock_.now())),
              ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(found("user=nobody"), ElementsAre());
}

TEST_P(EventExport, SaysWhatIsWrongWithAQuery) {
  for (const auto& [query, field] : {std::pair{"format=xml", "format"},
                                     {"from=yesterday", "from"},
                                     {"to=1", "to"},
                                     {"tier=9", "tier"},
                                     {"cache_hit=maybe", "cache_hit"},
                                     {"from=2999-01-01", "from"}}) {
    const Reply reply = get(query);
    EXPECT_EQ(reply.status, 400) << query;
    EXPECT_THAT(reply.body, HasSubstr(fmt::format(R"("field":"{}")", field)));
  }
  EXPECT_EQ(get("user=" + std::string(300, 'x')).status, 400);
}

TEST_P(EventExport, IsWrittenDownInTheAuditLog) {
  ASSERT_EQ(get("format=ndjson").status, 200);
  ASSERT_EQ(audit_.entries().size(), 1U);
  EXPECT_EQ(audit_.entries()[0].action, "analytics.export");
  EXPECT_EQ(audit_.entries()[0].org_id, "acme");
}

TEST_P(EventExport, KeepsRowsOfOneMomentApart) {
  // More rows at one moment than a page holds, and rows whose times have microseconds.
  add_many(static_cast<int>(kExportPage) + 500);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(
        db_->query_blocking({"UPDATE inference_events SET timestamp = ? WHERE event_id = ?",
                             {format_rfc3339(at(0)).substr(0, 20) + fmt::format("12345{}Z", i),
                              fmt::format("m{}", 2'100 + i)}}));
  }
  ASSERT_TRUE(
      db_->query_blocking({"UPDATE inference_events SET timestamp = ? WHERE event_id "
                           "NOT IN ('m2100', 'm2101', 'm2102')",
                           {format_rfc3339(at(5))}}));
  EXPECT_EQ(get("format=ndjson").client->lines, static_cast<std::size_t>(kExportPage) + 500);
}

TEST_P(EventExport, NeedsTheMemoryOfAPage) {
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  GTEST_SKIP() << "sanitizers have an allocator of their own, which keeps what is freed";
#endif
#endif
  constexpr int kRows = 30'000;
  add_many(kRows);
  // The first leaves caches and threads behind that stay.
  EXPECT_EQ(get("format=ndjson").client->lines, static_cast<std::size_t>(kRows));
  const std::size_t before = allocated_bytes();
  const Reply reply = get("format=ndjson");
  ASSERT_TRUE(reply.client);
  EXPECT_EQ(reply.client->lines, static_cast<std::size_t>(kRows));
  // A body or rows that were gathered whole would be there at the last write.
  EXPECT_GT(reply.client->bytes, std::size_t{10} << 20);
  EXPECT_LT(reply.client->largest, std::size_t{1} << 20);
  EXPECT_LT(reply.client->most_allocated, before + (std::size_t{6} << 20));
}

TEST_P(EventExport, StopsWhenTheClientGoes) {
  add_many(20'000);
  const Reply reply = get("format=csv", 100'000);
  EXPECT_FALSE(reply.whole);
  EXPECT_LE(reply.client->writes, 3U);
}

TEST_P(EventExport, RefusesMoreThanAFewAtATime) {
  add({});
  loops_.wait_for([&]() -> Aw<bool> {
    http::Request request;
    request.path = "/analytics/export";
    CancelSource cancel;
    const auto match = router_.match(http::Method::kGet, request.path);
    http::Context context{.request = request,
                          .loop = loops_.loop(),
                          .cancel = cancel,
                          .deadline = {},
                          .received = {},
                          .request_id = "req_1",
                          .client_request_id = {},
                          .path_params = {},
                          .route = match.route->pattern,
                          .caller = caller_,
                          .reply_headers = {}};
    std::vector<http::Response> running;
    for (int i = 0; i < 4; ++i) {
      running.push_back(co_await match.route->handler(context));
      EXPECT_EQ(running.back().status, 200);
    }
    http::Response refused = co_await match.route->handler(context);
    EXPECT_EQ(refused.status, 429);
    running.clear();
    http::Response again = co_await match.route->handler(context);
    EXPECT_EQ(again.status, 200);
    co_return true;
  });
}

INSTANTIATE_TEST_SUITE_P(Engines, EventExport,
                         ::testing::Values(Engine::kSqliteFile, Engine::kPostgres),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::gateway
