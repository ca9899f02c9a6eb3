#include "memory/cold/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/json.h"

namespace asahi::memory::cold {

namespace {

namespace pq = columnar::parquet;

static_assert(std::endian::native == std::endian::little, "fingerprints are kept little-endian");

std::size_t at(ColumnId id) { return static_cast<std::size_t>(id); }

std::string_view bytes_of(const auto& array) {
  return {reinterpret_cast<const char*>(array.data()), array.size() * sizeof array[0]};
}

std::int64_t nanoseconds(Clock::Time time) { return time.time_since_epoch().count(); }
Clock::Time time_of(std::int64_t ns) { return Clock::Time(std::chrono::nanoseconds(ns)); }

/// The other memory of a near-duplicate; tenants never differ.
std::string near_text(const Key& key) {
  std::string out = "[";
  append_json_string(out, key.system_id);
  out += ',';
  append_json_string(out, key.conversation_id);
  out += ']';
  return out;
}

Result<Key> near_key(std::string_view text, const std::string& tenant) {
  ASAHI_TRY(const json::value value, parse_json(text));
  if (!value.is_array() || value.get_array().size() != 2 || !value.get_array()[0].is_string() ||
      !value.get_array()[1].is_string())
    return fail(Errc::kCorrupt, "a cold row's near_duplicate_of");
  return Key{.tenant = tenant,
             .system_id = std::string(value.get_array()[0].get_string()),
             .conversation_id = std::string(value.get_array()[1].get_string())};
}

/// The member `daily_metrics` of the metadata, which has a column of its own as well.
std::optional<std::string> daily_metrics(const std::string& metadata) {
  if (!metadata.contains("\"daily_metrics\"")) return std::nullopt;
  const auto value = parse_json(metadata);
  if (!value || !value->is_object()) return std::nullopt;
  const json::value* const found = value->get_object().if_contains("daily_metrics");
  if (found == nullptr || !found->is_object()) return std::nullopt;
  return write_json(*found);
}

}  // namespace

Memory as_kept(Memory memory) {
  if (memory.embedding.empty()) return memory;
  memory.embedding = dequantised(quantise_finite(memory.embedding));
  return memory;
}

const std::vector<pq::ColumnSpec>& columns() {
  using enum pq::Kind;
  constexpr auto kNone = pq::Compression::kNone;
  // Hashes, fingerprints and vectors do not get smaller: zstd would take most of the time for 3 %.
  static const std::vector<pq::ColumnSpec> all = {
      {.name = "conversation_id", .kind = kText, .statistics = true},
      {.name = "timestamp", .kind = kTimestampNs, .statistics = true},
      {.name = "ultra_summary", .kind = kText},
      {.name = "metadata", .kind = kJson, .dictionary = true},
      {.name = "system_id", .kind = kText, .dictionary = true, .statistics = true},
      {.name = "tenant_id", .kind = kText, .dictionary = true, .statistics = true},
      {.name = "content_hash", .kind = kFixed, .length = 32, .compression = kNone},
      {.name = "fingerprint",
       .kind = kFixed,
       .length = sizeof(Fingerprint),
       .optional = true,
       .compression = kNone},
      {.name = "uploaded_at", .kind = kTimestampNs},
      {.name = "embedding_model", .kind = kText, .optional = true, .dictionary = true},
      {.name = "vector", .kind = kBlob, .optional = true, .compression = kNone},
      {.name = "scale", .kind = kFloat, .optional = true, .compression = kNone},
      {.name = "near_duplicate_of", .kind = kJson, .optional = true},
      {.name = "daily_metrics", .kind = kJson, .optional = true}};
  return all;
}

Result<RowWriter> RowWriter::create(const std::string& path, const FileOptions& options) {
  ASAHI_TRY(auto out, pq::Writer::create(path, columns(),
                                         {.group_rows = options.group_rows,
                                          .page_rows = options.page_rows,
                                          .level = options.level,
                                          .sorted_by = "conversation_id",
                                          .metadata = {{"asahi.kind", "cold memories 1"}}}));
  return RowWriter(std::move(out));
}

Result<void> RowWriter::add(const Memory& memory) {
  const Key& key = memory.key;
  if (rows_ > 0 && (key.tenant != last_.tenant || key.system_id != last_.system_id ||
                    key.conversation_id <= last_.conversation_id))
    return fail(Errc::kInvalidArgument,
                "the memories of a cold file are of one system and ascend by id");
  last_ = key;
  ++rows_;
  static const Fingerprint kNoFingerprint{};
  pq::Writer& out = *out_;
  out.bytes(at(ColumnId::kConversationId), key.conversation_id);
  out.number(at(ColumnId::kTimestamp), nanoseconds(memory.timestamp));
  out.bytes(at(ColumnId::kUltraSummary), memory.content);
  out.bytes(at(ColumnId::kMetadata), memory.metadata);
  out.bytes(at(ColumnId::kSystemId), key.system_id);
  out.bytes(at(ColumnId::kTenantId), key.tenant);
  out.bytes(at(ColumnId::kContentHash), bytes_of(memory.content_hash));
  if (memory.fingerprint == kNoFingerprint) {
    out.null(at(ColumnId::kFingerprint));
  } else {
    out.bytes(at(ColumnId::kFingerprint), bytes_of(memory.fingerprint));
  }
  out.number(at(ColumnId::kUploadedAt), nanoseconds(memory.uploaded_at));
  if (memory.embedding_model.empty()) {
    out.null(at(ColumnId::kEmbeddingModel));
  } else {
    out.bytes(at(ColumnId::kEmbeddingModel), memory.embedding_model);
  }
  if (memory.embedding.empty()) {
    out.null(at(ColumnId::kVector));
    out.null(at(ColumnId::kScale));
  } else {
    const Quantised vector = quantise_finite(memory.embedding);
    out.bytes(at(ColumnId::kVector), bytes_of(vector.codes));
    out.real(at(ColumnId::kScale), vector.scale);
  }
  if (memory.near_duplicate_of) {
    out.bytes(at(ColumnId::kNearDuplicateOf), near_text(*memory.near_duplicate_of));
  } else {
    out.null(at(ColumnId::kNearDuplicateOf));
  }
  if (const auto metrics = daily_metrics(memory.metadata)) {
    out.bytes(at(ColumnId::kDailyMetrics), *metrics);
  } else {
    out.null(at(ColumnId::kDailyMetrics));
  }
  return out.end_row();
}

Result<pq::Written> RowWriter::finish() { return out_->finish(); }

namespace {

/// As many bytes as both have. An empty column's begin is null, which memcpy must not be given.
void copy_bytes(std::string_view from, void* to, std::size_t room) {
  if (!from.empty()) std::memcpy(to, from.data(), std::min(from.size(), room));
}

/// Row `row` of the columns, which were read from that place on.
Result<Memory> memory_at(const std::array<pq::Values, kColumns>& values, std::uint64_t row,
                         const std::string& tenant, const std::string& system_id) {
  const auto of = [&](ColumnId id) -> std::pair<const pq::Values&, std::size_t> {
    const pq::Values& column = values[at(id)];
    return {column, row - column.first_row()};
  };
  const auto bytes = [&](ColumnId id) {
    const auto [column, place] = of(id);
    return column.bytes(place);
  };
  const auto number = [&](ColumnId id) {
    const auto [column, place] = of(id);
    return column.number(place);
  };
  // A file under the wrong name must not show one tenant another's memories.
  if (bytes(ColumnId::kTenantId) != tenant || bytes(ColumnId::kSystemId) != system_id)
    return fail(Errc::kCorrupt, "a cold file holds rows of another tenant or system");
  Memory memory;
  memory.key = {.tenant = tenant,
                .system_id = system_id,
                .conversation_id = std::string(bytes(ColumnId::kConversationId))};
  memory.content = bytes(ColumnId::kUltraSummary);
  memory.metadata = bytes(ColumnId::kMetadata);
  memory.timestamp = time_of(number(ColumnId::kTimestamp));
  memory.uploaded_at = time_of(number(ColumnId::kUploadedAt));
  memory.embedding_model = bytes(ColumnId::kEmbeddingModel);
  const std::string_view hash = bytes(ColumnId::kContentHash);
  copy_bytes(hash, memory.content_hash.data(), memory.content_hash.size());
  const std::string_view fingerprint = bytes(ColumnId::kFingerprint);
  copy_bytes(fingerprint, memory.fingerprint.data(), sizeof memory.fingerprint);
  const auto [scale, scale_row] = of(ColumnId::kScale);
  memory.embedding = dequantised(bytes(ColumnId::kVector), scale.real(scale_row));
  const std::string_view near = bytes(ColumnId::kNearDuplicateOf);
  if (!near.empty()) {
    ASAHI_TRY(memory.near_duplicate_of, near_key(near, tenant));
  }
  return memory;
}

}  // namespace

Result<RowFile> RowFile::open(std::unique_ptr<pq::Source> source,
                              std::shared_ptr<const pq::Layout> layout) {
  if (layout == nullptr) {
    ASAHI_TRY(layout, pq::read_layout(*source));
  }
  // By name and kind: compression and statistics may change.
  const auto& expected = columns();
  bool same = layout->columns.size() == expected.size() && layout->sorted_by == 0U;
  for (std::size_t i = 0; i < expected.size() && same; ++i) {
    const pq::ColumnSpec& column = layout->columns[i];
    same = column.name == expected[i].name && column.kind == expected[i].kind &&
           column.length == expected[i].length && column.optional == expected[i].optional;
  }
  if (!same) return fail(Errc::kCorrupt, "an object is no file of cold memories");
  return RowFile(std::move(source), std::move(layout));
}

Result<pq::Values> RowFile::read(std::size_t group, ColumnId column) {
  return pq::read_column(*source_, *layout_, group, at(column));
}

bool RowFile::overlaps(std::size_t group, std::optional<Clock::Time> start,
                       std::optional<Clock::Time> end) const {
  const pq::ChunkAt& chunk = layout_->groups[group].columns[at(ColumnId::kTimestamp)];
  if (!chunk.least) return true;
  std::int64_t least = 0, greatest = 0;
  std::memcpy(&least, chunk.least->data(), sizeof least);
  std::memcpy(&greatest, chunk.greatest->data(), sizeof greatest);
  return (!start || greatest >= nanoseconds(*start)) && (!end || least < nanoseconds(*end));
}

Result<std::vector<Memory>> RowFile::memories(std::size_t group, const std::string& tenant,
                                              const std::string& system_id) {
  std::array<pq::Values, kColumns> values;
  for (std::size_t i = 0; i < kColumns; ++i) {
    ASAHI_TRY(values[i], pq::read_column(*source_, *layout_, group, i));
  }
  std::vector<Memory> out;
  for (std::size_t row = 0; row < layout_->groups[group].rows; ++row) {
    ASAHI_TRY(auto memory, memory_at(values, row, tenant, system_id));
    out.push_back(std::move(memory));
  }
  return out;
}

Result<bool> RowFile::holds(const std::string& conversation_id) {
  ASAHI_TRY(const auto place, pq::find_row(*source_, *layout_, conversation_id));
  return place.has_value();
}

Result<std::optional<Memory>> RowFile::find(const Key& key) {
  ASAHI_TRY(const auto place, pq::find_row(*source_, *layout_, key.conversation_id));
  if (!place) return std::nullopt;
  std::array<pq::Values, kColumns> values;
  for (std::size_t i = 0; i < kColumns; ++i) {
    ASAHI_TRY(values[i], pq::read_page(*source_, *layout_, place->group, i, place->row));
  }
  ASAHI_TRY(auto memory, memory_at(values, place->row, key.tenant, key.system_id));
  return memory;
}

}  // namespace asahi::memory::cold
