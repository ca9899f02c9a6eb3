// Spans in OTLP's JSON, and the settings that say where they go.
#include "gateway/traces/otlp_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/traces/config.h"
#include "gateway/traces/otlp_settings.h"

namespace asahi::gateway {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

InferenceEvent told() {
  const CallTrace::Time start{1h};
  auto trace = std::make_shared<CallTrace>(start);
  trace->context = {0x4bf92f3577b34da6, 0xa3ce929d0e0e4736, 0x1122334455667788, true};
  trace->exported = true;
  trace->dispatch = trace->spans.begin(static_cast<std::uint8_t>(Stage::kDispatch), 0, start + 1ms);
  const int attempt = trace->begin_attempt("openai", "gpt-4o-mini", start + 2ms);
  const Error late{.code = Errc::kTimeout, .message = "said: what is your name"};
  trace->end_attempt(attempt, &late, start + 4ms);
  trace->spans.end_all(start + 10ms);
  InferenceEvent event;
  event.timestamp = Clock::Time{1'700'000'000s};
  event.request_id = "req_1";
  event.org_id = "acme";
  event.route = "/infer";
  event.model_selected = "gpt-4o-mini";
  event.routing_reason = "he said \"so\"\n";
  event.cost = {2'000'000};
  event.input_tokens = 12;
  event.trace = std::move(trace);
  return event;
}

json::object parsed(const std::string& text) {
  auto value = parse_json(text);
  EXPECT_TRUE(value && value->is_object()) << text;
  return value ? value->get_object() : json::object();
}

TEST(OtlpJson, IsAnExportRequestWithExactTimes) {
  const auto record = make_record(told());
  const std::string body = otlp_body({.service_name = "asahi",
                                      .version = "1.0.0",
                                      .environment = "test",
                                      .instance = "node_1",
                                      .further = {{"team", "a b"}, {"service.name", "other"}}},
                                     {otlp_spans(*record), otlp_spans(*record)});
  const json::object request = parsed(body);
  const json::object& group = request.at("resourceSpans").at(0).as_object();
  EXPECT_THAT(json::serialize(group.at("resource")),
              HasSubstr(R"({"key":"service.name","value":{"stringValue":"other"}})"));
  EXPECT_THAT(json::serialize(group.at("resource")),
              Not(HasSubstr(R"("stringValue":"asahi"}},{"key":"service.version")")));
  const json::array& spans = group.at("scopeSpans").at(0).at("spans").as_array();
  ASSERT_EQ(spans.size(), 6U);
  const json::object& root = spans[0].as_object();
  EXPECT_EQ(root.at("traceId"), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(root.at("spanId"), "1122334455667788");
  EXPECT_FALSE(root.contains("parentSpanId"));
  EXPECT_EQ(root.at("kind"), 2);
  EXPECT_EQ(root.at("startTimeUnixNano"), "1699999999990000000");
  EXPECT_EQ(root.at("endTimeUnixNano"), "1700000000000000000");
  EXPECT_THAT(json::serialize(root.at("attributes")),
              HasSubstr(R"({"key":"gen_ai.usage.input_tokens","value":{"intValue":"12"}})"));
  EXPECT_THAT(json::serialize(root.at("attributes")),
              HasSubstr(R"({"key":"asahi.cache.hit","value":{"boolValue":false}})"));
  EXPECT_TRUE(root.at("status").as_object().empty());
  const json::object& attempt = spans[2].as_object();
  EXPECT_EQ(attempt.at("name"), "chat gpt-4o-mini");
  EXPECT_EQ(attempt.at("kind"), 3);
  EXPECT_EQ(attempt.at("parentSpanId"), spans[1].at("spanId"));
  EXPECT_EQ(attempt.at("status").at("code"), 2);
  EXPECT_THAT(json::serialize(attempt.at("attributes")),
              HasSubstr(R"({"key":"error.type","value":{"stringValue":"timeout"}})"));
  EXPECT_THAT(body, Not(HasSubstr("your name"))) << "what vendors say stays here";
}

TEST(OtlpSettings, TargetIsTheBaseWithItsPathOrTheWholeUrl) {
  auto target = otlp_target("http://collector:4318/base/", "");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->origin.to_string() + target->target, "http://collector:4318/base/v1/traces");
  target = otlp_target("http://ignored", "https://otlp.example.com/otlp/v1/traces");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->origin.to_string() + target->target, "https://otlp.example.com/otlp/v1/traces");
  target = otlp_target("", "http://collector:4318");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->target, "/");
  EXPECT_FALSE(otlp_target("collector:4317", ""));
}

