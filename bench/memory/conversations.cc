// How well memories are found by questions: recall@10 and any@10 of the rows that answer them, and
// the time of one search. Reads memories_dev.jsonl and questions_dev.jsonl (one JSON object a line)
// below --data; each conversation is a system of its own, each row a memory. No model takes part.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "llm/embed/text_embedder.h"
#include "memory/graph/extract.h"
#include "memory/rank/conversations.h"
#include "memory/rank/evidence.h"
#include "memory/rank/fusion.h"
#include "memory/text/index.h"

namespace asahi::memory {
namespace {

constexpr std::size_t kTop = 10;
constexpr auto kMonths =
    std::to_array<std::string_view>({"January", "February", "March", "April", "May", "June", "July",
                                     "August", "September", "October", "November", "December"});

struct Row {
  std::string id, speaker, text, session;
  Clock::Time when;
};
struct Asked {
  int conversation = 0;
  std::string question, kind;
  std::set<std::string> evidence;
};

/// "1:56 pm on 8 May, 2023".
Clock::Time parse_when(const std::string& when) {
  int hour = 0, minute = 0, day = 0, year = 0;
  char half[3] = {}, month[16] = {};
  std::sscanf(when.c_str(), "%d:%d %2s on %d %15[^,], %d", &hour, &minute, half, &day, month,
              &year);
  const auto at = std::ranges::find(kMonths, std::string_view(month));
  const auto number = static_cast<unsigned>(at - kMonths.begin()) + 1;
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(number),
                                         std::chrono::day(static_cast<unsigned>(day))};
  return Clock::Time(std::chrono::sys_days(date)) +
         std::chrono::hours(hour % 12 + (half[0] == 'p' ? 12 : 0)) + std::chrono::minutes(minute);
}

std::string text_of(const json::object& object, std::string_view name) {
  const json::value& value = object.at(name);
  return value.is_string() ? std::string(std::string_view(value.get_string()))
                           : std::to_string(value.to_number<std::int64_t>());
}

/// How rows come in: with their metadata, or as texts with a time and an id only.
enum class Metadata { kGiven, kAbsent };

/// One conversation as the hot tier would hold it.
struct System {
  std::vector<Row> rows;
  text::Index index;
  text::Index windows;  ///< three rows each, for the baseline
  rank::Conversations conversations;
  /// What the graph knows: the words of each entity, and the rows that state facts of it.
  std::map<std::string, std::set<std::uint32_t>> entities;
  std::vector<float> vectors;
  std::size_t width = 0;
  Clock::Time last{};

  void build(llm::TextEmbedder& embedder, Metadata metadata) {
    width = embedder.traits().width;
    for (std::uint32_t i = 0; i < rows.size(); ++i) {
      const Row& row = rows[i];
      const std::string said = row.speaker + ": " + row.text;
      const bool given = metadata == Metadata::kGiven;
      const std::string& text = given ? row.text : said;
      if (!index.put(i, text)) std::abort();
      rank::Placement placement;
      placement.scope = "bench";
      placement.session = given ? std::string_view(row.session) : std::string_view();
      placement.speaker = given ? std::string_view(row.speaker) : std::string_view();
      placement.timestamp = row.when;
      placement.id = row.id;
      conversations.put(i, placement, text, index.length(i));
      std::string window;
      for (const std::uint32_t other : {i - 1, i, i + 1}) {
        if (other < rows.size() && rows[other].session == row.session)
          window += rows[other].speaker + ": " + rows[other].text + "\n";
      }
      if (!windows.put(i, window)) std::abort();
      const auto embedded = embedder.try_embed(said);
      if (!embedded) std::abort();
      vectors.insert(vectors.end(), embedded->vector->begin(), embedded->vector->end());
      last = std::max(last, row.when);
      learn(i);
    }
  }

