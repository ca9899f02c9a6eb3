#include "server/commands/threshold_labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/json.h"

namespace asahi::server {
namespace {

constexpr std::size_t kShownFaults = 20;
constexpr std::size_t kLongestTask = 64;

class Reader {
 public:
  explicit Reader(std::string_view origin) : origin_(origin) {}

  void read_line(std::size_t number, std::string_view line) {
    number_ = number;
    const auto parsed = parse_json(line);
    if (!parsed) return fault("", fmt::format("is no JSON: {}", parsed.error().message));
    const json::object* row = parsed->if_object();
    if (row == nullptr) return fault("", "must be an object");
    const std::size_t before = faults_;
    LabelledPair pair;
    pair.a = text(*row, "a", "query_a");
    pair.b = text(*row, "b", "query_b");
    pair.same = label(*row);
    if (const json::value* task = row->if_contains("task"); task != nullptr && !task->is_null()) {
      const bool good = task->is_string() && !task->get_string().empty() &&
                        task->get_string().size() <= kLongestTask &&
                        std::ranges::all_of(task->get_string(), [](char c) {
                          return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
                        });
      if (good) {
        pair.task = std::string(task->get_string());
      } else {
        fault("task", fmt::format("must be a task's name of 1 to {} lower-case letters, digits and "
                                  "underscores",
                                  kLongestTask));
      }
    }
    if (faults_ == before) pairs_.push_back(std::move(pair));
  }

  Result<std::vector<LabelledPair>> take() {
    if (faults_ > kShownFaults)
      report_ += fmt::format("\n  and {} more faults", faults_ - kShownFaults);
    if (faults_ > 0) return fail(Errc::kInvalidArgument, "the labels have faults:" + report_);
    if (pairs_.empty())
      return fail(Errc::kInvalidArgument, fmt::format("{} holds no labelled pair", origin_));
    return std::move(pairs_);
  }

 private:
  void fault(std::string_view field, std::string_view rule) {
    if (++faults_ > kShownFaults) return;
    report_ +=
        fmt::format("\n  {}:{}: {}{}{}", origin_, number_, field, field.empty() ? "" : " ", rule);
  }
  /// The member of either name; says so when there is none, or both.
  const json::value* either(const json::object& row, const char* name, const char* other) {
    const json::value* first = row.if_contains(name);
    const json::value* second = row.if_contains(other);
    if (first != nullptr && second != nullptr) {
      fault(name, fmt::format("and {} are the same field; give one", other));
      return nullptr;
    }
    if (first == nullptr && second == nullptr)
      fault(name, fmt::format("(or {}) is missing", other));
    return first != nullptr ? first : second;
  }
  std::string text(const json::object& row, const char* name, const char* other) {
    const json::value* value = either(row, name, other);
    if (value == nullptr) return {};
    if (!value->is_string() ||
        value->get_string().find_first_not_of(" \t\r\n") == json::string::npos) {
      fault(name, "must be a text that is not blank");
      return {};
    }
    return std::string(value->get_string());
  }
  bool label(const json::object& row) {
    const json::value* value = either(row, "same", "label");
    if (value == nullptr) return false;
    if (value->is_bool()) return value->get_bool();
    if (value->is_int64() && (value->get_int64() == 0 || value->get_int64() == 1))
      return value->get_int64() == 1;
    fault("same", "must be true, false, 1 or 0");
    return false;
  }

  std::string_view origin_;
  std::size_t number_ = 0, faults_ = 0;
  std::string report_;
  std::vector<LabelledPair> pairs_;
};

}  // namespace

Result<std::vector<LabelledPair>> read_labels(std::string_view text, std::string_view origin) {
  Reader reader(origin);
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) reader.read_line(number, line);
  }
  return reader.take();
}

}  // namespace asahi::server
