#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace asahi::object {

/// What a store says about one object.
struct ObjectInfo {
  std::string key;
  std::uint64_t size = 0;
  /// Of this content: it changes with every put. Opaque, without quotes; for `PutOptions` and
  /// `ReadOptions`.
  std::string etag;
  Clock::Time modified{};
};

/// What a put demands of the object that stands there; at most one of the two.
struct PutOptions {
  std::string content_type = "application/octet-stream";
  bool only_if_absent = false;  ///< else: conflict
  std::string only_if_etag;     ///< another etag, or no object: conflict; empty: whatever is there
  /// How the store keeps it, as the store names that (S3: GLACIER_IR, Google: COLDLINE, Azure:
  /// Cool); empty: as usual. A store that has no such classes takes no notice.
  std::string storage_class;
};

struct ReadOptions {
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length;  ///< to the end when absent; cut where the object ends
  std::string only_if_etag;             ///< another etag: conflict; empty: whatever is there
};

/// Takes the bytes of an object as they come; an error ends the transfer and is what the caller
/// gets.
using Sink = std::function<Result<void>(std::string_view bytes)>;

struct ListQuery {
  std::string prefix;         ///< of keys; need not end at a '/'
  std::string after;          ///< keys greater than this
  std::size_t limit = 1'000;  ///< of one page, 1 to 1000
  /// Keys with a '/' behind the prefix are not listed one by one: what they share up to it stands
  /// in Page::folders. `after` may be such a folder: all below it is passed over.
  bool folders = false;
};
struct Page {
  std::vector<ObjectInfo> objects;   ///< by key, ascending as bytes
  std::vector<std::string> folders;  ///< each with its '/', ascending; part of the limit
  std::string next;                  ///< `after` of the next page; empty: this was the last
};

/// An object that is written piece by piece, in bounded memory. Nothing is to be seen of it before
/// `finish`; destroyed without: nothing happened. One thread at a time.
class Upload {
 public:
  virtual ~Upload() = default;
  virtual Result<void> write(std::string_view bytes) = 0;
  /// After it, and after any error, the upload is over.
  virtual Result<ObjectInfo> finish() = 0;
};

/// Objects by key, in a folder or in S3. One contract suite runs over both. Every call blocks: call
/// from an ordinary thread, or through `TaskStore`. Thread-safe.
///
/// A put is atomic and durable: readers see the whole old or the whole new object, and what was
/// acknowledged survives a crash. What is written is checked on its way (S3: SHA-256 of every
/// body); whoever wants to know what lies there reads it back.
///
/// Keys: `check_key`. Errors: invalid_argument (key, range, settings such as a missing bucket),
/// not_found, conflict (a condition does not hold), forbidden, too_large, cancelled (`stop`),
/// and, after the attempts that the settings allow: unavailable, rate_limited, timeout, upstream
/// (the store says nonsense).
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  virtual Result<ObjectInfo> put(const std::string& key, std::string_view bytes,
                                 const PutOptions& options = {}) = 0;
  /// The content of a file; large ones in parts. The file must not change meanwhile.
  virtual Result<ObjectInfo> put_file(const std::string& key, const std::string& path,
                                      const PutOptions& options = {}) = 0;
  virtual Result<std::unique_ptr<Upload>> begin_upload(const std::string& key,
                                                       const PutOptions& options = {}) = 0;
  /// Errors: those of `sink`; invalid_argument when the range begins behind the end.
  virtual Result<ObjectInfo> read(const std::string& key, const Sink& sink,
                                  const ReadOptions& options = {}) = 0;
  /// Empty: there is none.
  virtual Result<std::optional<ObjectInfo>> head(const std::string& key) = 0;
  virtual Result<Page> list(const ListQuery& query) = 0;
  /// An absent object counts as erased.
  virtual Result<void> erase(const std::string& key) = 0;

  /// Ends what runs, soon, with `cancelled`; and what comes. Any thread.
  virtual void stop() = 0;
  /// "s3://bucket/prefix", "file:///var/lib/archive": for logs.
  virtual std::string where() const = 0;

  /// The object's bytes at once. Errors: too_large above `max_bytes`.
  Result<std::string> get(const std::string& key, std::size_t max_bytes,
                          const ReadOptions& options = {});
  /// The object as a file, which is there as a whole or not at all. Uses `{path}.new`.
  Result<ObjectInfo> get_file(const std::string& key, const std::string& path);
  /// Calls `visit` with every object of the prefix, by key, until it gives false.
  Result<void> each(const std::string& prefix, const std::function<bool(const ObjectInfo&)>& visit);
};

}  // namespace asahi::object
