#include "storage/vector/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>

#include "base/hash.h"
#include "base/utf8.h"

namespace asahi::vector {
namespace {

constexpr std::size_t kMaxName = 64;
constexpr std::size_t kMaxId = 256;
constexpr std::size_t kMaxFields = 32;
constexpr std::size_t kMaxFilterText = 1024;
constexpr std::size_t kMaxMetadata = 1024 * 1024;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_field_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxName || !is_letter(name[0])) return false;
  if (name.starts_with("asahi_")) return false;
  return std::ranges::all_of(name, [](char c) { return is_letter(c) || is_digit(c) || c == '_'; });
}

bool is_plain_text(std::string_view text) {
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return is_utf8(text) && std::ranges::none_of(text, control);
}

Result<void> check_name(std::string_view name, const std::string& field) {
  if (is_field_name(name)) return {};
  return fail_field(field,
                    fmt::format("a metadata field must be named [A-Za-z][A-Za-z0-9_]{{0,63}} "
                                "and not begin with asahi_; this name has {} bytes",
                                name.size()));
}

Result<void> check_value(const Value& value, bool filterable, const std::string& field) {
  if (const auto* number = std::get_if<double>(&value)) {
    if (std::isfinite(*number)) return {};
    return fail_field(field, "a metadata number must be finite");
  }
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr) return {};
  if (!is_utf8(*text) || text->find('\0') != std::string::npos) {
    return fail_field(field, "a metadata text must be UTF-8 without NUL");
  }
  if (filterable && text->size() > kMaxFilterText) {
    return fail_field(field, fmt::format("a text to filter on has at most {} bytes, this one {}; "
                                         "store a digest of it",
                                         kMaxFilterText, text->size()));
  }
  return {};
}

bool filterable(const Space& space, std::string_view name) {
  return std::ranges::find(space.filter_fields, name) != space.filter_fields.end();
}

Result<void> check_metadata(const Space& space, const Metadata& metadata,
                            const std::string& field) {
  if (metadata.size() > kMaxFields) {
    return fail_field(field, fmt::format("an item has at most {} metadata fields, this one {}",
                                         kMaxFields, metadata.size()));
  }
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < metadata.size(); ++i) {
    const Field& each = metadata[i];
    const std::string here = field + "." + (is_field_name(each.name) ? each.name : "?");
    if (auto ok = check_name(each.name, here); !ok) return ok;
    if (auto ok = check_value(each.value, filterable(space, each.name), here); !ok) return ok;
    for (std::size_t earlier = 0; earlier < i; ++earlier) {
      if (metadata[earlier].name != each.name) continue;
      return fail_field(here, "a metadata field may stand once only");
    }
    if (const auto* text = std::get_if<std::string>(&each.value)) bytes += text->size();
  }
  if (bytes <= kMaxMetadata) return {};
  return fail_field(field, fmt::format("an item's metadata has at most {} bytes of text, this has "
                                       "{}; keep long texts elsewhere",
                                       kMaxMetadata, bytes));
}

Result<void> check_filter(const Space& space, const Metadata& filter) {
  for (const Field& each : filter) {
    if (filterable(space, each.name)) continue;
    return fail_field("filter", fmt::format("the index was opened without '{}' among its filter "
                                            "fields ({}); add it there",
                                            is_field_name(each.name) ? each.name : "?",
                                            fmt::join(space.filter_fields, ", ")));
  }
  return check_metadata(space, filter, "filter");
}

Result<void> check_id(std::string_view id, const std::string& field) {
  if (!id.empty() && id.size() <= kMaxId && is_plain_text(id)) return {};
  return fail_field(field, fmt::format("an id must be 1 to {} bytes of UTF-8 without control "
                                       "characters; this one has {} bytes",
                                       kMaxId, id.size()));
}

}  // namespace

Result<void> check_space(const Space& space) {
  if (space.dimensions == 0 || space.dimensions > kMaxDimensions) {
    return fail_field("dimensions", fmt::format("the width of vectors must be 1 to {}, not {}",
                                                kMaxDimensions, space.dimensions));
  }
  if (space.model.empty() || space.model.size() > 256 || !is_plain_text(space.model)) {
    return fail_field("model", "the model's tag must be 1 to 256 bytes of text");
  }
  if (space.filter_fields.size() > kMaxFields) {
    return fail_field("filter_fields",
                      fmt::format("an index has at most {} fields to filter on", kMaxFields));
  }
  std::set<std::string_view> seen;
  for (const std::string& name : space.filter_fields) {
    if (auto ok = check_name(name, "filter_fields"); !ok) return ok;
    if (!seen.insert(name).second) {
      return fail_field("filter_fields", fmt::format("the field '{}' stands there twice", name));
    }
  }
  return {};
}

