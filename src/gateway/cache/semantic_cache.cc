#include "gateway/cache/semantic_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/hash.h"
#include "base/scheduling.h"
#include "gateway/cache/semantic/answers.h"
#include "gateway/cache/semantic/context.h"
#include "llm/embed/words.h"
#include "net/blocking.h"
#include "storage/vector/local/local_index.h"

namespace asahi::gateway {
namespace {

using semantic::Action;
using std::chrono::milliseconds;

/// Machines' clocks agree about that well. What was made later than now is not served: a clock went
/// back, and nobody knows how old it is.
constexpr std::int64_t kClocksApartMs = 60'000;

/// Where so many questions in a row found nothing near, only one of some is looked up and kept,
/// until one of those does: looking takes longer than all else that the gateway does to a question.
constexpr std::uint64_t kLongInVain = 1'000, kThenOneOf = 4;

/// What failed, for people; as literals, by which the log knows what it has said.
constexpr std::string_view kEmbedderSilent = "the embedder does not answer",
                           kOtherEmbedder = "the vector is another embedder's",
                           kIndexSilent = "the vector index does not answer",
                           kStandsIn = "the embedder is away, the local one stands in";

std::int64_t unix_ms(Clock::Time time) {
  return std::chrono::duration_cast<milliseconds>(time.time_since_epoch()).count();
}

std::uint64_t digest64(std::string_view text) {
  const Digest256 digest = sha256(text);
  std::uint64_t out = 0;
  std::memcpy(&out, digest.data(), sizeof out);
  return out;
}

std::string hex(std::uint64_t digest) { return fmt::format("{:016x}", digest); }

/// The same question in the same context has the same entry, whoever puts it there.
std::string entry_id_of(const SemanticCache::Question& question, std::string_view space) {
  std::string text = fmt::format("{}\n{:016x}\n", space, question.context_digest);
  if (!question.earlier.empty()) text += fmt::format("{}\n", to_hex(sha256(question.earlier)));
  const Digest256 digest = sha256(text + question.query);
  return to_hex(digest).substr(0, 32);
}

}  // namespace

SemanticCache::SemanticCache(Options options, Parts parts)
    : options_(options),
      parts_(parts),
      space_(space_of(parts.embedder.traits(), options.contextual)),
      embedder_breaker_(options.embedder_rest),
      rows_(parts.database) {
  if (parts_.local == nullptr) return;
  // What the index's bounds push out is not known here any more either.
  parts_.local->on_evict([this](std::string_view org, std::string_view id) {
    unsaved_.fetch_add(1, std::memory_order_relaxed);
    const auto owner = find_tenant(std::string(org));
    if (owner == nullptr) return;
    const std::scoped_lock lock(owner->mutex);
    owner->entries.erase(std::string(id));
  });
}

SemanticCache::~SemanticCache() {
  if (parts_.local != nullptr) parts_.local->on_evict({});
  background_.join();
}

void SemanticCache::start() {
  boost::asio::post(background_, [] { work_in_background(10); });
  stopped_ = false;
  running_ = true;
  parts_.home.spawn("semantic cache", [this]() -> Aw<void> { return run(); });
}

Aw<void> SemanticCache::stop() {
  if (stopped_) co_return;
  stopping_.cancel();
  while (running_) co_await parts_.home.sleep_for(milliseconds(5));
  stopped_ = true;
}

// ---- asking

std::shared_ptr<SemanticCache::Tenant> SemanticCache::find_tenant(const std::string& org) const {
  const std::shared_lock lock(tenants_mutex_);
  const auto found = tenants_.find(org);
  return found == tenants_.end() ? nullptr : found->second;
}

std::shared_ptr<SemanticCache::Tenant> SemanticCache::tenant(const std::string& org) {
  if (auto found = find_tenant(org)) return found;
  const std::unique_lock lock(tenants_mutex_);
  auto& place = tenants_[org];
  if (place == nullptr) place = std::make_shared<Tenant>();
  return place;
}

void SemanticCache::log(std::string_view what, const Error& error) {
  {
    const std::scoped_lock lock(logged_mutex_);
    const Clock::Steady now = parts_.clock.steady_now();
    const auto [at, first] = logged_.emplace(what, now);
    // An outage repeats itself with each request.
    if (!first && now - at->second < std::chrono::minutes(1)) return;
    at->second = now;
  }
  logger_.warning("the semantic cache misses", {{"cause", what}, {"error", error.message}});
}

void SemanticCache::warn(Lookup& lookup, std::string_view what, const Error& error) {
  lookup.warning = fmt::format("semantic cache skipped: {}", what);
  log(what, error);
}

Aw<std::shared_ptr<SemanticCache::Lookup>> SemanticCache::find(Question question,
                                                               llm::CallContext context,
                                                               double draw) {
  if (question.query.empty() || question.query.size() > options_.max_query_bytes) co_return nullptr;
  auto lookup = std::make_shared<Lookup>();
  lookup->question = std::move(question);
  lookup->decision.reason = "nothing alike is cached";
  const auto tenant = find_tenant(lookup->question.org);
  if (tenant == nullptr) co_return lookup;
  const std::uint64_t in_vain = tenant->in_vain.fetch_add(1, std::memory_order_relaxed);
  if (in_vain >= kLongInVain && in_vain % kThenOneOf != 0) co_return nullptr;
  tenant->evidence.asked();
  {
    const std::scoped_lock lock(tenant->mutex);
    tenant->knowledge_changed = true;
    if (tenant->entries.empty()) co_return lookup;
  }
  const Sketch asked = sketch_of(lookup->question.query, lookup->question.earlier);
  auto hits = co_await hits_of(*lookup, asked, std::move(context));
  if (!hits) {
    const std::string& reason = hits.error().reason;
    warn(*lookup,
         reason == kOtherEmbedder ? kOtherEmbedder
         : reason == kIndexSilent ? kIndexSilent
                                  : kEmbedderSilent,
         hits.error());
    co_return lookup;
  }
  judge(*lookup, *tenant, asked, *hits, draw);
  if (lookup->decision.action != Action::kMiss) {
    tenant->in_vain.store(0, std::memory_order_relaxed);
    co_await fetch(*lookup, *tenant);
  }
  co_return lookup;
}

std::string SemanticCache::space_of(const llm::EmbedderTraits& traits, bool contextual) {
  return contextual ? traits.tag + "+context" : traits.tag;
}

SemanticCache::Sketch SemanticCache::sketch_of(std::string_view query, std::string_view earlier) {
  Sketch sketch{.words = llm::text::analyse(query), .earlier = {}};
  for (const std::string_view turn : semantic::turns_of(earlier))
    sketch.earlier.push_back(llm::text::analyse(turn));
  return sketch;
}

void SemanticCache::embedder_answered(bool well) {
  if (well) {
    embedder_breaker_.succeeded();
  } else {
    embedder_breaker_.failed(parts_.clock.steady_now());
  }
}

SemanticCache::EmbedderState SemanticCache::embedder_state() const {
  // Half open is away still: one question at a time finds out whether it is back.
  if (embedder_breaker_.state(parts_.clock.steady_now()) == Breaker::State::kClosed)
    return EmbedderState::kHealthy;
  return parts_.stand_in == nullptr ? EmbedderState::kAway : EmbedderState::kStandIn;
}

/// Vectors of different models never meet: their angles mean nothing.
Result<llm::Embedded> SemanticCache::own(llm::Embedded embedded) const {
  const llm::EmbedderTraits& traits = parts_.embedder.traits();
  if (embedded.traits != nullptr && embedded.traits->tag == traits.tag &&
      embedded.vector != nullptr && embedded.vector->size() == traits.width)
    return embedded;
  auto other = fail(Errc::kUpstream, fmt::format("expected vectors of {}, {} numbers each",
                                                 traits.tag, traits.width));
  other.error().reason = kOtherEmbedder;
  return other;
}

Task<llm::Embedded> SemanticCache::vector_of(const Question& question, const Sketch& asked,
                                             llm::CallContext context) {
  std::optional<llm::Embedded> at_once;
  std::vector<std::string> texts;
  if (question.earlier.empty()) {
    at_once = parts_.embedder.try_embed(question.query, asked.words);
    if (!at_once) texts.push_back(question.query);
  } else {
    texts.push_back(semantic::contextual_text(question.query, question.earlier, question.task));
    at_once = parts_.embedder.try_embed(texts.front());
  }
  if (at_once) co_return own(*std::move(at_once));
  if (!embedder_breaker_.allow(parts_.clock.steady_now())) {
    co_return fail(Errc::kUnavailable, "it failed too often lately and is left alone for a while");
  }
  context.deadline =
      std::min(context.deadline, std::chrono::steady_clock::now() + options_.max_wait);
  auto made = co_await parts_.embedder.embed(std::move(texts), llm::EmbedPurpose::kQuery,
                                             std::move(context));
  if (!made && made.error().code == Errc::kCancelled) {
    embedder_breaker_.released();
    co_return std::unexpected(std::move(made.error()));
  }
  Result<llm::Embedded> mine = fail(Errc::kUpstream, "no vector came");
  if (!made) mine = std::unexpected(std::move(made.error()));
  if (made && !made->empty()) mine = own(std::move(made->front()));
  embedder_answered(mine.has_value());
  co_return mine;
}

/// What lies near the question. Errors: their `reason` says what failed.
Task<std::vector<vector::Hit>> SemanticCache::hits_of(Lookup& lookup, const Sketch& asked,
                                                      llm::CallContext context) {
  const Question& question = lookup.question;
  auto mine = co_await vector_of(question, asked, std::move(context));
  if (mine) {
    lookup.vector = mine->vector;
    auto hits = co_await neighbours(question, *lookup.vector);
    if (!hits) hits.error().reason = kIndexSilent;
    co_return hits;
  }
  if (mine.error().reason != kOtherEmbedder) mine.error().reason = kEmbedderSilent;
  if (parts_.stand_in == nullptr || mine.error().code == Errc::kCancelled)
    co_return std::unexpected(std::move(mine.error()));
  log(kStandsIn, mine.error());
  lookup.notice = fmt::format("semantic cache: {}", kStandsIn);
  parts_.stand_in->need();
  co_return parts_.stand_in->search(
      question.org, semantic::contextual_text(question.query, question.earlier, question.task),
      {{std::string(kContextField), hex(question.context_digest)}}, options_.top_k);
}

Task<std::vector<vector::Hit>> SemanticCache::neighbours(const Question& question,
                                                         const std::vector<float>& vector) {
  vector::Query query{.vector = vector,
                      .top_k = options_.top_k,
                      .filter = {{std::string(kContextField), hex(question.context_digest)}},
                      .with_metadata = false};
  if (parts_.local != nullptr) co_return parts_.local->search(question.org, query);
  co_return co_await parts_.index.query(question.org, std::move(query));
}

void SemanticCache::judge(Lookup& lookup, Tenant& tenant, const Sketch& asked,
                          const std::vector<vector::Hit>& hits, double draw) {
  const Question& question = lookup.question;
  const llm::EmbedderTraits& traits =
      lookup.vector == nullptr ? parts_.stand_in->traits() : parts_.embedder.traits();
  const double least = question.earlier.empty() ? 0 : semantic::kContextualThreshold;
  std::vector<Known> known;
  std::vector<std::string> ids;
  std::vector<double> similarities;
  const std::int64_t now_ms = unix_ms(parts_.clock.now());
  const Clock::Steady steady = parts_.clock.steady_now();
  bool from_the_future = false;
  {
    const std::scoped_lock lock(tenant.mutex);
    for (const vector::Hit& hit : hits) {
      const auto found = tenant.entries.find(hit.id);
      if (found == tenant.entries.end()) continue;  // deleted here, still in the index
      if (found->second.ends <= steady) continue;
      if (found->second.created_at_ms > now_ms + kClocksApartMs) {
        from_the_future = true;
        continue;
      }
      known.push_back(found->second);
      ids.push_back(hit.id);
      similarities.push_back(traits.similarity(hit.score));
    }
  }
  if (from_the_future) {
    warn(lookup, "the clock went back",
         {.code = Errc::kUnavailable,
          .message = "entries were made later than this machine's clock says it is now"});
  }
  if (known.empty()) return;
  // Words are only compared where the first filter lets a candidate pass.
  const auto passes = [&](std::size_t i) {
    const auto threshold = [&](std::string_view task) {
      return parts_.tuner.threshold(task, question.sensitivity);
    };
    return similarities[i] >= least &&
           similarities[i] >= std::min(threshold(question.task), threshold(known[i].task));
  };
  static const auto kUnread = std::make_shared<const Sketch>();
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (known[i].sketch != nullptr) continue;
    known[i].sketch = kUnread;
    if (!passes(i)) continue;
    known[i].sketch = std::make_shared<const Sketch>(sketch_of(known[i].query, known[i].earlier));
    const std::scoped_lock lock(tenant.mutex);
    const auto found = tenant.entries.find(ids[i]);
    if (found != tenant.entries.end() && found->second.query == known[i].query &&
        found->second.earlier == known[i].earlier)
      found->second.sketch = known[i].sketch;
  }
  std::vector<semantic::Candidate> candidates;
  for (std::size_t i = 0; i < known.size(); ++i) {
    candidates.push_back({.similarity = similarities[i],
                          .words = &known[i].sketch->words,
                          .earlier = known[i].sketch->earlier,
                          .evidence = &known[i].evidence,
                          .query = known[i].query,
                          .task = known[i].task,
                          .context_digest = known[i].context_digest,
                          .answer_digest = known[i].answer_digest,
                          .expires_at_ms = known[i].expires_at_ms});
  }
  lookup.decision = semantic::decide({.words = &asked.words,
                                      .earlier = asked.earlier,
                                      .least_similarity = least,
                                      .task = question.task,
                                      .sensitivity = question.sensitivity,
                                      .context_digest = question.context_digest,
                                      .now_ms = now_ms,
                                      .draw = draw,
                                      .quality_penalty = options_.quality_penalty},
                                     candidates, parts_.tuner, tenant.evidence, options_.bound);
  lookup.matched = std::string(lookup.decision.matched_query);
  lookup.decision.matched_query = lookup.matched;
  lookup.entry_id = ids[lookup.decision.candidate];
}