  /// As the deriver does; who speaks is the memory's user.
  void learn(std::uint32_t i) {
    Memory memory;
    memory.key = {"bench", "bench", rows[i].id};
    memory.content = rows[i].text;
    memory.timestamp = rows[i].when;
    memory.metadata =
        write_json(json::object{{"user_id", rows[i].speaker}, {"project", rows[i].session}});
    for (const graph::StatedFact& fact : graph::extract(memory, rows[i].when).facts) {
      for (const std::string& id : {fact.from, fact.to}) {
        std::string words = id.substr(id.find(':') + 1);
        std::ranges::replace(words, '-', ' ');
        std::ranges::transform(words, words.begin(),
                               [](unsigned char c) { return std::tolower(c); });
        entities[words].insert(i);
      }
    }
  }

  /// Rows that state facts of entities which the question names, of most of them first; rarer
  /// entities say more.
  std::vector<std::uint32_t> related(const std::string& question, std::size_t limit) const {
    std::string asked = " ";
    for (const char c : question)
      asked += std::isalnum(static_cast<unsigned char>(c)) != 0
                   ? static_cast<char>(std::tolower(static_cast<unsigned char>(c)))
                   : ' ';
    asked += ' ';
    std::map<std::uint32_t, double> scores;
    for (const auto& [words, stating] : entities) {
      if (asked.find(" " + words + " ") == std::string::npos) continue;
      for (const std::uint32_t row : stating)
        scores[row] += 1 / static_cast<double>(stating.size());
    }
    std::vector<std::pair<double, std::uint32_t>> order;
    for (const auto& [row, score] : scores) order.emplace_back(-score, row);
    std::ranges::sort(order);
    std::vector<std::uint32_t> out;
    for (std::size_t i = 0; i < std::min(limit, order.size()); ++i) out.push_back(order[i].second);
    return out;
  }

