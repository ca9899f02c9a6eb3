#include "base/hash.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <bit>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace asahi {
namespace {

// Fetched once: EVP_sha256() resolves the provider on every use (docs of EVP_MD_fetch).
const EVP_MD* fetched(const char* name) {
  EVP_MD* digest = EVP_MD_fetch(nullptr, name, nullptr);
  if (digest == nullptr) throw std::runtime_error(std::string("OpenSSL lacks ") + name);
  return digest;
}

template <std::size_t N>
std::array<std::uint8_t, N> digest(const EVP_MD* type, std::string_view data) {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  thread_local const std::unique_ptr<EVP_MD_CTX, Free> owner(EVP_MD_CTX_new());
  EVP_MD_CTX* const context = owner.get();
  std::array<std::uint8_t, N> out;
  unsigned size = 0;
  if (EVP_DigestInit_ex(context, type, nullptr) != 1 ||
      EVP_DigestUpdate(context, data.data(), data.size()) != 1 ||
      EVP_DigestFinal_ex(context, out.data(), &size) != 1 || size != N) {
    throw std::runtime_error("OpenSSL digest failed");
  }
  return out;
}

/// SipHash-2-4 with 128-bit output, after the reference description by Aumasson and Bernstein
/// (https://www.aumasson.jp/siphash/siphash.pdf and the 128-bit variant of its reference code).
class SipHash128 {
 public:
  explicit SipHash128(const Digest128& key) {
    std::uint64_t k0, k1;
    std::memcpy(&k0, key.data(), 8);
    std::memcpy(&k1, key.data() + 8, 8);
    v0_ = 0x736f6d6570736575ULL ^ k0;
    v1_ = 0x646f72616e646f6dULL ^ k1 ^ 0xee;
    v2_ = 0x6c7967656e657261ULL ^ k0;
    v3_ = 0x7465646279746573ULL ^ k1;
  }

  void update(const char* data, std::size_t size) {
    length_ += size;
    if (fill_ == 0) {
      for (; size >= 8; data += 8, size -= 8) compress(load(data, 8));
    } else {
      // Behind a piece that ended within a word, each word is put together from two.
      for (; size >= 8; data += 8, size -= 8) {
        const std::uint64_t word = load(data, 8);
        compress(tail_ | word << (8 * fill_));
        tail_ = word >> (64 - 8 * fill_);
      }
    }
    if (size == 0) return;
    const std::uint64_t rest = load(data, size);
    tail_ |= rest << (8 * fill_);
    if (fill_ + size >= 8) {
      compress(tail_);
      tail_ = fill_ + size > 8 ? rest >> (64 - 8 * fill_) : 0;
    }
    fill_ = (fill_ + size) % 8;
  }

  Digest128 finish() {
    compress(tail_ | (static_cast<std::uint64_t>(length_) << 56));
    Digest128 out;
    v2_ ^= 0xee;
    for (int i = 0; i < 4; ++i) round();
    const std::uint64_t low = v0_ ^ v1_ ^ v2_ ^ v3_;
    v1_ ^= 0xdd;
    for (int i = 0; i < 4; ++i) round();
    const std::uint64_t high = v0_ ^ v1_ ^ v2_ ^ v3_;
    std::memcpy(out.data(), &low, 8);
    std::memcpy(out.data() + 8, &high, 8);
    return out;
  }

 private:
  /// Up to eight bytes, the first lowest.
  static std::uint64_t load(const char* data, std::size_t size) {
    std::uint64_t word = 0;
    if (size == 8) {
      std::memcpy(&word, data, 8);
    } else if (size >= 4) {
      // Two halves that overlap, and say the same where they do.
      std::uint32_t low, high;
      std::memcpy(&low, data, 4);
      std::memcpy(&high, data + size - 4, 4);
      word = low | std::uint64_t{high} << (8 * (size - 4));
    } else {
      for (std::size_t i = 0; i < size; ++i)
        word |= std::uint64_t{static_cast<unsigned char>(data[i])} << (8 * i);
    }
    return word;
  }
  void compress(std::uint64_t word) {
    v3_ ^= word;
    round();
    round();
    v0_ ^= word;
  }
  void round() {
    v0_ += v1_;
    v1_ = std::rotl(v1_, 13) ^ v0_;
    v0_ = std::rotl(v0_, 32);
    v2_ += v3_;
    v3_ = std::rotl(v3_, 16) ^ v2_;
    v0_ += v3_;
    v3_ = std::rotl(v3_, 21) ^ v0_;
    v2_ += v1_;
    v1_ = std::rotl(v1_, 17) ^ v2_;
    v2_ = std::rotl(v2_, 32);
  }

