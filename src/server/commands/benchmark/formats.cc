#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/json.h"
#include "base/utf8.h"
#include "server/commands/benchmark/report.h"

// The report as text, JSON and CSV.
namespace asahi::server::benchmark {
namespace {

constexpr std::size_t kListedWrongHits = 20;

double share(std::size_t part, std::size_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}
double percent_of(NanoUsd part, NanoUsd whole) {
  return whole.nanos == 0
             ? 0
             : 100 * static_cast<double>(part.nanos) / static_cast<double>(whole.nanos);
}
std::string money(NanoUsd amount) {
  return fmt::format("{}${}", amount.nanos < 0 ? "-" : "",
                     to_decimal({amount.nanos < 0 ? -amount.nanos : amount.nanos}));
}
/// One line of a prompt, short enough for a list.
std::string excerpt(std::string_view text) {
  constexpr std::size_t kMost = 90;
  const std::string_view line = text.substr(0, text.find('\n'));
  const std::string_view shown = utf8_prefix(line, kMost);
  return std::string(shown) + (shown.size() < line.size() ? "…" : "");
}

json::object spread_json(const Spread& spread) {
  return {{"p50", spread.p50}, {"p95", spread.p95}, {"p99", spread.p99}};
}
json::object totals_json(const RunTotals& totals) {
  return {{"requests", totals.asked},
          {"failures", totals.failed},
          {"cost_usd", totals.cost.dollars()},
          {"input_tokens", totals.input_tokens},
          {"output_tokens", totals.output_tokens},
          {"mean_predicted_quality", totals.mean_quality},
          {"latency_ms", spread_json(totals.total_ms)},
          {"added_latency_ms", spread_json(totals.added_ms)}};
}
json::object setting_json(const Setting& setting) {
  return {{"version", setting.version},           {"started", setting.started},
          {"gateway", setting.gateway},           {"mock", setting.mock},
          {"fresh_cache", setting.fresh_cache},   {"interrupted", setting.interrupted},
          {"exact_costs", setting.exact_costs},   {"baseline_model", setting.baseline_model},
          {"quality_threshold", setting.quality}, {"latency_budget_ms", setting.latency_ms},
          {"concurrency", setting.concurrency},   {"requests", setting.traffic.requests},
          {"repeats", setting.traffic.repeats},   {"reworded", setting.traffic.reworded},
          {"seed", setting.traffic.seed}};
}

class Rows {
 public:
  Rows() : out_("section,name,value,unit\r\n") {}
  void add(std::string_view section, std::string_view name, std::string_view value,
           std::string_view unit) {
    out_ += fmt::format("{},{},{},{}\r\n", csv_field(section), csv_field(name), csv_field(value),
                        csv_field(unit));
  }
  void count(std::string_view section, std::string_view name, std::size_t value) {
    add(section, name, fmt::format("{}", value), "");
  }
  /// Not `csv_field`: a negative number is no formula.
  void amount(std::string_view section, std::string_view name, NanoUsd value) {
    out_ += fmt::format("{},{},{},USD\r\n", csv_field(section), csv_field(name), to_decimal(value));
  }
  void number(std::string_view section, std::string_view name, double value,
              std::string_view unit) {
    out_ += fmt::format("{},{},{:.4f},{}\r\n", csv_field(section), csv_field(name), value,
                        csv_field(unit));
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

}  // namespace

std::string csv_field(std::string_view text) {
  const bool formula =
      !text.empty() && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos;
  if (!formula && text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = formula ? "\"'" : "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string as_text(const Report& report) {
  std::string out;
  const auto line = [&out]<class... T>(fmt::format_string<T...> format, T&&... values) {
    fmt::format_to(std::back_inserter(out), format, std::forward<T>(values)...);
    out += '\n';
  };
  const Setting& setting = report.setting;
  line("Asahi benchmark: {} requests, seed {}{}", setting.traffic.requests, setting.traffic.seed,
       setting.mock ? ", mock vendor" : "");
  if (setting.interrupted)
    line("INTERRUPTED: {} of {} requests were compared", report.compared, setting.traffic.requests);
  if (!setting.fresh_cache)
    line("The cache was not fresh: {} may know answers from before this run.", setting.gateway);
  line("");
  line("{:24} {:>16} {:>16}", "", "baseline", "optimised");
  line("{:24} {:>16} {:>16}", "model", setting.baseline_model, "autopilot");
  line("{:24} {:>16} {:>16}", "requests", report.baseline.asked, report.optimized.asked);
  line("{:24} {:>16} {:>16}", "failures", report.baseline.failed, report.optimized.failed);
  line("{:24} {:>16} {:>16}", "cost", money(report.baseline_cost), money(report.optimized_cost));
  line("{:24} {:>16} {:>16}", "input tokens paid", report.baseline.input_tokens,
       report.optimized.input_tokens);
  line("{:24} {:>16} {:>16}", "output tokens paid", report.baseline.output_tokens,
       report.optimized.output_tokens);
  line("{:24} {:>16.2f} {:>16.2f}", "predicted quality", report.baseline.mean_quality,
       report.optimized.mean_quality);
  for (const auto& [name, of] : {std::pair{"p50", &Spread::p50}, std::pair{"p95", &Spread::p95},
                                 std::pair{"p99", &Spread::p99}}) {
    line("{:24} {:>13.3f} ms {:>13.3f} ms", fmt::format("added latency {}", name),
         report.baseline.added_ms.*of, report.optimized.added_ms.*of);
  }
  for (const auto& [name, of] : {std::pair{"p50", &Spread::p50}, std::pair{"p95", &Spread::p95},
                                 std::pair{"p99", &Spread::p99}}) {
    line("{:24} {:>13.3f} ms {:>13.3f} ms", fmt::format("latency {}", name),
         report.baseline.total_ms.*of, report.optimized.total_ms.*of);
  }
  line("");
  line("Saved {} = {:.1f} % of {} over {} compared requests", money(report.saved()),
       report.saved_percent(), money(report.baseline_cost), report.compared);
  for (std::size_t i = 0; i < kTechniques; ++i) {
    line("  {:22} {:>16} {:>7.1f} %", to_string(static_cast<Technique>(i)),
         money(report.by_technique[i]), percent_of(report.by_technique[i], report.baseline_cost));
  }
  line("");
  line("Cache: {} hits of {} requests ({:.1f} %)", report.hits(), report.lookups,
       100 * share(report.hits(), report.lookups));
  constexpr std::array<std::string_view, 4> kTiers = {"", "tier 1, exact", "tier 2, semantic",
                                                      "tier 3, steps"};
  for (std::size_t tier = 1; tier <= 3; ++tier) {
    line("  {:22} {:>16} {:>7.1f} %", kTiers[tier], report.hits_by_tier[tier],
         100 * share(report.hits_by_tier[tier], report.lookups));
  }
  for (std::size_t i = 0; i < report.novelties.size(); ++i) {
    line("  {:22} {:>16} requests, {} of them hits", to_string(static_cast<Novelty>(i)),
         report.novelties[i], report.hits_by_novelty[i]);
  }
  line("  {:22} {:>16} {:>7.1f} % of hits", "WRONG HITS", report.wrong.size(),
       100 * share(report.wrong.size(), report.hits()));
  for (std::size_t i = 0; i < std::min(report.wrong.size(), kListedWrongHits); ++i) {
    const WrongHit& wrong = report.wrong[i];
    line("    request {}, tier {}, similarity {:.4f}", wrong.request + 1, wrong.tier,
         wrong.similarity);
    line("      asked   {}", excerpt(wrong.asked));
    line("      answer  {}", excerpt(wrong.cached));
  }
  if (report.wrong.size() > kListedWrongHits)
    line("    and {} more", report.wrong.size() - kListedWrongHits);
  if (report.unverified_hits > 0)
    line("  {} hits could not be checked: their entries are older than this run",
         report.unverified_hits);
  line("");
  line("{:24} {:>9} {:>6} {:>16} {:>16} {:>8}", "kind of request", "requests", "hits", "baseline",
       "optimised", "saved");
  for (std::size_t i = 0; i < kCategories; ++i) {
    const CategoryTotals& category = report.categories[i];
    if (category.compared == 0) continue;
    line("  {:22} {:>9} {:>6} {:>16} {:>16} {:>6.1f} %", to_string(static_cast<Category>(i)),
         category.compared, category.hits, money(category.baseline), money(category.optimized),
         percent_of(category.baseline - category.optimized, category.baseline));
  }
  if (!report.failures.empty()) line("");
  for (const std::string& failure : report.failures) line("failed: {}", failure);
  return out;
}

std::string as_json(const Report& report) {
  json::object techniques;
  for (std::size_t i = 0; i < kTechniques; ++i) {
    techniques[to_string(static_cast<Technique>(i))] = report.by_technique[i].dollars();
  }
  json::array wrong;
  for (const WrongHit& hit : report.wrong) {
    wrong.push_back(json::object{{"request", hit.request + 1},
                                 {"tier", hit.tier},
                                 {"similarity", hit.similarity},
                                 {"query", hit.asked},
                                 {"cached_query", hit.cached}});
  }
  json::object novelties;
  for (std::size_t i = 0; i < report.novelties.size(); ++i) {
    novelties[to_string(static_cast<Novelty>(i))] =
        json::object{{"requests", report.novelties[i]}, {"hits", report.hits_by_novelty[i]}};
  }
  json::array categories;
  for (std::size_t i = 0; i < kCategories; ++i) {
    const CategoryTotals& category = report.categories[i];
    categories.push_back(json::object{{"kind", to_string(static_cast<Category>(i))},
                                      {"requests", category.compared},
                                      {"hits", category.hits},
                                      {"baseline_cost_usd", category.baseline.dollars()},
                                      {"optimized_cost_usd", category.optimized.dollars()}});
  }
  json::array failures;
  for (const std::string& failure : report.failures) failures.emplace_back(failure);
  json::object hit_rates;
  for (std::size_t tier = 1; tier <= 3; ++tier) {
    hit_rates[fmt::format("tier_{}", tier)] =
        json::object{{"hits", report.hits_by_tier[tier]},
                     {"rate", share(report.hits_by_tier[tier], report.lookups)}};
  }
  const json::object whole{{"setting", setting_json(report.setting)},
                           {"baseline", totals_json(report.baseline)},
                           {"optimized", totals_json(report.optimized)},
                           {"saving",
                            {{"compared_requests", report.compared},
                             {"baseline_cost_usd", report.baseline_cost.dollars()},
                             {"optimized_cost_usd", report.optimized_cost.dollars()},
                             {"saved_usd", report.saved().dollars()},
                             {"saved_percent", report.saved_percent()},
                             {"by_technique_usd", std::move(techniques)}}},
                           {"cache",
                            {{"requests", report.lookups},
                             {"hits", report.hits()},
                             {"hit_rate", share(report.hits(), report.lookups)},
                             {"by_tier", std::move(hit_rates)},
                             {"by_novelty", std::move(novelties)}}},
                           {"wrong_hits",
                            {{"count", report.wrong.size()},
                             {"share_of_hits", share(report.wrong.size(), report.hits())},
                             {"unverified", report.unverified_hits},
                             {"list", std::move(wrong)}}},
                           {"kinds", std::move(categories)},
                           {"failures", std::move(failures)}};
  return write_json(whole) + '\n';
}

std::string as_csv(const Report& report) {
  Rows rows;
  const Setting& setting = report.setting;
  rows.add("setting", "started", setting.started, "");
  rows.add("setting", "gateway", setting.gateway, "");
  rows.add("setting", "mock", setting.mock ? "true" : "false", "");
  rows.add("setting", "fresh_cache", setting.fresh_cache ? "true" : "false", "");
  rows.add("setting", "interrupted", setting.interrupted ? "true" : "false", "");
  rows.add("setting", "baseline_model", setting.baseline_model, "");
  rows.count("setting", "requests", setting.traffic.requests);
  rows.number("setting", "repeats", setting.traffic.repeats, "share");
  rows.count("setting", "seed", setting.traffic.seed);
  for (const auto& [name, totals] :
       {std::pair{"baseline", &report.baseline}, std::pair{"optimized", &report.optimized}}) {
    rows.count(name, "requests", totals->asked);
    rows.count(name, "failures", totals->failed);
    rows.amount(name, "cost", totals->cost);
    rows.number(name, "predicted_quality", totals->mean_quality, "0-5");
    for (const auto& [kind, spread] :
         {std::pair{"latency", &totals->total_ms}, std::pair{"added_latency", &totals->added_ms}}) {
      rows.number(name, fmt::format("{}_p50", kind), spread->p50, "ms");
      rows.number(name, fmt::format("{}_p95", kind), spread->p95, "ms");
      rows.number(name, fmt::format("{}_p99", kind), spread->p99, "ms");
    }
  }
  rows.count("saving", "compared_requests", report.compared);
  rows.amount("saving", "baseline_cost", report.baseline_cost);
  rows.amount("saving", "optimized_cost", report.optimized_cost);
  rows.amount("saving", "saved", report.saved());
  rows.number("saving", "saved_percent", report.saved_percent(), "%");
  for (std::size_t i = 0; i < kTechniques; ++i) {
    rows.amount("technique", to_string(static_cast<Technique>(i)), report.by_technique[i]);
  }
  for (std::size_t tier = 1; tier <= 3; ++tier) {
    rows.count("cache", fmt::format("tier_{}_hits", tier), report.hits_by_tier[tier]);
    rows.number("cache", fmt::format("tier_{}_rate", tier),
                share(report.hits_by_tier[tier], report.lookups), "share");
  }
  rows.count("cache", "wrong_hits", report.wrong.size());
  rows.count("cache", "unverified_hits", report.unverified_hits);
  for (std::size_t i = 0; i < kCategories; ++i) {
    const CategoryTotals& category = report.categories[i];
    const std::string_view name = to_string(static_cast<Category>(i));
    rows.count("kind requests", name, category.compared);
    rows.count("kind hits", name, category.hits);
    rows.amount("kind baseline_cost", name, category.baseline);
    rows.amount("kind optimized_cost", name, category.optimized);
  }
  for (const WrongHit& wrong : report.wrong) {
    rows.add("wrong hit", wrong.asked, wrong.cached, fmt::format("tier {}", wrong.tier));
  }
  for (const std::string& failure : report.failures) rows.add("failure", failure, "", "");
  return rows.take();
}

std::string results_json(const Report& report, const RunTotals& totals,
                         std::span<const Request> traffic, std::span<const Reply> replies) {
  json::array rows;
  for (std::size_t i = 0; i < traffic.size(); ++i) {
    const Reply& reply = replies[i];
    if (!reply.asked) continue;
    json::object row{
        {"request", i + 1},
        {"topic", traffic[i].topic},
        {"kind", to_string(topics()[traffic[i].topic].category)},
        {"novelty", to_string(traffic[i].novelty)},
        {"query", prompt_of(traffic[i])},
    };
    if (reply.answered) {
      row["request_id"] = reply.request_id;
      row["model"] = reply.model;
      row["cost"] = reply.cost.dollars();
      row["cache_hit"] = reply.hit;
      row["cache_tier"] = reply.tier;
      row["similarity"] = reply.similarity;
      row["cached_query"] = reply.cached_query;
      row["input_tokens"] = reply.input_tokens;
      row["output_tokens"] = reply.output_tokens;
      row["trimmed_tokens"] = reply.trimmed_tokens;
      row["latency_ms"] = reply.total_ms;
      row["vendor_ms"] = reply.vendor_ms;
    } else {
      row["error"] = reply.error;
    }
    rows.push_back(std::move(row));
  }
  return write_json(json::object{{"setting", setting_json(report.setting)},
                                 {"totals", totals_json(totals)},
                                 {"requests", std::move(rows)}}) +
         '\n';
}

}  // namespace asahi::server::benchmark
