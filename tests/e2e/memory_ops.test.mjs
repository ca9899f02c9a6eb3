/** The memory from the command line: MCP over standard input with the unmodified SDK, backup, verify, restore. */
import assert from "node:assert/strict";
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

import { binary_path, restart_gateway, run_asahi, start_gateway } from "./support/gateway.mjs";
import { make_key, start_governed } from "./support/governed.mjs";
import { stop_everything, temp_folder } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

// A client that a failed test left open would keep its program, and this one, from ending.
const clients = [];
after(() => Promise.all(clients.map((client) => client.close())));
after(stop_everything);

async function connect(gateway, ...more) {
  const client = new Client({ name: "test", version: "1.0.0" });
  clients.push(client);
  const transport = new StdioClientTransport({
    command: binary_path(),
    args: ["memory", "mcp", "--url", gateway.url, ...more],
    stderr: "ignore",
  });
  await client.connect(transport);
  return client;
}

test("the SDK speaks to the memory over standard input", async () => {
  const gateway = await start_gateway();
  const client = await connect(gateway);
  assert.equal(client.getServerVersion().name, "akosha-mcp");
  const stored = await client.callTool({ name: "store_memory", arguments: { memory_id: "m1", text: "The lamp is blue.", system_id: "desk" } });
  assert.equal(stored.structuredContent.status, "stored", JSON.stringify(stored));
  const found = await Promise.all(
    Array.from({ length: 8 }, () => client.callTool({ name: "search_all_systems", arguments: { query: "which colour has the lamp" } })),
  );
  for (const one of found) assert.equal(one.structuredContent.results[0].conversation_id, "m1");
  const health = await client.callTool({ name: "akosha_health_check", arguments: {} });
  assert.equal(health.structuredContent.dependencies.hot.status, "healthy", JSON.stringify(health));
  const metrics = await client.callTool({ name: "akosha_get_metrics", arguments: {} });
  assert.ok(metrics.structuredContent.metrics.akosha_query_requests_total, JSON.stringify(metrics).slice(0, 300));
  await client.close();
});

test("standard input needs the key that HTTP needs", async () => {
  const gateway = await start_governed();
  await assert.rejects(connect(gateway), /401|credential|Unauthorized/i);
  const client = await connect(gateway, "--api-key", await make_key(gateway, "acme"));
  assert.ok((await client.listTools()).tools.length > 5);
  await client.close();
});

test("a backup is made, verified, and brings everything back", async () => {
  let gateway = await start_gateway();
  const memories = Array.from({ length: 300 }, (_, i) => ({ memory_id: `m${i}`, text: `Memory number ${i} of the backup.`, system_id: "desk" }));
  assert.equal((await gateway.post("/memory/memories/batch", { memories })).status, 200);
  const made = await run_asahi(["memory", "backup", "--url", gateway.url]);
  assert.equal(made.code, 0, made.stdout + made.stderr);
  const backup = JSON.parse(made.stdout);
  assert.ok(backup.ok && backup.files > 0, made.stdout);
  const verified = await run_asahi(["memory", "backup", "--verify", "--url", gateway.url]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  assert.deepEqual(JSON.parse(verified.stdout).wrong_files, []);
  const listed = (await gateway.get("/memory/backups")).body.backups;
  assert.deepEqual(listed.map((one) => one.backup_id), [backup.backup_id]);

  // What comes after the backup, and then the loss of the disk.
  await gateway.post("/memory/memories", { memory_id: "late", text: "This came too late.", system_id: "desk" });
  const busy = await run_asahi(["memory", "restore"], { env: gateway.env, folder: gateway.folder });
  assert.notEqual(busy.code, 0, "nobody restores under a running server");
  await gateway.stop();
  const hot = join(gateway.folder, "data", "memory", "hot");
  rmSync(hot, { recursive: true });
  const restored = await run_asahi(["memory", "restore"], { env: gateway.env, folder: gateway.folder });
  assert.equal(restored.code, 0, restored.stdout + restored.stderr);
  gateway = await restart_gateway(gateway);
  assert.equal((await gateway.get("/memory/memories/desk/m299")).body.content, "Memory number 299 of the backup.");
  assert.equal((await gateway.get("/memory/memories/desk/late")).status, 404);
  assert.equal((await gateway.get("/memory/storage/status")).body.tiers.hot.records, 300);

  // A damaged copy is told, and not restored.
  const bucket = join(gateway.folder, "data", "memory", "backups");
  const damaged = readdirSync(bucket, { recursive: true }).map((name) => join(bucket, name)).find((name) => /hot.*seg/.test(name) || name.includes("shard_000/"));
  writeFileSync(damaged, Buffer.concat([readFileSync(damaged), Buffer.from("x")]));
  const wrong = await run_asahi(["memory", "backup", "--verify", "--url", gateway.url]);
  assert.equal(wrong.code, 1, wrong.stdout);
  assert.equal(JSON.parse(wrong.stdout).wrong_files.length, 1);
  await gateway.stop();
  const refused = await run_asahi(["memory", "restore"], { env: gateway.env, folder: gateway.folder });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /is not what was backed up/);
  gateway = await restart_gateway(gateway);
  assert.equal((await gateway.get("/memory/storage/status")).body.tiers.hot.records, 300, "what was there is untouched");
});

