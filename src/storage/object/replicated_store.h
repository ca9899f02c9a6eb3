#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "storage/object/replica.h"
#include "storage/object/store.h"

namespace asahi::object {

/// How one replica stands.
struct ReplicaState {
  std::string where;
  std::size_t waiting = 0;  ///< keys whose change is not there yet, as this process knows
  /// Since when the oldest of them waits, or changes are missing that were forgotten.
  std::optional<Clock::Steady> since;
  std::uint64_t copied = 0, erased = 0, failed = 0;  ///< since the process began
  std::uint64_t reads = 0;        ///< that it answered in the place of the first bucket
  std::uint64_t unexplained = 0;  ///< see Compared
  std::optional<Clock::Time> compared;
};

/// What a comparison of listings found and did, over all replicas.
struct Compared {
  std::uint64_t copied = 0, erased = 0;
  /// Copies whose object the first bucket has no more though nobody erased it here: they stay. A
  /// bucket that lost its objects must not take the replicas' with it.
  std::uint64_t unexplained = 0;
};

/// An object store with one or more replica buckets, wherever they are. A put is acknowledged when
/// the first bucket has it; the replicas follow (`follow`), in order of time and out of bounded
/// memory. What a crash, an outage or a full queue left out is found by comparing the listings
/// (`reconcile`).
///
/// An erasure is noted in the first bucket before the object goes there, and the note goes when no
/// replica has the object any more: it reaches them whenever the process is killed. A copy whose
/// object is gone without a note stays (`Compared::unexplained`).
///
/// Conditions and uploads are the first bucket's alone: what a replica shows may be behind, lacks
/// what was just put and has what was just erased. So it answers reads, heads and lists only while
/// the first does not, what it does not have is no answer (the first one's error is), and the etag
/// of an object it reads is that of the one that was copied. Contents are compared with the sums
/// noted when they were copied.
///
/// Blocking and thread-safe as every store; `follow` and `reconcile` take turns. Keys below
/// "asahi-replication/" are its own. Replicas begin empty.
class ReplicatedStore final : public ObjectStore {
 public:
  struct Options {
    std::size_t most_waiting = 4096;  ///< keys, of each replica
    /// An erasure that was noted, and whose object is still there after this time, never began.
    std::chrono::seconds in_flight{3600};
    /// Told of each call that a replica answered, and why. Any thread.
    std::function<void(const std::string& where, const Error& why)> stood_in = {};
  };
  /// `clock` outlives it. `replicas`: at least one.
  ReplicatedStore(std::unique_ptr<ObjectStore> first,
                  std::vector<std::unique_ptr<ObjectStore>> replicas, const Clock& clock,
                  Options options);

  Result<ObjectInfo> put(const std::string& key, std::string_view bytes,
                         const PutOptions& options = {}) override;
  Result<ObjectInfo> put_file(const std::string& key, const std::string& path,
                              const PutOptions& options = {}) override;
  Result<std::unique_ptr<Upload>> begin_upload(const std::string& key,
                                               const PutOptions& options = {}) override;
  Result<ObjectInfo> read(const std::string& key, const Sink& sink,
                          const ReadOptions& options = {}) override;
  Result<std::optional<ObjectInfo>> head(const std::string& key) override;
  Result<Page> list(const ListQuery& query) override;
  Result<void> erase(const std::string& key) override;
  void stop() override;
  std::string where() const override { return first_->where(); }

  /// Brings the replicas what waits. The first error: what it concerns waits on.
  Result<void> follow();
  /// Compares the listings and brings each replica to what the first bucket has.
  /// `erase_unexplained`: copies that nobody erased go as well; of one replica at most half of its
  /// objects, else conflict and nothing of it is erased. Errors: the first; other replicas were
  /// compared all the same.
  Result<Compared> reconcile(bool erase_unexplained = false);
  /// Ends `reconcile`, soon, with cancelled; and what comes of it. What waits can still go out.
  void stop_reconciling() { reconciling_stopped_ = true; }
  std::vector<ReplicaState> states() const;

 private:
  class NotedUpload;

  void note(const std::string& key);
  Result<void> follow(Replica& replica);
  /// Makes the replica of `key` what the first bucket has.
  enum class Carried : std::uint8_t { kNothing, kCopied, kErased, kUnexplained };
  Result<Carried> carry(Replica& replica, const std::string& key);
  /// The note of an erasure goes where no replica has the object.
  Result<void> settle(const std::string& key);
  Result<void> reconcile(Replica& replica, bool erase_unexplained, Compared& done);
  /// Erasures whose process did not come to their end.
  Result<void> finish_erasures(Replica& replica, Compared& done);
  void stood_in(Replica& replica, const Error& why);

  const std::unique_ptr<ObjectStore> first_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  const Clock& clock_;
  const Options options_;
  std::mutex working_;
  std::atomic<bool> stopped_{false}, reconciling_stopped_{false};
};

}  // namespace asahi::object
