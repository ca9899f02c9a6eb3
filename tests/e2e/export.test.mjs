/** GET /analytics/export: any number of events in the memory of a page, at the pace of its client. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { stop_everything } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

const kRows = 200_000;
const fakes = await start_fakes();
const gateway = await start_gateway({ fakes });
after(stop_everything);

before(async () => {
  await gateway.infer("[[answer:3]] one real request");
  await until(async () => (await gateway.sqlite("SELECT COUNT(*) AS n FROM inference_events"))[0].n === 1, { what: "its event" });
  const org = (await gateway.sqlite("SELECT org_id FROM inference_events"))[0].org_id;
  await gateway.sqlite(`
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${kRows})
    INSERT INTO inference_events (event_id, request_id, timestamp, user_id, org_id, model_selected, cost)
    SELECT 'bulk' || i, 'req_' || i, strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || (i % 86400) || ' seconds'), 'user' || (i % 50),
           '${org}', 'gpt-4o', '0.000010000' FROM n`);
});

test("every event once, as CSV and as lines of JSON", async () => {
  const csv = await gateway.get("/analytics/export");
  assert.equal(csv.status, 200);
  assert.match(csv.headers.get("content-disposition"), /attachment; filename="events-.*\.csv"/);
  const rows = csv.text.trimEnd().split("\r\n");
  assert.match(rows[0], /^timestamp,request_id,/);
  assert.equal(rows.length, kRows + 2);
  assert.equal(new Set(rows.map((row) => row.split(",")[1])).size, kRows + 2);

  const lines = (await gateway.get("/api/v1/analytics/export?format=ndjson&user=user7")).text.trimEnd().split("\n");
  assert.equal(lines.length, kRows / 50);
  assert.ok(lines.map((line) => JSON.parse(line)).every((event) => event.user_id === "user7" && event.cost === 0.00001));
});

test("memory stays that of a page, also while the client sleeps", async () => {
  const before_bytes = gateway.resident_bytes();
  const response = await fetch(`${gateway.url}/analytics/export?format=ndjson`);
  const reader = response.body.getReader();
  await reader.read();
  let most = 0;
  for (let i = 0; i < 30; ++i) {
    most = Math.max(most, gateway.resident_bytes());
    await new Promise((wake) => setTimeout(wake, 20));
  }
  let bytes = 0;
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    bytes += piece.value.length;
    most = Math.max(most, gateway.resident_bytes());
  }
  assert.ok(bytes > 60_000_000, `only ${bytes} bytes`);
  assert.ok(most < before_bytes + 24 * 1024 * 1024, `grew by ${(most - before_bytes) / 1024 / 1024} MiB`);
});

test("a client that goes ends its export, and others are answered meanwhile", async () => {
  const away = new AbortController();
  const response = await fetch(`${gateway.url}/analytics/export`, { signal: away.signal });
  await response.body.getReader().read();
  assert.equal((await gateway.get("/health")).status, 200);
  away.abort();
  // Its place is free again: four more run at once.
  await until(
    async () => {
      const replies = await Promise.all([1, 2, 3, 4].map(() => fetch(`${gateway.url}/analytics/export?user=nobody`)));
      const fine = replies.every(({ status }) => status === 200);
      await Promise.all(replies.map((reply) => reply.text()));
      return fine;
    },
    { what: "the place to be free", timeout_ms: 20_000, every_ms: 100 },
  );
});

test("what is wrong with a query is said", async () => {
  const reply = await gateway.get("/analytics/export?format=parquet");
  assert.equal(reply.status, 400);
  assert.equal(reply.body.details.field, "format");
});
