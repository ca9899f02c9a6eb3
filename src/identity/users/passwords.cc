#include "identity/users/passwords.h"

#include <fmt/format.h>
#include <sodium.h>

#include <array>
#include <optional>
#include <stdexcept>
#include <utility>

#include "net/blocking.h"

namespace asahi::identity {
namespace {

std::optional<std::string> argon2id(const std::string& password) {
  std::array<char, crypto_pwhash_STRBYTES> out{};
  if (crypto_pwhash_str_alg(out.data(), password.data(), password.size(),
                            crypto_pwhash_OPSLIMIT_INTERACTIVE, crypto_pwhash_MEMLIMIT_INTERACTIVE,
                            crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return std::nullopt;
  }
  return std::string(out.data());
}

/// A hash that no password matches but one that nobody was told.
std::string make_decoy() {
  if (sodium_init() < 0) throw std::runtime_error("libsodium cannot be initialised");
  std::string password(32, '\0');
  randombytes_buf(password.data(), password.size());
  auto hash = argon2id(password);
  if (!hash) throw std::runtime_error("no memory for a password hash (64 MiB)");
  return *std::move(hash);
}

}  // namespace

/// One of the places among those who wait for a hash.
class Passwords::Place {
 public:
  explicit Place(std::atomic<std::size_t>& waiting) : waiting_(&waiting) {}
  Place(Place&& other) noexcept : waiting_(std::exchange(other.waiting_, nullptr)) {}
  Place& operator=(Place&&) = delete;
  ~Place() {
    if (waiting_ != nullptr) --*waiting_;
  }

 private:
  std::atomic<std::size_t>* waiting_;
};

Passwords::Passwords(std::size_t threads, std::size_t max_waiting)
    : pool_(threads), max_waiting_(max_waiting), decoy_(make_decoy()) {}

Passwords::~Passwords() { pool_.join(); }

Result<Passwords::Place> Passwords::enter() {
  if (waiting_.fetch_add(1) >= max_waiting_) {
    --waiting_;
    auto busy = fail(Errc::kUnavailable, "too many logins at this moment; try again in a second");
    busy.error().retry_after = std::chrono::seconds(1);
    return busy;
  }
  return Place(waiting_);
}

Task<std::string> Passwords::hash(Secret password) {
  const std::size_t size = password.reveal().size();
  if (size < kLeast || size > kMost) {
    co_return fail_field("password",
                         fmt::format("password must have {} to {} characters", kLeast, kMost));
  }
  ASAHI_CO_TRY(const Place place, enter());
  auto hash =
      co_await net::run_blocking(pool_, [&password] { return argon2id(password.reveal()); });
  if (!hash) co_return fail(Errc::kUnavailable, "no memory for a password hash at this moment");
  co_return *std::move(hash);
}

Task<bool> Passwords::matches(std::string hash, Secret password) {
  // Longer than any that could have been set: hashing it would only cost.
  if (password.reveal().size() > kMost) co_return false;
  ASAHI_CO_TRY(const Place place, enter());
  const bool equal = co_await net::run_blocking(pool_, [this, &hash, &password] {
    const std::string& against = hash.empty() ? decoy_ : hash;
    return crypto_pwhash_str_verify(against.c_str(), password.reveal().data(),
                                    password.reveal().size()) == 0;
  });
  co_return equal && !hash.empty();
}

}  // namespace asahi::identity
