#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "identity/audit/chain.h"

namespace asahi::identity::audit {

/// Where an organisation's chain ends: the hash that its next row will carry.
struct Head {
  std::int64_t seq = 0;
  std::string hash;
  std::optional<std::string> mac;
};

/// A head's mac when the writer found that somebody else had written the head. Never a valid HMAC,
/// and kept from then on: new entries must not make a forged chain look whole again.
inline constexpr std::string_view kBroken = "broken";

/// The SQL of growing and trimming chains. Every call runs inside one transaction; the head's row
/// is the lock of its organisation, so that writers in several processes take turns.
class ChainStore {
 public:
  explicit ChainStore(std::string head_key) : head_key_(std::move(head_key)) {}

  struct Options {
    /// Rows may be stored already (the outcome of an attempt is unknown, or a spool of before a
    /// restart): those are left out.
    bool may_exist = false;
    /// The head did not fit the rows: look at the rows.
    bool distrust_heads = false;
  };
  struct Appended {
    /// Organisations whose head was not the writer's own.
    std::vector<std::string> forged;
  };
  /// Gives each row its place (id, seq, prev_hash) and stores it, in the given order.
  Result<Appended> append(sql::Session& session, std::vector<ChainRow>& rows, Options options,
                          Clock::Time now) const;

  /// Deletes the organisation's rows up to `last` (at most `most` of them) and leaves an anchor;
  /// returns how many.
  Result<std::int64_t> trim(sql::Session& session, const std::string& org, std::int64_t last,
                            std::int64_t most, Clock::Time now) const;

  const std::string& head_key() const { return head_key_; }

 private:
  struct Chain {
    Head head;
    bool changed = false;
  };
  using Chains = std::map<std::string, Chain>;
  Result<Chains> lock_heads(sql::Session& session, const std::vector<std::string>& orgs,
                            Clock::Time now) const;
  Result<void> mend(sql::Session& session, const std::string& org, Head& head,
                    Appended& appended) const;
  bool is_ours(const std::string& org, const Head& head) const;
  Result<void> save_heads(sql::Session& session, const Chains& chains, Clock::Time now) const;

  const std::string head_key_;
};

/// Takes turns on rows rather than failing on conflicts (PostgreSQL); SQLite's transactions hold
/// the write lock already.
Result<void> read_committed(sql::Session& session);

struct Anchor {
  std::int64_t seq = 0;
  std::string hash;
  std::int64_t entries = 0;
  std::string created_at;
  std::optional<std::string> mac;
};
/// Oldest first.
Result<std::vector<Anchor>> read_anchors(const sql::Rows& rows);
sql::Statement select_anchors(const std::string& org);

}  // namespace asahi::identity::audit