const kDay = 86_400_000;
/** Id, age in days, and what it tells. */
const kLives = [
  ["today", 0, "Ana Ruiz is the CEO of Acme Labs."],
  ["week", 10, "The deploy of apollo failed at noon. The weather was fine. The cause was a migration that timed out."],
  ["year", 200, "The archive room smelled of cedar and dust. Nobody had been there. The lamp was broken."],
];

/** What people and programs see of the memory, in the order in which it is compared. */
async function sight(gateway) {
  const search = await gateway.post("/memory/search", { query: "why did the deploy fail, and who is CEO", tiers: ["hot", "warm", "cold"] });
  const status = await gateway.get("/memory/storage/status");
  const fact = await gateway.get("/memory/graph/entities/concept:acme-labs");
  const points = await gateway.get("/memory/analytics/trends?metric_name=load&time_window_days=7");
  return {
    counts: ["hot", "warm", "cold"].map((tier) => status.body.tiers[tier].records),
    // Their order may differ: words of rows that have left a tier count in it until its index is made anew.
    hits: search.body.results.map(({ conversation_id, tier, text, summary, similarity }) => ({ conversation_id, tier, text, summary, similarity }))
      .sort((a, b) => (a.conversation_id < b.conversation_id ? -1 : 1)),
    facts: fact.body.facts?.map(({ type, evidence, source, recorded_at }) => ({ type, evidence, source, recorded_at })),
    points: points.body.total_points,
    uploads: (await gateway.get("/memory/uploads")).body.uploads.map(({ upload_id, state, counts }) => ({ upload_id, state, counts })),
    webhooks: (await gateway.get("/memory/alerts/webhooks")).body,
  };
}

