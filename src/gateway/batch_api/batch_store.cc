#include "gateway/batch_api/batch_store.h"

#include <fmt/format.h>

#include <algorithm>

namespace asahi::gateway {
namespace {

constexpr std::size_t kPartBytes = 1'048'576;
/// Rows in one statement.
constexpr std::size_t kRowsPerInsert = 100;
constexpr std::string_view kUnfinished =
    "('validating', 'in_progress', 'finalizing', 'cancelling')";

sql::Value optional_text(const std::string& text) {
  return text.empty() ? sql::Value{} : sql::Value{text};
}
sql::Value optional_time(std::int64_t time) { return time == 0 ? sql::Value{} : sql::Value{time}; }

StoredFile file_of(const sql::Rows& rows, std::size_t i) {
  return {.id = rows.text(i, "id"),
          .org_id = rows.text(i, "org_id"),
          .user_id = rows.text(i, "user_id"),
          .filename = rows.text(i, "filename"),
          .purpose = rows.text(i, "purpose"),
          .bytes = rows.integer(i, "bytes"),
          .parts = rows.integer(i, "parts"),
          .sealed = rows.boolean(i, "sealed"),
          .created_at = rows.integer(i, "created_at"),
          .expires_at = rows.integer(i, "expires_at")};
}

Batch batch_of(const sql::Rows& rows, std::size_t i) {
  Batch batch;
  batch.id = rows.text(i, "id");
  batch.org_id = rows.text(i, "org_id");
  batch.user_id = rows.text(i, "user_id");
  batch.caller = rows.text(i, "caller");
  batch.endpoint = rows.text(i, "endpoint");
  batch.input_file_id = rows.text(i, "input_file_id");
  batch.output_file_id = rows.text(i, "output_file_id");
  batch.error_file_id = rows.text(i, "error_file_id");
  batch.status = rows.text(i, "status");
  batch.outcome = rows.text(i, "outcome");
  batch.metadata = rows.text(i, "metadata");
  batch.errors = rows.text(i, "errors");
  batch.sealed = rows.boolean(i, "sealed");
  batch.created_at = rows.integer(i, "created_at");
  batch.expires_at = rows.integer(i, "expires_at");
  batch.in_progress_at = rows.integer(i, "in_progress_at");
  batch.finalizing_at = rows.integer(i, "finalizing_at");
  batch.completed_at = rows.integer(i, "completed_at");
  batch.failed_at = rows.integer(i, "failed_at");
  batch.expired_at = rows.integer(i, "expired_at");
  batch.cancelling_at = rows.integer(i, "cancelling_at");
  batch.cancelled_at = rows.integer(i, "cancelled_at");
  batch.total = rows.integer(i, "total");
  batch.completed = rows.integer(i, "completed");
  batch.failed = rows.integer(i, "failed");
  batch.fence = rows.integer(i, "fence");
  return batch;
}

/// A page of `table`; `read` makes an item of a row.
template <class Read>
auto page_of(const sql::Rows& rows, std::size_t limit, Read read) {
  Page<decltype(read(rows, 0))> page;
  page.more = rows.size() > limit;
  for (std::size_t i = 0; i < std::min(rows.size(), limit); ++i)
    page.items.push_back(read(rows, i));
  return page;
}

/// Ids grow with time, so that a page can begin behind one.
sql::Statement select_page(std::string_view table, std::string_view where,
                           std::vector<sql::Value> params, const PageRequest& page) {
  std::string sql = fmt::format("SELECT * FROM {} WHERE {}", table, where);
  if (!page.after.empty()) {
    sql += page.ascending ? " AND id > ?" : " AND id < ?";
    params.emplace_back(page.after);
  }
  sql += fmt::format(" ORDER BY id {} LIMIT {}", page.ascending ? "ASC" : "DESC", page.limit + 1);
  return {std::move(sql), std::move(params)};
}

std::unexpected<Error> lease_lost(const std::string& id) {
  return fail(Errc::kConflict,
              fmt::format("the lease of {} was lost: it ran out and another took it", id));
}

std::string row_context(const std::string& batch_id, std::int64_t line) {
  return fmt::format("{}/{}", batch_id, line);
}

Task<void> done(Task<sql::Rows> query) {
  ASAHI_CO_TRY(const sql::Rows rows, co_await std::move(query));
  static_cast<void>(rows);
  co_return Result<void>{};
}

Task<void> done(Task<std::vector<sql::Rows>> batch) {
  ASAHI_CO_TRY(const auto rows, co_await std::move(batch));
  static_cast<void>(rows);
  co_return Result<void>{};
}

sql::Statement save_statement(const Batch& batch) {
  return {
      "UPDATE batches SET status = CASE WHEN status = 'cancelling' AND "
      "CAST(? AS VARCHAR(16)) IN ('validating', 'in_progress') THEN status ELSE ? END, "
      "outcome = ?, output_file_id = ?, error_file_id = ?, errors = ?, in_progress_at = ?, "
      "finalizing_at = ?, completed_at = ?, failed_at = ?, expired_at = ?, cancelled_at = ?, "
      "total = ?, completed = ?, failed = ? WHERE id = ? AND fence = ?",
      {batch.status, batch.status, optional_text(batch.outcome),
       optional_text(batch.output_file_id), optional_text(batch.error_file_id),
       optional_text(batch.errors), optional_time(batch.in_progress_at),
       optional_time(batch.finalizing_at), optional_time(batch.completed_at),
       optional_time(batch.failed_at), optional_time(batch.expired_at),
       optional_time(batch.cancelled_at), batch.total, batch.completed, batch.failed, batch.id,
       batch.fence}};
}

}  // namespace

std::int64_t BatchStore::now() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now().time_since_epoch())
      .count();
}

