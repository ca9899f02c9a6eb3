#include "memory/hot/codec.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "memory/summary/quantise.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace asahi::memory::hot {
namespace {

static_assert(std::endian::native == std::endian::little, "records are written as they lie");

constexpr std::uint8_t kVersion = 1;

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

std::int64_t nanoseconds(Clock::Time time) { return time.time_since_epoch().count(); }
Clock::Time at(std::int64_t nanos) { return Clock::Time{std::chrono::nanoseconds{nanos}}; }

/// Takes values off the front; after the first that is not there it is `bad`.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  template <class T>
  T get() {
    T value{};
    if (rest_.size() < sizeof(T)) {
      bad_ = true;
      return value;
    }
    std::memcpy(&value, rest_.data(), sizeof(T));
    rest_.remove_prefix(sizeof(T));
    return value;
  }
  std::string_view bytes(std::size_t count) {
    if (rest_.size() < count) {
      bad_ = true;
      return {};
    }
    const std::string_view out = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return out;
  }
  bool whole() const { return !bad_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool bad_ = false;
};

constexpr std::uint8_t kFloat16 = 1, kFingerprint = 2, kNear = 4, kInt8 = 8;
constexpr std::size_t kFlagsAt = 1;

void put_key(const Key& key, std::string& out) {
  for (const std::string* part : {&key.tenant, &key.system_id, &key.conversation_id}) {
    put(out, static_cast<std::uint16_t>(part->size()));
    out += *part;
  }
}

#if defined(__x86_64__)
/// False when a number is not a float16; `out` then holds nothing of use.
__attribute__((target("avx,f16c"))) bool to_half(const float* numbers, std::size_t count,
                                                 std::uint16_t* out) {
  for (std::size_t i = 0; i < count; i += 8) {
    const __m256 eight = _mm256_loadu_ps(numbers + i);
    const __m128i half = _mm256_cvtps_ph(eight, _MM_FROUND_TO_NEAREST_INT);
    const __m256 back = _mm256_cvtph_ps(half);
    const __m256i same =
        _mm256_castps_si256(_mm256_xor_ps(eight, back));  // by bits: -0 is not 0 here
    if (_mm256_testz_si256(same, same) == 0) return false;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), half);
  }
  return true;
}

__attribute__((target("avx,f16c"))) void from_half(const std::uint16_t* halves, std::size_t count,
                                                   float* out) {
  for (std::size_t i = 0; i < count; i += 8) {
    const __m128i eight = _mm_loadu_si128(reinterpret_cast<const __m128i*>(halves + i));
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(eight));
  }
}

bool knows_half() {
  static const bool knows =
      __builtin_cpu_supports("avx") != 0 && __builtin_cpu_supports("f16c") != 0;
  return knows;
}
#else
bool to_half(const float*, std::size_t, std::uint16_t*) { return false; }
bool knows_half() { return false; }
#endif

/// IEEE 754 binary16, one by one: for CPUs without the instruction and odd lengths.
float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1FU;
  const std::uint32_t fraction = half & 0x3FFU;
  if (exponent == 0) {
    const float small = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -small : small;
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000U | (fraction << 13));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
}

}  // namespace

bool has_fingerprint(const Fingerprint& fingerprint) {
  return std::ranges::any_of(fingerprint, [](std::uint32_t word) { return word != 0; });
}

