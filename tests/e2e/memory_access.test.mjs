/** With access rules what searches give back is counted, out of the cache as well, and written beside them. */
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { start_gateway } from "./support/gateway.mjs";
import { stop_everything } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

after(stop_everything);

const hits_of = (text) => Number(/^akosha_access_hits_total (\d+)/m.exec(text)?.[1] ?? -1);

test("hits are counted where access rules are on", async () => {
  const gateway = await start_gateway({ env: { AKOSHA__AGING__ACCESS_RULES__ENABLED: "true" } });
  for (const memory_id of ["one", "two"]) {
    const reply = await gateway.post("/memory/memories", { memory_id, text: `The ${memory_id} was moved.`, system_id: "buddy" });
    assert.equal(reply.status, 200, reply.text);
  }
  for (let i = 0; i < 5; ++i) {
    const reply = await gateway.post("/memory/search", { query: "moved", mode: "keyword" });
    assert.equal(reply.body.results.length, 2, reply.text);
    assert.equal(reply.body.cache, i === 0 ? "miss" : "l1");
  }
  await until(async () => hits_of((await gateway.get("/metrics?format=prometheus")).text) === 10, { what: "ten hits to be written", timeout_ms: 20_000 });
  assert.equal((await gateway.delete("/memory/memories/buddy/one")).status, 200, "an erasure forgets hits, too");
});

test("nothing is counted where they are off", async () => {
  const gateway = await start_gateway();
  assert.equal(hits_of((await gateway.get("/metrics?format=prometheus")).text), -1);
});