sql::Value BatchStore::stored(bool sealed, std::string_view context, std::string plain) const {
  if (!sealed) return sql::Blob{std::move(plain)};
  // Asked for before anything is taken in; a ring does not go away while the process runs.
  return sql::Blob{seal_.close(plain, context).value_or(std::string())};
}

Result<std::string> BatchStore::plain(bool sealed, std::string_view context,
                                      const sql::Value& value) const {
  std::string bytes;
  if (const auto* blob = std::get_if<sql::Blob>(&value)) bytes = blob->bytes;
  if (const auto* text = std::get_if<std::string>(&value)) bytes = *text;
  if (!sealed || bytes.empty()) return bytes;
  auto opened = Seal::is_sealed(bytes) ? seal_.open(bytes, context) : std::nullopt;
  if (!opened) return fail(Errc::kCorrupt, fmt::format("{} cannot be decrypted", context));
  return *std::move(opened);
}

// ---- Files

Task<StoredFile> BatchStore::add_file(StoredFile file, std::string content,
                                      std::int64_t most_org_bytes) {
  ASAHI_CO_TRY(const sql::Rows used,
               co_await database_.query(
                   {"SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS bytes FROM batch_files "
                    "WHERE org_id = ? AND (ready = 1 OR created_at > ?)",
                    {file.org_id, now() - 3'600'000}}));
  file.bytes = static_cast<std::int64_t>(content.size());
  if (used.integer(0, "bytes") + file.bytes > most_org_bytes) {
    co_return fail(
        Errc::kTooLarge,
        fmt::format("the organisation's files would take more than {} bytes; delete old ones "
                    "(DELETE /v1/files/{{id}}) or raise batch_api.max_org_bytes",
                    most_org_bytes));
  }
  if (auto begun = co_await begin_file(file); !begun)
    co_return std::unexpected(std::move(begun.error()));
  for (std::size_t at = 0; at < content.size(); at += kPartBytes) {
    if (auto kept = co_await add_part(file, file.parts, content.substr(at, kPartBytes)); !kept)
      co_return std::unexpected(std::move(kept.error()));
    ++file.parts;
  }
  ASAHI_CO_TRY(const sql::Rows finished, co_await database_.query(finish_file(file)));
  static_cast<void>(finished);
  co_return file;
}

Task<void> BatchStore::begin_file(StoredFile file) {
  // Once more after a crash: from the beginning.
  std::vector<sql::Statement> statements;
  statements.push_back({"DELETE FROM batch_file_parts WHERE file_id = ?", {file.id}});
  statements.push_back({"DELETE FROM batch_files WHERE id = ?", {file.id}});
  statements.push_back(
      {"INSERT INTO batch_files (id, org_id, user_id, filename, purpose, bytes, parts, sealed, "
       "ready, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, 0, ?, 0, ?, ?)",
       {file.id, file.org_id, file.user_id, file.filename, file.purpose, file.bytes,
        std::int64_t{file.sealed}, file.created_at, file.expires_at}});
  co_return co_await done(database_.batch(std::move(statements)));
}

