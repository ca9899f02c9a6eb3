/** GET /metrics as JSON and as Prometheus text, the separate listener, and what the numbers mean. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { find_program, free_port, run, stop_everything } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

const fakes = await start_fakes();
const metrics_port = await free_port();
const gateway = await start_gateway({
  fakes,
  env: { ASAHI_OBSERVABILITY_PROMETHEUS_PORT: String(metrics_port), ASAHI_PROVIDERS_MAX_ATTEMPTS: "1" },
});
after(stop_everything);

let replies;
before(async () => {
  replies = [];
  for (let i = 0; i < 6; ++i) replies.push(await gateway.infer(`question ${i % 4}`)); // four misses, two hits
  await gateway.post("/v1/chat/completions", {
    model: "claude-3-5-sonnet",
    messages: [{ role: "user", content: "another shape" }],
  });
  await fakes.script("*", { kind: "status", status: 500, times: 10 });
  assert.equal((await gateway.post("/infer", { prompt: "nobody answers" })).status, 503);
  await fakes.reset();
  await until(async () => (await gateway.get("/metrics")).body.total_requests >= 7, {
    what: "the requests to be counted",
  });
});

test("the JSON has every field of the contract, and they agree", async () => {
  const { body, headers } = await gateway.get("/metrics");
  assert.match(headers.get("content-type"), /^application\/json/);
  for (const name of [
    "total_cost",
    "total_requests",
    "requests",
    "avg_latency_ms",
    "cache_hit_rate",
    "gpt4_equivalent_cost",
    "estimated_savings_vs_gpt4",
    "absolute_savings",
    "savings_percent",
    "avg_quality",
    "cache_size",
    "cache_cost_saved",
    "tier1_hits",
    "tier1_misses",
    "tier2_hits",
    "tier2_misses",
    "tier3_hits",
    "tier3_misses",
    "uptime_seconds",
  ]) {
    assert.equal(typeof body[name], "number", name);
  }
  for (const name of ["cost_by_model", "requests_by_model", "mode_distribution", "cache_stats"])
    assert.equal(typeof body[name], "object", name);
  for (const tier of ["tier_1", "tier_2", "tier_3"])
    for (const name of ["hits", "misses", "hit_rate"])
      assert.equal(typeof body.cache_stats[tier][name], "number", `${tier}.${name}`);
  assert.equal(typeof body.cache_stats.overall_hit_rate, "number");
  assert.deepEqual([body.tier1_hits, body.cache_stats.tier_1.hits, body.cache_size], [2, 2, 5]);
  assert.equal(body.estimated_savings_vs_gpt4, body.absolute_savings);
  assert.equal(body.mode_distribution.autopilot >= 6, true);
  assert.equal(body.requests_by_model["claude-3-5-sonnet"], 1);
});

test("Prometheus text comes by Accept, by format and under /analytics/prometheus", async () => {
  const variants = [
    ["/metrics", { accept: "text/plain" }],
    ["/metrics", { accept: "application/openmetrics-text, text/plain;q=0.5" }],
    ["/metrics?format=prometheus", {}],
    ["/api/v1/metrics?format=prometheus", {}],
    ["/analytics/prometheus", {}],
  ];
  for (const [path, headers] of variants) {
    const reply = await gateway.get(path, headers);
    assert.equal(reply.status, 200, path);
    assert.match(reply.headers.get("content-type"), /^text\/plain|^application\/openmetrics-text/, path);
    assert.match(reply.text, /^# TYPE asahi_requests_total counter$/m, path);
  }
  const json = await gateway.get("/metrics", { accept: "application/json, text/plain;q=0.2" });
  assert.match(json.headers.get("content-type"), /json/);
});

/** Series of an exposition: [{name, labels, value}]; fails on a line that is neither. */
function parse_exposition(text) {
  return text
    .split("\n")
    .filter((line) => line && !line.startsWith("#"))
    .map((line) => {
      const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
      assert.ok(match, `not a sample: ${line}`);
      const labels = Object.fromEntries(
        [...(match[2] ?? "").matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)].map(([, name, value]) => [name, value]),
      );
      return { name: match[1], labels, value: Number(match[3].replace("Inf", "Infinity")) };
    });
}
const scrape = async () => parse_exposition((await gateway.get("/metrics?format=prometheus")).text);
const total = (samples, name, labels = {}) =>
  samples
    .filter((s) => s.name === name && Object.entries(labels).every(([key, value]) => s.labels[key] === value))
    .reduce((sum, s) => sum + s.value, 0);

test("the core series are there with their labels", async () => {
  const samples = await scrape();
  const expected = {
    asahi_requests_total: ["model", "task_type", "cache_tier", "status"],
    asahi_request_latency_seconds_bucket: ["route", "cache_tier", "le"],
    asahi_cache_hits_total: ["tier"],
    asahi_cost_dollars_total: ["model"],
    asahi_errors_total: ["type", "component"],
    asahi_model_latency_seconds_bucket: ["model", "le"],
    asahi_active_requests: [],
    asahi_request_queue_depth: [],
    asahi_cache_lookup_latency_seconds_bucket: ["tier", "le"],
    asahi_build_info: ["version"],
  };
  for (const [name, labels] of Object.entries(expected)) {
    const sample = samples.find((s) => s.name === name);
    assert.ok(sample, `${name} is missing`);
    assert.deepEqual(Object.keys(sample.labels).sort(), labels.toSorted(), name);
  }
});

