/** Every analytics endpoint against sums over the event files, for two organisations; the live stream; bad parameters. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { make_key, set_policy, bearer, start_governed } from "./support/governed.mjs";
import { stop_everything } from "./support/processes.mjs";
import { OpenAI } from "./support/sdks.mjs";
import { sse_frames } from "./support/sse.mjs";
import { until, within } from "./support/wait.mjs";

const gateway = await start_governed({ env: { ASAHI_MOCK: "true" } });
after(stop_everything);

const keys = {};
/** What was asked of an organisation, as its event files tell. */
const events_of = (org) => gateway.events().filter((event) => event.org_id === org);
const get = (path, org = "acme") => gateway.get(`/analytics/${path}`, bearer(keys[org]));
const data = async (path, org) => {
  const reply = await get(path, org);
  assert.equal(reply.status, 200, `${path}: ${reply.text}`);
  return reply.body.data;
};
const sum = (list, of) => list.reduce((total, item) => total + (of(item) ?? 0), 0);
const close = (actual, expected, what) => assert.ok(Math.abs(actual - expected) < 2e-6, `${what}: ${actual} is not ${expected}`);

async function ask(org, count) {
  const client = new OpenAI({ apiKey: keys[org], baseURL: `${gateway.url}/v1`, maxRetries: 0 });
  for (let i = 0; i < count; ++i) {
    await client.chat.completions.create({
      model: ["gpt-4o", "gpt-4o-mini", "claude-3-5-sonnet"][i % 3],
      messages: [{ role: "user", content: `What is ${Math.floor(i / 2) % 5} plus ${i % 3}?` }],
      user: ["ann", "bob", "名前"][i % 3],
    });
  }
}

before(async () => {
  for (const org of ["acme", "globex", "initech"]) {
    await set_policy(gateway, org, {});
    keys[org] = await make_key(gateway, org, { scopes: ["infer", "analytics"] });
  }
  await ask("acme", 40);
  await ask("globex", 7);
  await gateway.post("/infer", { prompt: "no such model", routing_mode: "explicit", model_override: "made-up" }, bearer(keys.acme));
  await until(async () => (await data("cost-breakdown")).total_requests === events_of("acme").length, {
    what: "the events to be in the table",
  });
});

test("what was just answered is in the figures soon", async () => {
  await ask("globex", 1);
  await until(async () => (await data("cost-breakdown", "globex")).total_requests === 8, { what: "the sums" });
  assert.equal((await data("recent-inferences", "globex")).length, 8);
});

test("costs by model, task, user and tier are those of the events", async () => {
  const events = events_of("acme");
  for (const [group, key] of [
    ["model", (event) => event.model_used],
    ["task_type", (event) => event.task_type],
    ["user", (event) => event.user_id],
    ["tier", (event) => String(event.cache_tier)],
    ["provider", (event) => event.provider],
  ]) {
    const breakdown = await data(`cost-breakdown?group_by=${group}`);
    const expected = new Map();
    for (const event of events) {
      const name = key(event) || "unknown";
      expected.set(name, (expected.get(name) ?? 0) + event.cost);
    }
    assert.deepEqual(new Set(Object.keys(breakdown.breakdown)), new Set(expected.keys()), group);
    for (const [name, cost] of expected) close(breakdown.breakdown[name], cost, `${group} ${name}`);
    close(breakdown.total_cost, sum(events, (event) => event.cost), "total");
  }
});

test("trends, overview, summary, baseline and savings add up to the events", async () => {
  const events = events_of("acme");
  const cost = sum(events, (event) => event.cost);
  const baseline = sum(events, (event) => event.baseline_cost);
  const hits = events.filter((event) => event.cache_hit).length;
  for (const period of ["hour", "day", "week", "month", "quarter"]) {
    const trend = await data(`trends?metric=requests&period=${period}&intervals=12`);
    assert.equal(trend.points.length, 12);
    assert.equal(sum(trend.points, (point) => point.value), events.length, period);
  }
  const overview = await data("overview?period=7d");
  assert.equal(overview.current.requests, events.length);
  assert.equal(overview.current.cache_hits, hits);
  assert.ok(hits > 0);
  close(overview.current.total_cost, cost, "overview");
  assert.equal(overview.previous.requests, 0);
  assert.equal(overview.delta_pct.requests, null);
  close(sum(overview.series, (point) => point.cost), cost, "series");
  const summary = await data("cost-summary");
  close(summary.total_cost, cost, "summary");
  assert.equal(summary.request_count, events.length);
  const compared = await data("baseline");
  close(compared.baseline_cost, baseline, "baseline");
  close(compared.savings, baseline - cost, "saving");
  const savings = await data("savings?period=24h");
  assert.deepEqual(savings.waterfall.map((step) => step.key), ["baseline", "routing", "cache_t1", "cache_t2", "cache_t3", "tokens", "batching", "actual"]);
  close(savings.total_savings, baseline - cost, "savings");
  close(sum(Object.values(savings.by_technique), (amount) => amount), baseline - cost, "techniques");
  const { body: totals } = await gateway.get("/metrics", bearer(keys.acme));
  close(totals.total_cost, overview.current.total_cost, "GET /metrics");
  assert.equal(totals.total_requests, overview.current.requests);
});

