/** `asahi demo`: a month of invented traffic that a gateway then serves as its own, on both databases, and not by accident. */
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { run_asahi, start_gateway } from "./support/gateway.mjs";
import { postgres_missing, start_postgres } from "./support/postgres.mjs";
import { stop_everything, temp_folder } from "./support/processes.mjs";

after(stop_everything);

const kEvents = 3_000;
const kArguments = ["demo", "--events", `${kEvents}`, "--end", "2026-11-21T16:00:00Z"];

/** Fills a folder and serves it. */
async function filled(env = {}) {
  const folder = temp_folder("demo");
  const { code, stdout, stderr } = await run_asahi(kArguments, { folder, env, timeout_ms: 60_000 });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /invented events of 30 days/);
  const gateway = await start_gateway({ folder, env: { ASAHI_MOCK: "true", ...env } });
  return { folder, gateway, stdout };
}

async function serves_the_month({ gateway, stdout }) {
  const events = gateway.events();
  assert.ok(Math.abs(events.length - kEvents) < 60, `${events.length} events`);
  const metrics = (await gateway.get("/metrics")).body;
  assert.equal(metrics.total_requests, events.length);
  const cost = events.reduce((sum, event) => sum + event.cost, 0);
  assert.ok(Math.abs(metrics.total_cost - cost) < 1e-5, `${metrics.total_cost} is not ${cost}`);
  assert.ok(stdout.includes(`$${cost.toFixed(2)} spent`), stdout);
  assert.equal((await gateway.get("/governance/api-keys")).body.keys.length, 4);
  assert.ok((await gateway.get("/org/policy")).body.max_cost_per_month > cost);
  // The invented past is no reason to refuse the present.
  assert.equal((await gateway.post("/infer", { prompt: "Hello" })).status, 200);
}

test("a month is served from SQLite, the same for the same seed", async () => {
  const first = await filled();
  await serves_the_month(first);
  const [{ rows, days }] = await first.gateway.sqlite(
    "SELECT count(*) AS rows, count(DISTINCT substr(timestamp, 1, 10)) AS days FROM inference_events WHERE timestamp < '2026-11-21T16'",
  );
  assert.equal(rows, first.gateway.events().filter(({ timestamp }) => timestamp < "2026-11-21T16").length);
  assert.ok(days >= 30);
  await first.gateway.stop();
  const { stdout } = await run_asahi(kArguments, { timeout_ms: 60_000 });
  assert.equal(stdout.split(" in ")[0], first.stdout.split(" in ")[0]);
});

test("a folder with events is refused unless told otherwise; then everything is added behind what is there", async () => {
  const folder = temp_folder("demo");
  const run = (...more) => run_asahi([...kArguments, ...more], { folder, timeout_ms: 60_000 });
  assert.equal((await run()).code, 0);
  const again = await run("--seed", "2");
  assert.equal(again.code, 2);
  assert.match(again.stderr, /holds events already.*--force/);
  const forced = await run("--seed", "2", "--force");
  assert.equal(forced.code, 0, forced.stderr);
  const gateway = await start_gateway({ folder, env: { ASAHI_MOCK: "true" } });
  assert.ok((await gateway.get("/metrics")).body.total_requests > 1.9 * kEvents);
  await gateway.stop();
});

test("a folder that a gateway uses is left alone", async () => {
  const gateway = await start_gateway({ env: { ASAHI_MOCK: "true" } });
  const { code, stderr } = await run_asahi(kArguments, { folder: gateway.folder });
  assert.equal(code, 1);
  assert.match(stderr, /another asahi process/);
  await gateway.stop();
});

test("a gateway that wants keys gets events, and no policy or keys", async () => {
  const { code, stdout, stderr } = await run_asahi(kArguments, {
    env: { ASAHI_AUTH_API_KEY_REQUIRED: "true" },
    timeout_ms: 60_000,
  });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /No policy and no keys were made/);
});

test("a month is served from PostgreSQL", { skip: postgres_missing() }, async () => {
  const postgres = await start_postgres();
  const month = await filled({ DATABASE_URL: postgres.url });
  await serves_the_month(month);
  await month.gateway.stop();
});
