/** Budgets of money and requests: 64 calls at once on every kind of route, restarts, crashes, an emptied data folder. */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { restart_gateway } from "./support/gateway.mjs";
import { budget_use, kGoverned, make_org, set_policy, start_governed } from "./support/governed.mjs";
import { postgres_missing, start_postgres } from "./support/postgres.mjs";
import { stop_everything } from "./support/processes.mjs";
import { redis_missing, start_redis } from "./support/redis.mjs";
import { kShapes } from "./support/shapes.mjs";
import { until } from "./support/wait.mjs";

after(stop_everything);

const kAtOnce = 64;
const fakes = await start_fakes();
const gateway = await start_governed({ fakes });
// Calls must be under way together to see each other.
for (const vendor of ["openai", "anthropic"]) await fakes.config(vendor, { latency_ms: 30 });

/** Calls whose answers are many times as long as anybody would guess from their questions. */
function chat(shape, stream) {
  const { path, body } = kShapes[shape];
  const length = path === "/v1/messages" ? { max_tokens: 1000 } : {};
  const more = { model: "gpt-4o-mini", ...length, ...(stream ? { stream } : {}) };
  return { path, body: (i) => ({ ...body(`[[answer:300]] call ${i}`), ...more }) };
}
const kRoutes = {
  native: chat("native"),
  "native, streamed": chat("native", true),
  "OpenAI chat": chat("openai_chat"),
  "OpenAI chat, streamed": chat("openai_chat", true),
  "OpenAI completions": {
    path: "/v1/completions",
    body: (i) => ({ model: "gpt-4o-mini", prompt: `[[answer:300]] call ${i}`, max_tokens: 1000 }),
  },
  "OpenAI responses": chat("openai_responses"),
  "OpenAI responses, streamed": chat("openai_responses", true),
  "Anthropic messages": chat("anthropic"),
  "Anthropic messages, streamed": chat("anthropic", true),
  embeddings: {
    path: "/v1/embeddings",
    body: (i) => ({ model: "text-embedding-3-small", input: `call ${i} ${"word ".repeat(700)}` }),
  },
};

const kNano = 1e9;
/** Settled costs of an organisation's answered calls in nano-dollars, once `count` of them are in the log. */
function settled(org, count) {
  const answered = () => gateway.events().filter((event) => event.org_id === org && !event.error);
  return until(() => answered().length >= count && answered().map((event) => Math.round(event.cost * kNano)), {
    what: `${count} events of ${org}`,
  });
}
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

const all_at_once = (route, caller, label) =>
  Promise.all(Array.from({ length: kAtOnce }, (_, i) => gateway.post(route.path, route.body(`${label} ${i}`), caller)));

/** A refusal in the words of the route's clients. */
function assert_refusal(route, reply, reason) {
  assert.equal(reply.status, 429, reply.text);
  assert.ok(Number(reply.headers.get("retry-after")) >= 1);
  if (route.path === "/infer") {
    assert.equal(reply.body.error, reason);
    assert.ok(Object.keys(reply.body.details).length > 0, reply.text);
  } else if (route.path === "/v1/messages") {
    assert.equal(reply.body.type, "error");
    assert.equal(reply.body.error.type, "rate_limit_error");
    assert.match(reply.body.error.message, reason === "budget_exceeded" ? /budget/ : /requests of this day/);
  } else {
    assert.equal(reply.body.error.code, reason);
  }
}

for (const [name, route] of Object.entries(kRoutes)) {
  const org = `money-${name.toLowerCase().replace(/\W+/g, "-")}`;

  test(`${name}: ${kAtOnce} calls at once overrun a spend cap by at most one of them`, async () => {
    const sample = await make_org(gateway, `${org}-sample`);
    const one_reply = await gateway.post(route.path, route.body("sample 1"), sample);
    assert.equal(one_reply.status, 200, one_reply.text);
    const [one] = await settled(`${org}-sample`, 1);
    assert.ok(one > 0);
    const cap = Math.round(10.5 * one);
    const caller = await make_org(gateway, org, { max_cost_per_day: cap / kNano });
    const replies = await all_at_once(route, caller, "x");
    const passed = replies.filter((reply) => reply.status === 200).length;
    assert.ok(passed >= 1);
    for (const reply of replies) if (reply.status !== 200) assert_refusal(route, reply, "budget_exceeded");
    // What is left may be used up one after another, but for what a careful estimate holds back, and then no more.
    let more = 0;
    for (; more < kAtOnce; ++more) {
      const reply = await gateway.post(route.path, route.body(`later ${more}`), caller);
      if (reply.status !== 200) {
        assert_refusal(route, reply, "budget_exceeded");
        break;
      }
    }
    const costs = await settled(org, passed + more);
    assert.equal(costs.length, passed + more, "what was refused is no call");
    assert.ok(sum(costs) <= cap + Math.max(...costs), `${sum(costs)} of ${cap} n$, one call costs ${one}`);
    assert.ok(sum(costs) >= cap / 2, `${sum(costs)} of ${cap} n$ could be used, one call costs ${one}`);
    const use = await budget_use(gateway, org);
    assert.equal(use.reserved_usd, 0);
    assert.equal(use.requests, costs.length);
    assert.ok(Math.abs(use.spent_usd - sum(costs) / kNano) <= 1e-6, JSON.stringify(use));
  });

  test(`${name}: ${kAtOnce} calls at once stop exactly at a request cap`, async () => {
    const caller = await make_org(gateway, `${org}-count`, { max_requests_per_day: 10 });
    const replies = await all_at_once(route, caller, "y");
    assert.equal(replies.filter((reply) => reply.status === 200).length, 10);
    for (const reply of replies) if (reply.status !== 200) assert_refusal(route, reply, "request_limit_exceeded");
    assert.equal((await budget_use(gateway, `${org}-count`)).requests, 10);
  });
}

