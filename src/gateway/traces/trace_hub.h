#pragma once

#include <functional>
#include <string>

#include "gateway/events/event.h"

namespace asahi::gateway {

class TraceStore;

/// Takes traces from events as these pass by, on the event writer's thread, and brings them where
/// they are wanted.
class TraceHub {
 public:
  /// `store`: null: none are remembered. `send`: gets the spans of exported calls as the members of
  /// a JSON array; null: there is no collector.
  TraceHub(TraceStore* store, std::function<void(std::string spans)> send)
      : store_(store), send_(std::move(send)) {}

  void observe(const InferenceEvent& event) const;

 private:
  TraceStore* store_;
  std::function<void(std::string)> send_;
};

}  // namespace asahi::gateway
