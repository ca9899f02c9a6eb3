#include "memory/pgvector/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <iterator>

#include "base/hash.h"
#include "base/json.h"
#include "base/json_out.h"
#include "memory/dedup/lsh.h"
#include "memory/model/seen_in.h"
#include "memory/text/index.h"

namespace asahi::memory::pg {
namespace {

constexpr std::size_t kMostFact = 512;
constexpr std::size_t kBands = dedup::LshIndex::kBands,
                      kRowsPerBand = dedup::LshIndex::kRowsPerBand;

std::string bytes_of(const sql::Rows& rows, std::size_t at, std::string_view column) {
  const sql::Value& value = rows.at(at, column);
  if (const auto* blob = std::get_if<sql::Blob>(&value)) return blob->bytes;
  return {};
}

Result<std::vector<float>> read_vector(std::string_view text) {
  std::vector<float> out;
  if (text.empty()) return out;
  const char* at = text.data() + 1;
  const char* const end = text.data() + text.size() - 1;
  while (at < end) {
    float number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc()) return fail(Errc::kCorrupt, "a vector in PostgreSQL is no vector");
    out.push_back(number);
    at = next < end && *next == ',' ? next + 1 : next;
  }
  return out;
}

std::string plain(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : write_json(value);
}

template <class T>
std::string array_text(const std::vector<T>& numbers) {
  return fmt::format("{{{}}}", fmt::join(numbers, ","));
}

}  // namespace

const std::string_view kRowColumns =
    "c.tenant, c.system_id, c.conversation_id, c.content, c.raw, CAST(c.embedding AS TEXT) AS "
    "vector, c.embedding_model, c.timestamp_ns, c.uploaded_ns, c.metadata, c.content_hash, "
    "c.fingerprint, c.near_system, c.near_conversation, CASE WHEN c.duplicate THEN 1 ELSE 0 END AS "
    "twin, c.seq, CASE WHEN c.duplicate THEN NULL ELSE (SELECT CAST(json_agg(json_build_object("
    "'system_id', s.system_id, 'conversation_id', s.conversation_id)) AS TEXT) FROM (SELECT "
    "d.system_id, d.conversation_id FROM akosha.conversations d WHERE d.tenant = c.tenant AND "
    "d.content_hash = c.content_hash AND d.duplicate ORDER BY d.seq LIMIT 100) s) END AS seen";

const std::string_view kJsonKeys =
    "(SELECT e.v->>0 AS tenant, e.v->>1 AS system_id, e.v->>2 AS conversation_id, e.n FROM "
    "jsonb_array_elements(CAST(? AS jsonb)) WITH ORDINALITY AS e(v, n)) k";
const std::string_view kJsonStrings = "ARRAY(SELECT jsonb_array_elements_text(CAST(? AS jsonb)))";

std::int64_t ns_of(Clock::Time time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}
Clock::Time time_of(std::int64_t ns) { return Clock::Time{std::chrono::nanoseconds{ns}}; }

std::string without_nul(std::string_view text) {
  std::string out(text);
  std::ranges::replace(out, '\0', ' ');
  return out;
}

Result<Memory> read_row(const sql::Rows& rows, std::size_t at, SeenIn seen_in) {
  Memory out;
  out.key = {rows.text(at, "tenant"), rows.text(at, "system_id"), rows.text(at, "conversation_id")};
  out.content = rows.is_null(at, "raw") ? rows.text(at, "content") : bytes_of(rows, at, "raw");
  ASAHI_TRY(out.embedding, read_vector(rows.text(at, "vector")));
  out.embedding_model = rows.text(at, "embedding_model");
  out.timestamp = time_of(rows.integer(at, "timestamp_ns"));
  out.uploaded_at = time_of(rows.integer(at, "uploaded_ns"));
  out.metadata = rows.text(at, "metadata");
  if (seen_in == SeenIn::kAdded) {
    const std::string seen = rows.text(at, "seen");
    if (!seen.empty()) out.metadata = with_seen_in(std::move(out.metadata), seen);
  }
  const std::string hash = bytes_of(rows, at, "content_hash");
  if (hash.size() != out.content_hash.size())
    return fail(Errc::kCorrupt, "a content_hash in PostgreSQL has another length");
  std::memcpy(out.content_hash.data(), hash.data(), hash.size());
  ASAHI_TRY(out.fingerprint, dedup::fingerprint_from(bytes_of(rows, at, "fingerprint")));
  if (!rows.is_null(at, "near_system"))
    out.near_duplicate_of =
        Key{out.key.tenant, rows.text(at, "near_system"), rows.text(at, "near_conversation")};
  return out;
}

