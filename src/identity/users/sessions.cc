#include "identity/users/sessions.h"

#include <algorithm>
#include <cstdint>

#include "base/hash.h"
#include "base/ids.h"
#include "base/json.h"
#include "identity/http/cookies.h"

namespace asahi::identity {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr hours kIdle{1}, kLongest{24};

std::string random_text() {
  std::string bytes(32, '\0');
  random_bytes(bytes.data(), bytes.size());
  return base64url_encode(bytes);
}

cache::Bytes shared(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

/// A session is three keys. The record never changes once written; `seen` expires an hour after the
/// last use; the user's epoch is what ends all sessions of a user at once. No writer of one key can
/// bring back what another has ended.
struct Keys {
  explicit Keys(std::string_view id) {
    const std::string hash = to_hex(sha256(id));
    record = "asahi:session:" + hash;
    seen = record + ":seen";
  }
  std::string record, seen;
};
std::string epoch_key(std::string_view user_id) { return "session:" + std::string(user_id); }

struct Record {
  Session session;
  std::string epoch;
};

std::string write_record(const Record& record) {
  return write_json(json::object{{"csrf", record.session.csrf_token},
                                 {"org", record.session.org_id},
                                 {"user", record.session.user_id},
                                 {"role", record.session.role},
                                 {"epoch", record.epoch},
                                 {"ends", format_rfc3339(record.session.expires_at)}});
}

std::optional<Record> read_record(std::string_view text) {
  const auto parsed = parse_json(text);
  if (!parsed || !parsed->is_object()) return std::nullopt;
  const auto member = [&](std::string_view name) -> std::string {
    const json::value* value = parsed->get_object().if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string())
                                                  : std::string();
  };
  Record record;
  record.session.csrf_token = member("csrf");
  record.session.org_id = member("org");
  record.session.user_id = member("user");
  record.session.role = member("role");
  record.epoch = member("epoch");
  const auto ends = parse_rfc3339(member("ends"));
  if (!ends || record.session.csrf_token.empty() || record.epoch.empty()) return std::nullopt;
  record.session.expires_at = *ends;
  return record;
}

class StoredSessions final : public Sessions {
 public:
  StoredSessions(cache::Store& store, const Clock& clock) : store_(store), clock_(clock) {}

  Task<Session> open(const User& user) override {
    // The user is read before the first suspension: it belongs to the caller.
    Record record;
    record.session = {.id = random_text(),
                      .csrf_token = random_text(),
                      .org_id = user.org_id,
                      .user_id = user.id,
                      .role = user.role,
                      .expires_at = clock_.now() + kLongest};
    ASAHI_CO_TRY(record.epoch, co_await epoch(record.session.user_id));
    const Keys keys(record.session.id);
    if (auto set = co_await store_.set(keys.seen, shared("1"), kIdle); !set) {
      co_return std::unexpected(std::move(set.error()));
    }
    if (auto set = co_await store_.set(keys.record, shared(write_record(record)), kLongest); !set) {
      co_return std::unexpected(std::move(set.error()));
    }
    record.session.expires_at = clock_.now() + kIdle;
    co_return std::move(record.session);
  }

  Task<std::optional<Session>> find(std::string id) override {
    if (id.size() != 43) co_return std::nullopt;
    const Keys keys(id);
    ASAHI_CO_TRY(const auto bytes, co_await store_.get(keys.record));
    if (!bytes) co_return std::nullopt;
    auto record = read_record(**bytes);
    if (!record || record->session.expires_at <= clock_.now()) co_return std::nullopt;
    ASAHI_CO_TRY(const auto seen, co_await store_.get(keys.seen));
    if (!seen) co_return std::nullopt;
    ASAHI_CO_TRY(const auto epoch_now, co_await store_.get(epoch_key(record->session.user_id)));
    if (!epoch_now || **epoch_now != record->epoch) co_return std::nullopt;
    if (auto set = co_await store_.set(keys.seen, shared("1"), kIdle); !set) {
      co_return std::unexpected(std::move(set.error()));
    }
    record->session.id = std::move(id);
    record->session.expires_at =
        std::min<Clock::Time>(record->session.expires_at, clock_.now() + kIdle);
    co_return std::move(record->session);
  }

  Task<void> close(std::string id) override {
    const Keys keys(id);
    ASAHI_CO_TRY([[maybe_unused]] const std::uint64_t gone,
                 co_await store_.erase({keys.record, keys.seen}));
    co_return Result<void>{};
  }

  Task<void> close_all(std::string user_id) override {
    co_return co_await store_.set(epoch_key(user_id), shared(random_text()), milliseconds(0));
  }

 private:
  /// The user's epoch, made when there is none.
  Task<std::string> epoch(std::string user_id) {
    const std::string key = epoch_key(user_id);
    for (;;) {
      ASAHI_CO_TRY(const auto found, co_await store_.get(key));
      if (found) co_return **found;
      const std::string fresh = random_text();
      ASAHI_CO_TRY(const bool mine,
                   co_await store_.set_if_absent(key, shared(fresh), milliseconds(0)));
      if (mine) co_return fresh;
    }
  }

  cache::Store& store_;
  const Clock& clock_;
};

std::string cookie_text(std::string_view id, seconds life, bool secure) {
  std::string cookie(Sessions::kCookie);
  cookie += '=';
  cookie += id;
  cookie += "; Path=/; HttpOnly; SameSite=Lax; Max-Age=" + std::to_string(life.count());
  if (secure) cookie += "; Secure";
  return cookie;
}

}  // namespace

std::string Sessions::cookie(const Session& session, bool secure) {
  return cookie_text(session.id, kLongest, secure);
}
std::string Sessions::expired_cookie(bool secure) { return cookie_text({}, seconds(0), secure); }

std::string_view Sessions::id_in(const http::Request& request) {
  return cookie_value(request, kCookie);
}

std::unique_ptr<Sessions> make_sessions(cache::Store& store, const Clock& clock) {
  return std::make_unique<StoredSessions>(store, clock);
}

}  // namespace asahi::identity