test("cache, latency, models and drivers are those of the events", async () => {
  const events = events_of("acme");
  const answered = events.filter((event) => !event.error);
  const cache = await data("cache-performance");
  assert.equal(cache.hits, events.filter((event) => event.cache_hit).length);
  assert.equal(cache.lookups, answered.length);
  assert.equal(cache.tier_1.hits + cache.tier_1.misses, answered.length);
  assert.equal(cache.overall_hit_rate, Math.round((cache.hits / cache.lookups) * 1e4) / 1e4);
  const latencies = answered.map((event) => event.latency_ms).sort((a, b) => a - b);
  const latency = await data("latency-percentiles");
  for (const p of [50, 75, 90, 95, 99]) {
    const expected = latencies[Math.ceil((p / 100) * latencies.length) - 1];
    assert.ok(Math.abs(latency[`p${p}`] - expected) <= 0.01 * expected + 0.02, `p${p}: ${latency[`p${p}`]} is not ${expected}`);
  }
  const models = await data("leaderboard?sort_by=cost");
  assert.equal(sum(models, (model) => model.requests), events.length);
  assert.deepEqual(models.map((model) => model.rank).toSorted((a, b) => a - b)[0], 1);
  const drivers = await data("top-cost-drivers?limit=500");
  close(sum(drivers, (driver) => driver.total_cost), sum(events, (event) => event.cost), "drivers");
  assert.equal((await data("models")).length, models.length);
  assert.equal((await data("cache")).granularity, "day");
  assert.equal((await data("latency?period=24h")).granularity, "hour");
});

test("events are found by words, filters, pages and id", async () => {
  const events = events_of("acme");
  const found = async (query) => (await data(`recent-inferences?limit=500&${query}`)).length;
  assert.equal(await found(""), events.length);
  assert.equal(await found("model=gpt-4o"), events.filter((event) => event.model_used === "gpt-4o").length);
  assert.equal(await found("cache_hit=true"), events.filter((event) => event.cache_hit).length);
  assert.equal(await found(`user=${encodeURIComponent("名前")}`), events.filter((event) => event.user_id === "名前").length);
  assert.equal(await found("q=claude+sonnet"), events.filter((event) => event.model_used?.includes("sonnet")).length);
  const pages = [];
  for (let cursor = ""; cursor !== null;) {
    const { body } = await get(`requests?limit=15&cursor=${cursor}`);
    pages.push(...body.data.map((event) => event.request_id));
    cursor = body.next_cursor;
  }
  assert.deepEqual(pages.toSorted(), events.map((event) => event.request_id).toSorted());
  const second = await get("requests?limit=15&page=2");
  assert.deepEqual(second.body.data.map((event) => event.request_id), pages.slice(15, 30));
  const one = await data(`events/${events[3].request_id}`);
  assert.equal(one.model_used, events[3].model_used);
  close(one.cost, events[3].cost, "cost");
});

test("forecast, anomalies and recommendations answer a young system sensibly", async () => {
  const forecast = await data("forecast?monthly_budget=10");
  assert.equal(forecast.predicted_cost, 0);
  assert.equal(forecast.trend, "stable");
  assert.match(forecast.warning, /at least 3/);
  assert.equal(forecast.budget.source, "parameter");
  for (const anomaly of await data("anomalies")) {
    assert.ok(["warning", "critical"].includes(anomaly.severity));
    assert.ok(anomaly.message.length > 10);
  }
  const { body } = await get("recommendations");
  assert.equal(body.requests, events_of("acme").length);
  for (const one of body.data) assert.ok(one.id && one.action && ["high", "medium", "low"].includes(one.priority));
  assert.deepEqual((await get("recommendations", "globex")).body.data, [], "fewer than ten requests");
});

test("an organisation without requests gets zeros", async () => {
  for (const path of ["cost-breakdown", "trends", "forecast", "anomalies", "recommendations", "cache-performance", "latency-percentiles",
    "cost-summary", "recent-inferences", "requests", "baseline", "top-cost-drivers", "overview", "savings", "models", "leaderboard",
    "cache", "latency"]) {
    const reply = await get(path, "initech");
    assert.equal(reply.status, 200, `${path}: ${reply.text}`);
    for (const org of ["acme", "globex"]) assert.ok(!reply.text.includes(events_of(org)[0].request_id), path);
    assert.equal((await gateway.get(`/api/v1/analytics/${path}`, bearer(keys.initech))).status, 200);
    assert.equal((await gateway.get(`/analytics/${path}`)).status, 401);
  }
  assert.equal((await get(`events/${events_of("acme")[0].request_id}`, "initech")).status, 404);
});

