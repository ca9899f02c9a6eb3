#include "memory/mcp/tool_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "memory/testing/on_loop.h"

namespace asahi::memory {
namespace {

using identity::SecurityEvent;
using identity::SecuritySeverity;
using ::testing::ElementsAre;

class ToolWatchTest : public ::testing::Test {
 protected:
  void call_over_http(const Result<json::object>* outcome) {
    on_.wait<void>([&]() -> Task<void> {
         http::Request request;
         CancelSource cancel;
         http::Context context{.request = request, .loop = on_.loop(), .cancel = cancel};
         watch_({.http = &context}, tool_, outcome);
         co_return Result<void>{};
       })
        .value();
  }
  void call_on_standard_input(const Result<json::object>* outcome) { watch_({}, tool_, outcome); }
  /// "<event> <severity> <result>" of each entry.
  std::vector<std::string> entries() const {
    std::vector<std::string> out;
    for (const identity::SecurityEntry& each : entries_) {
      out.push_back(std::string(to_string(each.event)) + " " +
                    std::string(to_string(each.severity)) + " " + each.result);
    }
    return out;
  }

  memory::testing::OnLoop on_;
  ManualClock clock_;
  telemetry::Registry metrics_;
  std::vector<identity::SecurityEntry> entries_;
  identity::SecurityLog log_{metrics_, clock_, identity::SecurityLog::Options(),
                             [this](LogLevel, const identity::SecurityEntry& entry, std::uint64_t) {
                               entries_.push_back(entry);
                             }};
  const mcp::Tool tool_{.name = "find_path"};
  const mcp::Server::Watch watch_ = watch_tools(log_);
};

TEST_F(ToolWatchTest, TellsWhatCameOfACall) {
  const Result<json::object> done = json::object();
  const Result<json::object> broken = fail(Errc::kUnavailable, "the store is away");
  const Result<json::object> forbidden = fail(Errc::kForbidden, "another system's");
  call_over_http(&done);
  call_over_http(&broken);
  call_over_http(&forbidden);
  call_over_http(nullptr);  // who may not call it at all
  EXPECT_THAT(entries(),
              ElementsAre("mcp_tool_access INFO allowed", "mcp_tool_access INFO failed",
                          "mcp_tool_access MEDIUM denied", "mcp_tool_access MEDIUM denied"));
  EXPECT_EQ(entries_[0].resource, "tool/find_path");
  EXPECT_TRUE(entries_[0].details.empty());
  EXPECT_THAT(entries_[1].details,
              ElementsAre(std::pair<std::string, std::string>("field", ""),
                          std::pair<std::string, std::string>("reason", "the store is away")));
}

TEST_F(ToolWatchTest, ArgumentsThatBreakARuleHaveAnEntryOfTheirOwn) {
  const Result<json::object> refused = fail_field("limit", "it is over 1000");
  call_over_http(&refused);
  EXPECT_THAT(entries(),
              ElementsAre("schema_validation_failure LOW failed", "mcp_tool_access INFO failed"));
  EXPECT_EQ(entries_[0].details[0].second, "limit");
}

TEST_F(ToolWatchTest, AWayUpTheFileSystemIsTold) {
  const Result<json::object> refused = fail_field("system_id", "'../../etc' is no identifier");
  call_over_http(&refused);
  EXPECT_THAT(entries(),
              ElementsAre("schema_validation_failure LOW failed",
                          "path_traversal_attempt HIGH failed", "mcp_tool_access INFO failed"));
}

TEST_F(ToolWatchTest, AClientOnStandardInputIsTheProcessItselfAndAttacksNobody) {
  const Result<json::object> refused = fail_field("system_id", "'../../etc' is no identifier");
  call_on_standard_input(&refused);
  EXPECT_THAT(entries(), ElementsAre("mcp_tool_access INFO failed"));
}

}  // namespace
}  // namespace asahi::memory
