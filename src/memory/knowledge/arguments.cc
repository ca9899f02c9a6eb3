#include "memory/knowledge/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "memory/graph/fact.h"
#include "memory/ingest/times.h"
#include "memory/model/record.h"

namespace asahi::memory::knowledge {

namespace {

constexpr std::size_t kShown = 60;

/// What was given, for the message.
std::string shown(const json::value& value) {
  std::string text = write_json(value);
  if (text.size() > kShown) text = text.substr(0, kShown) + "…";
  return text;
}

template <class Number>
std::optional<Number> parsed(std::string_view text) {
  Number value{};
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || at != end) return std::nullopt;
  return value;
}

}  // namespace

const json::value* Arguments::find(std::string_view name) {
  asked_.emplace_back(name);
  const json::value* const value = given_.if_contains(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool Arguments::has(std::string_view name) { return find(name) != nullptr; }

void Arguments::fault(std::string_view name, std::string rule) {
  if (!fault_) fault_ = fail_field(std::string(name), std::move(rule)).error();
}

std::string Arguments::text(std::string_view name, std::string_view fallback, std::size_t most) {
  const json::value* const value = find(name);
  if (value == nullptr) return std::string(fallback);
  const auto* const given = value->if_string();
  if (given == nullptr || given->empty() || given->size() > most ||
      given->find('\0') != json::string::npos) {
    fault(name,
          fmt::format("{} is {}: expected a text of 1 to {} bytes", name, shown(*value), most));
    return std::string(fallback);
  }
  return std::string(*given);
}

std::string Arguments::required(std::string_view name, std::size_t most) {
  if (!has(name)) fault(name, fmt::format("{} is missing", name));
  return text(name, {}, most);
}

std::string Arguments::one_of(std::string_view name, std::string_view fallback,
                              std::initializer_list<std::string_view> words) {
  std::string word = text(name, fallback);
  if (std::ranges::find(words, std::string_view(word)) == words.end())
    fault(name, fmt::format("{} is '{}': expected one of {}", name, word, fmt::join(words, ", ")));
  return word;
}

std::int64_t Arguments::whole(std::string_view name, std::int64_t fallback, std::int64_t least,
                              std::int64_t most) {
  const json::value* const value = find(name);
  if (value == nullptr) return fallback;
  std::optional<std::int64_t> number;
  if (value->is_int64()) number = value->get_int64();
  if (value->is_string()) number = parsed<std::int64_t>(value->get_string());
  if (number && *number >= least && *number <= most) return *number;
  fault(name, fmt::format("{} is {}: expected a whole number from {} to {}", name, shown(*value),
                          least, most));
  return fallback;
}

std::optional<double> Arguments::number(std::string_view name, double least, double most) {
  const json::value* const value = find(name);
  if (value == nullptr) return std::nullopt;
  std::optional<double> number;
  if (value->is_number()) number = value->to_number<double>();
  if (value->is_string()) number = parsed<double>(value->get_string());
  if (number && std::isfinite(*number) && *number >= least && *number <= most) return number;
  fault(name,
        fmt::format("{} is {}: expected a number from {} to {}", name, shown(*value), least, most));
  return std::nullopt;
}

std::optional<Clock::Time> Arguments::time(std::string_view name) {
  const std::string given = text(name, {}, 64);
  if (given.empty()) return std::nullopt;
  const auto time = parse_iso_time(given);
  if (time) return *time;
  fault(name, fmt::format("{} is '{}': {}", name, given, time.error().message));
  return std::nullopt;
}

std::optional<std::string> Arguments::object(std::string_view name, std::size_t most) {
  const json::value* const value = find(name);
  if (value == nullptr) return std::nullopt;
  std::string text = write_json(*value);
  if (value->is_object() && text.size() <= most) return text;
  fault(name,
        fmt::format("{} is {}: expected an object of at most {} bytes", name, shown(*value), most));
  return std::nullopt;
}

std::string Arguments::entity(std::string_view name) {
  std::string id = required(name);
  if (auto ok = graph::check_entity_id(id); !ok && !id.empty()) fault(name, ok.error().message);
  return id;
}

std::string Arguments::system(std::string_view name) {
  std::string id = text(name);
  if (id.empty()) return id;
  if (auto ok = check_system_id(id); !ok) fault(name, ok.error().message);
  return id;
}

std::string Arguments::system_within(const Reach& reach, std::string_view name) {
  std::string id = system(name);
  if (id.empty() || fault_) return id;
  if (auto beyond = reach.check(id, name); !beyond) fault_ = std::move(beyond.error());
  return id;
}

std::string Arguments::metric() {
  std::string name = required("metric_name", 100);
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool right =
        (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == ':' || c == '-';
    if (!right) {
      fault("metric_name", fmt::format("'{}' is no name of a metric: expected 1 to 100 of letters,"
                                       " digits, '_', ':' and '-'",
                                       name));
      break;
    }
  }
  return name;
}

Result<void> Arguments::done() {
  if (fault_) return std::unexpected(*fault_);
  for (const auto& member : given_) {
    if (std::ranges::find(asked_, std::string_view(member.key())) != asked_.end()) continue;
    return fail_field(std::string(member.key()),
                      fmt::format("'{}' is not known here; known: {}",
                                  std::string_view(member.key()), fmt::join(asked_, ", ")));
  }
  return {};
}

}  // namespace asahi::memory::knowledge
