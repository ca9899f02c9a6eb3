#include "storage/object/curl_client.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/object/curl_library.h"

namespace asahi::object {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostKept = 16 * 1024 * 1024;  ///< of a body that goes to no sink
constexpr std::size_t kMostHandles = 16;             ///< idle ones

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

}  // namespace

/// What the callbacks of one transfer write to.
struct CurlClient::Transfer {
  CurlClient& client;
  CURL* handle;
  const HttpRequest& request;
  HttpAnswer answer;
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
      transfer.refused =
          fail(Errc::kUpstream, transfer.client.service_ + " took no notice of the range asked for")
              .error();
      return 0;
    }
    if (status < 300 && transfer.request.sink != nullptr) {
      if (auto taken = (*transfer.request.sink)(bytes); !taken) {
        transfer.refused = std::move(taken.error());
        return 0;
      }
    } else if (transfer.answer.body.size() + bytes.size() > kMostKept) {
      transfer.refused =
          fail(Errc::kUpstream, transfer.client.service_ + " answered with more than it should")
              .error();
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

Result<std::unique_ptr<CurlClient>> CurlClient::make(TransferLimits limits, std::string service) {
  if (auto loaded = libcurl.load(); !loaded) return std::unexpected(loaded.error());
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (ready != CURLE_OK || curl_easy_option_by_name("AWS_SIGV4") == nullptr) {
    return fail(Errc::kUnavailable,
                "this libcurl cannot sign requests for S3; 7.88 or later is needed");
  }
  return std::unique_ptr<CurlClient>(new CurlClient(limits, std::move(service)));
}

CurlClient::~CurlClient() {
  for (void* handle : handles_) curl_easy_cleanup(handle);
}

void CurlClient::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
  }
  stop_signal_.notify_all();
}

bool CurlClient::pause(milliseconds time) {
  std::unique_lock lock(mutex_);
  return !stop_signal_.wait_for(lock, time, [&] { return stopped_.load(); });
}

void* CurlClient::take_handle() {
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

void CurlClient::give_handle(void* handle) {
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

Result<HttpAnswer> CurlClient::once(const HttpRequest& request) {
  if (stopped_) return fail(Errc::kCancelled, "the object store has been stopped");
  const std::unique_ptr<void, std::function<void(void*)>> owner(
      take_handle(), [this](void* handle) { give_handle(handle); });
  CURL* const curl = owner.get();
  if (curl == nullptr) return fail(Errc::kUnavailable, "libcurl gives no handle");

  Transfer transfer{
      .client = *this, .handle = curl, .request = request, .answer = {}, .refused = {}};
  const std::string_view method = request.method;
  List headers;
  for (const auto& [name, value] : request.headers) append(headers, name + ": " + value);

  set_option(curl, CURLOPT_URL, request.url.c_str());
  set_option(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  set_option(curl, CURLOPT_PATH_AS_IS, 1L);
  set_option(curl, CURLOPT_NOSIGNAL, 1L);
  if (const SignatureV4* const signature = request.signature; signature != nullptr) {
    set_option(curl, CURLOPT_AWS_SIGV4, signature->provider.c_str());
    set_option(curl, CURLOPT_USERNAME, signature->key_id.c_str());
    set_option(curl, CURLOPT_PASSWORD, signature->secret.reveal().c_str());
  }
  set_option(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits_.connect_timeout.count()));
  set_option(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(limits_.attempt_timeout.count()));
  set_option(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  set_option(curl, CURLOPT_LOW_SPEED_TIME,
             std::max(1L, static_cast<long>(limits_.stall_timeout.count() / 1'000)));
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
    return fail(kind, fmt::format("{}: {}", request.what, curl_easy_strerror(code)));
  }
  long status = 0;
  get_info(curl, CURLINFO_RESPONSE_CODE, &status);
  transfer.answer.status = static_cast<int>(status);
  return std::move(transfer.answer);
}

Result<HttpAnswer> CurlClient::repeated(const std::function<Result<HttpAnswer>(int)>& attempt) {
  const auto deadline = std::chrono::steady_clock::now() + limits_.total_timeout;
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
    const auto wait = retry_delay(limits_.retry, number, answer.error(), jitter, left);
    if (!wait) return answer;
    logger_.debug("an object store is asked again", {{"service", service_},
                                                     {"error", answer.error().message},
                                                     {"attempt", number + 1},
                                                     {"wait_ms", wait->count()}});
    if (!pause(*wait)) return fail(Errc::kCancelled, "the object store has been stopped");
  }
}

}  // namespace asahi::object
