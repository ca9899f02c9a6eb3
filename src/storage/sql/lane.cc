#include "storage/sql/lane.h"

#include "base/scheduling.h"

namespace asahi::sql {
namespace {
constexpr int kNice = 10;  // a tenth of the weight of an event loop
thread_local bool database_thread = false;
}  // namespace

bool on_database_thread() { return database_thread; }

namespace internal {
void enter_database_thread() {
  database_thread = true;
  // Queries may take their time; requests that share the CPU with them may not.
  work_in_background(kNice);
}
}  // namespace internal

}  // namespace asahi::sql
