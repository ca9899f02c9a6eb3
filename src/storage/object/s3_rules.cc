#include "storage/object/s3_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>

#include "base/hex.h"
#include "storage/object/keys.h"
#include "storage/object/xml.h"

namespace asahi::object {
namespace {

std::string encode(std::string_view text, bool keep_slash) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~' || (keep_slash && c == '/');
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

std::string_view header_of(const HttpHeaders& headers, std::string_view name) {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view{} : std::string_view(found->second);
}

Clock::Time parse_http_date(std::string_view text) {
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  if (text.size() < 25) return {};
  const auto month = std::ranges::find(kMonths, text.substr(8, 3));
  if (month == kMonths.end()) return {};
  const std::string iso =
      fmt::format("{}-{:02}-{}T{}Z", text.substr(12, 4), month - kMonths.begin() + 1,
                  text.substr(5, 2), text.substr(17, 8));
  return parse_rfc3339(iso).value_or(Clock::Time{});
}

SaidError read_error(std::string_view body) {
  const auto document = parse_xml(body);
  if (!document || document->name != "Error") return {};
  // Ours to show: one line, not a page of somebody's HTML.
  const auto short_text = [](std::string_view text) {
    std::string out(text.substr(0, 200));
    std::ranges::replace_if(out, [](unsigned char c) { return c < 0x20; }, ' ');
    return out;
  };
  return {short_text(document->text_of("Code")), short_text(document->text_of("Message")),
          short_text(document->text_of("Region"))};
}

Errc errc_of_status(int status) {
  switch (status) {
    case 401:
      return Errc::kUnauthenticated;
    case 403:
      return Errc::kForbidden;
    case 404:
      return Errc::kNotFound;
    case 409:
    case 412:
      return Errc::kConflict;
    case 408:
      return Errc::kTimeout;
    case 413:
      return Errc::kTooLarge;
    case 429:
      return Errc::kRateLimited;
    default:
      return status >= 500 ? Errc::kUnavailable : Errc::kInvalidArgument;
  }
}

std::optional<std::chrono::milliseconds> retry_after(const HttpHeaders& headers) {
  const std::string_view wait = header_of(headers, "retry-after");
  if (wait.empty() || !std::ranges::all_of(wait, [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  constexpr std::uint64_t kLongest = 60;
  return std::chrono::seconds(std::min(number(wait), kLongest));
}

namespace {

/// By the code where it says more than the status.
Errc errc_of(int status, std::string_view code) {
  if (code == "SlowDown" || code == "TooManyRequests") return Errc::kRateLimited;
  if (code == "RequestTimeout") return Errc::kTimeout;
  // What arrived is not what was sent: sent again, it may be.
  if (code == "BadDigest" || code == "XAmzContentSHA256Mismatch" || code == "IncompleteBody")
    return Errc::kUpstream;
  if (code == "NoSuchBucket") return Errc::kInvalidArgument;
  if (code == "EntityTooLarge") return Errc::kTooLarge;
  return errc_of_status(status);
}

}  // namespace

std::string own_header(S3Dialect dialect, std::string_view name) {
  return fmt::format("{}{}", dialect == S3Dialect::kGoogle ? "x-goog-" : "x-amz-", name);
}

std::string encode_key(std::string_view key) { return encode(key, true); }
std::string encode_query_part(std::string_view text) { return encode(text, false); }

std::string canonical_query(S3Query query) {
  for (auto& [name, value] : query) {
    name = encode_query_part(name);
    value = encode_query_part(value);
  }
  std::ranges::sort(query);
  std::string out;
  for (const auto& [name, value] : query) {
    if (!out.empty()) out += '&';
    out += name + '=' + value;
  }
  return out;
}

std::string decode_listed(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 &&
        hex_value(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::string bare_etag(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"')
    etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

Error s3_error(std::string_view what, int status, const S3Headers& headers, std::string_view body) {
  const SaidError said = read_error(body);
  Error error;
  error.code = errc_of(status, said.code);
  error.reason = said.code;
  error.upstream_status = status;
  error.message =
      fmt::format("{}: S3 answered {}{}{}{}{}", what, status, said.code.empty() ? "" : " ",
                  said.code, said.message.empty() ? "" : ": ", said.message);
  if (status >= 300 && status < 400) {
    const std::string_view region = header_of(headers, "x-amz-bucket-region");
    error.message += fmt::format("; the bucket is elsewhere{}: set AWS_REGION or AWS_ENDPOINT_URL",
                                 region.empty() ? (said.region.empty() ? "" : ", in " + said.region)
                                                : fmt::format(", in {}", region));
  } else if (said.code == "SignatureDoesNotMatch") {
    error.message += "; check AWS_SECRET_ACCESS_KEY and AWS_REGION";
  } else if (said.code == "RequestTimeTooSkewed") {
    error.message += "; check this machine's clock";
  } else if (said.code == "NoSuchBucket") {
    error.message += "; make the bucket, it is not made here";
  }
  error.retry_after = retry_after(headers);
  return error;
}

Result<Page> parse_list(std::string_view body, std::string_view prefix_of_store,
                        S3Dialect dialect) {
  ASAHI_TRY(const XmlElement list, parse_xml(body));
  if (list.name != "ListBucketResult")
    return fail(Errc::kCorrupt, fmt::format("S3 answered with '{}' instead of a list", list.name));
  const bool encoded = list.text_of("EncodingType") == "url";
  Page page;
  std::string last;
  std::string last_folder;
  for (const XmlElement& item : list.children) {
    if (item.name == "CommonPrefixes") {
      const std::string_view written = item.text_of("Prefix");
      last_folder = encoded ? decode_listed(written) : std::string(written);
      if (!last_folder.starts_with(prefix_of_store) || !last_folder.ends_with('/') ||
          last_folder.size() == prefix_of_store.size())
        return fail(Errc::kCorrupt, "S3 lists a folder that nobody asked for");
      if (std::string inside = last_folder.substr(prefix_of_store.size());
          !inside.starts_with(kOwnNames))
        page.folders.push_back(std::move(inside));
      continue;
    }
    if (item.name != "Contents") continue;
    const std::string_view written = item.text_of("Key");
    last = encoded ? decode_listed(written) : std::string(written);
    if (!last.starts_with(prefix_of_store) || item.child("Size") == nullptr)
      return fail(Errc::kCorrupt, "S3 lists an object that nobody asked for, or without size");
    // Folders that browsers make: keys that end in '/' are no objects here.
    if (last.ends_with('/') ||
        std::string_view(last).substr(prefix_of_store.size()).starts_with(kOwnNames))
      continue;
    page.objects.push_back(
        {.key = last.substr(prefix_of_store.size()),
         .size = number(item.text_of("Size")),
         .etag = bare_etag(item.text_of(dialect == S3Dialect::kGoogle ? "Generation" : "ETag")),
         .modified = parse_rfc3339(item.text_of("LastModified")).value_or(Clock::Time{})});
  }
  if (list.text_of("IsTruncated") == "true") {
    last = std::max(last, last_folder);
    if (last.empty()) return fail(Errc::kCorrupt, "S3 cut a list before its first object");
    page.next = last.substr(prefix_of_store.size());
  }
  return page;
}

ObjectInfo info_from(std::string key, const S3Headers& headers, S3Dialect dialect) {
  ObjectInfo info{.key = std::move(key)};
  const std::string_view range = header_of(headers, "content-range");
  info.size = range.empty()
                  ? number(header_of(headers, "content-length"))
                  : number(range.substr(std::min(range.rfind('/'), range.size() - 1) + 1));
  info.etag =
      bare_etag(header_of(headers, dialect == S3Dialect::kGoogle ? "x-goog-generation" : "etag"));
  info.modified = parse_http_date(header_of(headers, "last-modified"));
  return info;
}

}  // namespace asahi::object
