/** Live events over WebSocket with an unmodified client (undici, which Node itself uses), runtime alerts to webhooks, and what a status page asks. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, test } from "node:test";

import { WebSocket } from "undici";

import { start_gateway } from "./support/gateway.mjs";
import { bearer, make_key, operator, start_governed } from "./support/governed.mjs";
import { stop_everything } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

after(stop_everything);

/** A WebSocket with its messages so far. */
class Listener {
  constructor(gateway, path = "/memory/ws") {
    this.messages = [];
    this.closed = new Promise((done) => (this.close_now = done));
    this.socket = new WebSocket(gateway.url.replace("http", "ws") + path);
    this.socket.addEventListener("message", ({ data }) => this.messages.push(JSON.parse(data)));
    this.socket.addEventListener("close", ({ code, reason }) => this.close_now({ code, reason }));
  }
  send(message) {
    this.socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }
  async next(matches, what) {
    return until(() => this.messages.find(matches), { what, timeout_ms: 10_000, every_ms: 10 });
  }
  async ask(message) {
    const id = `m${this.messages.length}-${Math.random()}`;
    this.send({ id, ...message });
    return this.next((one) => one.correlation_id === id, JSON.stringify(message));
  }
}

test("a subscriber hears of what is taken in", async () => {
  const gateway = await start_gateway();
  const live = new Listener(gateway);
  const welcome = await live.next((one) => one.event === "session.created", "the welcome");
  assert.equal(welcome.type, "event");
  assert.deepEqual([welcome.data.authenticated, welcome.data.secure], [true, false]);
  assert.match(welcome.data.connection_id, /^ws_/);
  const subscribed = await live.ask({ type: "request", event: "subscribe", data: { channel: "metrics" } });
  assert.deepEqual(subscribed.data, { channel: "metrics", subscribed: true });

  const stored = await gateway.post("/memory/memories/batch", {
    memories: [
      { memory_id: "a", text: "The build broke on Monday.", system_id: "buddy" },
      { memory_id: "b", text: "It was mended on Tuesday.", system_id: "buddy" },
    ],
  });
  assert.equal(stored.status, 200, stored.text);
  const event = await live.next((one) => one.event === "aggregation.completed", "the event");
  assert.equal(event.room, "metrics");
  assert.equal(event.data.record_count, 2);
  assert.equal(event.data.summary.system_id, "buddy");

  assert.equal((await live.ask({ type: "ping" })).type, "pong");
  assert.equal((await live.ask({ type: "request", event: "dance" })).error_code, "UNKNOWN_REQUEST");
  assert.equal((await live.ask({ type: "subscribe", room: "secrets" })).error_code, "UNKNOWN_CHANNEL");
  live.send("{broken");
  await live.next((one) => one.error_code === "DECODE_ERROR", "an answer to broken JSON");
  await live.ask({ type: "unsubscribe", room: "metrics" });
  const before = live.messages.length;
  await gateway.post("/memory/memories", { memory_id: "c", text: "Nobody hears of this.", system_id: "buddy" });
  await live.ask({ type: "ping" });
  assert.ok(!live.messages.slice(before).some((one) => one.type === "event"));
  live.socket.close();
  assert.equal((await live.closed).code, 1000);
});

test("who floods is closed", async () => {
  const gateway = await start_gateway();
  const live = new Listener(gateway);
  await live.next((one) => one.event === "session.created", "the welcome");
  for (let i = 0; i < 400; ++i) live.send({ type: "ping" });
  assert.equal((await live.closed).code, 1008);
  assert.ok(live.messages.some((one) => one.error_code === "RATE_LIMITED"));
});

