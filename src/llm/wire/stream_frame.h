#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "llm/message.h"

namespace asahi::llm::wire {

/// Marks the events from `first` on as those of one vendor frame: the first carries the frame's
/// text, the rest say that they belong to it. A frame without events becomes a kOther, so that
/// nothing is lost on the way to a client of the same shape.
inline void stamp_frame(std::vector<StreamEvent>& out, std::size_t first, Shape shape,
                        std::string raw, std::string raw_event = {}) {
  if (out.size() == first) out.emplace_back();
  bool closes = false;
  for (std::size_t i = first; i < out.size(); ++i) {
    out[i].raw_shape = shape;
    out[i].frame_follows = i > first;
    closes = closes || out[i].kind == StreamEvent::Kind::kFinish ||
             out[i].kind == StreamEvent::Kind::kUsage;
  }
  out[first].raw_closes = closes;
  out[first].has_raw = true;
  out[first].raw = std::move(raw);
  out[first].raw_event = std::move(raw_event);
}

/// Appends an event of `kind` and returns it.
inline StreamEvent& add_event(std::vector<StreamEvent>& out, StreamEvent::Kind kind,
                              std::string text = {}) {
  StreamEvent& event = out.emplace_back();
  event.kind = kind;
  event.text = std::move(text);
  return event;
}

}  // namespace asahi::llm::wire