Task<void> BatchStore::add_part(StoredFile file, std::int64_t seq, std::string content) {
  co_return co_await done(database_.query(
      {"INSERT INTO batch_file_parts (file_id, seq, content) VALUES (?, ?, ?)",
       {file.id, seq,
        stored(file.sealed, fmt::format("{}/{}", file.id, seq), std::move(content))}}));
}

sql::Statement BatchStore::finish_file(const StoredFile& file) {
  return {"UPDATE batch_files SET ready = 1, bytes = ?, parts = ? WHERE id = ?",
          {file.bytes, file.parts, file.id}};
}

Task<std::optional<StoredFile>> BatchStore::file(std::string org, std::string id) {
  ASAHI_CO_TRY(const sql::Rows rows,
               co_await database_.query({"SELECT * FROM batch_files WHERE id = ? AND org_id = ? "
                                         "AND ready = 1 AND expires_at > ?",
                                         {id, org, now()}}));
  if (rows.empty()) co_return std::optional<StoredFile>();
  co_return std::optional(file_of(rows, 0));
}

Task<Page<StoredFile>> BatchStore::files(std::string org, PageRequest page) {
  std::string where = "org_id = ? AND ready = 1 AND expires_at > ?";
  std::vector<sql::Value> params{org, now()};
  if (!page.purpose.empty()) {
    where += " AND purpose = ?";
    params.emplace_back(page.purpose);
  }
  ASAHI_CO_TRY(const sql::Rows rows, co_await database_.query(select_page(
                                         "batch_files", where, std::move(params), page)));
  co_return page_of(rows, page.limit, file_of);
}

Task<bool> BatchStore::remove_file(std::string org, std::string id) {
  std::vector<sql::Statement> statements;
  statements.push_back(
      {"DELETE FROM batch_file_parts WHERE file_id IN "
       "(SELECT id FROM batch_files WHERE id = ? AND org_id = ? AND ready = 1)",
       {id, org}});
  statements.push_back(
      {"DELETE FROM batch_files WHERE id = ? AND org_id = ? AND ready = 1", {id, org}});
  ASAHI_CO_TRY(const auto rows, co_await database_.batch(std::move(statements)));
  co_return rows[1].affected() > 0;
}

Task<std::string> BatchStore::part(StoredFile file, std::int64_t seq) {
  ASAHI_CO_TRY(
      const sql::Rows rows,
      co_await database_.query(
          {"SELECT content FROM batch_file_parts WHERE file_id = ? AND seq = ?", {file.id, seq}}));
  if (rows.empty())
    co_return fail(Errc::kCorrupt, fmt::format("part {} of {} is not there", seq, file.id));
  co_return plain(file.sealed, fmt::format("{}/{}", file.id, seq), rows.at(0, "content"));
}

// ---- Batches

Task<void> BatchStore::add_batch(Batch batch, std::int64_t most_open) {
  ASAHI_CO_TRY(const sql::Rows open,
               co_await database_.query({fmt::format("SELECT COUNT(*) AS open FROM batches WHERE "
                                                     "org_id = ? AND status IN {}",
                                                     kUnfinished),
                                         {batch.org_id}}));
  if (open.integer(0, "open") >= most_open) {
    auto many = fail(Errc::kRateLimited,
                     fmt::format("the organisation has {} unfinished batches, which is the most; "
                                 "wait for one to end or cancel one",
                                 most_open));
    many.error().reason = "batch_limit_exceeded";
    many.error().retry_after = std::chrono::minutes(1);
    co_return many;
  }
  co_return co_await done(database_.query(
      {"INSERT INTO batches (id, org_id, user_id, caller, endpoint, input_file_id, status, "
       "metadata, sealed, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
       {batch.id, batch.org_id, batch.user_id, batch.caller, batch.endpoint, batch.input_file_id,
        batch.status, optional_text(batch.metadata), std::int64_t{batch.sealed}, batch.created_at,
        batch.expires_at}}));
}

