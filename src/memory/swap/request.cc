#include "memory/swap/request.h"

#include <fmt/format.h>

#include <cstdint>

namespace asahi::memory::swap {
namespace {

constexpr std::int64_t kMostDays = 365;

}  // namespace

Result<MoveRequest> parse_request(const json::object& body, const RequestRules& rules) {
  MoveRequest request{.to = {}, .revert_for = rules.revert_for};
  for (const auto& [name, value] : body) {
    if (name == "revert_days") {
      std::int64_t days = -1;
      if (value.is_int64()) days = value.get_int64();
      if (days < 0 || days > kMostDays)
        return fail_field("revert_days", "it is not a number from 0 to 365");
      request.revert_for = std::chrono::days(days);
    } else if (name == "replace") {
      if (!value.is_bool()) return fail_field("replace", "it is not true or false");
      request.replace = value.get_bool();
    } else if (name != "backend" && name != "path" && name != "pg_url_file" &&
               name != "pg_url_env" && name != "pg_url") {
      return fail_field(std::string(name), "no such field");
    }
  }
  ASAHI_TRY(request.to, parse_place(body, rules.usual_path));
  for (const std::string& folder : rules.taken) {
    if (!request.to.path.empty() && overlap(request.to.path, folder))
      return fail_field("path", fmt::format("'{}' is used by something else", request.to.path));
  }
  return request;
}

}  // namespace asahi::memory::swap
