#include "memory/ingest/payload.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "memory/ingest/item_document.h"
#include "memory/ingest/times.h"

namespace asahi::memory {

namespace {

std::unexpected<BadItem> bad(std::uint64_t index, ItemFault fault, std::string field,
                             std::string detail) {
  return std::unexpected(BadItem{index, fault, std::move(field), std::move(detail)});
}

/// The first of these fields that is there and not null.
const json::value* first_of(const json::object& object,
                            std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    const json::value* value = find_member(object, name);
    if (value != nullptr && !value->is_null()) return value;
  }
  return nullptr;
}

std::string_view text_of(const json::value* value) {
  return value != nullptr && value->is_string() ? std::string_view(value->get_string())
                                                : std::string_view{};
}

bool is_blank_text(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos;
}

using Numbers = std::expected<std::vector<float>, std::string>;

/// The vector at length 1; empty: all zero. Or what it should be.
Numbers unit_of(std::vector<float> vector, std::size_t width) {
  if (vector.size() != width)
    return std::unexpected(
        fmt::format("a list of {} finite numbers, not of {}", width, vector.size()));
  // Four sums side by side: each waits for its own last addition only.
  double sums[4] = {};
  for (std::size_t i = 0; i < vector.size(); ++i) {
    const double x = vector[i];
    sums[i % 4] += x * x;
  }
  const double square = sums[0] + sums[1] + sums[2] + sums[3];
  if (!(square > 1e-24)) return std::vector<float>{};
  const double scale = 1 / std::sqrt(square);
  for (float& x : vector) x = static_cast<float>(x * scale);
  return vector;
}

Numbers read_vector(const json::value& value, std::size_t width) {
  const std::string rule = fmt::format("a list of {} finite numbers", width);
  if (!value.is_array()) return std::unexpected(rule);
  const json::array& numbers = value.get_array();
  if (numbers.size() != width)
    return std::unexpected(fmt::format("{}, not of {}", rule, numbers.size()));
  std::vector<float> vector;
  vector.reserve(width);
  for (const json::value& number : numbers) {
    double x = 0;
    if (number.is_double()) {
      x = number.get_double();
    } else if (number.is_int64()) {
      x = static_cast<double>(number.get_int64());
    } else if (number.is_uint64()) {
      x = static_cast<double>(number.get_uint64());
    } else {
      return std::unexpected(rule);
    }
    const auto narrow = static_cast<float>(x);
    if (!std::isfinite(x) || !std::isfinite(narrow)) return std::unexpected(rule);
    vector.push_back(narrow);
  }
  return unit_of(std::move(vector), width);
}

/// What pushes keep of their metadata (spec §3.8), and what searches filter by.
constexpr std::string_view kPushFields[] = {"source",         "original_id", "type",
                                            "correlation_id", "user_id",     "project",
                                            "tags",           "language",    "topic"};

json::object metadata_of(const json::value* given, const ItemRules& rules, std::string_view source,
                         const Digest& hash) {
  json::object out;
  if (given != nullptr) {
    if (rules.method.empty()) {
      out = given->get_object();
    } else {
      for (const std::string_view field : kPushFields) {
        const json::value* value = find_member(given->get_object(), field);
        if (value != nullptr && !value->is_null()) out[field] = *value;
      }
    }
  }
  if (!rules.method.empty()) {
    if (!out.contains("type")) out["type"] = "session_memory";
    out["ingestion_method"] = rules.method;
  }
  out["upload_id"] = rules.upload_id;
  out["source"] = source;
  out["content_hash"] = to_hex(hash);
  return out;
}

}  // namespace

std::string_view fault_name(ItemFault fault) {
  switch (fault) {
    case ItemFault::kEmpty:
      return "empty";
    case ItemFault::kNotJson:
      return "not_json";
    case ItemFault::kTooLarge:
      return "too_large";
    case ItemFault::kBadId:
      return "bad_id";
    case ItemFault::kBadContent:
      return "bad_content";
    case ItemFault::kBadVector:
      return "bad_vector";
    case ItemFault::kBadTimestamp:
      return "bad_timestamp";
    case ItemFault::kBadMetadata:
      return "bad_metadata";
    case ItemFault::kBadSystem:
      return "bad_system";
    case ItemFault::kBroken:
      return "broken";
  }
  return "broken";
}

