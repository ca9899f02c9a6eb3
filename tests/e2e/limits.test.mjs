/** Requests and tokens per minute: of keys, organisations, users, models and addresses. */
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { make_org, set_policy, start_governed } from "./support/governed.mjs";
import { stop_everything } from "./support/processes.mjs";
import { kShapes } from "./support/shapes.mjs";
import { until } from "./support/wait.mjs";

after(stop_everything);

const fakes = await start_fakes();
const gateway = await start_governed({ fakes });

/** The limit's header fields as numbers. */
function figures(reply) {
  const number = (name) => Number(reply.headers.get(name) ?? NaN);
  return {
    limit: number("x-ratelimit-limit"),
    remaining: number("x-ratelimit-remaining"),
    reset: number("x-ratelimit-reset"),
    retry_after: number("retry-after"),
  };
}

function assert_refused(reply, limit) {
  assert.equal(reply.status, 429, reply.text);
  const { retry_after, reset, ...rest } = figures(reply);
  assert.deepEqual(rest, { limit, remaining: 0 });
  assert.ok(retry_after >= 1 && retry_after <= 60, `Retry-After ${retry_after}`);
  const in_seconds = reset - Date.now() / 1000;
  assert.ok(in_seconds > 0 && in_seconds <= 61, `reset in ${in_seconds} s`);
}

/** Sends until the first refusal; {passed, refused: reply}. */
async function until_refused(send, most = 50) {
  for (let passed = 0; passed < most; ++passed) {
    const reply = await send(passed);
    if (reply.status === 429) return { passed, refused: reply };
    assert.ok(reply.status < 500, reply.text);
  }
  assert.fail(`${most} requests passed`);
}

test("a key's requests are counted down in the headers and refused at the limit, in every shape", async () => {
  const key = await make_org(gateway, "by-key", {}, { rate_limit_per_minute: 5 });
  for (let left = 4; left >= 0; --left) {
    const reply = await gateway.get("/auth/me", key);
    assert.equal(reply.status, 200, reply.text);
    assert.equal(figures(reply).limit, 5);
    assert.equal(figures(reply).remaining, left);
  }
  const calls = (await fakes.requests()).length;
  for (const [name, shape] of Object.entries(kShapes)) {
    for (const stream of [false, true]) {
      const reply = await gateway.post(shape.path, { ...shape.body("over the limit"), stream }, key);
      assert_refused(reply, 5);
      if (name === "native") {
        assert.equal(reply.body.error, "rate_limited");
        assert.equal(reply.body.retry_after_seconds, figures(reply).retry_after);
        assert.ok(reply.body.message.includes("5 requests per minute of this key"), reply.body.message);
      } else if (name === "anthropic") {
        assert.equal(reply.body.type, "error");
        assert.equal(reply.body.error.type, "rate_limit_error");
      } else {
        assert.equal(reply.body.error.type, "rate_limit_error");
        assert.equal(reply.body.error.code, "rate_limit_exceeded");
      }
    }
  }
  assert.equal((await fakes.requests()).length, calls, "no vendor heard of it");
});

test("an organisation's requests are counted over all its keys, as its policy says at that moment", async () => {
  const one = await make_org(gateway, "by-org", { rate_limit_per_minute: 6 });
  const two = await make_org(gateway, "by-org", { rate_limit_per_minute: 6 });
  const other = await make_org(gateway, "by-org-2", { rate_limit_per_minute: 6 });
  const { passed, refused } = await until_refused((i) => gateway.get("/auth/me", i % 2 ? one : two));
  assert.equal(passed, 6);
  assert_refused(refused, 6);
  assert.match(refused.body.message, /organisation/);
  assert.equal((await gateway.get("/auth/me", other)).status, 200, "others go on");
  await set_policy(gateway, "by-org", { rate_limit_per_minute: 8 });
  await until(async () => (await gateway.get("/auth/me", two)).status === 200, {
    what: "the new limit to hold",
    timeout_ms: 1000,
  });
  const more = await until_refused(() => gateway.get("/auth/me", one));
  assert.equal(more.passed, 1);
  assert_refused(more.refused, 8);
});

