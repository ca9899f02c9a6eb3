#pragma once

#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "memory/cold/key_filter.h"
#include "memory/cold/listing.h"
#include "memory/cold/merge_plan.h"
#include "memory/cold/reader.h"
#include "memory/cold/rows.h"
#include "storage/object/store.h"

namespace asahi::memory::cold {

/// A file that was written here and is to be put.
struct Ready {
  ColdFile entry;
  std::string path;
  std::chrono::sys_days day;
};

/// Gathers what a catalogue row says of a file while its rows are written. Rows ascend by id.
class FileInMaking {
 public:
  /// `rows`: about how many come. Errors of all: those of RowWriter.
  static Result<FileInMaking> create(std::string path, const FileOptions& options,
                                     std::uint64_t rows);
  Result<void> add(const Memory& memory);
  std::uint64_t rows() const { return writer_.rows(); }
  /// After the last of at least one row.
  Result<Ready> finish();

 private:
  FileInMaking(std::string path, RowWriter writer, std::uint64_t rows)
      : path_(std::move(path)), writer_(std::move(writer)), filter_(rows) {}
  std::string path_;
  RowWriter writer_;
  KeyFilter filter_;
  ColdFile entry_;
};

/// Puts files into the object store so that a process that is killed leaves nothing that nobody
/// knows: listed as being written first, then put, then read back. They count when the caller
/// commits them as live. Thread-safe, but for the catalogue: see `Commit`.
class Putting {
 public:
  /// Commits to the catalogue, with nobody else changing it.
  using Commit = std::function<Result<void>(const CatalogueChange&)>;

  /// All outlive it. `shards`: of the keys' names; `work`: where files are put, several at a time.
  Putting(object::ObjectStore& objects, Listing& listing, Reader& reader, const Clock& clock,
          std::uint32_t shards, ArchiveRules archive, boost::asio::thread_pool& work)
      : objects_(objects),
        listing_(listing),
        reader_(reader),
        clock_(clock),
        shards_(shards),
        archive_(std::move(archive)),
        work_(work) {}

  /// Names the files and lists them with one commit. Until `done` nobody takes them for abandoned.
  Result<void> list(std::vector<Ready>& files, const Commit& commit);
  /// Puts each and reads it back; the local file goes. One whose name is taken gets another.
  Result<void> put(std::vector<Ready>& files, const Commit& commit);
  void done(const std::vector<Ready>& files);
  /// Whether it is on its way here.
  bool under_way(const std::string& key) const;

 private:
  void name(Ready& file);
  Result<void> put(Ready& file, const Commit& commit);

  object::ObjectStore& objects_;
  Listing& listing_;
  Reader& reader_;
  const Clock& clock_;
  const std::uint32_t shards_;
  const ArchiveRules archive_;  ///< files that are old enough go there at once
  boost::asio::thread_pool& work_;
  mutable std::mutex mutex_;
  std::uint32_t sequence_ = 0;
  std::set<std::string> under_way_;  ///< keys
};

}  // namespace asahi::memory::cold
