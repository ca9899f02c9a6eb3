#include "gateway/traces/trace_hub.h"

#include "gateway/traces/otlp_json.h"
#include "gateway/traces/trace_store.h"
#include "gateway/traces/tracer.h"

namespace asahi::gateway {

void TraceHub::observe(const InferenceEvent& event) const {
  if (event.trace == nullptr) return;
  tracer_.taken();
  auto record = make_record(event);
  if (send_ && event.trace->exported) send_(otlp_spans(*record));
  if (store_ != nullptr) store_->add(std::move(record));
}

}  // namespace asahi::gateway
