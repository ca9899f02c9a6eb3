#pragma once

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "llm/embed/text_embedder.h"
#include "memory/ingest/ledger.h"
#include "memory/ingest/payload.h"
#include "memory/model/store.h"

namespace asahi::memory {

/// What a stored memory means for the graph and the series. Told after the store has acknowledged;
/// a crash may lose the telling, so what is derived must be fit to be built again.
class DerivedObserver {
 public:
  struct Seen {
    Key key;
    Clock::Time timestamp;
    std::string content, metadata;
    UpsertOutcome outcome = UpsertOutcome::kStored;
  };
  virtual ~DerivedObserver() = default;
  virtual Aw<void> seen(std::vector<Seen> memories) = 0;
};

/// The fingerprint of a content (MinHash); any thread.
using FingerprintOf = std::function<Fingerprint(std::string_view content)>;

/// Adds one item's outcome.
void count(UploadCounts& counts, UpsertOutcome outcome);
/// "stored", "replaced", "unchanged", "older", "duplicate", "near_duplicate".
std::string_view outcome_name(UpsertOutcome outcome);

/// The one way into the store, for bundles, pushes and imports alike: fingerprints, embeds what
/// has no vector, upserts, tells the observer. Heavy work runs on `work`'s threads. Any loop.
class Intake {
 public:
  struct Options {
    UpsertOptions upsert;
    std::size_t embed_batch = 32;
    std::chrono::milliseconds embed_timeout{30'000};
    /// Payload bytes that all uploads and pushes together may have in their hands.
    std::size_t max_in_flight_bytes = 256 << 20;
    /// Vectors that do not say their model are taken for ours.
    bool trust_unlabelled_vectors = false;
    /// A memory whose metadata name no language gets the one that its text is in, where that is
    /// plain (text/language.h): `language`, and `language_guessed` true.
    bool guess_language = true;
  };
  /// All outlive the intake.
  struct Parts {
    Store& store;
    llm::TextEmbedder& embedder;
    boost::asio::thread_pool& work;
    const Clock& clock;
    FingerprintOf fingerprint;
    DerivedObserver* observer = nullptr;
    /// The store wants a pause (its log or index is behind); empty: never.
    std::function<bool()> pressed = {};
    /// A tenant's memories have changed, or may have; before `take` answers. Empty: nobody asks.
    std::function<Aw<void>(std::string tenant)> changed = {};
  };
  Intake(Parts parts, Options options) : parts_(std::move(parts)), options_(options) {}

  /// One outcome per memory, in order. Errors: those of the embedder and of Store::upsert_batch;
  /// nothing was stored.
  Task<std::vector<UpsertOutcome>> take(std::vector<Memory> memories, llm::CallContext context);

  /// What this intake knows of ItemRules: time, width, models.
  ItemRules rules(std::string tenant) const;

  /// Part of the bytes in flight; given back with its owner.
  class [[nodiscard]] Room {
   public:
    Room(Intake& intake, std::size_t bytes) : intake_(&intake), bytes_(bytes) {}
    Room(Room&& other) noexcept
        : intake_(std::exchange(other.intake_, nullptr)), bytes_(other.bytes_) {}
    Room& operator=(Room&&) = delete;
    ~Room() {
      if (intake_ != nullptr) intake_->give_back(bytes_);
    }

   private:
    Intake* intake_;
    std::size_t bytes_;
  };
  /// Errors: unavailable with retry_after when there is none, the store is pressed, or the intake
  /// is closed. A single large one always gets in when nothing else is there.
  Result<Room> reserve(std::size_t bytes);
  /// Whether leasing and new pushes should wait.
  bool pressed() const;
  /// No more room is given.
  void close() { closed_ = true; }
  /// Rooms that are out.
  std::size_t in_flight() const { return rooms_; }
  std::size_t in_flight_bytes() const { return bytes_; }

  Store& store() { return parts_.store; }
  const Clock& clock() const { return parts_.clock; }
  boost::asio::thread_pool& work() { return parts_.work; }

 private:
  void prepare(std::vector<Memory>& memories) const;
  Task<void> embed(std::vector<Memory>& memories, llm::CallContext context);
  void give_back(std::size_t bytes);

  const Parts parts_;
  const Options options_;
  std::atomic<std::size_t> bytes_ = 0;
  std::atomic<std::size_t> rooms_ = 0;
  std::atomic<bool> closed_ = false;
};

/// One upload on its way in: gathers items into batches, counts, keeps the ledger's row up to date.
/// Lives on one loop.
class UploadRun {
 public:
  struct Options {
    std::size_t batch_records = 100;
    std::size_t batch_bytes = 8 << 20;
    std::size_t bad_items = 20;  ///< that the row tells of
  };
  /// Goes on at the lease's counts and position. All outlive it.
  UploadRun(Intake& intake, Ledger& ledger, const UploadLease& lease, Options options);

  void add(Memory memory);
  void add(BadItem item);
  bool full() const;
  bool empty() const { return batch_.empty() && !changed_; }
  /// Stores the batch and brings the row to `position` (items) and `bytes` (of payload). Errors:
  /// those of Intake::take and Ledger::progress.
  Task<void> flush(std::uint64_t position, std::uint64_t bytes, llm::CallContext context);

  const UploadCounts& counts() const { return counts_; }
  std::string bad_items() const;
  /// done, partial (items were left out), or rejected (nothing but broken JSON).
  UploadState verdict() const;
  /// What to tell of it in one sentence; empty: nothing.
  const std::string& remark() const { return remark_; }

 private:
  Task<void> recount(const std::vector<Key>& keys, std::vector<UpsertOutcome>& outcomes);

  Intake& intake_;
  Ledger& ledger_;
  const UploadLease& lease_;
  const Options options_;
  std::vector<Memory> batch_;
  std::size_t batch_bytes_ = 0;
  UploadCounts counts_;
  json::array bad_;
  std::string remark_;
  bool changed_ = false;
  /// An earlier try may have stored the first batch without telling the row.
  bool unsure_ = false;
};

}  // namespace asahi::memory
