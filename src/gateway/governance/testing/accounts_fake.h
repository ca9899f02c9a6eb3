#pragma once

#include <set>
#include <string>
#include <utility>

#include "gateway/governance/gdpr.h"

namespace asahi::gateway::testing {

/// The accounts of `people`, each with a key.
class AccountsFake final : public Accounts {
 public:
  Task<json::value> describe(std::string org_id, std::string user_id) override {
    if (!people.contains({org_id, user_id})) co_return json::value(nullptr);
    co_return json::object{{"user_id", user_id}, {"email", user_id + "@example.com"}};
  }
  Task<Erased> erase(std::string org_id, std::string user_id) override {
    const auto gone = static_cast<std::int64_t>(people.erase({org_id, user_id}));
    co_return Erased{.users = gone, .keys = gone};
  }
  std::set<std::pair<std::string, std::string>> people;
};

}  // namespace asahi::gateway::testing
