#include "identity/audit/chain_store.h"

#include <algorithm>
#include <set>

namespace asahi::identity::audit {
namespace {

json::value optional_json(const std::optional<std::string>& text) {
  return text ? json::value(*text) : json::value(nullptr);
}

sql::Value optional_value(const std::optional<std::string>& text) {
  return text ? sql::Value(*text) : sql::Value(std::monostate{});
}

std::string list_json(const std::vector<std::string>& items) {
  json::array list;
  for (const auto& item : items) list.emplace_back(item);
  return write_json(list);
}

/// A list of texts as one parameter: the statement is the same for any number of them.
std::string in_list(sql::Dialect dialect) {
  return dialect == sql::Dialect::kPostgres
             ? " = ANY(ARRAY(SELECT json_array_elements_text(CAST(? AS json))))"
             : " IN (SELECT value FROM json_each(?))";
}

Result<std::set<std::string>> find_existing(sql::Session& session,
                                            const std::vector<ChainRow>& rows) {
  std::vector<std::string> ids;
  for (const auto& row : rows) ids.push_back(row.entry_id);
  ASAHI_TRY(const auto found, session.query({"SELECT entry_id FROM audit_entries WHERE entry_id" +
                                                 in_list(session.dialect()),
                                             {list_json(ids)}}));
  std::set<std::string> existing;
  for (std::size_t i = 0; i < found.size(); ++i) existing.insert(found.text(i, "entry_id"));
  return existing;
}

/// Table ids come before the rows, because the hash covers them.
Result<void> give_ids(sql::Session& session, std::vector<ChainRow>& rows, bool distrust) {
  if (session.dialect() == sql::Dialect::kSqlite) {
    ASAHI_TRY(const auto last,
              session.query({"SELECT coalesce(max(id), 0) AS id FROM audit_entries", {}}));
    std::int64_t next = last.integer(0, "id");
    for (auto& row : rows) row.id = ++next;
    return {};
  }
  if (distrust) {
    // A table that was filled by other means than its sequence (a restored dump).
    ASAHI_TRY([[maybe_unused]] const auto set,
              session.query({"SELECT setval(pg_get_serial_sequence('audit_entries', 'id'),"
                             " greatest((SELECT coalesce(max(id), 1) FROM audit_entries),"
                             " nextval(pg_get_serial_sequence('audit_entries', 'id'))))",
                             {}}));
  }
  ASAHI_TRY(const auto ids,
            session.query({"SELECT nextval(pg_get_serial_sequence('audit_entries', 'id')) AS id"
                           " FROM generate_series(1, CAST(? AS BIGINT))",
                           {static_cast<std::int64_t>(rows.size())}}));
  if (ids.size() != rows.size()) return fail(Errc::kInternal, "too few ids for audit entries");
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].id = ids.integer(i, "id");
  return {};
}

Result<void> insert_sqlite(sql::Session& session, const std::vector<ChainRow>& rows) {
  sql::Statement insert;
  insert.sql =
      "INSERT INTO audit_entries (id, seq, entry_id, timestamp, org_id, user_id, action, resource,"
      " details, ip_address, user_agent, result, data_classification, prev_hash)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
  for (const auto& row : rows) {
    insert.params = {row.id,
                     row.seq,
                     row.entry_id,
                     row.timestamp,
                     row.org_id,
                     row.user_id,
                     row.action,
                     row.resource,
                     row.details,
                     optional_value(row.ip_address),
                     optional_value(row.user_agent),
                     row.result,
                     row.data_classification,
                     optional_value(row.prev_hash)};
    ASAHI_TRY([[maybe_unused]] const auto inserted, session.query(insert));
  }
  return {};
}

Result<void> insert_postgres(sql::Session& session, const std::vector<ChainRow>& rows) {
  // One parameter, one round trip, one plan for any number of rows. A row's canonical form is JSON
  // with the columns' names.
  std::string list = "[";
  for (const auto& row : rows) {
    if (list.size() > 1) list += ',';
    list += canonical_row(row);
  }
  list += ']';
  ASAHI_TRY([[maybe_unused]] const auto inserted,
            session.query({"INSERT INTO audit_entries (id, seq, entry_id, timestamp, org_id,"
                           " user_id, action, resource, details, ip_address, user_agent, result,"
                           " data_classification, prev_hash)"
                           " SELECT * FROM json_to_recordset(CAST(? AS json)) AS r(id bigint,"
                           " seq bigint, entry_id text, \"timestamp\" timestamptz, org_id text,"
                           " user_id text, action text, resource text, details jsonb,"
                           " ip_address text, user_agent text, result text,"
                           " data_classification text, prev_hash text)",
                           {std::move(list)}}));
  return {};
}

Result<void> insert(sql::Session& session, const std::vector<ChainRow>& rows) {
  return session.dialect() == sql::Dialect::kSqlite ? insert_sqlite(session, rows)
                                                    : insert_postgres(session, rows);
}

}  // namespace

