#pragma once
// What the pieces of BatchRunner share; for its own files.

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "base/json_out.h"
#include "gateway/batch_api/batch_runner.h"
#include "net/event.h"

namespace asahi::gateway {

/// One turn of work on a batch, on one loop.
struct BatchRunner::Turn {
  Turn(Batch given, net::Loop& on, CancelSource& cancel)
      : batch(std::move(given)),
        loop(on),
        stop(cancel),
        cancelling(batch.status == batch_status::kCancelling),
        lease_given(on) {}

  Batch batch;
  net::Loop& loop;
  CancelSource& stop;  ///< the process ends
  std::shared_ptr<const identity::Principal> caller;
  const RowEndpoint* endpoint = nullptr;
  bool cancelling;    ///< somebody wants the batch to end
  bool lost = false;  ///< the lease
  std::int64_t next_turn_at = 0;
  CancelSource ended;
  net::Event lease_given;  ///< the lease is kept no longer
};

/// A row as a request of its endpoint, in the name of the batch's creator.
struct BatchRunner::RowCall {
  RowCall(Turn& turn, std::string body, std::chrono::steady_clock::time_point deadline);
  http::Request request;
  http::Context context;
};

}  // namespace asahi::gateway
