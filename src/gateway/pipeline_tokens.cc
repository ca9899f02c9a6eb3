#include "gateway/pipeline_call.h"
#include "gateway/tokens/optimiser.h"
#include "llm/tokens/counter.h"
#include "llm/vendor.h"

// Stage 9 of the pipeline, and how many tokens a request is.
namespace asahi::gateway {
namespace {

/// Messages of the request that come from POST /infer's `examples`, in pairs.
std::size_t examples_in(const json::object& body) {
  const json::value* examples = body.if_contains("examples");
  return examples != nullptr && examples->is_array() ? examples->get_array().size() : 0;
}

/// Words × 1.3 is far off where words are not set apart by blanks: other scripts, code, data. A
/// token has four to five bytes of English; with twice as many the estimate is doubted.
bool is_doubtful(std::int64_t estimate, std::size_t bytes) {
  return static_cast<std::int64_t>(bytes) > 9 * estimate;
}

}  // namespace

bool Pipeline::may_trim(const Call& call) const {
  return parts_.optimiser != nullptr && call.options.optimize_tokens &&
         parts_.optimiser->is_worth_trying(call.chat);
}

Aw<void> Pipeline::trim(Call& call) {
  const std::size_t examples =
      call.endpoint->codec == nullptr ? examples_in(call.document->root().get_object()) : 0;
  llm::CallContext context;
  context.deadline = call.deadline;
  context.request_id = call.request_id;
  context.traceparent = call.traceparent;
  auto report = co_await parts_.optimiser->optimise(call.chat, examples, context);
  if (!report.skipped.empty()) call.warnings.push_back(std::move(report.skipped));
  if (report.changed())
    call.trimmed = std::make_shared<const OptimisationReport>(std::move(report));
}

std::int64_t Pipeline::count_input(const Call& call, const ModelProfile& model) const {
  const std::int64_t estimate = llm::estimate_tokens(call.chat);
  if (parts_.counter == nullptr || !is_doubtful(estimate, llm::text_bytes(call.chat)))
    return estimate;
  return parts_.counter->count(call.chat, model.vendor_model).tokens;
}

void Pipeline::tell_trimming(const Call& call, const ModelProfile& model, Outcome& outcome) {
  outcome.trimmed = call.trimmed;
  if (call.trimmed == nullptr) return;
  llm::Usage unsent;
  unsent.input = call.trimmed->saved();
  outcome.trim_savings = cost_of(unsent, model);
}

}  // namespace asahi::gateway
