#include "identity/secrets/provider_keys.h"

#include <algorithm>
#include <list>
#include <map>
#include <mutex>
#include <utility>

#include "base/ids.h"

namespace asahi::identity {
namespace {

constexpr std::size_t kHint = 4;
constexpr std::size_t kMinKey = 8;  // a hint must not be half of the key
constexpr std::size_t kMaxKey = 1'024;
constexpr std::size_t kMaxName = 255;
constexpr std::size_t kMaxVendor = 50;
constexpr int kAttempts = 3;

std::string context_of(const std::string& org_id, const std::string& vendor) {
  return "provider_keys/" + org_id + "/" + vendor;
}

bool is_vendor(std::string_view text) {
  return !text.empty() && text.size() <= kMaxVendor && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

Result<void> check(const std::string& org_id, const std::string& vendor, const Secret& key,
                   const std::string& user_id) {
  if (org_id.empty() || org_id.size() > kMaxName) {
    return fail_field("org_id", "must be 1 to 255 characters");
  }
  if (!is_vendor(vendor)) {
    return fail_field("vendor",
                      "must be the name of a vendor: up to 50 of a-z, 0-9, '-' and '_', such as "
                      "\"openai\"");
  }
  const std::string& text = key.reveal();
  if (text.size() < kMinKey || text.size() > kMaxKey) {
    return fail_field("key", "must be 8 to 1024 characters");
  }
  // It goes into a header.
  if (!std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; })) {
    return fail_field("key", "must be printable ASCII without blanks; check what was copied");
  }
  if (user_id.size() > kMaxName) return fail_field("user_id", "must be up to 255 characters");
  return {};
}

std::unexpected<Error> no_ring(Errc code) {
  auto failure = fail(code,
                      "vendor keys are stored encrypted, and no encryption key is configured; set "
                      "ASAHI_ENCRYPTION_KEY to 64 hex digits (openssl rand -hex 32)");
  if (code == Errc::kInvalidArgument) failure.error().reason = "configuration_error";
  return failure;
}

}  // namespace

struct ProviderKeys::Impl {
  using Place = std::pair<std::string, std::string>;  // organisation, vendor
  struct Known {
    Place place;
    std::optional<Secret> key;
    Clock::Steady until;
  };

  sql::Database& db;
  const Live<KeyRing>& ring;
  const Clock& clock;
  const Changed changed;
  const Options options;

  std::mutex mutex;
  std::list<Known> known;  // latest use first
  std::map<Place, std::list<Known>::iterator> by_place;
  /// Counts forgetting: what was read before must not be remembered after.
  std::uint64_t generation = 0;

  /// `outdated`: also what should have been read again by now.
  std::optional<std::optional<Secret>> recall(const Place& place, bool outdated) {
    const auto now = clock.steady_now();
    const std::lock_guard lock(mutex);
    const auto at = by_place.find(place);
    if (at == by_place.end() || (now >= at->second->until && !outdated)) return std::nullopt;
    known.splice(known.begin(), known, at->second);
    return at->second->key;
  }

  void remember(const Place& place, const std::optional<Secret>& key, std::uint64_t read_at) {
    const auto until = clock.steady_now() + options.cache_for;
    const std::lock_guard lock(mutex);
    if (generation != read_at || options.cache_entries == 0) return;
    if (const auto at = by_place.find(place); at != by_place.end()) {
      known.erase(at->second);
      by_place.erase(at);
    }
    if (known.size() >= options.cache_entries) {
      by_place.erase(known.back().place);
      known.pop_back();
    }
    known.push_front({place, key, until});
    by_place[place] = known.begin();
  }

  std::uint64_t current_generation() {
    const std::lock_guard lock(mutex);
    return generation;
  }
};

ProviderKeys::ProviderKeys(sql::Database& db, const Live<KeyRing>& ring, const Clock& clock,
                           Changed changed, Options options)
    : impl_(new Impl{.db = db,
                     .ring = ring,
                     .clock = clock,
                     .changed = std::move(changed),
                     .options = options,
                     .mutex = {},
                     .known = {},
                     .by_place = {}}) {}
ProviderKeys::~ProviderKeys() = default;

