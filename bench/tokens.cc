// Trimming and counting of tokens: what is saved on verbose prompts, what is lost of what they say,
// how long it takes; whether the exact counter gives tiktoken's ids, and how fast.
//   bench_tokens PROMPTS.jsonl GOLDEN.json [--json] [--show NAME]
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/json.h"
#include "gateway/tokens/optimiser.h"
#include "llm/tokens/counter.h"
#include "llm/tokens/encoding.h"

namespace asahi::gateway {
namespace {

/// Of this thread alone: neighbours do not count.
struct Clock {
  static std::chrono::nanoseconds now() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  }
};

struct Row {
  std::string name, kind;
  llm::ChatRequest request;
  std::size_t examples = 0;
};

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    fmt::print(stderr, "bench_tokens: {} cannot be read\n", path);
    std::exit(2);
  }
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

llm::Message say(llm::Role role, const json::value& text) {
  llm::Message message{.role = role};
  message.parts.emplace_back(
      llm::TextPart{.text = std::string(text.as_string()), .cache_control = {}});
  return message;
}

Row read_row(const json::object& object) {
  Row row;
  row.name = object.at("name").as_string();
  row.kind = object.at("kind").as_string();
  auto& messages = row.request.messages;
  if (const json::value* system = object.if_contains("system_prompt"))
    messages.push_back(say(llm::Role::kSystem, *system));
  if (const json::value* examples = object.if_contains("examples")) {
    for (const json::value& example : examples->as_array()) {
      messages.push_back(say(llm::Role::kUser, example.at("input")));
      messages.push_back(say(llm::Role::kAssistant, example.at("output")));
      ++row.examples;
    }
  }
  if (const json::value* prompt = object.if_contains("prompt"))
    messages.push_back(say(llm::Role::kUser, *prompt));
  if (const json::value* given = object.if_contains("messages")) {
    for (const json::value& message : given->as_array()) {
      const std::string_view role = message.at("role").as_string();
      messages.push_back(say(role == "system" ? llm::Role::kSystem
                             : role == "user" ? llm::Role::kUser
                                              : llm::Role::kAssistant,
                             message.at("content")));
    }
  }
  return row;
}

/// What must survive, found by simpler means than the product's own (which it checks): words with a
/// digit or a capital inside a sentence, quotations, code, addresses, negations and limits.
std::set<std::string> things_said(const std::string& text) {
  static const std::set<std::string> kWords = {
      "not",       "never",    "no",        "none",    "nothing", "nobody",  "must",
      "only",      "cannot",   "can't",     "don't",   "doesn't", "without", "unless",
      "except",    "exactly",  "maximum",   "minimum", "most",    "least",   "always",
      "mandatory", "required", "forbidden", "allowed", "until",   "within"};
  // Behind a line without a mark at its end they are no names.
  static const std::set<std::string> kOpeners = {"It", "We", "The", "You", "This", "There", "In"};
  std::set<std::string> things;
  for (const char quote : {'"', '`'}) {
    for (std::size_t at = text.find(quote); at != std::string::npos;) {
      const std::size_t end = text.find(quote, at + 1);
      if (end == std::string::npos) break;
      things.insert(text.substr(at, end + 1 - at));
      at = text.find(quote, end + 1);
    }
  }
  // Ways of speaking that deny nothing.
  std::string plain = text;
  for (const std::string_view idle :
       {"on't hesitate", "not hesitate", "ithout saying", "ithout a doubt", "ithout any doubt",
        "on't worry", "o doubt", "an't wait", "annot wait", "othing quite like"}) {
    for (std::size_t at; (at = plain.find(idle)) != std::string::npos;)
      plain.erase(at, idle.size());
  }
  bool initial = true;
  std::string before;
  std::istringstream words(plain);
  for (std::string word; words >> word;) {
    const bool ends = std::string_view(".!?:").find(word.back()) != std::string_view::npos;
    while (!word.empty() && std::string_view("\"'`(*").find(word.front()) != std::string_view::npos)
      word.erase(0, 1);
    while (!word.empty() &&
           std::string_view("\"'`)*.,;:!?]").find(word.back()) != std::string_view::npos)
      word.pop_back();
    if (word.empty()) continue;
    std::string lower = word;
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    const bool digit = word.find_first_of("0123456789") != std::string::npos;
    const bool capital = word[0] >= 'A' && word[0] <= 'Z' && !initial && !word.starts_with("I'") &&
                         word.size() > 1 && !kOpeners.contains(word);
    const bool limit =
        lower == "most" || lower == "least" ? before == "at" : kWords.contains(lower);
    if (digit || capital || word.find("://") != std::string::npos) things.insert(word);
    if (limit) things.insert("~" + lower);
    initial = ends;
    before = lower;
  }
  return things;
}

