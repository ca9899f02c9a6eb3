// What Vault sends is a secret bundle or an error: names fit variables, values are bounded, lives
// are no overflow, and a path that is taken stays below its mount.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "identity/secrets/vault_wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace asahi::identity::vault;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto bundle = parse_bundle(text)) {
    for (const auto& [name, value] : bundle->values) {
      if (name.empty() || name.find_first_of("= \n") != name.npos || value.empty()) std::abort();
    }
  }
  const auto now = Schedule::Steady(std::chrono::hours(1));
  for (const auto& token : {parse_auth(text), parse_lookup(text)}) {
    if (!token) continue;
    Schedule schedule(Schedule::Login::kKubernetes, std::chrono::seconds(60));
    schedule.on_token(token->ttl, token->renewable, now);
    schedule.on_read(now);
    if (schedule.next().at < now) std::abort();
  }
  if (const auto path = Path::parse(text)) {
    if (!path->target().starts_with("/v1/") || path->target().contains("/../") ||
        path->target().contains('?')) {
      std::abort();
    }
  }
  return 0;
}
