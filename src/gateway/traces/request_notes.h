#pragma once

#include <source_location>
#include <string>
#include <utility>

#include "base/error.h"
#include "gateway/events/event.h"
#include "net/http/context.h"

namespace asahi::gateway {

/// What the pipeline found out about a request, for the log of requests and for reports of faults.
struct RequestNotes final : http::Notes {
  /// `error` null: it was answered.
  RequestNotes(InferenceEvent told, const Error* error) : event(std::move(told)) {
    event.trace = nullptr;
    if (error == nullptr) return;
    message = error->message;
    where = error->where;
  }
  InferenceEvent event;
  std::string message;
  std::source_location where;
};

}  // namespace asahi::gateway