struct Sum {
  std::int64_t before = 0, after = 0;
  std::size_t prompts = 0, things = 0;
};

std::string all_text(const llm::ChatRequest& request) {
  std::string text;
  for (const llm::Message& message : request.messages) text += message.text() + "\n\n";
  return text;
}

double percent(const Sum& sum) {
  return sum.before > 0
             ? 100.0 * static_cast<double>(sum.before - sum.after) / static_cast<double>(sum.before)
             : 0;
}

int run(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: bench_tokens PROMPTS.jsonl GOLDEN.json [--json] [--show NAME]\n");
    return 2;
  }
  bool as_json = false;
  std::string show;
  for (int i = 3; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--json") as_json = true;
    if (option == "--show" && i + 1 < argc) show = argv[++i];
  }
  std::vector<Row> rows;
  std::istringstream lines(read_file(argv[1]));
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) rows.push_back(read_row(parse_json(line).value().as_object()));
  }

  const TokenOptimiser optimiser(OptimiserOptions{});
  const llm::VocabularyCounter counter;
  std::map<std::string, Sum> kinds;
  Sum all;
  std::vector<std::string> lost;
  std::size_t questions_changed = 0;
  for (const Row& row : rows) {
    llm::ChatRequest trimmed = row.request;
    const OptimisationReport report = optimiser.optimise_now(trimmed, row.examples);
    const std::int64_t before = counter.count(row.request, "gpt-4o").tokens;
    const std::int64_t after = counter.count(trimmed, "gpt-4o").tokens;
    for (Sum* sum : {&kinds[row.kind], &all}) {
      sum->before += before;
      sum->after += after;
      ++sum->prompts;
    }
    // Examples are a pool to choose from: what the others say is not asked for.
    std::string was;
    const std::string is = all_text(trimmed);
    for (std::size_t i = 0; i < row.request.messages.size(); ++i) {
      const bool pool = row.examples > 0 && i >= 1 && i < 1 + 2 * row.examples;
      if (!pool) was += row.request.messages[i].text() + "\n\n";
    }
    const std::set<std::string> said = things_said(was), says = things_said(is);
    all.things += said.size();
    for (const std::string& thing : said) {
      if (!says.contains(thing) && (thing[0] == '~' || is.find(thing) == std::string::npos))
        lost.push_back(row.name + ": " + thing);
    }
    const std::string question = row.request.messages.back().text();
    const std::size_t last = question.rfind("\n\n");
    if (!trimmed.messages.back().text().ends_with(
            question.substr(last == std::string::npos ? 0 : last + 2)))
      ++questions_changed;
    if (row.name == show || show == "all") {
      fmt::print("---- {}: {} -> {} tokens, {:.1f} % [{}] {}\n{}\n", row.name, before, after,
                 100.0 * static_cast<double>(before - after) / static_cast<double>(before),
                 fmt::join(report.strategies, " "), to_string(report.risk), is);
    }
  }

  // Time, best of five rounds over all prompts, the copy of the request not counted.
  double best_us = 1e18;
  for (int round = 0; round < 5; ++round) {
    double us = 0;
    for (const Row& row : rows) {
      llm::ChatRequest trimmed = row.request;
      const auto start = Clock::now();
      (void)optimiser.optimise_now(trimmed, row.examples);
      us += std::chrono::duration<double, std::micro>(Clock::now() - start).count();
    }
    best_us = std::min(best_us, us);
  }
  const double us_per_thousand = best_us / (static_cast<double>(all.before) / 1000);

  // The exact counter.
  const auto golden = parse_json(read_file(argv[2])).value();
  std::size_t compared = 0, different = 0;
  for (const json::value& sample : golden.as_array()) {
    for (const llm::Encoding* encoding : {&llm::cl100k_base(), &llm::o200k_base()}) {
      const auto ids = encoding->encode(sample.at("text").as_string());
      const auto& wanted = sample.at(encoding->name()).as_array();
      ++compared;
      if (!ids || !std::ranges::equal(*ids, wanted, [](llm::TokenId id, const json::value& want) {
            return id == static_cast<llm::TokenId>(want.as_int64());
          }))
        ++different;
    }
  }
  std::string english;
  for (const Row& row : rows) english += all_text(row.request);
  std::map<std::string, double> speed;
  for (const llm::Encoding* encoding : {&llm::cl100k_base(), &llm::o200k_base()}) {
    const std::string name(encoding->name());
    const std::map<std::string, std::string> texts = {
        {name + " English", english},
        {name + " 256 KiB of one letter", std::string(256 << 10, 'a')},
        {name + " 256 KiB of blanks", std::string(256 << 10, ' ') + "x"}};
    for (const auto& [what, text] : texts) {
      double best = 0;
      for (int round = 0; round < 3; ++round) {
        const auto start = Clock::now();
        const auto counted = encoding->count(text);
        const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
        if (counted) best = std::max(best, static_cast<double>(text.size()) / 1e6 / seconds);
      }
      speed[what] = best;
    }
  }

  if (as_json) {
    json::object out;
    out["prompts"] = all.prompts;
    out["saved_percent"] = percent(all);
    for (const auto& [kind, sum] : kinds) out["saved_percent_" + kind] = percent(sum);
    out["things_said"] = all.things;
    out["things_lost"] = json::array(lost.begin(), lost.end());
    out["questions_changed"] = questions_changed;
    out["us_per_1000_tokens"] = us_per_thousand;
    out["texts_compared_with_tiktoken"] = compared;
    out["texts_different"] = different;
    json::object speeds;
    for (const auto& [what, mb] : speed) speeds[what] = mb;
    out["mb_per_second"] = speeds;
    fmt::print("{}\n", write_json(out));
    return 0;
  }
  fmt::print("| measure | goal | value |\n|---|---|---|\n");
  fmt::print("| tokens saved on {} verbose prompts | >= 30 % | {:.1f} % |\n", all.prompts,
             percent(all));
  for (const auto& [kind, sum] : kinds)
    fmt::print("| – {} ({}) | | {:.1f} % |\n", kind, sum.prompts, percent(sum));
  fmt::print("| things lost of {} (numbers, names, quotes, code, limits) | 0 | {} |\n", all.things,
             lost.size());
  for (const std::string& thing : lost) fmt::print("| – lost: {} | | |\n", thing);
  fmt::print("| questions changed | 0 | {} |\n", questions_changed);
  fmt::print("| µs per 1,000 tokens | <= 1000 | {:.0f} |\n", us_per_thousand);
  fmt::print("| texts whose ids differ from tiktoken's, of {} | 0 | {} |\n", compared, different);
  for (const auto& [what, mb] : speed)
    fmt::print("| MB/s, {} | {} | {:.1f} |\n", what, what.ends_with("English") ? ">= 5" : "", mb);
  return 0;
}

}  // namespace
}  // namespace asahi::gateway

int main(int argc, char** argv) { return asahi::gateway::run(argc, argv); }
