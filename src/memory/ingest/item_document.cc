#include "memory/ingest/item_document.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

namespace asahi::memory {

namespace {

constexpr std::string_view kName = "embedding";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Reads JSON text from the front; every step tells whether it was there.
class Cursor {
 public:
  explicit Cursor(std::string_view text)
      : begin_(text.data()), at_(begin_), end_(begin_ + text.size()) {}

  std::size_t place() const { return static_cast<std::size_t>(at_ - begin_); }
  void skip_blanks() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\t' || *at_ == '\n' || *at_ == '\r')) ++at_;
  }
  bool at(char c) const { return at_ < end_ && *at_ == c; }
  bool take(char c) {
    if (!at(c)) return false;
    ++at_;
    return true;
  }

  /// What stands between the quotes, escapes as they are.
  bool take_string(std::string_view& inside, bool& escaped) {
    if (!take('"')) return false;
    const char* const from = at_;
    escaped = false;
    for (;;) {
      const auto left = static_cast<std::size_t>(end_ - at_);
      const auto* const quote = static_cast<const char*>(std::memchr(at_, '"', left));
      if (quote == nullptr) return false;
      std::size_t slashes = 0;
      while (quote - slashes > from && quote[-1 - static_cast<std::ptrdiff_t>(slashes)] == '\\')
        ++slashes;
      escaped = escaped || std::memchr(at_, '\\', static_cast<std::size_t>(quote - at_)) != nullptr;
      at_ = quote + 1;
      if (slashes % 2 != 0) continue;
      inside = std::string_view(from, static_cast<std::size_t>(quote - from));
      return true;
    }
  }

  /// Any value; that brackets match is the parser's to see.
  bool skip_value() {
    std::size_t depth = 0;
    do {
      skip_blanks();
      if (at_ == end_) return false;
      if (*at_ == '"') {
        std::string_view inside;
        bool escaped = false;
        if (!take_string(inside, escaped)) return false;
      } else if (*at_ == '{' || *at_ == '[') {
        ++depth;
        ++at_;
      } else if (*at_ == '}' || *at_ == ']') {
        if (depth == 0) return false;
        --depth;
        ++at_;
      } else if (depth > 0 && (*at_ == ',' || *at_ == ':')) {
        ++at_;
      } else {
        const char* const from = at_;
        while (at_ < end_ && !ends_scalar(*at_)) ++at_;
        if (at_ == from) return false;
      }
    } while (depth > 0);
    return true;
  }

  bool take_numbers(std::vector<float>& out) {
    if (!take('[')) return false;
    skip_blanks();
    if (take(']')) return true;
    for (;;) {
      float number = 0;
      if (!take_number(number)) return false;
      out.push_back(number);
      skip_blanks();
      if (take(']')) return true;
      if (!take(',')) return false;
      skip_blanks();
    }
  }

 private:
  static bool ends_scalar(char c) {
    return c == ',' || c == '}' || c == ']' || c == '"' || c == '{' || c == '[' || c == ' ' ||
           c == '\n' || c == '\t' || c == '\r';
  }

  /// The digits from here on, behind those of `mantissa`; how many.
  std::size_t take_digits(std::uint64_t& mantissa) {
    const char* const from = at_;
    while (end_ - at_ >= 8) {
      std::uint64_t eight = 0;
      std::memcpy(&eight, at_, 8);
      // All eight are digits: their high halves are 3, and 6 more carries into none of them.
      constexpr std::uint64_t kHigh = 0xF0F0F0F0F0F0F0F0, kThrees = 0x3030303030303030;
      if ((eight & kHigh) != kThrees || ((eight + 0x0606060606060606) & kHigh) != kThrees) break;
      // Pairs, then fours, then all (little-endian: the first digit is the lowest byte).
      eight -= kThrees;
      eight = eight * 10 + (eight >> 8);
      eight = ((eight & 0x000000FF000000FF) * 0x000F424000000064 +
               ((eight >> 16) & 0x000000FF000000FF) * 0x0000271000000001) >>
              32;
      mantissa = mantissa * 100'000'000 + eight;
      at_ += 8;
    }
    while (at_ < end_ && is_digit(*at_))
      mantissa = mantissa * 10 + static_cast<std::uint64_t>(*at_++ - '0');
    return static_cast<std::size_t>(at_ - from);
  }

  bool take_number(float& out) {
    constexpr std::array<double, 23> kPowers = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const char* const from = at_;
    const bool negative = take('-');
    std::uint64_t mantissa = 0;
    const bool zero = at('0');
    std::size_t digits = take_digits(mantissa);
    if (digits == 0 || (zero && digits > 1)) return false;
    std::int64_t exponent = 0;
    if (take('.')) {
      const std::size_t behind = take_digits(mantissa);
      if (behind == 0) return false;
      digits += behind;
      exponent = -static_cast<std::int64_t>(behind);
    }
    bool plain = true;
    if (at('e') || at('E')) {
      ++at_;
      const bool down = take('-');
      if (!down) take('+');
      std::uint64_t power = 0;
      const std::size_t count = take_digits(power);
      if (count == 0) return false;
      plain = count <= 4;
      exponent += down ? -static_cast<std::int64_t>(power) : static_cast<std::int64_t>(power);
    }
    constexpr std::uint64_t kExact = std::uint64_t{1} << 53;
    double value = 0;
    if (plain && digits <= 19 && mantissa <= kExact && exponent >= -22 && exponent <= 22) {
      value = static_cast<double>(mantissa);
      value = exponent < 0 ? value / kPowers[static_cast<std::size_t>(-exponent)]
                           : value * kPowers[static_cast<std::size_t>(exponent)];
      if (negative) value = -value;
    } else {
      const auto [ptr, error] = std::from_chars(from, at_, value);
      if (error != std::errc{} || ptr != at_) return false;
    }
    out = static_cast<float>(value);
    return std::isfinite(out);
  }

  const char* const begin_;
  const char* at_;
  const char* const end_;
};

}  // namespace

std::optional<VectorText> find_vector(std::string_view object) {
  Cursor in(object);
  std::optional<VectorText> out;
  in.skip_blanks();
  if (!in.take('{')) return std::nullopt;
  for (;;) {
    in.skip_blanks();
    std::string_view name;
    bool escaped = false;
    if (!in.take_string(name, escaped) || escaped) return std::nullopt;
    in.skip_blanks();
    if (!in.take(':')) return std::nullopt;
    in.skip_blanks();
    if (name == kName) {
      if (out || !in.at('[')) return std::nullopt;
      VectorText& found = out.emplace();
      found.begin = in.place();
      if (!in.take_numbers(found.numbers)) return std::nullopt;
      found.end = in.place();
    } else if (!in.skip_value()) {
      return std::nullopt;
    }
    in.skip_blanks();
    if (in.take(',')) continue;
    return in.at('}') ? out : std::nullopt;
  }
}

Result<ItemDocument> ItemDocument::parse(std::string_view text) {
  ItemDocument out;
  if (auto found = find_vector(text)) {
    std::string rest;
    rest.reserve(text.size() - (found->end - found->begin) + 4);
    rest += text.substr(0, found->begin);
    rest += "null";
    rest += text.substr(found->end);
    if (auto document = JsonDocument::parse(rest)) {
      out.document_ = std::move(*document);
      out.numbers_ = std::move(found->numbers);
      return out;
    }
    // The message shall name a place in what was sent.
  }
  ASAHI_TRY(out.document_, JsonDocument::parse(text));
  return out;
}

}  // namespace asahi::memory
