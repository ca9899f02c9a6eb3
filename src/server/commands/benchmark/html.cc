#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/markup.h"
#include "server/commands/benchmark/report.h"

// The report as one HTML page: charts are SVG in the page, nothing is loaded from anywhere.
namespace asahi::server::benchmark {
namespace {

constexpr std::string_view kStyle = R"(
:root{color-scheme:light dark;--bg:#f5f5f5;--panel:#fff;--line:#e0e0e0;--text:#1a1a1a;--soft:#4a4a4a;--main:#ff6b35;--light:#ffb84d;--good:#2e7d32;--bad:#c62828;--grey:#9e9e9e}
@media(prefers-color-scheme:dark){:root{--bg:#0f0f0f;--panel:#141414;--line:#2d2d2d;--text:#f0f0f0;--soft:#b8b8b8;--main:#d97b4a;--light:#ffb84d;--good:#66bb6a;--bad:#ef6f6c;--grey:#757575}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:16px/1.5 Inter,system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1000px;margin:0 auto;padding:16px}
h1{font-size:24px;margin:8px 0}h2{font-size:18px;margin:0 0 12px}
p{margin:8px 0}.soft{color:var(--soft);font-size:14px}
.grid{display:grid;gap:16px;grid-template-columns:1fr;margin:16px 0}
.tiles{display:grid;gap:16px;grid-template-columns:repeat(2,1fr);margin:16px 0}
@media(min-width:760px){.grid{grid-template-columns:1fr 1fr}.tiles{grid-template-columns:repeat(4,1fr)}}
section{margin:16px 0}.grid section{margin:0}section,.tile{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:16px;min-width:0}
.tile b{display:block;font-size:clamp(16px,4.6vw,22px);overflow-wrap:anywhere}.tile span{color:var(--soft);font-size:14px}
.warn{border-left:4px solid var(--bad)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px}
th,td{padding:6px 5px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left}td.text{white-space:normal;text-align:left;overflow-wrap:anywhere;min-width:140px}
svg{display:block;width:100%;height:auto}svg text{fill:var(--text);font-size:13px}svg .soft{fill:var(--soft)}
.main{fill:var(--main)}.light{fill:var(--light)}.good{fill:var(--good)}.bad{fill:var(--bad)}.grey{fill:var(--grey)}
.axis{stroke:var(--line)}.curve{fill:none;stroke-width:2}.c1{stroke:var(--grey)}.c2{stroke:var(--main)}
)";

std::string dollars(NanoUsd amount) {
  const double value = std::abs(amount.dollars());
  return fmt::format("{}${:.{}f}", amount.nanos < 0 ? "−" : "", value, value < 1 ? 6 : 2);
}
double share(std::size_t part, std::size_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

struct Bar {
  std::string label;
  double value = 0;
  std::string shown;
  std::string_view css_class = "main";
};

/// Labels above their bars, so that it can be read at the width of a phone.
std::string bar_chart(std::string_view title, const std::vector<Bar>& bars) {
  constexpr double kWidth = 330, kRow = 36;
  double low = 0, high = 0;
  for (const Bar& bar : bars) {
    low = std::min(low, bar.value);
    high = std::max(high, bar.value);
  }
  const double scale = high > low ? kWidth / (high - low) : 0;
  const double zero = -low * scale;
  std::string out =
      fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", kWidth,
                  kRow * static_cast<double>(bars.size()), escape_markup(title));
  double y = 0;
  for (const Bar& bar : bars) {
    const double length = std::abs(bar.value) * scale;
    out += fmt::format(
        "<text x=\"0\" y=\"{:.0f}\">{}</text><text x=\"{}\" y=\"{:.0f}\" "
        "text-anchor=\"end\">{}</text>",
        y + 13, escape_markup(bar.label), kWidth, y + 13, escape_markup(bar.shown));
    out += fmt::format(
        "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.0f}\" width=\"{:.1f}\" height=\"10\" rx=\"2\"/>",
        bar.css_class, bar.value < 0 ? zero - length : zero, y + 19,
        bar.value == 0 ? 0.0 : std::max(1.0, length));
    y += kRow;
  }
  if (low < 0)
    out += fmt::format(
        "<line class=\"axis\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"0\" y2=\"{1:.0f}\"/>", zero, y);
  return out + "</svg>";
}

/// What both runs had cost after each request.
std::string cost_chart(const Report& report) {
  constexpr double kWidth = 330, kHeight = 180, kLeft = 4, kBottom = 20, kTop = 10;
  constexpr std::size_t kMostPoints = 240;
  const std::size_t count = report.cumulative.size();
  if (count < 2) return "<p class=\"soft\">Too few requests for a line.</p>";
  const double top = std::max(
      {report.cumulative.back().first.dollars(), report.cumulative.back().second.dollars(), 1e-9});
  const std::size_t step = (count + kMostPoints - 1) / kMostPoints;
  std::string baseline, optimized;
  const auto add = [&](std::size_t i) {
    const double x =
        kLeft + (kWidth - kLeft) * static_cast<double>(i) / static_cast<double>(count - 1);
    const auto y = [&](NanoUsd cost) {
      return kHeight - kBottom - (kHeight - kBottom - kTop) * cost.dollars() / top;
    };
    baseline += fmt::format("{:.1f},{:.1f} ", x, y(report.cumulative[i].first));
    optimized += fmt::format("{:.1f},{:.1f} ", x, y(report.cumulative[i].second));
  };
  for (std::size_t i = 0; i + 1 < count; i += step) add(i);
  add(count - 1);
  return fmt::format(
      "<svg viewBox=\"0 0 {0} {1}\" role=\"img\" aria-label=\"Cost so far, by request\">"
      "<line class=\"axis\" x1=\"{2}\" x2=\"{0}\" y1=\"{3}\" y2=\"{3}\"/>"
      "<polyline class=\"curve c1\" points=\"{4}\"/><polyline class=\"curve c2\" points=\"{5}\"/>"
      "<text x=\"{2}\" y=\"14\">{6}</text><text class=\"soft\" x=\"{2}\" y=\"{7}\">1</text>"
      "<text class=\"soft\" x=\"{0}\" y=\"{7}\" text-anchor=\"end\">{8} requests</text></svg>"
      "<p class=\"soft\">Grey: baseline. Orange: optimised.</p>",
      kWidth, kHeight, kLeft, kHeight - kBottom, baseline, optimized,
      escape_markup(dollars(report.cumulative.back().first)), kHeight - 5, count);
}

std::string tile(std::string_view value, std::string_view label) {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>", escape_markup(value),
                     escape_markup(label));
}

std::string section(std::string_view title, const std::string& content) {
  return fmt::format("<section><h2>{}</h2>{}</section>", escape_markup(title), content);
}

std::string technique_label(Technique technique) {
  std::string label(to_string(technique));
  std::ranges::replace(label, '_', ' ');
  return label;
}

std::string kinds_table(const Report& report) {
  std::string out =
      "<div class=\"scroll\" "
      "tabindex=\"0\"><table><thead><tr><th>Kind</th><th>Requests</th><th>Hits</th>"
      "<th>Baseline</th><th>Optimised</th><th>Saved</th></tr></thead><tbody>";
  for (std::size_t i = 0; i < kCategories; ++i) {
    const CategoryTotals& category = report.categories[i];
    if (category.compared == 0) continue;
    const NanoUsd saved = category.baseline - category.optimized;
    out += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.1f} %</td></tr>",
        escape_markup(to_string(static_cast<Category>(i))), category.compared, category.hits,
        dollars(category.baseline), dollars(category.optimized),
        category.baseline.nanos == 0 ? 0.0
                                     : 100 * static_cast<double>(saved.nanos) /
                                           static_cast<double>(category.baseline.nanos));
  }
  return out + "</tbody></table></div>";
}

std::string runs_table(const Report& report) {
  std::string out =
      "<div class=\"scroll\" "
      "tabindex=\"0\"><table><thead><tr><th></th><th>Baseline</th><th>Optimised</th></tr>"
      "</thead><tbody>";
  const auto row = [&out](std::string_view name, const std::string& a, const std::string& b) {
    out += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>", escape_markup(name),
                       escape_markup(a), escape_markup(b));
  };
  const RunTotals &a = report.baseline, &b = report.optimized;
  row("Requests", fmt::format("{}", a.asked), fmt::format("{}", b.asked));
  row("Failures", fmt::format("{}", a.failed), fmt::format("{}", b.failed));
  row("Input tokens paid", fmt::format("{}", a.input_tokens), fmt::format("{}", b.input_tokens));
  row("Output tokens paid", fmt::format("{}", a.output_tokens), fmt::format("{}", b.output_tokens));
  row("Predicted quality, 0 to 5", fmt::format("{:.2f}", a.mean_quality),
      fmt::format("{:.2f}", b.mean_quality));
  const auto times = [&](std::string_view name, const Spread& left, const Spread& right) {
    for (const auto& [rank, value] :
         {std::pair{"p50", &Spread::p50}, std::pair{"p95", &Spread::p95},
          std::pair{"p99", &Spread::p99}}) {
      row(fmt::format("{} {}", name, rank), fmt::format("{:.2f} ms", left.*value),
          fmt::format("{:.2f} ms", right.*value));
    }
  };
  times("Added latency", a.added_ms, b.added_ms);
  times("Latency", a.total_ms, b.total_ms);
  return out + "</tbody></table></div>";
}

