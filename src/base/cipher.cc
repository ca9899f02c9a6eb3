#include "base/cipher.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <climits>
#include <cstdint>
#include <map>
#include <mutex>
#include <stdexcept>
#include <utility>

namespace asahi {
namespace {

constexpr char kVersion = 1;
constexpr std::size_t kIdSize = 8;
constexpr std::size_t kNonceSize = 12;
constexpr std::size_t kTagSize = 16;
constexpr std::uint8_t kSalts = 16;
/// More than the salts of a ring with many keys; values with foreign salts push each other out.
constexpr std::size_t kMaxDerived = 512;

using Context =
    std::unique_ptr<EVP_CIPHER_CTX,
                    decltype([](EVP_CIPHER_CTX* context) { EVP_CIPHER_CTX_free(context); })>;

const EVP_CIPHER* aes256_gcm() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  if (cipher == nullptr) throw std::runtime_error("OpenSSL lacks AES-256-GCM");
  return cipher;
}

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

void check(int outcome) {
  if (outcome != 1) throw std::runtime_error("OpenSSL AES-256-GCM failed");
}

int length_of(std::string_view text) {
  if (text.size() > INT_MAX - kTagSize)
    throw std::length_error("AES-256-GCM takes less than 2 GiB at once");
  return static_cast<int>(text.size());
}

std::string random_bytes(std::size_t size) {
  std::string out(size, '\0');
  if (RAND_bytes(bytes(out), static_cast<int>(size)) != 1)
    throw std::runtime_error("OpenSSL has no random bytes");
  return out;
}

/// Bytes that are wiped when they go.
struct KeyBytes {
  Digest256 bytes{};
  KeyBytes() = default;
  KeyBytes(const KeyBytes&) = delete;
  KeyBytes& operator=(const KeyBytes&) = delete;
  ~KeyBytes() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
  std::string_view view() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

struct MasterKey {
  KeyBytes key;
  std::string id;

  std::string salt(std::uint8_t number, std::size_t length) const {
    const std::string label = std::string("asahi encryption salt v1 ") + static_cast<char>(number);
    const Digest256 digest = hmac_sha256(key.view(), label);
    return {reinterpret_cast<const char*>(digest.data()), length};
  }
};

std::unique_ptr<MasterKey> read_key(std::string_view hex) {
  auto master = std::make_unique<MasterKey>();
  if (!from_hex(hex, master->key.bytes)) return nullptr;
  const Digest256 id = hmac_sha256(master->key.view(), "asahi encryption key id v1");
  master->id.assign(reinterpret_cast<const char*>(id.data()), kIdSize);
  return master;
}

/// A value without its base64: version, key id, length of the salt, salt, nonce, ciphertext and
/// tag.
struct Parts {
  std::string_view id, salt, nonce, sealed;
};
std::optional<Parts> take_apart(std::string_view raw) {
  const auto take = [&raw](std::size_t size) {
    const std::string_view taken = raw.substr(0, size);
    raw.remove_prefix(size);
    return taken;
  };
  if (raw.size() < 2 + kIdSize || raw.front() != kVersion) return std::nullopt;
  take(1);
  Parts parts;
  parts.id = take(kIdSize);
  const std::size_t salt_size = static_cast<unsigned char>(take(1).front());
  if (raw.size() < salt_size + kNonceSize + kTagSize) return std::nullopt;
  parts.salt = take(salt_size);
  parts.nonce = take(kNonceSize);
  parts.sealed = raw;
  return parts;
}

}  // namespace

std::string aes256_gcm_seal(const Digest256& key, std::string_view nonce, std::string_view plain,
                            std::string_view aad) {
  if (nonce.size() != kNonceSize)
    throw std::invalid_argument("AES-256-GCM needs a nonce of 12 bytes");
  const Context context(EVP_CIPHER_CTX_new());
  if (context == nullptr) throw std::bad_alloc();
  const int plain_size = length_of(plain);
  std::string out(plain.size() + kTagSize, '\0');
  int size = 0;
  check(EVP_EncryptInit_ex2(context.get(), aes256_gcm(), key.data(), bytes(nonce), nullptr));
  if (!aad.empty())
    check(EVP_EncryptUpdate(context.get(), nullptr, &size, bytes(aad), length_of(aad)));
  if (plain_size > 0)
    check(EVP_EncryptUpdate(context.get(), bytes(out), &size, bytes(plain), plain_size));
  check(EVP_EncryptFinal_ex(context.get(), bytes(out) + plain_size, &size));
  check(
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kTagSize, bytes(out) + plain_size));
  return out;
}

