#include "storage/sql/lane.h"

namespace asahi::sql {
namespace {
thread_local bool database_thread = false;
}

bool on_database_thread() { return database_thread; }

namespace internal {
void enter_database_thread() { database_thread = true; }
}  // namespace internal

}  // namespace asahi::sql