test("three tiers, facts, numbers and the ledger are lost with the machine and come back", async () => {
  const backups = temp_folder("akosha-backups");
  const env = { AKOSHA_BACKUP_BUCKET: `file://${backups}`, AKOSHA_BACKUP_SCHEDULE: "off" };
  let gateway = await start_gateway({ env });
  const memories = kLives.map(([memory_id, days, text]) => ({ memory_id, text, system_id: "buddy", timestamp: new Date(Date.now() - days * kDay).toISOString() }));
  assert.equal((await gateway.post("/memory/memories/batch", { memories })).status, 200);
  const points = Array.from({ length: 20 }, (_, i) => ({ metric_name: "load", value: i, system_id: "buddy", timestamp: new Date(Date.now() - i * 3_600_000).toISOString() }));
  const counted = await gateway.post("/memory/analytics/metrics", { points });
  assert.equal(counted.status, 200, counted.text);
  await until(async () => (await gateway.get("/memory/graph/entities/concept:acme-labs")).body.facts?.length > 0, { what: "the fact to be derived", timeout_ms: 10_000, every_ms: 50 });
  const aged = await run_asahi(["memory", "age", "--url", gateway.url]);
  assert.equal(aged.code, 0, aged.stderr);
  const before = await sight(gateway);
  assert.deepEqual(before.counts, [1, 1, 1], JSON.stringify(before));
  assert.equal(before.points, 20);
  const made = await run_asahi(["memory", "backup", "--url", gateway.url]);
  assert.equal(made.code, 0, made.stdout + made.stderr);
  assert.ok(JSON.parse(made.stdout).rows > 0, made.stdout);
  const verified = await run_asahi(["memory", "verify", "--url", gateway.url]);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  const { text } = await gateway.get("/metrics?format=prometheus");
  assert.match(text, /^akosha_backup_last_success_timestamp_seconds 1\.\d+e\+09$|^akosha_backup_last_success_timestamp_seconds [1-9]\d+/m);
  await gateway.stop();

  // A torn copy is refused before anything is touched.
  const data = join(gateway.folder, "data");
  const torn = temp_folder("akosha-torn");
  cpSync(backups, torn, { recursive: true });
  const victim = readdirSync(torn, { recursive: true }).map((name) => join(torn, name)).find((name) => name.endsWith(".parquet"));
  truncateSync(victim, 10);
  const refused = await run_asahi(["memory", "restore"], { env: { ...gateway.env, AKOSHA_BACKUP_BUCKET: `file://${torn}` }, folder: gateway.folder });
  assert.equal(refused.code, 1, refused.stdout);
  assert.match(refused.stderr, /cold\/.*is not what was backed up; nothing was changed/);

  rmSync(data, { recursive: true });
  const restored = await run_asahi(["memory", "restore"], { env: gateway.env, folder: gateway.folder });
  assert.equal(restored.code, 0, restored.stdout + restored.stderr);
  for (const part of ["hot", "warm", "cold", "sql"]) assert.match(restored.stdout, new RegExp(`^${part}: \\d+ bytes`, "m"));
  gateway = await restart_gateway(gateway);
  assert.deepEqual(await sight(gateway), before);
  // What came after the whole backup is in an incremental one, which writes little.
  const late = { memory_id: "late", text: "The lamp was mended at last.", system_id: "buddy" };
  assert.equal((await gateway.post("/memory/memories", late)).status, 200);
  const whole = await run_asahi(["memory", "backup", "--url", gateway.url]);
  assert.equal(whole.code, 0, whole.stdout + whole.stderr);
  const again = await run_asahi(["memory", "backup", "--incremental", "--url", gateway.url]);
  assert.equal(again.code, 0, again.stdout + again.stderr);
  const told = JSON.parse(again.stdout);
  assert.equal(told.incremental, true);
  assert.equal(told.bytes >= JSON.parse(whole.stdout).bytes, true);
  const [newest] = (await gateway.get("/memory/backups")).body.backups;
  assert.equal(newest.backup_id, told.backup_id);
  assert.equal(newest.incremental, true);
  assert.equal(readdirSync(join(backups, told.backup_id), { recursive: true }).some((name) => name.endsWith(".parquet")), false, "the cold files are in the one before");
  const bad = await gateway.post("/memory/backups", { incremental: "yes" });
  assert.equal(bad.status, 400, bad.text);
  assert.equal(bad.body.details.field, "incremental");
  const after = await sight(gateway);
  await gateway.stop();
  rmSync(data, { recursive: true });
  const brought = await run_asahi(["memory", "restore"], { env: gateway.env, folder: gateway.folder });
  assert.equal(brought.code, 0, brought.stdout + brought.stderr);
  assert.match(brought.stdout, new RegExp(told.backup_id));
  gateway = await restart_gateway(gateway);
  assert.deepEqual(await sight(gateway), after);
  // What is stored now goes on from there.
  const more = { memory_id: "next", text: "Ben Ode is the CTO of Acme Labs.", system_id: "buddy" };
  assert.equal((await gateway.post("/memory/memories", more)).status, 200);
  await until(async () => (await gateway.get("/memory/graph/entities/concept:acme-labs")).body.facts?.length === 2, { what: "the next fact", timeout_ms: 10_000, every_ms: 50 });
});