std::string slug(std::string_view text) {
  constexpr std::size_t kLongest = 100;
  std::string out;
  for (const char c : text) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (upper || plain) {
      out += upper ? static_cast<char>(c - 'A' + 'a') : c;
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
    if (out.size() == kLongest) break;
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out;
}

std::expected<Memory, BadItem> read_item(std::string_view text, const ItemRules& rules,
                                         std::uint64_t index) {
  const auto document = ItemDocument::parse(text);
  if (!document) return bad(index, ItemFault::kNotJson, "", document.error().message);
  const json::value& root = document->root();
  if (!root.is_object()) return bad(index, ItemFault::kNotJson, "", "an item is an object");
  return read_item(root.get_object(), rules, index, document->numbers());
}

std::expected<Memory, BadItem> read_item(const json::object& object, const ItemRules& rules,
                                         std::uint64_t index, const std::vector<float>* numbers) {
  Memory memory;
  const json::value* content = first_of(object, {"content", "text"});
  if (content != nullptr && !content->is_string())
    return bad(index, ItemFault::kBadContent, "content", "text");
  const std::string_view said = text_of(content);
  if (is_blank_text(said)) return bad(index, ItemFault::kEmpty, "content", "text, not empty");
  if (said.size() > kMaxContent)
    return bad(index, ItemFault::kTooLarge, "content",
               fmt::format("at most {} bytes; it has {}", kMaxContent, said.size()));
  if (said.contains('\0'))
    return bad(index, ItemFault::kBadContent, "content", "text without NUL characters");
  memory.content = said;
  memory.content_hash = sha256(memory.content);

  const json::value* metadata = first_of(object, {"metadata"});
  if (metadata != nullptr && !metadata->is_object())
    return bad(index, ItemFault::kBadMetadata, "metadata", "an object");
  const json::object empty;
  const json::object& known = metadata == nullptr ? empty : metadata->get_object();
  const json::value* source = first_of(object, {"source"});
  if (source == nullptr) source = first_of(known, {"source"});
  if (source != nullptr && !source->is_string())
    return bad(index, ItemFault::kBadMetadata, "source", "text");
  const std::string_view named = text_of(source);

  memory.key.tenant = rules.tenant;
  memory.key.system_id = rules.system_id;
  if (memory.key.system_id.empty()) {
    const json::value* system = first_of(object, {"system_id"});
    if (system != nullptr && !system->is_string())
      return bad(index, ItemFault::kBadSystem, "system_id", "text");
    memory.key.system_id = system == nullptr ? slug(named) : std::string(text_of(system));
    if (system == nullptr && memory.key.system_id.empty())
      memory.key.system_id = rules.default_system_id;
    if (auto ok = check_system_id(memory.key.system_id); !ok)
      return bad(index, ItemFault::kBadSystem, "system_id",
                 memory.key.system_id.empty() ? "system_id, or metadata.source to make one of"
                                              : ok.error().message);
  }
  const json::value* id = first_of(object, {"id", "memory_id", "conversation_id"});
  if (id == nullptr) {
    memory.key.conversation_id = fmt::format("{}_{}", rules.upload_id, index);
  } else if (id->is_string()) {
    memory.key.conversation_id = text_of(id);
  } else if (id->is_int64() || id->is_uint64()) {
    memory.key.conversation_id = json::serialize(*id);
  } else {
    return bad(index, ItemFault::kBadId, "id", "text");
  }
  if (auto ok = check_conversation_id(memory.key.conversation_id); !ok)
    return bad(index, ItemFault::kBadId, "id", ok.error().message);

  memory.uploaded_at = rules.now;
  memory.timestamp = rules.uploaded_at;
  const json::value* timestamp = first_of(object, {"timestamp"});
  if (timestamp == nullptr) timestamp = first_of(known, {"created_at"});
  if (timestamp != nullptr) {
    const auto time = parse_iso_time(text_of(timestamp));
    if (!time) return bad(index, ItemFault::kBadTimestamp, "timestamp", time.error().message);
    if (*time > rules.now + kClockSkew)
      return bad(index, ItemFault::kBadTimestamp, "timestamp",
                 "at most 5 minutes ahead of this server's clock: check the writer's");
    memory.timestamp = *time;
  }

  const json::value* embedding = first_of(object, {"embedding"});
  if (embedding != nullptr || numbers != nullptr) {
    auto vector = embedding != nullptr ? read_vector(*embedding, rules.width)
                                       : unit_of(*numbers, rules.width);
    if (!vector) return bad(index, ItemFault::kBadVector, "embedding", vector.error());
    const json::value* model = first_of(object, {"embedding_model"});
    if (model == nullptr) model = first_of(known, {"embedding_model"});
    const std::string_view whose =
        model == nullptr ? std::string_view(rules.declared_model) : text_of(model);
    if (whose == rules.embedding_model || (whose.empty() && rules.trust_unlabelled)) {
      memory.embedding = std::move(*vector);
      if (!memory.embedding.empty()) memory.embedding_model = rules.embedding_model;
    }
  }

  memory.metadata = write_json(
      metadata_of(metadata, rules, named.empty() ? rules.source : named, memory.content_hash));
  if (memory.metadata.size() > kMaxMetadata)
    return bad(index, ItemFault::kBadMetadata, "metadata",
               fmt::format("at most {} bytes; it has {}", kMaxMetadata, memory.metadata.size()));
  return memory;
}

ItemScanner::Format format_of_name(std::string_view name) {
  if (compression_of_name(name) != Compression::kNone) name = name.substr(0, name.rfind('.'));
  return name.ends_with(".jsonl") || name.ends_with(".ndjson") ? ItemScanner::Format::kLines
                                                               : ItemScanner::Format::kBundle;
}

Result<void> PayloadReader::begin_file(const std::string& name, Compression compression) {
  // The caps hold over all files of an upload together.
  DecodeLimits left = limits_;
  left.max_bytes -= std::min(left.max_bytes, done_out_);
  ASAHI_TRY(decoder_, Decoder::make(compression, left));
  scanner_.emplace(format_of_name(name));
  text_ = {};
  last_.reset();
  broken_ = false;
  return {};
}

void PayloadReader::give(std::string bytes) {
  bytes_ = std::move(bytes);
  decoder_->give(bytes_);
}

std::optional<PayloadReader::Raw> PayloadReader::take(ItemScanner::Step step) {
  Raw raw{.index = items_, .text = {}, .fault = {}};
  switch (step) {
    case ItemScanner::Step::kMore:
      return std::nullopt;
    case ItemScanner::Step::kItem:
      raw.text = scanner_->item();
      ++items_;
      break;
    case ItemScanner::Step::kOversize:
      raw.fault = BadItem{items_, ItemFault::kTooLarge, "",
                          fmt::format("at most {} bytes of JSON", ItemScanner::kMaxItem)};
      ++items_;
      break;
    case ItemScanner::Step::kBroken:
      if (broken_) return std::nullopt;  // said once
      broken_ = true;
      raw.fault = BadItem{items_, ItemFault::kBroken, "", scanner_->why()};
      return raw;
  }
  if (raw.index < skip_) return Raw{.index = raw.index, .text = {}, .fault = {}};
  return raw;
}

Result<std::optional<PayloadReader::Raw>> PayloadReader::next() {
  for (;;) {
    if (last_) {
      const ItemScanner::Step step = *std::exchange(last_, ItemScanner::Step::kMore);
      auto raw = take(step);
      if (raw && raw->text.empty() && !raw->fault) return std::optional<Raw>{};
      return raw;
    }
    if (broken_) {
      // What follows is read to its end all the same, for its caps and its checksum.
      text_ = {};
    } else {
      auto raw = take(scanner_->next(text_));
      if (raw && (!raw->text.empty() || raw->fault)) return raw;
      if (raw) continue;  // an item that was stored before
    }
    ASAHI_TRY(text_, decoder_->next());
    if (text_.empty()) return std::optional<Raw>{};
  }
}

Result<void> PayloadReader::end_file() {
  done_bytes_ += decoder_->bytes_in();
  done_out_ += decoder_->bytes_out();
  auto ended = decoder_->finish();
  decoder_ = Decoder::make(Compression::kNone).value();
  if (!ended) return ended;
  last_ = scanner_->finish();
  return {};
}

}  // namespace asahi::memory
