#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "gateway/routing/route.h"

namespace asahi::gateway {

/// What was seen of agents' answers, by organisation, agent and model: the mean of the last 100
/// differences between the quality that was found and the profile's, −0.2 to 0.2, and 0 before
/// there are five (gateway spec §3.11). In process, forgets the least recently used beyond `most`.
/// Thread-safe.
class AgentRecord final : public AgentShifts {
 public:
  explicit AgentRecord(std::size_t most = 10'000) : most_(most) {}

  double shift(std::string_view org, std::string_view agent, std::string_view model) const override;
  /// `found` and `expected`: quality, 0 to 5. An empty agent is nobody.
  void observe(std::string_view org, std::string_view agent, std::string_view model, double found,
               double expected);

 private:
  static constexpr std::size_t kKept = 100;
  static constexpr std::size_t kEnough = 5;
  struct Seen {
    std::array<float, kKept> differences{};
    std::size_t count = 0, next = 0;
    double sum = 0;
    std::list<std::string>::iterator age;
  };
  static std::string key_of(std::string_view org, std::string_view agent, std::string_view model);

  const std::size_t most_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Seen> seen_;
  std::list<std::string> ages_;  ///< most recently used first
};

}  // namespace asahi::gateway
