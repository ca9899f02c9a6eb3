#include "storage/columnar/database.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "storage/columnar/duckdb_error.h"

namespace asahi::columnar {

namespace {

namespace fs = std::filesystem;

/// Interrupts reach the statement that runs; one that begins just then misses it and gets the next.
constexpr std::chrono::milliseconds kAgain{20};

/// Beside the program or where packages put it; else the system looks.
std::string library_of_program() {
  constexpr const char* kName = "libduckdb.so";
  std::error_code unknown;
  const fs::path folder = fs::read_symlink("/proc/self/exe", unknown).parent_path();
  for (const fs::path& place : {folder / kName, folder / "../lib/asahi" / kName}) {
    if (fs::exists(place, unknown)) return place.string();
  }
  return kName;
}

/// Released at the end of the block.
struct Config {
  ~Config() {
    if (handle != nullptr) duckdb_destroy_config(&handle);
  }
  duckdb_config handle = nullptr;
};

}  // namespace

Result<std::unique_ptr<Database>> Database::open(Options options) {
  if (options.threads < 1 || options.threads > 64)
    return fail_field("threads", "a statement works on 1 to 64 threads");
  if (options.connections < 1 || options.connections > 64)
    return fail_field("connections", "a database has 1 to 64 connections");
  const std::string library = options.library.empty() ? library_of_program() : options.library;
  if (auto loaded = libduckdb.load_from(library); !loaded) {
    return fail(Errc::kUnavailable,
                fmt::format("DuckDB's library {} cannot be opened; it is libduckdb.so of npm's "
                            "@duckdb/node-bindings-linux-x64 1.4.4 (target duckdb_library)",
                            library));
  }
  Config config;
  duckdb_create_config(&config.handle);
  const std::pair<const char*, std::string> settings[] = {
      {"threads", std::to_string(options.threads)},
      {"memory_limit", fmt::format("{}B", options.memory_bytes)},
      {"access_mode", options.read_only ? "READ_ONLY" : "AUTOMATIC"},
      {"autoinstall_known_extensions", "false"},
      {"autoload_known_extensions", "false"},
      {"allow_community_extensions", "false"},
      {"temp_directory", options.temp_folder},
      {"max_temp_directory_size", fmt::format("{}B", options.temp_bytes)},
      // After the folder, which it fixes.
      {"enable_external_access", options.other_files ? "true" : "false"},
      {"lock_configuration", "true"}};
  for (const auto& [name, value] : settings) {
    if (duckdb_set_config(config.handle, name, value.c_str()) != DuckDBSuccess)
      return fail(Errc::kUnavailable, fmt::format("DuckDB does not know the setting {}", name));
  }
  duckdb_database handle = nullptr;
  char* text = nullptr;
  const char* const path = options.path.empty() ? nullptr : options.path.c_str();
  if (duckdb_open_ext(path, &handle, config.handle, &text) != DuckDBSuccess) {
    auto failure = duckdb_error(
        DUCKDB_ERROR_IO, text == nullptr ? "" : text,
        options.path.empty() ? "open a database in memory" : "open the database " + options.path);
    if (text != nullptr) duckdb_free(text);
    return failure;
  }
  std::unique_ptr<Database> made(new Database(std::move(options), handle));
  made->watcher_ = std::thread([database = made.get()] { database->watch(); });
  return made;
}

Database::~Database() {
  stop();
  auto handle = static_cast<duckdb_database>(handle_);
  duckdb_close(&handle);
}

std::string Database::library_version() { return duckdb_library_version(); }

Result<std::unique_ptr<Connection>> Database::connect() {
  duckdb_connection handle = nullptr;
  if (duckdb_connect(static_cast<duckdb_database>(handle_), &handle) != DuckDBSuccess)
    return fail(Errc::kUnavailable, "DuckDB gives no connection");
  return std::unique_ptr<Connection>(new Connection(handle));
}

void Database::submit(Clock::Steady deadline, Job job) {
  std::unique_lock lock(mutex_);
  if (stopping_ || queue_.size() >= options_.max_queued) {
    const bool stopping = stopping_;
    lock.unlock();
    if (stopping) {
      job(fail(Errc::kCancelled, "the database is stopping"));
    } else {
      job(fail(Errc::kTooLarge, fmt::format("the database's queue is full ({} pieces of work)",
                                            options_.max_queued)));
    }
    return;
  }
  queue_.push_back({deadline, std::move(job)});
  if (queue_.size() > idle_ && threads_.size() < options_.connections) {
    threads_.emplace_back([this] { work(); });
  } else {
    wake_.notify_one();
  }
}

void Database::work() {
  auto connection = connect();
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    --idle_;
    if (stopping_) return;
    Waiting next = std::move(queue_.front());
    queue_.pop_front();
    const auto now = std::chrono::steady_clock::now();
    if (!connection || now >= next.deadline) {
      lock.unlock();
      if (!connection) {
        next.job(fail(connection.error().code, connection.error().message));
      } else {
        next.job(fail(Errc::kTimeout, "work on a database waited for its turn too long"));
      }
      next.job = nullptr;
      lock.lock();
      continue;
    }
    (*connection)->expired_ = false;
    running_.push_back({connection->get(), next.deadline});
    watch_.notify_one();
    lock.unlock();
    next.job(connection->get());
    next.job = nullptr;  // what it captured dies here, not under the lock
    lock.lock();
    std::erase_if(running_,
                  [&](const Running& running) { return running.connection == connection->get(); });
  }
}

/// Interrupts what runs longer than it may.
void Database::watch() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (stopping_ && running_.empty()) return;
    auto next = Clock::Steady::max();
    const auto now = std::chrono::steady_clock::now();
    for (const Running& running : running_) {
      if (stopping_ || now >= running.deadline) {
        if (stopping_) running.connection->stopping_ = true;
        running.connection->expired_ = true;
        running.connection->interrupt();
        next = std::min(next, now + kAgain);
      } else {
        next = std::min(next, running.deadline);
      }
    }
    if (next == Clock::Steady::max()) {
      watch_.wait(lock);
    } else {
      watch_.wait_until(lock, next);
    }
  }
}

void Database::stop() {
  std::deque<Waiting> refused;
  std::vector<std::thread> threads;
  std::thread watcher;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    refused.swap(queue_);
    threads.swap(threads_);
    watcher.swap(watcher_);
  }
  wake_.notify_all();
  watch_.notify_all();
  for (Waiting& waiting : refused) waiting.job(fail(Errc::kCancelled, "the database is stopping"));
  for (std::thread& thread : threads) thread.join();
  watch_.notify_all();
  if (watcher.joinable()) watcher.join();
}

}  // namespace asahi::columnar
