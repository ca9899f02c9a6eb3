#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "memory/ingest/bundle.h"

namespace asahi::memory {

struct ImportProgress {
  std::uint64_t bytes = 0, bytes_total = 0;  ///< of the file, as it lies
  UploadCounts counts;
  std::chrono::milliseconds elapsed{0};
};

struct ImportOptions {
  std::string tenant = "default";
  /// Of lines that name no system_id and no source.
  std::string system_id = "import";
  std::string source = "import";
  std::string owner = "import";
  PayloadOptions payload{.max_items = std::uint64_t(-1)};
  std::chrono::milliseconds report{500};  ///< how often `progress` is called
  std::function<void(const ImportProgress&)> progress;
  Interruption* stop = nullptr;  ///< set its `stopping` to end early; null: never
};

struct ImportResult {
  UploadState state = UploadState::kDone;
  std::string upload_id;  ///< of its row in the ledger
  /// Items that an earlier run had taken in; the counts hold them too.
  std::uint64_t resumed_at = 0;
  UploadCounts counts;
  std::string bad_items = "[]";
};

/// Takes in a file of memories: one JSON object a line (.jsonl, .ndjson), or a bundle's payload
/// (.json); also compressed (.gz, .zst, .lz4). The same file given again goes on where it stopped;
/// a finished one changes nothing. The upload is named by the file's length, beginning and end.
/// Errors: not_found (no such file), conflict (it is being imported), cancelled (stopped: the row
/// is kept, give the file again), those of run_payload.
Task<ImportResult> import_file(std::string path, Intake& intake, Ledger& ledger,
                               ImportOptions options);

}  // namespace asahi::memory
