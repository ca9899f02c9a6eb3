/** Tier 1: exact repeats are free, whatever the shape; clearing, expiry, export; one vendor call for many askers. */
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { restart_gateway, start_gateway } from "./support/gateway.mjs";
import { stop_everything } from "./support/processes.mjs";
import { redis_missing, start_redis } from "./support/redis.mjs";
import { kShapes, stream_prompt, words } from "./support/shapes.mjs";
import { until } from "./support/wait.mjs";

const fakes = await start_fakes();
const gateway = await start_gateway({ fakes });
after(stop_everything);
beforeEach(() => fakes.reset());

let number = 0;
const fresh = (text = "Name three rivers") => `${text} ${++number}`;
const vendor_calls = async () => (await fakes.requests()).length;
const ask = async (shape, prompt, extra = {}, at = gateway) => {
  const reply = await at.post(kShapes[shape].path, { ...kShapes[shape].body(prompt), ...extra });
  assert.equal(reply.status, 200, reply.text);
  return reply.body;
};

test("the second time the answer is a free tier 1 hit that still shows what it saved", async () => {
  const prompt = fresh();
  const first = await gateway.infer(prompt);
  const second = await gateway.infer(prompt);
  assert.deepEqual([second.cache_hit, second.cache_tier, second.cost], [true, 1, 0]);
  assert.deepEqual([second.tokens_input, second.tokens_output, second.tokens_total], [0, 0, 0]);
  assert.deepEqual(
    [second.response, second.model_used, second.provider, second.finish_reason],
    [first.response, first.model_used, first.provider, "stop"],
  );
  assert.notEqual(second.response_id, first.response_id);
  assert.notEqual(second.request_id, first.request_id);
  assert.deepEqual([second.cache.hit, second.cache.tier, second.cache.similarity], [true, 1, 1]);
  assert.equal(second.cache.cached_query, prompt);
  assert.deepEqual(second.optimization_techniques, ["cache_tier_1"]);
  assert.deepEqual(
    [second.cost_original, second.cost_savings_vs_baseline, second.cost_savings_percent],
    [first.cost_original, first.cost_original, 100],
  );
  assert.ok(second.latency_ms > 0);
  assert.equal(await vendor_calls(), 1);
});

for (const shape of Object.keys(kShapes)) {
  test(`${shape}: hits, plain and streamed, whichever came first`, async () => {
    const plain_first = fresh("[[answer:12]] plain");
    const first = await ask(shape, plain_first);
    const again = await ask(shape, plain_first);
    assert.equal(kShapes[shape].extras(first).cache_hit, false);
    assert.deepEqual(
      [
        kShapes[shape].extras(again).cache_hit,
        kShapes[shape].extras(again).cache_tier,
        kShapes[shape].extras(again).cost,
      ],
      [true, 1, 0],
    );
    assert.equal(kShapes[shape].text(again), words(12));
    assert.notEqual(kShapes[shape].id(again), kShapes[shape].id(first));
    const streamed = await stream_prompt(gateway, shape, plain_first);
    assert.deepEqual([streamed.text, streamed.finished], [words(12), true]);
    assert.ok(
      streamed.pieces.length >= 12,
      `a streamed hit comes word by word, not in ${streamed.pieces.length} pieces`,
    );
    assert.equal(await vendor_calls(), 1);

    const stream_first = fresh("[[answer:12]] streamed");
    assert.equal((await stream_prompt(gateway, shape, stream_first)).text, words(12));
    const hit = await ask(shape, stream_first);
    assert.deepEqual([kShapes[shape].extras(hit).cache_hit, kShapes[shape].text(hit)], [true, words(12)]);
    assert.equal(await vendor_calls(), 2);
  });
}

test("usage of a hit in a vendor's shape is the stored answer's", async () => {
  const prompt = fresh();
  const first = await ask("openai_chat", prompt);
  const second = await ask("openai_chat", prompt);
  assert.deepEqual(second.usage, first.usage);
});

test("tool calls are cached with their arguments", async () => {
  const tools = [
    {
      type: "function",
      function: {
        name: "get_weather",
        parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
      },
    },
  ];
  const prompt = fresh("[[tool:get_weather]]");
  const first = await ask("openai_chat", prompt, { model: "gpt-4o", tools });
  const second = await ask("openai_chat", prompt, { model: "gpt-4o", tools });
  assert.equal(second.asahi.cache_hit, true);
  assert.deepEqual(second.choices[0].message.tool_calls, first.choices[0].message.tool_calls);
});

