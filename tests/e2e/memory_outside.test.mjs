/** What the memory asks of services outside: orchestrator, queue of the bucket, tokens of others; and what it does without. */
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

import { start_gateway } from "./support/gateway.mjs";
import { bearer, make_key, start_governed } from "./support/governed.mjs";
import { close_outside, start_orchestrator, start_queue, start_verifier } from "./support/outside.mjs";
import { stop_everything } from "./support/processes.mjs";
import { s3_missing, start_s3 } from "./support/s3.mjs";
import { until } from "./support/wait.mjs";

after(async () => {
  await stop_everything();
  close_outside();
});

const status = async (gateway) => (await gateway.get("/memory/ingestion/status")).body;

test("an orchestrator that is there is told of; one that is away means fallback mode", async () => {
  const orchestrator = await start_orchestrator("key");
  const [there, away] = await Promise.all([
    start_gateway({ env: { AKOSHA_MAHAVISHNU_MCP_URL: orchestrator.url, AKOSHA_MAHAVISHNU_API_KEY: "key" } }),
    start_gateway({ env: { AKOSHA_MAHAVISHNU_MCP_URL: orchestrator.url, AKOSHA_MAHAVISHNU_API_KEY: "wrong" } }),
  ]);
  const seen = await until(async () => {
    const body = await status(there);
    return body.last_mahavishnu_contact && body;
  }, { what: "the first contact" });
  assert.deepEqual({ status: seen.status, fallback_mode: seen.fallback_mode }, { status: "normal", fallback_mode: false });
  const alone = await until(async () => {
    const body = await status(away);
    return body.fallback_mode && body;
  }, { what: "fallback mode" });
  assert.deepEqual(
    { status: alone.status, contact: alone.last_mahavishnu_contact },
    { status: "fallback", contact: null },
  );
  assert.equal((await away.get("/memory/status")).body.fallback_mode, true);
  const { circuit_breakers } = (await there.get("/memory/circuit-breakers")).body;
  assert.ok(circuit_breakers.some(({ service_name }) => service_name === "orchestrator"));
  assert.deepEqual(orchestrator.started, [], "nothing is due");
});

test("MCP clients ask about services outside, administrators about any", async () => {
  const orchestrator = await start_orchestrator("key");
  const gateway = await start_governed({
    env: { AKOSHA_HEALTH__DEPENDENCIES__MAHAVISHNU__PORT: String(orchestrator.port), AKOSHA_HEALTH__DEPENDENCIES__SESSION_BUDDY__PORT: "1" },
  });
  const connect = async (scopes) => {
    const headers = bearer(await make_key(gateway, "acme", { scopes }));
    const client = new Client({ name: "test", version: "1.0.0" });
    await client.connect(new StreamableHTTPClientTransport(new URL(`${gateway.url}/memory/mcp`), { requestInit: { headers } }));
    return client;
  };
  const ask = (client, name, args = {}) => client.callTool({ name, arguments: args });
  const [reader, admin] = [await connect(["read"]), await connect(["admin"])];
  const one = await ask(reader, "health_check_service", { service_name: "mahavishnu" });
  assert.equal(one.structuredContent.status, "healthy", JSON.stringify(one));
  const all = await ask(reader, "health_check_all");
  assert.equal(all.structuredContent.status, "degraded", JSON.stringify(all));
  assert.equal(all.structuredContent.dependencies.session_buddy.status, "unavailable");
  const waited = await ask(reader, "wait_for_dependency", { service_name: "session_buddy", timeout: 1 });
  assert.equal(waited.structuredContent.status, "unavailable");
  const other = { service_name: "other", host: "127.0.0.1", port: orchestrator.port };
  const refused = await ask(reader, "health_check_service", other);
  assert.equal(refused.isError, true);
  assert.match(refused.content[0].text, /admin:settings/);
  assert.equal((await ask(admin, "health_check_service", other)).structuredContent.status, "healthy");
  await Promise.all([reader.close(), admin.close()]);
});

