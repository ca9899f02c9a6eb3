#include "storage/object/replicated_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "storage/object/keys.h"

namespace asahi::object {
namespace {

constexpr std::size_t kLongestKey = 1'024;
/// Copies that nobody erased, of one comparison; more go with the next.
constexpr std::size_t kErasedAtOnce = 10'000;

bool is_own(std::string_view key) {
  return key.starts_with(kReplicationFolder) &&
         (key.size() == kReplicationFolder.size() || key[kReplicationFolder.size()] == '/');
}

Result<void> check(const std::string& key) {
  if (auto good = check_key(key); !good) return good;
  if (!is_own(key)) return {};
  return fail(Errc::kInvalidArgument,
              fmt::format("keys below '{}/' are the replication's own", kReplicationFolder));
}

/// The bucket, or the way to it, does not work; a replica may.
bool is_away(const Error& error) {
  switch (error.code) {
    case Errc::kUnavailable:
    case Errc::kTimeout:
    case Errc::kUpstream:
    case Errc::kRateLimited:
    case Errc::kForbidden:
      return true;
    default:
      return false;
  }
}

/// The same of calls whose arguments are good: then it is the bucket that is none.
bool is_away_or_gone(const Error& error) {
  return is_away(error) || error.code == Errc::kInvalidArgument;
}

Page visible(Page page) {
  std::erase_if(page.objects, [](const ObjectInfo& object) { return is_own(object.key); });
  std::erase_if(page.folders, [](const std::string& folder) { return is_own(folder); });
  return page;
}

/// The objects of a store one after the other, by key; a page is in memory.
class Walk {
 public:
  explicit Walk(ObjectStore& store) : store_(store) {}

  /// Null behind the last.
  Result<const ObjectInfo*> now() {
    while (at_ == page_.objects.size()) {
      if (over_) return nullptr;
      ASAHI_TRY(page_, store_.list({.after = after_}));
      page_ = visible(std::move(page_));
      at_ = 0;
      after_ = page_.next;
      over_ = page_.next.empty();
    }
    return &page_.objects[at_];
  }
  void next() { ++at_; }

 private:
  ObjectStore& store_;
  Page page_;
  std::size_t at_ = 0;
  std::string after_;
  bool over_ = false;
};

}  // namespace

/// Tells of its end.
class ReplicatedStore::NotedUpload final : public Upload {
 public:
  NotedUpload(std::unique_ptr<Upload> upload, ReplicatedStore& store, std::string key)
      : upload_(std::move(upload)), store_(store), key_(std::move(key)) {}
  Result<void> write(std::string_view bytes) override { return upload_->write(bytes); }
  Result<ObjectInfo> finish() override {
    auto done = upload_->finish();
    if (done) store_.note(key_);
    return done;
  }

