#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "memory/ingest/bundle.h"
#include "memory/ingest/intake.h"
#include "memory/ingest/metrics.h"
#include "memory/model/reach.h"

namespace asahi::memory {

/// Who pushes.
struct PushCaller {
  Reach reach;                       ///< what may be written
  std::string method = "http_push";  ///< or "mcp_push": `ingestion_method` of what comes
  Clock::Steady deadline = Clock::Steady::max();
};

/// What became of one item.
struct PushedItem {
  std::uint64_t index = 0;
  Key key;                               ///< empty where it could not be read
  std::optional<UpsertOutcome> outcome;  ///< or
  std::optional<BadItem> bad;            ///< what was wrong
};

struct PushReply {
  /// success (nothing was left out), partial, failed (everything was).
  std::string status;
  std::string upload_id;  ///< its row in the ledger
  /// What was stored, by system; of a bundle one.
  std::map<std::string, UploadCounts> by_system;
  UploadCounts counts;
  std::vector<PushedItem> items;  ///< of single memories and batches, in order
  std::string bad_items = "[]";   ///< of bundles: the first ones left out, as the ledger tells them
  Clock::Time stored_at;
};

/// Bodies of POST /ingest/upload, /memories and /memories/batch, and of the MCP tools that push
/// (spec §2.2, §2.4, §3.8): the same way in as bundles of the bucket. What was acknowledged is
/// stored. Errors: invalid_argument with the field; forbidden (a system that is not the caller's);
/// too_large; conflict (the same upload is on its way in); unavailable with retry_after
/// (back-pressure); those of embedder, store and ledger. Any loop.
class Push {
 public:
  struct Options {
    std::size_t max_batch = 1'000;
    std::size_t max_body = 100 << 20;
    PayloadOptions payload;
    std::chrono::milliseconds deadline{300'000};  ///< of one bundle
  };
  /// All outlive it; `metrics` may be null.
  Push(Intake& intake, Ledger& ledger, Options options, IngestMetrics* metrics = nullptr)
      : intake_(intake), ledger_(ledger), options_(std::move(options)), metrics_(metrics) {}
  Push(Intake& intake, Ledger& ledger) : Push(intake, ledger, Options()) {}

  /// One memory `{system_id, conversation_id?, content, embedding?, timestamp?, metadata?}`, or a
  /// bundle `{system_id, upload_id?, manifest, conversations: [...]}`. A memory without id gets one
  /// of its content, so that sending it twice changes nothing.
  Task<PushReply> upload(PushCaller caller, std::string body);
  /// `{memory_id, text, system_id? | metadata.source, embedding?, timestamp?, metadata?}`.
  Task<PushReply> memory(PushCaller caller, std::string body);
  /// `{"memories": [...]}` of the same, 1 to max_batch. One bad item does not touch the others.
  Task<PushReply> memories(PushCaller caller, std::string body);

 private:
  Task<PushReply> take_upload(PushCaller caller, std::string body);
  Task<PushReply> take_memory(PushCaller caller, std::string body);
  Task<PushReply> take_memories(PushCaller caller, std::string body);
  Task<PushReply> counted(std::string tenant, Task<PushReply> push);
  Task<PushReply> bundle(PushCaller caller, std::string body, json::value rest);
  Task<PushReply> store(PushCaller caller, std::vector<PushedItem> items,
                        std::vector<Memory> memories, std::size_t bytes);

  Intake& intake_;
  Ledger& ledger_;
  const Options options_;
  IngestMetrics* const metrics_;
};

/// The ledger's row of what is pushed in this hour without naming an upload: "push-2026-11-22T10".
std::string hourly_upload(Clock::Time now);

}  // namespace asahi::memory