/** Gateway spec §7.1, row by row: name, type, labels, bucket bounds of histograms. */
const kSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const kSpecified = [
  ["asahi_requests_total", "counter", ["model", "task_type", "cache_tier", "status"]],
  ["asahi_request_latency_seconds", "histogram", ["route", "cache_tier"], kSeconds],
  ["asahi_cache_hits_total", "counter", ["tier"]],
  ["asahi_cost_dollars_total", "counter", ["model"]],
  ["asahi_errors_total", "counter", ["type", "component"]],
  ["asahi_model_latency_seconds", "histogram", ["model"], kSeconds],
  ["asahi_active_requests", "gauge", []],
  ["asahi_request_queue_depth", "gauge", []],
  ["asahi_savings_dollars_total", "counter", ["phase"]],
  ["asahi_latency_ms", "histogram", ["model", "cache_tier"], [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000]],
  ["asahi_cache_misses_total", "counter", ["tier"]],
  ["asahi_cache_hit_rate", "gauge", ["tier"]],
  ["asahi_cache_lookup_latency_seconds", "histogram", ["tier"], [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1]],
  ["asahi_token_count", "histogram", ["direction"], [10, 50, 100, 500, 1000, 5000, 10000]],
  ["asahi_quality_score", "gauge", ["model"]],
  ["asahi_batch_size", "histogram", [], [1, 2, 3, 5, 8, 10, 15, 20]],
  ["asahi_circuit_breaker_state", "gauge", ["provider"]],
  ["asahi_circuit_breaker_failures_total", "counter", ["provider"]],
  ["asahi_provider_retries_total", "counter", ["provider"]],
  ["asahi_fallbacks_total", "counter", ["from", "to"]],
  ["asahi_rate_limited_total", "counter", ["scope"]],
  ["asahi_policy_denials_total", "counter", ["reason"]],
  ["asahi_pii_detections_total", "counter", ["type"]],
  ["asahi_token_estimate_ratio", "gauge", ["model"]],
  ["asahi_db_pool_in_use", "gauge", []],
  ["asahi_build_info", "gauge", ["version"]],
  ["asahi_tenant_requests_total", "counter", ["org_id"]],
  ["asahi_tenant_cost_dollars_total", "counter", ["org_id"]],
];

test("every series of the specification is exposed with its type, labels and buckets", async () => {
  const all = await start_gateway({ fakes, env: { ASAHI_BATCHING_ENABLED: "true", ASAHI_PROVIDERS_MAX_ATTEMPTS: "1" } });
  await all.infer("What is the capital of France?");
  await fakes.script("openai", { kind: "status", status: 500, times: 1 });
  await fakes.script("anthropic", { kind: "status", status: 500, times: 1 });
  await all.post("/infer", { prompt: "somebody falls back" });
  await fakes.script("*", { kind: "status", status: 500, times: 10 });
  await all.post("/infer", { prompt: "nobody answers this" });
  await fakes.reset();
  await until(async () => (await all.get("/metrics")).body.errors >= 1, { what: "the failure to be counted" });
  const { text } = await all.get("/metrics?format=prometheus");
  const samples = parse_exposition(text);
  for (const [name, type, labels, bounds] of kSpecified) {
    assert.match(text, new RegExp(`^# TYPE ${name} ${type}$`, "m"), name);
    const own = samples.filter((sample) => sample.name === (bounds ? `${name}_bucket` : name));
    assert.ok(own.length > 0, `${name} has no series`);
    const { le: _, ...shown } = own[0].labels;
    assert.deepEqual(Object.keys(shown).sort(), labels.toSorted(), name);
    if (!bounds) continue;
    const found = new Set(own.map((sample) => sample.labels.le));
    assert.deepEqual([...found], [...bounds.map(String), "+Inf"], name);
  }
  for (const phase of ["routing", "cache_t1", "cache_t2", "cache_t3", "tokens", "batching"])
    assert.ok(samples.some((s) => s.name === "asahi_savings_dollars_total" && s.labels.phase === phase), phase);
  await all.stop();
});

test("the counters agree with what was asked", async () => {
  const samples = await scrape();
  assert.equal(total(samples, "asahi_requests_total"), 8);
  assert.equal(total(samples, "asahi_cache_hits_total", { tier: "1" }), 2);
  assert.equal(total(samples, "asahi_requests_total", { model: "claude-3-5-sonnet", status: "success" }), 1);
  assert.ok(total(samples, "asahi_errors_total") >= 1);
  const { body } = await gateway.get("/metrics");
  assert.ok(Math.abs(total(samples, "asahi_cost_dollars_total") - body.total_cost) < 1e-6);
  assert.ok(total(samples, "asahi_request_latency_seconds_count", { route: "/infer" }) >= 7);
});

