#pragma once

#include <string>

#include "base/clock.h"
#include "base/task.h"
#include "storage/sql/database.h"
#include "storage/sql/migrations.h"

namespace asahi::memory {

/// Which process starts a workflow that became due: the first one that says so. In SQL, so that it
/// holds over processes and restarts. Errors: those of the database.
class WorkflowRuns {
 public:
  explicit WorkflowRuns(sql::Database& database) : database_(database) {}
  /// True for the first caller with this workflow and moment. Forgets those of 90 days before.
  Task<bool> claim(std::string workflow, Clock::Time due, Clock::Time now);

 private:
  sql::Database& database_;
};

/// Version 335.
sql::Migration workflow_runs_migration();

}  // namespace asahi::memory
