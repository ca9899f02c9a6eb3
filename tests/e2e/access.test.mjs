/**
 * Who may call what: every operation of the OpenAPI document against every kind of caller that must not get in. The table
 * is made from the document, so that a new route is in it by itself.
 */
import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { after, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { stop_everything } from "./support/processes.mjs";

after(stop_everything);

const kAdminSecret = "operator-secret-for-tests";
const kJwtSecret = "a-secret-of-at-least-thirty-two-bytes!";
const fakes = await start_fakes();
const gateway = await start_gateway({
  fakes,
  env: {
    ASAHI_AUTH_API_KEY_REQUIRED: "true",
    ASAHI_ADMIN_SECRET: kAdminSecret,
    ASAHI_JWT_SECRET: kJwtSecret,
    ASAHI_API_TRUSTED_PROXIES: "127.0.0.1",
  },
});

// Each request comes from an address of its own: what is limited per address is not the matter here.
let address = 0;
const elsewhere = () => ({ "x-forwarded-for": `10.${(++address >> 16) & 255}.${(address >> 8) & 255}.${address & 255}` });
const operator = { "x-admin-secret": kAdminSecret };
const bearer = (token) => ({ authorization: `Bearer ${token}` });

async function make_key(org, scopes, more = {}) {
  const reply = await gateway.post("/governance/api-keys", { org_id: org, user_id: "u", scopes, ...more }, { ...operator, ...elsewhere() });
  assert.equal(reply.status, 201, reply.text);
  return reply.body.api_key;
}

const acme = await make_key("acme", ["admin"], { rate_limit_per_minute: 1000000 });
const globex = await make_key("globex", ["admin"], { rate_limit_per_minute: 1000000 });
for (const org of ["acme", "globex"]) {
  const reply = await gateway.call(
    "PUT",
    `/governance/policies/${org}`,
    { rate_limit_per_minute: 1000000, max_requests_per_day: 1000000 },
    { ...operator, ...elsewhere() },
  );
  assert.ok([200, 201].includes(reply.status), reply.text);
}
const revoked = await make_key("acme", ["admin"]);
assert.equal((await gateway.delete(`/governance/api-keys/${revoked.slice(0, 12)}`, bearer(acme))).status, 200);
const expired = await make_key("acme", ["admin"]);
await gateway.sqlite(`UPDATE api_keys SET expires_at = '2020-01-01T00:00:00.000Z' WHERE key_prefix = '${expired.slice(0, 12)}'`);
const wrong = acme.slice(0, -1) + (acme.endsWith("a") ? "b" : "a");

const base64 = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const claims = () => ({
  iss: "asahi",
  aud: "asahi-api",
  sub: "usr_x",
  org_id: "acme",
  role: "admin",
  scopes: ["*"],
  iat: Math.floor(Date.now() / 1000),
  exp: Math.floor(Date.now() / 1000) + 600,
  jti: "1",
});
const hs256 = (text, secret) => createHmac("sha256", secret).update(text).digest("base64url");
const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
function token(header, secret, body = claims()) {
  const text = `${base64(header)}.${base64(body)}`;
  if (secret === undefined) return `${text}.`;
  return `${text}.${typeof secret === "string" ? hs256(text, secret) : sign("sha256", Buffer.from(text), secret).toString("base64url")}`;
}

/** Credentials that must all be answered alike. */
const kRefused = {
  "no credential": {},
  "a wrong key": bearer(wrong),
  "a key nobody has": { "x-api-key": "ask_none_abcdefghijklmnopqrstuvwxyz012345" },
  "an expired key": bearer(expired),
  "a revoked key": bearer(revoked),
  "alg none": bearer(token({ alg: "none", typ: "JWT" })),
  "a token signed with another secret": bearer(token({ alg: "HS256", typ: "JWT" }, "another-secret-of-thirty-two-bytes!!!!")),
  "a public key taken for a secret": bearer(
    token({ alg: "HS256", typ: "JWT" }, publicKey.export({ type: "spki", format: "pem" })),
  ),
  "RS256 where HS256 is in use": bearer(token({ alg: "RS256", typ: "JWT" }, privateKey)),
  "a forged kid": bearer(token({ alg: "HS256", typ: "JWT", kid: "../../dev/null" }, "")),
  "an expired token": bearer(token({ alg: "HS256", typ: "JWT" }, kJwtSecret, { ...claims(), exp: 1000 })),
  "a token for others": bearer(token({ alg: "HS256", typ: "JWT" }, kJwtSecret, { ...claims(), aud: "elsewhere" })),
  "a made-up session": { cookie: "asahi_session=" + "0".repeat(64) },
};

const document = (await gateway.get("/openapi.json")).body;
const kMethods = ["get", "post", "put", "patch", "delete"];
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  kMethods
    .filter((method) => item[method])
    .map((method) => ({ path, method: method.toUpperCase(), access: item[method]["x-permission"] })),
);
const guarded = operations.filter(({ access }) => access !== "public");

