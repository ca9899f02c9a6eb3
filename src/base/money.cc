#include "base/money.h"

#include <fmt/format.h>

#include <cmath>

namespace asahi {

std::string to_decimal(NanoUsd amount) {
  const std::uint64_t magnitude = amount.nanos < 0 ? 0 - static_cast<std::uint64_t>(amount.nanos)
                                                   : static_cast<std::uint64_t>(amount.nanos);
  return fmt::format("{}{}.{:09}", amount.nanos < 0 ? "-" : "", magnitude / 1'000'000'000,
                     magnitude % 1'000'000'000);
}

namespace {

std::int64_t shown_micros(NanoUsd amount) {
  return (amount.nanos + (amount.nanos < 0 ? -500 : 500)) / 1000;
}

}  // namespace

double shown_dollars(NanoUsd amount) { return static_cast<double>(shown_micros(amount)) / 1e6; }

void append_shown(std::string& out, NanoUsd amount) {
  const std::int64_t micros = shown_micros(amount);
  const std::uint64_t magnitude = static_cast<std::uint64_t>(micros < 0 ? -micros : micros);
  if (micros < 0) out += '-';
  const fmt::format_int dollars(magnitude / 1'000'000);
  out.append(dollars.data(), dollars.size());
  char fraction[] = ".000000";
  std::uint64_t rest = magnitude % 1'000'000;
  for (int i = 6; i > 0; --i, rest /= 10) fraction[i] = static_cast<char>('0' + rest % 10);
  out += fraction;
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