Task<std::optional<Batch>> BatchStore::batch(std::string org, std::string id) {
  ASAHI_CO_TRY(
      const sql::Rows rows,
      co_await database_.query({"SELECT * FROM batches WHERE id = ? AND org_id = ?", {id, org}}));
  if (rows.empty()) co_return std::optional<Batch>();
  co_return std::optional(batch_of(rows, 0));
}

Task<Page<Batch>> BatchStore::batches(std::string org, PageRequest page) {
  ASAHI_CO_TRY(const sql::Rows rows,
               co_await database_.query(select_page("batches", "org_id = ?", {org}, page)));
  co_return page_of(rows, page.limit, batch_of);
}

Task<bool> BatchStore::cancel(std::string org, std::string id) {
  ASAHI_CO_TRY(const sql::Rows rows,
               co_await database_.query(
                   {"UPDATE batches SET status = 'cancelling', cancelling_at = ?, next_turn_at = 0 "
                    "WHERE id = ? AND org_id = ? AND status IN ('validating', 'in_progress')",
                    {now(), id, org}}));
  co_return rows.affected() > 0;
}

Task<std::vector<Batch>> BatchStore::claim(std::string worker, std::size_t limit,
                                           std::int64_t lease_ms) {
  const std::int64_t time = now();
  ASAHI_CO_TRY(const sql::Rows due,
               co_await database_.query(
                   {fmt::format("SELECT id FROM batches WHERE status IN {} AND next_turn_at <= ? "
                                "AND lease_until <= ? ORDER BY next_turn_at, id LIMIT {}",
                                kUnfinished, limit),
                    {time, time}}));
  std::vector<Batch> claimed;
  for (std::size_t i = 0; i < due.size(); ++i) {
    ASAHI_CO_TRY(const sql::Rows rows,
                 co_await database_.query({"UPDATE batches SET lease_owner = ?, lease_until = ?, "
                                           "fence = fence + 1 WHERE id = ? AND lease_until <= ? "
                                           "RETURNING *",
                                           {worker, time + lease_ms, due.text(i, "id"), time}}));
    if (!rows.empty()) claimed.push_back(batch_of(rows, 0));
  }
  co_return claimed;
}

Task<void> BatchStore::forget_leases(std::string worker) {
  co_return co_await done(database_.query(
      {"UPDATE batches SET lease_until = 0 WHERE lease_owner = ? AND lease_until > 0", {worker}}));
}

Task<std::string> BatchStore::renew(Batch batch, std::int64_t lease_ms) {
  ASAHI_CO_TRY(const sql::Rows rows,
               co_await database_.query({"UPDATE batches SET lease_until = ? WHERE id = ? AND "
                                         "fence = ? RETURNING status",
                                         {now() + lease_ms, batch.id, batch.fence}}));
  if (rows.empty()) co_return lease_lost(batch.id);
  co_return rows.text(0, "status");
}

Task<void> BatchStore::release(Batch batch, std::int64_t next_turn_at) {
  // Who asked for the end meanwhile does not wait for the next turn.
  co_return co_await done(database_.query(
      {"UPDATE batches SET lease_until = 0, next_turn_at = CASE WHEN status = 'cancelling' AND "
       "outcome IS NULL AND CAST(? AS VARCHAR(16)) <> 'cancelling' THEN CAST(0 AS BIGINT) ELSE "
       "CAST(? AS BIGINT) END "
       "WHERE id = ? AND fence = ?",
       {batch.status, next_turn_at, batch.id, batch.fence}}));
}

Task<void> BatchStore::save(Batch batch) { co_return co_await save_with(std::move(batch), {}); }

Task<void> BatchStore::save_with(Batch batch, std::vector<sql::Statement> others) {
  bool lost = false;
  auto saved = co_await database_.transaction(
      [&batch, &others, &lost](sql::Session& session) -> Result<void> {
        ASAHI_TRY(const sql::Rows updated, session.query(save_statement(batch)));
        lost = updated.affected() == 0;
        if (lost) return lease_lost(batch.id);
        for (const sql::Statement& other : others) {
          ASAHI_TRY(const sql::Rows rows, session.query(other));
          static_cast<void>(rows);
        }
        return {};
      });
  // A conflict is tried again by the transaction; the lost lease stays one.
  if (!saved && lost) co_return lease_lost(batch.id);
  co_return saved;
}

// ---- Rows