test("an address without a credential is counted by itself, behind a proxy that is trusted", async (t) => {
  const small = await start_governed({ fakes, env: { ASAHI_API_RATE_LIMIT_PER_MINUTE: "5" } });
  t.after(() => small.stop());
  const refresh = (address) =>
    small.post("/auth/refresh", { refresh_token: "nobody-has-this" }, { "x-forwarded-for": address });
  const { passed, refused } = await until_refused(() => refresh("192.0.2.7"));
  assert.equal(passed, 5);
  assert_refused(refused, 5);
  assert.notEqual((await refresh("192.0.2.8")).status, 429, "its neighbour goes on");
  assert.equal((await refresh("192.0.2.8, 192.0.2.7")).status, 429, "what the proxy saw counts, not what was claimed");
  assert.equal((await small.get("/health", { "x-forwarded-for": "192.0.2.7" })).status, 200, "public reads are free");
});

test("an IPv6 caller is its whole /64", async (t) => {
  const small = await start_governed({ fakes, env: { ASAHI_API_RATE_LIMIT_PER_MINUTE: "5" } });
  t.after(() => small.stop());
  const { passed } = await until_refused((i) =>
    small.post("/auth/refresh", { refresh_token: "x" }, { "x-forwarded-for": `2001:db8:1:2::${i + 1}` }),
  );
  assert.equal(passed, 5);
});

const answer_of = (words, i) => `[[answer:${words}]] question ${i}`;
const kTokenLimits = {
  org: { policy: { tokens_per_minute: 200 } },
  key: { key: { tokens_per_minute: 200 } },
  user: { policy: { per_user: { tokens_per_minute: 200 } } },
  model: { policy: { per_model: { "gpt-4o-mini": { tokens_per_minute: 200 } } } },
};
for (const [scope, { policy = {}, key = {} }] of Object.entries(kTokenLimits)) {
  test(`tokens per minute of one ${scope} are counted as really used`, async () => {
    const caller = await make_org(gateway, `tokens-${scope}`, policy, key);
    const ask = (i) => gateway.post("/infer", { prompt: answer_of(20, `${scope} ${i}`), model: "gpt-4o-mini" }, caller);
    let used = 0;
    const { passed, refused } = await until_refused(async (i) => {
      const reply = await ask(i);
      if (reply.status === 200) used += reply.body.tokens_total;
      return reply;
    });
    const one = used / passed;
    assert.ok(used <= 200 + one, `${used} tokens of 200 let through`);
    assert.ok(used >= 100, `refused after ${used} of 200 tokens`);
    assert.equal(refused.body.error, "rate_limited", refused.text);
    const { scope: said, unit, limit } = refused.body.details;
    assert.deepEqual({ said, unit, limit }, { said: scope, unit: "tokens", limit: 200 });
    assert.ok(Number(refused.headers.get("retry-after")) >= 1);
    for (const shape of Object.values(kShapes)) {
      const stream = { ...shape.body(answer_of(20, "streamed " + shape.path)), model: "gpt-4o-mini", stream: true };
      assert.equal((await gateway.post(shape.path, stream, caller)).status, 429, shape.path);
    }
  });
}

test("a call that failed gives its tokens back", async () => {
  const caller = await make_org(gateway, "tokens-failed", { tokens_per_minute: 100 });
  await fakes.script("openai", { kind: "status", status: 400, times: "forever", match: "refuse this" });
  for (let i = 0; i < 20; ++i) {
    const prompt = `refuse this ${i} ${"please ".repeat(20)}`;
    const reply = await gateway.post("/infer", { prompt, model: "gpt-4o-mini", routing_mode: "explicit" }, caller);
    assert.ok(![200, 429].includes(reply.status), reply.text);
  }
  assert.equal((await fakes.requests({ contains: "refuse this" })).length, 20);
  await fakes.reset();
  const good = await gateway.post("/infer", { prompt: answer_of(5, "after failures"), model: "gpt-4o-mini" }, caller);
  assert.equal(good.status, 200, good.text);
});

test("requests per minute of a user and of a model hold beside those of the organisation", async () => {
  const by_user = await make_org(gateway, "per-user", { per_user: { requests_per_minute: 3 } });
  const user = await until_refused((i) => gateway.post("/infer", { prompt: `user ${i}` }, by_user));
  assert.equal(user.passed, 3);
  assert.equal(user.refused.body.details.scope, "user");
  const by_model = await make_org(gateway, "per-model", { per_model: { "gpt-4o-mini": { requests_per_minute: 3 } } });
  const model = await until_refused((i) =>
    gateway.post("/infer", { prompt: `model ${i}`, model: "gpt-4o-mini" }, by_model),
  );
  assert.equal(model.passed, 3);
  assert.equal(model.refused.body.details.scope, "model");
});
