#include "storage/object/s3_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"
#include "base/hash.h"
#include "base/ids.h"
#include "base/markup.h"
#include "storage/object/keys.h"
#include "storage/object/xml.h"

namespace asahi::object {
namespace {

constexpr std::size_t kMostParts = 10'000;
/// A name for each put, so that one whose answer was lost is known again: libcurl too asks again
/// when a kept connection turns out to be dead.
constexpr std::string_view kPutName = "x-amz-meta-asahi-put";

void add_conditions(S3Request& request, const PutOptions& options) {
  if (options.only_if_absent) request.headers.emplace_back("If-None-Match", "*");
  if (!options.only_if_etag.empty())
    request.headers.emplace_back("If-Match", '"' + options.only_if_etag + '"');
}

bool is_ours(const S3Answer& there, const std::string& name) {
  const auto found = there.headers.find(kPutName);
  return found != there.headers.end() && found->second == name;
}

/// A condition on an object that is not there does not hold.
Result<S3Answer> as_conflict(Result<S3Answer> answer, const PutOptions& options) {
  if (!answer && answer.error().code == Errc::kNotFound && !options.only_if_etag.empty())
    answer.error().code = Errc::kConflict;
  return answer;
}

}  // namespace

Result<std::unique_ptr<S3Store>> S3Store::open(S3Options options) {
  if (!options.prefix.empty()) {
    if (!options.prefix.ends_with('/')) options.prefix += '/';
    if (auto good = check_prefix(options.prefix); !good) return std::unexpected(good.error());
  }
  ASAHI_TRY(auto client, S3Client::make(std::move(options)));
  return std::unique_ptr<S3Store>(new S3Store(std::move(client)));
}

std::string S3Store::where() const {
  const S3Options& options = client_->options();
  return fmt::format("s3://{}/{}", options.bucket, options.prefix);
}

Result<ObjectInfo> S3Store::put(const std::string& key, std::string_view bytes,
                                const PutOptions& options) {
  if (auto good = check_key(key); !good) return std::unexpected(good.error());
  const Digest256 digest = sha256(bytes);
  S3Request request{.method = "PUT", .key = full(key), .body = bytes};
  request.headers.emplace_back("Content-Type", options.content_type);
  if (!options.storage_class.empty())
    request.headers.emplace_back("x-amz-storage-class", options.storage_class);
  request.headers.emplace_back(
      "x-amz-checksum-sha256",
      base64_encode({reinterpret_cast<const char*>(digest.data()), digest.size()}));
  const std::string name = random_id("put_", 24);
  request.headers.emplace_back(kPutName, name);
  add_conditions(request, options);
  auto answer = client_->repeated([&](int) -> Result<S3Answer> {
    auto put = client_->once(request);
    if (put || put.error().code != Errc::kConflict) return put;
    auto there = client_->once({.method = "HEAD", .key = request.key});
    if (!there) return put;
    return is_ours(*there, name) ? std::move(there) : std::move(put);
  });
  answer = as_conflict(std::move(answer), options);
  if (!answer) return std::unexpected(std::move(answer.error()));
  ObjectInfo info = info_from(key, answer->headers);
  info.size = bytes.size();
  return info;
}

/// S3's multipart upload, begun when the first part is full: what fits into one goes by `put`.
class S3Store::Parts final : public Upload {
 public:
  Parts(S3Store& store, std::string key, PutOptions options, std::size_t part_bytes)
      : store_(store),
        client_(*store.client_),
        key_(std::move(key)),
        options_(std::move(options)),
        part_bytes_(part_bytes) {}
  ~Parts() override { abandon(); }

  Result<void> write(std::string_view bytes) override {
    if (over_) return fail(Errc::kConflict, "this upload is over");
    while (!bytes.empty()) {
      if (part_.size() == part_bytes_) {
        if (auto sent = send_part(); !sent) {
          abandon();
          return sent;
        }
      }
      if (part_.capacity() < part_bytes_ && part_.size() + bytes.size() > part_.capacity())
        part_.reserve(
            std::min(part_bytes_, std::max(part_.size() + bytes.size(), part_.size() * 2)));
      const std::size_t some = std::min(bytes.size(), part_bytes_ - part_.size());
      part_ += bytes.substr(0, some);
      bytes.remove_prefix(some);
    }
    return {};
  }

  Result<ObjectInfo> finish() override {
    if (over_) return fail(Errc::kConflict, "this upload is over");
    if (id_.empty()) {
      over_ = true;
      return store_.put(key_, part_, options_);
    }
    if (!part_.empty()) {
      if (auto sent = send_part(); !sent) {
        abandon();
        return std::unexpected(sent.error());
      }
    }
    auto done = complete();
    if (!done) abandon();
    over_ = true;
    return done;
  }

