#include "base/money.h"

#include <fmt/format.h>

#include <cmath>

namespace asahi {

namespace {

/// `magnitude` over 10^`digits`, with all its fraction digits. By hand: each request writes
/// several.
void append_fixed(std::string& out, bool negative, std::uint64_t magnitude, int digits,
                  std::uint64_t unit) {
  if (negative) out += '-';
  const fmt::format_int dollars(magnitude / unit);
  out.append(dollars.data(), dollars.size());
  char fraction[] = ".000000000";
  std::uint64_t rest = magnitude % unit;
  for (int i = digits; i > 0; --i, rest /= 10) fraction[i] = static_cast<char>('0' + rest % 10);
  out.append(fraction, static_cast<std::size_t>(digits) + 1);
}

std::uint64_t magnitude_of(std::int64_t number) {
  return number < 0 ? 0 - static_cast<std::uint64_t>(number) : static_cast<std::uint64_t>(number);
}

std::int64_t shown_micros(NanoUsd amount) {
  return (amount.nanos + (amount.nanos < 0 ? -500 : 500)) / 1000;
}

}  // namespace

void append_decimal(std::string& out, NanoUsd amount) {
  append_fixed(out, amount.nanos < 0, magnitude_of(amount.nanos), 9, 1'000'000'000);
}

std::string to_decimal(NanoUsd amount) {
  std::string out;
  append_decimal(out, amount);
  return out;
}

double shown_dollars(NanoUsd amount) { return static_cast<double>(shown_micros(amount)) / 1e6; }

void append_shown(std::string& out, NanoUsd amount) {
  const std::int64_t micros = shown_micros(amount);
  append_fixed(out, micros < 0, magnitude_of(micros), 6, 1'000'000);
}

Result<NanoUsd> parse_nano_usd(std::string_view text) {
  const auto bad = [&] {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is not a decimal amount of dollars such as 0.0125", text));
  };
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest.empty() || rest == ".") return bad();
  std::int64_t nanos = 0;
  std::int64_t unit = 0;  // 0 before the point, then the value of the next fraction digit
  bool round_up = false;
  bool past_ninth = false;
  for (const char c : rest) {
    if (c == '.') {
      if (unit != 0 || past_ninth) return bad();
      unit = 100'000'000;
      continue;
    }
    if (c < '0' || c > '9') return bad();
    const int digit = c - '0';
    if (unit == 0 && !past_ninth) {
      if (nanos > 9'000'000'000LL * 100'000'000) return bad();
      nanos = nanos * 10 + digit * 1'000'000'000LL;
    } else if (unit > 0) {
      nanos += digit * unit;
      unit /= 10;
      if (unit == 0) past_ninth = true;
    } else if (past_ninth) {
      if (!round_up && unit == 0) round_up = digit >= 5;
      unit = -1;
    }
  }
  if (round_up) ++nanos;
  return NanoUsd{negative ? -nanos : nanos};
}

NanoUsd nano_usd_from_dollars(double dollars) { return {std::llround(dollars * 1e9)}; }

TokenPrice TokenPrice::per_1k(double dollars) { return {std::llround(dollars * 1e9)}; }

}  // namespace asahi
