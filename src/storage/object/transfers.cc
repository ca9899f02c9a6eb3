#include "storage/object/transfers.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/file.h"
#include "storage/object/pieces.h"

namespace asahi::object {

Result<void> PartedUpload::write(std::string_view bytes) {
  if (over_) return fail(Errc::kConflict, "this upload is over");
  while (!bytes.empty()) {
    if (part_.size() == part_bytes_) {
      if (auto sent = send_part(); !sent) {
        abandon();
        return sent;
      }
    }
    if (part_.capacity() < part_bytes_ && part_.size() + bytes.size() > part_.capacity())
      part_.reserve(std::min(part_bytes_, std::max(part_.size() + bytes.size(), part_.size() * 2)));
    const std::size_t some = std::min(bytes.size(), part_bytes_ - part_.size());
    part_ += bytes.substr(0, some);
    bytes.remove_prefix(some);
  }
  return {};
}

Result<ObjectInfo> PartedUpload::finish() {
  if (over_) return fail(Errc::kConflict, "this upload is over");
  if (sent_ == 0) {
    over_ = true;
    return send_whole(part_);
  }
  if (!part_.empty()) {
    if (auto sent = send_part(); !sent) {
      abandon();
      return std::unexpected(sent.error());
    }
  }
  auto done = put_together(size_);
  if (!done) abandon();
  over_ = true;
  return done;
}

Result<void> PartedUpload::send_part() {
  if (sent_ == most_parts_)
    return fail(Errc::kTooLarge, fmt::format("object '{}' needs more than {} parts of {} bytes",
                                             key_, most_parts_, part_bytes_));
  // Counted before: what failed half-way is to be forgotten, too.
  if (auto sent = send(++sent_, part_); !sent) return sent;
  size_ += part_.size();
  part_.clear();
  return {};
}

void PartedUpload::abandon() {
  if (!over_ && sent_ > 0) forget();
  over_ = true;
  part_ = {};
}

Result<ObjectInfo> upload_file(
    const std::string& path, std::size_t part_bytes, std::size_t most_parts,
    const std::function<Result<std::unique_ptr<Upload>>(std::size_t part_bytes)>& begin) {
  const File from = File::open(path, O_RDONLY);
  struct stat file{};
  if (!from || ::fstat(from.get(), &file) != 0) return file_error("read", path);
  const auto size = static_cast<std::size_t>(file.st_size);
  // As many parts as the store takes, and some to spare for a file that grows.
  ASAHI_TRY(const auto upload, begin(std::max(part_bytes, size / (most_parts - 100))));
  return send_pieces(from, path, *upload);
}

Result<ObjectInfo> read_resumed(ObjectStore& store, CurlClient& client, const std::string& key,
                                const Sink& sink, const ReadOptions& options,
                                const std::function<Result<HttpAnswer>(const RangeRequest&)>& ask,
                                const std::function<ObjectInfo(const HttpHeaders&)>& info_of) {
  std::uint64_t taken = 0;
  bool sink_refused = false;
  const Sink counted = [&](std::string_view bytes) -> Result<void> {
    if (options.length && bytes.size() > *options.length - taken)
      return fail(Errc::kUpstream, "the store sent more than the range asked for");
    auto good = sink(bytes);
    sink_refused = !good;
    taken += bytes.size();
    return good;
  };
  if (options.length == 0) {
    ASAHI_TRY(const auto there, store.head(key));
    if (!there) return fail(Errc::kNotFound, fmt::format("there is no object '{}'", key));
    return *there;
  }
  std::string etag = options.only_if_etag;
  std::optional<Error> refused;
  HttpHeaders seen;
  auto answer = client.repeated([&](int) -> Result<HttpAnswer> {
    const std::uint64_t from = options.offset + taken;
    RangeRequest request{.range = {}, .etag = etag, .sink = &counted, .seen = &seen};
    if (options.length) {
      request.range = fmt::format("bytes={}-{}", from, options.offset + *options.length - 1);
    } else if (from > 0) {
      request.range = fmt::format("bytes={}-", from);
    }
    auto got = ask(request);
    if (!got && sink_refused) {
      refused = std::move(got.error());
      return HttpAnswer{};
    }
    if (!got && taken > 0 && etag.empty()) {
      // The rest must belong to the beginning; without an etag nobody can say that it does.
      etag = info_of(seen).etag;
      if (etag.empty()) refused = std::move(got.error());
      if (refused) return HttpAnswer{};
    }
    return got;
  });
  if (refused) return std::unexpected(*std::move(refused));
  if (answer) {
    ObjectInfo info = info_of(answer->headers);
    info.key = key;
    // Azure's answer to a range that begins just at the end is not always 416.
    if (options.offset > 0 && options.offset >= info.size)
      return fail(Errc::kInvalidArgument,
                  fmt::format("the range begins behind the end of object '{}'", key));
    return info;
  }
  // An empty object has no range at all.
  constexpr int kNoSuchRange = 416;
  if (answer.error().upstream_status == kNoSuchRange && options.offset == 0) {
    ASAHI_TRY(const auto there, store.head(key));
    if (there && there->size == 0) return *there;
  }
  return std::unexpected(std::move(answer.error()));
}

}  // namespace asahi::object