Aw<void> SemanticCache::fetch(Lookup& lookup, Tenant& tenant) {
  const auto give_up = [&lookup](std::string reason) {
    lookup.decision.action = Action::kMiss;
    lookup.decision.reason = std::move(reason);
  };
  auto stored = co_await rows_.answer(lookup.question.org, lookup.entry_id, parts_.clock.now());
  if (!stored) {
    warn(lookup, "the database does not answer", stored.error());
    give_up("its answer cannot be read");
    co_return;
  }
  if (!*stored) {
    give_up("its answer was deleted");
    co_await forget(lookup.question.org, lookup.entry_id);
    co_return;
  }
  if (refuted_elsewhere(lookup, tenant, (*stored)->evidence)) co_return;
  auto answer = parse_answer((*stored)->answer);
  if (!answer) {
    warn(lookup, "an answer cannot be read", answer.error());
    give_up("its answer cannot be read");
    co_return;
  }
  lookup.answer = std::make_shared<const Answer>(*std::move(answer));
  const std::scoped_lock lock(tenant.mutex);
  if (lookup.decision.action == Action::kExplore) ++tenant.explorations;
  const auto found = tenant.entries.find(lookup.entry_id);
  if (found == tenant.entries.end() || lookup.decision.action != Action::kHit) co_return;
  ++found->second.new_hits;
  mark_changed(tenant, found->first, found->second);
}

