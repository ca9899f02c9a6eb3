#include "storage/vector/rest/rest_index.h"

#include <fmt/format.h>

#include <iterator>

#include "storage/vector/rules.h"

namespace asahi::vector {
namespace {

/// One call holds at most so many items and, about, so many bytes: below the databases' limits
/// (Pinecone: 2 MB).
constexpr std::size_t kBatchItems = 100;
constexpr std::size_t kBatchBytes = 1'500'000;
constexpr std::size_t kBatchIds = 500;
constexpr std::size_t kBytesPerNumber = 13;

std::size_t metadata_bytes(const Metadata& metadata) {
  std::size_t sum = 2;
  for (const Field& field : metadata) {
    sum += field.name.size() + 4;
    const auto* text = std::get_if<std::string>(&field.value);
    sum += text == nullptr ? 24 : text->size() + 2;
  }
  return sum;
}

}  // namespace

Result<void> RestIndex::check_sizes(const std::vector<Item>& items) const {
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::size_t bytes = metadata_bytes(items[i].metadata);
    if (bytes <= max_metadata()) continue;
    return fail(Errc::kTooLarge,
                fmt::format("items[{}].metadata: {} takes at most {} bytes for an item, these are "
                            "{}; keep long texts elsewhere",
                            i, backend(), max_metadata(), bytes));
  }
  return {};
}

void RestIndex::noted(const Error& error) {
  if (error.code == Errc::kNotFound) ready_.store(false, std::memory_order_relaxed);
}

Task<void> RestIndex::ready(Deadline deadline) {
  if (ready_.load(std::memory_order_relaxed)) co_return Result<void>();
  ASAHI_CO_TRY(const bool there, co_await prepare(deadline));
  if (!there) {
    co_return fail(Errc::kUnavailable,
                   fmt::format("{} is still making the index '{}'; try again in a minute",
                               backend(), options_.index_name));
  }
  ready_.store(true, std::memory_order_relaxed);
  co_return Result<void>();
}

Task<void> RestIndex::upsert(std::string tenant, std::vector<Item> items) {
  if (auto ok = check_tenant(tenant); !ok) co_return ok;
  if (auto ok = check_items(options_.space, items); !ok) co_return ok;
  if (auto ok = check_sizes(items); !ok) co_return ok;
  items = without_replaced(std::move(items));
  for (std::size_t at = 0; at < items.size();) {
    std::vector<Item> batch;
    std::size_t bytes = 0;
    while (at < items.size() && batch.size() < kBatchItems && bytes < kBatchBytes) {
      bytes += items[at].vector.size() * kBytesPerNumber + metadata_bytes(items[at].metadata);
      batch.push_back(std::move(items[at++]));
    }
    const Deadline until = deadline();
    if (auto ok = co_await ready(until); !ok) co_return ok;
    auto done = co_await put_batch(tenant, std::move(batch), until);
    if (!done) {
      noted(done.error());
      co_return done;
    }
  }
  co_return Result<void>();
}

Task<std::vector<Hit>> RestIndex::query(std::string tenant, Query query) {
  if (auto ok = check_tenant(tenant); !ok) co_return std::unexpected(ok.error());
  if (auto ok = check_query(options_.space, query.vector, query.top_k, query.filter); !ok) {
    co_return std::unexpected(ok.error());
  }
  const Deadline until = deadline();
  if (auto ok = co_await ready(until); !ok) co_return std::unexpected(ok.error());
  auto hits = co_await nearest(std::move(tenant), std::move(query), until);
  if (!hits) noted(hits.error());
  co_return hits;
}

Task<void> RestIndex::erase(std::string tenant, std::vector<std::string> ids) {
  if (auto ok = check_tenant(tenant); !ok) co_return ok;
  if (auto ok = check_ids(ids); !ok) co_return ok;
  for (std::size_t at = 0; at < ids.size(); at += kBatchIds) {
    const auto from = ids.begin() + static_cast<std::ptrdiff_t>(at);
    const auto size = static_cast<std::ptrdiff_t>(std::min(kBatchIds, ids.size() - at));
    const Deadline until = deadline();
    if (auto ok = co_await ready(until); !ok) co_return ok;
    std::vector<std::string> batch(from, from + size);
    auto done = co_await drop_ids(tenant, std::move(batch), until);
    if (!done) {
      noted(done.error());
      co_return done;
    }
  }
  co_return Result<void>();
}

