#include "memory/ingest/intake.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "memory/text/language.h"
#include "net/blocking.h"

namespace asahi::memory {

namespace {

constexpr std::chrono::milliseconds kRetryAfter{1'000};

const Logger& logger() {
  static const Logger instance("memory.ingest");
  return instance;
}

}  // namespace

void count(UploadCounts& counts, UpsertOutcome outcome) {
  ++counts.items;
  switch (outcome) {
    case UpsertOutcome::kStored:
      ++counts.stored;
      break;
    case UpsertOutcome::kReplaced:
      ++counts.replaced;
      break;
    case UpsertOutcome::kUnchanged:
      ++counts.unchanged;
      break;
    case UpsertOutcome::kOlder:
      ++counts.older;
      break;
    case UpsertOutcome::kDuplicate:
      ++counts.duplicates;
      break;
    case UpsertOutcome::kNearDuplicate:
      ++counts.near_duplicates;
      break;
  }
}

std::string_view outcome_name(UpsertOutcome outcome) {
  switch (outcome) {
    case UpsertOutcome::kStored:
      return "stored";
    case UpsertOutcome::kReplaced:
      return "replaced";
    case UpsertOutcome::kUnchanged:
      return "unchanged";
    case UpsertOutcome::kOlder:
      return "older";
    case UpsertOutcome::kDuplicate:
      return "duplicate";
    case UpsertOutcome::kNearDuplicate:
      return "near_duplicate";
  }
  return "stored";
}

ItemRules Intake::rules(std::string tenant) const {
  ItemRules rules;
  rules.tenant = std::move(tenant);
  rules.now = parts_.clock.now();
  rules.uploaded_at = rules.now;
  rules.width = parts_.embedder.traits().width;
  rules.embedding_model = parts_.embedder.traits().tag;
  rules.trust_unlabelled = options_.trust_unlabelled_vectors;
  return rules;
}

bool Intake::pressed() const {
  return closed_ || bytes_ >= options_.max_in_flight_bytes || (parts_.pressed && parts_.pressed());
}

Result<Intake::Room> Intake::reserve(std::size_t bytes) {
  const auto busy = [](std::string why) {
    auto failure = fail(Errc::kUnavailable, std::move(why));
    failure.error().reason = "backpressure";
    failure.error().retry_after = kRetryAfter;
    return failure;
  };
  if (closed_) return busy("the server is going down; send it again to another one, or soon");
  if (parts_.pressed && parts_.pressed())
    return busy("the store is behind with what it got; send it again in a second");
  const std::size_t before = bytes_.fetch_add(bytes);
  if (before > 0 && before + bytes > options_.max_in_flight_bytes) {
    bytes_ -= bytes;
    return busy("too many uploads are on their way in; send it again in a second");
  }
  ++rooms_;
  return Room(*this, bytes);
}

void Intake::give_back(std::size_t bytes) {
  bytes_ -= bytes;
  --rooms_;
}

/// Adds to an object as text.
void add_language(std::string& metadata, std::string_view content) {
  const auto parsed = parse_json(metadata.empty() ? "{}" : metadata);
  if (!parsed || !parsed->is_object() || parsed->get_object().contains("language")) return;
  const std::string_view language = text::guess_language(content);
  if (language == text::kUnknownLanguage) return;
  json::object with = parsed->get_object();
  with["language"] = language;
  with["language_guessed"] = true;
  std::string written = write_json(with);
  if (written.size() <= kMaxMetadata) metadata = std::move(written);
}

void Intake::prepare(std::vector<Memory>& memories) const {
  for (Memory& memory : memories) {
    if (options_.guess_language) add_language(memory.metadata, memory.content);
    if (memory.content_hash == Digest{}) memory.content_hash = sha256(memory.content);
    if (parts_.fingerprint) memory.fingerprint = parts_.fingerprint(memory.content);
    if (!memory.embedding.empty()) continue;
    const auto embedded = parts_.embedder.try_embed(memory.content);
    if (!embedded) continue;
    memory.embedding = *embedded->vector;
    memory.embedding_model = embedded->traits->tag;
  }
}

Task<void> Intake::embed(std::vector<Memory>& memories, llm::CallContext context) {
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < memories.size(); ++i) {
    if (memories[i].embedding.empty()) missing.push_back(i);
  }
  for (std::size_t at = 0; at < missing.size(); at += options_.embed_batch) {
    const std::size_t end = std::min(at + options_.embed_batch, missing.size());
    std::vector<std::string> texts;
    for (std::size_t i = at; i < end; ++i) texts.push_back(memories[missing[i]].content);
    llm::CallContext call = context;
    call.deadline = std::min(call.deadline, parts_.clock.steady_now() + options_.embed_timeout);
    ASAHI_CO_TRY(const auto vectors,
                 co_await parts_.embedder.embed(std::move(texts), llm::EmbedPurpose::kDocument,
                                                std::move(call)));
    if (vectors.size() != end - at)
      co_return fail(Errc::kUpstream, "the embedder gave another number of vectors than texts");
    for (std::size_t i = at; i < end; ++i) {
      memories[missing[i]].embedding = *vectors[i - at].vector;
      memories[missing[i]].embedding_model = vectors[i - at].traits->tag;
    }
  }
  co_return Result<void>{};
}

Task<std::vector<UpsertOutcome>> Intake::take(std::vector<Memory> memories,
                                              llm::CallContext context) {
  if (memories.empty()) co_return std::vector<UpsertOutcome>{};
  co_await net::run_blocking(parts_.work, [this, &memories] {
    prepare(memories);
    return true;
  });
  const auto embedded = co_await embed(memories, std::move(context));
  if (!embedded) co_return std::unexpected(embedded.error());
  std::vector<DerivedObserver::Seen> seen;
  if (parts_.observer != nullptr) {
    seen.reserve(memories.size());
    for (const Memory& memory : memories)
      seen.push_back({memory.key, memory.timestamp, memory.content, memory.metadata, {}});
  }
  // An upload, and so a batch, is of one tenant.
  const std::string tenant = memories.front().key.tenant;
  auto stored = co_await parts_.store.upsert_batch(std::move(memories), options_.upsert);
  // Whatever became of it: the answer of a store in another process can be lost.
  if (parts_.changed) co_await parts_.changed(tenant);
  ASAHI_CO_TRY(auto outcomes, std::move(stored));
  if (parts_.observer != nullptr && outcomes.size() == seen.size()) {
    for (std::size_t i = 0; i < seen.size(); ++i) seen[i].outcome = outcomes[i];
    co_await parts_.observer->seen(std::move(seen));
  }
  co_return outcomes;
}

UploadRun::UploadRun(Intake& intake, Ledger& ledger, const UploadLease& lease, Options options)
    : intake_(intake),
      ledger_(ledger),
      lease_(lease),
      options_(options),
      counts_(lease.upload.counts),
      unsure_(lease.upload.attempts > 1) {
  auto bad = parse_json(lease.upload.bad_items);
  if (bad && bad->is_array()) bad_ = bad->get_array();
}

void UploadRun::add(Memory memory) {
  batch_bytes_ +=
      memory.content.size() + memory.metadata.size() + memory.embedding.size() * sizeof(float);
  batch_.push_back(std::move(memory));
}

void UploadRun::add(BadItem item) {
  changed_ = true;
  if (item.fault == ItemFault::kBroken) {
    remark_ = item.detail;
    // A try before this one came as far and counted it.
    for (const json::value& told : bad_) {
      if (!told.is_object()) continue;
      const json::value* reason = find_member(told.get_object(), "reason");
      const json::value* index = find_member(told.get_object(), "index");
      if (reason != nullptr && *reason == json::value(fault_name(item.fault)) && index != nullptr &&
          *index == json::value(item.index))
        return;
    }
  }
  ++counts_.items;
  if (item.fault == ItemFault::kEmpty) {
    ++counts_.skipped;
  } else {
    ++counts_.errors;
  }
  if (bad_.size() >= options_.bad_items) return;
  json::object told;
  told["index"] = item.index;
  told["reason"] = fault_name(item.fault);
  if (!item.field.empty()) told["field"] = item.field;
  told["expected"] = item.detail;
  bad_.push_back(std::move(told));
}

bool UploadRun::full() const {
  return batch_.size() >= options_.batch_records || batch_bytes_ >= options_.batch_bytes;
}

std::string UploadRun::bad_items() const { return write_json(bad_); }

UploadState UploadRun::verdict() const {
  if (counts_.errors == 0) return UploadState::kDone;
  const bool nothing = counts_.items == counts_.errors && !remark_.empty();
  return nothing ? UploadState::kRejected : UploadState::kPartial;
}

Task<void> UploadRun::recount(const std::vector<Key>& keys, std::vector<UpsertOutcome>& outcomes) {
  ASAHI_CO_TRY(const auto rows, co_await intake_.store().get(keys));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (outcomes[i] != UpsertOutcome::kUnchanged || !rows[i]) continue;
    const auto metadata = parse_json(rows[i]->metadata);
    if (!metadata || !metadata->is_object()) continue;
    const json::value* upload = find_member(metadata->get_object(), "upload_id");
    if (upload == nullptr || !upload->is_string() ||
        upload->get_string() != lease_.upload.id.upload_id)
      continue;
    outcomes[i] =
        rows[i]->near_duplicate_of ? UpsertOutcome::kNearDuplicate : UpsertOutcome::kStored;
  }
  co_return Result<void>{};
}

Task<void> UploadRun::flush(std::uint64_t position, std::uint64_t bytes, llm::CallContext context) {
  std::vector<Key> keys;
  if (unsure_) {
    for (const Memory& memory : batch_) keys.push_back(memory.key);
  }
  ASAHI_CO_TRY(auto outcomes, co_await intake_.take(std::exchange(batch_, {}), std::move(context)));
  batch_bytes_ = 0;
  if (unsure_ && std::ranges::count(outcomes, UpsertOutcome::kUnchanged) > 0) {
    const auto again = co_await recount(keys, outcomes);
    if (!again) co_return std::unexpected(again.error());
  }
  if (!keys.empty()) unsure_ = false;
  for (const UpsertOutcome outcome : outcomes) count(counts_, outcome);
  counts_.bytes = bytes;
  changed_ = false;
  const auto told = co_await ledger_.progress(lease_, position, counts_, bad_items());
  if (!told) co_return std::unexpected(told.error());
  if (!remark_.empty())
    logger().warning("payload is broken", {{"system_id", lease_.upload.id.system_id},
                                           {"upload_id", lease_.upload.id.upload_id},
                                           {"error", remark_}});
  co_return Result<void>{};
}

}  // namespace asahi::memory
