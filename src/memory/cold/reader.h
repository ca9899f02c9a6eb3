#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "memory/cold/catalogue.h"
#include "memory/cold/rows.h"
#include "storage/object/store.h"

namespace asahi::memory::cold {

/// Opens cold files. Small ones come as a whole and are checked by their sum, of large ones the
/// footer; both are kept in bounded memory. Thread-safe.
class Reader {
 public:
  /// `objects` outlives it. Objects up to `whole_bytes` are fetched at once; `cache_bytes` of such
  /// objects and of footers are kept.
  Reader(object::ObjectStore& objects, std::uint64_t whole_bytes, std::uint64_t cache_bytes)
      : objects_(objects), whole_bytes_(whole_bytes), cache_bytes_(cache_bytes) {}

  /// Errors: corrupt, not_found, the object store's; with the file's name.
  Result<RowFile> open(const ColdFile& file);
  /// Reads an object that was just put back and compares it with its row of the catalogue.
  /// Errors: corrupt, the object store's.
  Result<void> verify(const ColdFile& file);

 private:
  struct Cached {
    std::string name;
    std::shared_ptr<const std::string> bytes;  ///< of small objects
    std::shared_ptr<const columnar::parquet::Layout> layout;
    std::uint64_t size = 0;
  };
  std::optional<Cached> cached(const std::string& name);
  void cache(Cached entry);
  Result<RowFile> open_with(const ColdFile& file, std::shared_ptr<const std::string> bytes);

  object::ObjectStore& objects_;
  const std::uint64_t whole_bytes_, cache_bytes_;
  std::mutex mutex_;
  std::list<Cached> cache_;  ///< used last first
  std::unordered_map<std::string, std::list<Cached>::iterator> index_;
  std::uint64_t size_ = 0;
};

/// A name that no other file ever has: that of its object may come again when it was erased.
std::string unique_name(const ColdFile& file);

}  // namespace asahi::memory::cold