 private:
  Result<void> begin() {
    S3Request request{.method = "POST", .key = store_.full(key_), .query = {{"uploads", ""}}};
    request.headers.emplace_back("Content-Type", options_.content_type);
    if (!options_.storage_class.empty())
      request.headers.emplace_back("x-amz-storage-class", options_.storage_class);
    request.headers.emplace_back(kPutName, name_);
    ASAHI_TRY(const S3Answer answer, client_.send(request));
    ASAHI_TRY(const XmlElement begun, parse_xml(answer.body));
    id_ = begun.text_of("UploadId");
    if (id_.empty()) return fail(Errc::kUpstream, "S3 began an upload without an id");
    return {};
  }

  Result<void> send_part() {
    if (id_.empty()) {
      if (auto begun = begin(); !begun) return begun;
    }
    if (etags_.size() == kMostParts)
      return fail(Errc::kTooLarge, fmt::format("object '{}' needs more than {} parts of {} bytes",
                                               key_, kMostParts, part_bytes_));
    S3Request request{
        .method = "PUT",
        .key = store_.full(key_),
        .query = {{"partNumber", std::to_string(etags_.size() + 1)}, {"uploadId", id_}},
        .body = part_};
    request.headers.emplace_back("Content-Type", options_.content_type);
    ASAHI_TRY(const S3Answer answer, client_.send(request));
    const auto etag = answer.headers.find("etag");
    if (etag == answer.headers.end())
      return fail(Errc::kUpstream, "S3 took a part without an etag");
    etags_.push_back(etag->second);
    size_ += part_.size();
    part_.clear();
    return {};
  }

  Result<ObjectInfo> complete() {
    std::string body = "<CompleteMultipartUpload>";
    for (std::size_t i = 0; i < etags_.size(); ++i) {
      body += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", i + 1,
                          escape_markup(etags_[i]));
    }
    body += "</CompleteMultipartUpload>";
    S3Request request{
        .method = "POST", .key = store_.full(key_), .query = {{"uploadId", id_}}, .body = body};
    request.headers.emplace_back("Content-Type", "application/xml");
    add_conditions(request, options_);
    std::string etag;
    auto answer = client_.repeated([&](int) -> Result<S3Answer> {
      auto done = client_.once(request);
      if (done) {
        // S3 begins its answer before it knows how it ends.
        auto said = parse_xml(done->body);
        if (!said) return fail(Errc::kUnavailable, "S3 broke off while it put parts together");
        if (said->name == "Error") {
          return std::unexpected(
              s3_error("completion of '" + request.key + "'", 500, done->headers, done->body));
        }
        etag = bare_etag(said->text_of("ETag"));
        return done;
      }
      // An attempt before may have been taken, and its answer lost.
      const Errc code = done.error().code;
      if (code != Errc::kNotFound && code != Errc::kConflict) return done;
      auto there = client_.once({.method = "HEAD", .key = request.key});
      if (!there || !is_ours(*there, name_)) return done;
      etag = info_from(key_, there->headers).etag;
      return there;
    });
    answer = as_conflict(std::move(answer), options_);
    if (!answer) return std::unexpected(std::move(answer.error()));
    return ObjectInfo{.key = key_, .size = size_, .etag = etag};
  }

  void abandon() {
    if (!over_ && !id_.empty()) {
      // One try: what stays is for the bucket's life-cycle rule.
      static_cast<void>(client_.once(
          {.method = "DELETE", .key = store_.full(key_), .query = {{"uploadId", id_}}}));
    }
    over_ = true;
    part_ = {};
  }

  S3Store& store_;
  S3Client& client_;
  std::string key_;
  PutOptions options_;
  std::size_t part_bytes_;
  std::string part_;
  std::string name_ = random_id("put_", 24);
  std::string id_;  ///< empty: nothing was sent yet
  std::vector<std::string> etags_;
  std::uint64_t size_ = 0;
  bool over_ = false;
};

Result<std::unique_ptr<Upload>> S3Store::begin(const std::string& key, const PutOptions& options,
                                               std::size_t part_bytes) {
  if (auto good = check_key(key); !good) return std::unexpected(good.error());
  return std::make_unique<Parts>(*this, key, options, part_bytes);
}

Result<std::unique_ptr<Upload>> S3Store::begin_upload(const std::string& key,
                                                      const PutOptions& options) {
  return begin(key, options, client_->options().part_bytes);
}

