#pragma once

#include <bit>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "memory/model/store.h"

/// Values as the bytes of the internal store API: little-endian, lengths before texts and lists,
/// vectors as floats. A struct lists its fields once (`fields`), for writing and reading alike; a
/// memory lies there as the hot tier's log has it (hot/codec.h).
namespace asahi::memory::remote {

static_assert(std::endian::native == std::endian::little, "values are written as they lie");

/// Takes values off the front. After the first that is not there, or is none of its type, it is
/// `bad` and gives nothing more.
class In {
 public:
  explicit In(std::string_view bytes) : rest_(bytes) {}
  std::string_view bytes(std::size_t count) {
    if (bad_ || rest_.size() < count) {
      bad_ = true;
      return {};
    }
    const std::string_view out = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return out;
  }
  void refuse() { bad_ = true; }
  bool bad() const { return bad_; }
  std::size_t left() const { return bad_ ? 0 : rest_.size(); }
  bool whole() const { return !bad_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool bad_ = false;
};

/// The last value of an enum that travels.
template <class E>
inline constexpr E kLast = E{};
template <>
inline constexpr Tier kLast<Tier> = Tier::kCold;
template <>
inline constexpr SearchMode kLast<SearchMode> = SearchMode::kHybrid;
template <>
inline constexpr UpsertOutcome kLast<UpsertOutcome> = UpsertOutcome::kNearDuplicate;
template <>
inline constexpr Marks kLast<Marks> = Marks::kDrop;
template <>
inline constexpr Errc kLast<Errc> = Errc::kInternal;

template <class Self, class T>
concept OfType = std::same_as<std::remove_const_t<Self>, T>;

// The bindings name every member, so that one that is added later cannot be forgotten here.
auto fields(OfType<Key> auto& v) {
  auto& [tenant, system_id, conversation_id] = v;
  return std::tie(tenant, system_id, conversation_id);
}
auto fields(OfType<UpsertOptions> auto& v) {
  auto& [deduplicate, skip, threshold] = v;
  return std::tie(deduplicate, skip, threshold);
}
auto fields(OfType<Filter> auto& v) {
  auto& [systems, allowed, start, end, metadata] = v;
  return std::tie(systems, allowed, start, end, metadata);
}
auto fields(OfType<StoreQuery> auto& v) {
  // Patience goes along as the call's deadline.
  auto& [tenant, mode, text, embedding, model, filter, limit, threshold, content, facets,
         patience] = v;
  return std::tie(tenant, mode, text, embedding, model, filter, limit, threshold, content, facets);
}
auto fields(OfType<Explanation> auto& v) {
  auto& [cosine, bm25, vector_rank, keyword_rank, terms] = v;
  return std::tie(cosine, bm25, vector_rank, keyword_rank, terms);
}
auto fields(OfType<StoreHit> auto& v) {
  auto& [key, tier, text, similarity, score, timestamp, metadata, explanation] = v;
  return std::tie(key, tier, text, similarity, score, timestamp, metadata, explanation);
}
auto fields(OfType<StorePage> auto& v) {
  // A node of a tier has no nodes.
  auto& [hits, total, facets, partial, unread, missing] = v;
  return std::tie(hits, total, facets, partial, unread);
}
auto fields(OfType<TierStats> auto& v) {
  auto& [records, bytes, oldest, newest, unlinked] = v;
  return std::tie(records, bytes, oldest, newest, unlinked);
}
auto fields(OfType<Eligible> auto& v) {
  auto& [memory, checksum] = v;
  return std::tie(memory, checksum);
}
auto fields(OfType<ScanQuery> auto& v) {
  auto& [before, limit, tenant, keys, without_model] = v;
  return std::tie(before, limit, tenant, keys, without_model);
}
auto fields(OfType<NewVector> auto& v) {
  auto& [key, checksum, embedding, model] = v;
  return std::tie(key, checksum, embedding, model);
}
auto fields(OfType<ShardRow> auto& v) {
  auto& [memory, checksum, duplicate] = v;
  return std::tie(memory, checksum, duplicate);
}
/// Without what an upstream said and the place in the source: they mean nothing elsewhere.
auto fields(OfType<Error> auto& v) {
  auto& [code, message, reason, field, details, upstream_status, retry_after, where] = v;
  return std::tie(code, message, reason, field, details, retry_after);
}

template <class T>
concept Plain = (std::is_arithmetic_v<T> && !std::same_as<T, bool>) || std::same_as<T, Digest>;
template <class T>
concept Listed = requires(T& value) { fields(value); };

// Writing: appended to `out`.
void write(std::string& out, const Memory& value);
template <Plain T>
void write(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}
inline void write(std::string& out, bool value) { out += static_cast<char>(value ? 1 : 0); }
template <class E>
  requires std::is_enum_v<E>
void write(std::string& out, E value) {
  out += static_cast<char>(value);
}
inline void write(std::string& out, const std::string& value) {
  write(out, static_cast<std::uint32_t>(value.size()));
  out += value;
}
inline void write(std::string& out, Clock::Time value) {
  write(out, std::int64_t{value.time_since_epoch().count()});
}
inline void write(std::string& out, std::chrono::milliseconds value) {
  write(out, std::int64_t{value.count()});
}
inline void write(std::string& out, const std::vector<float>& value) {
  write(out, static_cast<std::uint32_t>(value.size()));
  out.append(reinterpret_cast<const char*>(value.data()), value.size() * sizeof(float));
}
template <Listed T>
void write(std::string& out, const T& value);
template <class T>
void write(std::string& out, const std::optional<T>& value);
template <class A, class B>
void write(std::string& out, const std::pair<A, B>& value);
template <class T>
void write(std::string& out, const std::vector<T>& value);
template <class K, class V>
void write(std::string& out, const std::map<K, V>& value);
template <class... T>
void write(std::string& out, const std::tuple<T...>& value) {
  std::apply([&](const auto&... one) { (write(out, one), ...); }, value);
}
template <Listed T>
void write(std::string& out, const T& value) {
  write(out, fields(value));
}
template <class T>
void write(std::string& out, const std::optional<T>& value) {
  write(out, value.has_value());
  if (value) write(out, *value);
}
template <class A, class B>
void write(std::string& out, const std::pair<A, B>& value) {
  write(out, value.first);
  write(out, value.second);
}
template <class T>
void write(std::string& out, const std::vector<T>& value) {
  write(out, static_cast<std::uint32_t>(value.size()));
  for (const T& one : value) write(out, one);
}
template <class K, class V>
void write(std::string& out, const std::map<K, V>& value) {
  write(out, static_cast<std::uint32_t>(value.size()));
  for (const auto& one : value) {
    write(out, one.first);
    write(out, one.second);
  }
}

// Reading: what is not there leaves `in` bad, and the value as it was.
void read(In& in, Memory& value);
template <Plain T>
void read(In& in, T& value) {
  const std::string_view bytes = in.bytes(sizeof(T));
  if (!in.bad()) std::memcpy(&value, bytes.data(), sizeof(T));
}
inline void read(In& in, bool& value) {
  std::uint8_t byte = 0;
  read(in, byte);
  if (byte > 1) in.refuse();
  value = byte == 1;
}
template <class E>
  requires std::is_enum_v<E>
void read(In& in, E& value) {
  std::uint8_t byte = 0;
  read(in, byte);
  if (byte > static_cast<std::uint8_t>(kLast<E>)) return in.refuse();
  value = static_cast<E>(byte);
}
/// How many follow. Each takes a byte at least, so that a number made up costs no memory.
inline std::uint32_t read_count(In& in, std::size_t bytes_each = 1) {
  std::uint32_t count = 0;
  read(in, count);
  if (count > in.left() / bytes_each) in.refuse();
  return in.bad() ? 0 : count;
}
inline void read(In& in, std::string& value) { value = in.bytes(read_count(in)); }
inline void read(In& in, Clock::Time& value) {
  std::int64_t count = 0;
  read(in, count);
  value = Clock::Time{std::chrono::nanoseconds{count}};
}
inline void read(In& in, std::chrono::milliseconds& value) {
  std::int64_t count = 0;
  read(in, count);
  value = std::chrono::milliseconds{count};
}
inline void read(In& in, std::vector<float>& value) {
  value.resize(read_count(in, sizeof(float)));
  const std::string_view bytes = in.bytes(value.size() * sizeof(float));
  if (!bytes.empty()) std::memcpy(value.data(), bytes.data(), bytes.size());
}
template <Listed T>
void read(In& in, T& value);
template <class T>
void read(In& in, std::optional<T>& value);
template <class A, class B>
void read(In& in, std::pair<A, B>& value);
template <class T>
void read(In& in, std::vector<T>& value);
template <class K, class V>
void read(In& in, std::map<K, V>& value);
template <class... T>
void read(In& in, std::tuple<T...>& value) {
  std::apply([&](auto&... one) { (read(in, one), ...); }, value);
}
template <Listed T>
void read(In& in, T& value) {
  auto places = fields(value);
  read(in, places);
}
template <class T>
void read(In& in, std::optional<T>& value) {
  bool there = false;
  read(in, there);
  if (there && !in.bad()) read(in, value.emplace());
}
template <class A, class B>
void read(In& in, std::pair<A, B>& value) {
  read(in, value.first);
  read(in, value.second);
}
template <class T>
void read(In& in, std::vector<T>& value) {
  const std::uint32_t count = read_count(in);
  value.clear();
  for (std::uint32_t i = 0; i < count && !in.bad(); ++i) read(in, value.emplace_back());
}
template <class K, class V>
void read(In& in, std::map<K, V>& value) {
  const std::uint32_t count = read_count(in);
  value.clear();
  for (std::uint32_t i = 0; i < count && !in.bad(); ++i) {
    K key{};
    read(in, key);
    read(in, value[std::move(key)]);
  }
}

template <class T>
std::string to_bytes(const T& value) {
  std::string out;
  write(out, value);
  return out;
}
/// Nothing: the bytes are not exactly a T.
template <class T>
std::optional<T> from_bytes(std::string_view bytes) {
  In in(bytes);
  T value{};
  read(in, value);
  if (!in.whole()) return std::nullopt;
  return value;
}

}  // namespace asahi::memory::remote