  std::vector<std::uint32_t> nearest(llm::TextEmbedder& embedder, const std::string& question,
                                     std::size_t limit) const {
    const auto embedded = embedder.try_embed(question);
    const std::vector<double> cosines = llm::cosines(*embedded->vector, vectors);
    std::vector<std::uint32_t> order(rows.size());
    std::iota(order.begin(), order.end(), 0U);
    const auto middle = order.begin() + static_cast<std::ptrdiff_t>(std::min(limit, order.size()));
    std::partial_sort(order.begin(), middle, order.end(),
                      [&](std::uint32_t a, std::uint32_t b) { return cosines[a] > cosines[b]; });
    order.erase(middle, order.end());
    return order;
  }
};

struct Score {
  double recall = 0, any = 0;
  std::size_t count = 0;
  void add(double share) {
    recall += share;
    any += share > 0 ? 1 : 0;
    ++count;
  }
  double mean_recall() const { return count == 0 ? 0 : recall / static_cast<double>(count); }
  double mean_any() const { return count == 0 ? 0 : any / static_cast<double>(count); }
};

using Search =
    std::function<std::vector<std::uint32_t>(const System& system, const std::string& question)>;

struct Outcome {
  std::map<std::string, Score> kinds;  ///< "all" too
  std::map<int, Score> conversations;
  std::vector<double> microseconds;
};

struct Data {
  std::map<int, System> systems;
  std::vector<Asked> questions;
};

Outcome measure(const Data& data, const Search& search, int rounds) {
  Outcome out;
  for (const Asked& asked : data.questions) {
    const System& system = data.systems.at(asked.conversation);
    double best = 0;
    std::vector<std::uint32_t> found;
    for (int round = 0; round < std::max(1, rounds); ++round) {
      const auto begin = std::chrono::steady_clock::now();
      found = search(system, asked.question);
      const std::chrono::duration<double, std::micro> took =
          std::chrono::steady_clock::now() - begin;
      best = round == 0 ? took.count() : std::min(best, took.count());
    }
    out.microseconds.push_back(best);
    std::size_t right = 0;
    for (std::size_t i = 0; i < std::min(found.size(), kTop); ++i)
      right += asked.evidence.count(system.rows[found[i]].id);
    const double share = static_cast<double>(right) / static_cast<double>(asked.evidence.size());
    out.kinds["all"].add(share);
    out.kinds[asked.kind].add(share);
    out.conversations[asked.conversation].add(share);
  }
  std::ranges::sort(out.microseconds);
  return out;
}

Result<Data> read(const std::filesystem::path& memories, const std::filesystem::path& questions) {
  Data data;
  std::ifstream rows(memories), asked(questions);
  if (!rows || !asked)
    return fail(Errc::kNotFound, fmt::format("no {} or {}", memories.string(), questions.string()));
  for (std::string line; std::getline(rows, line);) {
    ASAHI_TRY(const json::value value, parse_json(line));
    const json::object& object = value.as_object();
    data.systems[static_cast<int>(object.at("conversation").to_number<int>())].rows.push_back(
        {text_of(object, "id"), text_of(object, "speaker"), text_of(object, "text"),
         text_of(object, "session"), parse_when(text_of(object, "when"))});
  }
  for (std::string line; std::getline(asked, line);) {
    ASAHI_TRY(const json::value value, parse_json(line));
    const json::object& object = value.as_object();
    Asked one{object.at("conversation").to_number<int>(),
              text_of(object, "question"),
              text_of(object, "kind"),
              {}};
    for (const json::value& id : object.at("evidence").as_array())
      one.evidence.emplace(std::string_view(id.as_string()));
    if (!one.evidence.empty()) data.questions.push_back(std::move(one));
  }
  return data;
}

std::vector<std::uint32_t> documents(const std::vector<rank::Ranked>& ranked) {
  std::vector<std::uint32_t> out;
  out.reserve(ranked.size());
  for (const rank::Ranked& one : ranked) out.push_back(one.document);
  return out;
}

std::vector<std::uint32_t> documents(const text::Hits& hits) {
  std::vector<std::uint32_t> out;
  for (const text::Hits::Hit& hit : hits.hits) out.push_back(hit.document);
  return out;
}

Search with_evidence(const rank::EvidenceOptions& options) {
  return [options](const System& system, const std::string& question) {
    return documents(rank::rank_conversation(rank::read_question(question, system.last),
                                             system.index, system.conversations, {}, kTop,
                                             options));
  };
}

Search hybrid(llm::TextEmbedder& embedder, double vector_weight, double graph_weight = 0) {
  return [&embedder, vector_weight, graph_weight](const System& system,
                                                  const std::string& question) {
    constexpr std::size_t kDepth = 50;
    const auto words =
        documents(rank::rank_conversation(rank::read_question(question, system.last), system.index,
                                          system.conversations, {}, kDepth));
    const auto vectors = system.nearest(embedder, question, kDepth);
    std::vector<std::uint32_t> facts;
    if (graph_weight > 0) facts = system.related(question, kDepth);
    const rank::RankedList lists[] = {
        {"keyword", 1, words}, {"vector", vector_weight, vectors}, {"graph", graph_weight, facts}};
    std::vector<std::uint32_t> out;
    for (const rank::Fused& one : rank::fuse(lists, kTop, [&](std::uint32_t document) {
           return rank::Tie{system.rows[document].when, system.rows[document].id};
         }))
      out.push_back(one.document);
    return out;
  };
}

void print(std::string_view name, const Outcome& outcome) {
  const auto quantile = [&](double q) {
    return outcome.microseconds[static_cast<std::size_t>(
        q * static_cast<double>(outcome.microseconds.size() - 1))];
  };
  fmt::print("{:<34}", name);
  const Score& all = outcome.kinds.at("all");
  fmt::print(" {:.3f} {:.3f}", all.mean_recall(), all.mean_any());
  for (const auto& [kind, score] : outcome.kinds) {
    if (kind != "all") fmt::print("  {:.3f} {:.3f}", score.mean_recall(), score.mean_any());
  }
  fmt::print("  {:>6.0f} {:>6.0f} ", quantile(0.5), quantile(0.99));
  for (const auto& [conversation, score] : outcome.conversations)
    fmt::print(" {:.3f}", score.mean_recall());
  fmt::print("\n");
  std::fflush(stdout);
}

/// A constant of the ranking and the values it is tried with.
struct Knob {
  std::string_view name;
  std::function<void(rank::EvidenceOptions&, double)> set;
  std::vector<double> values;
};

std::vector<Knob> knobs() {
  using Options = rank::EvidenceOptions;
  return {
      {"neighbours[0]", [](Options& o, double v) { o.neighbours[0] = v; }, {0, 0.3, 0.5, 0.8, 1}},
      {"neighbours[1]", [](Options& o, double v) { o.neighbours[1] = v; }, {0, 0.15, 0.45, 0.6}},
      {"session", [](Options& o, double v) { o.session = v; }, {0, 0.07, 0.3, 0.5}},
      {"named_speaker", [](Options& o, double v) { o.named_speaker = v; }, {0, 0.3, 0.9, 1.2}},
      {"asks", [](Options& o, double v) { o.asks = v; }, {0, 0.07, 0.2, 0.3}},
      {"tells_time", [](Options& o, double v) { o.tells_time = v; }, {0, 0.1, 0.4}},
      {"named_time", [](Options& o, double v) { o.named_time = v; }, {0, 0.15, 0.6}},
      {"order", [](Options& o, double v) { o.order = v; }, {0, 0.2, 0.4}},
      {"repeated", [](Options& o, double v) { o.repeated = v; }, {0, 0.1, 0.2}},
      {"candidates",
       [](Options& o, double v) { o.candidates = static_cast<std::size_t>(v); },
       {64, 128, 512}},
  };
}

/// Each constant chosen on all conversations but one, one pass over the constants, judged on that
/// one.
void leave_one_out(const Data& data) {
  Score sum;
  for (const auto& [left_out, system] : data.systems) {
    Data train, test;
    for (const Asked& asked : data.questions)
      (asked.conversation == left_out ? test : train).questions.push_back(asked);
    // Systems are shared: measuring reads only.
    const auto judged = [&](const std::vector<Asked>& questions,
                            const rank::EvidenceOptions& options) {
      Score score;
      const Search search = with_evidence(options);
      for (const Asked& asked : questions) {
        const System& asked_of = data.systems.at(asked.conversation);
        const auto found = search(asked_of, asked.question);
        std::size_t right = 0;
        for (const std::uint32_t document : found)
          right += asked.evidence.count(asked_of.rows[document].id);
        score.add(static_cast<double>(right) / static_cast<double>(asked.evidence.size()));
      }
      return score;
    };
    rank::EvidenceOptions options;
    double best = judged(train.questions, options).mean_recall();
    for (const Knob& knob : knobs()) {
      const rank::EvidenceOptions base = options;
      for (const double value : knob.values) {
        rank::EvidenceOptions tried = base;
        knob.set(tried, value);
        const double recall = judged(train.questions, tried).mean_recall();
        if (recall <= best) continue;
        best = recall;
        options = tried;
      }
    }
    const Score held_out = judged(test.questions, options);
    const Score shipped = judged(test.questions, {});
    fmt::print(
        "conversation {} left out: chosen on the others {:.3f}, there {:.3f} {:.3f}; "
        "shipped constants there {:.3f} {:.3f}\n",
        left_out, best, held_out.mean_recall(), held_out.mean_any(), shipped.mean_recall(),
        shipped.mean_any());
    sum.recall += held_out.recall;
    sum.any += held_out.any;
    sum.count += held_out.count;
  }
  fmt::print("all, each judged by constants chosen without it: {:.3f} {:.3f}\n", sum.mean_recall(),
             sum.mean_any());
}

/// Words by Zipf's law, `words` of them; "grammar" words of English are the most frequent ones.
class Zipf {
 public:
  explicit Zipf(std::size_t words) {
    double sum = 0;
    for (std::size_t i = 0; i < words; ++i) sums_.push_back(sum += 1 / static_cast<double>(i + 2));
  }
  std::string text(std::mt19937_64& random, std::size_t words) const {
    std::string out;
    for (std::size_t i = 0; i < words; ++i) {
      const double at = std::uniform_real_distribution<>(0, sums_.back())(random);
      const auto rank = std::ranges::lower_bound(sums_, at) - sums_.begin();
      out += fmt::format("w{}q ", rank);
    }
    return out;
  }

