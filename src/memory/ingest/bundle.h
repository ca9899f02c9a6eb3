#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "memory/ingest/intake.h"
#include "memory/ingest/manifest.h"
#include "storage/object/task_store.h"

namespace asahi::memory {

/// Where a payload's bytes come from.
class PayloadSource {
 public:
  virtual ~PayloadSource() = default;
  struct File {
    std::string name;  ///< for its format: memories.json, x.jsonl.zst
    std::uint64_t size = 0;
    std::string version;  ///< changes with the content; empty: not known
  };
  /// `length` bytes from `offset`, fewer only at the end. Errors: conflict when the file changed.
  virtual Task<std::string> read(const File& file, std::uint64_t offset, std::size_t length) = 0;
};

/// What may end an upload early. Of the loop that works on it.
struct Interruption {
  bool stopping = false;  ///< the server goes down: give it back
  bool lost = false;      ///< somebody else has it now
  Clock::Steady deadline = Clock::Steady::max();
};

struct PayloadOptions {
  UploadRun::Options run;
  DecodeLimits limits;
  std::size_t chunk_bytes = 1 << 20;             ///< of one read
  std::chrono::milliseconds batch_time{30'000};  ///< items wait no longer for their batch
  std::uint64_t max_items = kMaxConversations;   ///< of an upload; the rest is left out
};

/// Reads all items of `files` into the store, from the lease's position on; memory is bounded by a
/// chunk and a batch. Errors: those of source, intake and ledger; cancelled (stopping), conflict
/// (lost), timeout (deadline), corrupt and too_large (the archive).
Task<void> run_payload(PayloadSource& source, std::vector<PayloadSource::File> files,
                       Compression compression, ItemRules rules, Intake& intake, UploadRun& run,
                       std::uint64_t position, const Interruption& stop, PayloadOptions options);

/// Bundles of the bucket, one leased row at a time.
class BundleReader {
 public:
  struct Options {
    PayloadOptions payload;
    bool delete_after = false;  ///< erase the bundle once it is done
    /// Told of a manifest that breaks rules (the error names the first ones); must not wait.
    std::function<void(const UploadId& id, const Error& error)> refused = {};
  };
  /// All outlive it.
  BundleReader(Intake& intake, Ledger& ledger, object::TaskStore bucket, Options options)
      : intake_(intake), ledger_(ledger), bucket_(bucket), options_(std::move(options)) {}

  /// Takes one upload in and brings its row to its end, whatever happens. The row's state then;
  /// kLeased: given up because `stop` says so. `jitter` in [0, 1). Errors: those of the ledger.
  /// `trouble` gets the error that another try may mend (the bucket or the store is away).
  Task<UploadState> process(const UploadLease& lease, const Interruption& stop, double jitter,
                            std::optional<Error>& trouble);

  /// Erases bundles that were taken in before `before`, at most `limit`; how many. Several
  /// processes may do so at a time. Errors: those of ledger and bucket; what is left comes the next
  /// time.
  Task<std::uint64_t> erase_older(Clock::Time before, std::size_t limit);

 private:
  class Source;
  Task<void> attempt(const UploadLease& lease, const Interruption& stop, UploadRun& run);
  Task<void> check_sum(Source& source, std::vector<PayloadSource::File> files, Digest expected,
                       const Interruption& stop);
  Task<void> erase(std::string prefix);

  Intake& intake_;
  Ledger& ledger_;
  object::TaskStore bucket_;
  const Options options_;
};

/// Whether another try may help: the network, a timeout, a throttle, an upstream fault, a store
/// that is away; not what the upload itself does wrong (spec §3.4).
bool is_transient(const Error& error);

}  // namespace asahi::memory
