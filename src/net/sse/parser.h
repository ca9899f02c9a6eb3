#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace asahi::sse {

struct Event {
  std::string event;  ///< empty: "message"
  std::string data;   ///< lines joined by '\n'
  std::string id;
};

/// Server-sent events from bytes cut anywhere (WHATWG HTML §9.2): CR, LF and CRLF line ends,
/// comments, BOM, multi-line data. An event is complete at its empty line; what is unfinished at
/// the end is dropped.
class Parser {
 public:
  /// `max_event_bytes`: a larger event is an upstream error, not unbounded memory; so is an id of
  /// more than 1 KiB.
  explicit Parser(std::size_t max_event_bytes = 8 * 1024 * 1024);
  /// Appends the events that `bytes` completes to `out`.
  Result<void> feed(std::string_view bytes, std::vector<Event>& out);
  /// True when bytes of an unfinished event are held.
  bool mid_event() const;

 private:
  Result<void> take_line(std::string_view line, std::vector<Event>& out);
  std::size_t max_event_bytes_;
  std::string line_;
  Event event_;
  bool has_data_ = false;
  bool skip_lf_ = false;
  bool at_start_ = true;
};

/// "event: x\ndata: …\n\n"; `event` empty leaves its line out. Data with newlines becomes several
/// lines.
void append_event(std::string& out, std::string_view event, std::string_view data);

}  // namespace asahi::sse
