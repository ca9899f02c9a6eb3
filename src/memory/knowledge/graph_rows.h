#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memory/graph/graph.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"

namespace asahi::memory::knowledge {

/// Tables of graph and series: numbers 315 to 317, 346.
std::vector<sql::Migration> migrations();

/// Statements that make the rows of a tenant's graph what the graph is, for what was touched; in
/// order. They hold many rows each, so that a thousand memories take some dozens.
std::vector<sql::Statement> rows_to_write(const std::string& tenant, const graph::Graph& graph,
                                          const graph::Touched& touched);

/// The rows of a tenant into an empty graph, and their epoch; 0: there are none. All of one moment,
/// when run in a transaction that sees one (`epoch` tells whether it was so: compare it with one
/// read after). Errors: those of the session; corrupt for rows that no graph has.
Result<std::uint64_t> read_rows(sql::Session& session, const std::string& tenant,
                                graph::Graph& graph);
/// 0: the tenant has no graph yet.
Result<std::uint64_t> read_epoch(sql::Session& session, const std::string& tenant);

/// What stands around one entity, into an empty graph: the entity, its facts with their past, the
/// entities at their other ends. Which systems state the entity itself is not among it, nor what
/// stands around the others. The epoch; nothing: it has more than `most_facts`, and was not read.
/// Four queries, and two more for each 500 facts. Errors and moments: as of read_rows.
Result<std::optional<std::uint64_t>> read_around(sql::Session& session, const std::string& tenant,
                                                 const std::string& entity, std::size_t most_facts,
                                                 graph::Graph& graph);

/// "INSERT INTO head VALUES (?, …), … tail", as many rows a statement as both engines take.
class BulkInsert {
 public:
  BulkInsert(std::string head, std::string tail, std::size_t columns);
  void add(std::vector<sql::Value> row);
  /// What was added since, complete.
  void take(std::vector<sql::Statement>& into);

 private:
  const std::string head_, tail_;
  const std::size_t columns_;
  std::vector<sql::Value> values_;
};

}  // namespace asahi::memory::knowledge
