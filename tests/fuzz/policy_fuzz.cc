// Any bytes as a policy or a compliance profile: an error that names its rule, or a document that
// its own JSON gives back.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/json.h"
#include "gateway/governance/compliance.h"
#include "gateway/governance/policy.h"

namespace {

using namespace asahi;
using namespace asahi::gateway;

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto value = parse_json({reinterpret_cast<const char*>(data), size});
  if (!value) return 0;
  if (const auto policy = read_policy(*value)) {
    const auto again = read_policy(policy_json(*policy));
    require(again && *again == *policy);
    const auto changed = read_policy(json::object{}, &*policy);
    require(changed && *changed == *policy);
  } else {
    require(!policy.error().message.empty());
  }
  if (const auto profile = read_profile(*value)) {
    const auto again = read_profile(profile_json(*profile));
    require(again && *again == *profile);
    static_cast<void>(duties_of(*profile));
  } else {
    require(!profile.error().message.empty());
  }
  return 0;
}
