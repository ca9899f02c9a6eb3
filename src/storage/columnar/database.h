#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/task.h"
#include "net/loop.h"
#include "storage/columnar/connection.h"

namespace asahi::columnar {

struct Options {
  /// libduckdb.so; empty: beside the program, in ../lib/asahi, or where the system looks. The first
  /// database of a process decides.
  std::string library;
  std::string path;        ///< of the database's file; empty: in memory
  bool read_only = false;  ///< the file must exist
  /// Whether statements may read and write other files (read_parquet, COPY). Never extensions,
  /// never the network.
  bool other_files = false;
  unsigned threads = 1;                       ///< that one statement works on, 1 to 64
  std::uint64_t memory_bytes = 512ULL << 20;  ///< for all statements together
  std::string temp_folder;  ///< where sorts and joins go that do not fit; empty: they fail
  std::uint64_t temp_bytes = 4ULL << 30;  ///< at most there
  unsigned connections = 2;               ///< pieces of work at a time, each on a thread of its own
  std::size_t max_queued = 256;           ///< more are refused
};

/// A DuckDB database, in a file or in memory. Work runs on the database's own threads, each with a
/// connection; coroutines stay on their loops. A file belongs to one process. Thread-safe.
class Database {
 public:
  /// Blocking. Errors: unavailable (library or folder missing, reason "locked" where another
  /// process has the file), corrupt, invalid_argument (options).
  static Result<std::unique_ptr<Database>> open(Options options);
  /// As `stop`.
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Runs `work` (Connection& to some Result) on one of the threads and comes back to the calling
  /// loop. At the deadline a statement is interrupted: timeout. Errors besides the work's:
  /// too_large (max_queued), timeout (it waited too long), cancelled (stopping).
  template <class Work>
  Aw<std::invoke_result_t<Work&, Connection&>> run(Clock::Steady deadline, Work work) {
    using Value = std::invoke_result_t<Work&, Connection&>;
    net::Loop* const home = net::Loop::current();
    auto start = [this, home, deadline](auto handler, Work body) {
      auto shared = std::make_shared<decltype(handler)>(std::move(handler));
      submit(deadline,
             [home, shared, body = std::move(body)](Result<Connection*> connection) mutable {
               auto value = std::make_shared<Value>(done<Value>(body, std::move(connection)));
               home->post([shared, value] { std::move (*shared)(std::move(*value)); });
             });
    };
    co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<IoExecutor>,
                                                   void(Value)>(std::move(start), use_aw,
                                                                std::move(work));
  }
  /// The same from an ordinary thread, which waits.
  template <class Work>
  std::invoke_result_t<Work&, Connection&> run_here(Clock::Steady deadline, Work work) {
    using Value = std::invoke_result_t<Work&, Connection&>;
    std::promise<Value> promise;
    auto future = promise.get_future();
    submit(deadline, [&promise, &work](Result<Connection*> connection) {
      promise.set_value(done<Value>(work, std::move(connection)));
    });
    return future.get();
  }

  /// Interrupts what runs, refuses what waits. Idempotent.
  void stop();

  /// "v1.4.4".
  static std::string library_version();

 private:
  using Job = std::move_only_function<void(Result<Connection*>)>;
  struct Waiting {
    Clock::Steady deadline;
    Job job;
  };
  struct Running {
    Connection* connection;
    Clock::Steady deadline;
  };

  Database(Options options, void* handle) : options_(std::move(options)), handle_(handle) {}
  void submit(Clock::Steady deadline, Job job);
  void work();
  void watch();
  Result<std::unique_ptr<Connection>> connect();

  template <class Value, class Work>
  static Value done(Work& work, Result<Connection*> connection) {
    if (!connection) return std::unexpected(std::move(connection.error()));
    try {
      return work(**connection);
    } catch (const std::exception& e) {
      return fail(Errc::kInternal, std::string("work on a database failed: ") + e.what());
    }
  }

  const Options options_;
  void* handle_;  ///< duckdb_database
  std::mutex mutex_;
  std::condition_variable wake_, watch_;
  std::deque<Waiting> queue_;
  std::vector<Running> running_;
  std::vector<std::thread> threads_;
  std::thread watcher_;
  std::size_t idle_ = 0;
  bool stopping_ = false;
};

}  // namespace asahi::columnar
