#include <fmt/format.h>

#include "gateway/cache/semantic/question.h"
#include "gateway/governance/json_reader.h"
#include "gateway/governance/retention.h"
#include "gateway/http/admin_routes.h"
#include "gateway/http/audit_note.h"
#include "gateway/http/errors.h"
#include "gateway/routing/pricing.h"
#include "identity/principal.h"
#include "llm/vendor.h"

// What people do to cached answers: warm, invalidate, report as wrong, delete; thresholds of
// tier 2.
namespace asahi::gateway {
namespace {

constexpr std::size_t kMostText = 400'000;

const std::string& org_of(const http::Context& context) {
  return identity::principal_of(context).org_id;
}

Aw<void> note_cache(const ServiceParts& parts, const http::Context& context, std::string action,
                    std::string resource, json::object details) {
  return note(parts.audit, audit_entry(context, org_of(context), std::move(action),
                                       std::move(resource), std::move(details)));
}

using Body = Task<http::Response> (*)(const ServiceParts& parts, http::Context& context);

void add(http::Router& router, const ServiceParts& parts, http::Method method,
         const std::string& pattern, std::string_view access, Body body) {
  add_both(router, method, pattern, access,
           [parts, body](http::Context& context) -> Aw<http::Response> {
             auto reply = co_await body(parts, context);
             if (!reply) co_return native_error(reply.error(), context);
             co_return std::move(*reply);
           });
}

http::Response reply(const json::object& body) {
  return http::Response::json(200, write_json(body));
}

Result<SemanticCache*> tier_2(const ServiceParts& parts) {
  if (parts.semantic != nullptr) return parts.semantic->cache.get();
  auto off = fail(Errc::kNotFound, "the semantic cache is off (cache.tier2.enabled)");
  off.error().reason = "semantic_cache_off";
  return off;
}

std::unexpected<Error> no_entry(const std::string& id) {
  return fail(Errc::kNotFound, fmt::format("no entry '{}' of tier 2; see GET /cache/entries?tier=2",
                                           id.substr(0, 64)));
}

/// `*` is any text, `?` any byte.
bool matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

/// Erases entries of a tier that is kept in a store; how many.
Task<std::int64_t> erase_stored(ExactCache& cache, std::string org,
                                std::function<bool(const std::string&, const Answer&)> gone) {
  const auto keys = std::make_shared<std::vector<std::string>>();
  auto seen = co_await cache.each(
      std::move(org),
      [keys, gone = std::move(gone)](const cache::Entry& entry, const Answer& answer) {
        if (gone(entry.key, answer)) keys->push_back(entry.key);
        return true;
      });
  if (!seen) co_return std::unexpected(std::move(seen.error()));
  std::int64_t erased = 0;
  for (const std::string& key : *keys) {
    ASAHI_CO_TRY(const std::uint64_t count, co_await cache.erase_key(key));
    erased += static_cast<std::int64_t>(count);
  }
  co_return erased;
}

Task<http::Response> report_entry(const ServiceParts& parts, http::Context& context) {
  ASAHI_CO_TRY(SemanticCache* const cache, tier_2(parts));
  std::string reason;
  if (!context.request.body.empty()) {
    ASAHI_CO_TRY(const json::value body, parse_json(context.request.body, 8));
    JsonReader reader(body);
    reader.only({"reason"});
    reader.text("reason", reason, 1'000);
    if (auto read = reader.result(); !read) co_return std::unexpected(std::move(read.error()));
  }
  const std::string id = std::string(context.path_param("id"));
  ASAHI_CO_TRY(const bool known, co_await cache->report(org_of(context), id));
  if (!known) co_return no_entry(id);
  ASAHI_CO_TRY(const std::int64_t copies,
               co_await erase_stored(parts.cache, org_of(context),
                                     [id](const std::string&, const Answer& answer) {
                                       return answer.entry_id == id;
                                     }));
  co_await note_cache(parts, context, "cache.report", "cache/" + id,
                      {{"reason", reason}, {"copies_removed", copies}});
  co_return reply({{"entry_id", id}, {"reported", true}, {"copies_removed", copies}});
}

Task<http::Response> delete_entry(const ServiceParts& parts, http::Context& context) {
  ASAHI_CO_TRY(SemanticCache* const cache, tier_2(parts));
  const std::string id = std::string(context.path_param("id"));
  std::vector<std::string> ids(1, id);
  ASAHI_CO_TRY(const std::int64_t erased, co_await cache->erase(org_of(context), std::move(ids)));
  if (erased == 0) co_return no_entry(id);
  ASAHI_CO_TRY(const std::int64_t copies,
               co_await erase_stored(parts.cache, org_of(context),
                                     [id](const std::string&, const Answer& answer) {
                                       return answer.entry_id == id;
                                     }));
  co_return reply({{"removed", {{"tier_1", copies}, {"tier_2", erased}, {"tier_3", 0}}},
                   {"total", copies + erased}});
}

Task<http::Response> invalidate(const ServiceParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const json::value body, parse_json(context.request.body, 8));
  std::string pattern, reason;
  JsonReader reader(body);
  reader.only({"pattern", "reason"});
  reader.text("pattern", pattern, 500);
  reader.text("reason", reason, 1'000);
  if (pattern.empty())
    reader.fault("pattern", "pattern is needed: text of questions or keys, * for any text");
  if (reason.empty()) reader.fault("reason", "reason is needed: it stands in the audit log");
  if (auto read = reader.result(); !read) co_return std::unexpected(std::move(read.error()));
  const std::string org = org_of(context);
  const auto gone = [pattern](const std::string& key, const Answer& answer) {
    return matches(pattern, key) || matches(pattern, answer.query);
  };
  ASAHI_CO_TRY(const std::int64_t exact, co_await erase_stored(parts.cache, org, gone));
  ASAHI_CO_TRY(const std::int64_t steps, co_await erase_stored(parts.steps.entries(), org, gone));
  std::int64_t similar = 0;
  if (parts.semantic != nullptr) {
    ASAHI_CO_TRY(similar, co_await erase_similar(*parts.semantic->cache, org,
                                                 [pattern](const semantic::EntryRow& row) {
                                                   return matches(pattern, row.id) ||
                                                          matches(pattern, row.query) ||
                                                          matches(pattern, row.earlier);
                                                 }));
  }
  co_await note_cache(parts, context, "cache.invalidate", "cache/" + org,
                      {{"pattern", pattern},
                       {"reason", reason},
                       {"tier_1", exact},
                       {"tier_2", similar},
                       {"tier_3", steps}});
  co_return reply({{"removed", {{"tier_1", exact}, {"tier_2", similar}, {"tier_3", steps}}},
                   {"total", exact + similar + steps}});
}

// ---- warming

struct Warmed {
  std::string query, response, model;
};

Result<std::vector<Warmed>> read_warmed(const json::value& body, const Registry& registry,
                                        int& ttl_seconds) {
  JsonReader reader(body);
  reader.only({"entries", "ttl_seconds"});
  reader.integer("ttl_seconds", ttl_seconds, 60, 604'800);
  std::vector<Warmed> entries;
  const json::value* given = reader.find("entries");
  if (given == nullptr || !given->is_array() || given->get_array().empty() ||
      given->get_array().size() > 100) {
    reader.fault("entries", "entries must be an array of 1 to 100 objects");
  } else {
    for (std::size_t i = 0; i < given->get_array().size(); ++i) {
      Warmed entry;
      JsonReader row(given->get_array()[i], fmt::format("entries[{}].", i));
      row.only({"query", "response", "model_used"});
      row.text("query", entry.query, kMostText);
      row.text("response", entry.response, kMostText);
      row.text("model_used", entry.model, 200);
      if (entry.query.empty()) row.fault("query", "query must not be empty");
      if (entry.response.empty()) row.fault("response", "response must not be empty");
      if (registry.get(entry.model) == nullptr)
        row.fault("model_used", "model_used must be the name of a model; see GET /models");
      reader.merge(row);
      entries.push_back(std::move(entry));
    }
  }
  if (auto read = reader.result(); !read) return std::unexpected(std::move(read.error()));
  return entries;
}

Task<http::Response> warm(const ServiceParts& parts, http::Context& context) {
  ASAHI_CO_TRY(const json::value body, parse_json(context.request.body, 8));
  const std::shared_ptr<const Registry> registry = parts.registry.get();
  int ttl_seconds = 86'400;
  ASAHI_CO_TRY(const std::vector<Warmed> entries, read_warmed(body, *registry, ttl_seconds));
  const auto ttl = std::chrono::seconds(ttl_seconds);
  const TrackingConfig& tracking = parts.config.tracking;
  const BaselineRates rates{TokenPrice::per_1k(tracking.baseline_input_rate),
                            TokenPrice::per_1k(tracking.baseline_output_rate)};
  const std::string org = org_of(context);
  for (const Warmed& entry : entries) {
    auto answer = std::make_shared<Answer>();
    const ModelProfile& model = *registry->get(entry.model);
    answer->response.parts.emplace_back(llm::TextPart{.text = entry.response, .cache_control = {}});
    answer->response.finish = llm::FinishReason::kStop;
    answer->response.usage.input = llm::estimate_tokens(entry.query);
    answer->response.usage.output = llm::estimate_tokens(entry.response);
    answer->model = model.name;
    answer->provider = model.provider;
    answer->quality = model.quality;
    answer->query = entry.query.substr(0, 500);
    answer->task_type = detect_task(entry.query).task_type;
    answer->baseline =
        baseline_cost(answer->response.usage.input, answer->response.usage.output, rates);
    answer->created = parts.clock.now();
    answer->expires = answer->created + ttl;
    // As the two shapes ask it when they say nothing else.
    json::object chat{
        {"messages", json::array{json::object{{"role", "user"}, {"content", entry.query}}}},
        {"model", "auto"}};
    json::object native{{"prompt", entry.query}};
    for (const auto& [shape, request] :
         {std::pair{llm::Shape::kNative, &native}, std::pair{llm::Shape::kOpenAiChat, &chat}}) {
      const std::string canonical = canonical_request(*request);
      co_await parts.cache.put(parts.cache.key(org, to_string(shape), canonical), answer, ttl);
      const auto digest = semantic::context_of(to_string(shape), canonical, entry.query);
      if (parts.semantic == nullptr || !digest) continue;
      auto lookup = std::make_shared<SemanticCache::Lookup>();
      lookup->question = {
          .org = org, .query = entry.query, .task = answer->task_type, .context_digest = *digest};
      parts.semantic->cache->keep(std::move(lookup), answer, ttl);
    }
  }
  co_await note_cache(parts, context, "cache.warm", "cache/" + org, {{"entries", entries.size()}});
  co_return reply({{"warmed", entries.size()}, {"ttl_seconds", ttl_seconds}});
}

// ---- thresholds

constexpr std::array kSensitivities{semantic::Sensitivity::kHigh, semantic::Sensitivity::kMedium,
                                    semantic::Sensitivity::kLow};

json::object thresholds_json(const semantic::ThresholdTuner& tuner) {
  json::object rows;
  for (const std::string& task : tuner.tasks()) {
    json::object row;
    for (const semantic::Sensitivity one : kSensitivities)
      row[semantic::to_string(one)] = tuner.threshold(task, one);
    rows[task] = std::move(row);
  }
  return {{"thresholds", std::move(rows)}};
}

Task<http::Response> get_thresholds(const ServiceParts& parts, http::Context&) {
  if (auto on = tier_2(parts); !on) co_return std::unexpected(std::move(on.error()));
  co_return reply(thresholds_json(*parts.semantic->tuner));
}

Task<http::Response> put_threshold(const ServiceParts& parts, http::Context& context) {
  if (auto on = tier_2(parts); !on) co_return std::unexpected(std::move(on.error()));
  ASAHI_CO_TRY(const json::value body, parse_json(context.request.body, 8));
  std::string task, sensitivity;
  double threshold = -1;
  JsonReader reader(body);
  reader.only({"task_type", "cost_sensitivity", "threshold"});
  reader.text("task_type", task, 100);
  reader.word("cost_sensitivity", sensitivity, {"high", "medium", "low"});
  reader.number("threshold", threshold, 0, 1);
  if (task.empty()) reader.fault("task_type", "task_type is needed");
  if (threshold < 0) reader.fault("threshold", "threshold is needed: 0 to 1");
  if (auto read = reader.result(); !read) co_return std::unexpected(std::move(read.error()));
  for (const semantic::Sensitivity one : kSensitivities) {
    if (!sensitivity.empty() && semantic::parse_sensitivity(sensitivity) != one) continue;
    if (auto set = parts.semantic->tuner->set(task, one, threshold); !set)
      co_return std::unexpected(std::move(set.error()));
  }
  if (auto kept = co_await keep_thresholds(*parts.semantic, parts.database, parts.clock); !kept)
    co_return std::unexpected(std::move(kept.error()));
  co_await note_cache(
      parts, context, "cache.threshold", "cache/thresholds",
      {{"task_type", task}, {"cost_sensitivity", sensitivity}, {"threshold", threshold}});
  co_return reply(thresholds_json(*parts.semantic->tuner));
}

}  // namespace

void add_semantic_routes(http::Router& router, const ServiceParts& parts) {
  using http::Method;
  // Whoever may ask may say that an answer was wrong.
  add(router, parts, Method::kPost, "/cache/entries/{id}/report", "infer", report_entry);
  add(router, parts, Method::kDelete, "/cache/entries/{id}", "manage_policy", delete_entry);
  add(router, parts, Method::kPost, "/cache/invalidate", "manage_policy", invalidate);
  add(router, parts, Method::kPost, "/cache/warm", "manage_policy", warm);
  // They hold for all organisations.
  add(router, parts, Method::kGet, "/cache/thresholds", "manage_tenants", get_thresholds);
  add(router, parts, Method::kPut, "/cache/thresholds", "manage_tenants", put_threshold);
}

}  // namespace asahi::gateway
