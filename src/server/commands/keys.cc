#include <fmt/format.h>

#include "base/log.h"
#include "identity/audit/audit.h"
#include "identity/keys/api_keys.h"
#include "net/blocking.h"
#include "server/app.h"
#include "server/commands/commands.h"
#include "server/identity_parts.h"

namespace asahi::server {
namespace {

struct KeyOptions {
  std::string org{identity::Principal::kDefaultOrg}, user = "default", name, prefix;
  std::vector<std::string> scopes, models;
  std::optional<std::vector<std::string>> systems;  ///< nothing: all
  std::optional<int> days;
  std::optional<std::int64_t> requests_per_minute, tokens_per_minute;
};

/// The keys of the configured database, reached without a server. A running one hears of changes by
/// Redis at once, else within a minute.
class KeyDesk {
 public:
  static Result<std::unique_ptr<KeyDesk>> open(const LoadedConfig& config) {
    auto desk = std::unique_ptr<KeyDesk>(new KeyDesk);
    ASAHI_TRY(desk->database_, open_configured_database(config.gateway));
    if (config.gateway.database.auto_migrate) {
      ASAHI_TRY([[maybe_unused]] auto applied,
                sql::Migrator(*desk->database_, all_migrations()).upgrade());
    }
    ASAHI_TRY(auto redis, open_configured_redis(config.gateway, desk->loops_));
    ASAHI_TRY(const identity::AuditOptions auditing, audit_options(config));
    ASAHI_TRY(desk->audit_, identity::open_audit_log(auditing, *desk->database_, system_clock()));
    desk->invalidation_ = std::make_unique<identity::Invalidation>(desk->loops_, std::move(redis));
    ASAHI_TRY(Secret pepper,
              identity::read_pepper(config.identity.key_pepper, config.gateway.app.data_dir));
    ASAHI_TRY(desk->keys_, identity::make_api_keys(
                               {.prefix = config.identity.key_prefix,
                                .expiry_days = config.identity.key_expiry_days,
                                .rotation_overlap_hours = config.identity.rotation_overlap_hours,
                                .pepper = std::move(pepper)},
                               *desk->database_, *desk->invalidation_, system_clock()));
    desk->loops_.start();
    return desk;
  }
  ~KeyDesk() {
    audit_.reset();
    loops_.stop();
  }

  template <class T>
  Result<T> wait_for(std::function<Task<T>(identity::ApiKeys&)> work) {
    return net::run_sync<Result<T>>(loops_.at(0),
                                    [&]() -> Aw<Result<T>> { co_return co_await work(*keys_); });
  }
  /// What was done at the command line is in the log like everything else.
  Result<void> note(std::string action, const std::string& org, const std::string& prefix) {
    identity::AuditEntry entry;
    entry.org_id = org;
    entry.user_id = "operator";
    entry.action = std::move(action);
    entry.resource = "api_key/" + prefix;
    entry.details = {{"from", "command line"}};
    entry.data_classification = identity::classification_of(entry.action, false, false);
    auto stored = net::run_sync<Result<std::string>>(
        loops_.at(0),
        [&]() -> Aw<Result<std::string>> { co_return co_await audit_->append(std::move(entry)); });
    if (!stored) return std::unexpected(std::move(stored.error()));
    return {};
  }

