#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace asahi::identity {

/// `{prefix}_{first 4 of the organisation, small letters and digits, filled up with 0}_{32 random
/// [a-z0-9]}`.
std::string make_key_text(std::string_view prefix, std::string_view org_id);
/// True for text of that form. Whether such a key exists is another question.
bool is_key_text(std::string_view prefix, std::string_view text);

}  // namespace asahi::identity
