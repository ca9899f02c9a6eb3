/** Facts, graph, series and analytics: from pushed memories to neighbours, paths, trends; over HTTP and through the MCP SDK. */
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

import { restart_gateway, start_gateway } from "./support/gateway.mjs";
import { bearer, make_key, operator, start_governed } from "./support/governed.mjs";
import { stop_everything } from "./support/processes.mjs";

after(stop_everything);

const kHour = 3_600_000;
const ago = (hours) => new Date(Date.now() - hours * kHour).toISOString();

const memory = (memory_id, text, metadata = {}, hours = 1, system_id = "buddy") => ({ memory_id, text, system_id, timestamp: ago(hours), metadata });

async function push(gateway, memories, headers) {
  const reply = await gateway.post("/memory/memories/batch", { memories }, headers);
  assert.equal(reply.status, 200, reply.text);
  return reply.body;
}

async function ask(gateway, path, headers) {
  const reply = await gateway.get(`/memory${path}`, headers);
  assert.equal(reply.status, 200, `${path}: ${reply.text}`);
  return reply.body;
}

/** What is derived follows what is stored: asks until `right`, for ten seconds. */
async function until(question, right) {
  let seen;
  for (const end = Date.now() + 10_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 50))) {
    seen = await question();
    if (right(seen)) return seen;
  }
  assert.fail(`never came: ${JSON.stringify(seen).slice(0, 2000)}`);
}

const around = async (gateway, id, headers, more = "") =>
  (await ask(gateway, `/graph/entities/${encodeURIComponent(id)}/neighbors${more}`, headers)).neighbors.map((each) => `${each.edge_type} ${each.entity_id}`).sort();

const kTeam = [
  memory("m1", "We talked about the rollout.", { user_id: "ana", project: "apollo", tags: ["deploy", "cache"] }, 3),
  memory("m2", "The cache was flushed.", { user_id: "ben", project: "apollo", tags: ["cache"] }, 2),
  memory("m3", "The invoice run is late.", { user_id: "cleo", project: "ledger", tags: ["invoice"] }, 2),
  memory("m4", "Ana Ruiz is the CEO of Acme Labs.", { user_id: "cleo", project: "ledger" }, 1),
];

test("from pushed memories to neighbours, facts, a path and the shape of the graph", async () => {
  const gateway = await start_gateway();
  await push(gateway, kTeam);
  await until(() => around(gateway, "concept:acme-labs"), (list) => list.length > 0);
  assert.deepEqual(await around(gateway, "user:ana"), ["worked_on project:apollo"]);
  assert.deepEqual(await around(gateway, "project:apollo", undefined, "?edge_type=worked_on"), ["worked_on user:ana", "worked_on user:ben"]);

  const acme = await ask(gateway, "/graph/entities/concept:acme-labs");
  assert.equal(acme.facts[0].type, "ceo_of");
  assert.equal(acme.facts[0].evidence, "Ana Ruiz is the CEO of Acme Labs.");
  assert.deepEqual(acme.facts[0].source, { system_id: "buddy", conversation_id: "m4" });
  assert.equal((await gateway.get("/memory/graph/entities/user:nobody")).status, 404);

  const found = await ask(gateway, "/graph/entities?q=acme");
  assert.deepEqual(found.entities.map(({ entity_id, properties }) => [entity_id, properties.name]), [["concept:acme-labs", "Acme Labs"]]);
  const best = await ask(gateway, "/graph/entities?limit=1");
  assert.equal(best.entities[0].entity_id, "project:apollo");
  assert.equal(best.total, (await ask(gateway, "/graph/statistics")).total_entities);

  const queried = await gateway.post("/memory/graph/query", { entity_id: "user:ben", facts: 5 });
  assert.equal(queried.body.total_neighbors, 1);
  assert.equal(queried.body.facts[0].source.conversation_id, "m2");

  const path = await ask(gateway, "/graph/path?source_id=user:ana&target_id=user:cleo&max_hops=4");
  assert.deepEqual(path.path, ["user:ana", "project:apollo", "system:buddy", "project:ledger", "user:cleo"]);
  assert.equal(path.hops, 4);
  const short = await ask(gateway, "/graph/path?source_id=user:ana&target_id=user:cleo&max_hops=3");
  assert.deepEqual([short.path_found, short.path, short.hops], [false, null, null]);

  const statistics = await ask(gateway, "/graph/statistics");
  assert.equal(statistics.entities_by_type.user, 3);
  assert.equal(statistics.edges_by_type.worked_on, 3);
  const parts = await ask(gateway, "/graph/components");
  assert.equal(parts.total_components, 2, "what cleo said of Acme hangs on nothing else");
  assert.equal((await ask(gateway, "/graph/communities?method=label_propagation")).method, "label_propagation");
  const central = await ask(gateway, "/graph/centrality?method=degree&top_k=2");
  assert.equal(central.rankings.length, 2);
  assert.equal(central.rankings[0].entity_id, "project:apollo");

  const { text } = await gateway.get("/metrics?format=prometheus");
  assert.match(text, /^akosha_knowledge_graph_query_duration_seconds_count\{query_type="graph\/path"\} 2$/m);
});

