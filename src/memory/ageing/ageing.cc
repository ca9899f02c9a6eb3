#include "memory/ageing/ageing.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/ids.h"
#include "memory/ageing/metrics.h"

namespace asahi::memory::ageing {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kAge = "memory.age";
constexpr std::string_view kCompact = "memory.cold.compact";
constexpr int kMaxDays = 36'500;
constexpr std::int64_t kMaxBatch = 10'000;
constexpr std::chrono::seconds kMeasureEvery{15};

Result<std::int64_t> whole(const json::object& body, std::string_view field, std::int64_t least,
                           std::int64_t most, std::int64_t otherwise) {
  const json::value* value = body.if_contains(field);
  if (value == nullptr || value->is_null()) return otherwise;
  boost::system::error_code wrong;
  const auto number = value->is_number() ? value->to_number<std::int64_t>(wrong) : least - 1;
  if (wrong || number < least || number > most || (value->is_double() && !value->is_int64()))
    return fail_field(std::string(field),
                      fmt::format("{} is not a whole number from {} to {}",
                                  json::serialize(*value).substr(0, 40), least, most));
  return number;
}

Result<std::string> tier_text(const json::object& body, std::string_view field) {
  const json::value* value = body.if_contains(field);
  if (value == nullptr || !value->is_string())
    return fail_field(std::string(field), "it is required: the name of a tier");
  return std::string(value->get_string());
}

}  // namespace

Ageing::Ageing(Parts parts, AgeingOptions options)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      runs_(parts_.database),
      originals_(parts_.database),
      hits_(parts_.database),
      queue_(parts_.database, parts_.clock),
      worker_(queue_, parts_.loop, parts_.clock,
              {.concurrency = 1, .poll = options_.poll, .lease = std::chrono::minutes(1)}),
      metrics_(std::make_unique<Metrics>(parts_.metrics)),
      background_(parts_.loop) {
  add_jobs();
}

Ageing::~Ageing() { stop(milliseconds(0)); }

void Ageing::add_jobs() {
  worker_.handle(std::string(kAge), [this](const jobs::Job&) { return age(); });
  worker_.cron(options_.schedule, std::string(kAge), {});
  worker_.handle(std::string(kMigrate), [this](const jobs::Job& job) -> Task<void> {
    const json::value* id =
        job.payload.is_object() ? job.payload.get_object().if_contains("id") : nullptr;
    if (id == nullptr || !id->is_string()) co_return fail(Errc::kCorrupt, "the job names no run");
    co_return co_await run_asked(std::string(id->get_string()));
  });
  if (!parts_.compact) return;
  worker_.handle(std::string(kCompact), [this](const jobs::Job&) { return compact(); });
  worker_.cron(options_.compaction, std::string(kCompact), {});
}

void Ageing::start() {
  worker_.start();
  background_.run("sizes of the memory's tiers",
                  [this](net::Background::Sleep sleep) { return watch(std::move(sleep)); });
}

void Ageing::stop(milliseconds grace) {
  // First, so that the run under way gives itself back within the grace.
  background_.cancel();
  worker_.stop(grace);
  // What the worker gave up goes on until it sees the stop: after the batch or the statement it is
  // at.
  background_.stop();
}

Store* Ageing::store(Tier tier) const {
  switch (tier) {
    case Tier::kHot:
      return parts_.hot;
    case Tier::kWarm:
      return parts_.warm;
    case Tier::kCold:
      return parts_.cold;
  }
  return nullptr;
}

// ---- what is asked for

Result<Ageing::Request> Ageing::parse(const json::object& body) {
  for (const auto& member : body) {
    constexpr std::array<std::string_view, 5> kKnown = {"source_tier", "target_tier", "cutoff_days",
                                                        "batch_size", "dry_run"};
    if (std::ranges::find(kKnown, std::string_view(member.key())) == kKnown.end())
      return fail_field(std::string(member.key()), "no such field");
  }
  Request out;
  ASAHI_TRY(const std::string source, tier_text(body, "source_tier"));
  ASAHI_TRY(const std::string target, tier_text(body, "target_tier"));
  ASAHI_TRY(out.step, parse_step(source, target));
  ASAHI_TRY(const std::int64_t days, whole(body, "cutoff_days", 0, kMaxDays, -1));
  if (days >= 0) out.cutoff_days = static_cast<int>(days);
  ASAHI_TRY(const std::int64_t size, whole(body, "batch_size", 1, kMaxBatch, 1000));
  out.batch_size = static_cast<std::size_t>(size);
  if (const json::value* dry = body.if_contains("dry_run")) {
    if (!dry->is_bool()) return fail_field("dry_run", "it is not true or false");
    out.dry_run = dry->get_bool();
  }
  return out;
}

