#include "telemetry/trace_context.h"

#include <algorithm>
#include <array>

namespace asahi::telemetry {
namespace {

constexpr std::uint64_t kRatioRange = std::uint64_t{1} << 63;
constexpr std::size_t kMostStateMembers = 32;
constexpr std::size_t kMostStateBytes = 512;

/// Lower-case digits only: the recommendation refuses others.
std::optional<std::uint64_t> hex(std::string_view text) {
  std::uint64_t value = 0;
  for (const char c : text) {
    unsigned digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<unsigned>(c - 'a') + 10;
    } else {
      return std::nullopt;
    }
    value = value << 4 | digit;
  }
  return value;
}

void append_hex(std::string& out, std::uint64_t value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<char, 16> text{};
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = kDigits[value >> (60 - 4 * i) & 0xF];
  out.append(text.data(), text.size());
}

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool is_state_key(std::string_view key) {
  const auto part = [](std::string_view text, std::size_t most, bool may_begin_with_digit) {
    if (text.empty() || text.size() > most) return false;
    const char first = text.front();
    if (!is_lower_or_digit(first) || (!may_begin_with_digit && first <= '9')) return false;
    return std::ranges::all_of(text, [](char c) {
      return is_lower_or_digit(c) || c == '_' || c == '-' || c == '*' || c == '/';
    });
  };
  const std::size_t at = key.find('@');
  if (at == std::string_view::npos) return part(key, 256, false);
  return part(key.substr(0, at), 241, true) && part(key.substr(at + 1), 14, false);
}

bool is_state_value(std::string_view value) {
  return !value.empty() && value.size() <= 256 && value.back() != ' ' &&
         std::ranges::all_of(value,
                             [](char c) { return c >= 0x20 && c <= 0x7E && c != ',' && c != '='; });
}

}  // namespace

std::optional<TraceContext> parse_traceparent(std::string_view header) {
  // version 2, trace id 32, parent id 16, flags 2, and three dashes
  constexpr std::size_t kSize = 55;
  if (header.size() < kSize || header[2] != '-' || header[35] != '-' || header[52] != '-')
    return std::nullopt;
  const auto version = hex(header.substr(0, 2));
  if (!version || *version == 0xFF) return std::nullopt;
  if (header.size() > kSize && (*version == 0 || header[kSize] != '-')) return std::nullopt;
  const auto high = hex(header.substr(3, 16));
  const auto low = hex(header.substr(19, 16));
  const auto span = hex(header.substr(36, 16));
  const auto flags = hex(header.substr(53, 2));
  if (!high || !low || !span || !flags) return std::nullopt;
  const TraceContext context{*high, *low, *span, (*flags & 1) != 0};
  if (!context.valid()) return std::nullopt;
  return context;
}

std::string make_traceparent(const TraceContext& context) {
  std::string text = "00-";
  text.reserve(55);
  append_hex(text, context.trace_high);
  append_hex(text, context.trace_low);
  text += '-';
  append_hex(text, context.span);
  text += context.sampled ? "-01" : "-00";
  return text;
}

std::string clean_tracestate(std::string_view header) {
  std::string out;
  std::size_t members = 0;
  while (!header.empty()) {
    const std::size_t comma = std::min(header.find(','), header.size());
    std::string_view member = header.substr(0, comma);
    header.remove_prefix(std::min(comma + 1, header.size()));
    while (!member.empty() && (member.front() == ' ' || member.front() == '\t'))
      member.remove_prefix(1);
    while (!member.empty() && (member.back() == ' ' || member.back() == '\t'))
      member.remove_suffix(1);
    if (member.empty()) continue;
    const std::size_t equals = member.find('=');
    if (equals == std::string_view::npos || !is_state_key(member.substr(0, equals)) ||
        !is_state_value(member.substr(equals + 1)) || ++members > kMostStateMembers)
      return {};
    if (out.size() + 1 + member.size() > kMostStateBytes) break;
    if (!out.empty()) out += ',';
    out += member;
  }
  return out;
}

std::string trace_id_text(const TraceContext& context) {
  std::string text;
  text.reserve(32);
  append_hex(text, context.trace_high);
  append_hex(text, context.trace_low);
  return text;
}

std::string span_id_text(std::uint64_t span) {
  std::string text;
  append_hex(text, span);
  return text;
}

std::optional<TraceContext> parse_trace_id(std::string_view text) {
  if (text.size() != 32) return std::nullopt;
  const auto high = hex(text.substr(0, 16));
  const auto low = hex(text.substr(16));
  if (!high || !low || (*high | *low) == 0) return std::nullopt;
  return TraceContext{*high, *low, 0, false};
}

std::optional<Sampler> Sampler::make(std::string_view name, double ratio) {
  Sampler made;
  constexpr std::string_view kParentBased = "parentbased_";
  made.parent_based_ = name.starts_with(kParentBased);
  if (made.parent_based_) name.remove_prefix(kParentBased.size());
  if (name == "always_on") {
    made.below_ = kRatioRange;
  } else if (name == "always_off") {
    made.below_ = 0;
  } else if (name == "traceidratio") {
    const double bounded = ratio > 0 ? std::min(ratio, 1.0) : 0;
    made.below_ = static_cast<std::uint64_t>(bounded * static_cast<double>(kRatioRange));
  } else {
    return std::nullopt;
  }
  return made;
}

bool Sampler::decide(const TraceContext* parent, std::uint64_t trace_low) const {
  if (parent != nullptr && parent_based_) return parent->sampled;
  return (trace_low & (kRatioRange - 1)) < below_;
}

}  // namespace asahi::telemetry
