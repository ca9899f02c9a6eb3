#include "gateway/alerts/smtp.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <mutex>

#include "base/dynamic_library.h"

namespace asahi::gateway::alerts {
namespace {

/// With the TLS, LDAP and SSH libraries that it brings along it takes 4 MiB, which a gateway
/// without mail does without.
constinit DynamicLibrary libcurl{"libcurl.so.4", "mail over SMTP", "libcurl4",
                                 "curl_easy_option_by_name"};
ASAHI_DYNAMIC_FUNCTION(libcurl, curl_easy_cleanup);
ASAHI_DYNAMIC_FUNCTION(libcurl, curl_easy_init);
ASAHI_DYNAMIC_FUNCTION(libcurl, curl_easy_perform);
ASAHI_DYNAMIC_FUNCTION(libcurl, curl_easy_strerror);
ASAHI_DYNAMIC_FUNCTION(libcurl, curl_global_init);
ASAHI_DYNAMIC_FUNCTION(libcurl, curl_slist_append);
ASAHI_DYNAMIC_FUNCTION(libcurl, curl_slist_free_all);

// Two that take what follows from their second argument.
template <class Value>
void set(CURL* handle, CURLoption option, Value value) {
  using Set = CURLcode (*)(CURL*, CURLoption, ...);
  static const auto kSet = reinterpret_cast<Set>(libcurl.symbol("curl_easy_setopt"));
  (void)kSet(handle, option, value);
}
long reply_code(CURL* handle) {
  using Get = CURLcode (*)(CURL*, CURLINFO, ...);
  static const auto kGet = reinterpret_cast<Get>(libcurl.symbol("curl_easy_getinfo"));
  long code = 0;
  (void)kGet(handle, CURLINFO_RESPONSE_CODE, &code);
  return code;
}

struct Unsent {
  const std::string& text;
  std::size_t at = 0;
};

std::size_t next_piece(char* out, std::size_t size, std::size_t count, void* unsent) {
  auto& from = *static_cast<Unsent*>(unsent);
  const std::size_t bytes = std::min(size * count, from.text.size() - from.at);
  std::memcpy(out, from.text.data() + from.at, bytes);
  from.at += bytes;
  return bytes;
}

int ends_early(void* stop, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return *static_cast<const std::atomic<bool>*>(stop) ? 1 : 0;
}

curl_usessl tls_of(SmtpServer::StartTls starttls) {
  switch (starttls) {
    case SmtpServer::StartTls::kNever:
      return CURLUSESSL_NONE;
    case SmtpServer::StartTls::kWherePossible:
      return CURLUSESSL_TRY;
    case SmtpServer::StartTls::kAlways:
      return CURLUSESSL_ALL;
  }
  return CURLUSESSL_ALL;
}

Errc meaning_of(CURLcode code, long reply) {
  switch (code) {
    case CURLE_ABORTED_BY_CALLBACK:
      return Errc::kCancelled;
    case CURLE_OPERATION_TIMEDOUT:
      return Errc::kTimeout;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
      return Errc::kUnavailable;
    default:
      // 4xx is "not now" (RFC 5321 §4.2.1), and without any reply the connection broke.
      return reply == 0 || reply / 100 == 4 ? Errc::kUnavailable : Errc::kInvalidArgument;
  }
}

}  // namespace

Result<void> load_smtp() {
  if (auto loaded = libcurl.load(); !loaded) return loaded;
  static std::once_flag once;
  std::call_once(once, [] { (void)curl_global_init(CURL_GLOBAL_DEFAULT); });
  return {};
}

Result<void> send_mail(const SmtpServer& server, const std::string& from,
                       const std::vector<std::string>& to, const std::string& message,
                       const std::atomic<bool>& stop) {
  if (auto loaded = load_smtp(); !loaded) return loaded;
  const std::unique_ptr<CURL, void (*)(CURL*)> handle(curl_easy_init(),
                                                      [](CURL* made) { curl_easy_cleanup(made); });
  if (handle == nullptr) return fail(Errc::kInternal, "libcurl has no memory for a connection");
  curl_slist* recipients = nullptr;
  for (const std::string& address : to)
    recipients = curl_slist_append(recipients, fmt::format("<{}>", address).c_str());
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> owned(
      recipients, [](curl_slist* list) { curl_slist_free_all(list); });

  CURL* const curl = handle.get();
  Unsent unsent{message};
  std::array<char, CURL_ERROR_SIZE> words{};
  set(curl, CURLOPT_URL, server.url.c_str());
  set(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  set(curl, CURLOPT_PROXY, "");
  set(curl, CURLOPT_NOSIGNAL, 1L);
  set(curl, CURLOPT_USE_SSL, static_cast<long>(tls_of(server.starttls)));
  if (!server.ca_file.empty()) set(curl, CURLOPT_CAINFO, server.ca_file.c_str());
  if (!server.user.empty()) {
    set(curl, CURLOPT_USERNAME, server.user.c_str());
    set(curl, CURLOPT_PASSWORD, server.password.reveal().c_str());
  }
  const std::string sender = fmt::format("<{}>", from);
  set(curl, CURLOPT_MAIL_FROM, sender.c_str());
  set(curl, CURLOPT_MAIL_RCPT, recipients);
  set(curl, CURLOPT_READFUNCTION, &next_piece);
  set(curl, CURLOPT_READDATA, &unsent);
  set(curl, CURLOPT_UPLOAD, 1L);
  set(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(server.timeout.count()));
  set(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(server.timeout.count()));
  set(curl, CURLOPT_NOPROGRESS, 0L);
  set(curl, CURLOPT_XFERINFOFUNCTION, &ends_early);
  set(curl, CURLOPT_XFERINFODATA, &stop);
  set(curl, CURLOPT_ERRORBUFFER, words.data());
  const CURLcode code = curl_easy_perform(curl);
  if (code == CURLE_OK) return {};
  const std::string_view why = words[0] != '\0' ? words.data() : curl_easy_strerror(code);
  return fail(meaning_of(code, reply_code(curl)),
              fmt::format("the mail server did not take the message: {}", why));
}

}  // namespace asahi::gateway::alerts
