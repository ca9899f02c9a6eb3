#include "storage/object/s3_client.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "storage/object/curl_library.h"

namespace asahi::object {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostKept = 16 * 1024 * 1024;  ///< of a body that goes to no sink
constexpr std::size_t kMostHandles = 16;             ///< idle ones

std::string what_of(const S3Request& request) {
  return request.key.empty() ? fmt::format("{} of the bucket", request.method)
                             : fmt::format("{} of '{}'", request.method, request.key);
}

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, FreeList>;

void append(List& list, const std::string& line) {
  if (curl_slist* longer = curl_slist_append(list.get(), line.c_str()); longer != nullptr) {
    static_cast<void>(list.release());
    list.reset(longer);
  }
}

Result<void> check(const S3Options& options) {
  const auto good = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  };
  if (options.bucket.size() < 3 || options.bucket.size() > 63 ||
      !std::ranges::all_of(options.bucket, good) || options.bucket.front() == '.' ||
      options.bucket.contains("..")) {
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is no name of a bucket: 3 to 63 of a-z, 0-9, '-' and '.'",
                            options.bucket));
  }
  if (options.region.empty() || !std::ranges::all_of(options.region, good))
    return fail(Errc::kInvalidArgument,
                fmt::format("'{}' is no region such as eu-central-1", options.region));
  if (!options.endpoint.empty() && !options.endpoint.starts_with("https://") &&
      !options.endpoint.starts_with("http://"))
    return fail(
        Errc::kInvalidArgument,
        fmt::format("the endpoint '{}' must begin with https:// or http://", options.endpoint));
  if (options.credentials.access_key_id.empty() || options.credentials.secret_access_key.empty())
    return fail(Errc::kInvalidArgument,
                "S3 needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  constexpr std::size_t kLeast = 5 * 1024 * 1024, kMost = 1024 * 1024 * 1024;
  if (options.part_bytes < kLeast || options.part_bytes > kMost)
    return fail(Errc::kInvalidArgument, "parts of an upload are 5 MiB to 1 GiB");
  return {};
}

}  // namespace

/// What the callbacks of one transfer write to.
struct S3Client::Transfer {
  S3Client& client;
  CURL* handle;
  const S3Request& request;
  S3Answer answer;
  std::optional<Error> refused;  ///< by the sink, or for its size

  static std::size_t header(char* data, std::size_t size, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    const std::string_view line(data, size * count);
    // A new head begins: that of the answer after "100 Continue".
    if (line.starts_with("HTTP/")) transfer.answer.headers.clear();
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos) {
      std::string name(line.substr(0, colon));
      std::ranges::transform(name, name.begin(),
                             [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      std::string_view value = line.substr(colon + 1);
      while (!value.empty() && (value.front() == ' ' || value.front() == '\t'))
        value.remove_prefix(1);
      while (!value.empty() && static_cast<unsigned char>(value.back()) <= ' ')
        value.remove_suffix(1);
      transfer.answer.headers[std::move(name)] = value;
    }
    return line.size();
  }

  static std::size_t body(char* data, std::size_t size, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    const std::string_view bytes(data, size * count);
    long status = 0;
    get_info(transfer.handle, CURLINFO_RESPONSE_CODE, &status);
    if (status < 300 && status != 206 && transfer.request.partial) {
      transfer.refused = fail(Errc::kUpstream, "S3 took no notice of the range asked for").error();
      return 0;
    }
    if (status < 300 && transfer.request.sink != nullptr) {
      if (auto taken = (*transfer.request.sink)(bytes); !taken) {
        transfer.refused = std::move(taken.error());
        return 0;
      }
    } else if (transfer.answer.body.size() + bytes.size() > kMostKept) {
      transfer.refused = fail(Errc::kUpstream, "S3 answered with more than it should").error();
      return 0;
    } else {
      transfer.answer.body += bytes;
    }
    return bytes.size();
  }

  static int progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Transfer*>(self)->client.stopped_.load(std::memory_order_relaxed) ? 1 : 0;
  }
};

Result<std::unique_ptr<S3Client>> S3Client::make(S3Options options) {
  if (auto good = check(options); !good) return std::unexpected(good.error());
  if (auto loaded = libcurl.load(); !loaded) return std::unexpected(loaded.error());
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (ready != CURLE_OK || curl_easy_option_by_name("AWS_SIGV4") == nullptr) {
    return fail(Errc::kUnavailable,
                "this libcurl cannot sign requests for S3; 7.88 or later is needed");
  }
  const bool amazon = options.endpoint.empty();
  std::string endpoint =
      amazon ? fmt::format("https://s3.{}.amazonaws.com", options.region) : options.endpoint;
  while (endpoint.ends_with('/')) endpoint.pop_back();
  using Addressing = S3Options::Addressing;
  const bool in_host =
      options.addressing == Addressing::kVirtualHost ||
      (options.addressing == Addressing::kAutomatic && amazon && !options.bucket.contains('.'));
  std::unique_ptr<S3Client> client(new S3Client(std::move(options)));
  if (in_host) {
    const std::size_t host = endpoint.find("://") + 3;
    client->base_ =
        endpoint.substr(0, host) + client->options_.bucket + '.' + endpoint.substr(host) + '/';
  } else {
    client->base_ = endpoint + '/' + client->options_.bucket + '/';
  }
  return client;
}

S3Client::~S3Client() {
  for (void* handle : handles_) curl_easy_cleanup(handle);
}

void S3Client::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
  }
  stop_signal_.notify_all();
}

bool S3Client::pause(milliseconds time) {
  std::unique_lock lock(mutex_);
  return !stop_signal_.wait_for(lock, time, [&] { return stopped_.load(); });
}

