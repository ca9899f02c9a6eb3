/** GET /settings: what holds, where it came from, and nothing that is secret or another's business. */
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { start_gateway } from "./support/gateway.mjs";
import { stop_everything } from "./support/processes.mjs";

after(stop_everything);

const by_path = ({ body }) => Object.fromEntries(body.settings.map((setting) => [setting.path, setting]));

test("an open gateway shows all its settings with their origin, without secrets", async () => {
  const gateway = await start_gateway({
    env: { ASAHI_MOCK: "true", OPENAI_API_KEY: "sk-very-secret", ASAHI_CACHE_TIER1_TTL_SECONDS: "1234" },
    config: "routing:\n  default_mode: guided\n",
  });
  const reply = await gateway.get("/settings");
  assert.equal(reply.status, 200, reply.text);
  assert.equal(reply.body.complete, true);
  const settings = by_path(reply);
  assert.equal(settings["cache.tier1.ttl_seconds"].value, "1234");
  assert.match(settings["cache.tier1.ttl_seconds"].origin, /environment ASAHI_CACHE_TIER1_TTL_SECONDS/);
  assert.equal(settings["cache.tier1.ttl_seconds"].variable, "ASAHI_CACHE_TIER1_TTL_SECONDS");
  assert.match(settings["routing.default_mode"].origin, /config\.yaml:2/);
  assert.equal(settings["database.url"].value, "***");
  assert.equal(reply.text.includes("sk-very-secret"), false);
  assert.deepEqual((await gateway.get("/api/v1/settings")).body, reply.body);
  await gateway.stop();
});

test("an admin sees what shapes answers, the operator everything, others nothing", async () => {
  const operator = { "x-admin-secret": "operator-secret-for-tests" };
  const gateway = await start_gateway({
    env: { ASAHI_MOCK: "true", ASAHI_AUTH_API_KEY_REQUIRED: "true", ASAHI_ADMIN_SECRET: operator["x-admin-secret"] },
  });
  const key = async (scopes) => {
    const made = await gateway.post("/governance/api-keys", { org_id: "acme", scopes }, operator);
    assert.equal(made.status, 201, made.text);
    return { authorization: `Bearer ${made.body.api_key}` };
  };
  const admin = await gateway.get("/settings", await key(["admin"]));
  assert.equal(admin.body.complete, false);
  const paths = Object.keys(by_path(admin));
  assert.ok(paths.includes("routing.default_mode") && paths.includes("cache.tier2.enabled"));
  assert.ok(!paths.some((path) => /^(app\.data_dir|database|redis|auth|api)\b/.test(path)), paths.join("\n"));
  assert.equal((await gateway.get("/settings", operator)).body.complete, true);
  assert.equal((await gateway.get("/settings", await key(["infer", "analytics"]))).status, 403);
  assert.equal((await gateway.get("/settings")).status, 401);
  await gateway.stop();
});
