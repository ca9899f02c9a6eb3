/** Secrets from Vault: at the start, exchanged while calls go on, while Vault is away. And from .env by SIGHUP. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { after, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { run_asahi, start_gateway } from "./support/gateway.mjs";
import { bearer, make_key, set_policy } from "./support/governed.mjs";
import { assert_no_leak } from "./support/leaks.mjs";
import { stop_everything, temp_folder } from "./support/processes.mjs";
import { start_vault } from "./support/vault.mjs";
import { until } from "./support/wait.mjs";

const kLimitMs = 60_000 * Number(process.env.ASAHI_TIME_FACTOR ?? 1);
const kFast = { ASAHI_GOVERNANCE_PBKDF2_ITERATIONS: "100000" };
const kFirst = {
  ASAHI_ADMIN_SECRET: "operator-secret-for-tests",
  ASAHI_JWT_SECRET: "first-secret-of-at-least-thirty-two-bytes",
  ASAHI_ENCRYPTION_KEY: "1a".repeat(32),
  ASAHI_KEY_PEPPER: "pepper-of-the-tests-0123456789abcdef",
  OPENAI_API_KEY: "test-first-1111",
};
const kSecond = {
  ...kFirst,
  ASAHI_ADMIN_SECRET: "second-operator-secret-for-tests",
  ASAHI_JWT_SECRET: "second-secret-of-at-least-thirty-two-bytes",
  ASAHI_ENCRYPTION_KEY: "2b".repeat(32),
  OPENAI_API_KEY: "test-second-2222",
};

after(stop_everything);

const admin = (secret) => ({ "x-admin-secret": secret });
const exchanged = (gateway) =>
  gateway.logs().filter(({ message }) => message === "a secret was exchanged").map(({ name }) => name);

test("every secret is exchanged in Vault while calls go on, and none of them fails", { timeout: 4 * kLimitMs }, async () => {
  const fakes = await start_fakes();
  const vault = await start_vault();
  await vault.put(kFirst);
  const gateway = await start_gateway({ fakes, env: { ASAHI_AUTH_API_KEY_REQUIRED: "true", ...kFast, ...vault.env } });

  // At the start Vault's word counts more than the environment's.
  await set_policy(gateway, "acme", {});
  const key = await make_key(gateway, "acme");
  const own = await gateway.post("/providers/keys", { provider: "anthropic", api_key: "test-own-7788" }, bearer(key));
  assert.equal(own.status, 201, own.text);
  const token_reply = async () => {
    const form = new URLSearchParams({ grant_type: "client_credentials", client_id: key.slice(0, 12), client_secret: key });
    const response = await fetch(`${gateway.url}/oauth/token`, { method: "POST", body: form });
    return { status: response.status, body: await response.json() };
  };
  const first_token = (await token_reply()).body.access_token;
  assert.ok(first_token, "no token");

  const failures = [];
  let asked = 0;
  let done = false;
  const note = (what, reply, wanted = 200) => {
    if (reply.status !== wanted) failures.push(`${what}: ${reply.status} ${reply.text ?? JSON.stringify(reply.body)}`);
  };
  async function calls() {
    while (!done) {
      const say = (model) => ({ model, messages: [{ role: "user", content: `question ${++asked}` }] });
      note("with the key", await gateway.post("/v1/chat/completions", say("gpt-4o-mini"), bearer(key)));
      note("with the token", await gateway.post("/v1/chat/completions", say("gpt-4o-mini"), bearer(first_token)));
      note("at the own vendor", await gateway.post("/v1/chat/completions", say("claude-3-5-sonnet"), bearer(key)));
      note("as the operator", await gateway.get("/tenants", admin(kFirst.ASAHI_ADMIN_SECRET)));
      note("a new token", await token_reply());
      await pause(400); // a plan has 1,000 requests a day
    }
  }
  const callers = [calls(), calls()].map((caller) => caller.catch((error) => failures.push(String(error))));
  const stored = async () =>
    (await gateway.sqlite("SELECT ciphertext FROM provider_keys WHERE active"))[0].ciphertext;
  const before = await stored();

  await vault.put(kSecond);
  await until(() => exchanged(gateway).length >= 4, { what: "four secrets to be exchanged", timeout_ms: kLimitMs });
  assert.deepEqual(exchanged(gateway).sort(), ["ASAHI_ADMIN_SECRET", "ASAHI_ENCRYPTION_KEY", "ASAHI_JWT_SECRET", "OPENAI_API_KEY"]);
  // New ones are in use, old ones are let in for a while.
  await until(async () => (await gateway.get("/tenants", admin(kSecond.ASAHI_ADMIN_SECRET))).status === 200, {
    what: "the new admin secret to open",
    timeout_ms: kLimitMs,
  });
  await until(async () => (await fakes.requests({ vendor: "openai" })).at(-1)?.key_hint === "2222", {
    what: "the vendor to see the new key",
    timeout_ms: kLimitMs,
  });
  const second_token = (await token_reply()).body.access_token;
  const kid = (token) => JSON.parse(Buffer.from(token.split(".")[0], "base64url")).kid;
  assert.notEqual(kid(second_token), kid(first_token));
  // Stored values are written under the new key; a little later, so that every process has it.
  await until(async () => (await stored()).slice(0, 12) !== before.slice(0, 12), {
    what: "the stored key to be written under the new encryption key",
    timeout_ms: kLimitMs,
  });
  done = true;
  await Promise.all(callers);
  assert.deepEqual(failures, []);
  assert.ok(asked > 30, `${asked} calls`);
  assert.equal((await fakes.requests({ vendor: "anthropic" })).at(-1).key_hint, "7788");

  const metrics = (await gateway.get("/metrics", { accept: "text/plain", ...bearer(key) })).text;
  assert.match(metrics, /asahi_reencrypted_values_total\{result="renewed"\} 1/);
  assert.match(metrics, /asahi_secrets_exchanged_total\{secret="ASAHI_JWT_SECRET"\} 1/);

  // While Vault is away everything goes on.
  await vault.control("script", { faults: [{ kind: "status", status: 503, times: "forever" }] });
  await until(() => gateway.logs().some(({ message }) => message.startsWith("Vault does not answer")), {
    what: "the outage to be logged",
    timeout_ms: kLimitMs,
  });
  assert.equal((await gateway.get("/tenants", admin(kSecond.ASAHI_ADMIN_SECRET))).status, 200);
  // What breaks a rule is not taken up.
  await vault.control("reset", {});
  await vault.put({ ...kSecond, ASAHI_ADMIN_SECRET: "too short" });
  await until(() => gateway.logs().some(({ message, name }) => message.startsWith("a secret is not taken up") && name === "ASAHI_ADMIN_SECRET"), {
    what: "the bad secret to be refused",
    timeout_ms: kLimitMs,
  });
  assert.equal((await gateway.get("/tenants", admin(kSecond.ASAHI_ADMIN_SECRET))).status, 200);
  assert.equal((await gateway.get("/tenants", admin("too short"))).status, 401);

  const secrets = {};
  for (const [which, all] of Object.entries({ first: kFirst, second: kSecond }))
    for (const [name, value] of Object.entries(all)) secrets[`${which} ${name}`] = value;
  await assert_no_leak(gateway, { ...secrets, "own key": "test-own-7788", "Vault's token": "test-root" }, { headers: bearer(key) });
  assert.equal((await gateway.stop()).code, 0);
});

test("without Vault there is no start, and the reason is told without the token", async () => {
  const vault = await start_vault();
  const env = { ...vault.env, ASAHI_MOCK: "true", ASAHI_PORT: "0" };
  await vault.control("script", { faults: [{ kind: "status", status: 403, times: "forever" }] });
  const refused = await run_asahi(["serve"], { env });
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /VAULT_ADDR/);
  const missing = await run_asahi(["serve"], { env: { ...env, VAULT_PATH: "" } });
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /VAULT_PATH.*must be set with VAULT_ADDR/);
  for (const { stdout, stderr } of [refused, missing]) assert.equal((stdout + stderr).includes("test-root"), false);
});

test("any setting may come from Vault; faults and origins name it", async () => {
  const vault = await start_vault();
  await vault.put({ ASAHI_ADMIN_SECRET: "operator-secret-for-tests", ASAHI_API_WORKERS: "many" });
  const refused = await run_asahi(["config"], { env: vault.env });
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /WORKERS.*\(Vault\)/);
});

test("SIGHUP takes up the secrets of .env", async () => {
  const folder = temp_folder("gateway");
  const write = (secret) => writeFileSync(join(folder, ".env"), `ASAHI_ADMIN_SECRET=${secret}\n`);
  write(kFirst.ASAHI_ADMIN_SECRET);
  const gateway = await start_gateway({
    folder,
    env: { ASAHI_MOCK: "true", ASAHI_AUTH_API_KEY_REQUIRED: "true", ASAHI_GOVERNANCE_ROTATION_OVERLAP_HOURS: "0" },
  });
  assert.equal((await gateway.get("/tenants", admin(kFirst.ASAHI_ADMIN_SECRET))).status, 200);
  write(kSecond.ASAHI_ADMIN_SECRET);
  process.kill(gateway.pid, "SIGHUP");
  await until(async () => (await gateway.get("/tenants", admin(kSecond.ASAHI_ADMIN_SECRET))).status === 200, {
    what: "the new admin secret to open",
  });
  // Without an overlap the old one is out at once.
  assert.equal((await gateway.get("/tenants", admin(kFirst.ASAHI_ADMIN_SECRET))).status, 401);
});
