#include "gateway/cache/semantic_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/hash.h"
#include "base/scheduling.h"
#include "gateway/cache/semantic/answers.h"
#include "llm/embed/words.h"
#include "net/blocking.h"
#include "storage/vector/local/local_index.h"

namespace asahi::gateway {
namespace {

using semantic::Action;
using std::chrono::milliseconds;

/// Rows of others that committed late may carry lower numbers than rows seen already: the last ones
/// are read once more.
constexpr std::int64_t kOverlap = 200;
constexpr std::size_t kPage = 500;
constexpr std::size_t kLearnedAtOnce = 500;

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
std::string entry_id_of(const SemanticCache::Question& question, std::string_view embedder) {
  const Digest256 digest =
      sha256(fmt::format("{}\n{:016x}\n{}", embedder, question.context_digest, question.query));
  return to_hex(digest).substr(0, 32);
}

}  // namespace

SemanticCache::SemanticCache(Options options, Parts parts)
    : options_(options), parts_(parts), rows_(parts.database) {}

SemanticCache::~SemanticCache() { background_.join(); }

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

void SemanticCache::warn(Lookup& lookup, std::string_view what, const Error& error) {
  lookup.warning = fmt::format("semantic cache skipped: {}", what);
  // An outage repeats itself with each request.
  const std::int64_t now = unix_ms(parts_.clock.now());
  std::int64_t last = warned_at_.load(std::memory_order_relaxed);
  if (now - last < 60'000 || !warned_at_.compare_exchange_strong(last, now)) return;
  logger_.warning("the semantic cache misses", {{"cause", what}, {"error", error.message}});
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
  tenant->evidence.asked();
  {
    const std::scoped_lock lock(tenant->mutex);
    tenant->knowledge_changed = true;
    if (tenant->entries.empty()) co_return lookup;
  }
  std::optional<llm::Embedded> embedded = parts_.embedder.try_embed(lookup->question.query);
  if (!embedded) {
    std::vector<std::string> texts(1, lookup->question.query);
    auto made = co_await parts_.embedder.embed(std::move(texts), llm::EmbedPurpose::kQuery,
                                               std::move(context));
    if (!made || made->empty()) {
      const Error unknown{.code = Errc::kUpstream, .message = "no vector came"};
      warn(*lookup, "the embedder does not answer", made ? unknown : made.error());
      co_return lookup;
    }
    embedded = std::move(made->front());
  }
  lookup->vector = embedded->vector;
  auto hits = co_await neighbours(lookup->question, *lookup->vector);
  if (!hits) {
    warn(*lookup, "the vector index does not answer", hits.error());
    co_return lookup;
  }
  judge(*lookup, *tenant, *hits, draw);
  if (lookup->decision.action != Action::kMiss) co_await fetch(*lookup, *tenant);
  co_return lookup;
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

void SemanticCache::judge(Lookup& lookup, Tenant& tenant, const std::vector<vector::Hit>& hits,
                          double draw) {
  const Question& question = lookup.question;
  std::vector<Known> known;
  std::vector<std::string> ids;
  std::vector<double> similarities;
  {
    const std::scoped_lock lock(tenant.mutex);
    for (const vector::Hit& hit : hits) {
      const auto found = tenant.entries.find(hit.id);
      if (found == tenant.entries.end()) continue;  // deleted here, still in the index
      known.push_back(found->second);
      ids.push_back(hit.id);
      similarities.push_back(parts_.embedder.traits().similarity(hit.score));
    }
  }
  if (known.empty()) return;
  const llm::text::Words asked = llm::text::analyse(question.query);
  std::vector<llm::text::Words> words;
  words.reserve(known.size());
  for (const Known& entry : known) words.push_back(llm::text::analyse(entry.query));
  std::vector<semantic::Candidate> candidates;
  for (std::size_t i = 0; i < known.size(); ++i) {
    candidates.push_back({.similarity = similarities[i],
                          .words = &words[i],
                          .evidence = &known[i].evidence,
                          .query = known[i].query,
                          .task = known[i].task,
                          .context_digest = known[i].context_digest,
                          .answer_digest = known[i].answer_digest,
                          .expires_at_ms = known[i].expires_at_ms});
  }
  lookup.decision = semantic::decide({.words = &asked,
                                      .task = question.task,
                                      .sensitivity = question.sensitivity,
                                      .context_digest = question.context_digest,
                                      .now_ms = unix_ms(parts_.clock.now()),
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
  auto answer = parse_answer(**stored);
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
  found->second.changed = true;
}

// ---- learning

void SemanticCache::keep(std::shared_ptr<const Lookup> lookup, std::shared_ptr<const Answer> answer,
                         milliseconds ttl) {
  if (lookup == nullptr || answer == nullptr || ttl <= milliseconds(0)) return;
  const std::scoped_lock lock(queue_mutex_);
  if (queue_.size() >= options_.max_queued) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  queue_.push_back({std::move(lookup), std::move(answer), ttl});
}

Aw<void> SemanticCache::run() {
  constexpr milliseconds kTick{100};
  co_await read_news();
  auto last = std::chrono::steady_clock::now();
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
      if (!arrivals.empty()) co_await write(std::move(arrivals));
    }
    if (more && std::chrono::steady_clock::now() - last < options_.refresh) continue;
    co_await write_learned();
    if (more) co_await read_news();
    last = std::chrono::steady_clock::now();
  }
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
                           lookup.decision.trusted, options_.bound);
  const std::scoped_lock lock(tenant->mutex);
  tenant->knowledge_changed = true;
  const auto found = tenant->entries.find(lookup.entry_id);
  if (found != tenant->entries.end()) {
    found->second.evidence.add(lookup.decision.score, agree);
    found->second.changed = true;
  }
  // What the entry answers already needs no other.
  return !agree;
}

Aw<void> SemanticCache::write(std::vector<Arrival> arrivals) {
  const auto& traits = parts_.embedder.traits();
  std::vector<semantic::EntryRow> entries = co_await net::run_blocking(background_, [&] {
    std::vector<semantic::EntryRow> made;
    for (const Arrival& arrival : arrivals) {
      if (!learn(arrival)) continue;
      const Question& question = arrival.lookup->question;
      const Clock::Time now = parts_.clock.now();
      semantic::EntryRow row{.org = question.org,
                             .id = entry_id_of(question, traits.tag),
                             .embedder = traits.tag,
                             .query = question.query,
                             .task = question.task,
                             .context_digest = question.context_digest,
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
    logger_.warning("answers are not kept in the semantic cache",
                    {{"entries", entries.size()}, {"error", put.error().message}});
    co_return;
  }
  co_await add(std::move(entries));
}

Aw<void> SemanticCache::add(std::vector<semantic::EntryRow> entries) {
  co_await net::run_blocking(background_, [&] {
    for (semantic::EntryRow& row : entries) {
      if (!row.vector.empty()) continue;
      if (auto embedded = parts_.embedder.try_embed(row.query)) row.vector = *embedded->vector;
    }
    return true;
  });
  std::map<std::string, std::vector<vector::Item>> by_org;
  std::vector<std::string> texts;
  std::vector<std::size_t> waiting;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!entries[i].vector.empty()) continue;
    texts.push_back(entries[i].query);
    waiting.push_back(i);
  }
  if (!texts.empty()) {
    auto made = co_await parts_.embedder.embed(std::move(texts), llm::EmbedPurpose::kDocument, {});
    if (!made) {
      logger_.warning("the semantic cache cannot embed what it keeps",
                      {{"entries", waiting.size()}, {"error", made.error().message}});
    }
    for (std::size_t i = 0; made && i < waiting.size() && i < made->size(); ++i)
      entries[waiting[i]].vector = *(*made)[i].vector;
  }
  for (semantic::EntryRow& row : entries) {
    if (row.vector.size() != parts_.embedder.traits().width) continue;
    const auto owner = tenant(row.org);
    {
      const std::scoped_lock lock(owner->mutex);
      Known known{.query = row.query,
                  .task = row.task,
                  .context_digest = row.context_digest,
                  .answer_digest = row.answer_digest,
                  .expires_at_ms = unix_ms(row.expires),
                  .evidence = {}};
      if (auto evidence = semantic::EntryEvidence::decode(row.evidence)) known.evidence = *evidence;
      owner->entries[row.id] = std::move(known);
    }
    by_org[row.org].push_back(
        {.id = row.id,
         .vector = std::move(row.vector),
         .metadata = {{std::string(kContextField), hex(row.context_digest)}}});
  }
  for (auto& [org, items] : by_org) {
    if (auto put = co_await parts_.index.upsert(org, std::move(items)); !put) {
      logger_.warning("the vector index does not take new entries",
                      {{"error", put.error().message}});
    }
  }
}

Aw<void> SemanticCache::read_news() {
  for (bool more = true; more && !stopping_.cancelled();) {
    auto page = co_await rows_.after(std::max<std::int64_t>(0, last_seen_ - kOverlap),
                                     parts_.embedder.traits().tag, parts_.clock.now(), kPage);
    if (!page) {
      logger_.warning("the semantic cache's entries cannot be read",
                      {{"error", page.error().message}});
      co_return;
    }
    std::erase_if(page->entries, [this](const semantic::EntryRow& row) {
      const auto owner = find_tenant(row.org);
      if (owner == nullptr) return false;
      const std::scoped_lock lock(owner->mutex);
      return owner->entries.contains(row.id);
    });
    for (const semantic::EntryRow& row : page->entries) {
      if (find_tenant(row.org) != nullptr) continue;
      auto knowledge = co_await rows_.knowledge(row.org, row.embedder);
      const auto owner = tenant(row.org);
      if (!knowledge || knowledge->empty()) continue;
      if (auto restored = owner->evidence.restore(*knowledge); !restored)
        logger_.warning("what was learned about cached answers cannot be read",
                        {{"org", row.org}, {"error", restored.error().message}});
    }
    more = page->more && page->last > last_seen_;
    last_seen_ = std::max(last_seen_, page->last);
    co_await add(std::move(page->entries));
  }
}

Aw<void> SemanticCache::write_learned() {
  std::vector<std::pair<std::string, std::shared_ptr<Tenant>>> tenants;
  {
    const std::shared_lock lock(tenants_mutex_);
    tenants.assign(tenants_.begin(), tenants_.end());
  }
  for (const auto& [org, owner] : tenants) {
    std::vector<semantic::EntryRows::Learned> learned;
    bool knowledge = false;
    {
      const std::scoped_lock lock(owner->mutex);
      for (auto& [id, known] : owner->entries) {
        if (!known.changed || learned.size() == kLearnedAtOnce) continue;
        learned.push_back({org, id, known.evidence.encode(), known.new_hits});
        known.changed = false;
        known.new_hits = 0;
      }
      knowledge = std::exchange(owner->knowledge_changed, false);
    }
    // What cannot be written is learned again: evidence is a sample.
    if (auto done = co_await rows_.learn(std::move(learned)); !done)
      logger_.warning("what was learned about cached answers cannot be written",
                      {{"error", done.error().message}});
    if (knowledge)
      (void)co_await rows_.keep_knowledge(org, parts_.embedder.traits().tag,
                                          owner->evidence.encode(), parts_.clock.now());
  }
}

// ---- keeping house

Aw<void> SemanticCache::forget(std::string org, std::string entry_id) {
  if (const auto owner = find_tenant(org)) {
    const std::scoped_lock lock(owner->mutex);
    owner->entries.erase(entry_id);
  }
  std::vector<std::string> ids(1, std::move(entry_id));
  (void)co_await parts_.index.erase(std::move(org), std::move(ids));
}

Task<bool> SemanticCache::report(std::string org, std::string entry_id) {
  auto row = co_await rows_.get(org, entry_id);
  if (!row) co_return std::unexpected(std::move(row.error()));
  if (!*row) co_return false;
  auto evidence = semantic::EntryEvidence::decode((*row)->evidence);
  semantic::EntryEvidence learned = evidence ? *evidence : semantic::EntryEvidence{};
  const auto owner = tenant(org);
  {
    const std::scoped_lock lock(owner->mutex);
    if (const auto found = owner->entries.find(entry_id); found != owner->entries.end()) {
      // Nobody knows at which score it answered: at any.
      found->second.evidence.report(1);
      learned = found->second.evidence;
    } else {
      learned.report(1);
    }
    owner->knowledge_changed = true;
  }
  owner->evidence.report((*row)->task, 1);
  std::vector<semantic::EntryRows::Learned> one;
  one.push_back({std::move(org), std::move(entry_id), learned.encode(), 0});
  auto done = co_await rows_.learn(std::move(one));
  if (!done) co_return std::unexpected(std::move(done.error()));
  co_return true;
}

Task<std::int64_t> SemanticCache::erase(std::string org, std::vector<std::string> entry_ids) {
  auto gone = co_await rows_.erase(org, entry_ids);
  if (!gone) co_return std::unexpected(std::move(gone.error()));
  for (std::string& id : entry_ids) co_await forget(org, std::move(id));
  co_return *gone;
}

Task<std::int64_t> SemanticCache::clear(std::string org) {
  auto gone = co_await rows_.erase_all(org);
  if (!gone) co_return std::unexpected(std::move(gone.error()));
  if (const auto owner = find_tenant(org)) {
    const std::scoped_lock lock(owner->mutex);
    owner->entries.clear();
  }
  (void)co_await parts_.index.erase_all(std::move(org));
  co_return *gone;
}

Task<std::int64_t> SemanticCache::clear_expired(std::string org) {
  const Clock::Time now = parts_.clock.now();
  auto gone = co_await rows_.erase_expired(org, now);
  if (!gone) co_return std::unexpected(std::move(gone.error()));
  std::vector<std::string> ids;
  if (const auto owner = find_tenant(org)) {
    const std::scoped_lock lock(owner->mutex);
    for (const auto& [id, known] : owner->entries) {
      if (known.expires_at_ms <= unix_ms(now)) ids.push_back(id);
    }
    for (const std::string& id : ids) owner->entries.erase(id);
  }
  if (!ids.empty()) (void)co_await parts_.index.erase(std::move(org), std::move(ids));
  co_return *gone;
}

SemanticCache::Stats SemanticCache::stats(const std::string& org) const {
  Stats stats{.dropped = dropped_.load(std::memory_order_relaxed)};
  const auto owner = find_tenant(org);
  if (owner == nullptr) return stats;
  stats.questions = owner->evidence.questions();
  stats.estimated_wrong = owner->evidence.estimated_wrong();
  const std::scoped_lock lock(owner->mutex);
  stats.entries = owner->entries.size();
  stats.explorations = owner->explorations;
  return stats;
}

}  // namespace asahi::gateway
