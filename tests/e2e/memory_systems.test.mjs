/** Credentials that are bounded to some of the memory's systems, tokens for machines, the security log, the shutdown from this machine. */
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { WebSocket } from "undici";

import { run_asahi, start_gateway } from "./support/gateway.mjs";
import { bearer, kGoverned, make_key, operator, start_governed } from "./support/governed.mjs";
import { start_role } from "./support/memory_roles.mjs";
import { stop_everything } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

after(stop_everything);

const memory = (system_id, memory_id, text) => ({ memory_id, system_id, text });
const kOurs = memory("alpha", "ours", "The lantern festival is in Kyoto.");
const kTheirs = memory("beta", "theirs", "The zanzibar contract ends in May.");

/** `base`: "/memory" beside the gateway, "" where the memory has the process to itself. */
async function sees_its_own_only(process, base, limited) {
  const found = await process.post(`${base}/search`, { query: "zanzibar contract lantern festival" }, limited);
  assert.equal(found.status, 200, found.text);
  assert.deepEqual(found.body.results.map((hit) => hit.system_id), ["alpha"]);
  assert.doesNotMatch(found.text, /zanzibar|beta/);
  const named = await process.post(`${base}/search`, { query: "x", system_id: "beta" }, limited);
  assert.equal(named.status, 403, named.text);
  assert.match(named.text, /"system_id"/);
  assert.equal((await process.get(`${base}/memories/beta/theirs`, limited)).status, 403);
  assert.equal((await process.get(`${base}/memories/alpha/ours`, limited)).status, 200);
  const pushed = await process.post(`${base}/memories`, memory("beta", "new", "written by alpha"), limited);
  assert.equal(pushed.status, 403, pushed.text);
}

test("a key and a token of some systems read and write no other", async () => {
  const gateway = await start_governed();
  const whole = bearer(await make_key(gateway, "acme"));
  for (const one of [kOurs, kTheirs]) assert.equal((await gateway.post("/memory/memories", one, whole)).status, 200);
  // What the whole sees is kept, and is no hit for who sees less.
  const asked = { query: "zanzibar contract lantern festival" };
  assert.equal((await gateway.post("/memory/search", asked, whole)).body.results.length, 2);

  const key = await make_key(gateway, "acme", { systems: ["alpha"] });
  await sees_its_own_only(gateway, "/memory", bearer(key));
  assert.deepEqual((await gateway.get("/auth/me", bearer(key))).body.systems, ["alpha"]);
  // The key's systems go with the token that it is traded for.
  const form = new URLSearchParams({ grant_type: "client_credentials", client_id: key.slice(0, 12), client_secret: key });
  const traded = await fetch(`${gateway.url}/oauth/token`, { method: "POST", body: form });
  await sees_its_own_only(gateway, "/memory", bearer((await traded.json()).access_token));

  const wanted = { user_id: "session-buddy", roles: ["admin"], systems: ["alpha"], ttl_seconds: 600 };
  const made = await gateway.post("/auth/tokens", wanted, whole);
  assert.equal(made.status, 201, made.text);
  await sees_its_own_only(gateway, "/memory", bearer(made.body.token));
  // Nobody gives away more than they have.
  const limited = bearer(made.body.token);
  for (const systems of ["*", ["alpha", "beta"]]) {
    const more = await gateway.post("/auth/tokens", { ...wanted, systems }, limited);
    assert.equal(more.status, 403, more.text);
    const grown = await gateway.post("/governance/api-keys", { org_id: "acme", scopes: ["query:search"], systems }, limited);
    assert.equal(grown.status, 403, grown.text);
  }
  assert.equal((await gateway.post("/org/users", { email: "x@acme.example", role: "viewer" }, limited)).status, 403);

  // A live listener hears of its own systems only.
  const heard = [];
  const socket = new WebSocket(`${gateway.url.replace("http", "ws")}/memory/ws`);
  socket.addEventListener("message", ({ data }) => heard.push(JSON.parse(data)));
  const next = (matches, what) => until(() => heard.find(matches), { what, timeout_ms: 10_000, every_ms: 10 });
  await next((one) => one.event === "session.created", "the welcome");
  socket.send(JSON.stringify({ id: "1", type: "request", event: "auth", data: { token: made.body.token } }));
  await next((one) => one.correlation_id === "1", "the token to be taken");
  socket.send(JSON.stringify({ id: "2", type: "subscribe", data: { channel: "metrics" } }));
  await next((one) => one.correlation_id === "2" && one.data.subscribed, "the subscription");
  for (const system of ["beta", "alpha"])
    assert.equal((await gateway.post("/memory/memories", memory(system, "live", `${system} goes live`), whole)).status, 200);
  await next((one) => one.event === "aggregation.completed", "an event");
  assert.deepEqual(heard.filter((one) => one.type === "event" && one.room).map((one) => one.data.summary.system_id), ["alpha"]);
  socket.close();

  const { text } = await gateway.get("/metrics?format=prometheus", operator);
  assert.match(text, /^security_data_access_total\{severity="MEDIUM"\} [1-9]/m);
  assert.match(text, /^security_auth_success_total\{severity="INFO"\} [1-9]/m);
});

