#include "net/mcp/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/blocking.h"
#include "net/loop.h"
#include "net/mcp/server.h"

namespace asahi::mcp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A client whose requests reach a real server without a socket, and are written down.
class McpClient : public testing::Test {
 protected:
  McpClient() : server_({"orchestrator", "2.1", ""}, tools()) { loops_.start(); }
  ~McpClient() override { loops_.stop(); }

  static std::vector<Tool> tools() {
    std::vector<Tool> list;
    list.push_back({.name = "double",
                    .input_schema = {{"type", "object"}},
                    .run = [](Call, json::object arguments) -> Task<json::object> {
                      co_return json::object{{"twice", arguments["n"].to_number<int>() * 2}};
                    }});
    list.push_back({.name = "fails",
                    .input_schema = {{"type", "object"}},
                    .run = [](Call, json::object) -> Task<json::object> {
                      co_return fail(Errc::kInternal, "red is sold out");
                    }});
    return list;
  }
  Client::Send send() {
    return [this](http::ClientRequest request, http::CallOptions) -> Task<http::ClientResponse> {
      seen_.push_back(request);
      if (status_ != 200)
        co_return http::ClientResponse{.status = status_, .headers = {}, .body = "no"};
      http::ClientResponse reply{.status = 200, .headers = {}, .body = {}};
      reply.headers.set("Content-Type", "application/json");
      if (!session_.empty()) reply.headers.set("Mcp-Session-Id", session_);
      if (request.method == http::Method::kDelete) co_return reply;
      auto answer = co_await server_.handle(request.body, Call{});
      if (!answer) reply.status = 202;
      reply.body = answer.value_or("");
      if (streams_) {
        reply.headers.set("Content-Type", "text/event-stream");
        reply.body = ": hello\n\nevent: message\ndata: " + reply.body + "\n\n";
      }
      co_return reply;
    };
  }
  Client client(std::string key = "") {
    return Client::make({.url = "http://orchestrator:8680/mcp", .bearer = Secret(std::move(key))},
                        send())
        .value();
  }
  Result<json::object> call(std::string tool, json::object arguments = {}) {
    const Client made = client("key");
    return net::run_sync<Result<json::object>>(
        loops_.at(0), [&] { return made.call(std::move(tool), std::move(arguments)); });
  }

  net::LoopPool loops_{1};
  Server server_;
  std::vector<http::ClientRequest> seen_;
  std::string session_;
  bool streams_ = false;
  int status_ = 200;
};

TEST_F(McpClient, CallsATool) {
  const auto result = call("double", {{"n", 21}});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->at("structuredContent").at("twice"), 42);
  ASSERT_EQ(seen_.size(), 3U) << "hello, heard, the call";
  EXPECT_EQ(seen_[0].origin.port, 8680);
  EXPECT_EQ(seen_[0].target, "/mcp");
  EXPECT_EQ(seen_[0].headers.get("Authorization"), "Bearer key");
  EXPECT_EQ(seen_[0].headers.get("MCP-Protocol-Version"), "");
  EXPECT_EQ(seen_[2].headers.get("MCP-Protocol-Version"), "2025-06-18");
}

TEST_F(McpClient, UnderstandsAnswersThatAreStreamed) {
  streams_ = true;
  EXPECT_EQ(call("double", {{"n", 4}})->at("structuredContent").at("twice"), 8);
}

TEST_F(McpClient, EndsTheSessionThatTheServerBegan) {
  session_ = "s-1";
  ASSERT_TRUE(call("double", {{"n", 1}}));
  ASSERT_EQ(seen_.size(), 4U);
  EXPECT_EQ(seen_[1].headers.get("Mcp-Session-Id"), "s-1");
  EXPECT_EQ(seen_[3].method, http::Method::kDelete);
}

TEST_F(McpClient, TellsWhyAToolFailed) {
  const auto result = call("fails");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::kUpstream);
  EXPECT_THAT(result.error().message, HasSubstr("red is sold out"));
  EXPECT_THAT(call("nothing").error().message, HasSubstr("refused"));
}

TEST_F(McpClient, TellsOfAServerThatIsNoneOrRefusesIt) {
  status_ = 401;
  EXPECT_EQ(call("double").error().code, Errc::kUnauthenticated);
  status_ = 404;
  EXPECT_EQ(call("double").error().code, Errc::kUpstream);
  for (const char* body : {"", "<html>", "[]", R"({"id":2,"result":{}})", R"({"id":1})"}) {
    const auto answer = answer_in({.status = 200, .headers = {}, .body = body}, 1);
    ASSERT_FALSE(answer) << body;
    EXPECT_EQ(answer.error().code, Errc::kUpstream) << body;
  }
  EXPECT_FALSE(Client::make({.url = "ftp://x"}, send()));
}

TEST_F(McpClient, SaysHello) {
  const Client made = client();
  const auto info = net::run_sync<Result<json::object>>(loops_.at(0), [&] { return made.hello(); });
  ASSERT_TRUE(info);
  EXPECT_EQ(info->at("name"), "orchestrator");
  EXPECT_EQ(seen_[0].headers.get("Authorization"), "");
}

}  // namespace
}  // namespace asahi::mcp