/// Another process may have learned that the entry answers wrongly, say from a user's report.
bool SemanticCache::refuted_elsewhere(Lookup& lookup, Tenant& tenant, std::string_view stored) {
  const auto evidence = semantic::EntryEvidence::decode(stored);
  if (!evidence) return false;  // nothing was learned yet
  {
    const std::scoped_lock lock(tenant.mutex);
    const auto found = tenant.entries.find(lookup.entry_id);
    if (found == tenant.entries.end()) return false;
    semantic::EntryEvidence& own = found->second.evidence;
    if (evidence->reports() <= own.reports() && evidence->wrong() <= own.wrong()) return false;
    own = *evidence;
  }
  const double error =
      tenant.evidence.trust(lookup.question.task, lookup.decision.score, *evidence, options_.bound)
          .error;
  if (lookup.decision.action != Action::kHit || error <= options_.bound.delta) return false;
  lookup.decision.action = Action::kMiss;
  lookup.decision.error = error;
  lookup.decision.reason =
      evidence->disabled() ? "reported as wrong" : "another process found it wrong";
  return true;
}

// ---- learning

void SemanticCache::keep(std::shared_ptr<const Lookup> lookup, std::shared_ptr<const Answer> answer,
                         milliseconds ttl) {
  if (lookup == nullptr || answer == nullptr) return;
  const bool compared = lookup->decision.action == Action::kExplore;
  if (ttl <= milliseconds(0) && !compared) return;
  const std::scoped_lock lock(queue_mutex_);
  // What an audit found must not get lost, or the bound would rest on too few.
  const std::size_t most = lookup->decision.trusted ? 2 * options_.max_queued : options_.max_queued;
  if (queue_.size() >= most) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  queue_.push_back({std::move(lookup), std::move(answer), ttl});
}