Result<void> read_committed(sql::Session& session) {
  if (session.dialect() == sql::Dialect::kSqlite) return {};
  return session.script("SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
}

sql::Statement select_anchors(const std::string& org) {
  return {
      "SELECT seq, hash, entries, created_at, mac FROM audit_anchors WHERE org_id = ?"
      " ORDER BY seq",
      {org}};
}

Result<std::vector<Anchor>> read_anchors(const sql::Rows& rows) {
  std::vector<Anchor> anchors;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Anchor anchor{rows.integer(i, "seq"), rows.text(i, "hash"), rows.integer(i, "entries"),
                  rows.text(i, "created_at"), std::nullopt};
    if (!rows.is_null(i, "mac")) anchor.mac = rows.text(i, "mac");
    anchors.push_back(std::move(anchor));
  }
  return anchors;
}

Result<ChainStore::Chains> ChainStore::lock_heads(sql::Session& session,
                                                  const std::vector<std::string>& orgs,
                                                  Clock::Time now) const {
  const bool postgres = session.dialect() == sql::Dialect::kPostgres;
  // Locked in one order by everybody, so that two writers cannot wait for each other.
  const sql::Statement select{"SELECT org_id, seq, hash, mac FROM audit_heads WHERE org_id" +
                                  in_list(session.dialect()) + " ORDER BY org_id" +
                                  (postgres ? " FOR UPDATE" : ""),
                              {list_json(orgs)}};
  ASAHI_TRY(auto found, session.query(select));
  if (found.size() < orgs.size()) {
    std::set<std::string> missing(orgs.begin(), orgs.end());
    for (std::size_t i = 0; i < found.size(); ++i) missing.erase(found.text(i, "org_id"));
    for (const auto& org : missing) {
      ASAHI_TRY([[maybe_unused]] const auto made,
                session.query({"INSERT INTO audit_heads (org_id, seq, hash, updated_at)"
                               " VALUES (?, 0, '', ?) ON CONFLICT (org_id) DO NOTHING",
                               {org, format_rfc3339(now)}}));
    }
    ASAHI_TRY(found, session.query(select));
  }
  Chains chains;
  for (std::size_t i = 0; i < found.size(); ++i) {
    Head head{found.integer(i, "seq"), found.text(i, "hash"), std::nullopt};
    if (!found.is_null(i, "mac")) head.mac = found.text(i, "mac");
    chains.emplace(found.text(i, "org_id"), Chain{std::move(head)});
  }
  return chains;
}

bool ChainStore::is_ours(const std::string& org, const Head& head) const {
  if (head.mac == kBroken) return false;
  if (head.seq == 0) return true;
  // Heads of before there was a key stay unsigned until an operator signs them.
  if (head_key_.empty() || !head.mac) return true;
  return head.mac == head_mac(head_key_, org, head.seq, head.hash);
}

Result<void> ChainStore::mend(sql::Session& session, const std::string& org, Head& head,
                              Appended& appended) const {
  ASAHI_TRY(const auto last, session.query({"SELECT " + std::string(kRowColumns) +
                                                " FROM audit_entries WHERE org_id = ?"
                                                " ORDER BY seq DESC LIMIT 1",
                                            {org}}));
  ASAHI_TRY(const auto trimmed, session.query(select_anchors(org)));
  ASAHI_TRY(const auto anchors, read_anchors(trimmed));
  Head actual;
  if (!last.empty()) {
    const ChainRow row = read_row(last, 0, session.dialect());
    actual = {row.seq, row_hash(row), std::nullopt};
  }
  if (!anchors.empty() && anchors.back().seq > actual.seq) {
    actual = {anchors.back().seq, anchors.back().hash, std::nullopt};
  }
  if (head.mac != kBroken && actual.seq == head.seq && is_ours(org, head)) return {};
  // Where rows are missing at the end the gap stays, for verify to find.
  if (actual.seq >= head.seq) head = std::move(actual);
  head.mac = kBroken;
  appended.forged.push_back(org);
  return {};
}

Result<void> ChainStore::save_heads(sql::Session& session, const Chains& chains,
                                    Clock::Time now) const {
  json::array list;
  for (const auto& [org, chain] : chains) {
    if (!chain.changed) continue;
    const Head& head = chain.head;
    list.push_back(json::object{
        {"org_id", org}, {"seq", head.seq}, {"hash", head.hash}, {"mac", optional_json(head.mac)}});
  }
  if (list.empty()) return {};
  if (session.dialect() == sql::Dialect::kPostgres) {
    ASAHI_TRY([[maybe_unused]] const auto saved,
              session.query({"UPDATE audit_heads h SET seq = r.seq, hash = r.hash, mac = r.mac,"
                             " updated_at = ? FROM json_to_recordset(CAST(? AS json))"
                             " AS r(org_id text, seq bigint, hash text, mac text)"
                             " WHERE h.org_id = r.org_id",
                             {format_rfc3339(now), write_json(list)}}));
    return {};
  }
  for (const auto& item : list) {
    const auto& head = item.get_object();
    const auto& mac = head.at("mac");
    ASAHI_TRY([[maybe_unused]] const auto saved,
              session.query({"UPDATE audit_heads SET seq = ?, hash = ?, mac = ?, updated_at = ?"
                             " WHERE org_id = ?",
                             {head.at("seq").as_int64(), std::string(head.at("hash").as_string()),
                              mac.is_null() ? sql::Value(std::monostate{})
                                            : sql::Value(std::string(mac.as_string())),
                              format_rfc3339(now), std::string(head.at("org_id").as_string())}}));
  }
  return {};
}

