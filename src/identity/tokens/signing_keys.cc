#include "identity/tokens/signing_keys.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "base/file.h"
#include "base/hash.h"
#include "base/ids.h"
#include "identity/private_file.h"

namespace asahi::identity {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPem = ".pem";
constexpr std::string_view kSecretFile = ".secret";

std::string thumbprint(const json::object& jwk) {
  json::object needed;  // the members that RFC 7638 §3.2 names, sorted by canonical_json
  for (const char* name : {"crv", "e", "kty", "n", "x", "y"}) {
    if (const auto* value = jwk.if_contains(name)) needed[name] = *value;
  }
  const Digest256 digest = sha256(canonical_json(needed));
  return base64url_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::string name_of(const Secret& secret) {
  const Digest256 digest = hmac_sha256(secret.reveal(), "asahi jwt key id");
  return base64url_encode({reinterpret_cast<const char*>(digest.data()), 12});
}

Result<JwtKey> named(const Secret& content, bool secret) {
  if (secret) return JwtKey::hs256(name_of(content), content);
  ASAHI_TRY(const JwtKey unnamed, JwtKey::from_private_pem("", content));
  return JwtKey::from_private_pem(thumbprint(*unnamed.public_jwk()), content);
}

/// A key file: "<milliseconds of its making>-<random>.pem" or ".secret".
struct Stored {
  Clock::Time made;
  std::string path;
  bool secret;
};

std::vector<Stored> list(const std::string& folder) {
  std::vector<Stored> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    const bool secret = name.ends_with(kSecretFile);
    if (!secret && !name.ends_with(kPem)) continue;
    std::int64_t milliseconds = 0;
    const auto [end, failed] =
        std::from_chars(name.data(), name.data() + name.size(), milliseconds);
    if (failed != std::errc{} || *end != '-') continue;
    found.push_back({Clock::Time(std::chrono::milliseconds(milliseconds)), entry.path(), secret});
  }
  std::ranges::sort(found, [](const Stored& a, const Stored& b) {
    return a.made != b.made ? a.made > b.made : a.path > b.path;
  });
  return found;
}

Result<void> make_file(const SigningKeysOptions& options, Clock::Time now) {
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  const std::string stem = fmt::format("{}/{}-{}", options.folder, milliseconds, random_id("", 8));
  if (options.alg != JwtAlg::kHs256) {
    ASAHI_TRY(const JwtKey made, JwtKey::generate("", options.alg));
    return write_private_file(stem + std::string(kPem), made.private_pem());
  }
  std::string bytes(32, '\0');
  random_bytes(bytes.data(), bytes.size());
  return write_private_file(stem + std::string(kSecretFile), Secret(base64url_encode(bytes)));
}

bool from_settings(const SigningKeysOptions& options) {
  return options.alg == JwtAlg::kHs256 ? !options.secret.empty() : !options.key_file.empty();
}

}  // namespace

struct SigningKeys::Ring {
  JwtKey signer;
  std::shared_ptr<const JwtKeySet> verifiers;
};

SigningKeys::SigningKeys(SigningKeysOptions options, const Clock& clock)
    : options_(std::move(options)), clock_(clock) {}

Result<std::unique_ptr<SigningKeys>> SigningKeys::open(SigningKeysOptions options,
                                                       const Clock& clock) {
  std::unique_ptr<SigningKeys> made(new SigningKeys(std::move(options), clock));
  ASAHI_TRY(made->ring_, load(made->options_, clock, false));
  return made;
}