Task<void> BatchStore::add_rows(Batch batch, std::vector<BatchRow> rows) {
  for (std::size_t begin = 0; begin < rows.size(); begin += kRowsPerInsert) {
    const std::size_t end = std::min(rows.size(), begin + kRowsPerInsert);
    sql::Statement insert{"INSERT INTO batch_rows (batch_id, line, custom_id, state, body) VALUES ",
                          {}};
    for (std::size_t i = begin; i < end; ++i) {
      insert.sql += i == begin ? "(?, ?, ?, 0, ?)" : ", (?, ?, ?, 0, ?)";
      insert.params.emplace_back(batch.id);
      insert.params.emplace_back(rows[i].line);
      insert.params.emplace_back(rows[i].custom_id);
      insert.params.push_back(
          stored(batch.sealed, row_context(batch.id, rows[i].line), std::move(rows[i].body)));
    }
    if (auto kept = co_await done(database_.query(std::move(insert))); !kept) co_return kept;
  }
  co_return Result<void>{};
}

Task<void> BatchStore::remove_rows(std::string batch_id) {
  // In portions, so that no statement runs long.
  while (true) {
    ASAHI_CO_TRY(const sql::Rows rows,
                 co_await database_.query({"DELETE FROM batch_rows WHERE batch_id = ? AND line IN "
                                           "(SELECT line FROM batch_rows WHERE batch_id = ? "
                                           "ORDER BY line LIMIT 2000)",
                                           {batch_id, batch_id}}));
    if (rows.affected() == 0) break;
  }
  co_return co_await done(
      database_.query({"DELETE FROM batch_vendor_jobs WHERE batch_id = ?", {batch_id}}));
}

Task<std::vector<StoredRow>> BatchStore::read_rows(Batch batch, sql::Statement statement) {
  ASAHI_CO_TRY(const sql::Rows rows, co_await database_.query(std::move(statement)));
  std::vector<StoredRow> out;
  out.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    StoredRow row;
    row.line = rows.integer(i, "line");
    row.custom_id = rows.text(i, "custom_id");
    row.state = static_cast<RowState>(rows.integer(i, "state"));
    row.attempts = rows.integer(i, "attempts");
    const std::string context = row_context(batch.id, row.line);
    ASAHI_CO_TRY(row.body, plain(batch.sealed, context, rows.at(i, "body")));
    ASAHI_CO_TRY(row.output, plain(batch.sealed, context + "/output", rows.at(i, "output")));
    out.push_back(std::move(row));
  }
  co_return out;
}

Task<std::vector<StoredRow>> BatchStore::fresh_rows(Batch batch, std::int64_t after_line,
                                                    std::size_t limit) {
  co_return co_await read_rows(
      batch, {fmt::format("SELECT * FROM batch_rows WHERE batch_id = ? AND line > ? AND state = 0 "
                          "AND attempts = 0 ORDER BY line LIMIT {}",
                          limit),
              {batch.id, after_line}});
}

Task<std::vector<StoredRow>> BatchStore::due_rows(Batch batch, std::size_t limit,
                                                  std::int64_t least_attempts) {
  co_return co_await read_rows(
      batch, {fmt::format("SELECT * FROM batch_rows WHERE batch_id = ? AND state = 0 AND "
                          "attempts >= ? AND not_before <= ? ORDER BY not_before, line LIMIT {}",
                          limit),
              {batch.id, least_attempts, now()}});
}

Task<std::vector<StoredRow>> BatchStore::rows_after(Batch batch, std::int64_t after_line,
                                                    std::size_t limit) {
  co_return co_await read_rows(
      batch, {fmt::format(
                  "SELECT * FROM batch_rows WHERE batch_id = ? AND line > ? ORDER BY line LIMIT {}",
                  limit),
              {batch.id, after_line}});
}

Task<std::vector<StoredRow>> BatchStore::rows_of_job(Batch batch, std::string job_id,
                                                     std::int64_t after_line, std::size_t limit) {
  co_return co_await read_rows(
      batch, {fmt::format("SELECT * FROM batch_rows WHERE vendor_job = ? AND batch_id = ? AND "
                          "state = 1 AND line > ? ORDER BY line LIMIT {}",
                          limit),
              {job_id, batch.id, after_line}});
}