  std::uint64_t v0_, v1_, v2_, v3_;
  std::uint64_t tail_ = 0;
  std::size_t length_ = 0;
  std::size_t fill_ = 0;  ///< bytes of tail_
};

enum class Padding { kRequired, kNone };

/// The values of an alphabet's characters; -1 for all others.
constexpr std::array<std::int8_t, 256> reversed(std::string_view alphabet) {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    values[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
  }
  return values;
}
constexpr std::string_view kUrlAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr auto kBase64 =
    reversed("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
constexpr auto kBase64Url = reversed(kUrlAlphabet);

/// Only the one canonical text of some bytes is accepted: unused bits are zero, so that a signed or
/// stored value has no second spelling.
std::optional<std::string> decode64(std::string_view text,
                                    const std::array<std::int8_t, 256>& values, Padding padding) {
  if (padding == Padding::kRequired) {
    if (text.size() % 4 != 0) return std::nullopt;
    for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  }
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int value = values[static_cast<unsigned char>(c)];
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(bits >> count & 0xff));
    }
  }
  if ((bits & ((1U << count) - 1)) != 0) return std::nullopt;
  return out;
}

}  // namespace

Digest256 sha256(std::string_view data) {
  static const EVP_MD* const type = fetched("SHA256");
  return digest<32>(type, data);
}

Digest256 hmac_sha256(std::string_view key, std::string_view data) {
  struct Free {
    void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
  };
  using Context = std::unique_ptr<EVP_MAC_CTX, Free>;
  // HMAC() looks the algorithm up on every call; a copy of a prepared context does not.
  static EVP_MAC_CTX* const prepared = [] {
    EVP_MAC* const mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    EVP_MAC_CTX* const context = mac == nullptr ? nullptr : EVP_MAC_CTX_new(mac);
    char name[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                                 OSSL_PARAM_construct_end()};
    if (context == nullptr || EVP_MAC_CTX_set_params(context, params) != 1) {
      throw std::runtime_error("OpenSSL lacks HMAC with SHA256");
    }
    return context;
  }();
  const Context context(EVP_MAC_CTX_dup(prepared));
  // A null pointer would mean "the key of before".
  const std::string_view bytes = key.data() == nullptr ? std::string_view("") : key;
  Digest256 out;
  std::size_t size = 0;
  if (context == nullptr ||
      EVP_MAC_init(context.get(), reinterpret_cast<const unsigned char*>(bytes.data()),
                   bytes.size(), nullptr) != 1 ||
      EVP_MAC_update(context.get(), reinterpret_cast<const unsigned char*>(data.data()),
                     data.size()) != 1 ||
      EVP_MAC_final(context.get(), out.data(), &size, out.size()) != 1 || size != out.size()) {
    throw std::runtime_error("OpenSSL HMAC failed");
  }
  return out;
}

Digest128 md5(std::string_view data) {
  static const EVP_MD* const type = fetched("MD5");
  return digest<16>(type, data);
}

Digest128 keyed_digest(const Digest128& key, std::initializer_list<std::string_view> parts) {
  SipHash128 hash(key);
  for (const std::string_view part : parts) {
    const std::uint64_t size = part.size();
    hash.update(reinterpret_cast<const char*>(&size), sizeof size);
    hash.update(part.data(), part.size());
  }
  return hash.finish();
}

std::string base64_encode(std::string_view data) {
  std::string out((data.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(data.data()),
                                   static_cast<int>(data.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
  return decode64(text, kBase64, Padding::kRequired);
}

std::string base64url_encode(std::string_view data) {
  std::string out;
  out.reserve((data.size() * 4 + 2) / 3);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : data) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (count += 8; count >= 6;) {
      count -= 6;
      out.push_back(kUrlAlphabet[bits >> count & 63]);
    }
  }
  if (count > 0) out.push_back(kUrlAlphabet[bits << (6 - count) & 63]);
  return out;
}

std::optional<std::string> base64url_decode(std::string_view text) {
  return decode64(text, kBase64Url, Padding::kNone);
}

bool equal_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace asahi
