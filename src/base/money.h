#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "base/result.h"

namespace asahi {

/// An amount of US dollars in integer nano-dollars (1e-9 USD), so that sums are exact.
/// Range ±9.2 billion USD; sums beyond stay at its end.
struct NanoUsd {
  std::int64_t nanos = 0;

  auto operator<=>(const NanoUsd&) const = default;
  NanoUsd operator+(NanoUsd other) const {
    std::int64_t sum;
    return {__builtin_add_overflow(nanos, other.nanos, &sum) ? end(other.nanos > 0) : sum};
  }
  NanoUsd operator-(NanoUsd other) const {
    std::int64_t difference;
    return {__builtin_sub_overflow(nanos, other.nanos, &difference) ? end(other.nanos < 0)
                                                                    : difference};
  }
  NanoUsd& operator+=(NanoUsd other) { return *this = *this + other; }
  double dollars() const { return static_cast<double>(nanos) / 1e9; }

 private:
  static constexpr std::int64_t end(bool upper) {
    return upper ? std::numeric_limits<std::int64_t>::max()
                 : std::numeric_limits<std::int64_t>::min();
  }
};

/// "0.000123456": nine decimals, as NUMERIC(18,9) columns hold it.
std::string to_decimal(NanoUsd amount);
/// The same behind what `out` holds.
void append_decimal(std::string& out, NanoUsd amount);
/// Dollars rounded half away from zero to micro-dollars: what APIs show.
double shown_dollars(NanoUsd amount);
/// The same as text with six digits behind the point: "-0.000042".
void append_shown(std::string& out, NanoUsd amount);
/// Reads a decimal number of dollars with at most nine fraction digits that matter; more are
/// rounded.
Result<NanoUsd> parse_nano_usd(std::string_view text);
/// Rounds to the nearest nano-dollar.
NanoUsd nano_usd_from_dollars(double dollars);

/// The price of one token in pico-dollars (1e-12 USD): a price per 1,000 tokens of $0.000075 with a
/// 75 % cache discount is 18,750 — still an integer.
struct TokenPrice {
  std::int64_t pico_per_token = 0;

  auto operator<=>(const TokenPrice&) const = default;
  static TokenPrice per_1k(double dollars);
  double dollars_per_1k() const { return static_cast<double>(pico_per_token) / 1e9; }
};

/// A sum of token costs in pico-dollars, rounded once (half up) by `total()`.
class CostSum {
 public:
  void add(std::int64_t tokens, TokenPrice price) { picos_ += tokens * price.pico_per_token; }
  NanoUsd total() const { return {(picos_ + 500) / 1000}; }

 private:
  std::int64_t picos_ = 0;
};

}  // namespace asahi
