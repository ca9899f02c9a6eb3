#include "gateway/cache/steps/step_cache.h"

#include <fmt/format.h>

namespace asahi::gateway {
namespace {

ExactCache::Options third_tier(ExactCache::Options options) {
  options.tier = "t3";
  return options;
}

}  // namespace

StepCache::StepCache(Options options, cache::Store& primary, cache::Store& local,
                     const Clock& clock)
    : digest_key_(options.store.digest_key),
      ttl_(options.ttl),
      cache_(third_tier(std::move(options.store)), primary, local, clock) {}

std::string StepCache::document(std::string_view document_id) const {
  if (document_id.empty()) return "none";
  return to_hex(keyed_digest(digest_key_, {"document", document_id}));
}

std::string StepCache::key(std::string_view org, std::string_view document_id,
                           std::string_view settings, const Step& step) const {
  return fmt::format("{}{}:{}:{}", cache_.prefix_of(org), document(document_id),
                     to_string(step.type),
                     to_hex(keyed_digest(digest_key_, {org, document_id, to_string(step.type),
                                                       step.intent, step.input_text, settings})));
}

Aw<std::optional<ExactCache::Hit>> StepCache::get(std::string key) {
  auto found = co_await cache_.get(std::move(key));
  ++(found ? hits_ : misses_);
  co_return found;
}

Aw<void> StepCache::put(std::string key, std::shared_ptr<const Answer> answer, bool sealed) {
  return cache_.put(std::move(key), std::move(answer), ttl_, sealed);
}

Task<std::uint64_t> StepCache::forget_document(std::string org, std::string document_id) {
  return cache_.erase_prefix(cache_.prefix_of(org) + document(document_id) + ":");
}

Task<std::uint64_t> StepCache::forget_key(std::string org, std::string key) {
  if (!key.starts_with(cache_.prefix_of(org))) co_return std::uint64_t{0};
  co_return co_await cache_.erase_key(std::move(key));
}

std::string step_settings(const json::object& body, std::string_view system) {
  json::object settings;
  for (const auto& member : body) {
    const std::string_view key = member.key();
    // What it asks is in the steps, what it tells beforehand in `system`.
    if (key == "prompt" || key == "messages" || key == "input" || key == "system" ||
        key == "system_prompt" || key == "instructions")
      continue;
    settings[member.key()] = member.value();
  }
  return fmt::format("{}\x1f{}", canonical_request(settings), system);
}

}  // namespace asahi::gateway