void* S3Client::take_handle() {
  {
    const std::scoped_lock lock(mutex_);
    if (!handles_.empty()) {
      void* handle = handles_.back();
      handles_.pop_back();
      return handle;
    }
  }
  return curl_easy_init();
}

void S3Client::give_handle(void* handle) {
  curl_easy_reset(handle);  // keeps the connections
  {
    const std::scoped_lock lock(mutex_);
    if (handles_.size() < kMostHandles) {
      handles_.push_back(handle);
      return;
    }
  }
  curl_easy_cleanup(handle);
}

std::string S3Client::url_of(const S3Request& request) const {
  std::string url = base_ + encode_key(request.key);
  if (!request.query.empty()) url += '?' + canonical_query(request.query);
  return url;
}

Result<S3Answer> S3Client::once(const S3Request& request) {
  if (stopped_) return fail(Errc::kCancelled, "the object store has been stopped");
  const std::unique_ptr<void, std::function<void(void*)>> owner(
      take_handle(), [this](void* handle) { give_handle(handle); });
  CURL* const curl = owner.get();
  if (curl == nullptr) return fail(Errc::kUnavailable, "libcurl gives no handle");

  Transfer transfer{
      .client = *this, .handle = curl, .request = request, .answer = {}, .refused = {}};
  const std::string url = url_of(request);
  const std::string_view method = request.method;
  const std::string provider = fmt::format("aws:amz:{}:s3", options_.region);
  List headers;
  // The body's hash is signed, so whatever changes on the way is noticed there.
  append(headers, "x-amz-content-sha256: " + to_hex(sha256(request.body)));
  if (!options_.credentials.session_token.empty())
    append(headers, "x-amz-security-token: " + options_.credentials.session_token.reveal());
  for (const auto& [name, value] : request.headers) append(headers, name + ": " + value);

  set_option(curl, CURLOPT_URL, url.c_str());
  set_option(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  set_option(curl, CURLOPT_PATH_AS_IS, 1L);
  set_option(curl, CURLOPT_NOSIGNAL, 1L);
  set_option(curl, CURLOPT_AWS_SIGV4, provider.c_str());
  set_option(curl, CURLOPT_USERNAME, options_.credentials.access_key_id.c_str());
  set_option(curl, CURLOPT_PASSWORD, options_.credentials.secret_access_key.reveal().c_str());
  set_option(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout.count()));
  set_option(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(options_.attempt_timeout.count()));
  set_option(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  set_option(curl, CURLOPT_LOW_SPEED_TIME,
             std::max(1L, static_cast<long>(options_.stall_timeout.count() / 1'000)));
  set_option(curl, CURLOPT_HEADERFUNCTION, &Transfer::header);
  set_option(curl, CURLOPT_HEADERDATA, &transfer);
  set_option(curl, CURLOPT_WRITEFUNCTION, &Transfer::body);
  set_option(curl, CURLOPT_WRITEDATA, &transfer);
  set_option(curl, CURLOPT_XFERINFOFUNCTION, &Transfer::progress);
  set_option(curl, CURLOPT_XFERINFODATA, &transfer);
  set_option(curl, CURLOPT_NOPROGRESS, 0L);
  if (method == "HEAD") {
    set_option(curl, CURLOPT_NOBODY, 1L);
  } else if (method != "GET") {
    set_option(curl, CURLOPT_CUSTOMREQUEST, request.method);
    if (method != "DELETE") {
      set_option(curl, CURLOPT_POSTFIELDS,
                 request.body.data() == nullptr ? "" : request.body.data());
      set_option(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    }
  }
  set_option(curl, CURLOPT_HTTPHEADER, headers.get());

  const CURLcode code = curl_easy_perform(curl);
  if (request.seen != nullptr) *request.seen = transfer.answer.headers;
  if (transfer.refused) return std::unexpected(*std::move(transfer.refused));
  if (stopped_) return fail(Errc::kCancelled, "the object store has been stopped");
  if (code != CURLE_OK) {
    const Errc kind = code == CURLE_OPERATION_TIMEDOUT         ? Errc::kTimeout
                      : code == CURLE_PEER_FAILED_VERIFICATION ? Errc::kInvalidArgument
                      : code == CURLE_URL_MALFORMAT            ? Errc::kInvalidArgument
                                                               : Errc::kUnavailable;
    return fail(kind, fmt::format("{}: {}", what_of(request), curl_easy_strerror(code)));
  }
  long status = 0;
  get_info(curl, CURLINFO_RESPONSE_CODE, &status);
  transfer.answer.status = static_cast<int>(status);
  if (status < 200 || status >= 300) {
    return std::unexpected(s3_error(what_of(request), transfer.answer.status,
                                    transfer.answer.headers, transfer.answer.body));
  }
  return std::move(transfer.answer);
}

Result<S3Answer> S3Client::repeated(const std::function<Result<S3Answer>(int)>& attempt) {
  const auto deadline = std::chrono::steady_clock::now() + options_.total_timeout;
  for (int number = 1;; ++number) {
    auto answer = attempt(number);
    if (answer) return answer;
    const auto left =
        std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
    double jitter = 0;
    {
      const std::scoped_lock lock(mutex_);
      jitter = std::uniform_real_distribution<double>(0, 1)(random_);
    }
    const auto wait = retry_delay(options_.retry, number, answer.error(), jitter, left);
    if (!wait) return answer;
    logger_.debug(
        "S3 is asked again",
        {{"error", answer.error().message}, {"attempt", number + 1}, {"wait_ms", wait->count()}});
    if (!pause(*wait)) return fail(Errc::kCancelled, "the object store has been stopped");
  }
}

}  // namespace asahi::object