/** The operation with harmless values; `org` goes where the path or the query names an organisation. */
function concrete({ path, method }, org = "acme") {
  const filled = path.replace(/\{org\}/g, org).replace(/\{[^}]+\}/g, "example");
  return { url: filled, body: method === "GET" || method === "DELETE" ? undefined : {} };
}
async function send(operation, headers, org) {
  const { url, body } = concrete(operation, org);
  return gateway.call(operation.method, url, body, { ...elsewhere(), ...headers });
}
/** A reply without what differs from request to request. */
const anonymous = (reply) =>
  JSON.stringify(reply.body)
    .replace(/"request_id":"[^"]*"/g, "")
    .replace(/"timestamp":"[^"]*"/g, "");

test("the table is no empty one", () => {
  assert.ok(guarded.length > 25, `${guarded.length} guarded operations`);
  for (const { path, method, access } of operations) assert.ok(access, `${method} ${path} has no x-permission`);
});

// Before the thousands of refusals of the table: of so many the log takes some each minute and the number of the rest.
test("each refusal leaves one entry in the audit log", async () => {
  const count = async () =>
    Number((await gateway.sqlite("SELECT COUNT(*) AS n FROM audit_entries WHERE action = 'auth_failure'"))[0].n);
  const settled = async () => {
    for (let before = -1; ; ) {
      const now = await count();
      if (now === before) return now;
      before = now;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  };
  const before = await settled();
  for (let i = 0; i < 5; ++i) await send({ path: "/models", method: "GET" }, bearer(wrong));
  assert.equal(await settled(), before + 5);
  const [entry] = await gateway.sqlite("SELECT * FROM audit_entries WHERE action = 'auth_failure' ORDER BY id DESC LIMIT 1");
  assert.equal(entry.result, "denied");
  assert.ok(!JSON.stringify(entry).includes(wrong.slice(12)), "the credential itself is not written down");
});

for (const [who, headers] of Object.entries(kRefused)) {
  test(`${who} opens nothing, and is told nothing`, async () => {
    for (const operation of guarded) {
      const reply = await send(operation, headers);
      const name = `${operation.method} ${operation.path}`;
      assert.equal(reply.status, 401, `${name}: ${reply.text}`);
      assert.equal(anonymous(reply), anonymous(await send(operation, {})), name);
      assert.doesNotMatch(reply.text, /revoked_at|expired at|acme|globex/, name);
    }
  });
}

const kScopes = { infer: ["infer"], analytics: ["view_metrics", "view_cost"] };
for (const [scope, permissions] of Object.entries(kScopes)) {
  test(`a key with the scope ${scope} reaches nothing else`, async () => {
    const key = await make_key("acme", [scope], { rate_limit_per_minute: 1000000 });
    for (const operation of guarded) {
      const allowed = operation.access === "authenticated" || permissions.includes(operation.access);
      const reply = await send(operation, bearer(key));
      const name = `${operation.method} ${operation.path}`;
      if (allowed) {
        assert.ok(![401, 403].includes(reply.status), `${name}: ${reply.text}`);
      } else {
        assert.equal(reply.status, 403, `${name}: ${reply.text}`);
        if (!operation.path.startsWith("/v1/")) {
          assert.equal(reply.body.error, "insufficient_scope", name);
          assert.equal(reply.body.details.required_permission, operation.access, name);
        }
      }
    }
  });
}

test("an admin of one organisation finds nothing of another", async () => {
  const foreign = guarded.filter(({ path, access }) => path.includes("{org}") && access !== "manage_tenants");
  assert.ok(foreign.length >= 5, `${foreign.length} operations name an organisation`);
  for (const operation of foreign) {
    const reply = await send(operation, bearer(globex), "acme");
    assert.equal(reply.status, 404, `${operation.method} ${operation.path}: ${reply.text}`);
  }
  for (const path of ["/governance/api-keys", "/governance/audit", "/governance/audit/verify", "/org/users", "/governance/usage"]) {
    const reply = await gateway.get(`${path}?org_id=acme`, { ...bearer(globex), ...elsewhere() });
    assert.equal(reply.status, 404, `${path}: ${reply.text}`);
  }
  const prefix = acme.slice(0, 12);
  assert.equal((await gateway.delete(`/governance/api-keys/${prefix}`, { ...bearer(globex), ...elsewhere() })).status, 404);
  assert.equal((await gateway.get("/models", { ...bearer(acme), ...elsewhere() })).status, 200, "the key still opens");
  const said = await gateway.post("/infer", { prompt: "x", organization_id: "acme" }, { ...bearer(globex), ...elsewhere() });
  assert.equal(said.status, 404);
});

test("the operator's routes are closed to every organisation's admin", async () => {
  for (const operation of guarded.filter(({ access }) => access === "manage_tenants")) {
    const reply = await send(operation, bearer(acme));
    assert.equal(reply.status, 403, `${operation.method} ${operation.path}: ${reply.text}`);
  }
});

test("a session without its CSRF token reads and changes nothing", async () => {
  const email = "ann@example.com";
  const password = "a long enough pass phrase";
  const made = await gateway.post("/org/users", { email, password, role: "admin" }, { ...bearer(acme), ...elsewhere() });
  assert.equal(made.status, 201, made.text);
  const login = await gateway.post("/auth/login", { email, password }, elsewhere());
  assert.equal(login.status, 200, login.text);
  const cookie = login.headers.get("set-cookie");
  assert.match(cookie, /HttpOnly/);
  assert.match(cookie, /SameSite=Lax/i);
  const session = { cookie: cookie.split(";")[0] };
  assert.equal((await gateway.get("/org/users", { ...session, ...elsewhere() })).status, 200);
  const changes = guarded.filter(({ method, access }) => method !== "GET" && !["manage_tenants"].includes(access));
  for (const operation of changes) {
    const reply = await send(operation, session);
    assert.equal(reply.status, 403, `${operation.method} ${operation.path}: ${reply.text}`);
    const forged = await send(operation, { ...session, "x-csrf-token": "0".repeat(64) });
    assert.equal(forged.status, 403, `${operation.method} ${operation.path}: ${forged.text}`);
  }
  const honest = await gateway.post("/cache/clear", {}, { ...session, ...elsewhere() });
  assert.equal(honest.status, 405);
  const cleared = await gateway.delete("/cache/clear", { ...session, "x-csrf-token": login.body.csrf_token, ...elsewhere() });
  assert.equal(cleared.status, 200, cleared.text);
});

test("a revoked key is out within a second", async () => {
  const key = await make_key("acme", ["infer"]);
  assert.equal((await gateway.get("/models", { ...bearer(key), ...elsewhere() })).status, 200);
  assert.equal((await gateway.delete(`/governance/api-keys/${key.slice(0, 12)}`, { ...bearer(acme), ...elsewhere() })).status, 200);
  const deadline = performance.now() + 1000;
  let status;
  do status = (await gateway.get("/models", { ...bearer(key), ...elsewhere() })).status;
  while (status === 200 && performance.now() < deadline);
  assert.equal(status, 401);
});

test("a rotated key stays valid beside its successor", async () => {
  const key = await make_key("acme", ["infer"]);
  const rotated = await gateway.post(`/governance/api-keys/${key.slice(0, 12)}/rotate`, {}, { ...bearer(acme), ...elsewhere() });
  assert.equal(rotated.status, 201, rotated.text);
  for (const one of [key, rotated.body.api_key]) {
    assert.equal((await gateway.get("/models", { ...bearer(one), ...elsewhere() })).status, 200);
  }
});

test("an audit chain of all this is whole", async () => {
  for (const org of ["acme", "globex", "default"]) {
    const reply = await gateway.get(`/governance/audit/verify?org_id=${org}`, { ...operator, ...elsewhere() });
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.body.valid, true, `${org}: ${reply.text}`);
  }
});
