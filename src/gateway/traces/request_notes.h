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
  /// `error` null: it was answered; `gave_up`: where the request was found lost for it.
  RequestNotes(InferenceEvent told, const Error* error, std::source_location gave_up = {})
      : event(std::move(told)), given_up(gave_up) {
    event.trace = nullptr;
    if (error == nullptr) return;
    message = error->message;
    where = error->where;
  }
  InferenceEvent event;
  std::string message;
  std::source_location where, given_up;  ///< line 0: not known
};

}  // namespace asahi::gateway
