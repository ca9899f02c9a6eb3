#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "storage/sql/database.h"

namespace asahi::server {

/// Brings the schema up to date, now or, when the database is away, as soon as it is back.
class SchemaKeeper {
 public:
  /// `database` outlives it. Not `enabled`: the schema is somebody else's business.
  SchemaKeeper(sql::Database& database, bool enabled);
  ~SchemaKeeper();

 private:
  bool upgrade();
  void run();

  sql::Database& database_;
  Logger logger_{"migrations"};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace asahi::server
