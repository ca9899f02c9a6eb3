#include "memory/remote/signature.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/hash.h"
#include "base/ids.h"

namespace asahi::memory::remote {
namespace {

constexpr std::size_t kNonceDigits = 32;

std::string sum(std::string_view body) { return to_hex(sha256(body)); }

std::string request_signature(const Secret& secret, std::string_view target, std::string_view time,
                              std::string_view nonce, std::string_view time_left,
                              std::string_view body) {
  return to_hex(
      hmac_sha256(secret.reveal(), fmt::format("akosha-store-request-1\nPOST\n{}\n{}\n{}\n{}\n{}",
                                               target, time, nonce, time_left, sum(body))));
}

std::string reply_signature(const Secret& secret, std::string_view nonce, int status,
                            std::string_view body) {
  return to_hex(hmac_sha256(
      secret.reveal(), fmt::format("akosha-store-reply-1\n{}\n{}\n{}", nonce, status, sum(body))));
}

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::int64_t milliseconds(Clock::Time time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

Result<void> check_secret(const Secret& secret, std::string_view name) {
  if (secret.reveal().size() < kMinStoreSecret) {
    return fail_field(std::string(name),
                      fmt::format("a store secret has at least {} characters; 'akosha secrets "
                                  "generate' prints one",
                                  kMinStoreSecret));
  }
  for (const char* placeholder : {"change-this", "change-me", "placeholder", "example"}) {
    if (secret.reveal().find(placeholder) != std::string::npos)
      return fail_field(std::string(name), "that is a placeholder, not a secret");
  }
  return {};
}

}  // namespace

Result<void> check_secrets(const StoreSecrets& secrets) {
  if (secrets.current.empty()) {
    if (secrets.previous.empty()) return {};
    return fail_field("memory.stores.secret_previous", "there is one before, but none now");
  }
  if (auto ok = check_secret(secrets.current, "memory.stores.secret"); !ok) return ok;
  if (secrets.previous.empty()) return {};
  return check_secret(secrets.previous, "memory.stores.secret_previous");
}

std::string sign_request(const StoreSecrets& secrets, std::string_view target,
                         std::string_view body, std::chrono::milliseconds time_left,
                         Clock::Time now, http::Headers& headers) {
  std::string left = std::to_string(time_left.count());
  std::string nonce = random_id("", kNonceDigits);
  if (!secrets.current.empty()) {
    std::string time = std::to_string(milliseconds(now));
    headers.add(std::string(kSignatureHeader),
                request_signature(secrets.current, target, time, nonce, left, body));
    headers.add(std::string(kTimeHeader), std::move(time));
    headers.add(std::string(kNonceHeader), nonce);
  }
  headers.add(std::string(kDeadlineHeader), std::move(left));
  return nonce;
}

bool is_signed_reply(const StoreSecrets& secrets, std::string_view nonce, int status,
                     std::string_view body, std::string_view signature) {
  if (secrets.current.empty()) return true;
  return equal_constant_time(signature, reply_signature(secrets.current, nonce, status, body));
}

RequestCheck::RequestCheck(StoreSecrets secrets, const Clock& clock, Options options)
    : secrets_(std::move(secrets)), clock_(clock), options_(options) {}

void RequestCheck::Pass::sign(http::Response& response) const {
  if (secret_ == nullptr) return;
  response.headers.set(kSignatureHeader,
                       reply_signature(*secret_, nonce_, response.status, response.body));
}

Result<RequestCheck::Pass> RequestCheck::check(const http::Request& request) {
  Pass pass;
  const std::string_view left = request.headers.get(kDeadlineHeader);
  if (const auto ms = number(left)) pass.time_left = std::chrono::milliseconds(*ms);
  if (secrets_.current.empty()) return pass;
  const std::string_view time = request.headers.get(kTimeHeader);
  const std::string_view nonce = request.headers.get(kNonceHeader);
  const std::string_view signature = request.headers.get(kSignatureHeader);
  for (const Secret* secret : {&secrets_.current, &secrets_.previous}) {
    if (secret->empty() || pass.secret_ != nullptr) continue;
    if (equal_constant_time(
            signature, request_signature(*secret, request.target, time, nonce, left, request.body)))
      pass.secret_ = secret;
  }
  const auto sent = number(time);
  if (pass.secret_ == nullptr || !sent || nonce.size() != kNonceDigits) {
    return fail(Errc::kUnauthenticated,
                "not signed with this store's secret; AKOSHA_STORE_SECRET must be the same in "
                "every process");
  }
  pass.nonce_ = nonce;
  const Clock::Time now = clock_.now();
  const auto apart = std::chrono::milliseconds(milliseconds(now) - *sent);
  if (std::chrono::abs(apart) > options_.window) {
    return fail(Errc::kUnauthenticated,
                fmt::format("signed {} s from now by this store's clock, at most {} s are allowed; "
                            "set the clocks right",
                            -std::chrono::duration_cast<std::chrono::seconds>(apart).count(),
                            options_.window.count()));
  }
  if (auto ok = remember(pass.nonce_, now); !ok) return std::unexpected(ok.error());
  return pass;
}

Result<void> RequestCheck::remember(const std::string& nonce, Clock::Time now) {
  const std::scoped_lock lock(mutex_);
  // A request is good from one window before its time to one after: two windows together.
  if (now - since_ > 2 * options_.window) {
    older_ = std::move(nonces_);
    nonces_.clear();
    since_ = now;
  }
  if (nonces_.contains(nonce) || older_.contains(nonce))
    return fail(Errc::kUnauthenticated, "this request was carried out before");
  if (nonces_.size() >= options_.max_nonces) {
    auto failure = fail(Errc::kUnavailable, "more requests than this store can tell apart");
    failure.error().retry_after = std::chrono::seconds(1);
    return failure;
  }
  nonces_.insert(nonce);
  return {};
}

}  // namespace asahi::memory::remote
