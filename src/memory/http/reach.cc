#include "memory/http/reach.h"

#include "identity/principal.h"

namespace asahi::memory {

Reach reach_of(const http::Context& context) {
  const identity::Principal& caller = identity::principal_of(context);
  return Reach(caller.org_id, caller.systems);
}

Reach reach_of(const mcp::Call& call) {
  return call.http == nullptr ? Reach::whole(std::string(identity::Principal::kDefaultOrg))
                              : reach_of(*call.http);
}

bool operates(const http::Context& context) {
  const identity::Principal& caller = identity::principal_of(context);
  return caller.may(identity::Permission::kManageTenants) && !caller.systems;
}

}  // namespace asahi::memory