test("wrong parameters are told apart by field, value and rule", async () => {
  for (const [path, field] of [
    ["cost-breakdown?period=year", "period"],
    ["cost-breakdown?group_by=colour", "group_by"],
    ["trends?intervals=1001", "intervals"],
    ["trends?metric=%3Cscript%3E", "metric"],
    ["forecast?horizon_days=0", "horizon_days"],
    ["forecast?monthly_budget=-3", "monthly_budget"],
    ["recent-inferences?limit=501", "limit"],
    ["requests?limit=201", "limit"],
    ["requests?cursor=x", "cursor"],
    ["requests?from=tomorrow", "from"],
    ["stream?aggregate=1", "aggregate"],
  ]) {
    const reply = await get(path);
    assert.equal(reply.status, 400, path);
    assert.equal(reply.body.error, "validation_error");
    assert.equal(reply.body.details.field, field, path);
    assert.ok(reply.body.message.includes(field), reply.body.message);
  }
});

/** Opens the live stream; resolves once it is connected. */
async function watch(query = "", org = "acme") {
  const stopped = new AbortController();
  const response = await fetch(`${gateway.url}/analytics/stream${query}`, { headers: bearer(keys[org]), signal: stopped.signal });
  return { response, frames: response.ok ? sse_frames(response) : undefined, stop: () => stopped.abort() };
}
/** The next frame of a kind. */
async function next(watcher, kind) {
  for (;;) {
    const { value, done } = await within(10_000, `an event ${kind}`, watcher.frames.next());
    assert.ok(!done, "the stream ended");
    if (value.event === kind) return JSON.parse(value.data);
  }
}

test("the live stream shows a call as it is answered, and nobody else's", async () => {
  const watcher = await watch();
  assert.match(watcher.response.headers.get("content-type"), /^text\/event-stream/);
  await ask("globex", 1);
  const { headers } = await gateway.post("/infer", { prompt: "seen live" }, bearer(keys.acme));
  const event = await next(watcher, "inference");
  assert.equal(event.request_id, headers.get("x-request-id"));
  assert.equal(event.cache_hit, false);
  watcher.stop();
});

test("aggregated, the stream sums up each interval", async () => {
  const watcher = await watch("?aggregate=200");
  await ask("acme", 12);
  let requests = 0;
  while (requests < 12) {
    const summary = await next(watcher, "summary");
    requests += summary.requests;
    assert.ok(Date.parse(summary.to) > Date.parse(summary.from));
    assert.equal(summary.hits, summary.hits_by_tier[1] + summary.hits_by_tier[2] + summary.hits_by_tier[3]);
  }
  assert.equal(requests, 12);
  watcher.stop();
});

test("many clients watch, no more than may, and their places become free", async () => {
  const watchers = await Promise.all(Array.from({ length: 32 }, () => watch()));
  assert.ok(watchers.every((watcher) => watcher.response.status === 200));
  const refused = await watch();
  assert.equal(refused.response.status, 429);
  assert.ok(Number(refused.response.headers.get("retry-after")) > 0);
  const { headers } = await gateway.post("/infer", { prompt: "everybody sees this" }, bearer(keys.acme));
  const seen = await Promise.all(watchers.map((watcher) => next(watcher, "inference")));
  assert.ok(seen.every((event) => event.request_id === headers.get("x-request-id")));
  for (const watcher of watchers) watcher.stop();
  await until(
    async () => {
      const watcher = await watch();
      const ok = watcher.response.status === 200;
      watcher.stop();
      return ok;
    },
    { what: "a place to become free" },
  );
});

test("a stream outlives the time that other requests have, and ends with the server", async () => {
  const own = await start_governed({ env: { ASAHI_MOCK: "true", ASAHI_API_REQUEST_TIMEOUT_SECONDS: "1" } });
  await set_policy(own, "acme", {});
  const key = bearer(await make_key(own, "acme", { scopes: ["infer", "analytics"] }));
  const response = await fetch(`${own.url}/analytics/stream`, { headers: key });
  const frames = sse_frames(response);
  const started = performance.now();
  await until(() => performance.now() - started > 1500, { what: "the time of a request to pass" });
  await own.post("/infer", { prompt: "still there" }, key);
  const { value } = await within(10_000, "an event", frames.next());
  assert.equal(value.event, "inference");
  const stopped = own.stop();
  const { value: last } = await within(10_000, "the end", frames.next());
  assert.equal(last.event, "bye");
  assert.equal((await within(10_000, "the end of the body", frames.next())).done, true);
  assert.equal((await stopped).code, 0);
});
