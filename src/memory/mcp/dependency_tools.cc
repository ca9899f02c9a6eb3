#include <fmt/format.h>

#include <string>
#include <utility>

#include "identity/principal.h"
#include "memory/mcp/tools.h"

/// MCP tools that ask about services outside and wait for them (spec/memory §2.4).
namespace asahi::memory {
namespace {

using OneAnswer = Aw<OutsideServices::Answer> (*)(const OutsideServices& services, std::string name,
                                                  OutsideService service,
                                                  std::chrono::nanoseconds most);

constexpr std::string_view kService = R"(
    "service_name":{"type":"string","minLength":1,"maxLength":64,
      "description":"one that is configured (session_buddy, mahavishnu), or any name with host and port"},
    "host":{"type":"string","minLength":1,"maxLength":253},
    "port":{"type":"integer","minimum":1,"maximum":65535},
    "timeout":{"type":"integer","minimum":1,"maximum":300,"description":"seconds"},
    "required":{"type":"boolean"},
    "use_tls":{"type":"boolean"})";

bool may_name_hosts(const mcp::Call& call) {
  return call.http == nullptr ||
         identity::principal_of(*call.http).may(identity::Permission::kAdminSettings);
}

/// The configured service, or what the arguments say; these reach into the network that this
/// process stands in, so that not everybody may name them.
Result<OutsideService> service_of(const OutsideServices& services, const mcp::Call& call,
                                  const json::object& arguments) {
  const std::string name(arguments.at("service_name").as_string());
  const auto known = services.known().find(name);
  OutsideService service = known != services.known().end() ? known->second : OutsideService{};
  const json::value* const host = arguments.if_contains("host");
  const json::value* const port = arguments.if_contains("port");
  const json::value* const tls = arguments.if_contains("use_tls");
  if ((host != nullptr || port != nullptr || tls != nullptr) && !may_name_hosts(call)) {
    return fail(Errc::kForbidden,
                "host, port and use_tls need the permission admin:settings; without them "
                "configured services can be asked about");
  }
  if (known == services.known().end() && (host == nullptr || port == nullptr)) {
    std::string names;
    for (const auto& [each, at] : services.known())
      names += fmt::format("{}{}", names.empty() ? "" : ", ", each);
    return fail_field(
        "service_name",
        fmt::format("'{}' is none of {}; another one needs host and port", name, names));
  }
  if (host != nullptr) service.host = std::string(host->as_string());
  if (port != nullptr) service.port = port->to_number<std::uint16_t>();
  if (tls != nullptr) service.use_tls = tls->as_bool();
  if (const json::value* required = arguments.if_contains("required"))
    service.required = required->as_bool();
  return service;
}

json::object answer_json(const OutsideServices::Answer& answer) {
  const DependencyReport& report = answer.report;
  return {{"service_name", report.name},
          {"status", report.healthy ? "healthy" : "unavailable"},
          {"required", report.required},
          {"latency_ms", std::chrono::duration<double, std::milli>(report.latency).count()},
          {"tries", answer.tries},
          {"waited_seconds", std::chrono::duration<double>(answer.waited).count()},
          {"error", report.healthy ? json::value(nullptr) : json::value(report.error)}};
}

mcp::Tool one_service(const OutsideServices& services, std::string name, std::string title,
                      std::string description, OneAnswer how) {
  auto run = [&services, how](mcp::Call call, json::object arguments) -> Task<json::object> {
    ASAHI_CO_TRY(OutsideService service, service_of(services, call, arguments));
    std::chrono::seconds patience = service.timeout;
    if (const json::value* timeout = arguments.if_contains("timeout"))
      patience = std::chrono::seconds(timeout->to_number<int>());
    // Answers are due before the request's own time is over.
    constexpr std::chrono::milliseconds kToAnswer{500};
    const auto left = deadline_of(call) - std::chrono::steady_clock::now() - kToAnswer;
    const auto most = std::min<std::chrono::nanoseconds>(patience, left);
    std::string asked(arguments.at("service_name").as_string());
    const OutsideServices::Answer answer =
        co_await how(services, std::move(asked), std::move(service), most);
    co_return answer_json(answer);
  };
  return {.name = std::move(name),
          .title = std::move(title),
          .description = std::move(description),
          .input_schema = schema(fmt::format("{{{}}}", kService), {"service_name"}),
          .access = "system:status",
          .run = std::move(run)};
}

json::object all_json(const Health::Report& report) {
  json::object all = health_json(report);
  json::object& dependencies = all["dependencies"].as_object();
  for (const DependencyReport& one : report.dependencies) {
    if (!one.healthy) dependencies[one.name].as_object()["error"] = one.error;
  }
  return all;
}

}  // namespace

std::vector<mcp::Tool> make_dependency_tools(const OutsideServices& services) {
  std::vector<mcp::Tool> tools;
  const OneAnswer once = [](const OutsideServices& asked, std::string name, OutsideService service,
                            std::chrono::nanoseconds most) -> Aw<OutsideServices::Answer> {
    service.timeout =
        std::max(std::chrono::floor<std::chrono::seconds>(most), std::chrono::seconds(1));
    co_return co_await asked.check(std::move(name), std::move(service));
  };
  const OneAnswer patiently = [](const OutsideServices& asked, std::string name,
                                 OutsideService service,
                                 std::chrono::nanoseconds most) -> Aw<OutsideServices::Answer> {
    return asked.wait(std::move(name), std::move(service), most);
  };
  tools.push_back(one_service(services, "health_check_service", "Is a service healthy?",
                              "Asks a service outside for its GET /health", once));
  tools.push_back(one_service(services, "wait_for_dependency", "Wait for a service",
                              "Asks a service outside again after 1, 2, 4, 8, 16 seconds until it "
                              "is healthy or the timeout has passed",
                              patiently));
  tools.push_back({.name = "health_check_all",
                   .title = "Are all services healthy?",
                   .description = "Asks all configured services outside at once",
                   .input_schema = schema("{}", {}),
                   .access = "system:status",
                   .run = [&services](mcp::Call, json::object) -> Task<json::object> {
                     const Health::Report report = co_await services.check_all();
                     co_return all_json(report);
                   }});
  tools.push_back(
      {.name = "wait_for_all_dependencies",
       .title = "Wait for all services",
       .description = "Waits until the configured services outside are healthy",
       .input_schema =
           schema(R"({"timeout":{"type":"integer","minimum":1,"maximum":300,"default":30}})", {}),
       .access = "system:status",
       .run = [&services](mcp::Call call, json::object arguments) -> Task<json::object> {
         const auto until = std::min<Clock::Steady>(
             deadline_of(call) - std::chrono::milliseconds(500),
             std::chrono::steady_clock::now() +
                 std::chrono::seconds(arguments.at("timeout").to_number<int>()));
         Health::Report report;
         // One after the other: waiting for the first is waiting for the others as well.
         for (const auto& [name, service] : services.known()) {
           const OutsideServices::Answer answer =
               co_await services.wait(name, service, until - std::chrono::steady_clock::now());
           report.dependencies.push_back(answer.report);
         }
         co_return all_json(report);
       }});
  return tools;
}

}  // namespace asahi::memory
