#include "server/schema_keeper.h"

#include "server/app.h"
#include "storage/sql/migrations.h"

namespace asahi::server {

SchemaKeeper::SchemaKeeper(sql::Database& database, bool enabled) : database_(database) {
  if (enabled && !upgrade()) thread_ = std::thread([this] { run(); });
}

SchemaKeeper::~SchemaKeeper() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

bool SchemaKeeper::upgrade() {
  sql::Migrator migrator(database_, all_migrations());
  auto applied = migrator.upgrade();
  if (!applied) {
    logger_.error("the schema cannot be brought up to date; trying again",
                  {{"error", applied.error().message}});
    return false;
  }
  if (!applied->empty())
    logger_.info("schema upgraded",
                 {{"migrations", applied->size()}, {"version", applied->back()}});
  return true;
}

void SchemaKeeper::run() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, std::chrono::seconds(2), [this] { return stop_; })) {
    lock.unlock();
    const bool done = upgrade();
    lock.lock();
    if (done) return;
  }
}

}  // namespace asahi::server
