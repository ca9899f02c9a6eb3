#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/config/loader.h"
#include "gateway/routing/model_profile.h"

namespace asahi::gateway {

/// The models the gateway knows: an immutable snapshot, freely shared between threads. A request
/// keeps the snapshot it started with, so a reload never changes a decision half way. Made by
/// RegistryBuilder.
class Registry {
 public:
  /// In the order they were added.
  std::span<const ModelProfile> all() const { return models_; }
  std::size_t size() const { return models_.size(); }
  bool empty() const { return models_.empty(); }

  /// By name or alias; null when there is none.
  const ModelProfile* get(std::string_view name) const;
  /// Position in `all()`, by name or alias.
  std::optional<std::size_t> index_of(std::string_view name) const;

  /// Chat models that are not unavailable, of at least this quality and at most this latency, best
  /// value first.
  std::vector<const ModelProfile*> filter(double min_quality, int max_latency_ms) const;

  /// Positions ordered as base selection ranks: free models first (by quality), then quality per
  /// dollar; ties by quality, latency, name (gateway spec §3.11, R22). Settled once here since it
  /// depends on no request.
  std::span<const std::uint32_t> by_value() const { return by_value_; }
  /// Positions by quality, latency, name.
  std::span<const std::uint32_t> by_quality() const { return by_quality_; }

  /// The distinct vendors, and for each model the position of its vendor among them.
  std::span<const std::string> providers() const { return providers_; }
  std::size_t provider_of(std::size_t model) const { return provider_of_[model]; }

 private:
  friend class RegistryBuilder;
  Registry() = default;

  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>{}(name);
    }
  };
  std::vector<ModelProfile> models_;
  std::unordered_map<std::string, std::uint32_t, NameHash, std::equal_to<>> index_;
  std::vector<std::uint32_t> by_value_;
  std::vector<std::uint32_t> by_quality_;
  std::vector<std::string> providers_;
  std::vector<std::uint32_t> provider_of_;
};

/// The editable form of a registry. Not thread-safe.
class RegistryBuilder {
 public:
  RegistryBuilder() = default;
  explicit RegistryBuilder(const Registry& start)
      : models_(start.all().begin(), start.all().end()) {}

  enum class Added { kNew, kReplaced };
  /// Adds or overwrites; the caller warns about kReplaced. Errors: invalid_argument for a profile
  /// that breaks a rule (prices 0 to 10 dollars per 1,000, quality 0 to 5, …) with `field` naming
  /// it, conflict for a name or alias that belongs to another model.
  Result<Added> add(ModelProfile profile);
  /// False: there was none of that name. Aliases do not count.
  bool remove(std::string_view name);
  /// By name; null when there is none. Valid until the next change.
  const ModelProfile* get(std::string_view name) const;
  std::span<const ModelProfile> all() const { return models_; }

  std::shared_ptr<const Registry> build() const;

 private:
  std::vector<ModelProfile> models_;
};

/// What reading models.yaml gave: a registry, or every fault of the file at once.
struct RegistryLoad {
  std::shared_ptr<const Registry> registry;  ///< null when there are faults
  std::vector<config::Fault>
      faults;  ///< origin "config/models.yaml:12", path "models[3].quality_score"
  std::vector<std::string> warnings;  ///< "config/models.yaml:40: 'gpt-4o' is defined again and …"
};
/// Reads YAML text of the form that config/models.yaml documents. `origin` names it in faults.
RegistryLoad parse_registry(const std::string& yaml, const std::string& origin);
/// Reads a file of at most 1 MiB. A file that cannot be read is a fault.
RegistryLoad load_registry(const std::string& path);
/// The registry compiled into the program: config/models.yaml as of the build.
std::shared_ptr<const Registry> default_registry();
/// YAML that `parse_registry` reads back to an equal registry.
std::string to_yaml(const Registry& registry);

/// The current registry of a process. Thread-safe.
class RegistryHolder {
 public:
  /// Without a file: `reload` goes back to `initial`.
  explicit RegistryHolder(std::shared_ptr<const Registry> initial);
  /// With the file `initial` was read from.
  RegistryHolder(std::shared_ptr<const Registry> initial, std::string path);

  std::shared_ptr<const Registry> get() const;
  /// Applies `change` to a copy and makes it current; changes queue up behind each other.
  /// An error of `change` leaves everything as it was.
  Result<void> edit(const std::function<Result<void>(RegistryBuilder&)>& change);
  /// Reads the file again (SIGHUP, or after `file_changed`). On faults the old registry stays.
  /// Reads a file: not for a loop's thread.
  RegistryLoad reload();
  /// The file's modification time differs from when it was last read. A file that is gone has not
  /// changed.
  bool file_changed() const;

 private:
  const std::shared_ptr<const Registry> initial_;
  const std::string path_;
  std::mutex changing_;  // held by one edit or reload from start to end
  // Guards the two below. Not std::atomic<shared_ptr>: libstdc++ 12 releases its lock bit with
  // relaxed order, a race.
  mutable std::mutex mutex_;
  std::shared_ptr<const Registry> current_;
  std::optional<std::filesystem::file_time_type> read_at_;
};

}  // namespace asahi::gateway
