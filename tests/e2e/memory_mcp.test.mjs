/** The memory's MCP server through the unmodified SDK: streamable HTTP. */
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

import { start_gateway } from "./support/gateway.mjs";
import { bearer, make_key, start_governed } from "./support/governed.mjs";
import { stop_everything } from "./support/processes.mjs";

after(stop_everything);

async function connect(gateway, headers = {}) {
  const client = new Client({ name: "test", version: "1.0.0" });
  const transport = new StreamableHTTPClientTransport(new URL(`${gateway.url}/memory/mcp`), { requestInit: { headers } });
  await client.connect(transport);
  return client;
}

const call = (client, name, args = {}) => client.callTool({ name, arguments: args });

test("the SDK stores, finds and looks around", async () => {
  const gateway = await start_gateway();
  const client = await connect(gateway);
  assert.equal(client.getServerVersion().name, "akosha-mcp");
  assert.match(client.getInstructions(), /memory/);
  const { tools } = await client.listTools();
  const names = tools.map((tool) => tool.name);
  for (const name of ["search_all_systems", "store_memory", "batch_store_memories", "generate_embedding", "get_storage_status", "discover_tools", "akosha_health_check"])
    assert.ok(names.includes(name), `${name} is missing of ${names}`);

  const stored = await call(client, "store_memory", {
    memory_id: "m1",
    text: "The staging cluster moved to Frankfurt in March.",
    metadata: { source: "claude-desktop" },
  });
  assert.equal(stored.structuredContent.status, "stored", JSON.stringify(stored));
  const batch = await call(client, "batch_store_memories", {
    memories: [
      { memory_id: "m2", text: "Lunch is at noon.", system_id: "buddy" },
      { memory_id: "", text: "no id", system_id: "buddy" },
    ],
  });
  assert.equal(batch.isError, true, "the schema asks for an id of at least one character");
  const partial = await call(client, "batch_store_memories", {
    memories: [
      { memory_id: "m2", text: "Lunch is at noon.", system_id: "buddy" },
      { memory_id: "m3", text: "bad system", system_id: "../etc" },
    ],
  });
  assert.deepEqual(
    { status: partial.structuredContent.status, stored: partial.structuredContent.stored, failed: partial.structuredContent.failed },
    { status: "partial", stored: 1, failed: 1 },
  );

  const found = await call(client, "search_all_systems", { query: "where is the staging cluster" });
  assert.equal(found.structuredContent.results[0].conversation_id, "m1");
  assert.equal(found.structuredContent.results[0].system_id, "claude-desktop");
  assert.deepEqual(JSON.parse(found.content[0].text).results, found.structuredContent.results);

  const vector = await call(client, "generate_embedding", { text: "hello" });
  assert.equal(vector.structuredContent.embedding.length, vector.structuredContent.embedding_dim);
  const status = await call(client, "get_storage_status");
  assert.equal(status.structuredContent.tiers.hot.records, 2);
  await client.ping();
  await client.close();
});

test("what is wrong with a call is told to the model", async () => {
  const gateway = await start_gateway();
  const client = await connect(gateway);
  const long = await call(client, "search_all_systems", { query: "x".repeat(1001) });
  assert.equal(long.isError, true);
  assert.equal(long.structuredContent.field, "query");
  const unknown = await call(client, "search_all_systems", { query: "x", colour: "red" });
  assert.equal(unknown.structuredContent.field, "colour");
  await assert.rejects(call(client, "no_such_tool"), /no tool/);
  await client.close();
});

test("profiles offer fewer tools and discovery tells of the others", async () => {
  const gateway = await start_gateway({ env: { AKOSHA_TOOL_PROFILE: "minimal" } });
  const client = await connect(gateway);
  const names = (await client.listTools()).tools.map((tool) => tool.name);
  assert.ok(names.includes("get_liveness") && !names.includes("store_memory"), String(names));
  const told = (await call(client, "discover_tools", { query: "memor" })).structuredContent;
  assert.equal(told.profile, "minimal");
  assert.ok(told.not_loaded.some((tool) => tool.name === "search_all_systems"));
  await client.close();
});

test("tools have the permissions of their routes", async () => {
  const gateway = await start_governed();
  await assert.rejects(connect(gateway), /401|Unauthorized/i);
  const reader = await connect(gateway, bearer(await make_key(gateway, "acme", { scopes: ["read"] })));
  const names = (await reader.listTools()).tools.map((tool) => tool.name);
  assert.ok(names.includes("search_all_systems") && !names.includes("store_memory"), String(names));
  const refused = await call(reader, "store_memory", { memory_id: "a", text: "b", system_id: "s" });
  assert.equal(refused.isError, true);
  assert.equal(refused.structuredContent.error, "forbidden");
  await reader.close();
});
