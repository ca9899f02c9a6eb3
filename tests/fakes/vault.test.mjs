/** The fake Vault answers as the real one does: status, shape and words that clients act upon. */
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";

import { Program, stop_everything } from "../e2e/support/processes.mjs";
import { until } from "../e2e/support/wait.mjs";

const program = new Program(process.execPath, [
  fileURLToPath(new URL("./vault.mjs", import.meta.url)),
  "--port",
  "0",
  "--stop-with-parent",
]);
const { address } = JSON.parse(
  await program.output((out) => out.match(/^\{.*\}$/m)?.[0], { what: "the line with its port" }),
);
after(stop_everything);

async function control(action, body) {
  const response = await fetch(
    `${address}/control/${action}`,
    body ? { method: "POST", body: JSON.stringify(body) } : {},
  );
  assert.equal(response.status, 200);
  return response.json();
}

async function call(method, path, { token = "test-root", body } = {}) {
  const response = await fetch(`${address}/v1/${path}`, {
    method,
    headers: { "x-vault-token": token },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(5000),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text && JSON.parse(text) };
}

beforeEach(() => control("reset", {}));

test("a secret is read back with its version, and every write makes a new one", async () => {
  for (const version of [1, 2]) {
    const written = await call("POST", "secret/data/asahi", { body: { data: { OPENAI_API_KEY: `sk-${version}` } } });
    assert.equal(written.body.data.version, version);
  }
  const { status, body } = await call("GET", "secret/data/asahi");
  assert.equal(status, 200);
  assert.deepEqual(body.data.data, { OPENAI_API_KEY: "sk-2" });
  assert.deepEqual(
    { ...body.data.metadata, created_time: "" },
    { created_time: "", custom_metadata: null, deletion_time: "", destroyed: false, version: 2 },
  );
  assert.deepEqual([body.lease_id, body.lease_duration, body.auth], ["", 0, null]);
});

test("a missing secret is 404 without errors, a deleted one 404 with its metadata", async () => {
  const missing = await call("GET", "secret/data/asahi");
  assert.deepEqual([missing.status, missing.body], [404, { errors: [] }]);
  await control("put", { path: "asahi", data: { A: "b" } });
  await call("DELETE", "secret/data/asahi");
  const deleted = await call("GET", "secret/data/asahi");
  assert.equal(deleted.status, 404);
  assert.equal(deleted.body.data.data, null);
  assert.notEqual(deleted.body.data.metadata.deletion_time, "");
});

test("unknown, revoked and expired tokens are refused alike", async () => {
  await control("token", { token: "short", ttl: 1 });
  await control("token", { token: "revoked" });
  await control("revoke", { token: "revoked" });
  assert.equal((await call("GET", "auth/token/lookup-self", { token: "short" })).body.data.ttl, 1);
  await until(async () => (await call("GET", "auth/token/lookup-self", { token: "short" })).status === 403, {
    what: "the end of the token",
    every_ms: 100,
  });
  for (const token of ["unknown", "revoked", "short"]) {
    const { status, body } = await call("GET", "secret/data/asahi", { token });
    assert.deepEqual([status, body.errors], [403, ["permission denied", "invalid token"]]);
  }
});

test("a renewal begins the life anew, up to the longest life", async () => {
  await control("token", { token: "renewed", ttl: 100, max_ttl: 40 });
  const { body } = await call("POST", "auth/token/renew-self", { token: "renewed", body: {} });
  assert.equal(body.auth.client_token, "renewed");
  assert.ok(body.auth.lease_duration <= 40 && body.auth.lease_duration > 30);
  await control("token", { token: "fixed", renewable: false });
  const refused = await call("POST", "auth/token/renew-self", { token: "fixed", body: {} });
  assert.deepEqual([refused.status, refused.body.errors], [400, ["lease is not renewable"]]);
});

test("a service account logs in with its role and its own token only", async () => {
  await control("role", { role: "asahi", jwt: "jwt-1", ttl: 60 });
  const log_in = (role, jwt) => call("POST", "auth/kubernetes/login", { token: "", body: { role, jwt } });
  assert.equal((await log_in("nobody", "jwt-1")).status, 400);
  assert.equal((await log_in("asahi", "forged")).status, 403);
  const { body } = await log_in("asahi", "jwt-1");
  assert.equal(body.auth.lease_duration, 60);
  assert.equal((await call("GET", "auth/token/lookup-self", { token: body.auth.client_token })).body.data.ttl, 60);
});

test("faults come in order, at their path, as often as asked", async () => {
  await control("put", { path: "asahi", data: { A: "b" } });
  await control("script", {
    faults: [
      { kind: "status", status: 429, headers: { "retry-after": "1" }, path: "asahi" },
      { kind: "status", status: 503, path: "asahi", times: 2 },
      { kind: "slow", ms: 50, path: "asahi" },
      { kind: "garbage", path: "asahi" },
      { kind: "reset", path: "asahi" },
    ],
  });
  assert.equal((await call("GET", "auth/token/lookup-self")).status, 200);
  const limited = await call("GET", "secret/data/asahi");
  assert.deepEqual([limited.status, limited.headers.get("retry-after")], [429, "1"]);
  assert.equal((await call("GET", "secret/data/asahi")).status, 503);
  assert.equal((await call("GET", "secret/data/asahi")).status, 503);
  const begin = performance.now();
  assert.equal((await call("GET", "secret/data/asahi")).status, 200);
  assert.ok(performance.now() - begin >= 45);
  await assert.rejects(call("GET", "secret/data/asahi"), SyntaxError);
  await assert.rejects(call("GET", "secret/data/asahi"), TypeError);
  assert.equal((await call("GET", "secret/data/asahi")).status, 200);
  const { requests } = await control("requests");
  assert.deepEqual(
    requests.map((request) => request.fault),
    [null, "status", "status", "status", "slow", "garbage", "reset", null],
  );
  const unknown = await fetch(`${address}/control/script`, { method: "POST", body: '{"faults":[{"kind":"slwo"}]}' });
  assert.equal(unknown.status, 400);
});
