/** After a change of the embedder memories are found by their words until they have new vectors; asked for, a run gives them those. */
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { restart_gateway, run_asahi, start_gateway } from "./support/gateway.mjs";
import { bearer, make_key, start_governed } from "./support/governed.mjs";
import { stop_everything } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

after(stop_everything);

const kDay = 86_400_000;
const kTopics = ["database migration", "quarterly invoice", "garden party", "train timetable", "password reset"];

async function push(gateway) {
  const memories = kTopics.map((topic, i) => ({
    memory_id: topic,
    text: `We talked about the ${topic} for a while.`,
    system_id: "buddy",
    timestamp: new Date(Date.now() - (i < 2 ? 20 : 1) * kDay).toISOString(),
  }));
  const reply = await gateway.post("/memory/memories/batch", { memories });
  assert.equal(reply.status, 200, reply.text);
}

async function find(gateway, mode) {
  const reply = await gateway.post("/memory/search", { query: "We talked about the garden party for a while.", mode, threshold: 0.9 });
  assert.equal(reply.status, 200, reply.text);
  return reply.body.results.map((hit) => hit.conversation_id);
}

async function shown(gateway) {
  const reply = await gateway.get("/memory/embeddings/reembed");
  assert.equal(reply.status, 200, reply.text);
  return reply.body;
}

test("memories of another embedder get new vectors in both tiers, also when the run is cut off", async () => {
  let gateway = await start_gateway({ env: { AKOSHA_EMBEDDING_FALLBACK: "hash_random", AKOSHA_WARM_TIER_DAYS: "90" } });
  await push(gateway);
  const asked = await gateway.post("/memory/storage/migrations", { source_tier: "hot", target_tier: "warm" });
  await until(async () => (await gateway.get(`/memory/storage/migrations/${asked.body.id}`)).body.state === "done", { what: "ageing" });
  assert.equal((await shown(gateway)).remaining, 0);
  await gateway.kill();

  gateway = await restart_gateway(gateway, { env: { AKOSHA_EMBEDDING_FALLBACK: "hash_ngram" } });
  const before = await shown(gateway);
  assert.equal(before.remaining, kTopics.length, JSON.stringify(before));
  assert.match(Object.keys(before.tiers.warm)[0], /^hash_random-/);
  assert.deepEqual(await find(gateway, "semantic"), [], "vectors of two embedders are never compared");
  assert.equal((await gateway.post("/memory/search", { query: "garden party", mode: "keyword" })).body.results[0].conversation_id, "garden party");
  const old = (await gateway.get("/memory/memories/buddy/garden%20party")).body;

  const run = await gateway.post("/memory/embeddings/reembed", {});
  assert.equal(run.status, 202, run.text);
  await gateway.kill();
  gateway = await restart_gateway(gateway);
  const ended = await until(
    async () => {
      const now = await shown(gateway);
      return now.run.state === "done" && now;
    },
    { what: "the run to end", timeout_ms: 90_000 },
  );
  assert.equal(ended.remaining, 0, JSON.stringify(ended));
  assert.equal(ended.run.id, run.body.id);
  assert.deepEqual(await find(gateway, "semantic"), ["garden party"], "the cache gives no answer from before");
  const now = (await gateway.get("/memory/memories/buddy/garden%20party")).body;
  assert.notEqual(now.embedding_model, old.embedding_model);
  assert.deepEqual({ ...now, embedding_model: "" }, { ...old, embedding_model: "" }, "all else is as it was");

  const again = await run_asahi(["memory", "reembed", "--url", gateway.url]);
  assert.equal(again.code, 0, again.stderr);
  assert.equal(JSON.parse(again.stdout).records, 0, "nothing is left to do");

  const wrong = await gateway.post("/memory/embeddings/reembed", { all: true });
  assert.equal(wrong.status, 400, wrong.text);
});

test("an organisation re-embeds its own memories, and needs the right to", async () => {
  const gateway = await start_governed();
  const admin = bearer(await make_key(gateway, "acme"));
  const reader = bearer(await make_key(gateway, "acme", { scopes: ["read"] }));
  assert.equal((await gateway.get("/memory/embeddings/reembed", reader)).status, 403);
  assert.equal((await gateway.post("/memory/embeddings/reembed", {}, reader)).status, 403);
  assert.equal((await gateway.post("/memory/embeddings/reembed", {}, admin)).status, 202);
});
