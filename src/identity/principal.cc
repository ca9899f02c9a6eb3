#include "identity/principal.h"

namespace asahi::identity {

std::optional<Plan> find_plan(std::string_view name) {
  if (name == "starter" || name == "free" || name == "startup") return Plan{};
  if (name == "professional" || name == "business" || name == "pro") return Plan{"professional", 10'000, 10, 50};
  if (name == "enterprise") return Plan{"enterprise", 100'000, 100, 1'000};
  return std::nullopt;
}

std::shared_ptr<const Principal> shared_principal_of(const http::Context& context) {
  static const auto anonymous = std::make_shared<const Principal>();
  return context.caller == nullptr ? anonymous : std::static_pointer_cast<const Principal>(context.caller);
}

const Principal& principal_of(const http::Context& context) {
  static const Principal anonymous;
  return context.caller == nullptr ? anonymous : static_cast<const Principal&>(*context.caller);
}

}  // namespace asahi::identity
