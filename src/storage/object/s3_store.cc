#include "storage/object/s3_store.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "base/ids.h"
#include "base/markup.h"
#include "storage/object/keys.h"
#include "storage/object/transfers.h"
#include "storage/object/xml.h"

namespace asahi::object {
namespace {

constexpr std::size_t kMostParts = 10'000;
/// A name for each put, so that one whose answer was lost is known again: libcurl too asks again
/// when a kept connection turns out to be dead.
constexpr std::string_view kPutName = "meta-asahi-put";

void add_conditions(S3Request& request, const PutOptions& options, S3Dialect dialect) {
  if (dialect == S3Dialect::kGoogle) {
    const std::string generation = options.only_if_absent ? "0" : options.only_if_etag;
    if (!generation.empty()) request.headers.emplace_back("x-goog-if-generation-match", generation);
    return;
  }
  if (options.only_if_absent) request.headers.emplace_back("If-None-Match", "*");
  if (!options.only_if_etag.empty())
    request.headers.emplace_back("If-Match", '"' + options.only_if_etag + '"');
}

void add_storage_class(S3Request& request, const PutOptions& options, S3Dialect dialect) {
  if (!options.storage_class.empty())
    request.headers.emplace_back(own_header(dialect, "storage-class"), options.storage_class);
}

/// Google says of no generation that is no number what it is: it is none that could stand there.
bool cannot_hold(const PutOptions& options, S3Dialect dialect) {
  return dialect == S3Dialect::kGoogle && !options.only_if_etag.empty() &&
         options.only_if_etag.find_first_not_of("0123456789") != std::string::npos;
}

/// A sum of the body that the store compares. Amazon also compares the signed one; Google's
/// documentation promises that of the MD5.
void add_checksum(S3Request& request, S3Dialect dialect) {
  const auto text = [](const auto& digest) {
    return base64_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
  };
  if (dialect == S3Dialect::kGoogle) {
    request.headers.emplace_back("Content-MD5", text(md5(request.body)));
  } else {
    request.headers.emplace_back("x-amz-checksum-sha256", text(sha256(request.body)));
  }
}

bool is_ours(const HttpAnswer& there, const std::string& name, S3Dialect dialect) {
  return header_of(there.headers, own_header(dialect, kPutName)) == name;
}

/// A condition on an object that is not there does not hold.
Result<HttpAnswer> as_conflict(Result<HttpAnswer> answer, const PutOptions& options) {
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
  return fmt::format("{}://{}/{}", dialect() == S3Dialect::kGoogle ? "gs" : "s3", options.bucket,
                     options.prefix);
}

Result<ObjectInfo> S3Store::put(const std::string& key, std::string_view bytes,
                                const PutOptions& options) {
  if (auto good = check_key(key); !good) return std::unexpected(good.error());
  if (cannot_hold(options, dialect()))
    return fail(Errc::kConflict, fmt::format("object '{}' has another generation", key));
  S3Request request{.method = "PUT", .key = full(key), .body = bytes};
  request.headers.emplace_back("Content-Type", options.content_type);
  add_storage_class(request, options, dialect());
  add_checksum(request, dialect());
  const std::string name = random_id("put_", 24);
  request.headers.emplace_back(own_header(dialect(), kPutName), name);
  add_conditions(request, options, dialect());
  auto answer = client_->repeated([&](int) -> Result<HttpAnswer> {
    auto put = client_->once(request);
    if (put || put.error().code != Errc::kConflict) return put;
    auto there = client_->once({.method = "HEAD", .key = request.key});
    if (!there) return put;
    return is_ours(*there, name, dialect()) ? std::move(there) : std::move(put);
  });
  answer = as_conflict(std::move(answer), options);
  if (!answer) return std::unexpected(std::move(answer.error()));
  ObjectInfo info = info_from(key, answer->headers, dialect());
  info.size = bytes.size();
  return info;
}

/// S3's multipart upload, begun when the first part is full. Where parts that are put together
/// know no conditions (Google) and there are some, they become an object under a name of our own,
/// which is then copied under the conditions.
class S3Store::Parts final : public PartedUpload {
 public:
  Parts(S3Store& store, std::string key, PutOptions options, std::size_t part_bytes)
      : PartedUpload(std::move(key), part_bytes, kMostParts),
        store_(store),
        client_(*store.client_),
        options_(std::move(options)),
        aside_(store.dialect() == S3Dialect::kGoogle &&
               (options_.only_if_absent || !options_.only_if_etag.empty())),
        target_(store.full(aside_ ? std::string(kOwnNames) + name_ : this->key())) {}
  ~Parts() override { abandon(); }