Result<ChainStore::Appended> ChainStore::append(sql::Session& session, std::vector<ChainRow>& rows,
                                                Options options, Clock::Time now) const {
  Appended appended;
  if (auto ok = read_committed(session); !ok) return std::unexpected(ok.error());
  std::set<std::string> orgs;
  for (const auto& row : rows) orgs.insert(row.org_id);
  ASAHI_TRY(auto chains, lock_heads(session, {orgs.begin(), orgs.end()}, now));
  if (options.may_exist) {
    ASAHI_TRY(const auto existing, find_existing(session, rows));
    std::erase_if(rows, [&](const ChainRow& row) { return existing.contains(row.entry_id); });
    if (rows.empty()) return appended;
  }
  for (auto& [org, chain] : chains) {
    if (chain.head.seq > 0 && !options.distrust_heads && is_ours(org, chain.head)) continue;
    if (auto ok = mend(session, org, chain.head, appended); !ok) {
      return std::unexpected(ok.error());
    }
  }
  if (auto ok = give_ids(session, rows, options.distrust_heads); !ok) {
    return std::unexpected(ok.error());
  }
  for (auto& row : rows) {
    auto& chain = chains.at(row.org_id);
    Head& head = chain.head;
    if (!chain.changed) {
      chain.changed = true;
      // Signed from the first entry on, or not at all.
      if (head.seq == 0 && !head.mac && !head_key_.empty()) head.mac = "";
    }
    row.seq = ++head.seq;
    row.prev_hash = head.hash.empty() ? std::nullopt : std::optional(head.hash);
    head.hash = row_hash(row);
  }
  for (auto& [org, chain] : chains) {
    Head& head = chain.head;
    if (!chain.changed || !head.mac || *head.mac == kBroken) continue;
    head.mac = head_mac(head_key_, org, head.seq, head.hash);
  }
  if (auto ok = insert(session, rows); !ok) return std::unexpected(ok.error());
  if (auto ok = save_heads(session, chains, now); !ok) return std::unexpected(ok.error());
  return appended;
}

Result<std::int64_t> ChainStore::trim(sql::Session& session, const std::string& org,
                                      std::int64_t last, std::int64_t most, Clock::Time now) const {
  if (auto ok = read_committed(session); !ok) return std::unexpected(ok.error());
  ASAHI_TRY(auto chains, lock_heads(session, {org}, now));
  ASAHI_TRY(const auto first, session.query({"SELECT min(seq) AS seq FROM audit_entries"
                                             " WHERE org_id = ?",
                                             {org}}));
  if (first.is_null(0, "seq") || first.integer(0, "seq") > last) return 0;
  const std::int64_t from = first.integer(0, "seq");
  last = std::min(last, from + most - 1);
  // What the next row says about the last deleted one; at the end of the chain, what the head says.
  ASAHI_TRY(const auto next,
            session.query({"SELECT prev_hash FROM audit_entries WHERE org_id = ? AND seq = ?",
                           {org, last + 1}}));
  const Head& head = chains.at(org).head;
  if (next.empty() && head.seq != last) {
    return fail(Errc::kCorrupt,
                "the audit chain of '" + org + "' does not end where its head says; it is kept");
  }
  Anchor anchor{last, next.empty() ? head.hash : next.text(0, "prev_hash"), last - from + 1,
                format_rfc3339(now), std::nullopt};
  anchor.mac =
      anchor_mac(head_key_, org, anchor.seq, anchor.hash, anchor.entries, anchor.created_at);
  ASAHI_TRY([[maybe_unused]] const auto anchored,
            session.query({"INSERT INTO audit_anchors (org_id, seq, hash, entries, created_at, mac)"
                           " VALUES (?, ?, ?, ?, ?, ?)",
                           {org, anchor.seq, anchor.hash, anchor.entries, anchor.created_at,
                            optional_value(anchor.mac)}}));
  ASAHI_TRY(
      const auto deleted,
      session.query({"DELETE FROM audit_entries WHERE org_id = ? AND seq <= ?", {org, last}}));
  return deleted.affected();
}

}  // namespace asahi::identity::audit
