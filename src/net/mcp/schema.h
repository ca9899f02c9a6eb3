#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"

namespace asahi::mcp {

/// Checks `value` against the part of JSON Schema that tools describe their arguments with: type
/// (one, or a list), properties, required, additionalProperties (false), items, enum, minimum,
/// maximum, minLength, maxLength (characters), minItems, maxItems. Other keywords say nothing here.
/// Errors: invalid_argument with the path of the first member that breaks a rule, and the rule.
Result<void> check_schema(const json::value& value, const json::object& schema);

/// Puts the `default` of each absent top-level property of `schema` into `arguments`.
void fill_defaults(json::object& arguments, const json::object& schema);

}  // namespace asahi::mcp
