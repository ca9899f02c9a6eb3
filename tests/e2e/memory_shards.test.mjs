/** The hot tier over several processes: one that dies, one that joins, the move of its memories. */
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { kStoreSecret, run_akosha, start_role } from "./support/memory_roles.mjs";
import { stop_everything, temp_folder } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

after(stop_everything);

const kSystems = 24;
const kEach = 5;
const list_of = (stores) => Object.entries(stores).map(([name, role]) => `${name}=${role.url}`).join(",");

/** What no other memory says. */
const text_of = (system, i) => `Note ${i} of ${system}: ${"abcdefghijklmnopqrstuvwxyz".slice((system.length + i) % 20)} ${i * 7919}`;
const memories_of = (system) =>
  Array.from({ length: kEach }, (_, i) => ({ memory_id: `${system}-${i}`, system_id: system, text: text_of(system, i) }));

async function search(query, body) {
  const reply = await query.post("/api/v1/search", { limit: 100, fresh: true, ...body });
  assert.equal(reply.status, 200, reply.text);
  return reply.body;
}
const counted = async (query) => {
  const reply = await query.get("/storage/status");
  assert.equal(reply.status, 200, reply.text);
  return reply.body.tiers.hot.records;
};
const records_of = async (store) =>
  Number(/^akosha_hot_store_record_count (\d+)$/m.exec(await (await fetch(`${store.metrics}/metrics`)).text())[1]);

test("two hot stores, one dies and comes back; a third joins and gets its memories", async () => {
  const shared = { DATABASE_URL: `sqlite:///${temp_folder("ledger")}/asahi.db`, AKOSHA_STORE_SECRET: kStoreSecret };
  const stores = { a: await start_role("hot_store", { env: shared }), b: await start_role("hot_store", { env: shared }) };
  const two = list_of(stores);
  let query = await start_role("query_server", { env: { ...shared, AKOSHA_HOT_URL: two } });
  const systems = Array.from({ length: kSystems }, (_, i) => `system-${i}`);
  for (const system of systems) {
    const reply = await query.post("/memories/batch", { memories: memories_of(system) });
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.body.counts.stored, kEach, reply.text);
  }
  const all = kSystems * kEach;
  assert.equal(await counted(query), all);
  const before = { a: await records_of(stores.a), b: await records_of(stores.b) };
  assert.equal(before.a + before.b, all);
  assert.ok(before.a > 0 && before.b > 0, "each has a part");
  const whole = await search(query, { query: text_of("system-7", 3) });
  assert.equal(whole.results[0].conversation_id, "system-7-3");
  assert.equal(whole.partial, false);

  // One dies: what the other has is found, and the reply says whose memories are missing.
  await stores.b.kill();
  const partial = await search(query, {});
  assert.equal(partial.partial, true);
  assert.deepEqual(partial.failed_shards, ["hot/b"]);
  assert.equal(partial.total_results, before.a);
  const ready = await query.get("/ready");
  assert.equal(ready.status, 200, "it answers, if not with everything");
  assert.deepEqual(
    ["hot", "hot/a", "hot/b"].map((name) => ready.body.dependencies[name].status),
    ["healthy", "healthy", "unavailable"],
    ready.text,
  );
  const here = new Set((await search(query, {})).results.map((hit) => hit.system_id));
  const lost = systems.find((system) => !here.has(system));
  const kept = [...here][0];
  assert.equal((await query.post("/memories", { memory_id: "more", system_id: kept, text: "Where the store is there." })).status, 200);
  const refused = await query.post("/memories", { memory_id: "more", system_id: lost, text: "Where it is not." });
  assert.equal(refused.status, 503, refused.text);
  const one = await search(query, { system_id: kept });
  assert.equal(one.partial, false, "a search of one system asks its store alone");
  assert.equal(one.total_results, kEach + 1);

  // Back at its place, it is used again.
  stores.b = await start_role("hot_store", { env: shared, port: stores.b.port, folder: stores.b.folder });
  await until(async () => (await search(query, {})).partial === false, { what: "the store to be used again", timeout_ms: 10_000, every_ms: 100 });
  assert.equal(await counted(query), all + 1);

  // A third joins. Who has the new list alone does not start while memories lie elsewhere.
  stores.c = await start_role("hot_store", { env: shared });
  const three = list_of(stores);
  const early = await run_akosha(["start", "--component", "query_server", "--port", "0"], { ...shared, AKOSHA_HOT_URL: three });
  assert.equal(early.code, 2, early.stderr);
  assert.match(early.stderr, /memory\.stores\.hot_url: .*were placed for the hot stores 256;a,b, not 256;a,b,c; 'asahi memory rebalance'/);

  const moving = { ...shared, AKOSHA_HOT_URL: three, AKOSHA_HOT_URL_PREVIOUS: two };
  const old = query;
  query = await start_role("query_server", { env: moving });
  assert.equal(await counted(query), all + 1);
  assert.equal((await search(query, { query: text_of("system-7", 3) })).results[0].conversation_id, "system-7-3");
  // The process that was not restarted cannot write where nobody would look.
  const strays = [];
  for (let i = 0; i < 40; ++i) {
    const reply = await old.post("/memories", { memory_id: "stray", system_id: `stray-${i}`, text: `Stray ${i} of the old list.` });
    assert.ok([200, 503].includes(reply.status), reply.text);
    if (reply.status === 503) assert.match(reply.text, /belong to the hot store c/);
    else strays.push(`stray-${i}`);
  }
  assert.ok(strays.length < 40, "some of them are the third one's");
  assert.equal((await old.stop()).code, 0);

  const dry = await run_akosha(["rebalance", "--dry-run"], moving);
  assert.equal(dry.code, 0, dry.stderr);
  const would = Number(/^(\d+) memories of \d+ shards/.exec(dry.stdout)[1]);
  assert.ok(would > 0);
  const done = await run_akosha(["rebalance"], moving);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stdout, new RegExp(`^${would} memories of \\d+ shards moved`));
  assert.equal(await records_of(stores.c), would);
  assert.match((await run_akosha(["rebalance"], moving)).stdout, /^0 memories of 0 shards moved/);

  const settled = await start_role("query_server", { env: { ...shared, AKOSHA_HOT_URL: three } });
  assert.equal(await counted(settled), all + 1 + strays.length);
  for (const system of systems) {
    const found = await search(settled, { system_id: system });
    assert.equal(found.total_results, kEach + (system === kept ? 1 : 0), system);
    const reply = await settled.get(`/api/v1/memories/${system}/${system}-0`);
    assert.equal(reply.body.content, text_of(system, 0));
  }
  const late = await run_akosha(["start", "--component", "query_server", "--port", "0"], { ...shared, AKOSHA_HOT_URL: two });
  assert.equal(late.code, 2, "the old list is over");

  // And one leaves.
  const leaving = { ...shared, AKOSHA_HOT_URL: list_of({ b: stores.b, c: stores.c }), AKOSHA_HOT_URL_PREVIOUS: three };
  const left = await run_akosha(["rebalance"], leaving);
  assert.equal(left.code, 0, left.stderr);
  assert.equal(await records_of(stores.a), 0);
  assert.equal((await records_of(stores.b)) + (await records_of(stores.c)), all + 1 + strays.length);
});