 private:
  const std::unique_ptr<Upload> upload_;
  ReplicatedStore& store_;
  const std::string key_;
};

ReplicatedStore::ReplicatedStore(std::unique_ptr<ObjectStore> first,
                                 std::vector<std::unique_ptr<ObjectStore>> replicas,
                                 const Clock& clock, Options options)
    : first_(std::move(first)), clock_(clock), options_(std::move(options)) {
  for (auto& store : replicas)
    replicas_.push_back(std::make_unique<Replica>(std::move(store), options_.most_waiting));
}

void ReplicatedStore::note(const std::string& key) {
  const Clock::Steady now = clock_.steady_now();
  for (const auto& replica : replicas_) replica->waiting().add(key, now);
}

Result<ObjectInfo> ReplicatedStore::put(const std::string& key, std::string_view bytes,
                                        const PutOptions& options) {
  if (auto good = check(key); !good) return std::unexpected(std::move(good.error()));
  auto done = first_->put(key, bytes, options);
  if (done) note(key);
  return done;
}

Result<ObjectInfo> ReplicatedStore::put_file(const std::string& key, const std::string& path,
                                             const PutOptions& options) {
  if (auto good = check(key); !good) return std::unexpected(std::move(good.error()));
  auto done = first_->put_file(key, path, options);
  if (done) note(key);
  return done;
}

Result<std::unique_ptr<Upload>> ReplicatedStore::begin_upload(const std::string& key,
                                                              const PutOptions& options) {
  if (auto good = check(key); !good) return std::unexpected(std::move(good.error()));
  ASAHI_TRY(auto upload, first_->begin_upload(key, options));
  return std::make_unique<NotedUpload>(std::move(upload), *this, key);
}

Result<void> ReplicatedStore::erase(const std::string& key) {
  if (auto good = check(key); !good) return good;
  // First the note: whoever dies behind it has said what must go.
  if (auto noted = first_->put(erasure_key(key), key); !noted)
    return std::unexpected(std::move(noted.error()));
  auto done = first_->erase(key);
  if (done) note(key);
  return done;
}

void ReplicatedStore::stop() {
  stopped_ = true;
  first_->stop();
  for (const auto& replica : replicas_) replica->store().stop();
}

void ReplicatedStore::stood_in(Replica& replica, const Error& why) {
  ++replica.counts().read;
  if (options_.stood_in) options_.stood_in(replica.store().where(), why);
}

Result<ObjectInfo> ReplicatedStore::read(const std::string& key, const Sink& sink,
                                         const ReadOptions& options) {
  if (auto good = check(key); !good) return std::unexpected(std::move(good.error()));
  // Once a byte has gone out, nobody else may go on: it might be another object's half.
  bool begun = false;
  const Sink watched = [&](std::string_view bytes) {
    begun = true;
    return sink(bytes);
  };
  auto done = first_->read(key, watched, options);
  if (done || begun) return done;
  const bool away = options.offset == 0 ? is_away_or_gone(done.error()) : is_away(done.error());
  if (!away) return done;
  for (const auto& replica : replicas_) {
    auto other = replica->read(key, watched, options);
    if (other) stood_in(*replica, done.error());
    if (other || begun) return other;
  }
  return done;
}

Result<std::optional<ObjectInfo>> ReplicatedStore::head(const std::string& key) {
  if (auto good = check(key); !good) return std::unexpected(std::move(good.error()));
  auto done = first_->head(key);
  if (done || !is_away_or_gone(done.error())) return done;
  for (const auto& replica : replicas_) {
    auto other = replica->head(key);
    if (!other || !*other) continue;
    stood_in(*replica, done.error());
    return other;
  }
  return done;
}

Result<Page> ReplicatedStore::list(const ListQuery& query) {
  if (auto good = check_prefix(query.prefix); !good)
    return std::unexpected(std::move(good.error()));
  auto done = first_->list(query);
  if (done) return visible(*std::move(done));
  if (!is_away_or_gone(done.error())) return done;
  for (const auto& replica : replicas_) {
    auto other = replica->store().list(query);
    if (!other) continue;
    stood_in(*replica, done.error());
    return visible(*std::move(other));
  }
  return done;
}

Result<void> ReplicatedStore::settle(const std::string& key) {
  for (const auto& replica : replicas_) {
    ASAHI_TRY(const bool there, replica->has(key));
    if (there) return {};
  }
  return first_->erase(erasure_key(key));
}

Result<ReplicatedStore::Carried> ReplicatedStore::carry(Replica& replica, const std::string& key) {
  ASAHI_TRY(const auto there, first_->head(key));
  if (there) {
    ASAHI_TRY(const bool copied, replica.copy(*first_, *there));
    if (!copied) return Carried::kNothing;
    ++replica.counts().copied;
    // Erased while it was copied, by this process or another: its note may be gone already.
    ASAHI_TRY(const auto still, first_->head(key));
    if (still) return Carried::kCopied;
    if (auto done = replica.erase(key); !done) return std::unexpected(std::move(done.error()));
    return Carried::kErased;
  }
  ASAHI_TRY(const auto meant, first_->head(erasure_key(key)));
  if (!meant) {
    ASAHI_TRY(const bool copy, replica.has(key));
    return copy ? Carried::kUnexplained : Carried::kNothing;
  }
  ASAHI_TRY(const bool was_there, replica.has(key));
  if (was_there) {
    if (auto done = replica.erase(key); !done) return std::unexpected(std::move(done.error()));
    ++replica.counts().erased;
  }
  // A replica that is away keeps the note; nothing else of this one fails by that.
  (void)settle(key);
  return was_there ? Carried::kErased : Carried::kNothing;
}

Result<void> ReplicatedStore::follow(Replica& replica) {
  for (std::size_t left = replica.waiting().size(); left > 0; --left) {
    if (stopped_) return fail(Errc::kCancelled, "the store is ending");
    auto next = replica.waiting().take();
    if (!next) break;
    auto done = carry(replica, next->key);
    if (done) continue;
    ++replica.counts().failed;
    replica.waiting().put_back(*std::move(next));
    return std::unexpected(std::move(done.error()));
  }
  return {};
}

Result<void> ReplicatedStore::follow() {
  const std::scoped_lock lock(working_);
  Result<void> result;
  for (const auto& replica : replicas_) {
    if (auto done = follow(*replica); !done && result) result = std::move(done);
  }
  return result;
}

Result<void> ReplicatedStore::finish_erasures(Replica& replica, Compared& done) {
  const std::string prefix = fmt::format("{}/erased/", kReplicationFolder);
  ListQuery query{.prefix = prefix};
  for (;;) {
    ASAHI_TRY(const Page page, first_->list(query));
    for (const ObjectInfo& note : page.objects) {
      if (stopped_ || reconciling_stopped_) return fail(Errc::kCancelled, "the store is ending");
      auto key = first_->get(note.key, kLongestKey);
      if (!key && key.error().code == Errc::kNotFound) continue;  // another process settled it
      if (!key) return std::unexpected(std::move(key.error()));
      ASAHI_TRY(const auto there, first_->head(*key));
      if (there) {
        // It may be at its erasure this moment.
        if (clock_.now() - note.modified < options_.in_flight) continue;
        if (auto ok = first_->erase(note.key); !ok) return ok;
        continue;
      }
      ASAHI_TRY(const Carried carried, carry(replica, *key));
      if (carried == Carried::kErased) ++done.erased;
    }
    if (page.next.empty()) return {};
    query.after = page.next;
  }
}

Result<void> ReplicatedStore::reconcile(Replica& replica, bool erase_unexplained, Compared& done) {
  const Clock::Steady begun = clock_.steady_now();
  if (auto ok = finish_erasures(replica, done); !ok) return ok;
  Walk here(*first_), copies(replica.store());
  std::vector<std::string> unexplained;
  std::uint64_t count = 0, known = 0;
  for (;;) {
    if (stopped_ || reconciling_stopped_) return fail(Errc::kCancelled, "the store is ending");
    ASAHI_TRY(const ObjectInfo* const object, here.now());
    ASAHI_TRY(const ObjectInfo* const copy, copies.now());
    if (object == nullptr && copy == nullptr) break;
    const bool has_object = object != nullptr && (copy == nullptr || object->key <= copy->key);
    const bool has_copy = copy != nullptr && (object == nullptr || copy->key <= object->key);
    known += has_copy ? 1 : 0;
    // Of an object that was put again the copy is the older one. (Twice within one tick of the
    // providers' clocks, alike in size, and the second time by a process that died: not seen. Cold
    // files and backups are never put again.)
    const bool same =
        has_object && has_copy && object->size == copy->size && copy->modified >= object->modified;
    if (!same) {
      const std::string key = has_object ? object->key : copy->key;
      ASAHI_TRY(const Carried carried, carry(replica, key));
      if (carried == Carried::kCopied) ++done.copied;
      if (carried == Carried::kErased) ++done.erased;
      if (carried == Carried::kUnexplained) {
        ++count;
        if (erase_unexplained && unexplained.size() < kErasedAtOnce) unexplained.push_back(key);
      }
    }
    if (has_object) here.next();
    if (has_copy) copies.next();
  }
  replica.counts().unexplained = count;
  done.unexplained += count;
  if (erase_unexplained && 2 * count > known) {
    return fail(Errc::kConflict,
                fmt::format("{} of the {} copies in {} are of objects that {} does not have: is "
                            "that the right bucket? None was erased",
                            count, known, replica.store().where(), first_->where()));
  }
  for (const std::string& key : unexplained) {
    if (auto ok = replica.erase(key); !ok) return ok;
    ++replica.counts().erased;
    ++done.erased;
    --done.unexplained;
    --replica.counts().unexplained;
  }
  replica.waiting().compared(begun);
  replica.counts().compared_ns =
      std::chrono::duration_cast<std::chrono::nanoseconds>(clock_.now().time_since_epoch()).count();
  return {};
}

Result<Compared> ReplicatedStore::reconcile(bool erase_unexplained) {
  const std::scoped_lock lock(working_);
  Compared done;
  Result<void> result;
  for (const auto& replica : replicas_) {
    auto compared = reconcile(*replica, erase_unexplained, done);
    if (compared) continue;
    ++replica->counts().failed;
    if (result) result = std::move(compared);
  }
  if (!result) return std::unexpected(std::move(result.error()));
  return done;
}

std::vector<ReplicaState> ReplicatedStore::states() const {
  std::vector<ReplicaState> out;
  for (const auto& replica : replicas_) {
    const Replica::Counts& counts = replica->counts();
    ReplicaState& state = out.emplace_back();
    state.where = replica->store().where();
    state.waiting = replica->waiting().size();
    state.since = replica->waiting().since();
    if (const auto lost = replica->waiting().lost(); lost)
      state.since = state.since ? std::min(*state.since, *lost) : *lost;
    state.copied = counts.copied;
    state.erased = counts.erased;
    state.failed = counts.failed;
    state.reads = counts.read;
    state.unexplained = counts.unexplained;
    if (const std::int64_t at = counts.compared_ns; at != 0)
      state.compared = Clock::Time(std::chrono::nanoseconds(at));
  }
  return out;
}

}  // namespace asahi::object
