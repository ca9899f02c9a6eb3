#include "server/secret_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "base/clock.h"
#include "net/blocking.h"

namespace asahi::server {
namespace {

using identity::secret_list;
using identity::SecretSource;
using identity::Vault;
using identity::VaultOptions;

/// A secret goes by one name inside, whatever its variable is called.
std::string_view canonical(const gateway::GovernanceConfig& config, std::string_view variable) {
  if (variable == config.encryption_key_env) return kEncryptionKey;
  constexpr std::string_view kPrevious = "_PREVIOUS";
  if (variable.ends_with(kPrevious) &&
      variable.substr(0, variable.size() - kPrevious.size()) == config.encryption_key_env) {
    return kEncryptionKeyPrevious;
  }
  return variable;
}

bool is_key(std::string_view text) {
  return text.size() == 64 &&
         std::ranges::all_of(text, [](unsigned char c) { return std::isxdigit(c) != 0; });
}

/// The rule that a new value breaks; empty: none. The same rules as at the start.
std::string_view broken_rule(std::string_view name, const std::string& value) {
  if (value.empty()) return {};
  if (name == kAdminSecret) return value.size() < 16 ? "must have at least 16 characters" : "";
  if (name == kJwtSecret) return value.size() < 32 ? "must have at least 32 characters" : "";
  if (name == kJwtSecretPrevious) {
    const bool good = std::ranges::all_of(
        secret_list(value), [](const Secret& item) { return item.reveal().size() >= 32; });
    return good ? "" : "must be secrets of at least 32 characters, comma separated";
  }
  if (name == kEncryptionKey) return is_key(value) ? "" : "must be 64 hex digits";
  if (name == kEncryptionKeyPrevious)
    return std::ranges::all_of(secret_list(value),
                               [](const Secret& item) { return is_key(item.reveal()); })
               ? ""
               : "must be keys of 64 hex digits, comma separated";
  // A vendor's key goes into a header.
  const bool sendable =
      std::ranges::all_of(value, [](unsigned char c) { return c > ' ' && c < 0x7f; });
  return sendable ? "" : "must be printable ASCII without blanks";
}

SecretSource::Values secrets_of(const ServerConfig& config) {
  SecretSource::Values values;
  const auto add = [&values](std::string_view name, const Secret& value) {
    if (!value.empty()) values.emplace(name, value);
  };
  add(kAdminSecret, config.identity.admin_secret);
  add(kJwtSecret, config.identity.jwt_secret);
  add(kJwtSecretPrevious, config.identity.jwt_secrets_previous);
  add(kEncryptionKey, config.gateway.governance.encryption_key);
  add(kEncryptionKeyPrevious, config.gateway.governance.encryption_keys_previous);
  for (const auto& [name, vendor] : config.gateway.providers.vendors)
    add(vendor.api_key_env, vendor.api_key);
  return values;
}

}  // namespace

std::vector<std::string> live_secrets(const ServerConfig& config) {
  std::set<std::string> names{std::string(kAdminSecret), std::string(kJwtSecret),
                              std::string(kJwtSecretPrevious),
                              config.gateway.governance.encryption_key_env,
                              config.gateway.governance.encryption_key_env + "_PREVIOUS"};
  for (const auto& [name, vendor] : config.gateway.providers.vendors) {
    if (!vendor.api_key_env.empty()) names.insert(vendor.api_key_env);
  }
  return {names.begin(), names.end()};
}

Result<SecretSource::Values> read_vault(const VaultOptions& options) {
  net::LoopPool loops(1);
  boost::asio::thread_pool files(1);
  loops.start();
  auto values = net::run_sync<Result<SecretSource::Values>>(
      loops.at(0), [&]() -> Aw<Result<SecretSource::Values>> {
        auto vault = Vault::make(loops.at(0), files, system_clock(), options, nullptr);
        if (!vault) co_return std::unexpected(std::move(vault.error()));
        co_return co_await (*vault)->start();
      });
  loops.stop();
  return values;
}

SecretParts::SecretParts(Lent lent, SecretSource::Values initial)
    : lent_(lent),
      own_(lent.config.own_secrets),
      source_(system_clock(), std::chrono::hours(lent.config.identity.rotation_overlap_hours),
              std::move(initial)),
      background_(lent.loops.at(0)) {}

Result<std::unique_ptr<SecretParts>> SecretParts::make(Lent lent) {
  std::unique_ptr<SecretParts> parts(new SecretParts(lent, secrets_of(lent.config)));
  if (auto read = parts->read_vault_first(); !read) return std::unexpected(std::move(read.error()));
  if (!parts->source_.get(kEncryptionKey).empty()) {
    ASAHI_TRY(auto ring, parts->make_ring());
    parts->ring_.set(std::move(ring));
  }
  SecretParts& self = *parts;
  self.source_.on_change([&self](const SecretSource::Names& changed) { self.take(changed); });
  return parts;
}

SecretParts::~SecretParts() { stop(); }

/// The client that lives on reads for itself: it keeps its own token and knows what changes.
Result<void> SecretParts::read_vault_first() {
  if (!lent_.config.vault) return {};
  auto values = net::run_sync<Result<SecretSource::Values>>(
      lent_.loops.at(0), [this]() -> Aw<Result<SecretSource::Values>> {
        auto made = Vault::make(lent_.loops.at(0), files_, system_clock(), *lent_.config.vault,
                                [this](const SecretSource::Values& news) { from_vault(news); });
        if (!made) co_return std::unexpected(std::move(made.error()));
        vault_client_ = std::move(*made);
        co_return co_await vault_client_->start();
      });
  if (!values) return std::unexpected(std::move(values.error()));
  vault_ = std::move(*values);
  return {};
}

void SecretParts::from_vault(const SecretSource::Values& news) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, value] : news) vault_.insert_or_assign(name, value);
  }
  const auto live = live_secrets(lent_.config);
  for (const auto& [name, value] : news) {
    if (!std::ranges::binary_search(live, name)) {
      logger_.warning("this setting has changed in Vault and is taken up at the next start",
                      {{"name", name}});
    }
  }
  boost::asio::post(changes_, [this] { apply(); });
}

