#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "memory/model/record.h"

namespace asahi::memory::cold {

enum class FileState : std::uint8_t {
  kWriting,  ///< its object is on its way; nobody has been told that its memories are there
  kLive,
  kRetired  ///< its memories live elsewhere or nowhere; the object goes when nobody reads it any
            ///< more
};

/// What is known of one cold file without opening it.
struct ColdFile {
  std::string key;  ///< of its object, see keys.h
  std::string tenant;
  std::string system_id;
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;
  Clock::Time oldest, newest;  ///< of its memories' timestamps
  Digest sha256{};             ///< of the object, checked by reading it back
  /// Grows with every file of a catalogue: of two files with one key the later one counts.
  std::uint64_t generation = 0;
  std::string filter;                   ///< of its conversation ids, see key_filter.h
  std::vector<std::string> tombstones;  ///< conversation ids erased since, ascending

  std::string storage_class;  ///< it was put with; empty: the usual one

  FileState state = FileState::kLive;
  Clock::Time changed;  ///< when it came to this state

  bool operator==(const ColdFile&) const = default;
};

/// What changes at one moment: first `removed`, then `put`.
struct CatalogueChange {
  std::vector<std::string> removed;  ///< keys
  std::vector<ColdFile> put;         ///< new, or in place of the one with this key
};

/// Keeps the list of cold files. A file that no catalogue names is not there; so a commit is the
/// moment at which memories come, move or go. Every call blocks and comes from an ordinary thread,
/// one at a time.
class Catalogue {
 public:
  virtual ~Catalogue() = default;
  virtual Result<std::vector<ColdFile>> load() = 0;
  /// All or nothing; what was acknowledged survives `kill -9`. Errors: unavailable, conflict
  /// (another process was faster: load again).
  virtual Result<void> commit(const CatalogueChange& change) = 0;
  /// Whether another process has committed since the last `load` or `commit`.
  virtual Result<bool> changed() { return false; }
};

/// A catalogue row as JSON, for catalogues that keep text.
std::string file_text(const ColdFile& file);
/// Errors: corrupt.
Result<ColdFile> parse_file(std::string_view text);

/// A catalogue in one file: a line per change, each with its sum, written anew when most lines are
/// of the past. A torn last line was never acknowledged and is dropped.
class FileCatalogue final : public Catalogue {
 public:
  explicit FileCatalogue(std::string path) : path_(std::move(path)) {}

  /// Errors: corrupt (a line before the last does not have its sum), unavailable.
  Result<std::vector<ColdFile>> load() override;
  Result<void> commit(const CatalogueChange& change) override;

 private:
  Result<void> rewrite();

  const std::string path_;
  std::vector<ColdFile> files_;
  std::size_t lines_ = 0;
  bool loaded_ = false;
};

/// A catalogue that forgets, for tests and `lite` mode.
class MemoryCatalogue final : public Catalogue {
 public:
  Result<std::vector<ColdFile>> load() override { return files_; }
  Result<void> commit(const CatalogueChange& change) override;

 private:
  std::vector<ColdFile> files_;
};

/// `change` done to `files`.
void apply_change(const CatalogueChange& change, std::vector<ColdFile>& files);

}  // namespace asahi::memory::cold
