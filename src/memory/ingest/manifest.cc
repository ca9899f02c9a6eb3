#include "memory/ingest/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/hex.h"
#include "base/json_out.h"
#include "base/utf8.h"
#include "memory/ingest/times.h"

namespace asahi::memory {

namespace {

constexpr std::size_t kShownValue = 80;
constexpr std::size_t kMaxFiles = 1'000;
constexpr std::size_t kMaxFileName = 255;
constexpr std::size_t kMaxSystemType = 50;
constexpr std::size_t kMaxVersion = 20;
constexpr auto kOldest = std::chrono::hours(24 * 365);

std::string shown(const json::value* value) {
  if (value == nullptr) return "missing";
  const std::string text =
      value->is_string() ? std::string(value->get_string()) : write_json(*value);
  return mended_utf8(text, kShownValue);
}

/// Collects the broken rules of one object.
class Check {
 public:
  explicit Check(const json::object& object) : object_(object) {}

  /// Null for a missing field and for null.
  const json::value* find(std::string_view field) const {
    const json::value* value = find_member(object_, field);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  void broken(std::string field, const json::value* value, std::string rule) {
    if (violations_.size() < kMaxViolations)
      violations_.push_back({std::move(field), shown(value), std::move(rule)});
  }
  /// A whole number from 0 to `most`.
  std::optional<std::uint64_t> number(std::string_view field, std::uint64_t most) {
    const json::value* value = find(field);
    if (value == nullptr) return std::nullopt;
    if (value->is_int64() && value->get_int64() >= 0 &&
        static_cast<std::uint64_t>(value->get_int64()) <= most)
      return static_cast<std::uint64_t>(value->get_int64());
    broken(std::string(field), value, fmt::format("a whole number from 0 to {}", most));
    return std::nullopt;
  }
  Violations take() { return std::move(violations_); }

 private:
  const json::object& object_;
  Violations violations_;
};

bool is_version(std::string_view text) {
  const auto digits = [](std::string_view part) {
    return !part.empty() && std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
  };
  const std::size_t dot = text.find('.');
  return text.size() <= kMaxVersion && dot != std::string_view::npos &&
         digits(text.substr(0, dot)) && digits(text.substr(dot + 1));
}

bool is_file_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxFileName || name == "." || name.contains(".."))
    return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

std::optional<Digest> read_digest(std::string_view text) {
  Digest digest{};
  if (std::ranges::any_of(text, [](char c) { return c >= 'A' && c <= 'F'; })) return std::nullopt;
  if (!from_hex(text, digest)) return std::nullopt;
  return digest;
}

void read_time(Check& check, Clock::Time now, Manifest& manifest) {
  constexpr std::string_view kRule =
      "required: an ISO 8601 time, at most 5 minutes ahead and 365 days old";
  const json::value* value = check.find("uploaded_at");
  if (value == nullptr || !value->is_string())
    return check.broken("uploaded_at", value, std::string(kRule));
  const auto time = parse_iso_time(value->get_string());
  if (!time || *time > now + kClockSkew || *time < now - kOldest)
    return check.broken("uploaded_at", value, std::string(kRule));
  manifest.uploaded_at = *time;
}

void read_compression(Check& check, Manifest& manifest) {
  const json::value* compressed = check.find("compressed");
  const json::value* format = check.find("compression_format");
  if (compressed != nullptr && !compressed->is_bool())
    check.broken("compressed", compressed, "true or false");
  if (format != nullptr) {
    const std::string_view name = format->is_string() ? std::string_view(format->get_string()) : "";
    if (name == "gzip") {
      manifest.compression = Compression::kGzip;
    } else if (name == "zstd") {
      manifest.compression = Compression::kZstd;
    } else if (name == "lz4") {
      manifest.compression = Compression::kLz4;
    } else {
      check.broken("compression_format", format, "gzip, zstd or lz4");
    }
  }
  const bool said = compressed != nullptr && compressed->is_bool() && compressed->get_bool();
  if (said && format == nullptr) {
    check.broken("compression_format", nullptr, "gzip, zstd or lz4, where compressed is true");
  } else if (!said && format != nullptr && (compressed == nullptr || compressed->is_bool())) {
    check.broken("compressed", compressed, "true, where compression_format is set");
  }
}

void read_files(Check& check, Manifest& manifest) {
  const json::value* files = check.find("files");
  if (files == nullptr) return;
  if (!files->is_array() || files->get_array().size() > kMaxFiles)
    return check.broken("files", files, fmt::format("a list of at most {} file names", kMaxFiles));
  if (files->get_array().empty()) return;
  manifest.files.clear();
  for (const json::value& file : files->get_array()) {
    const std::string field = fmt::format("files[{}]", manifest.files.size());
    const bool named = file.is_string() && is_file_name(file.get_string());
    if (!named)
      check.broken(field, &file,
                   fmt::format("1 to {} of letters, digits, '_', '.' and '-', without \"..\"",
                               kMaxFileName));
    std::string name(named ? std::string_view(file.get_string()) : "");
    if (named && name == "manifest.json")
      check.broken(field, &file, "a payload file, not the manifest itself");
    if (named && std::ranges::find(manifest.files, name) != manifest.files.end())
      check.broken(field, &file, "each file once");
    manifest.files.push_back(std::move(name));
  }
}

}  // namespace

std::expected<Manifest, Violations> parse_manifest(std::string_view text, Clock::Time now) {
  if (text.size() > kMaxManifest)
    return std::unexpected(Violations{
        {"", fmt::format("{} bytes", text.size()), fmt::format("at most {} bytes", kMaxManifest)}});
  const auto root = parse_json(text);
  if (!root)
    return std::unexpected(
        Violations{{"", mended_utf8(text, kShownValue), "a JSON object: " + root.error().message}});
  return read_manifest(*root, now);
}

std::expected<Manifest, Violations> read_manifest(const json::value& root, Clock::Time now) {
  if (!root.is_object()) return std::unexpected(Violations{{"", shown(&root), "a JSON object"}});
  Check check(root.get_object());
  Manifest manifest;
  read_time(check, now, manifest);
  if (const json::value* count = check.find("conversation_count"); count == nullptr) {
    check.broken("conversation_count", nullptr,
                 fmt::format("required: a whole number from 0 to {}", kMaxConversations));
  } else {
    manifest.conversation_count = check.number("conversation_count", kMaxConversations).value_or(0);
  }
  manifest.total_size_bytes = check.number("total_size_bytes", kMaxUploadBytes);
  if (const json::value* version = check.find("version")) {
    if (version->is_string() && is_version(version->get_string())) {
      manifest.version = version->get_string();
    } else {
      check.broken("version", version, "digits, a dot, digits, as text: \"1.0\"");
    }
  }
  if (const json::value* type = check.find("system_type")) {
    const std::string_view text = type->is_string() ? std::string_view(type->get_string()) : "";
    if (text.empty() || text.size() > kMaxSystemType || text.contains('\0')) {
      check.broken("system_type", type, fmt::format("1 to {} characters", kMaxSystemType));
    } else {
      manifest.system_type = text;
    }
  }
  if (const json::value* checksum = check.find("checksum")) {
    if (checksum->is_string()) manifest.checksum = read_digest(checksum->get_string());
    if (!manifest.checksum)
      check.broken(
          "checksum", checksum,
          "64 lower-case hexadecimal digits: SHA-256 over the payload files in list order");
  }
  read_compression(check, manifest);
  read_files(check, manifest);
  if (const json::value* metadata = check.find("metadata")) {
    if (metadata->is_object()) {
      manifest.metadata = write_json(*metadata);
    } else {
      check.broken("metadata", metadata, "an object");
    }
  }
  Violations violations = check.take();
  if (!violations.empty()) return std::unexpected(std::move(violations));
  return manifest;
}

Error violations_error(const Violations& violations, std::string_view prefix) {
  std::string text;
  std::string list;
  JsonOut out(list);
  out.open_array();
  for (const Violation& violation : violations) {
    const std::string field = std::string(prefix) + violation.field;
    if (!text.empty()) text += "; ";
    text += fmt::format("{} '{}' breaks the rule: {}", field.empty() ? "the manifest" : field,
                        violation.value, violation.rule);
    out.open_object();
    out.member("field", field).member("value", violation.value).member("rule", violation.rule);
    out.close_object();
  }
  out.close_array();
  Error error = fail(Errc::kInvalidArgument, text).error();
  error.reason = "schema_validation_failure";
  if (!violations.empty()) error.field = std::string(prefix) + violations.front().field;
  error.details = "\"violations\":" + list;
  return error;
}

std::string bundle_prefix(const BundlePlace& place) {
  return fmt::format("systems/{}/{}/", place.system_id, place.upload_id);
}

Result<BundlePlace> parse_bundle_prefix(std::string_view key) {
  constexpr std::string_view kRoot = "systems/";
  if (!key.starts_with(kRoot))
    return fail_field("prefix", fmt::format("'{}' does not start with \"systems/\"",
                                            mended_utf8(key.substr(0, kShownValue))));
  std::string_view rest = key.substr(kRoot.size());
  const auto part = [&rest](std::string_view label) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    std::string_view name = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (name.starts_with(label)) name.remove_prefix(label.size());
    return std::string(name);
  };
  BundlePlace place;
  place.system_id = part("system_id=");
  place.upload_id = part("upload_id=");
  if (auto ok = check_system_id(place.system_id); !ok) return std::unexpected(ok.error());
  if (auto ok = check_upload_id(place.upload_id); !ok) return std::unexpected(ok.error());
  if (place.upload_id == ".") return fail_field("upload_id", "'.' is no name of an upload");
  return place;
}

}  // namespace asahi::memory
