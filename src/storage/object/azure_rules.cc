#include "storage/object/azure_rules.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "base/hash.h"
#include "storage/object/keys.h"
#include "storage/object/xml.h"

namespace asahi::object {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

/// By the code where it says more than the status.
Errc errc_of(int status, std::string_view code) {
  if (code == "ServerBusy") return Errc::kRateLimited;
  if (code == "OperationTimedOut") return Errc::kTimeout;
  // What arrived is not what was sent: sent again, it may be.
  if (code == "Md5Mismatch") return Errc::kUpstream;
  if (code == "ContainerNotFound" || code == "AccountNotFound") return Errc::kInvalidArgument;
  if (code == "BlobAlreadyExists" || code == "ConditionNotMet" || code == "TargetConditionNotMet" ||
      code == "InvalidBlockList")
    return Errc::kConflict;
  if (code == "RequestBodyTooLarge") return Errc::kTooLarge;
  return errc_of_status(status);
}

}  // namespace

std::string azure_date(Clock::Time time) {
  return fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(
                         std::chrono::time_point_cast<std::chrono::system_clock::duration>(time))));
}

std::string azure_string_to_sign(const AzureCall& call, std::string_view account) {
  std::map<std::string, std::string> said;
  for (const auto& [name, value] : call.headers) said[lower(name)] = value;
  const auto of = [&](const char* name) {
    const auto found = said.find(name);
    return found == said.end() ? std::string() : found->second;
  };
  std::string out = call.method + '\n';
  for (const char* name : {"content-encoding", "content-language"}) out += of(name) + '\n';
  out += (call.body_bytes == 0 ? std::string() : std::to_string(call.body_bytes)) + '\n';
  // Where there is a Date of our own (x-ms-date), the line of Date stays empty.
  for (const char* name : {"content-md5", "content-type"}) out += of(name) + '\n';
  out += '\n';
  for (const char* name :
       {"if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"})
    out += of(name) + '\n';
  for (const auto& [name, value] : said) {
    if (name.starts_with("x-ms-")) out += fmt::format("{}:{}\n", name, value);
  }
  out += fmt::format("/{}{}", account, call.path);
  std::map<std::string, std::vector<std::string>> query;
  for (const auto& [name, value] : call.query) query[lower(name)].push_back(value);
  for (auto& [name, values] : query) {
    std::ranges::sort(values);
    out += fmt::format("\n{}:{}", name, fmt::join(values, ","));
  }
  return out;
}

std::string azure_authorization(const AzureCall& call, std::string_view account,
                                std::string_view key) {
  const Digest256 mac = hmac_sha256(key, azure_string_to_sign(call, account));
  return fmt::format("SharedKey {}:{}", account,
                     base64_encode({reinterpret_cast<const char*>(mac.data()), mac.size()}));
}

Error azure_error(std::string_view what, int status, const HttpHeaders& headers,
                  std::string_view body) {
  SaidError said = read_error(body);
  // Answers without a body, as those of HEAD, carry the code in a header.
  if (said.code.empty()) said.code = header_of(headers, "x-ms-error-code").substr(0, 100);
  Error error;
  error.code = errc_of(status, said.code);
  error.reason = said.code;
  error.upstream_status = status;
  error.message =
      fmt::format("{}: Azure answered {}{}{}{}{}", what, status, said.code.empty() ? "" : " ",
                  said.code, said.message.empty() ? "" : ": ", said.message);
  if (said.code == "AuthenticationFailed" || said.code == "AuthorizationFailure") {
    error.message += "; check the account's name and key (or SAS token), and this machine's clock";
  } else if (said.code == "ContainerNotFound") {
    error.message += "; make the container, it is not made here";
  }
  error.retry_after = retry_after(headers);
  return error;
}

Result<AzurePage> parse_blobs(std::string_view body, std::string_view prefix_of_store) {
  ASAHI_TRY(const XmlElement list, parse_xml(body));
  const XmlElement* const blobs = list.child("Blobs");
  if (list.name != "EnumerationResults" || blobs == nullptr)
    return fail(Errc::kCorrupt,
                fmt::format("Azure answered with '{}' instead of a list", list.name));
  AzurePage out;
  out.marker = list.text_of("NextMarker");
  for (const XmlElement& item : blobs->children) {
    const std::string_view name = item.text_of("Name");
    if (item.name != "Blob" && item.name != "BlobPrefix") continue;
    if (!name.starts_with(prefix_of_store))
      return fail(Errc::kCorrupt, "Azure lists a blob that nobody asked for");
    const std::string key(name.substr(prefix_of_store.size()));
    if (key.starts_with(kOwnNames)) continue;
    if (item.name == "BlobPrefix") {
      if (!key.empty()) out.page.folders.push_back(key);
      continue;
    }
    if (key.ends_with('/')) continue;  // folders that browsers make are no objects here
    const XmlElement* const properties = item.child("Properties");
    const std::string_view length =
        properties == nullptr ? std::string_view() : properties->text_of("Content-Length");
    std::uint64_t size = 0;
    if (std::from_chars(length.data(), length.data() + length.size(), size).ec != std::errc())
      return fail(Errc::kCorrupt, "Azure lists a blob without its size");
    out.page.objects.push_back({.key = key,
                                .size = size,
                                .etag = bare_etag(properties->text_of("Etag")),
                                .modified = parse_http_date(properties->text_of("Last-Modified"))});
  }
  return out;
}

Result<void> check_blob_name(std::string_view key) {
  if (auto good = check_key(key); !good) return good;
  if (key.contains("./") || key.ends_with('.'))
    return fail(Errc::kInvalidArgument,
                fmt::format("key '{}': in Azure no part of a key may end with '.'", key));
  if (key.contains('\\'))
    return fail(Errc::kInvalidArgument,
                fmt::format("key '{}': Azure takes '\\' for '/'; no key may hold one", key));
  if (key.contains("\xEF\xBF\xBE") || key.contains("\xEF\xBF\xBF"))
    return fail(Errc::kInvalidArgument, "in Azure no key may hold U+FFFE or U+FFFF");
  return {};
}

}  // namespace asahi::object