Result<void> check_tenant(std::string_view tenant) {
  if (!tenant.empty() && tenant.size() <= kMaxId && is_plain_text(tenant)) return {};
  return fail_field("tenant", fmt::format("a tenant must be 1 to {} bytes of UTF-8 without control "
                                          "characters; this one has {} bytes",
                                          kMaxId, tenant.size()));
}

Result<void> check_vector(const Space& space, std::span<const float> vector,
                          std::string_view field) {
  if (vector.size() != space.dimensions) {
    return fail_field(std::string(field),
                      fmt::format("the vector has {} numbers where the index '{}' has {}; embed "
                                  "with that model, or open an index of that width",
                                  vector.size(), space.model, space.dimensions));
  }
  double sum = 0;
  for (std::size_t i = 0; i < vector.size(); ++i) {
    if (!std::isfinite(vector[i])) {
      return fail_field(std::string(field),
                        fmt::format("number {} of the vector is {}; all must be finite", i,
                                    std::isnan(vector[i]) ? "not a number" : "infinite"));
    }
    sum += static_cast<double>(vector[i]) * vector[i];
  }
  // Below that, the length is all rounding error.
  if (sum > 1e-30) return {};
  return fail_field(std::string(field),
                    "the vector is zero and has no direction; at least one number must differ "
                    "from 0");
}

Result<void> check_items(const Space& space, std::span<const Item> items) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    const std::string here = fmt::format("items[{}]", i);
    if (auto ok = check_id(item.id, here + ".id"); !ok) return ok;
    if (auto ok = check_vector(space, item.vector, here + ".vector"); !ok) return ok;
    if (auto ok = check_metadata(space, item.metadata, here + ".metadata"); !ok) return ok;
  }
  return {};
}

Result<void> check_ids(std::span<const std::string> ids) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (auto ok = check_id(ids[i], fmt::format("ids[{}]", i)); !ok) return ok;
  }
  return {};
}

Result<void> check_query(const Space& space, std::span<const float> vector, std::size_t top_k,
                         const Metadata& filter) {
  if (top_k == 0 || top_k > kMaxTopK) {
    return fail_field("top_k", fmt::format("top_k must be 1 to {}, not {}", kMaxTopK, top_k));
  }
  if (auto ok = check_vector(space, vector, "vector"); !ok) return ok;
  return check_filter(space, filter);
}

Result<void> check_erase_filter(const Space& space, const Metadata& filter) {
  if (filter.empty()) {
    return fail_field("filter", "the filter is empty; to erase everything use erase_all");
  }
  return check_filter(space, filter);
}

std::vector<float> unit_vector(std::span<const float> vector) {
  double sum = 0;
  for (const float number : vector) sum += static_cast<double>(number) * number;
  const double scale = 1 / std::sqrt(sum);
  std::vector<float> out(vector.size());
  for (std::size_t i = 0; i < vector.size(); ++i) out[i] = static_cast<float>(vector[i] * scale);
  return out;
}

std::vector<Item> without_replaced(std::vector<Item> items) {
  std::unordered_map<std::string_view, std::size_t> last;
  for (std::size_t i = 0; i < items.size(); ++i) last[items[i].id] = i;
  if (last.size() == items.size()) return items;
  std::vector<std::size_t> kept;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (last[items[i].id] == i) kept.push_back(i);
  }
  std::vector<Item> out;
  out.reserve(kept.size());
  for (const std::size_t i : kept) out.push_back(std::move(items[i]));
  return out;
}

bool matches(const Metadata& metadata, const Metadata& filter) {
  return std::ranges::all_of(filter, [&](const Field& wanted) {
    return std::ranges::find(metadata, wanted) != metadata.end();
  });
}

float clamp_score(double score) {
  if (!(score > -1)) return -1;
  return static_cast<float>(std::min(score, 1.0));
}

std::string collection_name(std::string_view index_name, const Space& space) {
  std::string out;
  for (const char c : index_name) out += is_letter(c) || is_digit(c) ? c : '_';
  if (out.empty() || !is_letter(out[0])) out.insert(0, "v_");
  const Digest256 digest = sha256(space.model);
  return out + fmt::format("_{}_{}", to_hex(digest.data(), 4), space.dimensions);
}

std::string item_key(std::string_view tenant, std::string_view id) {
  const Digest256 digest = sha256(fmt::format("{}:{}{}", tenant.size(), tenant, id));
  return to_hex(digest.data(), 16);
}

std::string item_uuid(std::string_view tenant, std::string_view id) {
  std::string hex = item_key(tenant, id);
  hex[12] = '8';
  constexpr std::string_view kVariant = "89ab";
  hex[16] = kVariant[static_cast<unsigned char>(hex[16]) % 4];
  const std::string_view all = hex;
  return fmt::format("{}-{}-{}-{}-{}", all.substr(0, 8), all.substr(8, 4), all.substr(12, 4),
                     all.substr(16, 4), all.substr(20));
}

}  // namespace asahi::vector
