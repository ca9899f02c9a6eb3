#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "base/json.h"

namespace asahi::identity {

/// A JSON object in which no member is named twice, at any depth: readers of a signed text must not
/// differ in which of two values they take. Nothing for any other text, and for one nested deeper
/// than `max_depth`.
std::optional<json::object> parse_strict_object(std::string_view text, std::size_t max_depth);

}  // namespace asahi::identity