Task<ProviderKey> ProviderKeys::put(std::string org_id, std::string vendor, Secret key,
                                    std::string user_id) {
  if (auto ok = check(org_id, vendor, key, user_id); !ok) co_return std::unexpected(ok.error());
  const auto ring = impl_->ring.get();
  if (ring == nullptr) co_return no_ring(Errc::kInvalidArgument);
  const auto now = impl_->clock.now();
  const ProviderKey made{.id = entity_id("pvk_", now),
                         .org_id = org_id,
                         .vendor = vendor,
                         .hint = key.reveal().substr(key.reveal().size() - kHint),
                         .created_by = user_id,
                         .created_at = now};
  const std::string value = ring->encrypt(key.reveal(), context_of(org_id, vendor));
  Result<void> stored;
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    stored = co_await impl_->db.transaction([&made, &value](sql::Session& session) -> Result<void> {
      const std::string at = format_rfc3339(made.created_at);
      ASAHI_TRY(
          std::ignore,
          session.query({"UPDATE provider_keys SET active = false, ciphertext = '', ended_at = ?"
                         " WHERE org_id = ? AND vendor = ? AND active",
                         {at, made.org_id, made.vendor}}));
      ASAHI_TRY(std::ignore,
                session.query(
                    {"INSERT INTO provider_keys (id, org_id, vendor, ciphertext, hint,"
                     " active, created_by, created_at) VALUES (?, ?, ?, ?, ?, true, ?, ?)",
                     {made.id, made.org_id, made.vendor, value, made.hint, made.created_by, at}}));
      return {};
    });
    // Two first keys at the same time: neither saw the other's row.
    if (stored || stored.error().code != Errc::kConflict) break;
  }
  // Also after an error: whether the commit was done is not always known.
  forget(org_id, vendor);
  if (!stored) co_return std::unexpected(stored.error());
  if (impl_->changed) impl_->changed(org_id, vendor);
  co_return made;
}

Task<std::optional<Secret>> ProviderKeys::get(std::string org_id, std::string vendor) {
  const Impl::Place place{org_id, vendor};
  if (auto known = impl_->recall(place, false)) co_return std::move(*known);
  const auto read_at = impl_->current_generation();
  auto found =
      co_await impl_->db.query({"SELECT ciphertext FROM provider_keys"
                                " WHERE org_id = ? AND vendor = ? AND active",
                                {org_id, vendor}});
  if (!found) {
    // While the database is away the key of before goes on.
    if (auto known = impl_->recall(place, true)) co_return std::move(*known);
    co_return std::unexpected(std::move(found.error()));
  }
  const sql::Rows& rows = *found;
  std::optional<Secret> key;
  if (!rows.empty()) {
    const auto ring = impl_->ring.get();
    // To call with the platform's key instead would bill the wrong account.
    if (ring == nullptr) co_return no_ring(Errc::kUnavailable);
    ASAHI_CO_TRY(auto plain, ring->decrypt(rows.text(0, "ciphertext"), context_of(org_id, vendor)));
    key.emplace(std::move(plain));
  }
  impl_->remember(place, key, read_at);
  co_return key;
}

Task<std::vector<ProviderKey>> ProviderKeys::list(std::string org_id) {
  ASAHI_CO_TRY(
      const auto rows,
      co_await impl_->db.query({"SELECT id, vendor, hint, created_by, created_at FROM provider_keys"
                                " WHERE org_id = ? AND active ORDER BY vendor",
                                {org_id}}));
  std::vector<ProviderKey> all;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ASAHI_CO_TRY(const auto created_at, parse_rfc3339(rows.text(i, "created_at")));
    all.push_back({.id = rows.text(i, "id"),
                   .org_id = org_id,
                   .vendor = rows.text(i, "vendor"),
                   .hint = rows.text(i, "hint"),
                   .created_by = rows.text(i, "created_by"),
                   .created_at = created_at});
  }
  co_return all;
}

Task<void> ProviderKeys::remove(std::string org_id, std::string vendor) {
  const auto rows = co_await impl_->db.query(
      {"UPDATE provider_keys SET active = false, ciphertext = '', ended_at = ?"
       " WHERE org_id = ? AND vendor = ? AND active",
       {format_rfc3339(impl_->clock.now()), org_id, vendor}});
  forget(org_id, vendor);
  if (!rows) co_return std::unexpected(rows.error());
  if (rows->affected() == 0) {
    co_return fail(Errc::kNotFound, "the organisation has no key of its own for this vendor");
  }
  if (impl_->changed) impl_->changed(org_id, vendor);
  co_return Result<void>();
}

void ProviderKeys::forget(const std::string& org_id, const std::string& vendor) {
  const std::lock_guard lock(impl_->mutex);
  ++impl_->generation;
  const auto at = impl_->by_place.find({org_id, vendor});
  if (at == impl_->by_place.end()) return;
  impl_->known.erase(at->second);
  impl_->by_place.erase(at);
}

void ProviderKeys::forget_all() {
  const std::lock_guard lock(impl_->mutex);
  ++impl_->generation;
  impl_->by_place.clear();
  impl_->known.clear();
}

EncryptedColumn provider_keys_column() {
  return {
      .table = "provider_keys",
      .id_column = "id",
      .column = "ciphertext",
      .context_columns = {"org_id", "vendor"},
      .context = [](const std::vector<std::string>& row) { return context_of(row[0], row[1]); }};
}

}  // namespace asahi::identity
