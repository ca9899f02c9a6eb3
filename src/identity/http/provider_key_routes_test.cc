// Organisations' own keys at vendors, as their admins see them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "identity/http/testing/installation.h"

namespace asahi::identity {
namespace {

using testing::as_operator;
using testing::bearer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Process;
using testing::Reply;

constexpr const char* kKey = "sk-own-of-acme-7788";

class ProviderKeyRoutesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    place_ = testing::TestPlace::make(sql::testing::Engine::kSqliteFile);
    ASSERT_NE(place_, nullptr);
    process_ = std::make_unique<Process>(testing::test_config(), *place_->database, "/nonexistent",
                                         clock_);
    acme_ = key("acme", "admin");
  }
  Process& process() { return *process_; }
  std::string key(const std::string& org, const std::string& scope) {
    const Reply reply = process().post(
        "/governance/api-keys", {{"org_id", org}, {"scopes", json::array{scope}}}, as_operator());
    EXPECT_EQ(reply.status, 201) << reply.body;
    return reply.text("api_key");
  }
  Reply set(const std::string& as, json::object body) {
    return process().post("/providers/keys", body, bearer(as));
  }

  ManualClock clock_;
  std::unique_ptr<testing::TestPlace> place_;
  std::unique_ptr<Process> process_;
  std::string acme_;
};

TEST_F(ProviderKeyRoutesTest, AKeyIsSetAndListedByItsHintAlone) {
  const Reply made = set(acme_, {{"provider", "openai"}, {"api_key", kKey}});
  EXPECT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.text("hint"), "7788");
  EXPECT_EQ(made.text("org_id"), "acme");
  EXPECT_THAT(made.text("created_by"), HasSubstr("key:ask_acme"));
  const Reply listed = process().get("/api/v1/providers/keys", bearer(acme_));
  EXPECT_EQ(listed.status, 200);
  EXPECT_THAT(listed.body, HasSubstr(R"("provider":"openai","hint":"7788")"));
  for (const Reply* reply : {&made, &listed}) EXPECT_THAT(reply->body, Not(HasSubstr("sk-own")));
  EXPECT_THAT(process().notices, ElementsAre("acme/openai"));
}

TEST_F(ProviderKeyRoutesTest, TheNextCallOfThisProcessHasTheKeyAndAfterItsRemovalHasNot) {
  const auto own = [&] {
    return process().wait_for([&]() -> Aw<std::string> {
      const auto keys = co_await process().own_keys.get("acme");
      EXPECT_TRUE(keys);
      co_return keys && *keys != nullptr ? (*keys)->at("openai").reveal() : "none";
    });
  };
  set(acme_, {{"provider", "openai"}, {"api_key", kKey}});
  EXPECT_EQ(own(), kKey);
  EXPECT_EQ(process().del("/providers/keys/openai", bearer(acme_)).status, 200);
  EXPECT_EQ(own(), "none");
  EXPECT_EQ(process().del("/providers/keys?provider=openai", bearer(acme_)).status, 404);
}

TEST_F(ProviderKeyRoutesTest, ChangesAreInTheAuditLogWithoutTheKey) {
  set(acme_, {{"provider", "openai"}, {"api_key", kKey}});
  process().del("/providers/keys?provider=openai", bearer(acme_));
  std::string all;
  for (const AuditEntry& entry : process().audit.entries())
    all += entry.action + " " + entry.resource + " " + json::serialize(entry.details) + "\n";
  EXPECT_THAT(all, HasSubstr("provider_key.set provider_key/openai"));
  EXPECT_THAT(all, HasSubstr("provider_key.remove provider_key/openai"));
  EXPECT_THAT(all, Not(HasSubstr("sk-own")));
}

TEST_F(ProviderKeyRoutesTest, AFaultNamesItsFieldAndNeverShowsTheKey) {
  const std::vector<std::pair<json::object, std::string>> faults = {
      {{{"api_key", kKey}}, "provider"},
      {{{"provider", "nobody"}, {"api_key", kKey}}, "provider"},
      {{{"provider", "openai"}}, "api_key"},
      {{{"provider", "openai"}, {"api_key", "short"}}, "api_key"},
      {{{"provider", "openai"}, {"api_key", "sk-own with blanks"}}, "api_key"},
      {{{"provider", "openai"}, {"api_key", 7}}, "api_key"}};
  for (const auto& [body, field] : faults) {
    const Reply reply = set(acme_, body);
    EXPECT_EQ(reply.status, 400) << reply.body;
    EXPECT_THAT(reply.body, HasSubstr("\"field\":\"" + field + "\"")) << reply.body;
    EXPECT_THAT(reply.body, Not(HasSubstr("sk-own")));
  }
  EXPECT_THAT(set(acme_, faults[1].first).body, HasSubstr("use one of anthropic, openai"));
}

TEST_F(ProviderKeyRoutesTest, OnlyAdminsOfTheOrganisationAndTheOperatorGetIn) {
  const std::string lesser = key("acme", "infer");
  const json::object body{{"provider", "openai"}, {"api_key", kKey}};
  EXPECT_EQ(set(lesser, body).status, 403);
  EXPECT_EQ(process().get("/providers/keys", bearer(lesser)).status, 403);
  EXPECT_EQ(set(acme_, body).status, 201);
  const std::string globex = key("globex", "admin");
  EXPECT_EQ(process().get("/providers/keys?org_id=acme", bearer(globex)).status, 404);
  EXPECT_EQ(process().del("/providers/keys?provider=openai", bearer(globex)).status, 404);
  EXPECT_THAT(process().get("/providers/keys", bearer(globex)).body, HasSubstr(R"("count":0)"));
  EXPECT_THAT(process().get("/providers/keys?org_id=acme", as_operator()).body,
              HasSubstr(R"("count":1)"));
}

}  // namespace
}  // namespace asahi::identity
