#include "identity/audit/routes.h"

#include "identity/audit/testing/audit_fixture.h"
#include "identity/principal.h"
#include "net/http/message.h"

namespace asahi::identity {
namespace {

using ::testing::HasSubstr;
using testing::make_entry;
using ::testing::StartsWith;

/// Collects a streamed body.
class Body final : public http::BodyWriter {
 public:
  Task<void> write(std::string bytes) override {
    text += bytes;
    ++writes;
    co_return Result<void>{};
  }
  std::string text;
  int writes = 0;
};

class AuditRoutes : public testing::AuditFixture {
 protected:
  struct Reply {
    int status = 0;
    http::Headers headers;
    std::string body;
    int writes = 0;
    json::value read() const { return parse_json(body).value_or(nullptr); }
  };

  void SetUp() override {
    AuditFixture::SetUp();
    if (!log_) return;
    add_audit_routes(router_, *log_, clock_);
    auto caller = std::make_shared<Principal>();
    caller->kind = Principal::Kind::kSession;
    caller->org_id = "acme";
    caller->user_id = "ada";
    caller->permissions = {Permission::kViewAuditLog};
    caller_ = caller;
  }

  Reply call(const std::string& path, const std::string& query = "") {
    return net::run_sync<Reply>(loops_.at(0), [&]() -> Aw<Reply> {
      auto match = router_.match(http::Method::kGet, path);
      if (match.route == nullptr) co_return Reply{404, {}, "no route"};
      http::Request request{.path = path, .query = query, .remote_address = "10.1.1.1"};
      CancelSource cancel;
      http::Context context{.request = request,
                            .loop = loops_.at(0),
                            .cancel = cancel,
                            .request_id = "req_000000000000",
                            .caller = caller_};
      auto response = co_await match.route->handler(context);
      Reply reply{response.status, response.headers, response.body};
      if (response.stream) {
        Body body;
        auto streamed = co_await response.stream(body);
        EXPECT_TRUE(streamed);
        reply.body = body.text;
        reply.writes = body.writes;
      }
      co_return reply;
    });
  }

  http::Router router_;
  std::shared_ptr<const Principal> caller_;
};

TEST_P(AuditRoutes, AreBareAndVersionedAndAskForThePermission) {
  for (const std::string path : {"/governance/audit", "/governance/audit/export",
                                 "/governance/audit/verify", "/org/audit-log"}) {
    for (const std::string prefix : {"", "/api/v1"}) {
      const auto match = router_.match(http::Method::kGet, prefix + path);
      ASSERT_NE(match.route, nullptr) << prefix + path;
      EXPECT_EQ(match.route->access, "view_audit_log");
    }
  }
}

TEST_P(AuditRoutes, ListTheOwnOrganisationNewestFirst) {
  append(make_entry("acme", "one", {{"n", 1}}));
  append(make_entry("acme", "two"));
  append(make_entry("other", "secret"));
  for (const char* path : {"/governance/audit", "/api/v1/org/audit-log"}) {
    const auto reply = call(path);
    EXPECT_EQ(reply.status, 200);
    const auto body = reply.read();
    EXPECT_EQ(body.at("org_id"), "acme");
    EXPECT_EQ(body.at("count"), 2);
    EXPECT_EQ(body.at("entries").at(0).at("action"), "two");
    EXPECT_EQ(body.at("entries").at(1).at("details").at("n"), 1);
    EXPECT_TRUE(body.at("entries").at(1).at("prev_hash").is_null());
  }
}

TEST_P(AuditRoutes, FilterByActionUserAndTime) {
  for (int i = 0; i < 6; ++i) {
    append(make_entry("acme", i % 2 == 0 ? "even" : "odd"));
    clock_.advance(std::chrono::seconds(1));
  }
  const auto count = [&](const std::string& query) {
    const auto reply = call("/governance/audit", query);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply.read().at("count").as_int64();
  };
  EXPECT_EQ(count("action=odd"), 3);
  EXPECT_EQ(count("user_id=bob"), 0);
  EXPECT_EQ(count("limit=4"), 4);
  EXPECT_EQ(count("limit=4&offset=4"), 2);
  // 2023-11-14T22:13:20Z is the clock's start.
  EXPECT_EQ(count("start_time=2023-11-14T22:13:22Z&end_time=2023-11-15T00:13:23%2B02:00"), 2);
}

TEST_P(AuditRoutes, RefuseBadParametersByName) {
  for (const auto& [query, field] :
       {std::pair{"limit=0", "limit"},
        {"limit=501", "limit"},
        {"limit=ten", "limit"},
        {"offset=-1", "offset"},
        {"start_time=yesterday", "start_time"},
        {"end_time=2026-13-01", "end_time"},
        {"start_time=2026-01-02T00:00:00Z&end_time=2026-01-01T00:00:00Z", "end_time"}}) {
    const auto reply = call("/governance/audit", query);
    EXPECT_EQ(reply.status, 400) << query;
    EXPECT_EQ(reply.read().at("details").at("field"), field);
    EXPECT_THAT(reply.body, HasSubstr("must"));
  }
  const auto reply = call("/governance/audit/export", "format=xml");
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.read().at("details").at("field"), "format");
}

TEST_P(AuditRoutes, AForeignOrganisationIsNotFoundButForWhoManagesTenants) {
  append(make_entry("other", "secret"));
  for (const char* path : {"/governance/audit", "/governance/audit/export",
                           "/governance/audit/verify", "/org/audit-log"}) {
    const auto foreign = call(path, "org_id=other");
    EXPECT_EQ(foreign.status, 404) << path;
    EXPECT_EQ(foreign.body.find("secret"), std::string::npos);
    const auto unknown = call(path, "org_id=nobody");
    EXPECT_EQ(unknown.read().at("message"), foreign.read().at("message"));
    EXPECT_EQ(call(path, "org_id=acme").status, 200);
  }
  auto chief = std::make_shared<Principal>(*caller_);
  chief->permissions.add(Permission::kManageTenants);
  caller_ = chief;
  const auto reply = call("/governance/audit", "org_id=other");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.read().at("count"), 1);
}

