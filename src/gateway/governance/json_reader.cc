#include "gateway/governance/json_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/utf8.h"

namespace asahi::gateway {

std::string shown(const json::value& value) {
  constexpr std::size_t kMost = 60;
  std::string text = write_json(value);
  return text.size() <= kMost ? text : mended_utf8(text, kMost - 3) + "…";
}

JsonReader::JsonReader(const json::value& value, std::string path)
    : object_(value.if_object()), path_(std::move(path)) {
  if (object_ != nullptr) return;
  const std::string field = path_.empty() ? "" : path_.substr(0, path_.size() - 1);
  error_ = fail_field(field, fmt::format("{} is {}; it must be a JSON object",
                                         field.empty() ? "the body" : field, shown(value)))
               .error();
}

void JsonReader::only(std::initializer_list<std::string_view> names) {
  if (object_ == nullptr) return;
  for (const auto& member : *object_) {
    if (std::ranges::find(names, std::string_view(member.key())) == names.end()) {
      fault(member.key(), fmt::format("{} is not a known field; known are {}",
                                      std::string_view(member.key()), fmt::join(names, ", ")));
    }
  }
}

const json::value* JsonReader::find(std::string_view name) const {
  return object_ == nullptr ? nullptr : object_->if_contains(name);
}

const json::value* JsonReader::given(std::string_view name) const {
  return error_ ? nullptr : find(name);
}

void JsonReader::fault(std::string_view name, std::string message) {
  if (!error_) error_ = fail_field(path_ + std::string(name), path_ + std::move(message)).error();
}

void JsonReader::merge(const JsonReader& nested) {
  if (!error_) error_ = nested.error_;
}

Result<void> JsonReader::result() const {
  if (error_) return std::unexpected(*error_);
  return {};
}

void JsonReader::text(std::string_view name, std::string& target, std::size_t most) {
  const json::value* value = given(name);
  if (value == nullptr) return;
  if (value->is_null()) return target.clear();
  const auto* text = value->if_string();
  if (text == nullptr || text->size() > most) {
    return fault(name, fmt::format("{} is {}; it must be a text of at most {} bytes", name,
                                   shown(*value), most));
  }
  target = *text;
}

void JsonReader::word(std::string_view name, std::string& target,
                      std::initializer_list<std::string_view> words) {
  const json::value* value = given(name);
  if (value == nullptr) return;
  const auto* text = value->if_string();
  if (value->is_null() || (text != nullptr && text->empty())) return target.clear();
  if (text == nullptr || std::ranges::find(words, std::string_view(*text)) == words.end()) {
    return fault(name, fmt::format("{} is {}; it must be one of {} or null", name, shown(*value),
                                   fmt::join(words, ", ")));
  }
  target = *text;
}

void JsonReader::flag(std::string_view name, bool& target) {
  const json::value* value = given(name);
  if (value == nullptr) return;
  if (!value->is_bool()) {
    return fault(name, fmt::format("{} is {}; it must be true or false", name, shown(*value)));
  }
  target = value->get_bool();
}

void JsonReader::integer(std::string_view name, std::optional<std::int64_t>& target,
                         std::int64_t least, std::int64_t most) {
  const json::value* value = given(name);
  if (value == nullptr) return;
  if (value->is_null()) return target.reset();
  const auto* number = value->if_int64();
  if (number == nullptr || *number < least || *number > most) {
    return fault(name, fmt::format("{} is {}; it must be a whole number from {} to {} or null",
                                   name, shown(*value), least, most));
  }
  target = *number;
}

void JsonReader::integer(std::string_view name, int& target, std::int64_t least,
                         std::int64_t most) {
  const json::value* value = given(name);
  if (value == nullptr) return;
  const auto* number = value->if_int64();
  if (number == nullptr || *number < least || *number > most) {
    return fault(name, fmt::format("{} is {}; it must be a whole number from {} to {}", name,
                                   shown(*value), least, most));
  }
  target = static_cast<int>(*number);
}

void JsonReader::number(std::string_view name, double& target, double least, double most) {
  const json::value* value = given(name);
  if (value == nullptr) return;
  const double number = value->is_number() ? value->to_number<double>() : least - 1;
  if (!(number >= least && number <= most)) {
    return fault(name, fmt::format("{} is {}; it must be a number from {} to {}", name,
                                   shown(*value), least, most));
  }
  target = number;
}

void JsonReader::dollars(std::string_view name, std::optional<NanoUsd>& target, double most) {
  const json::value* value = given(name);
  if (value == nullptr) return;
  if (value->is_null()) return target.reset();
  const double number = value->is_number() ? value->to_number<double>() : -1;
  if (!(number >= 0 && number <= most)) {
    return fault(name, fmt::format("{} is {}; it must be a number of dollars from 0 to {} or null",
                                   name, shown(*value), most));
  }
  target = nano_usd_from_dollars(number);
}

void JsonReader::texts(std::string_view name, std::vector<std::string>& target, std::size_t most,
                       std::size_t most_bytes) {
  const json::value* value = given(name);
  if (value == nullptr) return;
  if (value->is_null()) return target.clear();
  const auto* list = value->if_array();
  const bool fits = list != nullptr && list->size() <= most &&
                    std::ranges::all_of(*list, [&](const json::value& item) {
                      const auto* text = item.if_string();
                      return text != nullptr && !text->empty() && text->size() <= most_bytes;
                    });
  if (!fits) {
    return fault(
        name, fmt::format("{} is {}; it must be a list of at most {} texts of 1 to {} bytes", name,
                          shown(*value), most, most_bytes));
  }
  target.clear();
  for (const json::value& item : *list) target.emplace_back(item.get_string());
}

void JsonReader::time(std::string_view name, std::optional<Clock::Time>& target) {
  const json::value* value = given(name);
  if (value == nullptr) return;
  if (value->is_null()) return target.reset();
  const auto* text = value->if_string();
  // Clocks count nanoseconds in 64 bits: years far away would wrap around.
  const bool near = text != nullptr && text->size() >= 4 &&
                    std::string_view(*text).substr(0, 4) >= "1970" &&
                    std::string_view(*text).substr(0, 4) < "2200";
  auto parsed = near ? parse_rfc3339(*text)
                     : Result<Clock::Time>(fail(Errc::kInvalidArgument, "another time"));
  if (!parsed) {
    return fault(
        name,
        fmt::format(
            "{} is {}; it must be a time like 2026-11-21T10:00:00Z, from 1970 to 2199, or null",
            name, shown(*value)));
  }
  target = std::chrono::floor<std::chrono::milliseconds>(*parsed);
}

}  // namespace asahi::gateway
