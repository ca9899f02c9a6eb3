#pragma once

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <future>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "memory/hot/engine.h"

namespace asahi::memory::hot_testing {

/// A folder that goes with its owner.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "asahi_hot_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline Clock::Time seconds(std::int64_t count) {
  return Clock::Time{std::chrono::seconds{1'700'000'000 + count}};
}

/// A unit vector that depends on `seed` only.
inline std::vector<float> direction(std::uint64_t seed, std::size_t dimensions) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(dimensions);
  float squares = 0;
  for (float& number : out) {
    number = normal(random);
    squares += number * number;
  }
  for (float& number : out) number /= std::sqrt(squares);
  return out;
}

/// Memory `id` of a system; what it says depends on `text`, its time on `time`.
inline Memory sample(const std::string& id, const std::string& text, std::int64_t time = 0,
                     const std::string& system = "agent") {
  Memory out;
  out.key = {"acme", system, id};
  out.content = text;
  out.timestamp = seconds(time);
  out.uploaded_at = seconds(time + 1);
  out.content_hash = sha256(text);
  return out;
}

/// Runs one of Engine's writes to its end.
template <class T, class Start>
Result<T> wait_for(Start start) {
  std::promise<Result<T>> promise;
  auto future = promise.get_future();
  start([&promise](Result<T> answer) { promise.set_value(std::move(answer)); });
  return future.get();
}

inline Result<std::vector<UpsertOutcome>> upsert(hot::Engine& engine, std::vector<Memory> memories,
                                                 UpsertOptions options = {}) {
  return wait_for<std::vector<UpsertOutcome>>(
      [&](auto done) { engine.upsert(std::move(memories), options, std::move(done)); });
}

inline Result<std::uint64_t> erase(hot::Engine& engine, std::vector<Key> keys) {
  return wait_for<std::uint64_t>(
      [&](auto done) { engine.erase(std::move(keys), std::move(done)); });
}

inline Result<std::uint64_t> erase_system(hot::Engine& engine, const std::string& system) {
  return wait_for<std::uint64_t>(
      [&](auto done) { engine.erase_system("acme", system, std::move(done)); });
}

inline Result<std::uint64_t> erase_migrated(hot::Engine& engine,
                                            std::vector<std::pair<Key, Digest>> rows) {
  return wait_for<std::uint64_t>(
      [&](auto done) { engine.erase_migrated(std::move(rows), std::move(done)); });
}

inline Result<std::vector<Eligible>> eligible(hot::Engine& engine, Clock::Time before,
                                              std::size_t limit) {
  return wait_for<std::vector<Eligible>>([&](auto done) {
    engine.scan_eligible({.before = before, .limit = limit}, std::move(done));
  });
}

}  // namespace asahi::memory::hot_testing