Task<void> BatchStore::close_row(Batch batch, std::int64_t line, RowState state,
                                 std::string output) {
  co_return co_await done(database_.query(
      {"UPDATE batch_rows SET state = ?, output = ? WHERE batch_id = ? AND line = ? AND "
       "state IN (0, 1)",
       {static_cast<std::int64_t>(state),
        stored(batch.sealed, row_context(batch.id, line) + "/output", std::move(output)), batch.id,
        line}}));
}

Task<void> BatchStore::retry_row(Batch batch, std::int64_t line, std::int64_t attempts,
                                 std::int64_t not_before) {
  co_return co_await done(database_.query(
      {"UPDATE batch_rows SET state = 0, attempts = ?, not_before = ? WHERE batch_id = ? AND "
       "line = ? AND state IN (0, 1)",
       {attempts, not_before, batch.id, line}}));
}

Task<void> BatchStore::give_up_rows(Batch batch, std::string output) {
  // The words are the gateway's own: nothing to encrypt, but whoever reads expects it.
  if (!batch.sealed) {
    co_return co_await done(database_.query(
        {"UPDATE batch_rows SET state = 4, output = ? WHERE batch_id = ? AND state IN (0, 1)",
         {sql::Blob{std::move(output)}, batch.id}}));
  }
  while (true) {
    ASAHI_CO_TRY(const auto rows,
                 co_await read_rows(batch, {"SELECT * FROM batch_rows WHERE batch_id = ? AND "
                                            "state IN (0, 1) LIMIT 500",
                                            {batch.id}}));
    if (rows.empty()) co_return Result<void>{};
    for (const StoredRow& row : rows) {
      auto closed = co_await close_row(batch, row.line, RowState::kGivenUp, output);
      if (!closed) co_return closed;
    }
  }
}

Task<BatchStore::Counts> BatchStore::counts(std::string batch_id) {
  ASAHI_CO_TRY(const sql::Rows rows,
               co_await database_.query({"SELECT state, COUNT(*) AS n, MIN(not_before) AS next "
                                         "FROM batch_rows WHERE batch_id = ? GROUP BY state",
                                         {batch_id}}));
  Counts counts;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::int64_t n = rows.integer(i, "n");
    switch (static_cast<RowState>(rows.integer(i, "state"))) {
      case RowState::kPending:
        counts.pending = n;
        counts.next = rows.integer(i, "next");
        break;
      case RowState::kAtVendor:
        counts.at_vendor = n;
        break;
      case RowState::kAnswered:
        counts.answered = n;
        break;
      case RowState::kRefused:
      case RowState::kGivenUp:
        counts.failed += n;
        break;
    }
  }
  co_return counts;
}

// ---- Vendors' batches

Task<void> BatchStore::add_job(VendorJob job, std::vector<std::int64_t> lines) {
  std::vector<sql::Statement> statements;
  statements.push_back(
      {"INSERT INTO batch_vendor_jobs (id, batch_id, provider, model, state, "
       "created_at) VALUES (?, ?, ?, ?, 0, ?)",
       {job.id, job.batch_id, job.provider, job.model, job.created_at}});
  for (std::size_t begin = 0; begin < lines.size(); begin += kRowsPerInsert) {
    const std::size_t end = std::min(lines.size(), begin + kRowsPerInsert);
    sql::Statement update{
        "UPDATE batch_rows SET state = 1, vendor_job = ? WHERE batch_id = ? AND "
        "state = 0 AND line IN (",
        {job.id, job.batch_id}};
    for (std::size_t i = begin; i < end; ++i) {
      update.sql += i == begin ? "?" : ", ?";
      update.params.emplace_back(lines[i]);
    }
    update.sql += ")";
    statements.push_back(std::move(update));
  }
  co_return co_await done(database_.batch(std::move(statements)));
}

Task<std::vector<VendorJob>> BatchStore::jobs(std::string batch_id) {
  ASAHI_CO_TRY(const sql::Rows rows,
               co_await database_.query({"SELECT * FROM batch_vendor_jobs WHERE batch_id = ? AND "
                                         "state <> 2 ORDER BY id",
                                         {batch_id}}));
  std::vector<VendorJob> jobs;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    jobs.push_back({.id = rows.text(i, "id"),
                    .batch_id = rows.text(i, "batch_id"),
                    .provider = rows.text(i, "provider"),
                    .model = rows.text(i, "model"),
                    .state = static_cast<VendorJob::State>(rows.integer(i, "state")),
                    .vendor_id = rows.text(i, "vendor_id"),
                    .created_at = rows.integer(i, "created_at"),
                    .attempts = rows.integer(i, "attempts"),
                    .not_before = rows.integer(i, "not_before")});
  }
  co_return jobs;
}

