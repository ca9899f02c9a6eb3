#include "identity/tokens/issuer.h"

namespace asahi::identity {
namespace {

class UserTokens final : public TokenIssuer {
 public:
  UserTokens(AccessTokens& access, RefreshTokens& refresh, Users& users, FindOrg find_org)
      : access_(access), refresh_(refresh), users_(users), find_org_(std::move(find_org)) {}

  Task<TokenPair> issue(User user, PermissionSet permissions, std::string plan) override {
    ASAHI_CO_TRY(auto access, sign(user, permissions, plan));
    ASAHI_CO_TRY(auto refresh, co_await refresh_.issue({user.org_id, user.id}));
    co_return TokenPair{std::move(access), std::move(refresh), access_.life()};
  }

  Task<TokenPair> refresh(std::string refresh_token) override {
    ASAHI_CO_TRY(auto renewed, co_await refresh_.renew(std::move(refresh_token)));
    auto user = co_await users_.get(renewed.owner.org_id, renewed.owner.user_id);
    const bool gone = user ? !user->active : user.error().code == Errc::kNotFound;
    if (!user && !gone) co_return std::unexpected(user.error());
    if (!gone) {
      ASAHI_CO_TRY(const auto org, co_await find_org_(user->org_id));
      if (org.active) {
        ASAHI_CO_TRY(const auto permissions, co_await users_.permissions(user->org_id, user->role));
        if (permissions.empty()) co_return std::unexpected(bad_token());
        ASAHI_CO_TRY(auto access, sign(*user, permissions, org.plan));
        co_return TokenPair{std::move(access), std::move(renewed.token), access_.life()};
      }
    }
    if (auto revoked = co_await refresh_.revoke_user(renewed.owner.user_id); !revoked) {
      co_return std::unexpected(revoked.error());
    }
    co_return std::unexpected(bad_token());
  }

  Task<void> revoke(std::string refresh_token) override {
    return refresh_.revoke(std::move(refresh_token));
  }

 private:
  Result<Secret> sign(const User& user, PermissionSet permissions, const std::string& plan) const {
    AccessClaims claims;
    claims.subject = user.id;
    claims.org_id = user.org_id;
    claims.role = user.role;
    claims.plan = plan;
    claims.scopes = permissions.names();
    if (claims.scopes.empty()) {
      return fail(Errc::kForbidden,
                  "the user's role permits nothing; ask an administrator for another role");
    }
    return access_.issue(std::move(claims));
  }

  AccessTokens& access_;
  RefreshTokens& refresh_;
  Users& users_;
  const FindOrg find_org_;
};

}  // namespace

std::unique_ptr<TokenIssuer> make_token_issuer(AccessTokens& access, RefreshTokens& refresh,
                                               Users& users, FindOrg find_org) {
  return std::make_unique<UserTokens>(access, refresh, users, std::move(find_org));
}

}  // namespace asahi::identity
