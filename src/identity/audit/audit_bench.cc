// What recording costs its caller, and how fast entries reach each engine: audit_bench [ENTRIES]
#include <fmt/format.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "identity/audit/testing/audit_fixture.h"

namespace {

using namespace asahi;
using identity::AuditEntry;
using Steady = std::chrono::steady_clock;

double seconds_since(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}

/// CPU seconds of the calling thread or of the process: a busy machine does not change them much.
double cpu(clockid_t whose) {
  timespec now{};
  ::clock_gettime(whose, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

AuditEntry entry(int i) {
  return identity::testing::make_entry(
      "org_" + std::to_string(i % 8), "inference",
      {{"model", "gpt-4o-mini"}, {"request_id", "req_0123456789ab"}, {"tokens", i}});
}

void run(sql::testing::Engine engine, int count) {
  auto place = sql::testing::TestDatabase::make(engine);
  if (!place) {
    fmt::print("{}: {}\n", to_string(engine), place.error().message);
    return;
  }
  auto database = sql::open_database((*place)->options());
  if (!database || !sql::Migrator(**database, identity::testing::audit_schema()).upgrade()) {
    fmt::print("{}: no schema\n", to_string(engine));
    return;
  }
  const identity::testing::Folder spool("asahi-audit-bench-");
  auto log = identity::open_audit_log(
      {.spool_dir = spool.path(), .head_key = "k", .max_queued = 1'000'000}, **database,
      system_clock());
  if (!log) return;
  net::LoopPool loops{1};
  loops.start();

  std::vector<AuditEntry> entries;
  entries.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) entries.push_back(entry(i));
  const auto start = Steady::now();
  const double thread_before = cpu(CLOCK_THREAD_CPUTIME_ID);
  const double process_before = cpu(CLOCK_PROCESS_CPUTIME_ID);
  for (auto& each : entries) (*log)->record(std::move(each));
  const double recording = seconds_since(start);
  const double recording_cpu = cpu(CLOCK_THREAD_CPUTIME_ID) - thread_before;
  if (!(*log)->flush(std::chrono::minutes(5))) fmt::print("flush did not end\n");
  const double stored = seconds_since(start);
  const double all_cpu = cpu(CLOCK_PROCESS_CPUTIME_ID) - process_before;
  fmt::print("{}: record {:.0f} ns ({:.0f} ns CPU)\n", to_string(engine), recording * 1e9 / count,
             recording_cpu * 1e9 / count);
  fmt::print("{}: {:.0f} entries/s from record to SQL; {:.1f} us CPU each in this process\n",
             to_string(engine), count / stored, all_cpu * 1e6 / count);

  constexpr int kAlone = 300;
  auto begun = Steady::now();
  for (int i = 0; i < kAlone; ++i) {
    std::ignore =
        net::run_sync<Result<std::string>>(loops.at(0), [&] { return (*log)->append(entry(i)); });
  }
  const double alone = seconds_since(begun);
  constexpr int kTogether = 64;
  constexpr int kEach = 50;
  std::atomic<int> running = kTogether;
  begun = Steady::now();
  for (int i = 0; i < kTogether; ++i) {
    loops.at(0).spawn("append", [&]() -> Aw<void> {
      for (int n = 0; n < kEach; ++n) std::ignore = co_await (*log)->append(entry(n));
      if (--running == 0) running.notify_all();
    });
  }
  for (int left = running; left > 0; left = running) running.wait(left);
  const double together = seconds_since(begun);
  fmt::print("{}: append alone {:.2f} ms; {} at once {:.0f}/s\n", to_string(engine),
             alone * 1e3 / kAlone, kTogether, kTogether * kEach / together);

  begun = Steady::now();
  const auto checked = identity::verify_audit_chain(**database, "k", "org_0");
  if (checked && checked->valid) {
    fmt::print("{}: verify {:.0f} entries/s\n", to_string(engine),
               static_cast<double>(checked->checked) / seconds_since(begun));
  }
  log->reset();
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 100'000;
  run(sql::testing::Engine::kSqliteFile, count);
  run(sql::testing::Engine::kPostgres, count);
}
