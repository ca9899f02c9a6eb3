#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/task.h"
#include "memory/ageing/find.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"

namespace asahi::memory::ageing {

/// A key whose memory said the very same as another's: it has no row, the other's stands for it.
struct Repeat {
  Key key;
  Key original;
  Digest content_hash{};  ///< of the whole text
  bool operator==(const Repeat&) const = default;
};

/// The keys that a memory's metadata names as seen again (`seen_in`, the first 100).
std::vector<Repeat> repeats_of(const Memory& memory);

/// Where repeats lead to once their originals have left the hot tier, which knows them as long as
/// it has the original: the table `memory_repeats`. It names keys, not tiers, so that it holds
/// wherever the original goes on to. Any loop. Errors of all: those of sql::Database.
class Originals {
 public:
  explicit Originals(sql::Database& database) : database_(database) {}

  /// Before the originals leave. What is known of a key is replaced.
  Task<void> add(std::vector<Repeat> repeats);
  /// The original's row as the first of `stores` (hottest first) has it, with its own key; nothing:
  /// the key repeats none, or the original is gone or says something else by now. Errors: also
  /// those of the stores.
  Task<std::optional<Found>> find(std::vector<Store*> stores, Key key);
  /// What leads from and to the key, or the system's keys; how many led from it.
  Task<std::uint64_t> forget(Key key);
  Task<std::uint64_t> forget_system(std::string tenant, std::string system_id);

 private:
  Task<std::uint64_t> erase(std::vector<sql::Statement> statements);

  sql::Database& database_;
};

/// Migration 312.
std::vector<sql::Migration> originals_migrations();

}  // namespace asahi::memory::ageing