test("a history of short answers lets no burst of long ones through", async () => {
  const caller = await make_org(gateway, "history", { max_cost_per_day: 1 });
  const ask = (words, label) =>
    gateway.post("/infer", { prompt: `[[answer:${words}]] ${label}`, model: "gpt-4o-mini", max_tokens: 400 }, caller);
  for (let i = 0; i < 40; ++i) assert.equal((await ask(3, `short ${i}`)).status, 200);
  const before = sum(await settled("history", 40));
  const cap = before + 2_000_000;
  await set_policy(gateway, "history", { max_cost_per_day: cap / kNano });
  const replies = await Promise.all(Array.from({ length: kAtOnce }, (_, i) => ask(300, `long ${i}`)));
  const costs = await settled("history", 40 + replies.filter(({ status }) => status === 200).length);
  const one = Math.max(...costs);
  assert.ok(sum(costs) <= cap + one, `${sum(costs) - before} of ${cap - before} n$, one call costs ${one}`);
});

test("a hit counts as a request and costs nothing", async () => {
  const caller = await make_org(gateway, "hits", { max_cost_per_day: 1, max_requests_per_day: 12 });
  const ask = () => gateway.post("/infer", { prompt: "[[answer:300]] asked again", model: "gpt-4o-mini" }, caller);
  const first = await ask();
  assert.equal(first.body.cache_hit, false);
  const [cost] = await settled("hits", 1);
  for (let i = 0; i < 11; ++i) assert.equal((await ask()).body.cache_hit, true);
  const use = await budget_use(gateway, "hits");
  assert.equal(use.requests, 12);
  assert.ok(Math.abs(use.spent_usd - cost / kNano) < 1e-6, JSON.stringify(use));
  const refused = await ask();
  assert.equal(refused.body.error, "request_limit_exceeded", refused.text);
});

test("calls that fail cost nothing, and a stream that its client left costs what came", async () => {
  const caller = await make_org(gateway, "failed", { max_cost_per_day: 1 });
  await fakes.script("*", { kind: "status", status: 400, times: "forever", match: "be refused" });
  for (let i = 0; i < 5; ++i) {
    const reply = await gateway.post("/v1/chat/completions", kShapes.openai_chat.body(`be refused ${i}`), caller);
    assert.notEqual(reply.status, 200);
    assert.notEqual(reply.status, 429);
  }
  const idle = await budget_use(gateway, "failed");
  assert.deepEqual([idle.spent_usd, idle.reserved_usd], [0, 0]);
  const controller = new AbortController();
  const messages = [{ role: "user", content: "[[answer:400]] [[chunk_ms:5]] leave" }];
  const body = { messages, model: "gpt-4o-mini", stream: true };
  const response = await gateway.stream("/v1/chat/completions", body, { headers: caller, signal: controller.signal });
  const reader = response.body.getReader();
  for (let i = 0; i < 20; ++i) await reader.read();
  controller.abort();
  const use = await until(
    async () => {
      const now = await budget_use(gateway, "failed");
      return now.reserved_usd === 0 && now.spent_usd > 0 && now;
    },
    { what: "the stream to be settled" },
  );
  assert.ok(use.spent_usd < 0.0003, JSON.stringify(use));
});

