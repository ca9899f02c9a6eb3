#include "gateway/pipeline_deferred.h"

#include <cmath>

#include "gateway/pipeline_call.h"

// Calls that a vendor's batch API answers: the way of an ordinary call in two halves, hours apart.
namespace asahi::gateway {
namespace {

NanoUsd part_of(NanoUsd whole, double share) {
  return NanoUsd{std::llround(static_cast<double>(whole.nanos) * share)};
}

}  // namespace

Aw<std::optional<DeferredCall>> Pipeline::defer(http::Context& context, const Endpoint& endpoint,
                                                double price, DeferredCodec codec_of) {
  // Whatever stands in the way is told by the ordinary call that follows.
  auto read_call = read(context, endpoint);
  if (!read_call || !co_await govern(**read_call)) co_return std::nullopt;
  const std::shared_ptr<Call> call = *std::move(read_call);
  derive(*call);
  if (!call->cache_key.empty()) {
    const auto hit = co_await parts_.cache.get(call->cache_key);
    if (hit && may_use(call->terms, hit->answer->model)) co_return std::nullopt;
  }
  if (call->enrichable) co_return std::nullopt;
  if (!try_take_own_keys(*call) && !co_await take_own_keys(*call)) co_return std::nullopt;
  if (may_trim(*call)) co_await trim(*call);
  if (parts_.advisor != nullptr) co_await advise(*call);
  const auto planned = plan(*call);
  if (!planned) co_return std::nullopt;
  const ModelProfile& model = *planned->decision.model;
  // What an organisation's own key pays for is done as that organisation is used to.
  if (own_key(call->own_keys.get(), model.provider) != nullptr) co_return std::nullopt;
  const llm::VendorCodec* codec = codec_of(model.provider);
  if (codec == nullptr) co_return std::nullopt;
  auto wire = codec->encode(call->chat, model.vendor_model);
  if (!wire) co_return std::nullopt;
  const std::int64_t input_tokens = count_input(*call, model);
  const NanoUsd most = most_cost(model, input_tokens, call->chat.max_tokens);
  auto let = co_await reserve(*call, model, part_of(estimate_cost(model, input_tokens), price),
                              part_of(most, price), input_tokens);
  if (let) let = co_await audit(*call, model.name);
  if (!let) co_return std::nullopt;
  co_return DeferredCall{.provider = model.provider,
                         .model = model.name,
                         .body = std::move(wire->body),
                         .reservation = std::move(call->reservation)};
}

Aw<http::Response> Pipeline::complete(http::Context& context, const Endpoint& endpoint,
                                      double price_share, std::string model_name,
                                      Reservation reservation, llm::ChatResponse response) {
  auto read_call = read(context, endpoint);
  if (!read_call) co_return endpoint.errors(read_call.error(), context);
  const std::shared_ptr<Call> call = *std::move(read_call);
  call->reservation = std::move(reservation);
  // The answer is there and paid for, whatever has become of the rules; but what they would refuse
  // now is not kept for others.
  if (!co_await govern(*call)) call->store_allowed = false;
  derive(*call);
  Plan made{.registry = parts_.registry.get(), .decision = {}, .attempts = {}};
  const ModelProfile* model = made.registry->get(model_name);
  if (model == nullptr) {
    const auto gone = fail(Errc::kUnavailable, "the model that answered is not known any more");
    record_failure(*call, gone.error(), nullptr);
    co_return endpoint.errors(gone.error(), context);
  }
  made.decision.model = model;
  DispatchReport report;
  report.model = model;
  const AnswerScreening screening = screen(*call, response);
  Outcome outcome;
  outcome.mode = call->options.mode;
  outcome.routing_reason = "answered by the vendor's batch API";
  outcome.task_type = call->task.task_type;
  const auto priced =
      price(*call, std::move(response), report, made, outcome.consumed, outcome.cost);
  auto answer = std::make_shared<Answer>(*priced);
  answer->cost = part_of(outcome.cost, price_share);
  outcome.vendor_batch = true;
  outcome.batching_savings = outcome.cost - answer->cost;
  outcome.cost = answer->cost;
  outcome.baseline = answer->baseline;
  outcome.answer = std::move(answer);
  tell(*call, screening, made, outcome);
  if (!screening.flagged()) keep(*call, outcome.answer);
  co_return write_reply(context, *call, outcome);
}

}  // namespace asahi::gateway
