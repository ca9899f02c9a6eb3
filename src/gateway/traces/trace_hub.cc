#include "gateway/traces/trace_hub.h"

#include "gateway/traces/otlp_json.h"
#include "gateway/traces/trace_store.h"

namespace asahi::gateway {

void TraceHub::observe(const InferenceEvent& event) const {
  if (event.trace == nullptr) return;
  event.trace->ticket.give_back();
  auto record = make_record(event);
  if (send_ && event.trace->exported) send_(otlp_spans(*record));
  if (store_ != nullptr) store_->add(std::move(record));
}

}  // namespace asahi::gateway
