/** Traces of agents' work over the unmodified MCP SDK, and the loop that asks components for theirs: another asahi, and bad ones. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, test } from "node:test";

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

import { start_gateway } from "./support/gateway.mjs";
import { bearer, make_key, start_governed } from "./support/governed.mjs";
import { stop_everything } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

const open = [];
after(async () => {
  await stop_everything();
  for (const server of open) server.closeAllConnections() ?? server.close();
});

async function connect(gateway, headers = {}) {
  const client = new Client({ name: "test", version: "1.0.0" });
  await client.connect(new StreamableHTTPClientTransport(new URL(`${gateway.url}/memory/mcp`), { requestInit: { headers } }));
  return client;
}
const call = async (client, name, args = {}) => (await client.callTool({ name, arguments: args })).structuredContent;

/** A component that is not what it should be; `answer` gets the response to spoil. */
async function start_bad(answer) {
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => answer(response));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  open.push(server);
  return `http://127.0.0.1:${server.address().port}/mcp`;
}

const trace = (selector, latency_ms, outcome = "success", more = {}) => ({
  system_id: "coder", task_class: "code_generation", selector, latency_ms, outcome, ...more,
});

test("agents report their work, and it is found", async () => {
  const gateway = await start_gateway();
  const client = await connect(gateway);
  const first = await call(client, "record_trace", trace("gpt-5", 1200, "success", { trace_id: "t1", metadata: { tokens: 9 } }));
  assert.deepEqual({ stored: first.stored, ids: first.trace_ids }, { stored: 1, ids: ["t1"] });
  assert.equal((await call(client, "record_trace", trace("gpt-5", 1, "failure", { trace_id: "t1" }))).unchanged, 1);
  const many = await gateway.post("/memory/traces", { traces: [trace("haiku", 80), trace("haiku", 90, "failure", { task_class: "quick" })] });
  assert.equal(many.body.stored, 2, JSON.stringify(many.body));
  const bad = await gateway.post("/memory/traces", { traces: [trace("haiku", 80), trace("haiku", -1)] });
  assert.equal(bad.status, 400);
  assert.equal(bad.body.details.field, "traces[1].latency_ms");
  const found = await call(client, "query_local_traces", { system_id: "coder", task_class: "code_generation" });
  assert.equal(found.total, 2);
  assert.deepEqual(found.traces.find(({ trace_id }) => trace_id === "t1").metadata, { tokens: 9 });
  assert.equal((await gateway.get("/memory/traces?system_id=coder&limit=1")).body.traces.length, 1);
  assert.equal((await gateway.get("/memory/traces")).status, 400);
  assert.equal((await call(client, "run_fitness_analysis")).status, "disabled");
  assert.equal((await call(client, "get_fitness_analyzer_status")).enabled, false);
  assert.equal((await gateway.delete("/memory/systems/coder")).status, 200);
  assert.equal((await gateway.get("/memory/traces?system_id=coder")).body.total, 0, "a system that is erased leaves no traces");
  await client.close();
});

test("another asahi is asked for its traces; slow, failing and foolish ones hold up nobody", async () => {
  const other = await start_governed();
  const [writer, reader] = [bearer(await make_key(other, "acme", { scopes: ["write"] })), await make_key(other, "acme", { scopes: ["read"] })];
  const agent = await connect(other, writer);
  for (const [latency, outcome] of [[100, "success"], [200, "success"], [300, "success"], [900, "failure"]])
    await call(agent, "record_trace", trace("claude-sonnet-4.5", latency, outcome));
  await call(agent, "record_trace", trace("gpt-5", 50));
  await agent.close();

  const slow = await start_bad(() => {});
  const failing = await start_bad((response) => response.writeHead(503).end());
  const foolish = await start_bad((response) => response.writeHead(200, { "content-type": "application/json" }).end("{not json"));
  const gateway = await start_gateway({
    env: {
      AKOSHA_FITNESS_COMPONENTS: `other=${other.url}/memory/mcp,slow=${slow},failing=${failing},foolish=${foolish}`,
      AKOSHA_FITNESS__COMPONENTS__OTHER__TOKEN: reader,
      AKOSHA_FITNESS__COMPONENTS__OTHER__SYSTEM_ID: "coder",
      AKOSHA_FITNESS_TIMEOUT: "1",
    },
  });
  const fitness = await until(async () => {
    const { body } = await gateway.get("/memory/analytics/fitness?task_class=code_generation");
    return body.total === 2 && body.fitness;
  }, { what: "the first round" });
  const rounded = fitness.map(({ path, score, failure_rate, p99_latency_ms, samples, component_count, stale }) =>
    ({ path, score, failure_rate, p99_latency_ms, samples, component_count, stale }));
  assert.deepEqual(rounded, [
    { path: "routing_fitness/code_generation/gpt_5", score: 1, failure_rate: 0, p99_latency_ms: 50, samples: 1, component_count: 1, stale: false },
    { path: "routing_fitness/code_generation/claude_sonnet_4_5", score: 0.75, failure_rate: 0.25, p99_latency_ms: 900, samples: 4, component_count: 1, stale: false },
  ]);

  const client = await connect(gateway);
  const run = await call(client, "run_fitness_analysis");
  assert.deepEqual(
    { status: run.status, polled: run.components_polled, failed: run.components_failed, samples: run.samples, written: run.written },
    { status: "partial", polled: 4, failed: 3, samples: 5, written: 2 },
  );
  const told = await call(client, "get_fitness_analyzer_status");
  assert.deepEqual(
    Object.fromEntries(told.components.map(({ name, error }) => [name, error])),
    { other: null, slow: "timeout", failing: "upstream", foolish: "upstream" },
  );
  const { circuit_breakers } = (await gateway.get("/memory/circuit-breakers")).body;
  assert.ok(circuit_breakers.some(({ service_name }) => service_name === "fitness:other"));
  await client.close();
});

test("profiles leave the tools out, and discovery tells of them", async () => {
  const gateway = await start_gateway({ env: { AKOSHA_TOOL_PROFILE: "standard" } });
  const client = await connect(gateway);
  const names = (await client.listTools()).tools.map(({ name }) => name);
  assert.ok(!names.includes("record_trace"), String(names));
  const told = await call(client, "discover_tools", { query: "trace" });
  for (const name of ["record_trace", "query_local_traces", "run_fitness_analysis"])
    assert.ok(told.not_loaded.some((tool) => tool.name === name), name);
  await client.close();
});
