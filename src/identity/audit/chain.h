#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "identity/audit/audit.h"

namespace asahi::identity::audit {

/// One row as the chain sees it: every column of `audit_entries`, all of them hashed.
struct ChainRow {
  std::int64_t id = 0;
  std::int64_t seq = 0;
  std::string entry_id;
  std::string timestamp;  ///< RFC 3339, UTC, milliseconds
  std::string org_id, user_id, action, resource;
  std::string details;  ///< canonical JSON text
  std::optional<std::string> ip_address, user_agent;
  std::string result, data_classification;
  std::optional<std::string> prev_hash;  ///< empty for the first of a chain
};

/// Longest organisation id that the table takes; longer ones are refused, since a cut one could be
/// another organisation's.
constexpr std::size_t kMaxOrgId = 255;

/// An entry as it will be stored: what the columns cannot hold is cut or mended (an entry that a
/// database refuses would stand in the way of all behind it), details above 64 KiB are replaced by
/// their size. `entry_id` is made here; id, seq and prev_hash come with the chain.
ChainRow chain_row(AuditEntry entry, Clock::Time at);

/// Details in the one form that both databases give back: numbers as JSONB keeps them, sorted keys.
/// Numbers of 9.2e18 and more, below 1e-15 and not finite ones become text.
std::string canonical_details(json::object details);

/// Canonical JSON (sorted keys, no blanks, UTC times) of the whole row with its prev_hash.
std::string canonical_row(const ChainRow& row);
/// SHA-256 of it in hex: prev_hash of the next row.
std::string row_hash(const ChainRow& row);

/// HMAC-SHA256 in hex over (org, seq, hash); empty without a key.
std::optional<std::string> head_mac(std::string_view key, std::string_view org, std::int64_t seq,
                                    std::string_view hash);
/// The same over everything that an anchor says.
std::optional<std::string> anchor_mac(std::string_view key, std::string_view org, std::int64_t seq,
                                      std::string_view hash, std::int64_t entries,
                                      std::string_view created_at);

/// The columns that `read_row` wants, for SELECT.
inline constexpr std::string_view kRowColumns =
    "id, seq, entry_id, timestamp, org_id, user_id, action, resource, details, ip_address,"
    " user_agent, result, data_classification, prev_hash";
ChainRow read_row(const sql::Rows& rows, std::size_t at, sql::Dialect dialect);
StoredAuditEntry stored_entry(ChainRow row);

/// The spool's form of a row that has no place in a chain yet: lengths and bytes.
std::string encode_pending(const ChainRow& row);
/// Nothing when the text is not one.
std::optional<ChainRow> decode_pending(std::string_view text);

}  // namespace asahi::identity::audit