std::optional<std::string> aes256_gcm_open(const Digest256& key, std::string_view nonce,
                                           std::string_view sealed, std::string_view aad) {
  if (nonce.size() != kNonceSize || sealed.size() < kTagSize) return std::nullopt;
  const Context context(EVP_CIPHER_CTX_new());
  if (context == nullptr) throw std::bad_alloc();
  std::string tag(sealed.substr(sealed.size() - kTagSize));
  sealed.remove_suffix(kTagSize);
  const int sealed_size = length_of(sealed);
  std::string out(sealed.size(), '\0');
  int size = 0;
  check(EVP_DecryptInit_ex2(context.get(), aes256_gcm(), key.data(), bytes(nonce), nullptr));
  if (!aad.empty())
    check(EVP_DecryptUpdate(context.get(), nullptr, &size, bytes(aad), length_of(aad)));
  if (sealed_size > 0)
    check(EVP_DecryptUpdate(context.get(), bytes(out), &size, bytes(sealed), sealed_size));
  check(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kTagSize, tag.data()));
  if (EVP_DecryptFinal_ex(context.get(), bytes(out) + sealed_size, &size) != 1) {
    OPENSSL_cleanse(out.data(), out.size());
    return std::nullopt;
  }
  return out;
}

Digest256 pbkdf2_hmac_sha256(std::string_view password, std::string_view salt, int iterations) {
  static EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  Digest256 out;
  if (sha256 == nullptr ||
      PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), bytes(salt),
                        static_cast<int>(salt.size()), iterations, sha256,
                        static_cast<int>(out.size()), out.data()) != 1) {
    throw std::runtime_error("OpenSSL PBKDF2 failed");
  }
  return out;
}

struct KeyRing::Impl {
  struct Derived {
    std::once_flag once;
    KeyBytes key;
    std::uint64_t last_use = 0;  // guarded by the mutex of the cache
  };

  Options options;
  std::vector<std::unique_ptr<MasterKey>> keys;  // newest first
  std::string salt;                              // that new values are written with
  std::string prefix;                            // of values of the newest key

  std::mutex mutex;
  std::uint64_t uses = 0;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<Derived>>
      derived;  // by key id and salt

  const MasterKey* find(std::string_view id) const {
    for (const auto& key : keys) {
      if (key->id == id) return key.get();
    }
    return nullptr;
  }

  std::shared_ptr<Derived> derive(const MasterKey& master, std::string_view with_salt) {
    std::shared_ptr<Derived> entry;
    {
      const std::lock_guard lock(mutex);
      auto& slot = derived[{master.id, std::string(with_salt)}];
      if (slot == nullptr) slot = std::make_shared<Derived>();
      entry = slot;
      entry->last_use = ++uses;
      if (derived.size() > kMaxDerived) {
        derived.erase(std::ranges::min_element(
            derived, {}, [](const auto& item) { return item.second->last_use; }));
      }
    }
    // Outside the lock: who needs another key need not wait; who needs this one waits for the
    // first.
    std::call_once(entry->once, [&] {
      entry->key.bytes =
          pbkdf2_hmac_sha256(master.key.view(), with_salt, options.pbkdf2_iterations);
    });
    return entry;
  }
};