Clock::Time Ageing::cutoff(const Run& run) const {
  const int usual = run.step == kToWarm ? options_.hot_days : options_.warm_days;
  return parts_.clock.now() - std::chrono::days(run.cutoff_days.value_or(usual));
}

Task<Run> Ageing::request(std::string org_id, Request request) {
  if (!possible(request.step)) {
    co_return fail(Errc::kUnavailable,
                   fmt::format("the {} and {} tiers are not both served here",
                               tier_name(request.step.source), tier_name(request.step.target)));
  }
  Run run;
  run.id = "mig_" + make_ulid(parts_.clock.now());
  run.org_id = std::move(org_id);
  run.step = request.step;
  run.cutoff_days = request.cutoff_days;
  run.batch_size = request.batch_size;
  run.dry_run = request.dry_run;
  run.requested_at = parts_.clock.now();
  if (auto ok = co_await runs_.add(run); !ok) co_return std::unexpected(std::move(ok.error()));
  if (run.dry_run) {
    run.start_time = run.requested_at;
    StoreQuery count;
    count.tenant = run.org_id;
    count.limit = 1;
    count.include_content = false;
    count.filter.end = cutoff(run);
    ASAHI_CO_TRY(const StorePage page, co_await store(run.step.source)->search(std::move(count)));
    run.records_migrated = page.total;
    run.state = RunState::kDone;
    run.end_time = parts_.clock.now();
    if (auto ok = co_await runs_.update(run); !ok) co_return std::unexpected(std::move(ok.error()));
    co_return run;
  }
  json::object payload{{"id", run.id}};
  ASAHI_CO_TRY([[maybe_unused]] const std::string job,
               co_await queue_.enqueue(std::string(kMigrate), std::move(payload),
                                       {.org_id = run.org_id, .max_attempts = kAttempts}));
  co_return run;
}

Task<Run> Ageing::find(std::string org_id, std::string id) {
  ASAHI_CO_TRY(std::optional<Run> run, co_await runs_.find(id));
  if (!run || run->org_id != org_id || run->step == kWithin)
    co_return fail(Errc::kNotFound, fmt::format("no migration '{}'", id.substr(0, 40)));
  co_return *std::move(run);
}

Task<RunPage> Ageing::list(RunQuery query) { return runs_.list(std::move(query)); }

Ageing::Plan Ageing::plan() const {
  Plan out{.schedule = options_.schedule,
           .next_run = std::nullopt,
           .hot_days = options_.hot_days,
           .warm_days = options_.warm_days};
  if (auto next = jobs::next_cron(options_.schedule, parts_.clock.now())) out.next_run = *next;
  return out;
}

// ---- sizes

Aw<void> Ageing::watch(net::Background::Sleep sleep) {
  while (!background_.stopping()) {
    co_await measure();
    co_await sleep(kMeasureEvery);
  }
}

Aw<void> Ageing::measure() {
  for (const Tier tier : {Tier::kHot, Tier::kWarm, Tier::kCold}) {
    if (store(tier) == nullptr) continue;
    const auto stats = co_await store(tier)->stats("");
    if (!stats) continue;  // what was known stays; the status route tells of the fault
    const auto& gauges = metrics_->tiers[static_cast<std::size_t>(tier)];
    gauges.bytes->set(static_cast<double>(stats->bytes));
    gauges.records->set(static_cast<double>(stats->records));
    if (tier == Tier::kHot) co_await press(stats->bytes);
  }
}

Aw<void> Ageing::press(std::uint64_t hot_bytes) {
  if (hot_bytes <= options_.pressure_bytes || !possible(kToWarm)) {
    pressed_ = false;
    co_return;
  }
  if (std::exchange(pressed_, true)) co_return;
  auto queued = co_await queue_.enqueue(std::string(kAge), {},
                                        {.max_attempts = kAttempts, .unique_key = "pressure"});
  logger_.warning("the hot tier is larger than it should be: an extra ageing run",
                  {{"bytes", hot_bytes},
                   {"limit", options_.pressure_bytes},
                   {"queued", queued ? *queued : queued.error().message}});
  if (!queued) pressed_ = false;
}

}  // namespace asahi::memory::ageing
