#include "gateway/traces/otlp_settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "net/http/message.h"

namespace asahi::gateway {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) >= 0x20; });
}

}  // namespace

Result<std::vector<std::pair<std::string, std::string>>> parse_pairs(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view member = trimmed(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (member.empty()) continue;
    const std::size_t equals = member.find('=');
    const std::string_view name =
        trimmed(member.substr(0, equals == std::string_view::npos ? 0 : equals));
    if (name.empty() || !is_printable(name)) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("must be name=value pairs with commas between them; pair {} is not",
                              pairs.size() + 1));
    }
    auto value = http::percent_decode(trimmed(member.substr(equals + 1)));
    if (!value || !is_printable(*value)) {
      return fail(
          Errc::kInvalidArgument,
          fmt::format("the value of pair {} must be percent-encoded text", pairs.size() + 1));
    }
    pairs.emplace_back(name, *std::move(value));
  }
  return pairs;
}

Result<OtlpTarget> otlp_target(const std::string& endpoint, const std::string& traces_endpoint) {
  OtlpTarget made;
  if (traces_endpoint.empty()) {
    ASAHI_TRY(made.origin, http::Origin::parse(endpoint));
    made.target = "/v1/traces";
    return made;
  }
  ASAHI_TRY(made.origin, http::Origin::parse(traces_endpoint));
  // A client needs a path to ask for below the origin's.
  made.target = std::exchange(made.origin.base_path, {});
  if (made.target.empty()) made.target = "/";
  return made;
}

}  // namespace asahi::gateway
