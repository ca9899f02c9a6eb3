#pragma once

#include <string>
#include <string_view>

namespace asahi::memory::dedup {

/// `text` as it is compared with others: Unicode NFKC, lower case, invisible characters dropped,
/// every run of white space and controls one blank, none at the ends. Bytes that are no UTF-8 count
/// as U+FFFD. Idempotent; linear in the text, and at most 18 times as long (U+FDFA).
std::string normalised(std::string_view text);

}  // namespace asahi::memory::dedup