for (const [how, end] of [
  ["SIGTERM", (one) => one.stop()],
  ["SIGKILL", (one) => one.kill()],
]) {
  test(`${how} and a start again forget nothing`, async (t) => {
    let one = await start_governed({ fakes });
    t.after(() => one.kill());
    const caller = await make_org(one, "kept", { max_cost_per_day: 1, max_requests_per_day: 8 });
    const ask = (i) => one.post("/infer", { prompt: `[[answer:400]] kept ${i}`, model: "gpt-4o-mini" }, caller);
    for (let i = 0; i < 8; ++i) assert.equal((await ask(i)).status, 200);
    const before = await budget_use(one, "kept");
    assert.equal(before.requests, 8);
    assert.ok(before.spent_usd > 0.001, JSON.stringify(before));
    await end(one);
    one = await restart_gateway(one, { fakes });
    const again = await budget_use(one, "kept");
    assert.deepEqual(again, before);
    assert.equal((await ask(9)).body.error, "request_limit_exceeded");
    await set_policy(one, "kept", { max_cost_per_day: before.spent_usd / 2 });
    assert.equal((await ask(10)).body.error, "budget_exceeded");
  });
}

test("what was reserved when the process died counts as spent", async (t) => {
  let one = await start_governed({ fakes });
  t.after(() => one.kill());
  const caller = await make_org(one, "open", { max_cost_per_day: 1 });
  const prompt = `[[delay_ms:20000]] ${"a long question ".repeat(400)}`;
  const lost = one.post("/infer", { prompt, model: "gpt-4o-mini" }, caller).catch(() => "cut");
  const reserved = await until(async () => {
    const use = await budget_use(one, "open");
    return use.reserved_usd > 0 && use.reserved_usd;
  }, { what: "a reservation" });
  await one.kill();
  assert.equal(await lost, "cut");
  one = await restart_gateway(one, { fakes });
  assert.deepEqual(await budget_use(one, "open"), { requests: 1, spent_usd: reserved, reserved_usd: 0 });
});

test("with PostgreSQL budgets survive an emptied data folder", { skip: postgres_missing() ?? false }, async (t) => {
  const database = await start_postgres();
  t.after(() => database.stop());
  let one = await start_governed({ fakes, env: { ...kGoverned, DATABASE_URL: database.url } });
  t.after(() => one.kill());
  const caller = await make_org(one, "moved", { max_cost_per_day: 1, max_requests_per_day: 6 });
  const ask = (i) => one.post("/infer", { prompt: `[[answer:400]] moved ${i}`, model: "gpt-4o-mini" }, caller);
  for (let i = 0; i < 6; ++i) assert.equal((await ask(i)).status, 200);
  const before = await budget_use(one, "moved");
  await one.stop();
  rmSync(join(one.folder, "data"), { recursive: true });
  one = await restart_gateway(one, { fakes });
  assert.deepEqual(await budget_use(one, "moved"), before);
  assert.equal((await ask(7)).body.error, "request_limit_exceeded");
});

test(
  "three processes with one Redis hold one budget",
  { skip: redis_missing() ?? postgres_missing() ?? false },
  async (t) => {
    const [redis, database] = await Promise.all([start_redis(), start_postgres()]);
    const env = { DATABASE_URL: database.url, REDIS_URL: redis.url, ASAHI_DATABASE_POOL_SIZE: "4" };
    const replicas = [await start_governed({ fakes, env })];
    for (let i = 0; i < 2; ++i) replicas.push(await start_governed({ fakes, env }));
    t.after(() => Promise.all([...replicas.map((replica) => replica.kill()), redis.stop(), database.stop()]));
    const at_once = (label, caller) =>
      Promise.all(
        Array.from({ length: kAtOnce }, (_, i) => {
          const { path, body } = kRoutes.native;
          return replicas[i % replicas.length].post(path, body(`${label} ${i}`), caller);
        }),
      );
    const counted = await make_org(replicas[0], "shared-count", { max_requests_per_day: 10 });
    const replies = await at_once("count", counted);
    assert.equal(replies.filter(({ status }) => status === 200).length, 10);
    for (const reply of replies) if (reply.status !== 200) assert_refusal(kRoutes.native, reply, "request_limit_exceeded");

    const one = 180_600; // of such a call: a few words asked, 301 answered
    const caller = await make_org(replicas[0], "shared-money", { max_cost_per_day: (10.5 * one) / kNano });
    const passed = (await at_once("money", caller)).filter(({ status }) => status === 200);
    const costs = passed.map(({ body }) => body.cost * kNano);
    assert.ok(costs.length >= 1);
    const shown = 1000 * costs.length; // replies show micro-dollars
    assert.ok(sum(costs) <= 10.5 * one + Math.max(...costs) + shown, `${costs.length} of 10.5 calls passed`);
  },
);