test("with authentication a token comes first, and organisations hear their own", async () => {
  const gateway = await start_governed();
  const acme = await make_key(gateway, "acme");
  const other = await make_key(gateway, "other");

  const hasty = new Listener(gateway);
  await hasty.next((one) => one.event === "session.created" && one.data.authenticated === false, "the welcome");
  hasty.send({ type: "request", event: "subscribe", data: { channel: "metrics" } });
  await hasty.next((one) => one.error_code === "AUTH_REQUIRED", "a refusal");
  assert.equal((await hasty.closed).code, 1008);

  const wrong = new Listener(gateway);
  await wrong.next((one) => one.event === "session.created", "the welcome");
  wrong.send({ type: "request", event: "auth", data: { token: "ask_nobody_0000" } });
  await wrong.next((one) => one.error_code === "AUTH_FAILED", "a refusal");
  assert.equal((await wrong.closed).code, 1008);

  const listen = async (token) => {
    const live = new Listener(gateway);
    await live.next((one) => one.event === "session.created", "the welcome");
    const known = await live.ask({ type: "request", event: "auth", data: { token } });
    assert.equal(known.data?.authenticated, true, JSON.stringify(known));
    await live.ask({ type: "subscribe", room: "metrics" });
    return live;
  };
  const ours = await listen(acme);
  const theirs = await listen(other);
  const stored = await gateway.post("/memory/memories", { memory_id: "a", text: "Only acme knows.", system_id: "s" }, bearer(acme));
  assert.equal(stored.status, 200, stored.text);
  await ours.next((one) => one.event === "aggregation.completed", "the event");
  await theirs.ask({ type: "ping" });
  assert.ok(!theirs.messages.some((one) => one.event === "aggregation.completed"));

  const narrow = await listen_denied(gateway, await make_key(gateway, "acme", { scopes: ["infer"] }));
  assert.equal(narrow, "FORBIDDEN");
  ours.socket.close();
  theirs.socket.close();
});

async function listen_denied(gateway, token) {
  const live = new Listener(gateway);
  await live.next((one) => one.event === "session.created", "the welcome");
  await live.ask({ type: "request", event: "auth", data: { token } });
  const answer = await live.ask({ type: "subscribe", room: "metrics" });
  live.socket.close();
  return answer.error_code;
}

test("health, readiness, status, systems, metrics, breakers and settings", async () => {
  const gateway = await start_gateway();
  await gateway.post("/memory/memories", { memory_id: "a", text: "One memory.", system_id: "buddy" });
  const health = await gateway.get("/memory/health");
  assert.deepEqual([health.status, health.body.status, health.body.service], [200, "ok", "akosha"]);
  assert.match(health.body.version, /^\d+\.\d+\.\d+/);
  const ready = await gateway.get("/api/v1/memory/ready");
  assert.equal(ready.status, 200, ready.text);
  assert.equal(ready.body.dependencies.database.status, "healthy");
  assert.equal(ready.body.dependencies.hot.status, "healthy");
  const status = await gateway.get("/memory/status");
  assert.ok(status.body.uptime_seconds >= 0 && status.body.dependencies.hot.latency_ms >= 0, status.text);

  const systems = await gateway.get("/memory/systems");
  assert.deepEqual(
    systems.body.systems.map(({ system_id, total_records, uploads }) => ({ system_id, total_records, uploads })),
    [{ system_id: "buddy", total_records: 1, uploads: 1 }],
  );
  const one = await gateway.get("/memory/systems/buddy");
  assert.deepEqual(one.body.records, { hot: 1 });
  assert.ok(one.body.shard >= 0 && one.body.shard < 256);
  assert.equal((await gateway.get("/memory/systems/nobody")).status, 404);

  const metrics = await gateway.get("/memory/metrics");
  assert.equal(metrics.body.metrics.akosha_ingestion_duration_seconds.type, "histogram");
  assert.ok(metrics.body.metrics.akosha_query_cache_hits_total.series.length === 3);
  const circuits = await gateway.get("/memory/circuit-breakers");
  assert.equal(circuits.body.circuit_breakers.find(({ service_name }) => service_name === "backup").state, "closed");

  const changed = await gateway.call("PATCH", "/memory/settings", { "memory.query.max_results": 5 });
  assert.deepEqual(changed.body.changed, { "memory.query.max_results": { from: "100", to: "5" } }, changed.text);
  const search = await gateway.post("/memory/search", { query: "memory", limit: 6 });
  assert.equal(search.status, 400, "the new limit holds at once");
  const refused = await gateway.call("PATCH", "/memory/settings", { "memory.hot.path": "/tmp/x" });
  assert.equal(refused.status, 400);
  assert.match(refused.body.message, /cannot change while the process runs/);
  const shown = (await gateway.get("/memory/settings")).body.settings.find(({ path }) => path === "memory.query.max_results");
  assert.deepEqual([shown.value, shown.live], ["5", true]);
});