Aw<void> SemanticCache::run() {
  constexpr milliseconds kTick{100};
  using Steady = std::chrono::steady_clock;
  co_await read_news();
  auto read = Steady::now(), swept = read, saved = read;
  bool more = true;
  while (more) {
    more = co_await parts_.home.sleep_for(kTick, &stopping_);
    for (bool full = true; full;) {
      std::vector<Arrival> arrivals;
      {
        const std::scoped_lock lock(queue_mutex_);
        const std::size_t count = std::min(queue_.size(), semantic::EntryRows::kMaxBatch);
        std::move(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(count),
                  std::back_inserter(arrivals));
        queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(count));
        full = count == semantic::EntryRows::kMaxBatch;
      }
      if (arrivals.empty()) break;
      const auto began = Steady::now();
      co_await write(std::move(arrivals));
      const std::chrono::duration<double> took = Steady::now() - began;
      const auto rest = std::chrono::duration_cast<std::chrono::nanoseconds>(
          took * (1 / options_.writing_share - 1));
      if (more && rest > milliseconds(1)) more = co_await parts_.home.sleep_for(rest, &stopping_);
    }
    co_await tend_stand_in();
    const auto now = Steady::now();
    if (more && now - read < options_.refresh) continue;
    co_await write_learned();
    if (!more) break;
    co_await read_news();
    if (now - swept >= options_.sweep) {
      co_await sweep();
      swept = now;
    }
    if (now - saved >= options_.save && unsaved_.load() >= options_.save_changes) {
      co_await save();
      saved = now;
    }
    read = Steady::now();
  }
  co_await save();
  running_ = false;
}

