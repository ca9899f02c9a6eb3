#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "gateway/pipeline_call.h"
#include "llm/wire/embeddings_client.h"

// POST /v1/embeddings.
namespace asahi::gateway {

Task<void> Pipeline::govern_embedding(Call& call, const ModelProfile& model,
                                      llm::wire::EmbeddingCall& request) {
  if (auto known = co_await take_terms(call); !known) co_return known;
  call.options.user_id = call.caller->user_id;
  if (auto admitted = parts_.governor.admit(call.terms, &model); !admitted) {
    co_return std::unexpected(error_of(std::move(admitted.error())));
  }
  auto screened = parts_.governor.screen(call.terms, request.request.input);
  if (!screened) co_return std::unexpected(error_of(std::move(screened.error())));
  std::int64_t tokens = 0;
  for (const std::string& text : request.request.input) tokens += llm::estimate_tokens(text);
  for (const auto& ids : request.request.tokens) tokens += static_cast<std::int64_t>(ids.size());
  CostSum estimate;
  estimate.add(tokens, model.input);
  if (auto let = co_await reserve(call, model, estimate.total(),
                                  NanoUsd{2 * estimate.total().nanos}, tokens);
      !let)
    co_return let;
  co_return co_await audit(call, model.name);
}

Aw<http::Response> Pipeline::embed(http::Context& context, const http::ErrorWriter& errors) {
  Call call(context, nullptr);
  call.trace = watch(context);
  call.task.task_type = "embedding";
  const auto refuse = [&](const Error& error) {
    record_failure(call, error, nullptr);
    return errors(error, context);
  };
  auto document = JsonDocument::parse(context.request.body);
  if (!document) co_return refuse(document.error());
  auto request = llm::wire::decode_embedding_call(**document);
  if (!request) co_return refuse(request.error());
  const auto registry = parts_.registry.get();
  const ModelProfile* model = registry->get(request->request.model);
  if (model == nullptr || !model->supports.has(Capability::kEmbeddings)) {
    auto unknown = fail_field(
        "model", fmt::format("'{}' is no embedding model of this gateway; see GET /v1/models",
                             utf8_prefix(request->request.model, 100)));
    unknown.error().code = Errc::kNotFound;
    unknown.error().reason = "model_not_found";
    co_return refuse(unknown.error());
  }
  if (!try_take_own_keys(call)) {
    if (auto taken = co_await take_own_keys(call); !taken) co_return refuse(taken.error());
  }
  const Secret* own = own_key(call.own_keys.get(), model->provider);
  llm::Embedder* vendor = parts_.vendors.embedder(model->provider);
  if (vendor == nullptr || (own == nullptr && !parts_.vendors.usable(model->provider))) {
    auto missing =
        fail(Errc::kUnavailable, fmt::format("no key is configured for {}", model->provider));
    missing.error().reason = "service_unavailable";
    co_return refuse(missing.error());
  }
  if (auto let = co_await govern_embedding(call, *model, *request); !let)
    co_return refuse(let.error());
  const DispatchSpan asking(call.trace);
  // Vendors take at most 96 texts at a time (Cohere's limit, the smallest).
  constexpr std::size_t kChunk = 96;
  llm::EmbeddingResponse whole;
  whole.model = model->name;
  whole.usage.reported = true;
  const std::size_t count = std::max(request->request.input.size(), request->request.tokens.size());
  for (std::size_t begin = 0; begin < count; begin += kChunk) {
    llm::EmbeddingRequest part = request->request;
    part.model = model->vendor_model;
    const auto slice = [&](auto& items) {
      using List = std::decay_t<decltype(items)>;
      if (items.empty()) return List{};
      return List(
          items.begin() + static_cast<std::ptrdiff_t>(begin),
          items.begin() + static_cast<std::ptrdiff_t>(std::min(begin + kChunk, items.size())));
    };
    part.input = slice(request->request.input);
    part.tokens = slice(request->request.tokens);
    auto done = co_await parts_.dispatcher.embed(*vendor, model->provider, std::move(part),
                                                 context.deadline, context.cancel,
                                                 own == nullptr ? Secret() : *own);
    if (!done) co_return refuse(done.error());
    std::ranges::move(done->vectors, std::back_inserter(whole.vectors));
    whole.usage.input += done->usage.input;
    whole.usage.reported = whole.usage.reported && done->usage.reported;
  }
  Outcome outcome;
  auto answer = std::make_shared<Answer>();
  answer->model = model->name;
  answer->provider = model->provider;
  outcome.answer = answer;
  outcome.mode = RoutingMode::kExplicit;
  outcome.routing_reason = "named by the caller";
  outcome.task_type = "embedding";
  outcome.consumed = whole.usage;
  outcome.cost = cost_of(whole.usage, *model);
  // An embedding has no dearer twin in the baseline: nothing is saved and nothing lost.
  outcome.baseline = outcome.cost;
  outcome.total_ms = outcome.vendor_ms = ms_since(context.received);
  record(call, outcome);
  co_return http::Response::json(
      200, llm::wire::encode_embedding_reply(whole, request->encoding,
                                             asahi_object(outcome, context.request_id)));
}

}  // namespace asahi::gateway
