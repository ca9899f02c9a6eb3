#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace asahi::identity {

/// The memory's source systems that a caller may read and write (claim `systems`, memory spec
/// §9.4); nothing: all of its organisation. Sorted, each once; an empty list: none.
using Systems = std::optional<std::vector<std::string>>;

/// A token's claim or a body's member: absent (null pointer), "*" and a list with "*" are all; else
/// a list of at most 1,000 ids, each 1 to 100 of [A-Za-z0-9_-], or one such id. Errors:
/// invalid_argument with the field `systems`: what cannot be read is never taken for "all".
Result<Systems> read_systems(const json::value* given);
/// "*" or the list.
json::value systems_json(const Systems& systems);
/// Whether `wanted` has nothing beyond `held`.
bool is_within(const Systems& wanted, const Systems& held);

}  // namespace asahi::identity