Task<void> BatchStore::save_job(VendorJob job) {
  co_return co_await done(database_.query(
      {"UPDATE batch_vendor_jobs SET state = ?, vendor_id = ?, attempts = ?, not_before = ? "
       "WHERE id = ?",
       {static_cast<std::int64_t>(job.state), optional_text(job.vendor_id), job.attempts,
        job.not_before, job.id}}));
}

Task<std::int64_t> BatchStore::failed_jobs(std::string batch_id, std::string provider) {
  ASAHI_CO_TRY(const sql::Rows rows,
               co_await database_.query({"SELECT COUNT(*) AS n FROM batch_vendor_jobs WHERE "
                                         "batch_id = ? AND provider = ? AND vendor_id IS NULL AND "
                                         "state = 2",
                                         {batch_id, provider}}));
  co_return rows.integer(0, "n");
}

Task<void> BatchStore::reopen_rows(std::string job_id, std::int64_t attempts) {
  co_return co_await done(database_.query(
      {"UPDATE batch_rows SET state = 0, attempts = ?, not_before = 0 WHERE vendor_job = ? AND "
       "state = 1",
       {attempts, job_id}}));
}

Task<bool> BatchStore::key_stands(std::string key_prefix) {
  ASAHI_CO_TRY(const sql::Rows rows,
               co_await database_.query(
                   {"SELECT COUNT(*) AS revoked FROM api_keys WHERE key_prefix = ? AND revoked = "
                    "TRUE AND NOT EXISTS (SELECT 1 FROM api_keys AS later WHERE "
                    "later.rotated_from = api_keys.key_prefix AND later.revoked = FALSE)",
                    {key_prefix}}));
  co_return rows.integer(0, "revoked") == 0;
}

Task<void> BatchStore::purge(std::int64_t keep_ms) {
  const std::int64_t time = now();
  ASAHI_CO_TRY(const sql::Rows files,
               co_await database_.query({"SELECT id FROM batch_files WHERE expires_at <= ? OR "
                                         "(ready = 0 AND created_at <= ?) LIMIT 100",
                                         {time, time - 48 * 3'600'000LL}}));
  for (std::size_t i = 0; i < files.size(); ++i) {
    std::vector<sql::Statement> statements;
    statements.push_back({"DELETE FROM batch_file_parts WHERE file_id = ?", {files.text(i, "id")}});
    statements.push_back({"DELETE FROM batch_files WHERE id = ?", {files.text(i, "id")}});
    if (auto gone = co_await done(database_.batch(std::move(statements))); !gone) co_return gone;
  }
  ASAHI_CO_TRY(const sql::Rows old,
               co_await database_.query({fmt::format("SELECT id FROM batches WHERE created_at <= ? "
                                                     "AND status NOT IN {} LIMIT 100",
                                                     kUnfinished),
                                         {time - keep_ms}}));
  for (std::size_t i = 0; i < old.size(); ++i) {
    if (auto gone = co_await remove_rows(old.text(i, "id")); !gone) co_return gone;
    auto gone =
        co_await done(database_.query({"DELETE FROM batches WHERE id = ?", {old.text(i, "id")}}));
    if (!gone) co_return gone;
  }
  co_return Result<void>{};
}

std::vector<sql::Statement> erase_batches_of(const std::string& org_id,
                                             const std::string& user_id) {
  const std::string files = "(SELECT id FROM batch_files WHERE org_id = ? AND user_id = ?)";
  const std::string batches = "(SELECT id FROM batches WHERE org_id = ? AND user_id = ?)";
  const std::vector<sql::Value> who{org_id, user_id};
  return {{"DELETE FROM batch_file_parts WHERE file_id IN " + files, who},
          {"DELETE FROM batch_files WHERE org_id = ? AND user_id = ?", who},
          {"DELETE FROM batch_rows WHERE batch_id IN " + batches, who},
          {"DELETE FROM batch_vendor_jobs WHERE batch_id IN " + batches, who},
          {"DELETE FROM batches WHERE org_id = ? AND user_id = ?", who}};
}

}  // namespace asahi::gateway
