#include "identity/principal.h"

namespace asahi::identity {

std::optional<Plan> find_plan(std::string_view name) {
  if (name == "starter" || name == "free" || name == "startup") return Plan{};
  if (name == "professional" || name == "business" || name == "pro")
    return Plan{"professional", 10'000, 10, 50};
  if (name == "enterprise") return Plan{"enterprise", 100'000, 100, 1'000};
  return std::nullopt;
}

namespace {

const std::shared_ptr<const Principal>& everybody() {
  static const std::shared_ptr<const Principal> principal = [] {
    auto open = std::make_shared<Principal>();
    open->permissions = *builtin_role("operator");
    return open;
  }();
  return principal;
}

}  // namespace

std::shared_ptr<const Principal> shared_principal_of(const http::Context& context) {
  return context.caller == nullptr ? everybody()
                                   : std::static_pointer_cast<const Principal>(context.caller);
}

const Principal& principal_of(const http::Context& context) {
  return context.caller == nullptr ? *everybody() : static_cast<const Principal&>(*context.caller);
}

std::string actor_of(const Principal& caller) {
  if (!caller.key_prefix.empty()) return "key:" + caller.key_prefix;
  if (!caller.user_id.empty()) return caller.user_id;
  return caller.kind == Principal::Kind::kOperator ? "operator" : "anonymous";
}

}  // namespace asahi::identity
