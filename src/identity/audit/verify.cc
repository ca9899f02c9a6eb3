#include "identity/audit/verify.h"

#include <fmt/format.h>

namespace asahi::identity {
namespace audit {
namespace {

constexpr std::int64_t kPage = 1'000;
/// A trim in the middle of a run moves the beginning; then the run starts again.
constexpr int kRestarts = 3;

std::string select_rows(std::string_view where) {
  return fmt::format("SELECT {} FROM audit_entries WHERE {}", kRowColumns, where);
}

/// Follows one chain from its anchor to its head, a page at a time.
class Walk {
 public:
  Walk(sql::Database& database, std::string_view key, const std::string& org,
       const std::atomic<bool>* stop)
      : database_(database), key_(key), org_(org), stop_(stop) {}

  /// Up to `last` without a look at the head, or to the head.
  Result<AuditVerification> run(std::optional<std::int64_t> last) {
    for (int attempt = 0;; ++attempt) {
      outcome_ = {};
      previous_.reset();
      if (auto ok = begin(); !ok) return std::unexpected(ok.error());
      const auto beginning = anchor_;
      if (outcome_.valid) {
        if (auto ok = follow(last); !ok) return std::unexpected(ok.error());
      }
      if (outcome_.valid || attempt == kRestarts) return outcome_;
      ASAHI_TRY(const bool moved, has_moved(beginning.seq));
      if (!moved) return outcome_;
    }
  }

 private:
  Result<sql::Rows> query(std::string sql, std::vector<sql::Value> params) {
    if (stop_ != nullptr && stop_->load(std::memory_order_relaxed)) {
      return fail(Errc::kCancelled, "the audit log is closing; verify again later");
    }
    return database_.query_blocking({std::move(sql), std::move(params)});
  }

  void bad(std::string_view problem, std::string_view entry) {
    if (!outcome_.valid) return;
    outcome_.valid = false;
    outcome_.problem = problem;
    outcome_.first_bad_entry = entry;
  }

  Result<std::vector<Anchor>> anchors() {
    auto statement = select_anchors(org_);
    ASAHI_TRY(const auto rows, query(std::move(statement.sql), std::move(statement.params)));
    return read_anchors(rows);
  }

  Result<bool> has_moved(std::int64_t from) {
    ASAHI_TRY(const auto now, anchors());
    return !now.empty() && now.back().seq > from;
  }

  Result<void> begin() {
    anchor_ = {};
    ASAHI_TRY(const auto all, anchors());
    for (const auto& anchor : all) {
      if (key_.empty()) break;
      const auto expected =
          anchor_mac(key_, org_, anchor.seq, anchor.hash, anchor.entries, anchor.created_at);
      if (anchor.mac != expected) {
        ASAHI_TRY(const auto first, first_row_after(anchor.seq));
        bad("anchor changed", first ? first->entry_id : "");
        return {};
      }
    }
    if (!all.empty()) anchor_ = all.back();
    // Rows that the pages would not come to: in front of the anchor or without a place.
    ASAHI_TRY(const auto outside, query("SELECT entry_id FROM audit_entries WHERE org_id = ?"
                                        " AND (seq IS NULL OR seq <= ?) ORDER BY seq LIMIT 1",
                                        {org_, anchor_.seq}));
    if (!outside.empty()) bad("inserted", outside.text(0, "entry_id"));
    return {};
  }

  Result<std::optional<ChainRow>> first_row_after(std::int64_t seq) {
    ASAHI_TRY(const auto rows,
              query(select_rows("org_id = ? AND seq > ? ORDER BY seq, id LIMIT 1"), {org_, seq}));
    if (rows.empty()) return std::nullopt;
    return read_row(rows, 0, database_.dialect());
  }

  Result<std::optional<Head>> head() {
    ASAHI_TRY(const auto rows,
              query("SELECT seq, hash, mac FROM audit_heads WHERE org_id = ?", {org_}));
    if (rows.empty()) return std::nullopt;
    Head head{rows.integer(0, "seq"), rows.text(0, "hash"), std::nullopt};
    if (!rows.is_null(0, "mac")) head.mac = rows.text(0, "mac");
    return head;
  }

  std::int64_t position() const { return previous_ ? previous_->seq : anchor_.seq; }
  std::string hash() const { return previous_ ? hash_ : anchor_.hash; }
  std::string last_entry() const { return previous_ ? previous_->entry_id : ""; }

