#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "storage/object/store.h"

namespace asahi::object {

// What replication keeps beside the objects, in the buckets themselves: nobody else need remember
// it, whoever opens them finds it.

/// Folder of its own objects, in the first bucket and in replicas; no caller's key is below it.
inline constexpr std::string_view kReplicationFolder = "asahi-replication";

/// Where the first bucket says that `key` is to go from all replicas; the object's bytes are the
/// key.
std::string erasure_key(std::string_view key);
/// Where a replica says what its copy of `key` is.
std::string record_key(std::string_view key);

/// What a replica knows of one of its copies. Written before the copy can be seen, so that no copy
/// is without its sum.
struct CopyRecord {
  std::string key;
  std::string sha256;  ///< hex, of the content
  std::string etag;    ///< of the object that was copied, as the first bucket names it
  std::uint64_t size = 0;
};
std::string record_text(const CopyRecord& record);
/// Errors: corrupt.
Result<CopyRecord> parse_record(std::string_view text);

/// Keys whose change has not reached a replica, in order of their time, each once. At most `most`:
/// what comes then is forgotten, and `lost` says so until listings were compared. Thread-safe.
class WaitingKeys {
 public:
  explicit WaitingKeys(std::size_t most) : most_(most) {}
  void add(const std::string& key, Clock::Steady now);
  /// The longest waiting. It waits no more; `put_back` when nothing came of it.
  struct Key {
    std::string key;
    Clock::Steady since;
  };
  std::optional<Key> take();
  void put_back(Key key);
  std::size_t size() const;
  /// Of the one that waits longest.
  std::optional<Clock::Steady> since() const;
  /// Since when changes are missing that were forgotten; nothing: none.
  std::optional<Clock::Steady> lost() const;
  /// Listings that were begun at `when` were compared.
  void compared(Clock::Steady when);

 private:
  const std::size_t most_;
  mutable std::mutex mutex_;
  std::deque<std::string> order_;
  std::unordered_map<std::string, Clock::Steady> since_;
  std::optional<Clock::Steady> lost_, last_lost_;
};

/// One replica bucket: copies with their sums. Blocking; thread-safe.
class Replica {
 public:
  Replica(std::unique_ptr<ObjectStore> store, std::size_t most_waiting)
      : store_(std::move(store)), waiting_(most_waiting) {}

  /// Brings `object` of `source` here unless it is here; whether something was done. Read back and
  /// compared. Errors: conflict or not_found (it changed meanwhile), corrupt (what lies here is
  /// something else), those of both stores.
  Result<bool> copy(ObjectStore& source, const ObjectInfo& object);
  Result<void> erase(const std::string& key);
  Result<bool> has(const std::string& key);

  /// As ObjectStore::read, with the etag of the object that was copied. What is read whole is
  /// compared with its sum, up to 8 MiB before the first byte reaches `sink`; a part is checked by
  /// whoever knows the content. Errors: not_found (no copy, or none with a sum), conflict (a copy
  /// of another object than `only_if_etag`), corrupt.
  Result<ObjectInfo> read(const std::string& key, const Sink& sink, const ReadOptions& options);
  /// Empty: no copy.
  Result<std::optional<ObjectInfo>> head(const std::string& key);

  ObjectStore& store() { return *store_; }
  WaitingKeys& waiting() { return waiting_; }
  const WaitingKeys& waiting() const { return waiting_; }

  /// Since the process began.
  struct Counts {
    std::atomic<std::uint64_t> copied{0}, erased{0}, failed{0}, read{0};
    /// Copies of the last comparison whose object is gone though nobody erased it.
    std::atomic<std::uint64_t> unexplained{0};
    std::atomic<std::int64_t> compared_ns{0};  ///< Clock::Time of the last comparison; 0: none
  };
  Counts& counts() { return counts_; }
  const Counts& counts() const { return counts_; }

 private:
  /// Empty: there is none.
  Result<std::optional<CopyRecord>> record(const std::string& key);

  const std::unique_ptr<ObjectStore> store_;
  WaitingKeys waiting_;
  Counts counts_;
};

}  // namespace asahi::object