test("histograms are cumulative and end in their count", async () => {
  const samples = await scrape();
  const groups = new Map();
  for (const { name, labels, value } of samples.filter((s) => s.name.endsWith("_bucket"))) {
    const { le, ...rest } = labels;
    const key = JSON.stringify([name.replace(/_bucket$/, ""), rest]);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push([le === "+Inf" ? Infinity : Number(le), value]);
  }
  assert.ok(groups.size > 3);
  for (const [key, buckets] of groups) {
    buckets.sort((a, b) => a[0] - b[0]);
    assert.equal(buckets.at(-1)[0], Infinity, key);
    for (let i = 1; i < buckets.length; ++i) assert.ok(buckets[i][1] >= buckets[i - 1][1], `${key} is not cumulative`);
    const [name, labels] = JSON.parse(key);
    assert.equal(buckets.at(-1)[1], total(samples, `${name}_count`, labels), key);
  }
});

test("active requests are counted while they run and not after", async () => {
  const running = gateway.infer("[[delay_ms:1500]] taking its time");
  const active = async () => total(await scrape(), "asahi_active_requests");
  await until(async () => (await active()) === 1, { what: "one active request" });
  await running;
  await until(async () => (await active()) === 0, { what: "no active request" });
});

test("a hundred unknown models do not make a hundred series", async () => {
  for (let i = 0; i < 100; ++i)
    await gateway.post("/v1/chat/completions", { model: `made-up-${i}`, messages: [{ role: "user", content: "x" }] });
  const { text } = await gateway.get("/metrics?format=prometheus");
  assert.ok(!text.includes("made-up-"), "names from clients became label values");
});

test("the separate listener serves metrics and nothing else", async () => {
  const base = `http://127.0.0.1:${metrics_port}`;
  const metrics = await fetch(`${base}/metrics`);
  assert.equal(metrics.status, 200);
  assert.match(await metrics.text(), /asahi_requests_total/);
  assert.equal((await fetch(`${base}/infer`, { method: "POST", body: "{}" })).status, 404);
});

test(
  "promtool finds nothing to mend",
  { skip: find_program("promtool") ? false : "promtool is not installed" },
  async () => {
    const { text } = await gateway.get("/metrics?format=prometheus");
    const { stdout, stderr } = await run("promtool", ["check", "metrics"], { input: text });
    // These names are older than the rule, and dashboards know them.
    const known = new RegExp(
      "^(asahi_latency_ms|kg_(edges|entities)_total" +
        "|akosha_(search_latency_milliseconds|ingestion_backlog_count|cache_entry_count|warm_conversation_count|(hot|warm|cold)_store_record_count" +
        "|knowledge_graph_(entities|relationships)_total|storage_(bytes_)?(up|down)load(s|ed)|storage_(up|down)load_latency_ms)) ",
    );
    const said = (stdout + stderr).split("\n").filter((line) => line && !known.test(line));
    assert.deepEqual(said, []);
  },
);

test("health tells components and vendors", async () => {
  const { body } = await gateway.get("/health");
  assert.deepEqual([body.status, body.cache_backend], ["healthy", "memory"]);
  assert.match(body.version, /^\d+\.\d+\.\d+$/);
  assert.ok(Math.abs(Date.parse(body.timestamp) - Date.now()) < 60_000 && body.uptime_seconds >= 0);
  for (const name of [
    "cache",
    "router",
    "tracker",
    "registry",
    "observability",
    "postgres",
    "redis",
    "anthropic",
    "openai",
  ]) {
    assert.match(body.components[name], /^(healthy|degraded|unavailable|not_configured|reachable)$/, name);
  }
  assert.equal(body.components.redis, "not_configured");
  const providers = await gateway.get("/health/providers");
  assert.equal(providers.status, 200);
  assert.match(providers.text, /"openai"/);
});

test("models come with prices, quality, limits and the task defaults", async () => {
  const { body } = await gateway.get("/models");
  assert.equal(body.count, body.models.length);
  assert.ok(body.models.length >= 20);
  const model = body.models.find((m) => m.name === "gpt-4o-mini");
  for (const name of [
    "provider",
    "cost_per_1k_input",
    "cost_per_1k_output",
    "cost_per_1k_input_tokens",
    "cost_per_1k_output_tokens",
    "quality",
    "quality_score",
    "latency_ms",
    "avg_latency_ms",
    "max_input_tokens",
    "max_output_tokens",
    "description",
    "availability",
  ])
    assert.ok(name in model, name);
  assert.deepEqual([model.cost_per_1k_input, model.cost_per_1k_output, model.quality], [0.00015, 0.0006, 4]);
  assert.deepEqual(body.task_types.toSorted(), [
    "classification",
    "coding",
    "creative",
    "faq",
    "general",
    "legal",
    "reasoning",
    "summarization",
    "translation",
  ]);
  assert.equal(body.default_constraints.legal.quality_threshold, 4.2);
});