test("whatever changes the answer changes the key", async () => {
  const prompt = fresh();
  const variants = [
    {},
    { system_prompt: "be brief" },
    { system_prompt: "be long" },
    { temperature: 0.3 },
    { max_tokens: 50 },
    { history: [{ role: "user", content: "x" }] },
    { routing_mode: "explicit", model: "gpt-4o" },
    { routing_mode: "explicit", model: "claude-3-5-sonnet" },
    { document_id: "d-1" },
  ];
  for (const variant of variants)
    assert.equal((await gateway.infer({ prompt, ...variant })).cache_hit, false, JSON.stringify(variant));
  for (const variant of variants)
    assert.equal((await gateway.infer({ prompt, ...variant })).cache_hit, true, JSON.stringify(variant));
  assert.equal(await vendor_calls(), variants.length);
});

test("what cannot change the answer does not change the key", async () => {
  const prompt = fresh();
  await gateway.infer({ prompt, task_id: "a" });
  for (const variant of [{ task_id: "b" }, { request_id: `r-${Date.now()}` }, { stream: false }]) {
    assert.equal((await gateway.infer({ prompt, ...variant })).cache_hit, true, JSON.stringify(variant));
  }
});

test("bypass_cache neither reads nor writes", async () => {
  const prompt = fresh();
  for (let i = 0; i < 2; ++i) assert.equal((await gateway.infer({ prompt, bypass_cache: true })).cache_hit, false);
  assert.equal((await gateway.infer(prompt)).cache_hit, false, "the bypassing calls wrote");
  assert.equal((await gateway.infer({ prompt, bypass_cache: true })).cache_hit, false, "the bypassing call read");
  assert.equal(await vendor_calls(), 4);
});

test("failures are not cached", async () => {
  const prompt = fresh();
  await fakes.script("*", { kind: "status", status: 400, message: "not today", times: "forever" });
  assert.equal((await gateway.post("/infer", { prompt })).status, 400);
  await fakes.reset();
  assert.equal((await gateway.infer(prompt)).cache_hit, false);
});

test("a stream that broke off is not cached", async (t) => {
  const single = await start_gateway({ fakes, vendors: ["openai"] });
  t.after(() => single.stop());
  const prompt = fresh("[[answer:20]]");
  await fakes.script("openai", { kind: "cut_stream", after_chunks: 5, times: "forever" });
  const broken = await stream_prompt(single, "openai_chat", prompt);
  assert.ok(broken.error || broken.cut);
  await fakes.reset();
  const reply = await ask("openai_chat", prompt, {}, single);
  assert.deepEqual([reply.asahi.cache_hit, reply.choices[0].message.content], [false, words(20)]);
});

test("fifty identical misses at once make one vendor call, paid once", async () => {
  const before = (await gateway.get("/metrics")).body;
  const prompt = fresh("[[delay_ms:400]] together");
  const replies = await Promise.all(Array.from({ length: 50 }, () => gateway.infer(prompt)));
  assert.equal(await vendor_calls(), 1);
  assert.equal(new Set(replies.map((reply) => reply.response)).size, 1);
  assert.equal(replies.filter((reply) => reply.cost > 0).length, 1, "each asker was charged");
  await until(async () => (await gateway.get("/metrics")).body.total_requests === before.total_requests + 50, {
    what: "all fifty to be counted",
  });
});

test("the asker who came first may leave without harm to the others", async () => {
  const prompt = fresh("[[delay_ms:500]] leader leaves");
  const leader = new AbortController();
  const left = fetch(`${gateway.url}/infer`, {
    method: "POST",
    signal: leader.signal,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt }),
  }).then(
    () => "answered",
    () => "left",
  );
  await until(async () => (await vendor_calls()) === 1, { what: "the first call to reach the vendor" });
  const others = [gateway.infer(prompt), gateway.infer(prompt)];
  leader.abort();
  assert.equal(await left, "left");
  for (const reply of await Promise.all(others)) assert.equal(reply.response, `Answer to: leader leaves ${number}`);
  assert.equal(await vendor_calls(), 1);
});

test("an entry expires after its time and is asked for again", async (t) => {
  const short = await start_gateway({ fakes, env: { ASAHI_CACHE_TIER1_TTL_SECONDS: "1" } });
  t.after(() => short.stop());
  const body = { prompt: fresh(), task_type: "a-task-without-a-row" }; // the rows of known tasks count in hours
  await short.infer(body);
  assert.equal((await short.infer(body)).cache_hit, true);
  await until(async () => (await short.infer(body)).cache_hit === false, {
    what: "the entry to expire",
    timeout_ms: 6000,
    every_ms: 200,
  });
});

