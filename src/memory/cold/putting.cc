#include "memory/cold/putting.h"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <filesystem>
#include <future>
#include <system_error>
#include <utility>

#include "base/scheduling.h"
#include "memory/cold/keys.h"

namespace asahi::memory::cold {

namespace {

constexpr int kNice = 5;
constexpr int kNames = 1'000;  ///< that are tried

}  // namespace

Result<FileInMaking> FileInMaking::create(std::string path, const FileOptions& options,
                                          std::uint64_t rows) {
  ASAHI_TRY(RowWriter writer, RowWriter::create(path, options));
  return FileInMaking(std::move(path), std::move(writer), rows);
}

Result<void> FileInMaking::add(const Memory& memory) {
  if (auto ok = writer_.add(memory); !ok) return ok;
  filter_.add(memory.key.conversation_id);
  if (writer_.rows() == 1) {
    entry_.tenant = memory.key.tenant;
    entry_.system_id = memory.key.system_id;
    entry_.oldest = entry_.newest = memory.timestamp;
  }
  entry_.oldest = std::min(entry_.oldest, memory.timestamp);
  entry_.newest = std::max(entry_.newest, memory.timestamp);
  return {};
}

Result<Ready> FileInMaking::finish() {
  ASAHI_TRY(const columnar::parquet::Written written, writer_.finish());
  entry_.filter = filter_.take();
  entry_.rows = written.rows;
  entry_.bytes = written.bytes;
  entry_.sha256 = written.sha256;
  const auto day = std::chrono::floor<std::chrono::days>(entry_.oldest);
  return Ready{.entry = std::move(entry_), .path = std::move(path_), .day = day};
}

void Putting::name(Ready& file) {
  ColdFile& entry = file.entry;
  entry.changed = clock_.now();
  const std::lock_guard lock(mutex_);
  under_way_.erase(entry.key);
  // The sequence begins anew with each process: a name of this second may stand for another file,
  // whose entry must not be touched.
  do {
    entry.key = object_key({.tenant = entry.tenant,
                            .system_id = entry.system_id,
                            .day = file.day,
                            .written = entry.changed,
                            .shard = shard_of(entry.system_id, shards_),
                            .sequence = sequence_++ % 1'000'000});
  } while (listing_.has(entry.key));
  under_way_.insert(entry.key);
}

Result<void> Putting::list(std::vector<Ready>& files, const Commit& commit) {
  CatalogueChange listed;
  for (Ready& file : files) {
    file.entry.generation = listing_.next_generation();
    file.entry.state = FileState::kWriting;
    file.entry.storage_class = archive_.class_of(file.entry.newest, clock_.now());
    name(file);
    listed.put.push_back(file.entry);
  }
  return commit(listed);
}

Result<void> Putting::put(std::vector<Ready>& files, const Commit& commit) {
  if (files.size() == 1) return put(files.front(), commit);
  std::vector<std::future<Result<void>>> parts;
  for (Ready& file : files) {
    auto promise = std::make_shared<std::promise<Result<void>>>();
    parts.push_back(promise->get_future());
    boost::asio::post(work_, [this, promise, &file, &commit] {
      thread_local const bool polite = (work_in_background(kNice), true);
      static_cast<void>(polite);
      promise->set_value(put(file, commit));
    });
  }
  // All of them end before this does: they look at what is the caller's.
  Result<void> result;
  for (auto& part : parts) {
    if (auto done = part.get(); !done && result) result = std::move(done);
  }
  return result;
}

Result<void> Putting::put(Ready& file, const Commit& commit) {
  for (int i = 0;; ++i) {
    auto put = objects_.put_file(file.entry.key, file.path,
                                 {.content_type = "application/vnd.apache.parquet",
                                  .only_if_absent = true,
                                  .storage_class = file.entry.storage_class});
    if (put) break;
    if (put.error().code != Errc::kConflict) return std::unexpected(std::move(put.error()));
    // What stands there under a taken name is another's: only our entry goes.
    CatalogueChange renamed{.removed = {file.entry.key}, .put = {}};
    if (i < kNames) {
      name(file);
      renamed.put.push_back(file.entry);
    }
    if (auto ok = commit(renamed); !ok) return ok;
    if (i == kNames) return std::unexpected(std::move(put.error()));
  }
  std::error_code ignored;
  std::filesystem::remove(file.path, ignored);
  return reader_.verify(file.entry);
}

void Putting::done(const std::vector<Ready>& files) {
  const std::lock_guard lock(mutex_);
  for (const Ready& file : files) under_way_.erase(file.entry.key);
}

bool Putting::under_way(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  return under_way_.contains(key);
}

}  // namespace asahi::memory::cold
