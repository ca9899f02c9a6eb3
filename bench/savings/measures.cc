#include "savings/measures.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "savings/cache.h"
#include "savings/generate.h"

namespace asahi::savings {
namespace {

using gateway::semantic::Bound;
using gateway::semantic::compare;
using gateway::semantic::Comparison;

std::vector<json::object> read_lines(const std::string& path) {
  std::vector<json::object> out;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) out.push_back(json::parse(line).as_object());
  }
  return out;
}

std::string text_of(const json::object& row, std::string_view key) {
  return std::string(row.at(key).as_string());
}

struct Scored {
  double score = 0;
  bool right = false;
};

/// The most hits whose wrong share stays at or below `wrong_share`.
struct Cut {
  std::size_t hits = 0, wrong = 0;
  double threshold = 1;
};
Cut best_cut(std::vector<Scored> scored, double wrong_share) {
  std::ranges::sort(scored, std::greater{}, &Scored::score);
  Cut best;
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < scored.size(); ++i) {
    wrong += scored[i].right ? 0 : 1;
    if (i + 1 < scored.size() && scored[i + 1].score == scored[i].score) continue;
    if (static_cast<double>(wrong) <= wrong_share * static_cast<double>(i + 1))
      best = {i + 1, wrong, scored[i].score};
  }
  return best;
}
Cut cut_at(const std::vector<Scored>& scored, double threshold) {
  Cut out;
  out.threshold = threshold;
  for (const Scored& one : scored) {
    if (one.score < threshold) continue;
    ++out.hits;
    out.wrong += one.right ? 0 : 1;
  }
  return out;
}
double share(std::size_t part, std::size_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// False: it could not be had, and the row says so.
bool prepared(Table& table, std::string_view measure, Embedding& embedding,
              std::vector<std::string> texts) {
  const auto done = embedding.prepare(std::move(texts));
  if (!done) table.skip(measure, done.error().message);
  return done.has_value();
}

}  // namespace

void measure_paraphrases(Table& table, Embedding& embedding, const MeasureOptions& options) {
  const auto sentences = documentation_sentences(options.docs, 3'000);
  Random random(21);
  constexpr std::string_view kMeasure = "paraphrases of documentation, random negatives";
  std::vector<std::pair<std::string, std::size_t>> questions;
  std::vector<std::string> cached, needed;
  std::size_t used = 0;
  for (; used < sentences.size() && cached.size() < 1'000; ++used) {
    const std::string asked = paraphrase(sentences[used], random);
    if (asked.empty()) continue;
    questions.emplace_back(asked, cached.size());
    cached.push_back(sentences[used]);
    needed.push_back(asked);
  }
  if (questions.size() < 200) return table.skip(kMeasure, "too few sentences found");
  needed.insert(needed.end(), sentences.begin(), sentences.end());
  if (!prepared(table, kMeasure, embedding, std::move(needed))) return;
  ExactScan scan;
  Cache cache(embedding, scan);
  for (std::size_t i = 0; i < cached.size(); ++i) cache.put(cached[i], i);
  std::vector<Scored> scored;
  for (const auto& [asked, own] : questions) {
    const auto best = cache.best(asked);
    if (best.known)
      scored.push_back({best.decision.score, best.entry == own});
    else if (options.show)
      fmt::print("  miss | {}\n", asked);
  }
  // Random negatives: sentences whose own twin is not cached.
  for (std::size_t i = used; i < sentences.size() && i < used + 1'000; ++i) {
    const auto best = cache.best(sentences[i]);
    if (!best.known) continue;
    scored.push_back({best.decision.score, false});
    if (options.show && best.decision.score > 0.3)
      fmt::print("  {:.3f} negative | {} | {}\n", best.decision.score, sentences[i],
                 cache.query_of(best.entry));
  }
  const Cut cut = best_cut(scored, 0.01);
  const double hit = share(cut.hits - cut.wrong, questions.size());
  table.row(
      kMeasure, "wrong <= 1 % of hits at >= 80 % hits",
      fmt::format("{:.2f} % wrong at {:.1f} % hits (score >= {:.2f}; {} pairs)",
                  100 * share(cut.wrong, cut.hits), 100 * hit, cut.threshold, questions.size()),
      hit >= 0.8,
      {{"wrong", share(cut.wrong, cut.hits)}, {"hits", hit}, {"threshold", cut.threshold}});
}

void measure_pairs(Table& table, Embedding& embedding, const MeasureOptions& options) {
  const auto lines = read_lines(options.data + "/pairs_dev.jsonl");
  if (lines.empty()) return table.skip("pairs_dev", options.data + " has no pairs_dev.jsonl");
  std::vector<std::string> needed;
  for (const json::object& line : lines) {
    needed.push_back(text_of(line, "a"));
    needed.push_back(text_of(line, "b"));
  }
  if (!prepared(table, "pairs_dev", embedding, std::move(needed))) return;
  std::size_t same[2] = {};
  std::vector<Scored> by_half[2];
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool right = lines[i].at("same").as_bool();
    same[i % 2] += right ? 1 : 0;
    const Comparison found = compare(llm::text::analyse(text_of(lines[i], "b")),
                                     llm::text::analyse(text_of(lines[i], "a")));
    by_half[i % 2].push_back({found.score, right});
  }
  std::vector<Scored> all = by_half[0];
  all.insert(all.end(), by_half[1].begin(), by_half[1].end());
  for (auto* scored : {&by_half[0], &by_half[1], &all})
    std::erase_if(*scored, [](const Scored& one) { return one.score <= 0; });
  const auto print = [&](std::string_view name, const std::vector<Scored>& scored,
                         std::size_t total) {
    const Cut cut = best_cut(scored, 0.2);
    const double recall = share(cut.hits - cut.wrong, total);
    table.row(name, "precision >= 0.80 at recall >= 0.20",
              fmt::format("precision {:.3f} at recall {:.3f} (score >= {:.3f})",
                          1 - share(cut.wrong, cut.hits), recall, cut.threshold),
              recall >= 0.2, {{"precision", 1 - share(cut.wrong, cut.hits)}, {"recall", recall}});
  };
  // Without vectors: the same whoever makes them.
  print("pairs_dev, pair by pair", all, same[0] + same[1]);
  print("  first half (looked at while rules were written)", by_half[0], same[0]);
  print("  second half (never looked at)", by_half[1], same[1]);

  ExactScan scan;
  Cache cache(embedding, scan);
  for (std::size_t i = 0; i < lines.size(); ++i) cache.put(text_of(lines[i], "a"), i);
  std::vector<Scored> scored, forgiving;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string asked = text_of(lines[i], "b");
    const auto best = cache.best(asked);
    if (!best.known) continue;
    const bool right = best.entry == i && lines[i].at("same").as_bool();
    scored.push_back({best.decision.score, right});
    // The set holds many questions twice without saying so: those hits are left out here.
    if (best.entry == i || right) forgiving.push_back(scored.back());
  }
  const auto whole = [&](std::string_view name, const std::vector<Scored>& list) {
    const Cut cut = best_cut(list, 0.2);
    const Cut high = cut_at(list, 0.986);
    table.row(name, "precision >= 0.80 at recall >= 0.20",
              fmt::format("recall {:.3f} at 0.80; precision {:.3f} at recall {:.3f}",
                          share(cut.hits - cut.wrong, same[0] + same[1]),
                          1 - share(high.wrong, high.hits),
                          share(high.hits - high.wrong, same[0] + same[1])),
              share(cut.hits - cut.wrong, same[0] + same[1]) >= 0.2);
  };
  whole("pairs_dev, all a cached, all b asked, doubles wrong", scored);
  whole("  the same, hits on unlabelled doubles left out", forgiving);
}