test("over processes it is the same", async () => {
  const hot = await start_role("hot_store");
  const env = { ...kGoverned, AKOSHA_HOT_URL: hot.url, AKOSHA_AUTH_ENABLED: "true" };
  const query = await start_role("query_server", { env });
  const whole = bearer(await make_key(query, "acme"));
  for (const one of [kOurs, kTheirs]) assert.equal((await query.post("/memories", one, whole)).status, 200);
  await sees_its_own_only(query, "", bearer(await make_key(query, "acme", { systems: ["alpha"] })));
});

test("the security log tells who got at what and what looked like an attack, and refuses no search for it", async () => {
  const gateway = await start_governed();
  const key = bearer(await make_key(gateway, "acme"));
  assert.equal((await gateway.post("/memory/search", { query: "admin' OR '1'='1' --" }, key)).status, 200);
  await gateway.get("/memory/uploads?system_id=..%2F..%2Fetc", key);
  await gateway.get("/memory/systems", bearer("ask_acme_00000000000000000000000000000000"));
  await gateway.post("/memory/mcp", { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "get_liveness", arguments: {} } }, key);
  await gateway.post("/memory/memories", { memory_id: "m", text: "x" }, key);
  const lines = await until(
    () => {
      const all = gateway.program.stdout
        .split("\n")
        .filter((line) => line.includes('"logger":"security"'))
        .map((line) => JSON.parse(line));
      return new Set(all.map((line) => line.event)).size >= 6 && all;
    },
    { what: "the security log", timeout_ms: 10_000, every_ms: 20 },
  );
  const of = (event) => lines.find((line) => line.event === event);
  assert.equal(of("sql_injection_attempt").severity, "MEDIUM");
  assert.equal(of("path_traversal_attempt").severity, "HIGH");
  assert.equal(of("auth_failure").result, "denied");
  assert.equal(of("mcp_tool_access").resource, "tool/get_liveness");
  assert.equal(of("data_access").org_id, "acme");
  assert.ok(of("auth_success"));
  assert.ok(lines.every((line) => !line.details.includes(key.authorization.slice(30))), "no credential is written");
});

/** What the owner of the process may read. */
const shutdown_token = (gateway) => readFileSync(join(gateway.folder, "data", "shutdown_token"), "utf8").trim();

test("the process shuts itself down for its owner on its own machine, and for nobody a proxy speaks for", async () => {
  const gateway = await start_governed();
  const proof = { "x-shutdown-token": shutdown_token(gateway) };
  assert.equal(statSync(join(gateway.folder, "data", "shutdown_token")).mode & 0o777, 0o600);
  for (const header of [{ "x-forwarded-for": "127.0.0.1" }, { via: "1.1 proxy" }, { origin: gateway.url }]) {
    const reply = await gateway.post("/memory/shutdown", {}, { ...proof, ...header });
    assert.equal(reply.status, 403, reply.text);
  }
  // As a proxy on this machine that leaves no header sends what the world sends.
  assert.equal((await gateway.post("/memory/shutdown", {})).status, 401, "nobody");
  const admin = bearer(await make_key(gateway, "acme"));
  assert.equal((await gateway.post("/memory/shutdown", {}, admin)).status, 403, "an organisation's admin");
  assert.equal((await gateway.post("/memory/shutdown", {}, { "x-shutdown-token": "f".repeat(64) })).status, 403, "a guess");
  assert.equal((await gateway.post("/memory/shutdown", {}, proof)).status, 202);
  assert.equal((await gateway.program.ended).code, 0);
});

test("who operates the process shuts it down with a credential, where credentials are needed", async () => {
  const gateway = await start_governed();
  assert.equal((await gateway.post("/memory/shutdown", {}, operator)).status, 202);
  assert.equal((await gateway.program.ended).code, 0);
});

test("without credentials only the owner's file opens it; asahi memory shutdown reads it", async () => {
  const gateway = await start_gateway();
  assert.equal((await gateway.post("/memory/shutdown", {})).status, 401);
  assert.equal((await gateway.post("/memory/shutdown", {}, operator)).status, 401, "no credential is looked at");
  const { code, stdout, stderr } = await run_asahi(["memory", "shutdown", "--url", gateway.url], { folder: gateway.folder });
  assert.equal(code, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), { status: "draining" });
  assert.equal((await gateway.program.ended).code, 0);
});
