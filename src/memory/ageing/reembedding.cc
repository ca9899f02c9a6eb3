#include "memory/ageing/reembedding.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "base/ids.h"
#include "memory/embedding/choice.h"

namespace asahi::memory::ageing {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kReembed = "memory.reembed";
constexpr int kTries = 4;  ///< three retries
constexpr std::uint64_t kTellEvery = 5'000;
constexpr std::chrono::minutes kCountEvery{10};

std::uint64_t others(const std::map<std::string, std::uint64_t>& models, const std::string& model) {
  std::uint64_t sum = 0;
  for (const auto& [name, count] : models) sum += name == model ? 0 : count;
  return sum;
}

}  // namespace

Reembedding::Reembedding(Parts parts, ReembeddingOptions options)
    : parts_(std::move(parts)),
      options_(options),
      runs_(parts_.database),
      queue_(parts_.database, parts_.clock),
      worker_(queue_, parts_.loop, parts_.clock,
              {.concurrency = 1, .poll = options_.poll, .lease = std::chrono::minutes(1)}),
      background_(parts_.loop) {
  worker_.handle(std::string(kReembed), [this](const jobs::Job& job) -> Task<void> {
    const json::value* id =
        job.payload.is_object() ? job.payload.get_object().if_contains("id") : nullptr;
    if (id == nullptr || !id->is_string()) co_return fail(Errc::kCorrupt, "the job names no run");
    co_return co_await carry_out(std::string(id->get_string()));
  });
}

Reembedding::~Reembedding() { stop(milliseconds(0)); }

void Reembedding::start() {
  worker_.start();
  background_.run("counting vectors of other models",
                  [this](net::Background::Sleep sleep) { return watch(std::move(sleep)); });
}

void Reembedding::stop(milliseconds grace) {
  // First, so that the run under way gives itself back within the grace.
  background_.cancel();
  worker_.stop(grace);
  // What the worker gave up goes on until it sees the stop.
  background_.stop();
}

Result<Reembedding::Request> Reembedding::parse(const json::object& body) {
  Request out;
  for (const auto& member : body) {
    if (member.key() != "downgrade") return fail_field(std::string(member.key()), "no such field");
    if (!member.value().is_bool()) return fail_field("downgrade", "it is not true or false");
    out.downgrade = member.value().get_bool();
  }
  return out;
}

Task<Run> Reembedding::request(std::string org_id, Request request) {
  ASAHI_CO_TRY(const Status now, co_await status(org_id));
  if (now.run && (now.run->state == RunState::kQueued || now.run->state == RunState::kRunning)) {
    // Its job may be dead: a second one goes on, or finds nothing left.
    json::object again{{"id", now.run->id}};
    ASAHI_CO_TRY([[maybe_unused]] const std::string job,
                 co_await queue_.enqueue(
                     std::string(kReembed), std::move(again),
                     {.org_id = org_id, .max_attempts = kTries, .unique_key = now.run->id}));
    co_return *now.run;
  }
  if (!request.downgrade && embedding_mode(now.model) == "fallback") {
    for (const auto& [tier, models] : now.models) {
      if (!models) continue;
      for (const auto& [name, count] : *models) {
        if (name.empty() || embedding_mode(name) == "fallback") continue;
        co_return fail(
            Errc::kConflict,
            fmt::format(
                "{} memories of the {} tier have vectors of '{}', and this process embeds by "
                "hashing ('{}'): see to the model's file, or ask with \"downgrade\": true",
                count, tier_name(tier), name, now.model));
      }
    }
  }
  Run run;
  run.id = "emb_" + make_ulid(parts_.clock.now());
  run.org_id = std::move(org_id);
  run.step = kWithin;
  run.batch_size = options_.batch;
  run.requested_at = parts_.clock.now();
  if (auto ok = co_await runs_.add(run); !ok) co_return std::unexpected(std::move(ok.error()));
  json::object payload{{"id", run.id}};
  ASAHI_CO_TRY([[maybe_unused]] const std::string job,
               co_await queue_.enqueue(std::string(kReembed), std::move(payload),
                                       {.org_id = run.org_id, .max_attempts = kTries}));
  co_return run;
}

Task<Reembedding::Status> Reembedding::status(std::string org_id) {
  Status out;
  out.model = parts_.embedder.traits().tag;
  for (Store* store : parts_.stores) {
    auto models = co_await store->models(org_id);
    auto& known = out.models[store->tier()];
    if (!models) continue;
    out.remaining += others(*models, out.model);
    known = std::move(*models);
  }
  ASAHI_CO_TRY(out.run, co_await runs_.newest_within(std::move(org_id)));
  co_return out;
}

Task<void> Reembedding::carry_out(std::string id) {
  const net::Background::Mark mark(background_);
  ASAHI_CO_TRY(std::optional<Run> run, co_await runs_.find(id));
  if (!run) co_return Result<void>{};  // pruned: nobody asks any more
  run->state = RunState::kRunning;
  run->error.clear();
  run->end_time.reset();
  if (!run->start_time) run->start_time = parts_.clock.now();
  if (auto ok = co_await runs_.update(*run); !ok) co_return ok;
  const Result<bool> ended = co_await turn(*run);
  if (auto ok = co_await update(*run, ended); !ok) co_return ok;
  if (!ended) co_return std::unexpected(ended.error());
  if (*ended) co_return Result<void>{};
  // Behind those who wait.
  json::object payload{{"id", std::move(id)}};
  ASAHI_CO_TRY([[maybe_unused]] const std::string job,
               co_await queue_.enqueue(std::string(kReembed), std::move(payload),
                                       {.org_id = run->org_id, .max_attempts = kTries}));
  co_return Result<void>{};
}