TEST(OtlpSettings, PairsArePercentDecoded) {
  const auto pairs = parse_pairs("Authorization=Basic%20abc%3D, x-scope = tenant ,,a=");
  ASSERT_TRUE(pairs);
  EXPECT_THAT(*pairs, ElementsAre(Pair("Authorization", "Basic abc="), Pair("x-scope", "tenant"),
                                  Pair("a", "")));
  EXPECT_TRUE(parse_pairs("")->empty());
}

TEST(OtlpSettings, BrokenPairsAreRefusedWithoutTheirValues) {
  for (const char* wrong : {"secret", "a=1,secret", "=secret", "a=%zzsecret", "a=%0Asecret"}) {
    const auto pairs = parse_pairs(wrong);
    ASSERT_FALSE(pairs) << wrong;
    EXPECT_THAT(pairs.error().message, Not(HasSubstr("secret")));
  }
}

TracesConfig bound(std::map<std::string, std::string, std::less<>> environment,
                   std::vector<config::Fault>* faults = nullptr) {
  config::Binder binder({.environment = std::move(environment)});
  TracesConfig config;
  bind(binder, config);
  auto found = binder.finish();
  if (faults != nullptr) *faults = std::move(found);
  return config;
}

TEST(TracesConfig, TakesTheStandardVariables) {
  std::vector<config::Fault> faults;
  const TracesConfig config = bound({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"},
                                     {"OTEL_EXPORTER_OTLP_HEADERS", "api-key=k"},
                                     {"OTEL_SERVICE_NAME", "gw"},
                                     {"OTEL_RESOURCE_ATTRIBUTES", "team=a"},
                                     {"OTEL_TRACES_SAMPLER", "traceidratio"},
                                     {"OTEL_TRACES_SAMPLER_ARG", "0.5"},
                                     {"SENTRY_DSN", "https://key@sentry.example.com/7"}},
                                    &faults);
  EXPECT_TRUE(faults.empty()) << faults.front().path << faults.front().rule;
  EXPECT_TRUE(config.exports());
  EXPECT_EQ(config.otlp_endpoint, "http://localhost:4318");
  EXPECT_EQ(config.otlp_headers.reveal(), "api-key=k");
  EXPECT_EQ(config.service_name, "gw");
  EXPECT_EQ(config.trace_sampler, "traceidratio");
  EXPECT_EQ(config.trace_sample_rate, 0.5);
}

TEST(TracesConfig, NamesWhatCannotBe) {
  std::vector<config::Fault> faults;
  (void)bound({{"OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"},
               {"OTEL_EXPORTER_OTLP_HEADERS", "top-secret"},
               {"OTEL_TRACES_SAMPLER", "jaeger_remote"},
               {"SENTRY_DSN", "https://sentry.example.com/secret"}},
              &faults);
  std::vector<std::string> paths;
  for (const config::Fault& fault : faults) {
    paths.push_back(fault.path);
    EXPECT_THAT(fault.rule + fault.value, Not(HasSubstr("secret")));
  }
  EXPECT_THAT(paths, ::testing::UnorderedElementsAre(
                         "observability.otlp_endpoint", "observability.otlp_headers",
                         HasSubstr("TRACES_SAMPLER"), "observability.sentry_dsn"));
}

}  // namespace
}  // namespace asahi::gateway