void encode_upsert(const Memory& memory, std::string& out) {
  const auto& vector = memory.embedding;
  std::uint8_t flags = 0;
  std::vector<std::uint16_t> halves;
  Quantised bytes;
  if (!vector.empty() && is_quantised(vector, bytes)) {
    flags |= kInt8;
  } else if (!vector.empty() && vector.size() % 8 == 0 && knows_half()) {
    halves.resize(vector.size());
    if (to_half(vector.data(), vector.size(), halves.data())) flags |= kFloat16;
  }
  if (has_fingerprint(memory.fingerprint)) flags |= kFingerprint;
  if (memory.near_duplicate_of) flags |= kNear;
  out.reserve(out.size() + 1024 + vector.size() * 4 + memory.content.size() +
              memory.metadata.size());
  put(out, kVersion);
  put(out, flags);
  put(out, static_cast<std::uint16_t>(memory.key.tenant.size()));
  put(out, static_cast<std::uint16_t>(memory.key.system_id.size()));
  put(out, static_cast<std::uint16_t>(memory.key.conversation_id.size()));
  put(out, static_cast<std::uint16_t>(memory.embedding_model.size()));
  put(out, static_cast<std::uint16_t>(0));
  put(out, static_cast<std::uint32_t>(memory.content.size()));
  put(out, static_cast<std::uint32_t>(memory.metadata.size()));
  put(out, static_cast<std::uint32_t>(vector.size()));
  put(out, nanoseconds(memory.timestamp));
  put(out, nanoseconds(memory.uploaded_at));
  out.append(reinterpret_cast<const char*>(memory.content_hash.data()), sizeof(Digest));
  if ((flags & kInt8) != 0) {
    put(out, bytes.scale);
    out.append(reinterpret_cast<const char*>(bytes.codes.data()), bytes.codes.size());
  } else if ((flags & kFloat16) != 0) {
    out.append(reinterpret_cast<const char*>(halves.data()), halves.size() * 2);
  } else {
    out.append(reinterpret_cast<const char*>(vector.data()), vector.size() * 4);
  }
  if ((flags & kFingerprint) != 0) {
    out.append(reinterpret_cast<const char*>(memory.fingerprint.data()), sizeof(Fingerprint));
  }
  out += memory.key.tenant;
  out += memory.key.system_id;
  out += memory.key.conversation_id;
  out += memory.embedding_model;
  out += memory.content;
  out += memory.metadata;
  if (memory.near_duplicate_of) put_key(*memory.near_duplicate_of, out);
}

void add_near_duplicate_of(const Key& near, std::string& record) {
  record[kFlagsAt] = static_cast<char>(static_cast<std::uint8_t>(record[kFlagsAt]) | kNear);
  put_key(near, record);
}

std::optional<UpsertView> parse_upsert(std::string_view bytes) {
  Reader in(bytes);
  if (in.get<std::uint8_t>() != kVersion) return std::nullopt;
  const auto flags = in.get<std::uint8_t>();
  const auto tenant = in.get<std::uint16_t>(), system = in.get<std::uint16_t>();
  const auto conversation = in.get<std::uint16_t>(), model = in.get<std::uint16_t>();
  in.get<std::uint16_t>();
  const auto content = in.get<std::uint32_t>(), metadata = in.get<std::uint32_t>();
  UpsertView out;
  out.dimensions = in.get<std::uint32_t>();
  out.timestamp = at(in.get<std::int64_t>());
  out.uploaded_at = at(in.get<std::int64_t>());
  out.content_hash = in.get<Digest>();
  out.vector_width = (flags & kInt8) != 0 ? 1 : (flags & kFloat16) != 0 ? 2 : 4;
  if (out.vector_width == 1) out.scale = in.get<float>();
  out.vector = in.bytes(std::size_t{out.dimensions} * out.vector_width);
  if ((flags & kFingerprint) != 0) out.fingerprint = in.bytes(sizeof(Fingerprint));
  out.tenant = in.bytes(tenant);
  out.system_id = in.bytes(system);
  out.conversation_id = in.bytes(conversation);
  out.model = in.bytes(model);
  out.content = in.bytes(content);
  out.metadata = in.bytes(metadata);
  if ((flags & kNear) != 0) {
    out.near_tenant = in.bytes(in.get<std::uint16_t>());
    out.near_system = in.bytes(in.get<std::uint16_t>());
    out.near_conversation = in.bytes(in.get<std::uint16_t>());
  }
  if (!in.whole()) return std::nullopt;
  return out;
}

