#include "memory/ingest/times.h"

#include <string>

namespace asahi::memory {

Result<Clock::Time> parse_iso_time(std::string_view text) {
  constexpr std::size_t kDate = 10;     // 2026-11-22
  constexpr std::size_t kMinutes = 16;  // 2026-11-22T10:15
  constexpr std::size_t kSeconds = 19;  // 2026-11-22T10:15:30
  constexpr std::size_t kLongest = 64;
  if (text.size() > kLongest) text = text.substr(0, kLongest);
  std::string whole(text);
  if (whole.size() == kDate) whole += "T00:00:00Z";
  // Behind the minutes: seconds, an offset, or nothing.
  if (whole.size() >= kMinutes && (whole.size() == kMinutes || whole[kMinutes] != ':'))
    whole.insert(kMinutes, ":00");
  if (whole.size() >= kSeconds && whole.find_first_of("Zz+-", kSeconds) == std::string::npos)
    whole += 'Z';
  auto time = parse_rfc3339(whole);
  if (time) return time;
  return fail(Errc::kInvalidArgument,
              "'" + std::string(text) + "' is not an ISO 8601 time such as 2026-11-21T10:00:00Z");
}

}  // namespace asahi::memory
