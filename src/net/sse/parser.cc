#include "net/sse/parser.h"

#include <fmt/format.h>

namespace asahi::sse {

Parser::Parser(std::size_t max_event_bytes) : max_event_bytes_(max_event_bytes) {}

Result<void> Parser::feed(std::string_view bytes, std::vector<Event>& out) {
  while (!bytes.empty()) {
    if (std::exchange(skip_lf_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const std::size_t end = bytes.find_first_of("\r\n");
    const std::string_view part = bytes.substr(0, end);
    if (line_.size() + part.size() + event_.data.size() + event_.event.size() + event_.id.size() >
        max_event_bytes_) {
      return fail(Errc::kUpstream,
                  fmt::format("a server-sent event is larger than {} bytes", max_event_bytes_));
    }
    if (end == std::string_view::npos) {
      line_ += part;
      return {};
    }
    skip_lf_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    // A line that lies whole in the input is not copied.
    if (line_.empty()) {
      if (auto taken = take_line(part, out); !taken) return taken;
    } else {
      line_ += part;
      auto taken = take_line(line_, out);
      line_.clear();
      if (!taken) return taken;
    }
  }
  return {};
}

Result<void> Parser::take_line(std::string_view line, std::vector<Event>& out) {
  if (std::exchange(at_start_, false) && line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
  if (line.empty()) {
    // Without data there is no event (WHATWG HTML §9.2.6), and its name is forgotten; the id stays.
    if (has_data_) {
      event_.data.pop_back();
      out.push_back({std::move(event_.event), std::move(event_.data), event_.id});
    }
    event_.event.clear();
    event_.data.clear();
    has_data_ = false;
    return {};
  }
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value =
      colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    event_.data += value;
    event_.data += '\n';
    has_data_ = true;
  } else if (field == "event") {
    event_.event = value;
  } else if (field == "id" && value.find('\0') == std::string_view::npos) {
    event_.id = value;
  }
  return {};
}

bool Parser::mid_event() const { return !line_.empty() || has_data_ || !event_.event.empty(); }

void append_event(std::string& out, std::string_view event, std::string_view data) {
  if (!event.empty()) {
    out += "event: ";
    out += event;
    out += '\n';
  }
  for (;;) {
    const std::size_t end = data.find_first_of("\r\n");
    out += "data: ";
    out += data.substr(0, end);
    out += '\n';
    if (end == std::string_view::npos) break;
    data.remove_prefix(data.substr(end).starts_with("\r\n") ? end + 2 : end + 1);
  }
  out += '\n';
}

}  // namespace asahi::sse