 private:
  KeyDesk() = default;
  net::LoopPool loops_{1};
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<identity::AuditLog> audit_;
  std::unique_ptr<identity::Invalidation> invalidation_;
  std::unique_ptr<identity::ApiKeys> keys_;
};

int failed(const Error& error) {
  fmt::print(stderr, "asahi keys: {}\n", error.message);
  return error.code == Errc::kInvalidArgument ? kExitUsage : kExitFailure;
}

void print_issued(const identity::IssuedApiKey& issued) {
  fmt::print("{}\n", issued.value.reveal());
  fmt::print(stderr,
             "key {} of {} for {}, valid until {}; it is shown this once and stored nowhere\n",
             issued.key.prefix, issued.key.org_id, issued.key.user_id,
             format_rfc3339(issued.key.expires_at));
}

using KeyCommand = std::function<Result<void>(KeyDesk&, const KeyOptions&)>;

int with_desk(const CommonOptions& common, const KeyOptions& options, const KeyCommand& command) {
  const LoadedConfig loaded = load_config(common);
  if (!loaded.faults.empty()) return print_faults(loaded.faults);
  configure_logging({.level = LogLevel::kWarning, .format = LogFormat::kText, .descriptor = 2});
  auto desk = KeyDesk::open(loaded);
  if (!desk) return failed(desk.error());
  if (auto done = command(**desk, options); !done) return failed(done.error());
  return kExitOk;
}

/// What is said on the command line is read as a request's is (identity/systems.h).
Result<identity::Systems> systems_of(const KeyOptions& options) {
  if (!options.systems) return std::nullopt;
  const json::value said(json::array(options.systems->begin(), options.systems->end()));
  return identity::read_systems(&said);
}

std::string shown(const identity::Systems& systems) {
  if (!systems) return "(all)";
  return systems->empty() ? "(none)" : fmt::format("{}", fmt::join(*systems, ","));
}

Result<void> create(KeyDesk& desk, const KeyOptions& options) {
  ASAHI_TRY(identity::Systems systems, systems_of(options));
  identity::NewApiKey wanted{.org_id = options.org,
                             .user_id = options.user,
                             .name = options.name,
                             .scopes = options.scopes,
                             .allowed_models = options.models,
                             .expires_in_days = options.days,
                             .requests_per_minute = options.requests_per_minute,
                             .tokens_per_minute = options.tokens_per_minute,
                             .systems = std::move(systems)};
  ASAHI_TRY(const identity::IssuedApiKey issued,
            desk.wait_for<identity::IssuedApiKey>(
                [&](identity::ApiKeys& keys) { return keys.create(wanted); }));
  print_issued(issued);
  return desk.note("api_key.create", options.org, issued.key.prefix);
}

Result<void> list(KeyDesk& desk, const KeyOptions& options) {
  ASAHI_TRY(const auto keys,
            desk.wait_for<std::vector<identity::ApiKey>>(
                [&](identity::ApiKeys& all) { return all.list(options.org, 500, 0); }));
  const Clock::Time now = system_clock().now();
  for (const identity::ApiKey& key : keys) {
    fmt::print("{:12}  {:8}  {:20}  {:24}  systems {}  until {}  {}\n", key.prefix, key.status(now),
               key.user_id,
               key.scopes.empty() ? "(all)" : fmt::format("{}", fmt::join(key.scopes, ",")),
               shown(key.systems), format_date(key.expires_at), key.name);
  }
  return {};
}

Result<void> revoke(KeyDesk& desk, const KeyOptions& options) {
  auto done = desk.wait_for<void>(
      [&](identity::ApiKeys& keys) { return keys.revoke(options.org, options.prefix); });
  if (!done) return done;
  fmt::print("{} is revoked\n", options.prefix);
  return desk.note("api_key.revoke", options.org, options.prefix);
}

Result<void> rotate(KeyDesk& desk, const KeyOptions& options) {
  ASAHI_TRY(const identity::IssuedApiKey issued,
            desk.wait_for<identity::IssuedApiKey>(
                [&](identity::ApiKeys& keys) { return keys.rotate(options.org, options.prefix); }));
  print_issued(issued);
  return desk.note("api_key.rotate", options.org, issued.key.prefix);
}

}  // namespace

void add_keys(CLI::App& app, CommonOptions& common, Command& chosen) {
  auto options = std::make_shared<KeyOptions>();
  CLI::App* command = app.add_subcommand("keys", "Create, list, revoke and rotate API keys");
  command->require_subcommand(1);
  command->footer(
      "Works on the configured database; a server may be running. The first key: asahi keys create "
      "--org acme");
  const auto add = [&](const char* name, const char* about, KeyCommand work) {
    CLI::App* found = command->add_subcommand(name, about);
    add_common(*found, common);
    found->add_option("--org", options->org, "Organisation")->capture_default_str();
    found->callback([&common, &chosen, options, work = std::move(work)] {
      chosen = [&common, options, work] { return with_desk(common, *options, work); };
    });
    return found;
  };
  CLI::App* created = add("create", "Print a new key; it is shown this once", create);
  created->add_option("--user", options->user, "Whose key it is")->capture_default_str();
  created->add_option("--name", options->name, "What it is for");
  created
      ->add_option("--scopes", options->scopes,
                   "infer, analytics, admin, all, or permissions; none: full access")
      ->delimiter(',');
  created->add_option("--models", options->models, "Only these models")->delimiter(',');
  created
      ->add_option("--systems", options->systems,
                   "Only these source systems of the memory; none said: all of the organisation's")
      ->delimiter(',');
  created->add_option("--expires-in-days", options->days,
                      "1 to 3650 (default: governance.auth_key_expiry_days)");
  created->add_option("--requests-per-minute", options->requests_per_minute, "Limit of this key");
  created->add_option("--tokens-per-minute", options->tokens_per_minute, "Limit of this key");
  add("list", "One line a key", list);
  add("revoke", "End a key now", revoke)
      ->add_option("prefix", options->prefix, "Its first 12 characters")
      ->required();
  add("rotate", "Print a successor; the old key stays valid for the overlap", rotate)
      ->add_option("prefix", options->prefix, "Its first 12 characters")
      ->required();
}

}  // namespace asahi::server
