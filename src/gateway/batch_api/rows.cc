#include "gateway/batch_api/rows.h"

#include <fmt/format.h>

#include <algorithm>

namespace asahi::gateway {
namespace {

constexpr std::size_t kMostIdBytes = 256;

const json::string* string_at(const json::object& row, std::string_view key) {
  const json::value* value = row.if_contains(key);
  return value == nullptr ? nullptr : value->if_string();
}

/// The text of the member `body`, as it stands in the line where that can be had.
std::string body_text(const JsonDocument& document, const json::object& row) {
  const auto member = row.find("body");
  const std::string_view whole = document.text_of(*member);
  const std::size_t begin = whole.find('{');
  return whole.empty() || begin == std::string_view::npos ? write_json(member->value())
                                                          : std::string(whole.substr(begin));
}

}  // namespace

void RowReader::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    if (!skipping_ && rest_.size() + piece.size() > rules_.most_line_bytes) {
      ++line_;
      fault("invalid_json_line", "",
            fmt::format("the line is longer than {} bytes", rules_.most_line_bytes));
      --line_;  // counted at its end
      rest_.clear();
      skipping_ = true;
    }
    if (!skipping_) rest_ += piece;
    if (end == std::string_view::npos) return;
    bytes.remove_prefix(end + 1);
    ++line_;
    if (!skipping_) read(rest_);
    rest_.clear();
    skipping_ = false;
  }
}

void RowReader::finish() {
  if (!rest_.empty() && !skipping_) {
    ++line_;
    read(rest_);
  }
  rest_.clear();
  if (count_ == 0 && faults_.empty()) {
    line_ = 0;
    fault("empty_file", "", "the input file has no requests; put one JSON object on each line");
  }
}

std::vector<BatchRow> RowReader::take() {
  if (!faults_.empty()) rows_.clear();
  return std::exchange(rows_, {});
}

void RowReader::fault(std::string code, std::string param, std::string message) {
  if (faults_.size() >= kMostFaults) return;
  faults_.push_back({.code = std::move(code),
                     .message = std::move(message),
                     .param = std::move(param),
                     .line = line_});
}

void RowReader::read(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line_ == 1 && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);  // a byte order mark
  if (line.find_first_not_of(" \t") == std::string_view::npos) return;
  ++count_;
  if (count_ == static_cast<std::int64_t>(rules_.most_rows) + 1) {
    return fault("too_many_tasks", "",
                 fmt::format("a batch has at most {} requests; split the file", rules_.most_rows));
  }
  if (faults_.size() >= kMostFaults || count_ > static_cast<std::int64_t>(rules_.most_rows)) return;
  auto document = JsonDocument::parse(line);
  if (!document) {
    return fault("invalid_json_line", "",
                 fmt::format("the line is no JSON: {}", document.error().message));
  }
  const json::object* row = (*document)->root().if_object();
  if (row == nullptr)
    return fault("invalid_json_line", "",
                 "the line must be a JSON object, as in "
                 R"({"custom_id": "1", "method": "POST", "url": …, "body": {…}})");
  for (const auto& member : *row) {
    const std::string_view key = member.key();
    if (key != "custom_id" && key != "method" && key != "url" && key != "body") {
      return fault("invalid_request", std::string(key.substr(0, 64)),
                   fmt::format("'{}' is not known; a line has custom_id, method, url and body",
                               key.substr(0, 64)));
    }
  }
  const json::string* id = string_at(*row, "custom_id");
  if (id == nullptr || id->empty() || id->size() > kMostIdBytes ||
      std::ranges::any_of(*id, [](unsigned char c) { return c < 0x20; })) {
    return fault("invalid_custom_id", "custom_id",
                 "custom_id must be a string of 1 to 256 bytes without control characters, "
                 "another in every line");
  }
  const json::string* method = string_at(*row, "method");
  if (method == nullptr || *method != "POST")
    return fault("invalid_method", "method", "method must be \"POST\"");
  const json::string* url = string_at(*row, "url");
  if (url == nullptr || std::string_view(*url) != rules_.url) {
    return fault("mismatched_url", "url",
                 fmt::format("url must be the batch's endpoint, \"{}\"", rules_.url));
  }
  const json::value* body = row->if_contains("body");
  if (body == nullptr || !body->is_object())
    return fault("invalid_body", "body", "body must be a JSON object: the request itself");
  if (const json::value* stream = body->get_object().if_contains("stream");
      stream != nullptr && stream->is_bool() && stream->get_bool()) {
    return fault("invalid_body", "body.stream", "requests of a batch are not streamed");
  }
  for (const std::string_view key : {"provider_api_key", "request_id"}) {
    if (body->get_object().contains(key)) {
      return fault("invalid_body", fmt::format("body.{}", key),
                   fmt::format("'{}' cannot be used in a batch", key));
    }
  }
  BatchRow read_row{
      .line = line_, .custom_id = std::string(*id), .body = body_text(**document, *row)};
  auto request = JsonDocument::parse(read_row.body);
  if (auto checked = request ? rules_.check(*std::move(request))
                             : Result<void>(std::unexpected(request.error()));
      !checked) {
    return fault(checked.error().reason.empty() ? "invalid_body" : checked.error().reason,
                 checked.error().field.empty() ? "body" : "body." + checked.error().field,
                 checked.error().message);
  }
  if (!ids_.insert(read_row.custom_id).second) {
    return fault("duplicate_custom_id", "custom_id",
                 fmt::format("custom_id '{}' stands in an earlier line too", read_row.custom_id));
  }
  if (faults_.empty()) rows_.push_back(std::move(read_row));
}

}  // namespace asahi::gateway