 private:
  Result<ObjectInfo> send_whole(std::string_view bytes) override {
    return store_.put(key(), bytes, options_);
  }

  Result<void> begin() {
    S3Request request{.method = "POST", .key = target_, .query = {{"uploads", ""}}};
    request.headers.emplace_back("Content-Type", options_.content_type);
    add_storage_class(request, options_, store_.dialect());
    request.headers.emplace_back(own_header(store_.dialect(), kPutName), name_);
    ASAHI_TRY(const HttpAnswer answer, client_.send(request));
    ASAHI_TRY(const XmlElement begun, parse_xml(answer.body));
    id_ = begun.text_of("UploadId");
    if (id_.empty()) return fail(Errc::kUpstream, "S3 began an upload without an id");
    return {};
  }

  Result<void> send(std::size_t number, std::string_view part) override {
    if (cannot_hold(options_, store_.dialect()))
      return fail(Errc::kConflict, fmt::format("object '{}' has another generation", key()));
    if (id_.empty()) {
      if (auto begun = begin(); !begun) return begun;
    }
    S3Request request{.method = "PUT",
                      .key = target_,
                      .query = {{"partNumber", std::to_string(number)}, {"uploadId", id_}},
                      .body = part};
    request.headers.emplace_back("Content-Type", options_.content_type);
    if (store_.dialect() == S3Dialect::kGoogle) add_checksum(request, store_.dialect());
    ASAHI_TRY(const HttpAnswer answer, client_.send(request));
    const auto etag = answer.headers.find("etag");
    if (etag == answer.headers.end())
      return fail(Errc::kUpstream, "S3 took a part without an etag");
    etags_.push_back(etag->second);
    return {};
  }

  Result<ObjectInfo> put_together(std::uint64_t size) override {
    ASAHI_TRY(std::string etag, complete());
    if (aside_) {
      auto copied = copy();
      // One try: what stays is for the bucket's life-cycle rule.
      static_cast<void>(client_.once({.method = "DELETE", .key = target_}));
      if (!copied) return std::unexpected(std::move(copied.error()));
      etag = *std::move(copied);
    }
    return ObjectInfo{.key = key(), .size = size, .etag = std::move(etag)};
  }

  /// The etag of what it made.
  Result<std::string> complete() {
    std::string body = "<CompleteMultipartUpload>";
    for (std::size_t i = 0; i < etags_.size(); ++i) {
      body += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", i + 1,
                          escape_markup(etags_[i]));
    }
    body += "</CompleteMultipartUpload>";
    S3Request request{.method = "POST", .key = target_, .query = {{"uploadId", id_}}, .body = body};
    request.headers.emplace_back("Content-Type", "application/xml");
    if (!aside_) add_conditions(request, options_, store_.dialect());
    const S3Dialect dialect = store_.dialect();
    std::string etag;
    auto answer = client_.repeated([&](int) -> Result<HttpAnswer> {
      auto done = client_.once(request);
      if (done) {
        // S3 begins its answer before it knows how it ends.
        auto said = parse_xml(done->body);
        if (!said) return fail(Errc::kUnavailable, "S3 broke off while it put parts together");
        if (said->name == "Error") {
          return std::unexpected(
              s3_error("completion of '" + request.key + "'", 500, done->headers, done->body));
        }
        etag = dialect == S3Dialect::kGoogle ? header_of(done->headers, "x-goog-generation")
                                             : bare_etag(said->text_of("ETag"));
        if (!etag.empty()) return done;
      } else {
        // An attempt before may have been taken, and its answer lost.
        const Errc code = done.error().code;
        if (code != Errc::kNotFound && code != Errc::kConflict) return done;
      }
      auto there = client_.once({.method = "HEAD", .key = request.key});
      if (!there || !is_ours(*there, name_, dialect)) return done;
      etag = info_from(key(), there->headers, dialect).etag;
      return there;
    });
    answer = as_conflict(std::move(answer), options_);
    if (!answer) return std::unexpected(std::move(answer.error()));
    return etag;
  }