test("an organisation sees nothing of another one's systems and changes no common setting", async () => {
  const gateway = await start_governed();
  const acme = bearer(await make_key(gateway, "acme"));
  const other = bearer(await make_key(gateway, "other"));
  await gateway.post("/memory/memories", { memory_id: "a", text: "Only acme knows.", system_id: "secret-system" }, acme);
  assert.equal((await gateway.get("/memory/systems/secret-system", acme)).status, 200);
  assert.equal((await gateway.get("/memory/systems/secret-system", other)).status, 404);
  const metrics = await gateway.get("/memory/metrics", other);
  assert.equal(metrics.status, 200);
  assert.ok(!metrics.text.includes("secret-system"), "a system of another organisation stands in the metrics");
  assert.equal((await gateway.call("PATCH", "/memory/settings", { "memory.query.max_results": 5 }, other)).status, 403);
  assert.equal((await gateway.post("/memory/backups", {}, other)).status, 403);
  assert.equal((await gateway.get("/memory/settings", other)).body.complete, false);
  for (const path of ["/health", "/healthz", "/ready", "/status"])
    assert.equal((await gateway.get(`/memory${path}`)).status, 200, path);
  assert.equal((await gateway.get("/memory/systems")).status, 401);
  assert.equal((await gateway.get("/memory/settings", operator)).body.complete, true);
});

test("a webhook is told of what passes a threshold", async () => {
  const received = [];
  const hook = createServer((request, response) => {
    let body = "";
    request.on("data", (piece) => (body += piece));
    request.on("end", () => {
      received.push(JSON.parse(body));
      response.end();
    });
  }).listen(0, "127.0.0.1");
  await new Promise((done) => hook.once("listening", done));
  const url = `http://127.0.0.1:${hook.address().port}/alerts`;
  try {
    const strict = await start_gateway();
    const refused = await strict.post("/memory/alerts/webhooks", { url });
    assert.equal(refused.status, 400, refused.text);
    assert.equal(refused.body.details.field ?? refused.body.field, "url", refused.text);

    const gateway = await start_gateway({ env: { AKOSHA_ALERT_ALLOW_PRIVATE: "true" } });
    const added = await gateway.post("/memory/alerts/webhooks", { url, alert_types: ["storage_capacity"] });
    assert.equal(added.status, 201, added.text);
    assert.equal((await gateway.post("/memory/alerts/webhooks", { url })).status, 409);
    const set = await gateway.call("PUT", "/memory/alerts/thresholds", { storage_capacity: 0.000001, high_latency: null });
    assert.equal(set.status, 200, set.text);
    assert.deepEqual([set.body.thresholds.storage_capacity, set.body.thresholds.high_latency, set.body.thresholds.low_hit_rate], [0.000001, null, 0.5]);
    assert.equal((await gateway.call("PUT", "/memory/alerts/thresholds", { low_hit_rate: 2 })).status, 400);
    assert.equal((await gateway.call("PUT", "/memory/alerts/thresholds", { colour: 2 })).status, 400);
    // The disk is looked at every 15 seconds.
    await until(() => received.length > 0, { what: "the webhook to be told", timeout_ms: 60_000, every_ms: 100 });
    assert.equal(received[0].alert_type, "storage_capacity");
    assert.equal(received[0].pattern_data.threshold, 0.000001);
    const past = await until(
      async () => (await gateway.get("/memory/alerts")).body.alerts.find((one) => one.told === "delivered"),
      { what: "the history", timeout_ms: 10_000, every_ms: 50 },
    );
    assert.equal(past.id, received[0].id);
    const listed = (await gateway.get("/memory/alerts/webhooks")).body.webhooks;
    assert.deepEqual(listed.map((one) => one.webhook_id), [added.body.webhook_id]);
    assert.equal((await gateway.delete(`/memory/alerts/webhooks/${added.body.webhook_id}`)).status, 200);
    assert.equal((await gateway.delete(`/memory/alerts/webhooks?webhook_id=${added.body.webhook_id}`)).status, 404);
  } finally {
    hook.close();
  }
});
