/** The memory in the combined process: push, find, explain, page, erase; what is acknowledged outlives kill -9. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { restart_gateway, run_asahi, start_gateway } from "./support/gateway.mjs";
import { bearer, make_key, start_governed } from "./support/governed.mjs";
import { stop_everything } from "./support/processes.mjs";

after(stop_everything);

const kTalk = [
  ["deploy", "The deploy of apollo failed at 14:05 because the database migration timed out."],
  ["coffee", "Anna takes her coffee black, two cups before noon."],
  ["invoice", "Invoice 4711 to Contoso was paid twice; Ben asked for a refund of 1,250 EUR."],
  ["holiday", "The team is in Lisbon from the 3rd to the 7th of May."],
  ["cache", "Redis evicted the session keys, so users were logged out at midnight."],
];

const memories = (system_id) => ({
  memories: kTalk.map(([memory_id, text], i) => ({
    memory_id,
    text,
    system_id,
    timestamp: new Date(Date.now() - (i + 1) * 3_600_000).toISOString(),
    metadata: { project: i % 2 ? "home" : "apollo", tags: ["talk", memory_id] },
  })),
});

async function push(gateway, body, headers) {
  const reply = await gateway.post("/memory/memories/batch", body, headers);
  assert.equal(reply.status, 200, reply.text);
  return reply.body;
}

async function find(gateway, body, headers) {
  const reply = await gateway.post("/memory/search", body, headers);
  assert.equal(reply.status, 200, reply.text);
  return reply.body;
}

const ids = (reply) => reply.results.map((hit) => hit.conversation_id);

test("what was pushed is found by the next search, and says why", async () => {
  const gateway = await start_gateway();
  const pushed = await push(gateway, memories("buddy"));
  assert.equal(pushed.status, "success");
  assert.equal(pushed.counts.stored, kTalk.length);

  const found = await find(gateway, { query: "why did the deploy fail" });
  assert.equal(found.results[0].conversation_id, "deploy");
  assert.equal(found.results[0].tier, "hot");
  assert.equal(found.results[0].content, kTalk[0][1]);
  assert.ok(found.results[0].explanation.matched_terms.length > 0, JSON.stringify(found.results[0].explanation));
  assert.equal(found.cache, "miss");
  assert.deepEqual(found.tiers_searched, ["hot", "warm"]);
  assert.equal((await find(gateway, { query: "why did the deploy fail" })).cache, "l1");

  // A new memory is not hidden by what was kept.
  await push(gateway, { memories: [{ memory_id: "again", text: "The deploy failed again, this time on disk space.", system_id: "buddy" }] });
  const later = await find(gateway, { query: "why did the deploy fail" });
  assert.equal(later.cache, "miss");
  assert.ok(ids(later).includes("again"));

  const kept = await gateway.get(`/memory/search/${later.query_id}`);
  assert.deepEqual(kept.body, later);
  const { text } = await gateway.get("/metrics?format=prometheus");
  assert.match(text, /^akosha_ingestion_requests_total\{status="success",system_id="buddy"\} 2$/m);
  assert.match(text, /^akosha_query_cache_hits_total\{cache_level="l1"\} 1$/m);
});

test("sending the same again changes nothing; the same text from another system is seen, not stored", async () => {
  const gateway = await start_gateway();
  await push(gateway, memories("buddy"));
  const again = await push(gateway, memories("buddy"));
  assert.equal(again.counts.unchanged, kTalk.length, JSON.stringify(again.counts));
  const other = await push(gateway, memories("helper"));
  assert.equal(other.counts.duplicates, kTalk.length, JSON.stringify(other.counts));
  const status = await gateway.get("/memory/storage/status");
  assert.equal(status.body.tiers.hot.records, kTalk.length);
});

test("filters, facets, pages and the order without a query", async () => {
  const gateway = await start_gateway();
  await push(gateway, memories("buddy"));
  const newest = await find(gateway, { limit: 2 });
  assert.deepEqual(ids(newest), ["deploy", "coffee"]);
  assert.equal(newest.results[0].similarity, null);
  const next = await find(gateway, { limit: 2, cursor: newest.next_cursor });
  assert.deepEqual(ids(next), ["invoice", "holiday"]);
  const last = await find(gateway, { limit: 2, cursor: next.next_cursor });
  assert.deepEqual(ids(last), ["cache"]);
  assert.equal(last.next_cursor, null);

  const home = await find(gateway, { project: "home", facets: ["tags", "project"] });
  assert.deepEqual(ids(home).sort(), ["coffee", "holiday"]);
  assert.equal(home.facets.tags.talk, 2);
  assert.deepEqual(home.facets.project, { home: 2 });
  assert.deepEqual(ids(await find(gateway, { tags: ["cache"] })), ["cache"]);
  const words = await find(gateway, { query: "4711", mode: "keyword" });
  assert.equal(ids(words)[0], "invoice"); // what was said next to it may follow
});

test("bad input names field, value and rule", async () => {
  const gateway = await start_gateway();
  for (const [path, body, field] of [
    ["/memory/search", { query: "" }, "query"],
    ["/memory/search", { query: "x", limit: 0 }, "limit"],
    ["/memory/search", { query: "x", embedding: [1, 2, 3] }, "embedding"],
    ["/memory/search", { query: "x", colour: "red" }, "colour"],
    ["/memory/embeddings", {}, "text"],
    ["/memory/memories", { memory_id: "a", system_id: "s" }, "text"],
  ]) {
    const reply = await gateway.post(path, body);
    assert.equal(reply.status, 400, `${path} ${JSON.stringify(body)}: ${reply.text}`);
    assert.equal(reply.body.error, "validation_error");
    assert.equal(reply.body.details.field, field, reply.text);
  }
  assert.equal((await gateway.get("/memory/memories/buddy/nothing")).status, 404);
  assert.equal((await gateway.get("/memory/search/qry_0000000000000000")).status, 404);
});

test("erased is erased: from searches, from kept answers, after a restart", async () => {
  let gateway = await start_gateway();
  await push(gateway, memories("buddy"));
  assert.ok(ids(await find(gateway, { query: "coffee" })).includes("coffee"));
  const erased = await gateway.delete("/memory/memories/buddy/coffee");
  assert.equal(erased.status, 200, erased.text);
  assert.ok(!ids(await find(gateway, { query: "coffee" })).includes("coffee"));
  assert.equal((await gateway.get("/memory/memories/buddy/coffee")).status, 404);
  await gateway.kill();
  gateway = await restart_gateway(gateway);
  assert.equal((await gateway.get("/memory/memories/buddy/coffee")).status, 404);
  assert.equal((await gateway.get("/memory/memories/buddy/deploy")).body.content, kTalk[0][1]);
  assert.equal((await find(gateway, { query: "redis evicted sessions" })).results[0].conversation_id, "cache");
  const systems = async () => (await gateway.get("/memory/systems")).body.systems.map(({ system_id, uploads }) => [system_id, uploads]);
  assert.deepEqual(await systems(), [["buddy", 1]]);
  assert.equal((await gateway.delete("/memory/systems/buddy")).body.deleted, kTalk.length - 1);
  assert.deepEqual(ids(await find(gateway, {})), []);

  // No system any more; the ledger keeps what it sent once.
  assert.deepEqual(await systems(), []);
  assert.equal((await gateway.get("/memory/systems/buddy")).status, 404);
  assert.equal((await gateway.delete("/memory/systems/buddy")).status, 404);
  assert.equal((await gateway.get("/memory/uploads?system_id=buddy")).body.uploads.length, 1);
  await push(gateway, { memories: memories("buddy").memories.slice(0, 1) });
  assert.deepEqual(await systems(), [["buddy", 1]]);
});

test("kill -9 while pushing: what was acknowledged is there once, nothing else is half there", async () => {
  let gateway = await start_gateway();
  const acknowledged = new Set();
  for (let round = 0; round < 5; ++round) {
    let over = false;
    const pusher = (async () => {
      for (let i = 0; !over; ++i) {
        const id = `r${round}-${i}`;
        try {
          const reply = await gateway.post("/memory/memories", { memory_id: id, text: `Round ${round} had the number ${i} in it.`, system_id: "crash" });
          if (reply.status === 200) acknowledged.add(id);
        } catch {
          return;
        }
      }
    })();
    await new Promise((resolve) => setTimeout(resolve, 200 + round * 60));
    await gateway.kill();
    over = true;
    await pusher;
    gateway = await restart_gateway(gateway);
    for (const id of acknowledged) {
      const reply = await gateway.get(`/memory/memories/crash/${id}`);
      assert.equal(reply.status, 200, `${id} was acknowledged`);
    }
    const { records } = (await gateway.get("/memory/storage/status")).body.tiers.hot;
    assert.ok(records >= acknowledged.size && records <= acknowledged.size + round + 1, `${records} records, ${acknowledged.size} acknowledged`);
  }
  assert.ok(acknowledged.size > 20, `${acknowledged.size} acknowledged`);
});

test("organisations do not meet, and permissions hold", async () => {
  const gateway = await start_governed();
  const acme = await make_key(gateway, "acme", { scopes: ["write"] });
  const globex = await make_key(gateway, "globex");
  const reader = await make_key(gateway, "acme", { scopes: ["read"] });
  await push(gateway, memories("buddy"), bearer(acme));
  assert.equal((await find(gateway, { query: "deploy" }, bearer(reader))).results[0].conversation_id, "deploy");
  assert.deepEqual(ids(await find(gateway, { query: "deploy" }, bearer(globex))), []);
  assert.equal((await gateway.get("/memory/memories/buddy/deploy", bearer(globex))).status, 404);
  assert.equal((await gateway.delete("/memory/memories/buddy/deploy", bearer(globex))).status, 404);
  assert.equal((await gateway.delete("/memory/memories/buddy/deploy", bearer(acme))).status, 403);
  assert.equal((await gateway.post("/memory/memories", { memory_id: "x", text: "y", system_id: "s" }, bearer(reader))).status, 403);
  assert.equal((await gateway.post("/memory/search", { query: "deploy" })).status, 401);
});

test("from a file to an answer on the command line", async () => {
  const gateway = await start_gateway();
  const file = join(gateway.folder, "talks.jsonl");
  const lines = kTalk.map(([id, content]) => JSON.stringify({ id, content }));
  writeFileSync(file, `${lines.join("\n")}\n\n${JSON.stringify({ id: "bad", content: "x", system_id: "../etc" })}\n`);
  const imported = await run_asahi(["memory", "import", file, "--url", gateway.url]);
  assert.equal(imported.code, 0, imported.stderr);
  assert.match(imported.stdout, /6 memories: 5 stored, 0 there already, 1 refused/);
  assert.match(imported.stderr, /system_id/);
  const again = await run_asahi(["memory", "import", file, "--url", gateway.url]);
  assert.match(again.stdout, /6 memories: 0 stored, 5 there already, 1 refused/);
  const found = await run_asahi(["memory", "search", "who was paid twice", "--url", gateway.url]);
  assert.match(found.stdout.split("\n")[0], /import\/invoice/);

  writeFileSync(file, `${lines[0]}\nnot json\n`);
  const broken = await run_asahi(["memory", "import", file, "--url", gateway.url]);
  assert.equal(broken.code, 2);
  assert.match(broken.stderr, /line 2 /);
});
