#include "identity/secrets/reencryptor.h"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <variant>

#include "base/log.h"

namespace asahi::identity {
namespace {

const Logger& logger() {
  static const Logger instance("identity");
  return instance;
}

std::string shown(const sql::Value& id) {
  if (const auto* text = std::get_if<std::string>(&id)) return *text;
  if (const auto* number = std::get_if<std::int64_t>(&id)) return std::to_string(*number);
  return "?";
}

/// Stale values in the order of their ids; ?: prefix of fresh values, [last id,] limit.
std::string find_sql(const EncryptedColumn& column, bool from_start) {
  std::string context;
  for (std::size_t i = 0; i < column.context_columns.size(); ++i) {
    context += fmt::format(", {} AS context_{}", column.context_columns[i], i);
  }
  return fmt::format(
      "SELECT {0} AS row_id, {1} AS sealed{2} FROM {3}"
      " WHERE {1} <> '' AND substr({1}, 1, 12) <> ?{4} ORDER BY {0} LIMIT ?",
      column.id_column, column.column, context, column.table,
      from_start ? "" : fmt::format(" AND {} > ?", column.id_column));
}

}  // namespace

struct Reencryptor::Impl {
  sql::Database& db;
  const Live<KeyRing>& ring;
  const std::vector<EncryptedColumn> columns;

  // Where the next step begins. Unreadable values stay stale: without the last id they would be
  // found for ever.
  std::size_t at = 0;
  std::optional<sql::Value> last_id;
  std::string prefix;

  void rewind() {
    at = 0;
    last_id.reset();
  }

  Task<void> renew(const EncryptedColumn& column, const sql::Rows& rows, std::size_t row,
                   const KeyRing& keys, Count& count) {
    const std::string sealed = rows.text(row, "sealed");
    std::vector<std::string> parts;
    for (std::size_t i = 0; i < column.context_columns.size(); ++i) {
      parts.push_back(rows.text(row, fmt::format("context_{}", i)));
    }
    const std::string context = column.context(parts);
    const auto plain = keys.decrypt(sealed, context);
    if (!plain) {
      ++count.unreadable;
      logger().error("an encrypted value cannot be read and was not re-encrypted",
                     {{"table", column.table},
                      {"column", column.column},
                      {"row", shown(rows.at(row, "row_id"))},
                      {"reason", plain.error().message}});
      co_return Result<void>();
    }
    ASAHI_CO_TRY(
        const auto updated,
        co_await db.query({fmt::format("UPDATE {0} SET {1} = ? WHERE {2} = ? AND {1} = ?",
                                       column.table, column.column, column.id_column),
                           {keys.encrypt(*plain, context), rows.at(row, "row_id"), sealed}}));
    ++(updated.affected() == 0 ? count.changed : count.renewed);
    co_return Result<void>();
  }
};

Reencryptor::Reencryptor(sql::Database& db, const Live<KeyRing>& ring,
                         std::vector<EncryptedColumn> columns)
    : impl_(new Impl{.db = db,
                     .ring = ring,
                     .columns = std::move(columns),
                     .last_id = std::nullopt,
                     .prefix = {}}) {}
Reencryptor::~Reencryptor() = default;

Task<Reencryptor::Count> Reencryptor::step(std::size_t limit) {
  Impl& impl = *impl_;
  Count count;
  const auto keys = impl.ring.get();
  if (keys == nullptr) {
    count.done = true;
    co_return count;
  }
  // Another key since the last step: what was fresh is stale now.
  if (std::exchange(impl.prefix, keys->prefix()) != keys->prefix()) impl.rewind();
  std::size_t left = limit;
  while (left > 0 && impl.at < impl.columns.size()) {
    const EncryptedColumn& column = impl.columns[impl.at];
    std::vector<sql::Value> params{keys->prefix()};
    if (impl.last_id) params.push_back(*impl.last_id);
    params.emplace_back(static_cast<std::int64_t>(left));
    ASAHI_CO_TRY(const auto rows,
                 co_await impl.db.query({find_sql(column, !impl.last_id), std::move(params)}));
    for (std::size_t row = 0; row < rows.size(); ++row) {
      if (auto ok = co_await impl.renew(column, rows, row, *keys, count); !ok) {
        co_return std::unexpected(ok.error());
      }
      impl.last_id = rows.at(row, "row_id");
    }
    if (rows.size() < left) {
      ++impl.at;
      impl.last_id.reset();
    }
    left -= rows.size();
  }
  if (impl.at == impl.columns.size()) {
    count.done = true;
    impl.rewind();
  }
  co_return count;
}

Task<Reencryptor::Count> Reencryptor::run(net::Loop& loop, std::size_t batch,
                                          std::chrono::milliseconds pause, CancelSource* cancel) {
  Count total;
  while (true) {
    ASAHI_CO_TRY(const auto count, co_await step(batch));
    total.renewed += count.renewed;
    total.changed += count.changed;
    total.unreadable += count.unreadable;
    if (count.done) break;
    if (!co_await loop.sleep_for(pause, cancel)) {
      co_return fail(Errc::kCancelled, "re-encryption was stopped; it goes on at the next start");
    }
  }
  total.done = true;
  if (total.renewed + total.unreadable > 0) {
    logger().info(
        "stored secrets are re-encrypted under the newest key",
        {{"renewed", total.renewed}, {"changed", total.changed}, {"unreadable", total.unreadable}});
  }
  co_return total;
}

}  // namespace asahi::identity