void UpsertView::read_vector(float* out) const {
  if (vector_width == 4) {
    std::memcpy(out, vector.data(), vector.size());
    return;
  }
  if (vector_width == 1) {
    for (std::size_t i = 0; i < dimensions; ++i)
      out[i] = static_cast<float>(static_cast<std::int8_t>(vector[i])) * scale;
    return;
  }
#if defined(__x86_64__)
  if (knows_half() && dimensions % 8 == 0) {
    from_half(reinterpret_cast<const std::uint16_t*>(vector.data()), dimensions, out);
    return;
  }
#endif
  for (std::size_t i = 0; i < dimensions; ++i) {
    std::uint16_t half = 0;
    std::memcpy(&half, vector.data() + 2 * i, 2);
    out[i] = half_to_float(half);
  }
}

Fingerprint UpsertView::read_fingerprint() const {
  Fingerprint out{};
  if (!fingerprint.empty()) std::memcpy(out.data(), fingerprint.data(), sizeof(out));
  return out;
}

Memory UpsertView::decode() const {
  Memory out;
  out.key = {std::string(tenant), std::string(system_id), std::string(conversation_id)};
  out.content = content;
  out.embedding.resize(dimensions);
  if (dimensions > 0) read_vector(out.embedding.data());
  out.embedding_model = model;
  out.timestamp = timestamp;
  out.uploaded_at = uploaded_at;
  out.metadata = metadata;
  out.content_hash = content_hash;
  out.fingerprint = read_fingerprint();
  if (!near_conversation.empty()) {
    out.near_duplicate_of =
        Key{std::string(near_tenant), std::string(near_system), std::string(near_conversation)};
  }
  return out;
}

void encode_seen(const Key& owner, const Memory& duplicate, std::string& out) {
  put(out, kVersion);
  put(out, std::uint8_t{0});
  for (const std::string* part : {&owner.tenant, &owner.system_id, &owner.conversation_id,
                                  &duplicate.key.system_id, &duplicate.key.conversation_id}) {
    put(out, static_cast<std::uint16_t>(part->size()));
  }
  put(out, static_cast<std::uint32_t>(duplicate.metadata.size()));
  put(out, nanoseconds(duplicate.timestamp));
  put(out, nanoseconds(duplicate.uploaded_at));
  for (const std::string* part :
       {&owner.tenant, &owner.system_id, &owner.conversation_id, &duplicate.key.system_id,
        &duplicate.key.conversation_id, &duplicate.metadata}) {
    out += *part;
  }
}

std::optional<SeenView> parse_seen(std::string_view bytes) {
  Reader in(bytes);
  if (in.get<std::uint8_t>() != kVersion) return std::nullopt;
  in.get<std::uint8_t>();
  std::uint16_t lengths[5];
  for (auto& length : lengths) length = in.get<std::uint16_t>();
  const auto metadata = in.get<std::uint32_t>();
  SeenView out;
  out.timestamp = at(in.get<std::int64_t>());
  out.uploaded_at = at(in.get<std::int64_t>());
  out.tenant = in.bytes(lengths[0]);
  out.owner_system = in.bytes(lengths[1]);
  out.owner_conversation = in.bytes(lengths[2]);
  out.system_id = in.bytes(lengths[3]);
  out.conversation_id = in.bytes(lengths[4]);
  out.metadata = in.bytes(metadata);
  if (!in.whole()) return std::nullopt;
  return out;
}

void encode_tombstone(const Key& key, std::string& out) {
  put(out, kVersion);
  for (const std::string* part : {&key.tenant, &key.system_id, &key.conversation_id}) {
    put(out, static_cast<std::uint16_t>(part->size()));
    out += *part;
  }
}

std::optional<TombstoneView> parse_tombstone(std::string_view bytes) {
  Reader in(bytes);
  if (in.get<std::uint8_t>() != kVersion) return std::nullopt;
  TombstoneView out;
  out.tenant = in.bytes(in.get<std::uint16_t>());
  out.system_id = in.bytes(in.get<std::uint16_t>());
  out.conversation_id = in.bytes(in.get<std::uint16_t>());
  if (!in.whole()) return std::nullopt;
  return out;
}

}  // namespace asahi::memory::hot
