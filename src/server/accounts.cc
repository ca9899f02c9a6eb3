#include "server/accounts.h"

namespace asahi::server {

Task<json::value> IdentityAccounts::describe(std::string org_id, std::string user_id) {
  const auto user = co_await identity_.users().get(std::move(org_id), std::move(user_id));
  if (!user && user.error().code == Errc::kNotFound) co_return json::value();
  if (!user) co_return std::unexpected(user.error());
  const auto time = [](const std::optional<Clock::Time>& at) {
    return at ? json::value(format_rfc3339(*at)) : json::value();
  };
  co_return json::value{{"user_id", user->id},
                        {"email", user->email},
                        {"full_name", user->full_name},
                        {"role", user->role},
                        {"active", user->active},
                        {"created_at", format_rfc3339(user->created_at)},
                        {"last_active", time(user->last_active)}};
}

Task<gateway::Accounts::Erased> IdentityAccounts::erase(std::string org_id, std::string user_id) {
  Erased erased;
  auto removed = co_await identity_.users().remove(org_id, user_id);
  if (!removed && removed.error().code != Errc::kNotFound)
    co_return std::unexpected(std::move(removed.error()));
  erased.users = removed ? 1 : 0;
  if (auto closed = co_await identity_.sessions().close_all(user_id); !closed)
    co_return std::unexpected(std::move(closed.error()));
  ASAHI_CO_TRY(erased.keys,
               co_await identity_.keys().revoke_all(std::move(org_id), std::move(user_id)));
  co_return erased;
}

}  // namespace asahi::server