std::string wrong_hits(const Report& report) {
  std::string out = fmt::format("<p>{} of {} hits gave the answer to another question.</p>",
                                report.wrong.size(), report.hits());
  if (report.unverified_hits > 0)
    out +=
        fmt::format("<p>{} hits could not be checked: their entries are older than this run.</p>",
                    report.unverified_hits);
  if (report.wrong.empty()) return out;
  out +=
      "<div class=\"scroll\" "
      "tabindex=\"0\"><table><thead><tr><th>Request</th><th>Tier</th><th>Similarity</th>"
      "<th>Asked</th><th>Answered as</th></tr></thead><tbody>";
  for (const WrongHit& wrong : report.wrong) {
    out += fmt::format(
        "<tr><td>{}</td><td>{}</td><td>{:.4f}</td><td class=\"text\">{}</td><td "
        "class=\"text\">{}</td></tr>",
        wrong.request + 1, wrong.tier, wrong.similarity, escape_markup(wrong.asked),
        escape_markup(wrong.cached));
  }
  return out + "</tbody></table></div>";
}

}  // namespace

std::string as_html(const Report& report) {
  const Setting& setting = report.setting;
  std::string out = fmt::format(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
      "<title>Asahi benchmark</title><style>{}</style></head><body><main><h1>Asahi benchmark</h1>"
      "<p class=\"soft\">{} · {} requests, seed {}, {:.0f} % repeats wanted · baseline {} · "
      "autopilot, quality {}, {} ms · {}{} · version {}</p>",
      kStyle, escape_markup(setting.started), setting.traffic.requests, setting.traffic.seed,
      100 * setting.traffic.repeats, escape_markup(setting.baseline_model), setting.quality,
      setting.latency_ms, escape_markup(setting.gateway), setting.mock ? ", mock vendor" : "",
      escape_markup(setting.version));
  if (setting.interrupted)
    out += fmt::format("<p class=\"warn tile\">Interrupted: {} of {} requests were compared.</p>",
                       report.compared, setting.traffic.requests);
  if (!setting.fresh_cache)
    out +=
        "<p class=\"warn tile\">The cache was not fresh: it may have known answers from before "
        "this run.</p>";
  out += "<div class=\"tiles\">";
  out += tile(fmt::format("{:.1f} %", report.saved_percent()), "saved");
  out += tile(dollars(report.saved()), fmt::format("of {}", dollars(report.baseline_cost)));
  out += tile(fmt::format("{:.1f} %", 100 * share(report.hits(), report.lookups)),
              fmt::format("cache hits of {} requests", report.lookups));
  out += tile(fmt::format("{}", report.wrong.size()), "wrong hits");
  out += "</div><div class=\"grid\">";
  out +=
      section("Cost", bar_chart("Cost of both runs", {{"baseline", report.baseline_cost.dollars(),
                                                       dollars(report.baseline_cost), "grey"},
                                                      {"optimised", report.optimized_cost.dollars(),
                                                       dollars(report.optimized_cost), "main"}}) +
                          cost_chart(report));
  std::vector<Bar> bars;
  for (std::size_t i = 0; i < kTechniques; ++i) {
    const NanoUsd part = report.by_technique[i];
    bars.push_back({technique_label(static_cast<Technique>(i)), part.dollars(), dollars(part),
                    part.nanos < 0 ? "bad" : "good"});
  }
  out += section("Saved by", bar_chart("Saving by technique", bars) +
                                 "<p class=\"soft\">The parts add up to the whole.</p>");
  bars.clear();
  constexpr std::array<std::string_view, 4> kTiers = {"no hit", "tier 1, exact", "tier 2, semantic",
                                                      "tier 3, steps"};
  for (const std::size_t tier : {1U, 2U, 3U, 0U}) {
    const double rate = share(report.hits_by_tier[tier], report.lookups);
    bars.push_back({std::string(kTiers[tier]), rate,
                    fmt::format("{} ({:.1f} %)", report.hits_by_tier[tier], 100 * rate),
                    tier == 0 ? "grey" : "main"});
  }
  out += section("Answered by", bar_chart("Requests by cache tier", bars));
  bars.clear();
  for (const auto& [name, value] : {std::pair{"p50", report.optimized.added_ms.p50},
                                    std::pair{"p95", report.optimized.added_ms.p95},
                                    std::pair{"p99", report.optimized.added_ms.p99}}) {
    bars.push_back({name, value, fmt::format("{:.3f} ms", value), "light"});
  }
  out += section("Latency added by the gateway",
                 bar_chart("Latency without the vendor's time", bars) +
                     "<p class=\"soft\">As the caller measured it, less the time spent waiting for "
                     "the vendor.</p>");
  out += "</div>";
  out += section("Wrong hits", wrong_hits(report));
  out += section("By kind of request", kinds_table(report));
  out += section("Both runs", runs_table(report));
  if (!report.failures.empty()) {
    std::string list = "<ul>";
    for (const std::string& failure : report.failures)
      list += fmt::format("<li>{}</li>", escape_markup(failure));
    out += section("Failures", list + "</ul>");
  }
  return out + "</main></body></html>\n";
}

}  // namespace asahi::server::benchmark
