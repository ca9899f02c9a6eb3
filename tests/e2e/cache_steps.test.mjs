/** Tier 3: composed requests are answered from the steps that are known. */
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { stop_everything } from "./support/processes.mjs";
import { redis_missing, start_redis } from "./support/redis.mjs";
import { until } from "./support/wait.mjs";

const fakes = await start_fakes();
const kSteps = { ASAHI_CACHE_TIER3_ENABLED: "true", ASAHI_CACHE_TIER3_EXECUTE_STEPS: "true" };
const gateway = await start_gateway({ fakes, env: kSteps });
after(stop_everything);
beforeEach(() => fakes.reset());

const vendor_calls = async () => (await fakes.requests()).length;
const steps = async (at = gateway) => (await at.get("/cache/entries?tier=3&limit=500")).body.entries;
/** Steps are written behind the reply. */
const kept = (count, at = gateway) => until(async () => (await steps(at)).length === count, { what: `${count} steps` });
const cached = (reply) => reply.cache.steps.map((step) => step.cached);

test("a comparison is run in steps, and the next one pays only for what is new", async () => {
  const first = await gateway.infer("Compare copper and zinc");
  assert.equal(await vendor_calls(), 3);
  assert.deepEqual(cached(first), [false, false, false]);
  assert.deepEqual(
    first.cache.steps.map((step) => step.step_type),
    ["summarize", "summarize", "answer"],
  );
  await kept(3);
  const second = await gateway.infer("Compare copper and iron");
  assert.deepEqual(cached(second), [true, false, false]);
  assert.equal(await vendor_calls(), 5);
  assert.ok(second.optimization_techniques.includes("cache_tier_3"));
  assert.ok(second.cost > 0 && second.cost < first.cost);
});

test("with every step known the answer is free", async () => {
  await gateway.delete("/cache/clear");
  await gateway.infer("What is a fox? Who was Ada Lovelace?");
  await kept(2);
  const before = await vendor_calls();
  const hit = await gateway.infer("Who was Ada Lovelace? What is a fox?");
  assert.deepEqual([hit.cache_hit, hit.cache_tier, hit.cost, hit.tokens_total], [true, 3, 0, 0]);
  assert.equal(hit.response, "Answer to: Who was Ada Lovelace?\n\nAnswer to: What is a fox?");
  assert.equal(await vendor_calls(), before);
  const { cache_stats } = (await gateway.get("/metrics")).body;
  assert.equal(cache_stats.tier_3.hits, 1);
});

test("other questions, settings and organisations find nothing", async () => {
  await gateway.delete("/cache/clear");
  await gateway.infer("What is a fox? What does it eat?");
  await kept(2);
  for (const other of [
    { prompt: "What is an owl? What does it eat?" },
    { prompt: "What does it eat? What is a fox?", temperature: 0.5 },
    { prompt: "What is a fox? What does it eat?", organization_id: "rival" },
    { prompt: "What is a fox? What does it eat?", document_id: "d7" },
  ]) {
    const reply = await gateway.infer(other);
    assert.ok(!cached(reply).includes(true), JSON.stringify(other));
  }
});

test("steps are listed, exported, and forgotten by document, by key and all at once", async () => {
  await gateway.delete("/cache/clear");
  await gateway.infer({ prompt: "Compare tin and lead", document_id: "d1" });
  await gateway.infer({ prompt: "Compare gold and jade", document_id: "d2" });
  await kept(6);
  const { body } = await gateway.get("/cache/export");
  assert.equal(body.entries.filter((entry) => entry.tier === 3).length, 6);
  const removed = await gateway.delete("/cache/steps?document_id=d1");
  assert.deepEqual(removed.body.removed, { tier_1: 0, tier_2: 0, tier_3: 3 });
  const [one] = await steps();
  assert.equal((await gateway.delete(`/cache/steps?key=${encodeURIComponent(one.key)}`)).body.total, 1);
  assert.equal((await gateway.delete(`/cache/steps?key=${encodeURIComponent(one.key)}`)).body.total, 0);
  assert.equal((await gateway.delete("/cache/steps")).status, 400);
  assert.equal((await gateway.delete("/cache/clear?tier=3")).body.removed.tier_3, 2);
  assert.equal((await steps()).length, 0);
});

test("by default nothing is run in steps", async () => {
  const plain = await start_gateway({ fakes, env: { ASAHI_CACHE_TIER3_ENABLED: "true" } });
  const reply = await plain.infer("Compare copper and zinc");
  assert.equal(await vendor_calls(), 1);
  assert.equal(reply.cache.steps, undefined);
  await plain.stop();
});

test("workers on one Redis share their steps", { skip: redis_missing() }, async () => {
  const redis = await start_redis();
  const env = { ...kSteps, REDIS_URL: redis.url };
  const [one, two] = [await start_gateway({ fakes, env }), await start_gateway({ fakes, env })];
  await one.infer("What is a fox? Who was Ada Lovelace?");
  await kept(2, two);
  const hit = await two.infer("Who was Ada Lovelace? What is a fox?");
  assert.equal(hit.cache_tier, 3);
  await redis.stop();
  assert.equal((await two.infer("What is a wolf? Who was Euler?")).cache_hit, false);
});