void SecretParts::reload(SecretSource::Values own) {
  {
    const std::lock_guard lock(mutex_);
    own_ = std::move(own);
  }
  boost::asio::post(changes_, [this] { apply(); });
}

void SecretParts::apply() {
  const auto& governance = lent_.config.gateway.governance;
  SecretSource::Values wanted;
  {
    const std::lock_guard lock(mutex_);
    for (const std::string& name : live_secrets(lent_.config)) {
      const auto here = own_.find(name);
      const auto there = vault_.find(name);
      const bool from_vault = there != vault_.end() && !there->second.empty();
      Secret value = from_vault ? there->second : here == own_.end() ? Secret() : here->second;
      if (const std::string_view rule = broken_rule(canonical(governance, name), value.reveal());
          !rule.empty()) {
        logger_.error("a secret is not taken up; the one before stays in use",
                      {{"name", name}, {"rule", rule}, {"origin", from_vault ? "Vault" : "here"}});
        continue;
      }
      wanted.emplace(canonical(governance, name), std::move(value));
    }
  }
  (void)source_.update(wanted);
}

Result<KeyRing> SecretParts::make_ring() const {
  const auto& governance = lent_.config.gateway.governance;
  return identity::encryption_ring(
      source_, {.pbkdf2_iterations = governance.pbkdf2_iterations,
                .salt_length = static_cast<std::size_t>(governance.salt_length)});
}

/// On the thread of changes.
void SecretParts::take(const SecretSource::Names& changed) {
  for (const std::string& name : changed) {
    logger_.info("a secret was exchanged", {{"name", name}});
    lent_.metrics
        .counter("asahi_secrets_exchanged_total", "Secrets taken up while running",
                 {{"secret", name}})
        .add();
  }
  const bool keys = std::ranges::any_of(changed, [](const std::string& name) {
    return name == kEncryptionKey || name == kEncryptionKeyPrevious;
  });
  if (keys && source_.get(kEncryptionKey).empty()) {
    logger_.error("the encryption key was taken away; the one before stays in use until the end");
  } else if (keys) {
    auto ring = make_ring();
    if (!ring) {
      logger_.error("the encryption keys are not taken up; those before stay in use",
                    {{"error", ring.error().message}});
    } else {
      ring->derive_ahead(stopping_.get_token());
      ring_.set(std::move(*ring));
    }
  }
  for (const auto& listener : listeners_) listener(changed);
}

void SecretParts::on_change(SecretSource::Listener listener) {
  listeners_.push_back(std::move(listener));
}

void SecretParts::start() {
  if (const auto ring = ring_.get(); ring != nullptr) {
    boost::asio::post(changes_, [ring, stop = stopping_.get_token()] { ring->derive_ahead(stop); });
  }
  if (vault_client_ == nullptr) return;
  background_.run("Vault", [this](const net::Background::Sleep&) {
    return vault_client_->run(background_.cancel_source());
  });
}

void SecretParts::stop() {
  if (std::exchange(stopped_, true)) return;
  stopping_.request_stop();
  background_.stop();
  if (vault_client_ != nullptr) {
    (void)net::run_sync<bool>(lent_.loops.at(0), [this]() -> Aw<bool> {
      vault_client_.reset();
      co_return true;
    });
  }
  changes_.join();
  files_.join();
}

}  // namespace asahi::server