Result<std::shared_ptr<const SigningKeys::Ring>> SigningKeys::load(
    const SigningKeysOptions& options, const Clock& clock, bool make_new) {
  std::vector<JwtKey> keys;
  const auto add = [&](const JwtKey& key) {
    const bool known =
        std::ranges::any_of(keys, [&](const JwtKey& other) { return other.kid() == key.kid(); });
    if (!known) keys.push_back(key);
  };
  if (from_settings(options)) {
    if (make_new) {
      return fail(Errc::kInvalidArgument,
                  "the signing key comes from the settings; change it there and keep the old one "
                  "as previous");
    }
    if (options.alg == JwtAlg::kHs256) {
      ASAHI_TRY(const JwtKey key, named(options.secret, true));
      add(key);
    } else {
      ASAHI_TRY(const Secret pem, read_private_file(options.key_file));
      ASAHI_TRY(const JwtKey key, named(pem, false));
      if (key.alg() != options.alg) {
        return fail(Errc::kInvalidArgument,
                    fmt::format("{} holds a key for {}, but the settings ask for {}",
                                options.key_file, to_string(key.alg()), to_string(options.alg)));
      }
      add(key);
    }
  }
  for (const Secret& secret : options.previous_secrets) {
    ASAHI_TRY(const JwtKey key, named(secret, true));
    add(key);
  }
  if (options.folder.empty()) {
    if (keys.empty() || !from_settings(options)) {
      return fail(Errc::kInvalidArgument,
                  "there is no signing key and no folder to keep one in; set ASAHI_JWT_SECRET");
    }
    return std::make_shared<const Ring>(keys.front(), std::make_shared<const JwtKeySet>(keys));
  }

  // Keys of the folder count even when the settings have one: they signed before it was set.
  ::mkdir(options.folder.c_str(), 0700);
  const std::string lock_path = options.folder + "/.lock";
  const File lock = File::open(lock_path, O_RDWR | O_CREAT, 0600);
  if (!lock || ::flock(lock.get(), LOCK_EX) != 0) return file_error("lock", lock_path);
  const Clock::Time now = clock.now();
  auto files = list(options.folder);
  const auto fits = [&](const Stored& file) {
    return file.secret == (options.alg == JwtAlg::kHs256);
  };
  if (make_new || (!from_settings(options) && std::ranges::none_of(files, fits))) {
    if (auto made = make_file(options, now); !made) return std::unexpected(made.error());
    files = list(options.folder);
  }
  std::optional<JwtKey> signer;
  if (from_settings(options)) signer = keys.front();
  std::optional<Clock::Time> replaced;  // when the key after this one was made
  for (const Stored& file : files) {
    if (replaced && *replaced + options.overlap < now) {
      ::unlink(file.path.c_str());
      continue;
    }
    replaced = file.made;
    ASAHI_TRY(const Secret content, read_private_file(file.path));
    ASAHI_TRY(const JwtKey key, named(content, file.secret));
    add(key);
    if (!signer && key.alg() == options.alg) signer = key;
  }
  if (!signer) {
    return fail(Errc::kInvalidArgument,
                fmt::format("{} has no key for {}; remove its files so that one is made",
                            options.folder, to_string(options.alg)));
  }
  return std::make_shared<const Ring>(std::move(*signer),
                                      std::make_shared<const JwtKeySet>(std::move(keys)));
}

std::shared_ptr<const SigningKeys::Ring> SigningKeys::ring() const {
  const std::scoped_lock lock(mutex_);
  return ring_;
}

JwtKey SigningKeys::signer() const { return ring()->signer; }
std::shared_ptr<const JwtKeySet> SigningKeys::verifiers() const { return ring()->verifiers; }

Result<void> SigningKeys::take(bool make_new) {
  ASAHI_TRY(auto loaded, load(options_, clock_, make_new));
  const std::scoped_lock lock(mutex_);
  ring_ = std::move(loaded);
  return {};
}

Result<void> SigningKeys::rotate() {
  const std::scoped_lock lock(loading_);
  return take(true);
}

Result<void> SigningKeys::use_secrets(Secret secret, std::vector<Secret> previous) {
  const std::scoped_lock lock(loading_);
  SigningKeysOptions before = options_;
  options_.secret = std::move(secret);
  options_.previous_secrets = std::move(previous);
  auto taken = take(false);
  if (!taken) options_ = std::move(before);
  return taken;
}

Result<void> SigningKeys::reload() {
  const std::scoped_lock lock(loading_);
  return take(false);
}

}  // namespace asahi::identity
