#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "memory/cold/catalogue.h"

namespace asahi::memory::cold {

/// The catalogue's rows in memory. Whoever changes something (`load`, `refresh`, `commit`) is alone
/// in that; everybody may read meanwhile.
class Listing {
 public:
  using File = std::shared_ptr<const ColdFile>;
  using Owner = std::pair<std::string, std::string>;  ///< tenant, system

  /// `catalogue` outlives it.
  explicit Listing(Catalogue& catalogue) : catalogue_(catalogue) {}

  Result<void> load();
  /// Whether it was ever read.
  bool known() const { return known_; }
  /// Takes in what other processes committed since.
  Result<void> refresh();
  /// Errors: those of the catalogue; nothing changed.
  Result<void> commit(const CatalogueChange& change);

  std::vector<File> live(const Owner& owner) const;
  std::vector<File> live(const std::string& tenant) const;  ///< of all tenants: ""
  /// What is being written or was retired.
  std::vector<File> others() const;
  /// The file as it is now; null: it is not live any more, or another one has its name.
  File still_live(const ColdFile& file) const;
  /// Whether there is a file of that name, in whatever state.
  bool has(const std::string& key) const;
  std::uint64_t next_generation();
  /// Grows with every change of what a tenant's live files hold.
  std::uint64_t version(const std::string& tenant) const;

 private:
  void take(std::vector<ColdFile> files);
  void put(const ColdFile& file);
  void remove(const std::string& key);

  Catalogue& catalogue_;
  std::atomic<bool> known_{false};
  mutable std::mutex mutex_;
  std::map<Owner, std::map<std::string, File>> live_;  ///< by key
  std::map<std::string, File> others_;                 ///< by key
  std::map<std::string, Owner> owners_;                ///< of live files, by key
  std::uint64_t generation_ = 0;
  std::uint64_t taken_ = 0;  ///< part of every tenant's version
  std::map<std::string, std::uint64_t> versions_;
};

}  // namespace asahi::memory::cold
