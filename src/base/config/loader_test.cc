#include "base/config/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace asahi::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

struct Settings {
  bool debug = false;
  int port = 8000;
  std::uint16_t admin_port = 9090;
  std::int64_t bytes = 2'097'152;
  std::size_t entries = 100'000;
  double threshold = 0.85;
  std::string host = "0.0.0.0";
  std::string format = "json";
  std::string database = "sqlite:///asahi.db";
  Secret key;
  std::vector<std::string> origins{"*"};
  int tier1_ttl = 86'400;
  std::map<std::string, double> tasks;
  int optimization_turns = 5;
};

void bind(Binder& b, Settings& s) {
  auto api = b.section("api");
  api.value("debug", s.debug);
  api.value("port", s.port,
            {.min = 1, .max = 65535, .env = {"ASAHI_PORT", "PORT"}, .help = "the listener's port"});
  api.value("admin_port", s.admin_port);
  api.value("bytes", s.bytes, {.min = 1});
  api.value("entries", s.entries);
  api.value("host", s.host);
  api.value("cors_origins", s.origins);
  auto cache = b.section("cache");
  cache.section("tier1").value("ttl_seconds", s.tier1_ttl, {.min = 1, .max = 604'800});
  cache.section("tier2").value("threshold", s.threshold, {.min = 0, .max = 1});
  b.section("logging").value("format", s.format,
                             {.one_of = {"json", "text"}, .env = {"LOG_FORMAT"}});
  b.section("database").value("url", s.database, {.env = {"DATABASE_URL"}});
  b.section("governance")
      .value("encryption_key", s.key, {.min = 8, .env = {"ASAHI_ENCRYPTION_KEY"}});
  b.section("tasks").each([&](const std::string& type, Binder::Section task) {
    task.value("semantic_threshold", s.tasks[type], {.min = 0, .max = 1});
  });
  auto optimization = b.section("optimization");
  optimization.alias("token_optimization");
  optimization.value("max_history_turns", s.optimization_turns);
}

struct Loaded {
  Settings settings;
  std::vector<Fault> faults;
  std::vector<std::string> warnings;
  std::vector<Binder::Effective> effective;

  Binder::Effective entry(const std::string& path) const {
    for (const auto& one : effective) {
      if (one.path == path) return one;
    }
    return {};
  }
};

Loaded load(Sources sources) {
  if (sources.yaml_path.empty()) sources.yaml_path = "config.yaml";
  Binder binder(std::move(sources));
  Loaded loaded;
  bind(binder, loaded.settings);
  loaded.faults = binder.finish();
  loaded.warnings = binder.warnings();
  loaded.effective = binder.effective();
  return loaded;
}
Loaded load_yaml(std::string text) { return load({.yaml_text = std::move(text)}); }
Loaded load_env(std::string name, std::string value) {
  return load({.environment = {{std::move(name), std::move(value)}}});
}

std::string shown(const Fault& fault) {
  return fault.path + " | " + fault.value + " | " + fault.rule + " | " + fault.origin;
}

TEST(Config, KeepsDefaultsWhenNothingIsGiven) {
  const Loaded loaded = load({});
  EXPECT_THAT(loaded.faults, IsEmpty());
  EXPECT_EQ(loaded.settings.port, 8000);
  EXPECT_EQ(loaded.entry("api.port").origin, "default");
  EXPECT_EQ(loaded.entry("api.port").help, "the listener's port");
}

TEST(Config, TakesTheHighestLayerThatHasAValue) {
  struct Row {
    const char *environment, *dotenv, *yaml;
    int port;
    const char* origin;
  };
  for (const Row& row :
       {Row{"1", "2", "api: {port: 3}", 1, "environment ASAHI_API_PORT"},
        Row{"", "2", "api: {port: 3}", 2, ".env ASAHI_API_PORT"},
        Row{"", "", "api:\n  port: 3", 3, "config.yaml:2"},
        Row{"", "", "api:\n  port:\n", 8000, "default"}, Row{"", "", "", 8000, "default"}}) {
    const Loaded loaded = load({.environment = {{"ASAHI_API_PORT", row.environment}},
                                .dotenv = {{"ASAHI_API_PORT", row.dotenv}},
                                .yaml_text = row.yaml});
    EXPECT_THAT(loaded.faults, IsEmpty());
    EXPECT_EQ(loaded.settings.port, row.port) << row.yaml;
    EXPECT_EQ(loaded.entry("api.port").origin, row.origin);
  }
}

TEST(Config, TakesNamedVariablesInTheirOrderBeforeTheScheme) {
  Sources sources;
  sources.environment = {{"ASAHI_PORT", "1"}, {"PORT", "2"}, {"ASAHI_API_PORT", "3"}};
  EXPECT_EQ(load(sources).settings.port, 1);
  sources.environment.erase("ASAHI_PORT");
  EXPECT_EQ(load(sources).settings.port, 2);
  // A layer counts as a whole: any name in the process's environment beats every name in .env.
  sources.environment.erase("PORT");
  sources.dotenv = {{"ASAHI_PORT", "4"}};
  EXPECT_EQ(load(sources).settings.port, 3);
}

TEST(Config, ReadsEveryTypeFromYaml) {
  const Loaded loaded = load_yaml(R"(
api:
  debug: true
  port: 0x50
  admin_port: 65535
  bytes: 9223372036854775807
  entries: 0
  host: 127.0.0.1
  cors_origins: [https://a.example, 'b']
cache:
  tier1: {ttl_seconds: 60}
  tier2:
    threshold: 1
logging: {format: text}
tasks:
  faq: {semantic_threshold: 0.7}
  gpt-4.1: {semantic_threshold: .5}
token_optimization:
  max_history_turns: 9
)");
  EXPECT_THAT(loaded.faults, IsEmpty()) << shown(loaded.faults.front());
  const Settings& s = loaded.settings;
  EXPECT_TRUE(s.debug);
  EXPECT_EQ(s.port, 80);
  EXPECT_EQ(s.admin_port, 65535);
  EXPECT_EQ(s.bytes, INT64_MAX);
  EXPECT_EQ(s.entries, 0u);
  EXPECT_EQ(s.host, "127.0.0.1");
  EXPECT_THAT(s.origins, ElementsAre("https://a.example", "b"));
  EXPECT_EQ(s.tier1_ttl, 60);
  EXPECT_EQ(s.threshold, 1.0);
  EXPECT_EQ(s.format, "text");
  EXPECT_EQ(s.tasks, (std::map<std::string, double>{{"faq", 0.7}, {"gpt-4.1", 0.5}}));
  EXPECT_EQ(s.optimization_turns, 9);
}

TEST(Config, ReadsEveryTypeFromTheEnvironment) {
  for (const char* yes : {"1", "true", "YES", "On"})
    EXPECT_TRUE(load_env("ASAHI_API_DEBUG", yes).settings.debug);
  for (const char* no : {"0", "False", "no", "OFF"}) {
    const Loaded loaded =
        load({.environment = {{"ASAHI_API_DEBUG", no}}, .yaml_text = "api: {debug: true}"});
    EXPECT_FALSE(loaded.settings.debug) << no;
  }
  EXPECT_EQ(load_env("ASAHI_CACHE_TIER2_THRESHOLD", "0.5").settings.threshold, 0.5);
  EXPECT_THAT(load_env("ASAHI_API_CORS_ORIGINS", " a, b ,,c").settings.origins,
              ElementsAre("a", "b", "c"));
  EXPECT_THAT(load_env("ASAHI_API_CORS_ORIGINS", ",").settings.origins, IsEmpty());
  EXPECT_EQ(load_env("LOG_FORMAT", "text").settings.format, "text");
  const Loaded task = load({.environment = {{"ASAHI_TASKS_GPT_4_1_SEMANTIC_THRESHOLD", "0.9"}},
                            .yaml_text = "tasks: {gpt-4.1: {semantic_threshold: 0.1}}"});
  EXPECT_EQ(task.settings.tasks.at("gpt-4.1"), 0.9);
  EXPECT_THAT(task.warnings, IsEmpty());
}

TEST(Config, NamesPathValueRuleAndOriginOfEachFault) {
  struct Row {
    const char *yaml, *fault;
  };
  for (const Row& row : {
           Row{"api:\n  port: 70000",
               "api.port | 70000 | must be an integer from 1 to 65535 | config.yaml:2"},
           Row{"api: {port: 8.5}",
               "api.port | 8.5 | must be an integer from 1 to 65535 | config.yaml:1"},
           Row{"api: {port: '80'}",
               "api.port | 80 | must be an integer from 1 to 65535, without quotes | "
               "config.yaml:1"},
           Row{"api: {port: [1]}",
               "api.port | [1] | must be an integer from 1 to 65535 | config.yaml:1"},
           Row{"api: {port: {a: 1}}",
               "api.port | (a section) | must be an integer from 1 to 65535 | config.yaml:1"},
           Row{"api: {admin_port: -1}",
               "api.admin_port | -1 | must be an integer from 0 to 65535 | config.yaml:1"},
           Row{"api: {bytes: 0}",
               "api.bytes | 0 | must be an integer of at least 1 | config.yaml:1"},
           Row{"api: {bytes: 9223372036854775808}",
               "api.bytes | 9223372036854775808 | must be an integer from 1 to 9223372036854775807 "
               "| config.yaml:1"},
           Row{"api: {entries: -5}",
               "api.entries | -5 | must be an integer from 0 to 9223372036854775807 | "
               "config.yaml:1"},
           Row{"api: {debug: yes}", "api.debug | yes | must be true or false | config.yaml:1"},
           Row{"api: {debug: 'true'}",
               "api.debug | true | must be true or false, without quotes | config.yaml:1"},
           Row{"api: {host: [a, b]}", "api.host | [a, b] | must be one text | config.yaml:1"},
           Row{"api: {host: \"a\\0b\"}", "api.host | a"},
           Row{"api: {cors_origins: a}",
               "api.cors_origins | a | must be a list: [a, b], or one '- item' a line | "
               "config.yaml:1"},
           Row{"api: {cors_origins: [[a]]}",
               "api.cors_origins | [(...)] | must be a list of texts | config.yaml:1"},
           Row{"api: 5", "api | *** | must be a section with keys | config.yaml:1"},
           Row{"cache: {tier2: {threshold: .inf}}",
               "cache.tier2.threshold | .inf | must be a number from 0 to 1 | config.yaml:1"},
           Row{"cache: {tier2: {threshold: 1.01}}",
               "cache.tier2.threshold | 1.01 | must be a number from 0 to 1 | config.yaml:1"},
           Row{"logging: {format: jsno}",
               "logging.format | jsno | must be one of json, text; did you mean 'json'? | "
               "config.yaml:1"},
           Row{"- a", " |  | must be sections with keys, such as 'api:' | config.yaml:1"},
           Row{"api:\n  port: 1\n port: 2", " |  | config.yaml:3:2: "},
       }) {
    const Loaded loaded = load_yaml(row.yaml);
    ASSERT_THAT(loaded.faults, SizeIs(1)) << row.yaml;
    EXPECT_THAT(shown(loaded.faults[0]), testing::StartsWith(row.fault));
    EXPECT_EQ(loaded.settings.port, 8000) << "a refused value must leave the default";
  }
}

TEST(Config, NamesTheVariableOfAFaultInTheEnvironment) {
  struct Row {
    const char *name, *value, *fault;
  };
  for (const Row& row : {
           Row{"PORT", "http", "PORT | http | must be an integer from 1 to 65535 | environment"},
           Row{"ASAHI_PORT", " 80",
               "ASAHI_PORT |  80 | must be an integer from 1 to 65535 | environment"},
           Row{"ASAHI_PORT", "80x",
               "ASAHI_PORT | 80x | must be an integer from 1 to 65535 | environment"},
           Row{"ASAHI_API_DEBUG", "maybe",
               "ASAHI_API_DEBUG | maybe | must be 1, true, yes or on, or 0, false, no or off | "
               "environment"},
           Row{"ASAHI_CACHE_TIER2_THRESHOLD", "nan",
               "ASAHI_CACHE_TIER2_THRESHOLD | nan | must be a number from 0 to 1 | environment"},
           Row{"ASAHI_API_HOST", "\xff",
               "ASAHI_API_HOST | \uFFFD | must be UTF-8 text without zero bytes | environment"},
       }) {
    const Loaded loaded = load_env(row.name, row.value);
    ASSERT_THAT(loaded.faults, SizeIs(1)) << row.name;
    EXPECT_EQ(shown(loaded.faults[0]), row.fault);
    Sources dotenv;
    dotenv.dotenv = {{row.name, row.value}};
    EXPECT_EQ(load(dotenv).faults.at(0).origin, ".env");
  }
}

TEST(Config, ReportsAllFaultsAtOnce) {
  Binder binder(
      {.environment = {{"PORT", "x"}},
       .yaml_path = "config.yaml",
       .yaml_text =
           "api: {debug: maybe, hots: 1}\ncache: {tier1: {ttl_seconds: 0}}\nnonsense: 1\n"});
  Settings settings;
  bind(binder, settings);
  binder.fault(
      {.path = "auth.jwt_alg", .value = "none", .rule = "must be signed", .origin = "default"});
  std::vector<std::string> paths;
  for (const Fault& fault : binder.finish()) paths.push_back(fault.path);
  EXPECT_THAT(paths, ElementsAre("api.debug", "PORT", "cache.tier1.ttl_seconds", "auth.jwt_alg",
                                 "nonsense", "api.hots"));
}

TEST(Config, SuggestsWhatAnUnknownKeyWasMeantToBe) {
  const auto rule = [](const char* yaml) { return load_yaml(yaml).faults.at(0).rule; };
  EXPECT_EQ(rule("api: {prot: 1}"), "is not a known key; did you mean 'api.port'?");
  EXPECT_EQ(rule("cache:\n  tier1: {ttl_second: 1}"),
            "is not a known key; did you mean 'cache.tier1.ttl_seconds'?");
  EXPECT_EQ(rule("cahce: {tier1: {ttl_seconds: 1}}"), "is not a known key; did you mean 'cache'?");
  EXPECT_EQ(rule("ttl_seconds: 1"), "is not a known key; did you mean 'cache.tier1.ttl_seconds'?");
  EXPECT_EQ(rule("api: {completely_else: 1}"), "is not a known key");
  EXPECT_EQ(rule("tasks: {faq: {semantic_treshold: 1}}"),
            "is not a known key; did you mean 'tasks.faq.semantic_threshold'?");
  EXPECT_EQ(rule("token_optimization: {max_history: 1}"), "is not a known key");
}

TEST(Config, WarnsOfUnknownVariablesOfItsOwnScheme) {
  Binder binder({.environment = {{"ASAHI_PROT", "1"},
                                 {"PATH", "/bin"},
                                 {"ASAHI_FROM_EMAIL", "a@b"},
                                 {"ASAHI_PORT", "1"}},
                 .dotenv = {{"ASAHI_ZZZ", "hunter2"}, {"OPENAI_API_KEY", "sk"}}});
  Settings settings;
  bind(binder, settings);
  EXPECT_EQ(binder.environment("ASAHI_FROM_EMAIL"), "a@b");
  EXPECT_EQ(binder.environment("OPENAI_API_KEY"), "sk");
  EXPECT_EQ(binder.environment("ABSENT"), std::nullopt);
  EXPECT_THAT(binder.finish(), IsEmpty());
  EXPECT_THAT(
      binder.warnings(),
      ElementsAre(
          "ASAHI_PROT (environment) is not a setting and has no effect; did you mean ASAHI_PORT?",
          "ASAHI_ZZZ (.env) is not a setting and has no effect"));
}

TEST(Config, NeverShowsASecret) {
  const Loaded good = load({.environment = {{"ASAHI_ENCRYPTION_KEY", "correct horse"},
                                            {"DATABASE_URL", "postgres://asahi:p@ss@db:5432/x"}}});
  EXPECT_EQ(good.settings.key.reveal(), "correct horse");
  EXPECT_EQ(good.entry("governance.encryption_key").value, "***");
  EXPECT_EQ(good.entry("database.url").value, "postgres://asahi:***@db:5432/x");
  EXPECT_EQ(load({}).entry("governance.encryption_key").value, "");

  const std::vector<Loaded> bad{
      load_env("ASAHI_ENCRYPTION_KEY", "hunter2"),  // too short
      load_yaml("governance: {encryption_key: hunter2}"),
      load_yaml("governance: {encryption_kye: hunter2}"),
      load_yaml("governance: hunter2"),
      load_yaml("api: {port: 'redis://:hunter2@x'}"),
  };
  for (const Loaded& loaded : bad) {
    ASSERT_THAT(loaded.faults, SizeIs(1));
    EXPECT_THAT(shown(loaded.faults[0]), Not(HasSubstr("hunter2")));
    EXPECT_THAT(loaded.faults[0].value, HasSubstr("***"));
  }
  EXPECT_EQ(bad[1].faults[0].rule,
            "must not stand in the YAML file, which gets copied and committed: set "
            "ASAHI_ENCRYPTION_KEY instead");

  Binder binder({.environment = {{"ASAHI_A_URL", "hunter2"}},
                 .yaml_text = "a: {list: [hunter2], one: hunter2}"});
  std::string url, one;
  std::vector<std::string> list;
  auto section = binder.section("a");
  section.value("url", url, {.secret = true});
  section.value("list", list, {.secret = true});
  section.value("one", one, {.one_of = {"hunter1"}, .secret = true});
  const auto faults = binder.finish();
  ASSERT_THAT(faults, SizeIs(1));
  EXPECT_EQ(shown(faults[0]), "a.one | *** | must be one of hunter1 | :1");
  for (const auto& entry : binder.effective())
    EXPECT_THAT(entry.value, Not(HasSubstr("hunter2"))) << entry.path;
}

TEST(Config, ListsEffectiveValuesSortedByPath) {
  const Loaded loaded = load_yaml("api: {cors_origins: [a, b], debug: true}");
  EXPECT_TRUE(std::ranges::is_sorted(loaded.effective, {}, &Binder::Effective::path));
  EXPECT_EQ(loaded.entry("api.cors_origins").value, "a,b");
  EXPECT_EQ(loaded.entry("api.debug").value, "true");
  EXPECT_EQ(loaded.entry("cache.tier2.threshold").value, "0.85");
  EXPECT_EQ(loaded.entry("api.debug").origin, "config.yaml:1");
}

TEST(Config, PrefersTheProperSpellingOfASection) {
  const Loaded both =
      load_yaml("token_optimization: {max_history_turns: 1}\noptimization: {max_history_turns: 2}");
  EXPECT_THAT(both.faults, IsEmpty());
  EXPECT_EQ(both.settings.optimization_turns, 2);
}

class ConfigFiles : public testing::Test {
 protected:
  ConfigFiles() {
    std::string pattern = (std::filesystem::temp_directory_path() / "asahi_config_XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~ConfigFiles() override { std::filesystem::remove_all(folder_); }
  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return (folder_ / name).string();
  }
  std::filesystem::path folder_;
};

TEST_F(ConfigFiles, ReadsBothFilesAndTheEnvironment) {
  ::setenv("ASAHI_CONFIG_TEST_VARIABLE", "a=b", 1);
  auto sources =
      read_sources(write("config.yaml", "api:\n  port: 0\n"), write(".env", "ASAHI_PORT=81\n"));
  ASSERT_TRUE(sources) << sources.error().message;
  EXPECT_EQ(sources->environment.at("ASAHI_CONFIG_TEST_VARIABLE"), "a=b");
  sources->environment.clear();
  EXPECT_EQ(load(*sources).settings.port, 81);
  sources->dotenv.clear();
  EXPECT_EQ(load(*sources).faults.at(0).origin, (folder_ / "config.yaml:2").string());
}

TEST_F(ConfigFiles, TreatsAbsentFilesAsEmptyLayersButUnreadableOnesAsFaults) {
  auto sources = read_sources((folder_ / "none.yaml").string(), (folder_ / "none.env").string());
  ASSERT_TRUE(sources);
  sources->environment.clear();
  EXPECT_THAT(load(*sources).faults, IsEmpty());
  sources->yaml_path = folder_.string();
  const auto faults = load(*sources).faults;
  ASSERT_THAT(faults, SizeIs(1));
  EXPECT_THAT(faults[0].rule, HasSubstr("cannot be read"));
  EXPECT_FALSE(read_sources("", folder_.string()));
}

TEST(Dotenv, ReadsTheUsualForms) {
  const auto values = parse_dotenv(
      "\xEF\xBB\xBF# comment\r\n"
      "A=plain # comment\r\n"
      "export B='single $x \\n # kept'\n"
      "C=\"double \\n \\\"q\\\" \\$5\" # comment\n"
      "  D = pass#word  \n"
      "E=\n"
      "F=a=b=c\n"
      "A=again",
      ".env");
  ASSERT_TRUE(values) << values.error().message;
  EXPECT_EQ(*values, (std::map<std::string, std::string, std::less<>>{{"A", "again"},
                                                                      {"B", "single $x \\n # kept"},
                                                                      {"C", "double \n \"q\" $5"},
                                                                      {"D", "pass#word"},
                                                                      {"E", ""},
                                                                      {"F", "a=b=c"}}));
}

TEST(Dotenv, RefusesTheRestWithItsLineAndWithoutItsValue) {
  for (const char* bad :
       {"OK=1\nhunter2", "OK=1\nB AD=hunter2", "OK=1\nBAD='hunter2", "OK=1\nBAD=\"x\"hunter2",
        "OK=1\n1BAD=hunter2", "OK=1\nBAD=\"hunter2\\\""}) {
    const auto values = parse_dotenv(bad, ".env");
    ASSERT_FALSE(values) << bad;
    EXPECT_THAT(values.error().message, HasSubstr(".env:2: "));
    EXPECT_THAT(values.error().message, Not(HasSubstr("hunter2")));
  }
  EXPECT_FALSE(parse_dotenv("A=\xff", ".env"));
  EXPECT_FALSE(parse_dotenv(std::string_view("A=\0", 3), ".env"));
  EXPECT_EQ(parse_dotenv(std::string(1024 * 1024 + 1, '#'), ".env").error().code, Errc::kTooLarge);
}

}  // namespace
}  // namespace asahi::config
