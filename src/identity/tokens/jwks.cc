#include "identity/tokens/jwks.h"

#include <algorithm>

#include "base/hash.h"
#include "identity/tokens/strict_json.h"

namespace asahi::identity {
namespace {

constexpr std::size_t kMaxKeys = 64;
constexpr std::size_t kMaxKid = 256;

std::optional<std::string> text_of(const json::object& key, std::string_view name) {
  const auto* value = key.if_contains(name);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return std::string(value->get_string());
}

std::optional<std::string> bytes_of(const json::object& key, std::string_view name) {
  const auto text = text_of(key, name);
  return text ? base64url_decode(*text) : std::nullopt;
}

/// RFC 7517 §4.2 and §4.3: what the owner means the key for.
bool is_for_verifying(const json::object& key) {
  if (key.contains("use") && text_of(key, "use") != "sig") return false;
  const auto* operations = key.if_contains("key_ops");
  if (operations == nullptr) return true;
  const auto* list = operations->if_array();
  return list != nullptr &&
         std::ranges::any_of(*list, [](const json::value& name) { return name == "verify"; });
}

std::optional<JwtKey> read_key(const json::object& key) {
  if (!is_for_verifying(key)) return std::nullopt;
  const auto kid = key.contains("kid") ? text_of(key, "kid") : std::string();
  const auto kty = text_of(key, "kty");
  if (!kid || kid->size() > kMaxKid || !kty) return std::nullopt;
  const auto meant_for = [&](JwtAlg alg) {
    return !key.contains("alg") || text_of(key, "alg") == to_string(alg);
  };
  if (*kty == "RSA" && meant_for(JwtAlg::kRs256)) {
    const auto n = bytes_of(key, "n");
    const auto e = bytes_of(key, "e");
    if (!n || !e) return std::nullopt;
    auto made = JwtKey::rsa_public(*kid, *n, *e);
    if (made) return std::move(*made);
  }
  if (*kty == "EC" && text_of(key, "crv") == "P-256" && meant_for(JwtAlg::kEs256)) {
    const auto x = bytes_of(key, "x");
    const auto y = bytes_of(key, "y");
    if (!x || !y) return std::nullopt;
    auto made = JwtKey::ec_public(*kid, *x, *y);
    if (made) return std::move(*made);
  }
  return std::nullopt;
}

}  // namespace

Result<JwtKeySet> parse_jwks(std::string_view text) {
  const auto set = parse_strict_object(text, 8);
  const json::value* const list = set ? set->if_contains("keys") : nullptr;
  if (list == nullptr || !list->is_array()) {
    return fail(Errc::kInvalidArgument,
                "the text is no JWK set; expected an object with a list named keys");
  }
  if (list->get_array().size() > kMaxKeys) {
    return fail(Errc::kInvalidArgument, "the JWK set has more than 64 keys");
  }
  std::vector<JwtKey> keys;
  for (const json::value& item : list->get_array()) {
    if (!item.is_object()) continue;
    if (auto key = read_key(item.get_object())) keys.push_back(std::move(*key));
  }
  return JwtKeySet(std::move(keys));
}

std::string write_jwks(const JwtKeySet& keys) {
  json::array list;
  for (const JwtKey& key : keys.keys()) {
    if (auto jwk = key.public_jwk()) list.push_back(std::move(*jwk));
  }
  return write_json(json::object{{"keys", std::move(list)}});
}

/// The right to fetch; given back however the fetch ends, so that nobody waits for one that was
/// dropped.
class RemoteJwks::FetchTurn {
 public:
  explicit FetchTurn(RemoteJwks& owner) : owner_(&owner) {}
  ~FetchTurn() {
    if (owner_ != nullptr) owner_->finish(nullptr);
  }
  FetchTurn(const FetchTurn&) = delete;
  FetchTurn& operator=(const FetchTurn&) = delete;
  void done(std::shared_ptr<const JwtKeySet> fetched) {
    std::exchange(owner_, nullptr)->finish(std::move(fetched));
  }

 private:
  RemoteJwks* owner_;
};

RemoteJwks::RemoteJwks(std::string url, HttpFetch fetch, const Clock& clock,
                       std::chrono::seconds fresh)
    : url_(std::move(url)), fetch_(std::move(fetch)), clock_(clock), fresh_(fresh) {}

RemoteJwks::Step RemoteJwks::next_step(const std::optional<std::string>& kid, JwtAlg alg) const {
  const auto now = clock_.steady_now();
  const auto since_try = tried_at_ ? now - *tried_at_ : Clock::Steady::duration::max();
  const auto age = now - fetched_at_;
  if (keys_ != nullptr && age < fresh_ && keys_->find(kid, alg) != nullptr) return Step::kUse;
  if (fetching_) return Step::kFetch;  // and wait for it
  if (keys_ == nullptr) return since_try < kPauseWithoutKeys ? Step::kUnavailable : Step::kFetch;
  if (since_try >= kPause) return Step::kFetch;
  return age < kStale ? Step::kUse : Step::kUnavailable;
}

std::shared_ptr<const JwtKeySet> RemoteJwks::try_keys(const std::optional<std::string>& kid,
                                                      JwtAlg alg) const {
  const std::scoped_lock lock(mutex_);
  return next_step(kid, alg) == Step::kUse ? keys_ : nullptr;
}

Task<std::shared_ptr<const JwtKeySet>> RemoteJwks::keys(std::optional<std::string> kid,
                                                        JwtAlg alg) {
  bool waited = false;
  for (;;) {
    std::shared_ptr<net::Event> event;
    {
      const std::scoped_lock lock(mutex_);
      Step step = next_step(kid, alg);
      // Whoever waited for a fetch takes what it brought.
      if (waited && step == Step::kFetch) step = keys_ != nullptr ? Step::kUse : Step::kUnavailable;
      if (step == Step::kUse) co_return keys_;
      if (step == Step::kUnavailable) {
        auto failure = fail(Errc::kUnavailable,
                            "the keys of the token's issuer cannot be fetched; try again later");
        failure.error().retry_after = kPauseWithoutKeys;
        co_return failure;
      }
      if (fetching_) {
        event = std::make_shared<net::Event>(*net::Loop::current());
        waiters_.push_back({net::Loop::current(), event});
      } else {
        fetching_ = true;
        tried_at_ = clock_.steady_now();
      }
    }
    waited = true;
    if (event != nullptr) {
      co_await event->wait();
      continue;
    }
    FetchTurn turn(*this);
    auto document =
        co_await fetch_document(fetch_, url_, kMaxBytes, std::chrono::steady_clock::now());
    auto parsed = document ? parse_jwks(*document) : std::unexpected(document.error());
    if (!parsed) {
      log_.warning("cannot fetch an issuer's keys",
                   {{"url", url_}, {"reason", parsed.error().message}});
      turn.done(nullptr);
    } else {
      turn.done(std::make_shared<const JwtKeySet>(std::move(*parsed)));
    }
  }
}

void RemoteJwks::finish(std::shared_ptr<const JwtKeySet> fetched) {
  std::vector<Waiter> waiters;
  {
    const std::scoped_lock lock(mutex_);
    fetching_ = false;
    if (fetched != nullptr) {
      keys_ = std::move(fetched);
      fetched_at_ = clock_.steady_now();
    }
    waiters.swap(waiters_);
  }
  for (Waiter& waiter : waiters) {
    waiter.loop->post([event = std::move(waiter.event)] { event->set(); });
  }
}

}  // namespace asahi::identity
