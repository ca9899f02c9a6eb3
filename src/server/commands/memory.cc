#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <thread>

#include "server/commands/commands.h"
#include "server/commands/memory_ops.h"
#include "server/commands/memory_server.h"

namespace asahi::server {
namespace {

constexpr std::size_t kBatchItems = 500;
constexpr std::size_t kBatchBytes = 4 << 20;

struct MemoryOptions {
  std::string url, api_key;
  std::string file, system_id = "import";
  std::uint64_t from_line = 1;
  std::string query, mode = "hybrid";
  int limit = 10;
  std::string tier;  ///< memories of which age; empty: of both
  int target_age = -1;
  int batch_size = 1000;
  bool dry_run = false;
  bool downgrade = false;
};

/// What bundles call a memory, as pushes call it.
void rename(json::object& memory, std::string_view from, std::string_view to) {
  if (memory.contains(to)) return;
  const json::value* value = memory.if_contains(from);
  if (value == nullptr) return;
  json::value kept = *value;
  memory.erase(from);
  memory[to] = std::move(kept);
}

/// A file of memories on its way to the server, batch by batch.
class Import {
 public:
  Import(GatewayClient& client, const MemoryOptions& options)
      : client_(client), options_(options), shows_(isatty(2) != 0) {}

  Result<void> run(std::istream& file) {
    std::string line;
    for (std::uint64_t number = 1; std::getline(file, line); ++number) {
      line_ = number;
      if (number < options_.from_line || line.find_first_not_of(" \t\r") == std::string::npos)
        continue;
      if (auto ok = add(line); !ok) return ok;
      if (batch_.size() >= kBatchItems || bytes_ >= kBatchBytes) {
        if (auto ok = send(); !ok) return ok;
      }
    }
    return send();
  }
  void report() const {
    if (shows_) fmt::print(stderr, "\r\x1b[K");
    fmt::print("{} {}: {} stored, {} there already, {} refused\n", items_,
               items_ == 1 ? "memory" : "memories", stored_, items_ - stored_ - errors_, errors_);
  }
  /// The first line of what was not sent.
  std::uint64_t unsent() const { return first_; }

 private:
  Result<void> add(const std::string& line) {
    auto parsed = parse_json(line);
    if (!parsed || !parsed->is_object()) {
      return fail(Errc::kInvalidArgument,
                  fmt::format("line {} of {} is no JSON object{}", line_, options_.file,
                              parsed ? "" : ": " + parsed.error().message));
    }
    json::object& memory = parsed->get_object();
    rename(memory, "id", "memory_id");
    rename(memory, "conversation_id", "memory_id");
    rename(memory, "content", "text");
    if (!memory.contains("memory_id")) memory["memory_id"] = fmt::format("line-{}", line_);
    if (!memory.contains("system_id")) memory["system_id"] = options_.system_id;
    if (batch_.empty()) first_ = line_;
    bytes_ += line.size();
    batch_.push_back(std::move(memory));
    return {};
  }
  Result<void> send() {
    if (batch_.empty()) return {};
    const std::size_t count = batch_.size();
    ASAHI_TRY(const json::value reply,
              client_.call_json(http::Method::kPost, "/memory/memories/batch",
                                json::serialize(json::object{{"memories", std::move(batch_)}})));
    batch_ = {};
    bytes_ = 0;
    first_ = line_ + 1;
    const json::object& counts = reply.at("counts").as_object();
    items_ += count;
    stored_ += counts.at("stored").to_number<std::uint64_t>() +
               counts.at("replaced").to_number<std::uint64_t>();
    errors_ += counts.at("errors").to_number<std::uint64_t>();
    if (const json::value* items = reply.as_object().if_contains("items")) show_refused(*items);
    if (shows_) fmt::print(stderr, "\r\x1b[K{} memories", items_);
    return {};
  }
  void show_refused(const json::value& items) {
    constexpr int kMostShown = 20;
    for (const json::value& item : items.as_array()) {
      const json::value* error = item.as_object().if_contains("error");
      if (error == nullptr || shown_++ >= kMostShown) continue;
      fmt::print(stderr, "refused: {}\n", json::serialize(item));
    }
  }

