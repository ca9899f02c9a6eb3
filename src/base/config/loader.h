#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/secret.h"

namespace asahi::config {

/// One fault of a configuration: where, what was there, which rule it breaks.
struct Fault {
  std::string path;    ///< "cache.tier1.ttl_seconds" or "ASAHI_PORT"
  std::string value;   ///< as given; "***" for secrets
  std::string rule;    ///< "must be an integer from 1 to 604800"
  std::string origin;  ///< "config/config.yaml:12", "environment", ".env", "default"
};

/// Where settings come from, highest first: Vault, process environment, `.env`, YAML, the defaults
/// of the structs.
struct Sources {
  std::map<std::string, std::string, std::less<>> vault =
      {};  ///< by the names of environment variables; filled by who asks Vault
  std::map<std::string, std::string, std::less<>> environment;
  std::map<std::string, std::string, std::less<>> dotenv;
  std::string yaml_path;  ///< empty or absent file: no YAML layer
  std::optional<std::string> yaml_text =
      {};  ///< used in place of the file when given; `yaml_path` then only names it
};
/// Reads the process environment and `dotenv_path` when it is there (KEY=value, quotes, comments,
/// `export`; no expansion). Errors: invalid_argument or too_large with file and line, never with a
/// value.
Result<Sources> read_sources(const std::string& yaml_path, const std::string& dotenv_path);

/// Reads the text of a `.env` file called `name`; the last of several settings of a variable
/// counts.
Result<std::map<std::string, std::string, std::less<>>> parse_dotenv(std::string_view text,
                                                                     const std::string& name);

/// What a key accepts.
struct Rules {
  std::optional<double> min = {},
                        max = {};  ///< of a number; of the bytes of a text; of the items of a list
  std::vector<std::string> one_of = {};  ///< texts, or each item of a list
  std::vector<std::string> env = {};     ///< further variables, highest first
  std::string help = {};
  bool secret = false;  ///< show as "***"; always so for fields of type Secret
};

/// Binds keys to the fields of plain structs. Modules declare their keys in one function each:
///
///   void bind(config::Binder& b, ApiConfig& c) {
///     auto api = b.section("api");
///     api.value("port", c.port, {.min = 0, .max = 65535, .env = {"PORT", "ASAHI_PORT"}, .help =
///     "listener"});
///   }
///
/// Every key `a.b.c` can also be set as ASAHI_A_B_C; `env` names more variables, first found wins,
/// before it. Lists are comma separated in the environment ("," is the empty list); booleans
/// 1/true/yes/on and 0/false/no/off. An empty variable and a YAML null count as not set. YAML is
/// typed by the core schema of YAML 1.2: a quoted "8000" is text and no number, yes and on are
/// text. A field of type Secret may not be set in YAML at all. Bind every key before finish(). Not
/// thread-safe.
class Binder {
  struct Scope;

 public:
  explicit Binder(Sources sources);
  ~Binder();

  class Section {
   public:
    Section section(std::string_view name);
    void value(std::string_view key, bool& field, Rules rules = {});
    void value(std::string_view key, int& field, Rules rules = {});
    void value(std::string_view key, std::int64_t& field, Rules rules = {});
    void value(std::string_view key, std::size_t& field, Rules rules = {});
    void value(std::string_view key, std::uint16_t& field, Rules rules = {});
    void value(std::string_view key, double& field, Rules rules = {});
    void value(std::string_view key, std::string& field, Rules rules = {});
    void value(std::string_view key, Secret& field, Rules rules = {});
    void value(std::string_view key, std::vector<std::string>& field, Rules rules = {});
    /// Keys of free choice below this section (`tasks.<type>`): `bind` is called per key found in
    /// YAML. The environment can override their settings but not add such keys: it cannot tell
    /// where their names end.
    void each(std::function<void(const std::string& key, Section)> bind);
    /// Another spelling of this section's name, accepted in YAML ("token_optimization"). Call it
    /// before `value`.
    void alias(std::string_view name);

   private:
    friend class Binder;
    Section(Binder& binder, Scope& scope) : binder_(&binder), scope_(&scope) {}
    Binder* binder_;
    Scope* scope_;
  };
  Section section(std::string_view name);
  /// A variable outside the `ASAHI_` scheme (OPENAI_API_KEY).
  std::optional<std::string> environment(std::string_view name);

  /// Adds a fault found by a module's own check over several fields.
  void fault(Fault fault);
  /// After all bindings: unknown YAML keys become faults, unknown ASAHI_* variables warnings.
  /// Returns every fault at once; empty: good.
  std::vector<Fault> finish();
  const std::vector<std::string>& warnings() const;

  /// Effective values with their origin, secrets as "***": `config --print`. Sorted by path.
  struct Effective {
    std::string path, value;
    std::string
        origin;  ///< as in Fault, with the variable's name: "environment ASAHI_PORT", ".env PORT"
    std::string help;
  };
  std::vector<Effective> effective() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Parses a YAML file with caps on size (1 MiB), depth (32) and aliases (none), into JSON values.
/// Errors name file, line and column.
Result<json::value> read_yaml(const std::string& path);
/// The same for a text called `name` in errors.
Result<json::value> parse_yaml(std::string_view text, const std::string& name);

}  // namespace asahi::config
