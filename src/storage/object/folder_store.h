#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/file.h"
#include "storage/object/store.h"

namespace asahi::object {

/// Objects as files below a folder, each under its key. Written beside (`.asahi-tmp/`), synced,
/// then renamed; several processes may share the folder, on a file system with rename and flock.
/// Links within the folder are not followed, so that no key leads out of it.
class FolderStore final : public ObjectStore {
 public:
  /// Makes the folder where it is missing. Errors: unavailable.
  static Result<std::unique_ptr<FolderStore>> open(std::string folder);

  Result<ObjectInfo> put(const std::string& key, std::string_view bytes,
                         const PutOptions& options = {}) override;
  Result<ObjectInfo> put_file(const std::string& key, const std::string& path,
                              const PutOptions& options = {}) override;
  Result<std::unique_ptr<Upload>> begin_upload(const std::string& key,
                                               const PutOptions& options = {}) override;
  Result<ObjectInfo> read(const std::string& key, const Sink& sink,
                          const ReadOptions& options = {}) override;
  Result<std::optional<ObjectInfo>> head(const std::string& key) override;
  Result<Page> list(const ListQuery& query) override;
  Result<void> erase(const std::string& key) override;
  void stop() override { stopped_ = true; }
  std::string where() const override { return "file://" + path_; }

 private:
  class Writing;
  class Change;
  struct Walk;

  FolderStore(std::string path, File root) : path_(std::move(path)), root_(std::move(root)) {}
  void sweep_remains() const;
  Result<void> running() const;
  /// The folder that holds `key`; not open and errno set when it cannot be had.
  File folder_of(const std::string& key, bool create) const;
  Result<ObjectInfo> commit(Writing& writing);
  Result<void> list_folder(Walk& walk, int folder, const std::string& path) const;

  std::string path_;
  File root_;
  std::mutex changing_;  ///< beside flock, which does not part threads
  std::atomic<bool> stopped_{false};
};

}  // namespace asahi::object