test("clear removes everything, with its counts; expired removes only what is stale", async () => {
  await gateway.delete("/cache/clear");
  const prompts = [fresh(), fresh(), fresh()];
  for (const prompt of prompts) await gateway.infer(prompt);
  const stale = await gateway.delete("/cache/expired");
  assert.deepEqual([stale.status, stale.body.total], [200, 0]);
  const other_tier = await gateway.delete("/cache/clear?tier=2");
  assert.equal(other_tier.body.removed.tier_1, 0);
  assert.equal((await gateway.infer(prompts[0])).cache_hit, true);
  const cleared = await gateway.delete("/cache/clear");
  assert.deepEqual(cleared.body, { removed: { tier_1: 3, tier_2: 0, tier_3: 0 }, total: 3 });
  for (const prompt of prompts) assert.equal((await gateway.infer(prompt)).cache_hit, false);
  assert.equal((await gateway.delete("/cache?tier=1")).body.removed.tier_1, 3);
  assert.equal((await gateway.delete("/cache/clear?tier=9")).status, 400);
});

test("export lists the entries as JSON and NDJSON, answers only on demand, task types with their own time to live", async () => {
  await gateway.delete("/cache/clear");
  const faq = fresh("What is a fjord, tell me about it");
  const coding = fresh("Write code, implement a python function");
  await gateway.infer(faq);
  await gateway.infer(coding);
  await gateway.infer(faq);
  const { body } = await gateway.get("/cache/export");
  const entries = body.entries;
  assert.equal(entries.length, 2);
  const by_query = Object.fromEntries(entries.map((entry) => [entry.query, entry]));
  assert.deepEqual(Object.keys(by_query).sort(), [coding, faq].sort());
  for (const name of [
    "tier",
    "key",
    "query",
    "model",
    "cost",
    "task_type",
    "created_at",
    "expires_at",
    "hits",
    "size_bytes",
  ])
    assert.ok(name in by_query[faq], name);
  assert.ok(!("response" in by_query[faq]));
  const hours = (entry) => Math.round((Date.parse(entry.expires_at) - Date.parse(entry.created_at)) / 3_600_000);
  assert.deepEqual([hours(by_query[faq]), hours(by_query[coding])], [168, 4]);
  const full = await gateway.get("/cache/export?include_response=true");
  assert.ok(full.body.entries.every((entry) => entry.response.startsWith("Answer to: ")));
  const lines = await gateway.get("/cache/export?format=ndjson");
  assert.match(lines.headers.get("content-type"), /ndjson/);
  assert.deepEqual(
    lines.body
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).query)
      .sort(),
    [coding, faq].sort(),
  );
  const shown = await gateway.get("/cache/entries?tier=1&limit=1");
  assert.equal(shown.status, 200);
});

test("the in-process cache holds at most its entries, least recently used out first", async (t) => {
  const small = await start_gateway({ fakes, env: { ASAHI_CACHE_MAX_ENTRIES: "20", REDIS_URL: "" } });
  t.after(() => small.stop());
  const kept = fresh("kept");
  await small.infer(kept);
  for (let i = 0; i < 60; ++i) {
    await small.infer(fresh("filler"));
    if (i % 5 === 0) await small.infer(kept);
  }
  assert.equal((await small.infer(kept)).cache_hit, true);
  const { body } = await small.get("/cache/export");
  assert.ok(body.entries.length <= 24, `${body.entries.length} entries for a limit of 20`);
});

test("Redis is shared by two gateways and survives their restart and its own", { skip: redis_missing() }, async (t) => {
  const redis = await start_redis();
  const one = await start_gateway({ fakes, env: { REDIS_URL: redis.url } });
  const two = await start_gateway({ fakes, env: { REDIS_URL: redis.url } });
  t.after(() => Promise.all([two.stop(), redis.stop()]));
  assert.equal((await one.get("/health")).body.cache_backend, "redis");
  const prompt = fresh();
  await one.infer(prompt);
  assert.equal((await two.infer(prompt)).cache_hit, true, "the other gateway does not see the entry");
  await one.stop();
  await redis.stop();
  await redis.start();
  const again = await restart_gateway(one, { fakes });
  t.after(() => again.stop());
  assert.equal((await again.infer(prompt)).cache_hit, true, "the entry did not survive the restart");
  assert.equal(await vendor_calls(), 1);
  const cleared = await again.delete("/cache/clear");
  assert.ok(cleared.body.removed.tier_1 >= 1);
  assert.equal((await two.infer(prompt)).cache_hit, false, "the other gateway answers from what was cleared");
});
