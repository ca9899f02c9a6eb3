#include <algorithm>

#include "gateway/pipeline_call.h"

// Stage 8: what is known about the user and the organisation, before the prompt.
namespace asahi::gateway {

Enricher::Request Pipeline::feature_request(const Call& call) {
  return {.task = call.task.task_type,
          .org = call.org,
          .user = call.options.user_id,
          .org_known = call.caller->kind != identity::Principal::Kind::kAnonymous ||
                       !call.options.organization_id.empty(),
          .wanted = call.options.enrich_with_features};
}

Task<void> Pipeline::enrich(Call& call) {
  if (!call.enrichable) co_return Result<void>{};
  ASAHI_CO_TRY(std::string block, co_await parts_.enricher->block(feature_request(call)));
  if (block.empty()) co_return Result<void>{};
  // Features are data from outside: they are looked at like what the caller says.
  llm::ChatRequest looked_at;
  llm::Message message{.role = llm::Role::kUser};
  message.parts.emplace_back(llm::TextPart{.text = std::move(block), .cache_control = {}});
  looked_at.messages.push_back(std::move(message));
  auto screened = parts_.governor.screen(call.terms, looked_at);
  if (!screened) {
    call.warnings.emplace_back("features were left out: " + screened.error().error.message);
    co_return Result<void>{};
  }
  for (std::string& warning : screened->warnings)
    call.warnings.push_back("features: " + std::move(warning));
  const auto user = std::ranges::find(call.chat.messages.rbegin(), call.chat.messages.rend(),
                                      llm::Role::kUser, &llm::Message::role);
  if (user == call.chat.messages.rend()) co_return Result<void>{};
  for (llm::Part& part : user->parts) {
    auto* text = std::get_if<llm::TextPart>(&part);
    if (text == nullptr) continue;
    text->text.insert(0, looked_at.messages.front().text());
    call.chat.messages_changed = true;
    call.enriched = true;
    break;
  }
  co_return Result<void>{};
}

}  // namespace asahi::gateway