sql::Statement write_row(const Memory& memory, bool duplicate) {
  text::Index::Words words;
  text::Index::read(memory.content, words);
  std::vector<std::string> terms;
  std::vector<int> frequencies;
  for (const auto& term : words.terms) {
    terms.push_back(without_nul(words.of(term)));
    frequencies.push_back(term.frequency);
  }
  const bool nul = memory.content.contains('\0');
  using Value = sql::Value;
  const Value none;
  sql::Statement out;
  out.sql = fmt::format(
      "INSERT INTO akosha.conversations (tenant, system_id, conversation_id, content, raw, "
      "embedding, embedding_model, timestamp_ns, uploaded_ns, metadata, content_hash, fingerprint, "
      "near_system, near_conversation, terms, frequencies, words, facts, bands, duplicate, "
      "marked_ns, seq) VALUES (?, ?, ?, ?, ?, CAST(? AS vector), ?, ?, ?, ?, ?, ?, ?, ?, {0}, "
      "CAST(CAST(? AS TEXT) AS INTEGER[]), CAST(? AS INTEGER), {0}, CAST(CAST(? AS TEXT) AS "
      "BIGINT[]), {1}, NULL, nextval('akosha.writings')) ON CONFLICT (tenant, system_id, "
      "conversation_id) DO UPDATE SET content = EXCLUDED.content, raw = EXCLUDED.raw, embedding = "
      "EXCLUDED.embedding, embedding_model = EXCLUDED.embedding_model, timestamp_ns = "
      "EXCLUDED.timestamp_ns, uploaded_ns = EXCLUDED.uploaded_ns, metadata = EXCLUDED.metadata, "
      "content_hash = EXCLUDED.content_hash, fingerprint = EXCLUDED.fingerprint, near_system = "
      "EXCLUDED.near_system, near_conversation = EXCLUDED.near_conversation, terms = "
      "EXCLUDED.terms, frequencies = EXCLUDED.frequencies, words = EXCLUDED.words, facts = "
      "EXCLUDED.facts, bands = EXCLUDED.bands, duplicate = EXCLUDED.duplicate, marked_ns = NULL, "
      "seq = EXCLUDED.seq",
      kJsonStrings, duplicate ? "TRUE" : "FALSE");
  const auto hash = std::string_view(reinterpret_cast<const char*>(memory.content_hash.data()),
                                     memory.content_hash.size());
  out.params = {memory.key.tenant,
                memory.key.system_id,
                memory.key.conversation_id,
                nul ? without_nul(memory.content) : memory.content,
                nul ? Value(sql::Blob{memory.content}) : none,
                memory.embedding.empty() ? none : Value(vector_text(memory.embedding)),
                memory.embedding_model,
                ns_of(memory.timestamp),
                ns_of(memory.uploaded_at),
                memory.metadata,
                sql::Blob{std::string(hash)},
                sql::Blob{dedup::fingerprint_bytes(memory.fingerprint)},
                memory.near_duplicate_of ? Value(memory.near_duplicate_of->system_id) : none,
                memory.near_duplicate_of ? Value(memory.near_duplicate_of->conversation_id) : none,
                strings_json(terms),
                array_text(frequencies),
                static_cast<std::int64_t>(words.tokens.words),
                strings_json(facts_of(memory.metadata)),
                array_text(bands_of(memory.fingerprint))};
  return out;
}

std::string vector_text(const std::vector<float>& vector) {
  std::string out = "[";
  for (const float number : vector) fmt::format_to(std::back_inserter(out), "{},", number);
  out.back() = ']';
  return out;
}

std::string keys_json(const std::vector<Key>& keys) {
  std::string text;
  JsonOut out(text);
  out.open_array();
  for (const Key& key : keys) {
    out.open_array();
    out.string(without_nul(key.tenant));
    out.string(without_nul(key.system_id));
    out.string(without_nul(key.conversation_id));
    out.close_array();
  }
  out.close_array();
  return text;
}

std::string strings_json(const std::vector<std::string>& strings) {
  std::string text;
  JsonOut out(text);
  out.open_array();
  for (const std::string& string : strings) out.string(string);
  out.close_array();
  return text;
}

std::string fact(std::string_view field, std::string_view value) {
  std::string out = without_nul(field);
  out += '\x1F';
  out += without_nul(value);
  if (out.size() <= kMostFact) return out;
  // What is cut could be anything's beginning: its sum makes it its own.
  const Digest256 sum = sha256(out);
  std::size_t end = kMostFact - 2 * sum.size();
  while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xC0) == 0x80) --end;
  return out.substr(0, end) + to_hex(sum);
}

std::vector<std::string> facts_of(std::string_view metadata) {
  std::vector<std::string> out;
  const auto parsed = parse_json(metadata);
  if (!parsed || !parsed->is_object()) return out;
  for (const auto& [name, value] : parsed->get_object()) {
    if (!value.is_array()) {
      if (!value.is_null()) out.push_back(fact(name, plain(value)));
      continue;
    }
    for (const json::value& one : value.get_array()) out.push_back(fact(name, plain(one)));
  }
  return out;
}

std::vector<std::int64_t> bands_of(const Fingerprint& fingerprint) {
  std::vector<std::int64_t> out;
  if (fingerprint == Fingerprint{}) return out;
  for (std::size_t band = 0; band < kBands; ++band) {
    std::string rows(1, static_cast<char>(band));
    for (std::size_t row = 0; row < kRowsPerBand; ++row) {
      const std::uint32_t value = fingerprint[band * kRowsPerBand + row];
      for (int byte = 0; byte < 4; ++byte) rows += static_cast<char>(value >> (8 * byte) & 0xFF);
    }
    const Digest256 sum = sha256(rows);
    std::uint64_t number = 0;
    for (int byte = 0; byte < 8; ++byte) number = number << 8 | sum[static_cast<std::size_t>(byte)];
    out.push_back(std::bit_cast<std::int64_t>(number));
  }
  return out;
}

}  // namespace asahi::memory::pg