TEST_P(AuditRoutes, ExportEverythingInPagesAndSayThatTheyDid) {
  fill("acme", 450);
  fill("other", 1);
  auto reply = call("/governance/audit/export");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.get("Content-Type"), "application/json");
  EXPECT_EQ(reply.headers.get("Content-Disposition"),
            "attachment; filename=\"audit-2023-11-14.json\"");
  EXPECT_GT(reply.writes, 2);
  auto entries = reply.read().as_array();
  ASSERT_GE(entries.size(), 450);
  EXPECT_EQ(entries.back().at("seq"), 1);
  ASSERT_TRUE(log_->flush(std::chrono::seconds(10)));
  const auto noted = query({.org_id = "acme", .action = "audit.export"});
  ASSERT_EQ(noted.size(), 1);
  EXPECT_EQ(noted[0].user_id, "ada");
  EXPECT_EQ(noted[0].ip_address, "10.1.1.1");

  reply = call("/governance/audit/export", "format=csv&action=action.7");
  EXPECT_EQ(reply.headers.get("Content-Type"), "text/csv; charset=utf-8");
  EXPECT_THAT(reply.body, StartsWith("entry_id,timestamp,"));
  EXPECT_EQ(std::ranges::count(reply.body, '\n'), 2);
  EXPECT_EQ(call("/governance/audit/export", "user_id=nobody").read(), json::array{});
}

TEST_P(AuditRoutes, VerifySaysWhereAChainBreaks) {
  fill("acme", 4);
  EXPECT_EQ(call("/governance/audit/verify").read(), (json::value{{"org_id", "acme"},
                                                                  {"valid", true},
                                                                  {"checked", 4},
                                                                  {"first_bad_entry", nullptr},
                                                                  {"problem", nullptr}}));
  if (is_postgres()) {
    sql("ALTER TABLE audit_entries DISABLE TRIGGER USER");
  } else {
    sql("DROP TRIGGER audit_entries_no_update");
  }
  sql("UPDATE audit_entries SET action = 'x' WHERE seq = 3");
  const auto body = call("/governance/audit/verify").read();
  EXPECT_EQ(body.at("valid"), false);
  EXPECT_EQ(body.at("problem"), "changed");
  EXPECT_EQ(
      body.at("first_bad_entry"),
      json::value(sql("SELECT entry_id FROM audit_entries WHERE seq = 3").text(0, "entry_id")));
}

INSTANTIATE_TEST_SUITE_P(Engines, AuditRoutes,
                         ::testing::Values(sql::testing::Engine::kSqliteFile,
                                           sql::testing::Engine::kPostgres),
                         sql::testing::engine_name);

}  // namespace
}  // namespace asahi::identity
