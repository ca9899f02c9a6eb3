#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace asahi::identity::audit {

/// A queue in a file: what was appended survives the process (kill -9), is read in order and counts
/// as taken once `done` said so. A process locks its file while it lives, so that another one knows
/// which files nobody works on any more. One thread may append while another reads.
///
/// Form: "ASAUDIT1", the offset of the first record not done (8 bytes), then records of length (4),
/// first four bytes of the payload's SHA-256 (4), payload.
class Spool {
 public:
  struct Record {
    std::uint64_t at = 0;  ///< its position; positions only grow, also when the file starts anew
    std::string payload;
  };
  struct Chunk {
    std::vector<Record> records;
    std::uint64_t end = 0;  ///< give it to `done` when they are stored
  };

  /// A new file below `folder`, which is made when it is missing. Errors: unavailable.
  static Result<std::unique_ptr<Spool>> create(const std::string& folder, std::uint64_t max_bytes);
  /// The files below `folder` whose process is gone, oldest first. A record that was cut by a crash
  /// ends its file. A file that is no spool at all stays where it is.
  static Result<std::vector<std::unique_ptr<Spool>>> adopt(const std::string& folder);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  /// Errors: unavailable (disk full, I/O), too_large (`max_bytes`); nothing of it is kept then.
  Result<void> append(const std::vector<std::string>& payloads);
  /// Up to `max_records` after the last `done`. Errors: corrupt (a checksum that does not fit).
  Result<Chunk> read(std::size_t max_records);
  void done(std::uint64_t end);
  /// Takes a record that cannot be read, and all behind it, out of the way, into a file ".damaged".
  void set_aside();

  bool drained() const;
  /// The next record's position.
  std::uint64_t end() const;
  /// Deletes the file when it is drained.
  void remove_if_drained();
  const std::string& path() const { return path_; }

 private:
  Spool(std::string path, File file, std::uint64_t max_bytes)
      : path_(std::move(path)), file_(std::move(file)), max_bytes_(max_bytes) {}
  void write_done() const;

  const std::string path_;
  const File file_;
  const std::uint64_t max_bytes_;
  mutable std::mutex mutex_;
  // Positions, and what to take from them for offsets in the file.
  std::uint64_t done_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t base_ = 0;
};

}  // namespace asahi::identity::audit