test("the same memory twice changes nothing; kill -9 and erasing leave the graph as the memories are", async () => {
  let gateway = await start_gateway();
  await push(gateway, kTeam);
  await until(() => around(gateway, "concept:acme-labs"), (list) => list.length > 0);
  const before = await ask(gateway, "/graph/statistics");
  await push(gateway, kTeam);
  await push(gateway, [memory("m5", "One more.", { user_id: "dan", project: "apollo" })]);
  await until(() => around(gateway, "user:dan"), (list) => list.length > 0);
  const after_both = await ask(gateway, "/graph/statistics");
  assert.equal(after_both.total_facts, before.total_facts + 2, "of the new memory alone: dan on apollo, apollo in buddy");

  await push(gateway, [memory("m6", "Written a moment before the end.", { user_id: "eve", project: "apollo" })]);
  await gateway.kill();
  gateway = await restart_gateway(gateway);
  await until(() => around(gateway, "user:eve"), (list) => list.length > 0);

  assert.equal((await gateway.delete("/memory/memories/buddy/m1")).status, 200);
  assert.deepEqual(await around(gateway, "user:ana"), [], "at once: it was the only one that said so");
  assert.deepEqual(await around(gateway, "project:apollo", undefined, "?edge_type=mentioned"), ["mentioned concept:cache"], "m2 says so, too");
  assert.equal((await gateway.delete("/memory/systems/buddy")).status, 200);
  assert.equal((await ask(gateway, "/graph/statistics")).total_entities, 0);
});

test("facts end each other, are mended and taken back, and the past stays visible", async () => {
  const gateway = await start_gateway();
  await push(gateway, [memory("old", "I moved to Lisbon.", { user_id: "ana" }, 48)]);
  const there = "?edge_type=located_in";
  await until(() => around(gateway, "user:ana", undefined, there), (list) => list.length > 0);
  const known_then = new Date().toISOString();
  await push(gateway, [memory("new", "I moved to Porto.", { user_id: "ana" }, 2)]);
  await until(() => around(gateway, "user:ana", undefined, there), (list) => list[0] === "located_in concept:porto");
  assert.deepEqual(await around(gateway, "user:ana", undefined, `${there}&as_of=${ago(24)}`), ["located_in concept:lisbon"], "where she lived then");
  assert.deepEqual(await around(gateway, "user:ana", undefined, `${there}&known_at=${known_then}`), ["located_in concept:lisbon"], "what was known then");

  assert.deepEqual((await ask(gateway, "/graph/entities/concept:lisbon")).facts, [], "it does not hold any more");
  const [past] = (await ask(gateway, "/graph/entities/concept:lisbon?which=ever")).facts;
  assert.deepEqual([past.holds, past.ended, past.to_name], [false, "superseded", "Lisbon"]);

  const [porto] = (await ask(gateway, "/graph/entities/concept:porto")).facts;
  const fact = `/memory/graph/facts/${porto.fact_id}`;
  const edited = await gateway.call("PATCH", fact, { weight: 2.5 });
  assert.equal(edited.body.fact.weight, 2.5, edited.text);
  assert.equal((await gateway.delete(fact)).body.fact.ended, "retracted");
  assert.deepEqual(await around(gateway, "user:ana", undefined, there), ["located_in concept:lisbon"], "what it had ended holds again");
  const whole = (await gateway.get(fact)).body;
  assert.deepEqual(whole.versions.map((each) => each.ended), ["edited", "retracted"]);
  assert.equal((await gateway.delete(fact)).status, 409);
  assert.equal((await gateway.get("/memory/graph/facts/4711")).status, 404);
});