KeyRing::KeyRing(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KeyRing::~KeyRing() = default;
KeyRing::KeyRing(KeyRing&&) noexcept = default;
KeyRing& KeyRing::operator=(KeyRing&&) noexcept = default;

Result<KeyRing> KeyRing::make(const std::vector<Secret>& keys, Options options) {
  if (keys.empty())
    return fail(Errc::kInvalidArgument, "no encryption key is given; set ASAHI_ENCRYPTION_KEY");
  if (options.pbkdf2_iterations < 1'000 || options.pbkdf2_iterations > 10'000'000) {
    return fail_field("governance.pbkdf2_iterations", "must be 1000 to 10000000");
  }
  if (options.salt_length < 8 || options.salt_length > 32) {
    return fail_field("governance.salt_length", "must be 8 to 32 bytes");
  }
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  for (const Secret& text : keys) {
    auto key = read_key(text.reveal());
    if (key == nullptr) {
      return fail(Errc::kInvalidArgument,
                  "encryption key " + std::to_string(&text - keys.data() + 1) + " of " +
                      std::to_string(keys.size()) +
                      " (current first) is not 64 hex digits; make one with: openssl rand -hex 32");
    }
    if (impl->find(key->id) == nullptr) impl->keys.push_back(std::move(key));
  }
  // Nine bytes are twelve characters, whatever follows.
  impl->prefix = base64_encode(kVersion + impl->keys.front()->id);
  const auto number = static_cast<std::uint8_t>(random_bytes(1).front()) % kSalts;
  impl->salt = impl->keys.front()->salt(static_cast<std::uint8_t>(number), options.salt_length);
  impl->derive(*impl->keys.front(), impl->salt);
  return KeyRing(std::move(impl));
}

Result<KeyRing> KeyRing::parse(const Secret& current, const Secret& previous, Options options) {
  const auto trimmed = [](std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r\n";
    const auto first = text.find_first_not_of(kBlanks);
    if (first == text.npos) return std::string_view();
    return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
  };
  std::vector<Secret> keys;
  if (const auto text = trimmed(current.reveal()); !text.empty())
    keys.emplace_back(std::string(text));
  if (keys.empty() && !trimmed(previous.reveal()).empty()) {
    return fail(Errc::kInvalidArgument,
                "ASAHI_ENCRYPTION_KEY_PREVIOUS is set without ASAHI_ENCRYPTION_KEY; there is no "
                "key to encrypt with");
  }
  std::string_view rest = previous.reveal();
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    if (const auto text = trimmed(rest.substr(0, comma)); !text.empty())
      keys.emplace_back(std::string(text));
    rest = comma == rest.npos ? std::string_view() : rest.substr(comma + 1);
  }
  return make(keys, options);
}

void KeyRing::derive_ahead(std::stop_token stop) const {
  for (const auto& key : impl_->keys) {
    for (std::uint8_t number = 0; number < kSalts && !stop.stop_requested(); ++number) {
      impl_->derive(*key, key->salt(number, impl_->options.salt_length));
    }
  }
}

std::string KeyRing::encrypt(std::string_view plain, std::string_view context) const {
  const MasterKey& newest = *impl_->keys.front();
  const auto derived = impl_->derive(newest, impl_->salt);
  const std::string nonce = random_bytes(kNonceSize);
  std::string raw;
  raw.reserve(2 + kIdSize + impl_->salt.size() + kNonceSize + plain.size() + kTagSize);
  raw += kVersion;
  raw += newest.id;
  raw += static_cast<char>(impl_->salt.size());
  raw += impl_->salt;
  raw += nonce;
  raw += aes256_gcm_seal(derived->key.bytes, nonce, plain, context);
  return base64_encode(raw);
}

Result<std::string> KeyRing::decrypt(std::string_view value, std::string_view context) const {
  const auto raw = base64_decode(value);
  const auto parts = raw ? take_apart(*raw) : std::nullopt;
  if (!parts)
    return fail(Errc::kCorrupt, "an encrypted value is damaged: it does not have the form of one");
  const MasterKey* const master = impl_->find(parts->id);
  if (master == nullptr) {
    return fail(Errc::kCorrupt,
                "an encrypted value needs key " + to_hex(bytes(parts->id), kIdSize) +
                    ", which is not in the ring; add it to ASAHI_ENCRYPTION_KEY_PREVIOUS");
  }
  const auto derived = impl_->derive(*master, parts->salt);
  auto plain = aes256_gcm_open(derived->key.bytes, parts->nonce, parts->sealed, context);
  if (!plain) {
    return fail(Errc::kCorrupt,
                "an encrypted value is damaged, or was written for another place or setting");
  }
  return std::move(*plain);
}

bool KeyRing::is_stale(std::string_view value) const { return !value.starts_with(impl_->prefix); }

const std::string& KeyRing::prefix() const { return impl_->prefix; }

}  // namespace asahi