Task<void> RestIndex::erase_where(std::string tenant, Metadata filter) {
  if (auto ok = check_tenant(tenant); !ok) co_return ok;
  if (auto ok = check_erase_filter(options_.space, filter); !ok) co_return ok;
  const Deadline until = deadline();
  if (auto ok = co_await ready(until); !ok) co_return ok;
  co_return co_await drop_where(std::move(tenant), std::move(filter), until);
}

Task<void> RestIndex::erase_all(std::string tenant) {
  if (auto ok = check_tenant(tenant); !ok) co_return ok;
  const Deadline until = deadline();
  if (auto ok = co_await ready(until); !ok) co_return ok;
  co_return co_await drop_where(std::move(tenant), {}, until);
}

Task<std::uint64_t> RestIndex::count(std::string tenant) {
  if (auto ok = check_tenant(tenant); !ok) co_return std::unexpected(ok.error());
  const Deadline until = deadline();
  if (auto ok = co_await ready(until); !ok) co_return std::unexpected(ok.error());
  co_return co_await size_of(std::move(tenant), until);
}

Task<void> RestIndex::ping() { co_return co_await probe(deadline()); }

void append_floats(JsonOut& out, const std::vector<float>& vector) {
  std::string text = "[";
  text.reserve(vector.size() * kBytesPerNumber);
  for (const float number : vector) fmt::format_to(std::back_inserter(text), "{},", number);
  text.back() = ']';
  out.raw(text);
}

void append_fields(JsonOut& out, const Metadata& metadata) {
  for (const Field& field : metadata) {
    out.key(std::string_view(field.name));
    if (const auto* text = std::get_if<std::string>(&field.value)) {
      out.string(*text);
    } else if (const auto* number = std::get_if<double>(&field.value)) {
      out.number(*number);
    } else {
      out.boolean(std::get<bool>(field.value));
    }
  }
}

Metadata fields_of(const json::object& object) {
  Metadata out;
  for (const auto& [key, value] : object) {
    if (std::string_view(key).starts_with("asahi_")) continue;
    if (const auto* text = value.if_string()) {
      out.push_back({std::string(key), std::string(*text)});
    } else if (const auto* flag = value.if_bool()) {
      out.push_back({std::string(key), *flag});
    } else if (value.is_number()) {
      out.push_back({std::string(key), value.to_number<double>()});
    }
  }
  return out;
}

std::string_view text_of(const json::object& object, std::string_view key) {
  const json::value* const value = find_member(object, key);
  const json::string* const text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string_view() : std::string_view(*text);
}

const json::object* object_at(const json::object& object, std::string_view key) {
  const json::value* const member = find_member(object, key);
  return member == nullptr ? nullptr : member->if_object();
}
const json::object* object_at(const json::value& value, std::string_view key) {
  const json::object* const object = value.if_object();
  return object == nullptr ? nullptr : object_at(*object, key);
}

const json::array* array_at(const json::object& object, std::string_view key) {
  const json::value* const member = find_member(object, key);
  return member == nullptr ? nullptr : member->if_array();
}
const json::array* array_at(const json::value& value, std::string_view key) {
  const json::object* const object = value.if_object();
  return object == nullptr ? nullptr : array_at(*object, key);
}

std::optional<double> number_at(const json::object& object, std::string_view key) {
  const json::value* const member = find_member(object, key);
  if (member == nullptr || !member->is_number()) return std::nullopt;
  return member->to_number<double>();
}
std::optional<double> number_at(const json::value& value, std::string_view key) {
  const json::object* const object = value.if_object();
  return object == nullptr ? std::nullopt : number_at(*object, key);
}

}  // namespace asahi::vector