bool SemanticCache::learn(const Arrival& arrival) {
  const Lookup& lookup = *arrival.lookup;
  if (lookup.decision.action != Action::kExplore || lookup.answer == nullptr) return true;
  const semantic::Agreement found_out =
      options_.compare ? semantic::compare_answers(lookup.answer->response.text(),
                                                   arrival.answer->response.text())
                       : semantic::Agreement::kUnclear;
  // That teaches nothing. Where the cached answer was trusted, a second one beside it would only
  // make the two doubt each other.
  if (found_out == semantic::Agreement::kUnclear) return !lookup.decision.trusted;
  const bool agree = found_out == semantic::Agreement::kSame;
  const auto tenant = find_tenant(lookup.question.org);
  if (tenant == nullptr) return true;
  tenant->evidence.observe(lookup.question.task, lookup.decision.score, agree,
                           lookup.decision.audit);
  const std::scoped_lock lock(tenant->mutex);
  tenant->knowledge_changed = true;
  const auto found = tenant->entries.find(lookup.entry_id);
  if (found != tenant->entries.end()) {
    found->second.evidence.add(lookup.decision.score, agree);
    mark_changed(*tenant, found->first, found->second);
  }
  // What the entry answers already needs no other.
  return !agree;
}

void SemanticCache::mark_changed(Tenant& tenant, const std::string& id, Known& known) {
  if (!std::exchange(known.changed, true)) tenant.changed.push_back(id);
}

Aw<void> SemanticCache::write(std::vector<Arrival> arrivals) {
  std::vector<semantic::EntryRow> entries = co_await net::run_blocking(background_, [&] {
    std::vector<semantic::EntryRow> made;
    for (const Arrival& arrival : arrivals) {
      if (!learn(arrival) || arrival.ttl <= milliseconds(0)) continue;
      const Question& question = arrival.lookup->question;
      const Clock::Time now = parts_.clock.now();
      semantic::EntryRow row{.org = question.org,
                             .id = entry_id_of(question, space_),
                             .embedder = space_,
                             .query = question.query,
                             .task = question.task,
                             .context_digest = question.context_digest,
                             .earlier = question.earlier,
                             .answer = serialize_answer(*arrival.answer, now, now + arrival.ttl),
                             .answer_digest = digest64(arrival.answer->response.text()),
                             .vector = {},
                             .evidence = semantic::EntryEvidence{}.encode(),
                             .hits = 0,
                             .created = now,
                             .expires = now + arrival.ttl};
      if (arrival.lookup->vector != nullptr) row.vector = *arrival.lookup->vector;
      made.push_back(std::move(row));
    }
    return made;
  });
  if (entries.empty()) co_return;
  std::vector<semantic::EntryRow> stored = entries;
  if (!options_.store_vectors) {
    for (semantic::EntryRow& row : stored) row.vector.clear();
  }
  if (auto put = co_await rows_.put(std::move(stored)); !put) {
    log("new answers are not kept", put.error());
    co_return;
  }
  co_await add(std::move(entries), false);
}

}  // namespace asahi::gateway