  Result<void> follow(std::optional<std::int64_t> last) {
    while (true) {
      std::optional<Head> end;
      if (!last) {
        ASAHI_TRY(end, head());
      }
      const std::int64_t until = last ? *last : end ? end->seq : 0;
      if (auto ok = follow_rows(until); !ok || !outcome_.valid) return ok;
      if (last) return {};
      if (!end) {
        ASAHI_TRY(const auto row, first_row_after(anchor_.seq));
        if (row || anchor_.seq > 0) bad("head missing", row ? row->entry_id : "");
        return {};
      }
      check_head(*end);
      if (!outcome_.valid) return {};
      // One statement sees one moment: rows behind the head then are not the writer's.
      ASAHI_TRY(const auto behind,
                query("SELECT entry_id FROM audit_entries WHERE org_id = ? AND seq >"
                      " (SELECT seq FROM audit_heads WHERE org_id = ?) ORDER BY seq, id LIMIT 1",
                      {org_, org_}));
      if (!behind.empty()) {
        bad("inserted", behind.text(0, "entry_id"));
        return {};
      }
      ASAHI_TRY(const auto now, head());
      if (now && now->seq == end->seq) return {};
      // It grew while we read; the new rows are checked as well, but a chain that grows faster than
      // it is read must come to an end too.
      if (++rounds_ >= kRestarts) return {};
    }
  }

  void check_head(const Head& head) {
    const bool signed_by_us =
        !key_.empty() && head.mac == head_mac(key_, org_, head.seq, head.hash);
    const bool is_forged = head.mac == kBroken || (!key_.empty() && head.mac && !signed_by_us);
    if (head.seq > position()) {
      return bad(is_forged ? "head forged" : "missing after", last_entry());
    }
    if (head.seq < position()) return bad("head forged", last_entry());
    if (head.seq > 0 && head.hash != hash()) {
      if (is_forged) return bad("head forged", last_entry());
      return bad(previous_ ? "changed" : "anchor changed", last_entry());
    }
    if (is_forged) return bad("head forged", last_entry());
    if (head.seq > 0 && !key_.empty() && !head.mac) return bad("head unsigned", last_entry());
  }

  Result<void> follow_rows(std::int64_t until) {
    while (position() < until) {
      ASAHI_TRY(const auto rows,
                query(select_rows("org_id = ? AND seq > ? AND seq <= ? ORDER BY seq, id LIMIT ?"),
                      {org_, position(), until, kPage}));
      if (rows.empty()) return {};  // the head will say that they are missing
      for (std::size_t i = 0; i < rows.size(); ++i) {
        ChainRow row = read_row(rows, i, database_.dialect());
        if (auto ok = check(row); !ok || !outcome_.valid) return ok;
        hash_ = row_hash(row);
        previous_ = std::move(row);
        ++outcome_.checked;
      }
    }
    return {};
  }

  Result<void> check(const ChainRow& row) {
    if (row.seq != position() + 1) {
      bad(row.seq <= position() ? "order" : "missing before", row.entry_id);
      return {};
    }
    if (row.prev_hash.value_or("") == hash() && row.prev_hash.has_value() == !hash().empty()) {
      return {};
    }
    return locate(row);
  }

  /// `row` does not carry the hash of the one before it: finds out which of the two was changed.
  Result<void> locate(const ChainRow& row) {
    const std::string_view before = previous_ ? "changed" : "anchor changed";
    const std::string& before_entry = previous_ ? previous_->entry_id : row.entry_id;
    if (!previous_ && anchor_.seq == 0) {  // nothing can stand before the first
      bad("changed", row.entry_id);
      return {};
    }
    ASAHI_TRY(const auto next, link_after(row));
    if (next == row_hash(row)) {  // the next one vouches for this row
      bad(before, before_entry);
      return {};
    }
    ChainRow mended = row;
    mended.prev_hash = hash();
    if (next == row_hash(mended)) {  // only its prev_hash was changed
      bad("changed", row.entry_id);
      return {};
    }
    // This row is another one, or was changed in more than that. If any row still carries the hash
    // of the one before, that one is whole.
    ASAHI_TRY(const auto witness, query("SELECT entry_id FROM audit_entries WHERE prev_hash = ?"
                                        " LIMIT 1",
                                        {hash()}));
    if (witness.empty()) {
      bad(before, before_entry);
    } else {
      bad("order", row.entry_id);
    }
    return {};
  }

  /// What the row behind `row`, or the head, says about it.
  Result<std::string> link_after(const ChainRow& row) {
    ASAHI_TRY(const auto next, first_row_after(row.seq));
    if (next) return next->prev_hash.value_or("");
    ASAHI_TRY(const auto end, head());
    return end && end->seq == row.seq ? end->hash : "";
  }

  sql::Database& database_;
  const std::string key_;
  const std::string org_;
  const std::atomic<bool>* const stop_;
  AuditVerification outcome_;
  Anchor anchor_;
  std::optional<ChainRow> previous_;
  std::string hash_;  ///< of previous_
  int rounds_ = 0;
};

}  // namespace

Result<AuditVerification> verify_part(sql::Database& database, std::string_view head_key,
                                      const std::string& org, std::int64_t last,
                                      const std::atomic<bool>* stop) {
  return Walk(database, head_key, org, stop).run(last);
}

}  // namespace audit

Result<AuditVerification> verify_audit_chain(sql::Database& database, std::string_view head_key,
                                             const std::string& org_id,
                                             const std::atomic<bool>* stop) {
  return audit::Walk(database, head_key, org_id, stop).run(std::nullopt);
}

}  // namespace asahi::identity
