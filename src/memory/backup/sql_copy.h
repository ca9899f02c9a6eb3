#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/sql/database.h"

/// The memory's rows in the database as files: the ledger of uploads, graph and series, alerts and
/// their settings. One `<table>.jsonl` for each table: a line with its columns, a line for each
/// row; `tables.json` says which there are. The same files fit SQLite and PostgreSQL. Blocking:
/// ordinary threads.
///
/// Keys, organisations and the audit log are not the memory's; the list of cold files comes with
/// the cold tier.
namespace asahi::memory {

struct CopiedTable {
  std::string_view name;
  std::vector<std::string_view> key;  ///< columns of its primary key, in order
};
std::span<const CopiedTable> copied_tables();

/// Writes all tables into `folder`, which exists, as they stand at one moment; nobody who writes
/// waits for it. How many rows. Errors: those of the database; unavailable (the disk), cancelled.
Result<std::uint64_t> write_sql(sql::Database& database, const std::string& folder,
                                const std::function<bool()>& stopped);

/// Whether these files could be put into this database. Errors: corrupt (naming file and line),
/// conflict (a table or a column that this version does not have), those of the database.
Result<void> check_sql(sql::Database& database, const std::string& folder);

/// Puts the rows in the place of those that are there, all or nothing; a table that the copy of an
/// earlier version did not have is empty then. What ran when the copy was
/// made is not running any more: runs of ageing are failed, uploads come again when their lease is
/// over. Processes that have graphs in memory read them anew. Errors: as check_sql.
Result<std::uint64_t> restore_sql(sql::Database& database, const std::string& folder);

}  // namespace asahi::memory
