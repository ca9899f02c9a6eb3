/** The memory from the command line: MCP over standard input with the unmodified SDK, backup, verify, restore. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

import { binary_path, restart_gateway, run_asahi, start_gateway } from "./support/gateway.mjs";
import { make_key, start_governed } from "./support/governed.mjs";
import { stop_everything } from "./support/processes.mjs";

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
