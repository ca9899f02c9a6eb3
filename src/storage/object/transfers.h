#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "storage/object/curl_client.h"
#include "storage/object/store.h"

namespace asahi::object {

// What stores that are reached by HTTP do alike.

/// An upload in parts of one size, of which one is held in memory. What fits into one part goes up
/// as a whole.
class PartedUpload : public Upload {
 public:
  PartedUpload(std::string key, std::size_t part_bytes, std::size_t most_parts)
      : key_(std::move(key)), part_bytes_(part_bytes), most_parts_(most_parts) {}

  Result<void> write(std::string_view bytes) final;
  Result<ObjectInfo> finish() final;

 protected:
  /// `part` is the `number`-th, from 1.
  virtual Result<void> send(std::size_t number, std::string_view part) = 0;
  virtual Result<ObjectInfo> send_whole(std::string_view bytes) = 0;
  virtual Result<ObjectInfo> put_together(std::uint64_t size) = 0;
  /// Forgets the parts that were sent; called once at most. Destructors of subclasses call
  /// `abandon`.
  virtual void forget() = 0;
  void abandon();
  const std::string& key() const { return key_; }

 private:
  Result<void> send_part();

  const std::string key_;
  const std::size_t part_bytes_, most_parts_;
  std::string part_;
  std::size_t sent_ = 0;
  std::uint64_t size_ = 0;
  bool over_ = false;
};

/// Uploads the file, in parts of `part_bytes` or as much more as `most_parts` ask for.
Result<ObjectInfo> upload_file(
    const std::string& path, std::size_t part_bytes, std::size_t most_parts,
    const std::function<Result<std::unique_ptr<Upload>>(std::size_t part_bytes)>& begin);

/// One request of an object's bytes.
struct RangeRequest {
  std::optional<std::string> range;  ///< "bytes=10-19"; nothing: all
  std::string etag;                  ///< must still be this one; empty: any
  const Sink* sink = nullptr;
  HttpHeaders* seen = nullptr;
};
/// Reads an object; a transfer that breaks off goes on where it stood, as long as the object is the
/// same. `ask`: one attempt; `etag_of`: of an answer's headers, empty: it has none.
Result<ObjectInfo> read_resumed(ObjectStore& store, CurlClient& client, const std::string& key,
                                const Sink& sink, const ReadOptions& options,
                                const std::function<Result<HttpAnswer>(const RangeRequest&)>& ask,
                                const std::function<ObjectInfo(const HttpHeaders&)>& info_of);

}  // namespace asahi::object
