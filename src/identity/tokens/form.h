#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace asahi::identity {

/// Members of an application/x-www-form-urlencoded text, each at most once (RFC 6749 §3.2 forbids
/// repeats). Errors: invalid_argument (repeated name, broken escape, more than 64 members).
Result<std::map<std::string, std::string, std::less<>>> parse_form(std::string_view text);

/// Appends `name=value` to a form or query, with & where needed.
void append_form(std::string& form, std::string_view name, std::string_view value);

}  // namespace asahi::identity
