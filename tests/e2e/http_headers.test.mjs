/** What every reply carries: security headers, CORS, no traces of the inside. */
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { stop_everything } from "./support/processes.mjs";

const fakes = await start_fakes();
after(stop_everything);

test("security headers are on answers and errors alike", async (t) => {
  const gateway = await start_gateway({ fakes });
  t.after(() => gateway.stop());
  for (const path of ["/health", "/no-such-path", "/models"]) {
    const { headers } = await gateway.get(path);
    assert.equal(headers.get("x-content-type-options"), "nosniff", path);
    assert.equal(headers.get("x-frame-options"), "DENY", path);
    assert.match(headers.get("referrer-policy"), /strict-origin/, path);
    assert.ok(headers.get("permissions-policy"), path);
    assert.equal(headers.get("server"), null, path);
  }
});

test("any origin is allowed by default, without credentials; preflight answers at once", async (t) => {
  const gateway = await start_gateway({ fakes });
  t.after(() => gateway.stop());
  const preflight = await gateway.call("OPTIONS", "/infer", undefined, {
    origin: "https://app.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type, x-api-key",
  });
  assert.ok([200, 204].includes(preflight.status));
  assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
  assert.equal(preflight.headers.get("access-control-allow-credentials"), null);
  assert.match(preflight.headers.get("access-control-allow-methods"), /POST/);
  assert.match(preflight.headers.get("access-control-allow-headers"), /x-api-key/i);
});

test("a list of origins admits those and no others", async (t) => {
  const gateway = await start_gateway({
    fakes,
    env: { ASAHI_API_CORS_ORIGINS: "https://app.example,http://localhost:3000" },
  });
  t.after(() => gateway.stop());
  const allowed = await gateway.get("/health", { origin: "https://app.example" });
  assert.equal(allowed.headers.get("access-control-allow-origin"), "https://app.example");
  assert.match(allowed.headers.get("vary") ?? "", /origin/i);
  const stranger = await gateway.get("/health", { origin: "https://evil.example" });
  assert.equal(stranger.headers.get("access-control-allow-origin"), null);
});

test("outside development plain HTTP behind a proxy is redirected, and HSTS is sent over HTTPS", async (t) => {
  const gateway = await start_gateway({
    fakes,
    env: { ASAHI_APP_ENVIRONMENT: "staging", ASAHI_GOVERNANCE_AUTH_API_KEY_REQUIRED: "false" },
  });
  t.after(() => gateway.stop());
  const response = await fetch(`${gateway.url}/models?x=1`, {
    redirect: "manual",
    headers: { "x-forwarded-proto": "http" },
  });
  assert.equal(response.status, 308);
  assert.match(response.headers.get("location"), /^https:\/\/.*\/models\?x=1$/);
  const secure = await gateway.get("/health", { "x-forwarded-proto": "https" });
  assert.match(secure.headers.get("strict-transport-security"), /max-age=31536000/);
});