test("an event of the bucket brings its upload in at once; a poisonous one is put aside", { skip: s3_missing }, async () => {
  const bucket = await start_s3();
  const queue = await start_queue(bucket.env.AWS_SECRET_ACCESS_KEY);
  const gateway = await start_gateway({
    env: {
      ...bucket.env,
      AKOSHA_INGEST_BUCKET: "archive",
      AKOSHA_DISCOVERY_INTERVAL: "86400",
      AKOSHA_INGESTION_QUEUE: queue.url,
      AKOSHA_INGESTION_DEAD_LETTER_QUEUE: queue.dead_letter_url,
    },
  });
  // The scan of the start is over: from now on only events lead to uploads.
  await until(async () => (await status(gateway)).last_scan, { what: "the first scan" });
  const put = async (upload, text) => {
    const folder = `systems/buddy/${upload}`;
    await bucket.put(`${folder}/memories.json`, JSON.stringify({ conversations: [{ id: upload, content: text }] }));
    await bucket.put(`${folder}/manifest.json`, JSON.stringify({ uploaded_at: new Date().toISOString(), conversation_count: 1 }));
    return `${folder}/manifest.json`;
  };
  const key = await put("u1", "The cat sleeps on the warm router.");
  queue.send("poison");
  queue.send({ Records: [{ eventName: "ObjectCreated:Put", s3: { object: { key: encodeURIComponent(key) } } }] });
  const upload = await until(async () => {
    const { body } = await gateway.get("/memory/uploads/buddy/u1");
    return body.state === "done" && body;
  }, { what: "the upload", timeout_ms: 15_000 });
  assert.equal(upload.counts.stored, 1);
  await until(() => queue.deleted() === 2, { what: "both messages to be removed" });
  assert.deepEqual(queue.dead, ["poison"]);

  // Who asks for one system's uploads gets a job.
  await put("u2", "The dog waits for the postman.");
  const asked = await gateway.post("/memory/ingestion/trigger", { source_system: "buddy", priority: "high" });
  assert.equal(asked.status, 202, asked.text);
  const job = await until(async () => {
    const found = (await status(gateway)).jobs.find(({ job_id }) => job_id === asked.body.job_id);
    return found?.state === "done" && found;
  }, { what: "the job" });
  assert.deepEqual({ system: job.source_system, discovered: job.discovered }, { system: "buddy", discovered: 1 });
  assert.equal((await gateway.post("/memory/ingestion/trigger", { source_system: "../x" })).status, 400);
});

test("tokens that a service verifies, and the one static token, open the memory", async () => {
  const claims = { sub: "ana", email: "ana@example.com", roles: ["operator"], tenant: "globex" };
  const verifier = await start_verifier({
    good: claims,
    reader: { ...claims, roles: ["viewer"] },
    poor: { sub: "ana", roles: ["operator"] },
  });
  const api_token = "static-token-of-at-least-32-characters";
  const gateway = await start_governed({ env: { AKOSHA_AUTH_SERVICE_URL: verifier, AKOSHA_API_TOKEN: api_token } });
  const push = (token) =>
    gateway.post("/memory/memories", { memory_id: "m", system_id: "s", text: "Rain in Oslo." }, bearer(token));
  const search = (token) => gateway.post("/memory/search", { query: "rain in oslo" }, bearer(token));
  assert.equal((await push("good")).status, 200);
  assert.equal((await search("good")).body.results.length, 1);
  assert.equal((await search("reader")).body.results.length, 1, "the same organisation");
  assert.equal((await push("reader")).status, 403);
  assert.equal((await push("poor")).status, 403, "a claim is missing");
  assert.equal((await push("unknown")).status, 401);
  assert.equal((await search(api_token)).body.results.length, 0, "another organisation");
  assert.equal((await push(api_token)).status, 200);
  assert.equal((await gateway.call("DELETE", "/memory/systems/s", undefined, bearer(api_token))).status, 403);
});
