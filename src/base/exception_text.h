#pragma once

#include <exception>
#include <string>
#include <string_view>

namespace asahi {

/// Stands between an exception and the one it was thrown for.
inline constexpr std::string_view kBecauseOf = "; because of ";

/// What an exception is, for the log: its type and what it says, and those of the exceptions that
/// it was thrown for (std::throw_with_nested), at most eight: "std::runtime_error: cannot read;
/// because of std::out_of_range: …". `error` is not null.
std::string exception_text(const std::exception_ptr& error);

}  // namespace asahi
