#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "memory/http/routes.h"
#include "memory/outside/services.h"
#include "net/mcp/server.h"

namespace asahi::memory {

/// What tools tell of the process.
struct HealthTools {
  std::function<Task<json::object>()> readiness;
  std::function<json::object(bool all)> metrics;  ///< `all`: with series per system
  const OutsideServices& services;
};

/// The tools of the memory (spec §2.4). `profile`: minimal (health and discovery), standard (and
/// search, push, status) or full (all). `discover_tools` tells of both what is offered and what
/// another profile would offer.
std::vector<mcp::Tool> make_tools(SharedRouteParts parts, std::string_view profile,
                                  const HealthTools& health);

// For the files that make them.

/// Tools that ask about services outside, of the minimal profile. `services` outlives them.
std::vector<mcp::Tool> make_dependency_tools(const OutsideServices& services);

/// Tools of graph and series, of the full profile.
std::vector<mcp::Tool> make_knowledge_tools(const SharedRouteParts& parts);
/// Tools of traces and routing fitness, of the full profile.
std::vector<mcp::Tool> make_fitness_tools(const SharedRouteParts& parts);
/// A schema of properties (JSON text); those named in `required` must be there, others may not.
json::object schema(std::string_view properties, std::initializer_list<std::string_view> required);
/// When the caller's patience ends; half a minute for a client on standard input.
Clock::Steady deadline_of(const mcp::Call& call);

}  // namespace asahi::memory
