#pragma once

#include <boost/asio/thread_pool.hpp>

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/log.h"
#include "gateway/features/feature_store.h"

namespace asahi::gateway {

/// Features from one JSON file: `{type: {id: {feature: value, "_updated_at": RFC 3339}}}`, read
/// again when it changes. An id is "organisation/id"; an id without organisation belongs to callers
/// without credential (the organisation "default"), and for the type organization the id is the
/// organisation's own. Without `_updated_at` a feature is as old as the file. A file that cannot be
/// read leaves what was read before.
class LocalFeatureStore final : public FeatureStore {
 public:
  static constexpr std::uintmax_t kLargestFile = 64U << 20;

  /// `clock` outlives the store. The file is first read by `refresh`.
  LocalFeatureStore(std::string path, const Clock& clock);

  std::string_view source() const override { return "local"; }
  Task<FeatureVector> get_features(Entity entity, std::vector<std::string> names,
                                   Deadline deadline) override;
  Task<std::vector<FeatureVector>> get_batch_features(std::string org, EntityType type,
                                                      std::vector<std::string> ids,
                                                      std::vector<std::string> names,
                                                      Deadline deadline) override;
  Task<void> health_check(Deadline deadline) override;

  /// Reads the file if it has changed. Blocks: not on a loop.
  void refresh();

 private:
  struct Data {
    std::map<std::string, FeatureVector, std::less<>> entities[3];  ///< by id, per type
    std::vector<std::string> names[3];                              ///< that occur in the file
  };
  Result<std::shared_ptr<const Data>> read(std::filesystem::file_time_type changed) const;
  std::shared_ptr<const Data> data() const;

  const std::string path_;
  const Clock& clock_;
  Logger logger_{"features"};
  mutable std::mutex mutex_;  // guards what follows
  std::shared_ptr<const Data> data_;
  std::optional<std::filesystem::file_time_type> seen_;
  std::string wrong_;
};

}  // namespace asahi::gateway