test("points become trends, anomalies, correlations, changepoints and series", async () => {
  const gateway = await start_gateway();
  const points = [];
  for (let hour = 60; hour > 0; --hour) {
    const value = hour === 7 ? 500 : 160 - hour + (hour % 2);
    points.push({ metric_name: "Latency_ms", value, system_id: "a", timestamp: ago(hour), metadata: { hour } });
    points.push({ metric_name: "latency_ms", value: 2 * value + 10, system_id: "b", timestamp: ago(hour) });
  }
  const stored = await gateway.post("/memory/analytics/metrics", { points });
  assert.deepEqual(stored.body, { status: "success", stored: 120 }, stored.text);
  assert.ok((await ask(gateway, "/analytics/metrics")).metric_names.includes("latency_ms"));

  const of_a = "metric_name=latency_ms&system_id=a";
  const trend = await ask(gateway, `/analytics/trends?${of_a}`);
  assert.equal(trend.trend_direction, "increasing");
  assert.equal(trend.total_points, 60);
  const unusual = await ask(gateway, `/analytics/anomalies?${of_a}`);
  assert.equal(unusual.anomaly_count, 1);
  assert.deepEqual(unusual.anomalies[0].metadata, { hour: 7 });
  assert.ok(unusual.anomalies[0].z_score > 3);
  const pairs = await ask(gateway, "/analytics/correlations?metric_name=latency_ms");
  assert.equal(pairs.correlations[0].strength, "strong");
  const cut = await ask(gateway, "/analytics/changepoints?metric_name=latency_ms&entity_id=a");
  assert.equal(cut.latest_segment.end, cut.segments.at(-1).end, JSON.stringify(cut));
  assert.equal(cut.abrupt_segment_count, cut.segments.filter((each) => each.trend_class === "abrupt").length);
  const series = await ask(gateway, `/analytics/timeseries?${of_a}&start=${ago(70)}&interval=1h`);
  assert.equal(series.interval, "1h");
  assert.equal(series.points.reduce((sum, point) => sum + point.count, 0), 60);

  const few = await ask(gateway, "/analytics/trends?metric_name=nothing_yet");
  assert.match(few.error, /too little data/);

  await push(gateway, kTeam);
  const counted = await until(
    () => ask(gateway, "/analytics/timeseries?metric_name=conversation_count"),
    (answer) => answer.points.reduce((sum, point) => sum + point.value, 0) === kTeam.length,
  );
  assert.equal(counted.interval, "1h");
});

test("bad input names field, value and rule", async () => {
  const gateway = await start_gateway();
  for (const [path, field] of [
    ["/analytics/trends", "metric_name"],
    ["/analytics/trends?metric_name=a%20b", "metric_name"],
    ["/analytics/trends?metric_name=a&time_window_days=91", "time_window_days"],
    ["/analytics/anomalies?metric_name=a&threshold_std=0.5", "threshold_std"],
    ["/analytics/timeseries?metric_name=a&interval=2h", "interval"],
    ["/analytics/timeseries?metric_name=a&start=2026-01-02&end=2026-01-01", "start"],
    ["/analytics/trends?metric_name=a&colour=red", "colour"],
    ["/graph/entities/no-type/neighbors", "entity_id"],
    ["/graph/entities?limit=101", "limit"],
    ["/graph/entities/user:ana?which=sometimes", "which"],
    ["/graph/entities/user:ana/neighbors?limit=0", "limit"],
    ["/graph/path?source_id=user:a&target_id=user:a", "target_id"],
    ["/graph/path?source_id=user:a&target_id=user:b&max_hops=11", "max_hops"],
    ["/graph/communities?method=guess", "method"],
    ["/graph/centrality?top_k=x", "top_k"],
    ["/graph/statistics?as_of=yesterday", "as_of"],
    ["/graph/facts/x", "fact_id"],
  ]) {
    const reply = await gateway.get(`/memory${path}`);
    assert.equal(reply.status, 400, `${path}: ${reply.text}`);
    assert.equal(reply.body.details.field, field, reply.text);
  }
  const right = { metric_name: "m", value: 1, system_id: "s" };
  for (const [body, field] of [
    [{ ...right, value: "many" }, "value"],
    [{ ...right, system_id: undefined }, "system_id"],
    [{ ...right, metric_name: "bytes" }, "metric_name"],
    [{ ...right, timestamp: "2020-01-01T00:00:00Z" }, "timestamp"],
    [{ ...right, metadata: [1] }, "metadata"],
    [{ points: [right, { ...right, value: null }] }, "points[1].value"],
    [{ points: [] }, "points"],
  ]) {
    const reply = await gateway.post("/memory/analytics/metrics", body);
    assert.equal(reply.status, 400, `${JSON.stringify(body)}: ${reply.text}`);
    assert.equal(reply.body.details.field, field, reply.text);
  }
});

