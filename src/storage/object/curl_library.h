#pragma once

#include <curl/curl.h>

#include "base/dynamic_library.h"

namespace asahi::object {

/// libcurl: it brings LDAP, Kerberos, SSH and HTTP/2 along, memory that a gateway without S3 does
/// without. Loaded by S3Client::make; no function may be called before.
inline constinit DynamicLibrary libcurl{"libcurl.so.4", "S3", "libcurl4", "curl_easy_header"};

ASAHI_DYNAMIC_FUNCTION(libcurl, curl_easy_cleanup);
ASAHI_DYNAMIC_FUNCTION(libcurl, curl_easy_init);
ASAHI_DYNAMIC_FUNCTION(libcurl, curl_easy_option_by_name);
ASAHI_DYNAMIC_FUNCTION(libcurl, curl_easy_perform);
ASAHI_DYNAMIC_FUNCTION(libcurl, curl_easy_reset);
ASAHI_DYNAMIC_FUNCTION(libcurl, curl_easy_strerror);
ASAHI_DYNAMIC_FUNCTION(libcurl, curl_global_init);
ASAHI_DYNAMIC_FUNCTION(libcurl, curl_slist_append);
ASAHI_DYNAMIC_FUNCTION(libcurl, curl_slist_free_all);

/// curl_easy_setopt and curl_easy_getinfo take what they take: one argument of any type.
template <class T>
CURLcode set_option(CURL* handle, CURLoption option, T value) {
  using Function = CURLcode (*)(CURL*, CURLoption, ...);
  static const auto function = reinterpret_cast<Function>(libcurl.symbol("curl_easy_setopt"));
  return function(handle, option, value);
}
template <class T>
CURLcode get_info(CURL* handle, CURLINFO info, T* value) {
  using Function = CURLcode (*)(CURL*, CURLINFO, ...);
  static const auto function = reinterpret_cast<Function>(libcurl.symbol("curl_easy_getinfo"));
  return function(handle, info, value);
}

}  // namespace asahi::object
