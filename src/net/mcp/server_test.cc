#include "net/mcp/server.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "net/blocking.h"
#include "net/loop.h"

namespace asahi::mcp {
namespace {

class McpServer : public testing::Test {
 protected:
  McpServer() : loops_(1), server_({"test-mcp", "1.0.0", "ask nicely"}, tools()) { loops_.start(); }
  ~McpServer() override { loops_.stop(); }

  static std::vector<Tool> tools() {
    std::vector<Tool> list;
    list.push_back({.name = "double",
                    .title = "Double",
                    .description = "Doubles a number",
                    .input_schema = json::parse(R"({"type":"object","properties":
                       {"n":{"type":"integer","default":21,"maximum":100}}})")
                                        .as_object(),
                    .run = [](Call, json::object arguments) -> Task<json::object> {
                      co_return json::object{{"twice", arguments["n"].to_number<int>() * 2}};
                    }});
    list.push_back({.name = "fails",
                    .description = "Always fails",
                    .input_schema = {{"type", "object"}},
                    .read_only = false,
                    .run = [](Call, json::object) -> Task<json::object> {
                      co_return fail_field("colour", "red is sold out");
                    }});
    return list;
  }

  std::optional<std::string> send(std::string message) {
    return net::run_sync<std::optional<std::string>>(
        loops_.at(0), [&]() -> Aw<std::optional<std::string>> {
          co_return co_await server_.handle(message, Call{});
        });
  }
  json::object answer(std::string message) {
    auto text = send(std::move(message));
    return text ? json::parse(*text).as_object() : json::object{};
  }

  net::LoopPool loops_;
  Server server_;
};

TEST_F(McpServer, AgreesOnARevisionThatBothSidesSpeak) {
  const auto revision = [&](const char* asked) {
    const json::object reply =
        answer(fmt::format(R"({{"jsonrpc":"2.0","id":1,"method":"initialize","params":
                       {{"protocolVersion":"{}","capabilities":{{}}}}}})",
                           asked));
    return std::string(reply.at("result").at("protocolVersion").as_string());
  };
  EXPECT_EQ(revision("2024-11-05"), "2024-11-05");
  EXPECT_EQ(revision("2099-01-01"), "2025-06-18");
  const json::object reply = answer(R"({"jsonrpc":"2.0","id":"a","method":"initialize"})");
  EXPECT_EQ(reply.at("id"), "a");
  EXPECT_EQ(reply.at("result").at("serverInfo").at("name"), "test-mcp");
  EXPECT_EQ(reply.at("result").at("instructions"), "ask nicely");
}

TEST_F(McpServer, ListsToolsWithTheirSchemas) {
  const json::object reply = answer(R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})");
  const json::array& list = reply.at("result").at("tools").as_array();
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0].at("inputSchema").at("properties").at("n").at("default"), 21);
  EXPECT_EQ(list[1].at("annotations").at("readOnlyHint"), false);
}

TEST_F(McpServer, AnswersACallAsTextAndAsData) {
  const json::object reply =
      answer(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"double"}})");
  EXPECT_EQ(reply.at("result").at("structuredContent"), (json::object{{"twice", 42}}));
  EXPECT_EQ(reply.at("result").at("content").at(0).at("text"), R"({"twice":42})");
  EXPECT_EQ(reply.at("result").at("isError"), false);
}

TEST_F(McpServer, TellsTheModelWhatIsWrongWithItsCall) {
  const json::object bad = answer(R"({"jsonrpc":"2.0","id":1,"method":"tools/call",
      "params":{"name":"double","arguments":{"n":101}}})");
  EXPECT_EQ(bad.at("result").at("isError"), true);
  EXPECT_EQ(bad.at("result").at("structuredContent").at("field"), "n");
  const json::object failed =
      answer(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fails"}})");
  EXPECT_EQ(failed.at("result").at("structuredContent").at("error"), "invalid_argument");
  EXPECT_EQ(failed.at("result").at("structuredContent").at("message"), "red is sold out");
}

TEST_F(McpServer, RefusesWhatIsNoRequest) {
  const auto code = [&](const char* message) {
    return answer(message).at("error").at("code").to_number<int>();
  };
  EXPECT_EQ(code("{"), -32700);
  EXPECT_EQ(code("7"), -32600);
  EXPECT_EQ(code("[]"), -32600);
  EXPECT_EQ(code(R"({"id":1,"method":"ping"})"), -32600);
  EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":{},"method":"ping"})"), -32600);
  EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1,"method":"resources/list"})"), -32601);
  EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]})"), -32602);
  EXPECT_EQ(code(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}})"),
            -32602);
}

TEST_F(McpServer, AnswersNoNotificationsAndNoAnswers) {
  EXPECT_FALSE(send(R"({"jsonrpc":"2.0","method":"notifications/initialized"})"));
  EXPECT_FALSE(send(R"({"jsonrpc":"2.0","id":4,"result":{}})"));
}

TEST_F(McpServer, AnswersABatchMessageByMessage) {
  const auto text = send(R"([{"jsonrpc":"2.0","id":1,"method":"ping"},
      {"jsonrpc":"2.0","method":"notifications/cancelled"},
      {"jsonrpc":"2.0","id":2,"method":"nothing"}])");
  ASSERT_TRUE(text);
  const json::array replies = json::parse(*text).as_array();
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_EQ(replies[0].at("result"), json::object{});
  EXPECT_EQ(replies[1].at("id"), 2);
}

}  // namespace
}  // namespace asahi::mcp