 private:
  std::vector<double> sums_;
};

/// An index of made-up memories: what adding, a search and a restart cost at that size.
void measure_index(std::uint32_t documents) {
  using Steady = std::chrono::steady_clock;
  const auto seconds = [](Steady::time_point since) {
    return std::chrono::duration<double>(Steady::now() - since).count();
  };
  constexpr std::size_t kWords = 30, kAsked = 6, kQuestions = 400;
  const Zipf zipf(300'000);
  std::mt19937_64 random(1);
  text::Index index;
  double adding = 0;
  for (std::uint32_t i = 0; i < documents; ++i) {
    const std::string text = zipf.text(random, kWords / 2 + random() % kWords);
    const auto begin = Steady::now();
    if (!index.put(i, text)) std::abort();
    adding += seconds(begin);
  }
  fmt::print("{} memories of {} words: {:.0f} added/s, {:.0f} bytes each, {} terms\n", documents,
             kWords, documents / adding, static_cast<double>(index.bytes()) / documents,
             index.terms());
  std::vector<std::string> questions;
  for (std::size_t i = 0; i < kQuestions; ++i) questions.push_back(zipf.text(random, kAsked));
  std::vector<std::uint64_t> few((documents + 63) / 64);
  for (std::uint32_t i = 0; i < documents; ++i) {
    if (random() % 100 == 0) few[i / 64] |= std::uint64_t{1} << (i % 64);
  }
  for (const std::size_t limit : {std::size_t{10}, std::size_t{256}}) {
    for (const bool filtered : {false, true}) {
      std::vector<double> took;
      for (const std::string& question : questions) {
        text::SearchOptions options;
        options.limit = limit;
        if (filtered) options.allowed = few;
        const auto begin = Steady::now();
        const text::Hits hits = index.search(question, options);
        took.push_back(seconds(begin) * 1e3);
        if (hits.hits.size() > limit) std::abort();
      }
      std::ranges::sort(took);
      fmt::print("{} words asked, best {}{}: p50 {:.2f} ms, p99 {:.2f} ms\n", kAsked, limit,
                 filtered ? " of the 1 % allowed" : "", took[took.size() / 2],
                 took[took.size() * 99 / 100]);
    }
  }
  auto begin = Steady::now();
  const std::string bytes = index.snapshot();
  fmt::print("snapshot {:.2f} s, {} MB; ", seconds(begin), bytes.size() >> 20);
  begin = Steady::now();
  if (!text::Index::restore(bytes)) std::abort();
  fmt::print("restored in {:.2f} s\n", seconds(begin));
}

int run(int argc, char** argv) {
  std::string folder = "../shared/data", memories = "memories_dev.jsonl",
              questions = "questions_dev.jsonl";
  int rounds = 5;
  std::size_t width = 384;
  bool vary = false, leave = false;
  std::vector<std::string> set;
  std::uint32_t made_up = 0;
  CLI::App app("recall of memories by questions, and the time of a search");
  app.add_option("--data", folder, "folder of the rows");
  app.add_option("--memories", memories);
  app.add_option("--questions", questions);
  app.add_option("--rounds", rounds, "searches per question; the best time counts");
  app.add_option("--width", width, "of the local embedder's vectors");
  app.add_flag("--vary", vary, "each constant of the ranking with other values");
  app.add_flag("--leave-one-out", leave, "constants chosen on all conversations but one");
  app.add_option("--set", set, "NAME=VALUE: a constant of the ranking, one more line of the table");
  app.add_option("--index", made_up, "only: an index of that many made-up memories");
  CLI11_PARSE(app, argc, argv);
  if (made_up > 0) {
    measure_index(made_up);
    return 0;
  }

  auto data =
      read(std::filesystem::path(folder) / memories, std::filesystem::path(folder) / questions);
  auto bare =
      read(std::filesystem::path(folder) / memories, std::filesystem::path(folder) / questions);
  if (!data || !bare) {
    fmt::print("skipped: {}\n", data ? bare.error().message : data.error().message);
    return 0;
  }
  const auto embedder = llm::make_local_embedder(width);
  std::size_t rows = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (auto& [number, system] : data->systems) {
    system.build(*embedder, Metadata::kGiven);
    rows += system.rows.size();
  }
  const std::chrono::duration<double> built = std::chrono::steady_clock::now() - begin;
  for (auto& [number, system] : bare->systems) system.build(*embedder, Metadata::kAbsent);
  fmt::print("{} conversations, {} memories, {} questions; built in {:.2f} s\n\n",
             data->systems.size(), rows, data->questions.size(), built.count());

  const Search baseline = [](const System& system, const std::string& question) {
    auto terms = text::query_terms(question);
    for (text::QueryTerm& term : terms) term.weight = 1;
    return documents(system.windows.search(terms, {}));
  };
  const Search plain = [](const System& system, const std::string& question) {
    return documents(system.index.search(question, {}));
  };
  const Search vectors = [&](const System& system, const std::string& question) {
    return system.nearest(*embedder, question, kTop);
  };
  const Outcome first = measure(*data, baseline, rounds);
  fmt::print("{:<34} {:<11}", "recall@10, any@10", "all");
  for (const auto& [kind, score] : first.kinds) {
    if (kind != "all") fmt::print("  {:<11}", kind);
  }
  fmt::print("  p50 us p99 us  recall by conversation\n");
  print("BM25, stems, windows of 3 (peer)", first);
  print("BM25 of single memories", measure(*data, plain, rounds));
  print("keyword with evidence", measure(*data, with_evidence({}), rounds));
  print("the same without metadata", measure(*bare, with_evidence({}), rounds));
  print("vector (local embedder)", measure(*data, vectors, rounds));
  print("hybrid, vector weighs 1", measure(*data, hybrid(*embedder, 1), rounds));
  print("hybrid, vector weighs 0.5", measure(*data, hybrid(*embedder, 0.5), rounds));
  print("hybrid, vector weighs 0.25", measure(*data, hybrid(*embedder, 0.25), rounds));
  print("hybrid, vector weighs 0.1", measure(*data, hybrid(*embedder, 0.1), rounds));
  const Search facts = [](const System& system, const std::string& question) {
    return system.related(question, kTop);
  };
  print("graph alone", measure(*data, facts, rounds));
  for (const double weight : {0.5, 0.1, 0.03})
    print(fmt::format("hybrid, and the graph weighs {}", weight),
          measure(*data, hybrid(*embedder, 0.1, weight), rounds));
  rank::EvidenceOptions changed;
  for (const std::string& one : set) {
    const std::size_t equals = one.find('=');
    for (const Knob& knob : knobs()) {
      if (equals != std::string::npos && one.substr(0, equals) == knob.name)
        knob.set(changed, std::stod(one.substr(equals + 1)));
    }
    print(fmt::format("... {}", one), measure(*data, with_evidence(changed), rounds));
  }
  if (vary) {
    fmt::print("\n");
    for (const Knob& knob : knobs()) {
      for (const double value : knob.values) {
        rank::EvidenceOptions options;
        knob.set(options, value);
        print(fmt::format("{} = {}", knob.name, value), measure(*data, with_evidence(options), 1));
      }
    }
  }
  if (leave) {
    fmt::print("\n");
    leave_one_out(*data);
  }
  return 0;
}

}  // namespace
}  // namespace asahi::memory

int main(int argc, char** argv) { return asahi::memory::run(argc, argv); }