  /// The object put aside, under its name, if the conditions hold; its etag there.
  Result<std::string> copy() {
    S3Request request{.method = "PUT", .key = store_.full(key())};
    request.headers.emplace_back(
        "x-goog-copy-source", fmt::format("/{}/{}", client_.options().bucket, encode_key(target_)));
    request.headers.emplace_back("Content-Type", options_.content_type);
    add_storage_class(request, options_, store_.dialect());
    add_conditions(request, options_, store_.dialect());
    std::string etag;
    auto answer = client_.repeated([&](int) -> Result<HttpAnswer> {
      auto copied = client_.once(request);
      if (!copied && copied.error().code != Errc::kConflict) return copied;
      // The answer tells too little of the copy; it carries the put's name, as all metadata.
      auto there = client_.once({.method = "HEAD", .key = request.key});
      if (!there) return copied ? std::move(there) : std::move(copied);
      if (!copied && !is_ours(*there, name_, store_.dialect())) return copied;
      etag = info_from(key(), there->headers, store_.dialect()).etag;
      return there;
    });
    answer = as_conflict(std::move(answer), options_);
    if (!answer) return std::unexpected(std::move(answer.error()));
    return etag;
  }

  void forget() override {
    if (id_.empty()) return;
    // One try: what stays is for the bucket's life-cycle rule.
    static_cast<void>(
        client_.once({.method = "DELETE", .key = target_, .query = {{"uploadId", id_}}}));
  }

  S3Store& store_;
  S3Client& client_;
  const PutOptions options_;
  const std::string name_ = random_id("put_", 24);
  const bool aside_;
  const std::string target_;  ///< where the parts become an object, with the store's prefix
  std::string id_;            ///< empty: nothing was sent yet
  std::vector<std::string> etags_;
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
  return upload_file(path, client_->options().part_bytes, kMostParts,
                     [&](std::size_t part) { return begin(key, options, part); });
}

Result<ObjectInfo> S3Store::read(const std::string& key, const Sink& sink,
                                 const ReadOptions& options) {
  if (auto good = check_key(key); !good) return std::unexpected(good.error());
  const auto ask = [&](const RangeRequest& asked) {
    S3Request request{.method = "GET",
                      .key = full(key),
                      .sink = asked.sink,
                      .partial = asked.range && !asked.range->starts_with("bytes=0-"),
                      .seen = asked.seen};
    if (asked.range) request.headers.emplace_back("Range", *asked.range);
    if (!asked.etag.empty()) {
      if (dialect() == S3Dialect::kGoogle) {
        request.headers.emplace_back("x-goog-if-generation-match", asked.etag);
      } else {
        request.headers.emplace_back("If-Match", '"' + asked.etag + '"');
      }
    }
    return client_->once(request);
  };
  return read_resumed(
      *this, client_->connections(), key, sink, options, ask,
      [this](const HttpHeaders& headers) { return info_from({}, headers, dialect()); });
}

Result<std::optional<ObjectInfo>> S3Store::head(const std::string& key) {
  if (auto good = check_key(key); !good) return std::unexpected(good.error());
  auto answer = client_->send({.method = "HEAD", .key = full(key)});
  if (!answer && answer.error().code == Errc::kNotFound) return std::nullopt;
  if (!answer) return std::unexpected(std::move(answer.error()));
  return info_from(key, answer->headers, dialect());
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
  auto answer = client_->repeated([&](int) -> Result<HttpAnswer> {
    auto listed = client_->once(request);
    if (!listed) return listed;
    auto read = parse_list(listed->body, client_->options().prefix, dialect());
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
