#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "memory/ingest/decoder.h"
#include "memory/model/record.h"

namespace asahi::memory {

/// What a source system says about one upload: `manifest.json` beside the payload (spec §3.2).
/// Fields that are not known are ignored, for newer writers.
struct Manifest {
  Clock::Time uploaded_at;
  std::uint64_t conversation_count = 0;
  std::optional<std::uint64_t> total_size_bytes;
  std::string version = "1.0";
  std::string system_type;         ///< empty: not said
  std::optional<Digest> checksum;  ///< SHA-256 over the payload files as they lie, in list order
  Compression compression = Compression::kNone;
  std::vector<std::string> files{"memories.json"};
  std::string metadata = "{}";  ///< a JSON object
};

/// One broken rule: the field's path, what stood there (cut), what is expected.
struct Violation {
  std::string field, value, rule;
  bool operator==(const Violation&) const = default;
};
inline constexpr std::size_t kMaxViolations = 5;
/// At most kMaxViolations.
using Violations = std::vector<Violation>;

inline constexpr std::size_t kMaxManifest = 1 << 20;
inline constexpr std::uint64_t kMaxConversations = 1'000'000;
inline constexpr std::uint64_t kMaxUploadBytes = 100'000'000'000;

/// Checks every rule, so that a writer mends all faults at once.
std::expected<Manifest, Violations> parse_manifest(std::string_view text, Clock::Time now);
std::expected<Manifest, Violations> read_manifest(const json::value& root, Clock::Time now);

/// invalid_argument with reason "schema_validation_failure": all violations in the message, and as
/// a list `violations` in the details. `prefix` comes before the fields ("manifest.").
Error violations_error(const Violations& violations, std::string_view prefix = "");

/// `systems/<system_id>/<upload_id>/`.
struct BundlePlace {
  std::string system_id, upload_id;
  bool operator==(const BundlePlace&) const = default;
};
std::string bundle_prefix(const BundlePlace& place);
/// Reads such a prefix, or a key below it; also the form `system_id=…/upload_id=…` behind
/// `systems/`. Errors: invalid_argument.
Result<BundlePlace> parse_bundle_prefix(std::string_view key);

}  // namespace asahi::memory