  GatewayClient& client_;
  const MemoryOptions& options_;
  const bool shows_;
  json::array batch_;
  std::size_t bytes_ = 0;
  std::uint64_t line_ = 0, first_ = 1;
  std::uint64_t items_ = 0, stored_ = 0, errors_ = 0;
  int shown_ = 0;
};

int import_file(const CommonOptions& common, const MemoryOptions& options) {
  std::ifstream opened;
  const bool standard = options.file == "-";
  if (!standard) {
    opened.open(options.file);
    if (!opened) {
      return refuse_memory(
          fail(Errc::kInvalidArgument, fmt::format("{} cannot be read", options.file)).error());
    }
  }
  auto client = connect_memory(common, options.url, options.api_key);
  if (!client) return refuse_memory(client.error());
  Import import(**client, options);
  const auto done = import.run(standard ? std::cin : opened);
  import.report();
  if (done) return kExitOk;
  fmt::print(stderr, "stopped; go on with --from-line {}\n", import.unsent());
  return refuse_memory(done.error());
}

int search(const CommonOptions& common, const MemoryOptions& options) {
  auto client = connect_memory(common, options.url, options.api_key);
  if (!client) return refuse_memory(client.error());
  const json::object body{
      {"query", options.query}, {"mode", options.mode}, {"limit", options.limit}};
  const auto reply =
      (*client)->call_json(http::Method::kPost, "/memory/search", json::serialize(body));
  if (!reply) return refuse_memory(reply.error());
  for (const json::value& hit : reply->at("results").as_array()) {
    const json::object& one = hit.as_object();
    const json::value* text = one.if_contains("content");
    if (text == nullptr) text = one.if_contains("summary");
    fmt::print("{}  {}/{}  {}\n", std::string_view(one.at("timestamp").as_string()),
               std::string_view(one.at("system_id").as_string()),
               std::string_view(one.at("conversation_id").as_string()),
               text == nullptr ? std::string_view() : std::string_view(text->as_string()));
  }
  return kExitOk;
}

int status(const CommonOptions& common, const MemoryOptions& options) {
  auto client = connect_memory(common, options.url, options.api_key);
  if (!client) return refuse_memory(client.error());
  const auto reply = (*client)->call_json(http::Method::kGet, "/memory/storage/status", "");
  if (!reply) return refuse_memory(reply.error());
  fmt::print("{}\n", json::serialize(*reply));
  return kExitOk;
}

/// Asks for a move one step down, waits for its end and prints what it did.
Result<void> age_from(GatewayClient& client, const MemoryOptions& options, std::string_view tier) {
  constexpr std::chrono::milliseconds kLook{500};
  json::object body{{"source_tier", tier},
                    {"target_tier", tier == "hot" ? "warm" : "cold"},
                    {"batch_size", options.batch_size},
                    {"dry_run", options.dry_run}};
  if (options.target_age >= 0) body["cutoff_days"] = options.target_age;
  ASAHI_TRY(json::value run, client.call_json(http::Method::kPost, "/memory/storage/migrations",
                                              json::serialize(body)));
  const std::string path =
      fmt::format("/memory/storage/migrations/{}", std::string_view(run.at("id").as_string()));
  // The server ends a run at its own limit (memory.aging.max_minutes).
  while (run.at("state").as_string() == "queued" || run.at("state").as_string() == "running") {
    std::this_thread::sleep_for(kLook);
    ASAHI_TRY(run, client.call_json(http::Method::kGet, path, ""));
  }
  fmt::print("{}\n", json::serialize(run));
  if (run.at("state").as_string() == "done") return {};
  return fail(Errc::kUnavailable,
              fmt::format("the run failed: {}", json::serialize(run.as_object()["error"])));
}

/// Asks for new vectors, waits for the end and prints what was done.
int reembed(const CommonOptions& common, const MemoryOptions& options) {
  constexpr std::chrono::seconds kLook{1};
  constexpr std::string_view kPath = "/memory/embeddings/reembed";
  auto client = connect_memory(common, options.url, options.api_key);
  if (!client) return refuse_memory(client.error());
  const json::object body{{"downgrade", options.downgrade}};
  auto run = (*client)->call_json(http::Method::kPost, std::string(kPath), json::serialize(body));
  if (!run) return refuse_memory(run.error());
  while (run->at("state").as_string() == "queued" || run->at("state").as_string() == "running") {
    std::this_thread::sleep_for(kLook);
    const auto shown = (*client)->call_json(http::Method::kGet, std::string(kPath), "");
    if (!shown) return refuse_memory(shown.error());
    run = shown->at("run");
  }
  fmt::print("{}\n", json::serialize(*run));
  if (run->at("state").as_string() == "done") return kExitOk;
  return refuse_memory(fail(Errc::kUnavailable, "the run failed; ask again to go on").error());
}

int age(const CommonOptions& common, const MemoryOptions& options) {
  auto client = connect_memory(common, options.url, options.api_key);
  if (!client) return refuse_memory(client.error());
  for (const std::string_view tier : {"hot", "warm"}) {
    if (!options.tier.empty() && options.tier != tier) continue;
    if (auto done = age_from(**client, options, tier); !done) return refuse_memory(done.error());
  }
  return kExitOk;
}

}  // namespace

void add_memory(CLI::App& app, CommonOptions& common, Command& chosen) {
  auto options = std::make_shared<MemoryOptions>();
  CLI::App* command = app.add_subcommand(
      "memory", "Start the memory or one role of it; fill and search the one that runs");
  command->require_subcommand(0, 1);
  add_memory_ops(*command, common, chosen);
  add_memory_backend(*command, common, chosen);
  add_memory_rebalance(*command, common, chosen);
  add_memory_migrate(*command, common, chosen);
  add_memory_roles(*command, common, chosen);  // behind it: `mcp start`
  const auto add = [&](const char* name, const char* about,
                       int (*work)(const CommonOptions&, const MemoryOptions&)) {
    CLI::App* sub = command->add_subcommand(name, about);
    add_common(*sub, common);
    sub->add_option("--url", options->url,
                    "The server (default: the configured port on this machine)");
    sub->add_option("--api-key", options->api_key, "Key that may do this (default: ASAHI_API_KEY)")
        ->envname("ASAHI_API_KEY");
    sub->callback([&common, &chosen, options, work] {
      chosen = [&common, options, work] { return work(common, *options); };
    });
    return sub;
  };
  CLI::App* import = add("import", "Store a file of memories, one JSON object a line", import_file);
  import->add_option("file", options->file, "JSONL with id and content; - is standard input")
      ->required();
  import->add_option("--system-id", options->system_id, "Of lines that name no system_id")
      ->capture_default_str();
  import->add_option("--from-line", options->from_line, "Go on here")->capture_default_str();
  CLI::App* find = add("search", "Search the memories", search);
  find->add_option("query", options->query, "What to look for")->required();
  find->add_option("--mode", options->mode, "hybrid, semantic or keyword")
      ->capture_default_str()
      ->check(CLI::IsMember({"hybrid", "semantic", "keyword"}));
  find->add_option("--limit", options->limit, "Results, 1 to 100")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  add("status", "Memories and bytes of each tier", status);
  CLI::App* ages = add("age", "Let memories go to the tier of their age now", age);
  ages->add_option("--tier", options->tier, "Of this tier only: hot or warm")
      ->check(CLI::IsMember({"hot", "warm"}));
  ages->add_option("--target-age", options->target_age,
                   "Days from which they go (default: as configured)")
      ->check(CLI::Range(0, 36'500));
  ages->add_option("--batch-size", options->batch_size, "Memories that move at a time")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000));
  ages->add_flag("--dry-run", options->dry_run, "Only count what would move");
  CLI::App* vectors =
      add("reembed", "Give memories of another embedder vectors of the one of now", reembed);
  vectors->add_flag("--downgrade", options->downgrade,
                    "Also replace vectors of a model by vectors by hashing");
  command->footer("Example: asahi memory import talks.jsonl && asahi memory search 'who broke it'");
}

}  // namespace asahi::server