Result<ObjectInfo> S3Store::put_file(const std::string& key, const std::string& path,
                                     const PutOptions& options) {
  const File from = File::open(path, O_RDONLY);
  struct stat file{};
  if (!from || ::fstat(from.get(), &file) != 0) return file_error("read", path);
  const auto size = static_cast<std::size_t>(file.st_size);
  // As many parts as S3 takes, and some to spare for a file that grows.
  const std::size_t part = std::max(client_->options().part_bytes, size / (kMostParts - 100));
  ASAHI_TRY(const auto upload, begin(key, options, part));
  constexpr std::size_t kPiece = 256 * 1024;
  std::string piece(kPiece, '\0');
  for (;;) {
    const ssize_t got = ::read(from.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return file_error("read", path);
    if (got == 0) return upload->finish();
    auto written = upload->write({piece.data(), static_cast<std::size_t>(got)});
    if (!written) return std::unexpected(written.error());
  }
}

Result<ObjectInfo> S3Store::read(const std::string& key, const Sink& sink,
                                 const ReadOptions& options) {
  if (auto good = check_key(key); !good) return std::unexpected(good.error());
  std::uint64_t taken = 0;
  bool sink_refused = false;
  const Sink counted = [&](std::string_view bytes) -> Result<void> {
    if (options.length && bytes.size() > *options.length - taken)
      return fail(Errc::kUpstream, "S3 sent more than the range asked for");
    auto good = sink(bytes);
    sink_refused = !good;
    taken += bytes.size();
    return good;
  };
  if (options.length == 0) {
    ASAHI_TRY(const auto there, head(key));
    if (!there) return fail(Errc::kNotFound, fmt::format("there is no object '{}'", key));
    return *there;
  }
  std::string etag = options.only_if_etag;
  std::optional<Error> refused;
  S3Headers seen;
  auto answer = client_->repeated([&](int) -> Result<S3Answer> {
    const std::uint64_t from = options.offset + taken;
    S3Request request{
        .method = "GET", .key = full(key), .sink = &counted, .partial = from > 0, .seen = &seen};
    if (from > 0 || options.length) {
      request.headers.emplace_back(
          "Range", options.length
                       ? fmt::format("bytes={}-{}", from, options.offset + *options.length - 1)
                       : fmt::format("bytes={}-", from));
    }
    if (!etag.empty()) request.headers.emplace_back("If-Match", '"' + etag + '"');
    auto got = client_->once(request);
    if (!got && sink_refused) {
      refused = std::move(got.error());
      return S3Answer{};
    }
    if (!got && taken > 0 && etag.empty()) {
      // The rest must belong to the beginning; without an etag nobody can say that it does.
      if (const auto named = seen.find("etag"); named != seen.end())
        etag = bare_etag(named->second);
      if (etag.empty()) refused = std::move(got.error());
      if (refused) return S3Answer{};
    }
    return got;
  });
  if (refused) return std::unexpected(*std::move(refused));
  if (answer) return info_from(key, answer->headers);
  // An empty object has no range at all.
  constexpr int kNoSuchRange = 416;
  if (answer.error().upstream_status == kNoSuchRange && options.offset == 0) {
    ASAHI_TRY(const auto there, head(key));
    if (there && there->size == 0) return *there;
  }
  return std::unexpected(std::move(answer.error()));
}

Result<std::optional<ObjectInfo>> S3Store::head(const std::string& key) {
  if (auto good = check_key(key); !good) return std::unexpected(good.error());
  auto answer = client_->send({.method = "HEAD", .key = full(key)});
  if (!answer && answer.error().code == Errc::kNotFound) return std::nullopt;
  if (!answer) return std::unexpected(std::move(answer.error()));
  return info_from(key, answer->headers);
}

Result<Page> S3Store::list(const ListQuery& query) {
  if (auto good = check_prefix(query.prefix); !good) return std::unexpected(good.error());
  if (query.limit < 1 || query.limit > 1'000)
    return fail(Errc::kInvalidArgument, "a page holds 1 to 1000 objects");
  S3Request request{
      .method = "GET",
      .key = {},
      .query = {
          {"list-type", "2"}, {"encoding-type", "url"}, {"max-keys", std::to_string(query.limit)}}};
  const std::string prefix = full(query.prefix);
  if (!prefix.empty()) request.query.emplace_back("prefix", prefix);
  if (query.folders) request.query.emplace_back("delimiter", "/");
  // Behind a folder is behind the greatest key that it could hold.
  constexpr std::string_view kGreatest = "\xF4\x8F\xBF\xBF";
  if (!query.after.empty())
    request.query.emplace_back(
        "start-after", full(query.after) + std::string(query.folders && query.after.ends_with('/')
                                                           ? kGreatest
                                                           : std::string_view{}));
  Page page;
  auto answer = client_->repeated([&](int) -> Result<S3Answer> {
    auto listed = client_->once(request);
    if (!listed) return listed;
    auto read = parse_list(listed->body, client_->options().prefix);
    // Half a list: the connection ended where the server did not say how much would come.
    if (!read) return fail(Errc::kUpstream, read.error().message);
    page = *std::move(read);
    return listed;
  });
  if (!answer) return std::unexpected(std::move(answer.error()));
  if (!page.next.empty() && page.next <= query.after)
    return fail(Errc::kUpstream, "S3 lists the same page again and again");
  return page;
}

Result<void> S3Store::erase(const std::string& key) {
  if (auto good = check_key(key); !good) return std::unexpected(good.error());
  auto answer = client_->send({.method = "DELETE", .key = full(key)});
  if (!answer && answer.error().code != Errc::kNotFound)
    return std::unexpected(std::move(answer.error()));
  return {};
}

}  // namespace asahi::object