test("the MCP SDK asks the same questions", async () => {
  const gateway = await start_gateway();
  await push(gateway, kTeam);
  await gateway.post("/memory/analytics/metrics", { points: Array.from({ length: 12 }, (_, i) => ({ metric_name: "queue", value: i, system_id: "a", timestamp: ago(12 - i) })) });
  await until(() => around(gateway, "user:cleo"), (list) => list.length > 0);
  const client = new Client({ name: "test", version: "1.0.0" });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${gateway.url}/memory/mcp`)));
  const call = async (name, args = {}) => {
    const reply = await client.callTool({ name, arguments: args });
    return reply.structuredContent;
  };
  assert.deepEqual((await call("query_knowledge_graph", { entity_id: "user:ana" })).neighbors[0].entity_id, "project:apollo");
  assert.equal((await call("find_path", { source_id: "user:ana", target_id: "user:ben" })).hops, 2);
  assert.equal((await call("get_graph_statistics")).entities_by_type.project, 2);
  assert.ok((await call("detect_communities")).total_communities >= 1);
  assert.equal((await call("calculate_centrality", { method: "pagerank", top_k: 3 })).rankings.length, 3);
  assert.ok((await call("get_system_metrics")).metric_names.includes("queue"));
  assert.equal((await call("analyze_trends", { metric_name: "queue" })).trend_direction, "increasing");
  assert.equal((await call("detect_anomalies", { metric_name: "queue" })).anomaly_count, 0);
  assert.match((await call("correlate_systems", { metric_name: "queue" })).error, /too little data/);
  assert.equal((await call("analyze_changepoints", { metric_name: "queue" })).latest_segment.direction, "up");
  assert.equal((await call("find_path", { source_id: "user:ana", target_id: "user:ana" })).field, "target_id");
  assert.equal((await call("analyze_trends", { metric_name: "queue", time_window_days: 91 })).field, "time_window_days");
  await client.close();
});

test("another organisation sees nothing, and permissions hold", async () => {
  const gateway = await start_governed();
  const acme = bearer(await make_key(gateway, "acme"));
  const globex = bearer(await make_key(gateway, "globex"));
  const reader = bearer(await make_key(gateway, "acme", { scopes: ["read"] }));
  const writer = bearer(await make_key(gateway, "acme", { scopes: ["write"] }));
  await push(gateway, kTeam, acme);
  await gateway.post("/memory/analytics/metrics", { metric_name: "queue", value: 1, system_id: "a" }, acme);
  await until(() => around(gateway, "user:cleo", reader), (list) => list.length > 0);
  const { fact_id } = (await ask(gateway, "/graph/entities/user:ana", reader)).facts[0];

  assert.equal((await gateway.get("/memory/graph/entities/user:ana", globex)).status, 404);
  assert.equal((await gateway.get(`/memory/graph/facts/${fact_id}`, globex)).status, 404);
  assert.equal((await gateway.delete(`/memory/graph/facts/${fact_id}`, globex)).status, 404);
  assert.equal((await ask(gateway, "/graph/statistics", globex)).total_entities, 0);
  assert.equal((await ask(gateway, "/graph/entities", globex)).total, 0);
  assert.equal((await ask(gateway, "/graph/path?source_id=user:ana&target_id=user:ben", globex)).path_found, false);
  assert.equal((await ask(gateway, "/analytics/metrics", globex)).total_metrics, 0);

  assert.equal((await gateway.get("/memory/graph/statistics")).status, 401);
  assert.equal((await gateway.post("/memory/analytics/metrics", { metric_name: "q", value: 1, system_id: "a" }, reader)).status, 403);
  assert.equal((await gateway.call("PATCH", `/memory/graph/facts/${fact_id}`, { weight: 2 }, reader)).status, 403);
  assert.equal((await gateway.delete(`/memory/graph/facts/${fact_id}`, writer)).status, 403);
  assert.equal((await gateway.call("PATCH", `/memory/graph/facts/${fact_id}`, { weight: 2 }, writer)).status, 200);
  assert.equal((await gateway.delete(`/memory/graph/facts/${fact_id}`, acme)).status, 200);
  const audit = await gateway.get("/governance/audit?org_id=acme&limit=50", operator);
  assert.match(audit.text, /memory\.fact\.edit/);
  assert.match(audit.text, /memory\.fact\.retract/);
});
