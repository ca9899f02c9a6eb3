#pragma once

#include <memory>
#include <string>

#include "storage/object/s3_client.h"
#include "storage/object/store.h"

namespace asahi::object {

/// Objects in a bucket of Amazon S3, of a server that speaks its protocol, or of Google
/// (S3Dialect). Conditions of puts are S3's own (If-None-Match, If-Match): servers without them
/// (before 2024) ignore them.
class S3Store final : public ObjectStore {
 public:
  /// Does not ask the server. Errors: those of S3Client::make.
  static Result<std::unique_ptr<S3Store>> open(S3Options options);

  Result<ObjectInfo> put(const std::string& key, std::string_view bytes,
                         const PutOptions& options = {}) override;
  Result<ObjectInfo> put_file(const std::string& key, const std::string& path,
                              const PutOptions& options = {}) override;
  Result<std::unique_ptr<Upload>> begin_upload(const std::string& key,
                                               const PutOptions& options = {}) override;
  /// A transfer that breaks off goes on where it stood, as long as the object is the same.
  Result<ObjectInfo> read(const std::string& key, const Sink& sink,
                          const ReadOptions& options = {}) override;
  Result<std::optional<ObjectInfo>> head(const std::string& key) override;
  Result<Page> list(const ListQuery& query) override;
  Result<void> erase(const std::string& key) override;
  void stop() override { client_->stop(); }
  std::string where() const override;

 private:
  class Parts;
  explicit S3Store(std::unique_ptr<S3Client> client) : client_(std::move(client)) {}
  S3Dialect dialect() const { return client_->options().dialect; }
  std::string full(const std::string& key) const { return client_->options().prefix + key; }
  Result<std::unique_ptr<Upload>> begin(const std::string& key, const PutOptions& options,
                                        std::size_t part_bytes);

  std::unique_ptr<S3Client> client_;
};

}  // namespace asahi::object
