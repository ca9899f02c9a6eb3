#include "memory/config_fitness.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <string>

namespace asahi::memory {
namespace {

bool is_component_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-';
  });
}

void bind_component(config::Binder& binder, config::Binder::Section section,
                    const std::string& name, MemoryConfig::Fitness::Component& component) {
  const std::string path = "memory.fitness.components." + name;
  std::string upper = name;
  std::ranges::transform(upper, upper.begin(), [](unsigned char ch) {
    return std::isalnum(ch) != 0 ? static_cast<char>(std::toupper(ch)) : '_';
  });
  const std::string prefix = "AKOSHA_FITNESS__COMPONENTS__" + upper + "__";
  section.value("url", component.url,
                {.env = {prefix + "URL"}, .help = "MCP endpoint with query_local_traces"});
  section.value("token", component.token, {.env = {prefix + "TOKEN"}, .help = "its bearer token"});
  section.value("org_id", component.org_id,
                {.min = 1, .max = 100, .env = {prefix + "ORG_ID"}, .help = "whose figures"});
  section.value("system_id", component.system_id,
                {.max = 100,
                 .env = {prefix + "SYSTEM_ID"},
                 .help = "whose traces are asked for; empty: the component's name"});
  if (component.system_id.empty()) component.system_id = name;
  if (!is_component_name(name)) {
    binder.fault({.path = path,
                  .value = name,
                  .rule = "a component's name is 1 to 64 letters, digits, '_', '-'",
                  .origin = ""});
  }
  if (!component.url.starts_with("http://") && !component.url.starts_with("https://")) {
    binder.fault({.path = path + ".url",
                  .value = component.url,
                  .rule = "must begin with http:// or https://",
                  .origin = ""});
  }
}

}  // namespace

void bind_fitness(config::Binder& binder, config::Binder::Section memory, MemoryConfig& c) {
  constexpr std::size_t kMostComponents = 32;
  auto traces = memory.section("traces");
  traces.value("retention_hours", c.traces.retention_hours,
               {.min = 1,
                .max = 8'760,
                .env = {"AKOSHA_TRACES_RETENTION_HOURS"},
                .help = "hours that traces of agents' work are kept"});
  traces.value("most", c.traces.most,
               {.min = 1'000,
                .max = 10'000'000,
                .env = {"AKOSHA_TRACES_MOST"},
                .help = "traces of one organisation; the oldest beyond go"});
  auto fitness = memory.section("fitness");
  fitness.value("component_urls", c.fitness.component_urls,
                {.env = {"AKOSHA_FITNESS_COMPONENTS"},
                 .help = "name=url of MCP servers that are asked for traces, with commas"});
  fitness.value("poll_seconds", c.fitness.poll_seconds,
                {.min = 10,
                 .max = 3'600,
                 .env = {"AKOSHA_FITNESS_POLL_SECONDS"},
                 .help = "between two rounds of asking components"});
  fitness.value("window_minutes", c.fitness.window_minutes,
                {.min = 5,
                 .max = 1'440,
                 .env = {"AKOSHA_FITNESS_WINDOW_MINUTES"},
                 .help = "age of traces that figures are of"});
  fitness.value("timeout_seconds", c.fitness.timeout_seconds,
                {.min = 1,
                 .max = 10,
                 .env = {"AKOSHA_FITNESS_TIMEOUT"},
                 .help = "longest wait for a component's answer"});
  auto components = fitness.section("components");
  std::set<std::string, std::less<>> bound;
  std::string_view rest = c.fitness.component_urls;
  while (!rest.empty()) {
    const std::string_view one = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    const auto equals = one.find('=');
    if (equals == std::string_view::npos || !is_component_name(one.substr(0, equals))) {
      binder.fault({.path = "memory.fitness.component_urls",
                    .value = std::string(one),
                    .rule = "must be name=url, the name of 1 to 64 letters, digits, '_', '-'",
                    .origin = ""});
      continue;
    }
    const std::string name(one.substr(0, equals));
    c.fitness.components[name].url = std::string(one.substr(equals + 1));
    bind_component(binder, components.section(name), name, c.fitness.components[name]);
    bound.insert(name);
  }
  components.each([&](const std::string& name, config::Binder::Section found) {
    if (!bound.contains(name)) bind_component(binder, found, name, c.fitness.components[name]);
  });
  if (c.fitness.components.size() > kMostComponents) {
    binder.fault({.path = "memory.fitness.components",
                  .value = std::to_string(c.fitness.components.size()),
                  .rule = "are 32 at most",
                  .origin = ""});
  }
}

}  // namespace asahi::memory
