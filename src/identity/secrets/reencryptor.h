#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/cipher.h"
#include "base/task.h"
#include "identity/secrets/live.h"
#include "net/loop.h"
#include "storage/sql/database.h"

namespace asahi::identity {

/// A column that holds values of the key ring, and what their context is made of. The table's owner
/// makes one; all names are SQL identifiers from code.
struct EncryptedColumn {
  std::string table;
  std::string id_column;  ///< unique and ordered; never changes
  std::string column;     ///< text; null and empty are left alone
  std::vector<std::string> context_columns;
  /// The context that the value was encrypted with, from the columns above.
  std::function<std::string(const std::vector<std::string>&)> context;
};

/// Rewrites what was encrypted with previous keys under the newest one (spec §9.8), in the
/// background and in small steps. It keeps no state that a crash could lose: stale values show
/// their key in the database, and rewriting a row twice does no harm. A row that others change
/// meanwhile keeps their value, and several processes may do this at once. Values stay readable
/// throughout while the previous keys are in every process's ring. One step at a time.
class Reencryptor {
 public:
  struct Count {
    std::int64_t renewed = 0;
    std::int64_t changed = 0;     ///< rewritten or removed by others meanwhile
    std::int64_t unreadable = 0;  ///< of no key in the ring, or damaged; logged, left as they are
    bool done = false;            ///< every column was gone through to its end
  };

  /// `ring` is asked at every step; without a key there is nothing to do.
  Reencryptor(sql::Database& db, const Live<KeyRing>& ring, std::vector<EncryptedColumn> columns);
  ~Reencryptor();

  /// Goes on where the last step stopped and handles up to `limit` stale values; after `done` the
  /// next step begins anew. Errors: those of the database; the next step repeats what this one
  /// left.
  Task<Count> step(std::size_t limit);
  /// Steps with pauses until done; counts in total. Errors: those of a step, cancelled. `cancel`
  /// may be null.
  Task<Count> run(net::Loop& loop, std::size_t batch, std::chrono::milliseconds pause,
                  CancelSource* cancel);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace asahi::identity