Task<void> Reembedding::update(Run& run, const Result<bool>& ended) {
  if (ended && !*ended) co_return co_await runs_.update(run);
  // What the stop cut off goes on with the next start.
  if (!ended && ended.error().code == Errc::kCancelled) co_return co_await runs_.update(run);
  run.state = ended ? RunState::kDone : RunState::kFailed;
  if (!ended) run.error = ended.error().message;
  run.end_time = parts_.clock.now();
  logger_.info("memories have new vectors", {{"id", run.id},
                                             {"model", parts_.embedder.traits().tag},
                                             {"state", run_state_name(run.state)},
                                             {"records", run.records_migrated},
                                             {"error", run.error}});
  co_return co_await runs_.update(run);
}

Task<bool> Reembedding::turn(Run& run) {
  const auto until = std::chrono::steady_clock::now() + options_.turn;
  std::uint64_t told = run.records_migrated;
  for (Store* store : parts_.stores) {
    while (true) {
      if (background_.stopping())
        co_return fail(Errc::kCancelled, "the process stops; the run goes on later");
      if (std::chrono::steady_clock::now() >= until) co_return false;
      const auto begun = std::chrono::steady_clock::now();
      ASAHI_CO_TRY(const std::size_t taken, co_await batch(*store, run));
      if (taken == 0) break;
      if (run.records_migrated - told >= kTellEvery) {
        told = run.records_migrated;
        if (auto ok = co_await runs_.update(run); !ok)
          co_return std::unexpected(std::move(ok.error()));
      }
      co_await rest(std::chrono::steady_clock::now() - begun, taken);
    }
  }
  co_return true;
}

Task<std::vector<NewVector>> Reembedding::vectors_for(const std::vector<Eligible>& rows) {
  std::vector<std::string> texts;
  texts.reserve(rows.size());
  for (const Eligible& row : rows) texts.push_back(row.memory.content);
  const std::string& model = parts_.embedder.traits().tag;
  ASAHI_CO_TRY(const auto made,
               co_await parts_.embedder.embed(
                   std::move(texts), llm::EmbedPurpose::kDocument,
                   {.deadline = std::chrono::steady_clock::now() + options_.embed_timeout}));
  if (made.size() != rows.size())
    co_return fail(Errc::kUpstream, "the embedder gave another number of vectors than texts");
  std::vector<NewVector> out;
  out.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (made[i].traits->tag != model)
      co_return fail(Errc::kUnavailable, "the embedder is away, and another stands in for it");
    out.push_back({.key = rows[i].memory.key,
                   .checksum = rows[i].checksum,
                   .embedding = *made[i].vector,
                   .model = model});
  }
  co_return out;
}

Task<std::size_t> Reembedding::batch(Store& store, Run& run) {
  ASAHI_CO_TRY(const std::vector<Eligible> rows,
               co_await store.scan_eligible({.limit = options_.batch,
                                             .tenant = tenant_of(run),
                                             .without_model = parts_.embedder.traits().tag}));
  if (rows.empty()) co_return std::size_t{0};
  auto vectors = co_await vectors_for(rows);
  if (!vectors) {
    std::vector<NewVector> none;
    for (const Eligible& row : rows)
      none.push_back({.key = row.memory.key, .embedding = {}, .model = {}});
    if (auto freed = co_await store.replace_vectors(std::move(none)); !freed)
      logger_.warning("rows stay marked until their lease ends",
                      {{"error", freed.error().message}});
    co_return std::unexpected(std::move(vectors.error()));
  }
  ASAHI_CO_TRY(const std::uint64_t replaced, co_await store.replace_vectors(std::move(*vectors)));
  run.records_migrated += replaced;
  parts_.metrics
      .counter("akosha_reembedded_total", "Memories that got a vector of the embedder's model",
               {{"tier", std::string(tier_name(store.tier()))}})
      .add(static_cast<double>(replaced));
  std::set<std::string> tenants;
  for (const Eligible& row : rows) tenants.insert(row.memory.key.tenant);
  for (const std::string& tenant : tenants) co_await parts_.changed(tenant);
  co_return rows.size();
}

Aw<void> Reembedding::rest(std::chrono::nanoseconds took, std::size_t rows) {
  const std::chrono::nanoseconds room =
      std::chrono::nanoseconds(std::chrono::seconds(1)) * rows / options_.per_second;
  const auto time = std::max(took, room - took);
  if (parts_.rest) {
    co_await parts_.rest(time);
  } else {
    co_await parts_.loop.sleep_for(time);
  }
}

Aw<void> Reembedding::watch(net::Background::Sleep sleep) {
  while (!background_.stopping()) {
    for (Store* store : parts_.stores) {
      const auto models = co_await store->models("");
      if (!models) continue;  // what was known stays
      const std::uint64_t count = others(*models, parts_.embedder.traits().tag);
      parts_.metrics
          .gauge("akosha_embedding_other_model_records",
                 "Memories that have no vector of the embedder's model: found by words only",
                 {{"tier", std::string(tier_name(store->tier()))}})
          .set(static_cast<double>(count));
    }
    co_await sleep(kCountEvery);
  }
}

json::object reembedding_json(const Reembedding::Status& status) {
  json::object tiers;
  for (const auto& [tier, models] : status.models) {
    json::value& known = tiers[tier_name(tier)];
    if (!models) continue;
    json::object& counts = known.emplace_object();
    for (const auto& [name, count] : *models) counts[name.empty() ? "none" : name] = count;
  }
  json::object out{{"model", status.model},
                   {"mode", embedding_mode(status.model)},
                   {"tiers", std::move(tiers)},
                   {"remaining", status.remaining},
                   {"run", nullptr}};
  if (status.run) out["run"] = reembedding_run_json(*status.run);
  return out;
}

}  // namespace asahi::memory::ageing
