#include "identity/audit/chain.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/hash.h"
#include "base/ids.h"
#include "base/utf8.h"

namespace asahi::identity::audit {
namespace {

constexpr std::size_t kMaxDetails = 64 * 1024;
constexpr std::size_t kMaxUserAgent = 1024;
constexpr int kMaxDepth = 32;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

bool is_clean(std::string_view text) {
  return text.find('\0') == std::string_view::npos && is_utf8(text);
}

/// Well-formed UTF-8 without NUL, which PostgreSQL cannot store.
std::string cleaned(std::string_view text) {
  std::string out;
  for (const char c : mended_utf8(text)) {
    if (c == '\0') {
      out += kReplacement;
    } else {
      out += c;
    }
  }
  return out;
}

/// `text` clean and at most `max` characters long, as VARCHAR(n) counts them.
std::string column(std::string text, std::size_t max) {
  if (!is_clean(text)) text = cleaned(text);
  if (text.size() <= max) return text;
  std::size_t at = 0;
  for (std::size_t i = 0; i < max && at < text.size(); ++i) at += utf8_length(text, at);
  text.resize(at);
  return text;
}

std::optional<std::string> optional_column(std::string text, std::size_t max) {
  if (text.empty()) return std::nullopt;
  return column(std::move(text), max);
}

/// The number as it comes back from a database and the JSON reader; text where they would differ.
json::value stable_number(double number) {
  constexpr double kLargest = 9.2e18;
  constexpr double kSmallest = 1e-15;
  const double size = std::abs(number);
  if (number == 0) return std::int64_t{0};
  if (std::isfinite(number) && size >= kSmallest && size < kLargest) {
    if (number == std::trunc(number)) return static_cast<std::int64_t>(number);
    // The JSON reader may be one unit off in the last place; a number that it gives back stays.
    for (int attempt = 0; attempt < 4; ++attempt) {
      auto read = parse_json(fmt::format("{}", number));
      if (!read || !read->is_double()) break;
      if (read->get_double() == number) return number;
      number = read->get_double();
    }
  }
  return json::value(fmt::format("{}", number));
}

void stabilise(json::value& value, int depth) {
  switch (value.kind()) {
    case json::kind::object: {
      if (depth >= kMaxDepth) {
        value = "(nested too deep)";
        return;
      }
      auto& object = value.get_object();
      bool clean_keys = true;
      for (auto& member : object) {
        clean_keys = clean_keys && is_clean(member.key());
        stabilise(member.value(), depth + 1);
      }
      if (clean_keys) return;
      json::object mended;
      for (auto& member : object) mended[cleaned(member.key())] = std::move(member.value());
      value = std::move(mended);
      return;
    }
    case json::kind::array: {
      if (depth >= kMaxDepth) {
        value = "(nested too deep)";
        return;
      }
      for (auto& element : value.get_array()) stabilise(element, depth + 1);
      return;
    }
    case json::kind::string: {
      const std::string_view text = value.get_string();
      if (!is_clean(text)) value = json::value(cleaned(text));
      return;
    }
    case json::kind::double_:
      value = stable_number(value.get_double());
      return;
    case json::kind::uint64:
      // What fits is read back as signed.
      if (value.get_uint64() <= static_cast<std::uint64_t>(INT64_MAX)) {
        value = static_cast<std::int64_t>(value.get_uint64());
      }
      return;
    default:
      return;
  }
}

void append_text(std::string& out, std::string_view key, std::string_view text) {
  out += key;
  append_json_string(out, text);
}

void append_optional(std::string& out, std::string_view key,
                     const std::optional<std::string>& text) {
  out += key;
  if (text) {
    append_json_string(out, *text);
  } else {
    out += "null";
  }
}

std::optional<std::string> mac(std::string_view key, const json::array& parts) {
  if (key.empty()) return std::nullopt;
  return to_hex(hmac_sha256(key, canonical_json(parts)));
}

std::optional<std::string> optional_text(const sql::Rows& rows, std::size_t at,
                                         std::string_view name) {
  if (rows.is_null(at, name)) return std::nullopt;
  return rows.text(at, name);
}

}  // namespace

std::string canonical_details(json::object details) {
  json::value value(std::move(details));
  stabilise(value, 0);
  std::string text = canonical_json(value);
  if (text.size() <= kMaxDetails) return text;
  return fmt::format(R"({{"bytes":{},"truncated":true}})", text.size());
}

ChainRow chain_row(AuditEntry entry, Clock::Time at) {
  ChainRow row;
  row.entry_id = "aud_" + make_ulid(at);
  row.timestamp = format_rfc3339(at);
  row.org_id = column(std::move(entry.org_id), kMaxOrgId);
  row.user_id = column(std::move(entry.user_id), 255);
  row.action = column(std::move(entry.action), 100);
  row.resource = column(std::move(entry.resource), 255);
  row.details = entry.details.empty() ? "{}" : canonical_details(std::move(entry.details));
  row.ip_address = optional_column(std::move(entry.ip_address), 45);
  row.user_agent = optional_column(std::move(entry.user_agent), kMaxUserAgent);
  row.result = column(std::move(entry.result), 20);
  row.data_classification = column(std::move(entry.data_classification), 20);
  return row;
}

std::string canonical_row(const ChainRow& row) {
  // By hand, because it is written twice per entry; the test holds it to canonical_json().
  std::string out;
  out.reserve(420 + row.details.size());
  append_text(out, R"({"action":)", row.action);
  append_text(out, R"(,"data_classification":)", row.data_classification);
  out += R"(,"details":)";
  out += row.details;
  append_text(out, R"(,"entry_id":)", row.entry_id);
  out += R"(,"id":)";
  out += std::to_string(row.id);
  append_optional(out, R"(,"ip_address":)", row.ip_address);
  append_text(out, R"(,"org_id":)", row.org_id);
  append_optional(out, R"(,"prev_hash":)", row.prev_hash);
  append_text(out, R"(,"resource":)", row.resource);
  append_text(out, R"(,"result":)", row.result);
  out += R"(,"seq":)";
  out += std::to_string(row.seq);
  append_text(out, R"(,"timestamp":)", row.timestamp);
  append_optional(out, R"(,"user_agent":)", row.user_agent);
  append_text(out, R"(,"user_id":)", row.user_id);
  out += '}';
  return out;
}

std::string row_hash(const ChainRow& row) { return to_hex(sha256(canonical_row(row))); }

std::optional<std::string> head_mac(std::string_view key, std::string_view org, std::int64_t seq,
                                    std::string_view hash) {
  return mac(key, {"audit_head", org, seq, hash});
}

std::optional<std::string> anchor_mac(std::string_view key, std::string_view org, std::int64_t seq,
                                      std::string_view hash, std::int64_t entries,
                                      std::string_view created_at) {
  return mac(key, {"audit_anchor", org, seq, hash, entries, created_at});
}

ChainRow read_row(const sql::Rows& rows, std::size_t at, sql::Dialect dialect) {
  ChainRow row;
  row.id = rows.integer(at, "id");
  row.seq = rows.integer(at, "seq");
  row.entry_id = rows.text(at, "entry_id");
  row.timestamp = rows.text(at, "timestamp");
  row.org_id = rows.text(at, "org_id");
  row.user_id = rows.text(at, "user_id");
  row.action = rows.text(at, "action");
  row.resource = rows.text(at, "resource");
  row.details = rows.text(at, "details");
  if (dialect == sql::Dialect::kPostgres && row.details != "{}") {
    // JSONB has its own order and blanks; SQLite gives the text back as it was written.
    if (auto parsed = parse_json(row.details)) row.details = canonical_json(*parsed);
  }
  row.ip_address = optional_text(rows, at, "ip_address");
  row.user_agent = optional_text(rows, at, "user_agent");
  row.result = rows.text(at, "result");
  row.data_classification = rows.text(at, "data_classification");
  row.prev_hash = optional_text(rows, at, "prev_hash");
  return row;
}

StoredAuditEntry stored_entry(ChainRow row) {
  StoredAuditEntry entry;
  entry.id = row.id;
  entry.seq = row.seq;
  entry.entry_id = std::move(row.entry_id);
  entry.timestamp = parse_rfc3339(row.timestamp).value_or(Clock::Time{});
  entry.prev_hash = row.prev_hash.value_or("");
  entry.org_id = std::move(row.org_id);
  entry.user_id = std::move(row.user_id);
  entry.action = std::move(row.action);
  entry.resource = std::move(row.resource);
  if (auto details = parse_json(row.details); details && details->is_object()) {
    entry.details = std::move(details->get_object());
  }
  entry.ip_address = row.ip_address.value_or("");
  entry.user_agent = row.user_agent.value_or("");
  entry.result = std::move(row.result);
  entry.data_classification = std::move(row.data_classification);
  return entry;
}

std::string encode_pending(const ChainRow& row) {
  const std::string none;
  const std::array<const std::string*, 11> fields = {
      &row.entry_id,
      &row.timestamp,
      &row.org_id,
      &row.user_id,
      &row.action,
      &row.resource,
      &row.details,
      row.ip_address ? &*row.ip_address : &none,
      row.user_agent ? &*row.user_agent : &none,
      &row.result,
      &row.data_classification,
  };
  std::size_t size = 0;
  for (const auto* field : fields) size += sizeof(std::uint32_t) + field->size();
  std::string out;
  out.reserve(size);
  for (const auto* field : fields) {
    const auto length = static_cast<std::uint32_t>(field->size());
    char bytes[sizeof length];
    std::memcpy(bytes, &length, sizeof length);
    out.append(bytes, sizeof bytes);
    out += *field;
  }
  return out;
}

std::optional<ChainRow> decode_pending(std::string_view text) {
  ChainRow row;
  std::string ip_address;
  std::string user_agent;
  const std::array<std::string*, 11> fields = {
      &row.entry_id,
      &row.timestamp,
      &row.org_id,
      &row.user_id,
      &row.action,
      &row.resource,
      &row.details,
      &ip_address,
      &user_agent,
      &row.result,
      &row.data_classification,
  };
  for (auto* field : fields) {
    std::uint32_t length = 0;
    if (text.size() < sizeof length) return std::nullopt;
    std::memcpy(&length, text.data(), sizeof length);
    text.remove_prefix(sizeof length);
    if (text.size() < length) return std::nullopt;
    field->assign(text, 0, length);
    text.remove_prefix(length);
  }
  if (!text.empty()) return std::nullopt;
  if (!ip_address.empty()) row.ip_address = std::move(ip_address);
  if (!user_agent.empty()) row.user_agent = std::move(user_agent);
  return row;
}

}  // namespace asahi::identity::audit
