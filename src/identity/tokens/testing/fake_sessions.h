#pragma once

#include <optional>
#include <string>

#include "identity/users/sessions.h"

namespace asahi::identity::testing {

/// Counts the sessions that logins open.
class FakeSessions final : public Sessions {
 public:
  int opened = 0;
  Task<Session> open(const User& user) override {
    ++opened;
    co_return Session{.id = "session-of-" + user.id,
                      .org_id = user.org_id,
                      .user_id = user.id,
                      .role = user.role};
  }
  Task<std::optional<Session>> find(std::string) override { co_return std::nullopt; }
  Task<void> close(std::string) override { co_return Result<void>{}; }
  Task<void> close_all(std::string) override { co_return Result<void>{}; }
};

}  // namespace asahi::identity::testing
