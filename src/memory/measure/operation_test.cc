#include "memory/measure/operation.h"

#include <gtest/gtest.h>

#include "memory/testing/on_loop.h"

namespace asahi::memory {
namespace {

TEST(Operation, IsCountedByItsOutcomeAndTimed) {
  telemetry::Registry metrics;
  const Operation operation(metrics, "search");
  operation.ended(true, std::chrono::milliseconds(3));
  operation.ended(false, std::chrono::seconds(2));
  const std::string text = metrics.expose();
  EXPECT_NE(text.find(R"(akosha_operations_total{operation_type="search",status="success"} 1)"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(R"(akosha_operations_total{operation_type="search",status="error"} 1)"),
            std::string::npos);
  EXPECT_NE(
      text.find(
          R"(akosha_operation_duration_seconds_bucket{operation_type="search",le="0.005"} 1)"),
      std::string::npos);
}

TEST(KindOfRoute, IsItsPartAndItsWork) {
  using enum http::Method;
  EXPECT_EQ(kind_of(kPost, "/search").part, Part::kQueryEngine);
  EXPECT_EQ(kind_of(kPost, "/query/search").operation, "search");
  EXPECT_EQ(kind_of(kGet, "/graph/entities/{id}").part, Part::kKnowledgeGraph);
  EXPECT_EQ(kind_of(kGet, "/analytics/trends").part, Part::kTimeSeries);
  EXPECT_EQ(kind_of(kDelete, "/systems/{system_id}").operation, "erase");
  EXPECT_EQ(kind_of(kGet, "/memories/{system_id}/{conversation_id}").operation, "read");
  EXPECT_EQ(kind_of(kPost, "/memories/batch").operation, "ingest");
  EXPECT_FALSE(kind_of(kPost, "/memories").part) << "ingestion counts its errors itself";
  EXPECT_EQ(kind_of(kPost, "/nothing/known").operation, "other");
}

TEST(HttpMetricsOf, TheMemoryCountsItsRoutesUnderBothPrefixesAndNoOther) {
  telemetry::Registry metrics;
  testing::OnLoop loop;
  CancelSource cancel;
  const HttpMetrics counted(metrics, system_clock(), "/memory");
  for (const char* route : {"/memory/search", "/api/v1/memory/search", "/v1/chat/completions"}) {
    http::Request request;
    request.method = http::Method::kPost;
    http::Context context{.request = request, .loop = loop.loop(), .cancel = cancel};
    context.route = route;
    counted.completed(context, 200);
  }
  const std::string text = metrics.expose();
  EXPECT_NE(
      text.find(
          R"(akosha_http_requests_total{endpoint="/memory/search",method="POST",status="200"} 1)"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find("/api/v1/memory/search"), std::string::npos);
  EXPECT_EQ(text.find("/v1/chat"), std::string::npos);
}

}  // namespace
}  // namespace asahi::memory