void measure_intents(Table& table, Embedding& embedding, const MeasureOptions& options) {
  const auto lines = read_lines(options.data + "/intents_dev.jsonl");
  if (lines.empty()) return table.skip("intents_dev", options.data + " has no intents_dev.jsonl");
  std::vector<std::string> needed;
  for (const json::object& line : lines) needed.push_back(text_of(line, "text"));
  if (!prepared(table, "intents_dev", embedding, std::move(needed))) return;
  std::vector<Scored> all;
  std::size_t asked = 0;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    std::vector<std::size_t> order(lines.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    Random random(seed);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    ExactScan scan;
    Cache cache(embedding, scan);
    const std::size_t cached = order.size() / 10;
    for (std::size_t i = 0; i < cached; ++i) cache.put(text_of(lines[order[i]], "text"), order[i]);
    for (std::size_t i = cached; i < order.size(); ++i) {
      ++asked;
      const auto best = cache.best(text_of(lines[order[i]], "text"));
      if (!best.known) continue;
      const auto& matched = lines[cache.answer_of(best.entry)];
      all.push_back({best.decision.score, matched.at("intent") == lines[order[i]].at("intent")});
      if (options.show && !all.back().right && best.decision.score > 0.975)
        fmt::print("  {:.3f} intent | {} | {}\n", best.decision.score,
                   text_of(lines[order[i]], "text"), text_of(matched, "text"));
    }
  }
  const Cut cut = best_cut(all, 0.03);
  table.row(
      "intents_dev, 10 % cached (5 samples)", "wrong intent <= 3 % of hits",
      fmt::format("{:.2f} % wrong at {:.1f} % hits (score >= {:.3f})",
                  100 * share(cut.wrong, cut.hits), 100 * share(cut.hits, asked), cut.threshold),
      cut.hits > 0);
  const Cut shipped = cut_at(all, 0.98902);
  table.row("  where a cold cache trusts at 1 %", "wrong intent <= 3 % of hits",
            fmt::format("{:.2f} % wrong at {:.1f} % hits", 100 * share(shipped.wrong, shipped.hits),
                        100 * share(shipped.hits, asked)),
            share(shipped.wrong, shipped.hits) <= 0.03);
}

void measure_negatives(Table& table, const MeasureOptions& options) {
  const auto generated = hard_negatives(2'000, 3);
  std::size_t wrong = 0, possible = 0;
  std::map<std::string, std::pair<std::size_t, std::size_t>> kinds;
  const gateway::semantic::Evidence cold;
  const gateway::semantic::EntryEvidence entry;
  Bound bound;
  for (const Pair& pair : generated) {
    const Comparison found =
        compare(llm::text::analyse(pair.asked), llm::text::analyse(pair.cached));
    const bool hit = cold.trust("general", found.score, entry, bound).error <= bound.delta;
    wrong += hit ? 1 : 0;
    possible += found.score > 0 ? 1 : 0;
    auto& kind = kinds[pair.kind];
    ++kind.first;
    kind.second += found.score > 0 ? 1 : 0;
    if (options.show && found.score > 0)
      fmt::print("  {:.3f} {} | {} | {}\n", found.score, pair.kind, pair.asked, pair.cached);
  }
  std::string by_kind;
  for (const auto& [kind, counts] : kinds)
    by_kind +=
        fmt::format("{}{} {}/{}", by_kind.empty() ? "" : ", ", kind, counts.second, counts.first);
  table.row(fmt::format("own hard negatives ({})", generated.size()), "0 wrong hits",
            fmt::format("{} wrong hits; {} not vetoed outright", wrong, possible), wrong == 0);
  fmt::print("    not vetoed by kind: {}\n", by_kind);
}

}  // namespace asahi::savings
