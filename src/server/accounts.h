#pragma once

#include "gateway/governance/gdpr.h"
#include "identity/identity.h"

namespace asahi::server {

/// What identity keeps of a person, for the gateway's data subject requests.
class IdentityAccounts final : public gateway::Accounts {
 public:
  explicit IdentityAccounts(identity::Identity& identity) : identity_(identity) {}

  Task<json::value> describe(std::string org_id, std::string user_id) override;
  Task<Erased> erase(std::string org_id, std::string user_id) override;

 private:
  identity::Identity& identity_;
};

}  // namespace asahi::server
