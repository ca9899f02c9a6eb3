/** Memories age: hot, warm, cold in a folder, in S3 and in Azure, hot in PostgreSQL; searches find them where they are, an erasure reaches them everywhere. */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { azure_missing, start_azure } from "./support/azure.mjs";
import { restart_gateway, run_asahi, start_gateway } from "./support/gateway.mjs";
import { bearer, make_key, start_governed } from "./support/governed.mjs";
import { pgvector_missing, start_pgvector } from "./support/pgvector.mjs";
import { stop_everything, temp_folder } from "./support/processes.mjs";
import { s3_missing, start_s3 } from "./support/s3.mjs";
import { until } from "./support/wait.mjs";

after(stop_everything);

const kDay = 86_400_000;
const kText = (what) =>
  `The ${what} failed at noon. The weather was fine. Nobody noticed it. The cause was a migration that timed out after 30 ` +
  `seconds. Lunch was served late. Ben rolled the ${what} back to release 41. Somebody laughed.`;
/** Id, age in days, and the tier it belongs to. */
const kMemories = [
  ["today", 0, "hot"],
  ["week", 10, "warm"],
  ["quarter", 80, "warm"],
  ["year", 200, "cold"],
  ["decade", 240, "cold"],
];

async function push(gateway, system_id = "buddy") {
  const reply = await gateway.post("/memory/memories/batch", {
    memories: kMemories.map(([memory_id, days]) => ({
      memory_id,
      text: kText(`deploy${memory_id}`),
      system_id,
      timestamp: new Date(Date.now() - days * kDay).toISOString(),
      metadata: { project: "apollo", tags: ["talk"] },
    })),
  });
  assert.equal(reply.status, 200, reply.text);
  assert.equal(reply.body.counts.stored + reply.body.counts.near_duplicates, kMemories.length, reply.text);
}

async function find(gateway, body) {
  const reply = await gateway.post("/memory/search", body);
  assert.equal(reply.status, 200, reply.text);
  return reply.body;
}

async function move(gateway, source_tier, target_tier, more = {}) {
  const asked = await gateway.post("/memory/storage/migrations", { source_tier, target_tier, ...more });
  assert.equal(asked.status, 202, asked.text);
  return until(
    async () => {
      const run = await gateway.get(`/memory/storage/migrations/${asked.body.id}`);
      assert.equal(run.status, 200, run.text);
      assert.notEqual(run.body.state, "failed", run.text);
      return run.body.state === "done" && run.body;
    },
    { what: "the run to end", timeout_ms: 20_000 },
  );
}

const tiers_of = (reply) => Object.fromEntries(reply.results.map((hit) => [hit.conversation_id, hit.tier]));
const kEverywhere = ["hot", "warm", "cold"];

/** The whole way, with cold files wherever `gateway` keeps them. */
async function live_through(gateway) {
  await push(gateway);
  const dry = await gateway.post("/memory/storage/migrations", { source_tier: "hot", target_tier: "warm", dry_run: true });
  assert.equal(dry.status, 200, dry.text);
  assert.equal(dry.body.records_migrated, 4);
  assert.equal((await gateway.get("/memory/storage/status")).body.tiers.hot.records, 5, "a dry run moves nothing");

  const down = await move(gateway, "hot", "warm");
  assert.equal(down.records_migrated, 4, JSON.stringify(down));
  assert.equal(down.errors, 0);
  assert.ok(down.bytes_freed > 4 * kText("x").length, JSON.stringify(down));
  assert.equal((await move(gateway, "warm", "cold")).records_migrated, 2);
  assert.equal((await move(gateway, "hot", "warm")).records_migrated, 0, "again: nothing is left to do");

  const status = (await gateway.get("/memory/storage/status")).body.tiers;
  assert.deepEqual([status.hot.records, status.warm.records, status.cold.records], [1, 2, 2], JSON.stringify(status));

  const everywhere = { query: "which migration timed out", tiers: kEverywhere, facets: ["tier"] };
  const found = await find(gateway, everywhere);
  assert.deepEqual(tiers_of(found), Object.fromEntries(kMemories.map(([id, , tier]) => [id, tier])));
  assert.equal(found.partial, false);
  assert.deepEqual(found.facets.tier, { hot: 1, warm: 2, cold: 2 });
  const warm = found.results.find((hit) => hit.conversation_id === "week");
  assert.ok(warm.summary.includes("migration that timed out") && warm.summary.length < kText("x").length, warm.summary);
  assert.deepEqual(tiers_of(await find(gateway, { query: "which migration timed out" })), { today: "hot", week: "warm", quarter: "warm" });
  assert.deepEqual(tiers_of(await find(gateway, { query: "deploydecade", mode: "keyword", tiers: ["cold"] })), { decade: "cold" });

  const cold = await gateway.get("/memory/memories/buddy/year");
  assert.equal(cold.body.tier, "cold", cold.text);
  assert.equal(cold.body.metadata.project, "apollo");
  assert.ok(cold.body.summary.length < warm.summary.length);

  // What is told anew hides what lies below.
  const news = await gateway.post("/memory/memories", { memory_id: "week", text: "The deployweek went well in the end.", system_id: "buddy" });
  assert.equal(news.status, 200, news.text);
  const again = await find(gateway, { ...everywhere, query: "deployweek" });
  assert.equal(tiers_of(again).week, "hot");
  assert.equal(again.results.filter((hit) => hit.conversation_id === "week").length, 1);

  for (const id of ["week", "quarter", "year"])
    assert.equal((await gateway.delete(`/memory/memories/buddy/${id}`)).status, 200, id);
  return everywhere;
}

test("memories age into a folder, are found with their tier, and an erasure reaches them everywhere", async () => {
  let gateway = await start_gateway();
  const everywhere = await live_through(gateway);
  const files = readdirSync(join(gateway.folder, "data"), { recursive: true }).filter((name) => name.endsWith(".parquet"));
  assert.equal(files.length, 2, "a file per system and month");
  const left = { today: "hot", decade: "cold" };
  assert.deepEqual(tiers_of(await find(gateway, everywhere)), left);
  await gateway.kill();
  gateway = await restart_gateway(gateway);
  assert.deepEqual(tiers_of(await find(gateway, everywhere)), left, "also after kill -9");
  assert.equal((await gateway.get("/memory/memories/buddy/year")).status, 404);
  const { text } = await gateway.get("/metrics?format=prometheus");
  assert.match(text, /^akosha_hot_store_record_count 1$/m);
  assert.match(text, /^akosha_cold_store_record_count 1$/m);
  assert.equal((await gateway.delete("/memory/systems/buddy")).body.deleted, 2);
  assert.deepEqual(tiers_of(await find(gateway, everywhere)), {});
  const health = await gateway.get("/memory/health/warm");
  assert.equal(health.body.healthy, health.status === 200, health.text);
  assert.ok(health.body.available_bytes > 0 && health.body.usage_percent > 0, health.text);
});

test("what is older than it is to be kept goes on request only", async () => {
  const gateway = await start_gateway();
  await push(gateway);
  const ancient = { memory_id: "ancient", text: kText("deployancient"), system_id: "buddy", timestamp: new Date(Date.now() - 2600 * kDay).toISOString() };
  assert.equal((await gateway.post("/memory/memories", ancient)).status, 200);
  await move(gateway, "hot", "warm");
  await move(gateway, "warm", "cold");
  const refused = await gateway.post("/memory/storage/retention", { days: 1 });
  assert.equal(refused.status, 400, refused.text);
  const dry = await gateway.post("/memory/storage/retention", { dry_run: true });
  assert.equal(dry.status, 200, dry.text);
  assert.equal(dry.body.records_removed, 1, dry.text);
  assert.equal((await gateway.get("/memory/memories/buddy/ancient")).status, 200, "it was counted only");
  const done = await gateway.post("/memory/storage/retention", {});
  assert.deepEqual([done.body.records_removed, done.body.files_removed], [1, 1], done.text);
  assert.equal((await gateway.get("/memory/memories/buddy/ancient")).status, 404);
  assert.equal((await gateway.get("/memory/memories/buddy/decade")).status, 200);
});

test("a duplicate's key leads to its original wherever that lies", async () => {
  const gateway = await start_gateway();
  await push(gateway);
  const reply = await gateway.post("/memory/memories/batch", {
    memories: kMemories.map(([memory_id]) => ({ memory_id: `copy-${memory_id}`, text: kText(`deploy${memory_id}`), system_id: "other" })),
  });
  assert.equal(reply.body.counts.duplicates, kMemories.length, reply.text);
  await move(gateway, "hot", "warm");
  await move(gateway, "warm", "cold");
  for (const [id, , tier] of kMemories) {
    const { status, body, text } = await gateway.get(`/memory/memories/other/copy-${id}`);
    assert.equal(status, 200, `${id}: ${text}`);
    assert.equal(body.tier, tier, text);
    if (tier !== "hot") assert.equal(body.conversation_id, id, text);
  }
  assert.equal((await gateway.delete("/memory/memories/other/copy-decade")).status, 200);
  assert.equal((await gateway.get("/memory/memories/other/copy-decade")).status, 404);
  assert.equal((await gateway.get("/memory/memories/buddy/decade")).status, 200);
  assert.equal((await gateway.delete("/memory/memories/buddy/week")).status, 200);
  assert.equal((await gateway.get("/memory/memories/other/copy-week")).status, 404, "nobody says it any more");
});

test("memories age into a bucket; while it is away the other tiers answer, and say so", { skip: s3_missing }, async () => {
  const s3 = await start_s3();
  let gateway = await start_gateway({ env: { ...s3.env, AKOSHA_COLD_BACKEND: "s3", AKOSHA_COLD_BUCKET: "archive" } });
  const everywhere = await live_through(gateway);
  assert.ok((await s3.requests()).some((one) => one.startsWith("PUT /archive/") && one.includes(".parquet")));
  assert.deepEqual(tiers_of(await find(gateway, everywhere)), { today: "hot", decade: "cold" });
  await gateway.kill();
  // Before the start: what is derived from memories reads them too, and what was read once is kept.
  await s3.fault({ kind: "status", status: 403, code: "AccessDenied", method: "GET", times: 9999 });
  gateway = await restart_gateway(gateway);
  const part = await find(gateway, everywhere);
  assert.equal(part.partial, true);
  assert.deepEqual(part.failed_shards, ["cold"]);
  assert.deepEqual(tiers_of(part), { today: "hot" });
});

/** How the replicas of a place stand. */
async function replicas_of(gateway, place) {
  const reply = await gateway.get("/memory/storage/replicas");
  assert.equal(reply.status, 200, reply.text);
  return reply.body.places.find((one) => one.place === place);
}

/** Keys of a folder's objects, without what replication keeps for itself. */
const keys_in = (folder) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((one) => one.isFile())
        .map((one) => join(one.parentPath, one.name).slice(folder.length + 1))
        .filter((key) => !key.startsWith("asahi-replication/") && !key.startsWith(".asahi-"))
        .sort()
    : [];

test("a replica in another place follows, and answers while the bucket is away", { skip: s3_missing }, async () => {
  const s3 = await start_s3();
  const folder = temp_folder("replica");
  const env = {
    ...s3.env,
    AKOSHA_COLD_BACKEND: "s3",
    AKOSHA_COLD_BUCKET: "archive",
    AKOSHA_COLD_REPLICAS: `file://${folder}/cold`,
    AKOSHA_BACKUP_REPLICAS: `file://${folder}/backups`,
  };
  let gateway = await start_gateway({ env });
  const everywhere = await live_through(gateway);
  await until(async () => keys_in(`${folder}/cold`).some((key) => key.endsWith(".parquet")), { what: "the replica to follow" });
  const made = await gateway.post("/memory/backups", {});
  assert.equal(made.status, 202, made.text);
  await until(async () => keys_in(`${folder}/backups`).includes(`${made.body.backup_id}/manifest.json`), {
    what: "the backup to be in both",
    timeout_ms: 20_000,
  });
  await until(async () => (await replicas_of(gateway, "cold")).replicas[0].waiting === 0, { what: "nothing to wait" });
  await gateway.kill();
  await s3.fault({ kind: "status", status: 403, code: "AccessDenied", method: "GET", times: 9999 });
  gateway = await restart_gateway(gateway);
  const found = await find(gateway, everywhere);
  assert.deepEqual([found.partial, tiers_of(found)], [false, { today: "hot", decade: "cold" }], "the replica has it");
  assert.ok((await replicas_of(gateway, "cold")).replicas[0].reads > 0, "and it is told that it had to");
});

test("memories that are to stay here do not go to a bucket", { skip: s3_missing }, async () => {
  const s3 = await start_s3();
  const env = { ...s3.env, AKOSHA_COLD_BACKEND: "s3", AKOSHA_COLD_BUCKET: "archive", AKOSHA_RESIDENCY_SYSTEMS: "clinic-*" };
  const gateway = await start_gateway({ env });
  await push(gateway, "clinic-7");
  await move(gateway, "hot", "warm");
  assert.equal((await move(gateway, "warm", "cold")).records_migrated, 0);
  assert.deepEqual((await s3.requests()).filter((one) => one.startsWith("PUT")), []);
  const found = await find(gateway, { query: "which migration timed out" });
  assert.deepEqual(tiers_of(found), { today: "hot", week: "warm", quarter: "warm", year: "warm", decade: "warm" });
  assert.equal((await gateway.delete("/memory/memories/clinic-7/decade")).status, 200, "it can be erased at once");
});

const other_missing = azure_missing || pgvector_missing;
test("the hot tier can be PostgreSQL's and the cold one Azure's", { skip: other_missing }, async () => {
  const env = { ...(await start_azure()).env, ...(await start_pgvector()).env };
  let gateway = await start_gateway({ env });
  const everywhere = await live_through(gateway);
  await gateway.kill();
  gateway = await restart_gateway(gateway);
  assert.deepEqual(tiers_of(await find(gateway, everywhere)), { today: "hot", decade: "cold" }, "also after kill -9");
});

test("the hot tier goes to PostgreSQL and back while it is used", { skip: pgvector_missing }, async () => {
  const { AKOSHA__STORAGE__HOT__PG_URL: pg_url, ...pool } = (await start_pgvector()).env;
  delete pool.AKOSHA__STORAGE__HOT__BACKEND;
  let gateway = await start_gateway({ env: { ...pool, NEXT_HOT_URL: pg_url } });
  const backend = "/memory/storage/hot/backend";
  const moved = (test, what) =>
    until(async () => {
      const status = (await gateway.get(backend)).body;
      assert.notEqual(status.move?.phase, "aborted", JSON.stringify(status));
      return test(status) && status;
    }, { what, timeout_ms: 30_000 });
  await push(gateway);
  const texts = ["today", "week", "year"].map((id) => `/memory/memories/buddy/${id}`);
  const ask = () => Promise.all(texts.map(async (path) => (await gateway.get(path)).body.content));
  const before = await ask();

  for (const [body, field] of [
    [{ backend: "pgvector", pg_url }, "pg_url"],
    [{ backend: "milvus" }, "backend"],
    [{ backend: "pgvector", pg_url_env: "NO_SUCH_URL" }, "pg_url_env"],
  ]) {
    const refused = await gateway.post(backend, body);
    assert.equal(refused.status, 400, refused.text);
    assert.equal(refused.body.details.field, field, refused.text);
    assert.ok(!refused.text.includes(pg_url), "an address is never shown");
  }
  assert.equal((await gateway.post(`${backend}/finish`, {})).status, 409);
  const begun = await gateway.post(backend, { backend: "pgvector", pg_url_env: "NEXT_HOT_URL" });
  assert.equal(begun.status, 202, begun.text);
  assert.ok(!begun.text.includes(pg_url));
  assert.equal((await gateway.post(backend, { backend: "pgvector" })).status, 409, "one at a time");
  const window = await moved((status) => status.reads === "new", "reads to go over");
  assert.equal(window.move.phase, "window");
  assert.ok(window.move.copied >= 5, JSON.stringify(window));
  assert.deepEqual(await ask(), before);

  // Both sides follow what people do; after kill -9 it goes on.
  assert.equal((await gateway.delete("/memory/memories/buddy/decade")).status, 200);
  assert.equal((await move(gateway, "hot", "warm")).records_migrated, 3);
  await gateway.kill();
  gateway = await restart_gateway(gateway);
  assert.deepEqual(await ask(), before);
  await moved((status) => status.reads === "new", "both sides to be in step again");
  assert.deepEqual(Object.keys(tiers_of(await find(gateway, { query: "which migration timed out", tiers: kEverywhere }))).sort(), [
    "quarter",
    "today",
    "week",
    "year",
  ]);
  const finished = await run_asahi(["memory", "backend", "finish", "--url", gateway.url]);
  assert.equal(finished.code, 0, finished.stderr);
  assert.deepEqual(JSON.parse(finished.stdout).backend, { backend: "pgvector", pg_url_env: "NEXT_HOT_URL" });
  await gateway.kill();
  gateway = await restart_gateway(gateway);
  assert.equal((await gateway.get(backend)).body.backend.backend, "pgvector", "the record wins over the settings");
  assert.deepEqual(await ask(), before);

  // And back, into the folder it came from.
  assert.equal((await gateway.post(backend, { backend: "duckdb-ssd" })).status, 409, "it holds memories");
  const back = await gateway.post(backend, { backend: "duckdb-ssd", replace: true, revert_days: 0 });
  assert.equal(back.status, 202, back.text);
  await moved((status) => status.move.phase === "finished" && status.backend.backend === "duckdb-ssd", "the way back to end");
  assert.deepEqual(await ask(), before);
  assert.equal((await gateway.get("/memory/storage/status")).body.tiers.hot.records, 1);
});

test("asahi memory age moves what is old now", async () => {
  const gateway = await start_gateway();
  await push(gateway);
  const dry = await run_asahi(["memory", "age", "--dry-run", "--tier", "hot", "--url", gateway.url]);
  assert.equal(dry.code, 0, dry.stderr);
  assert.equal(JSON.parse(dry.stdout).records_migrated, 4);
  const aged = await run_asahi(["memory", "age", "--url", gateway.url]);
  assert.equal(aged.code, 0, aged.stderr);
  assert.deepEqual(aged.stdout.trim().split("\n").map((line) => JSON.parse(line).records_migrated), [4, 2]);
  assert.equal((await run_asahi(["memory", "age", "--tier", "cold", "--url", gateway.url])).code !== 0, true);
});

test("a run needs its permission and is its organisation's; bad input names the field", async () => {
  const gateway = await start_governed();
  const admin = bearer(await make_key(gateway, "acme"));
  const other = bearer(await make_key(gateway, "globex"));
  const reader = bearer(await make_key(gateway, "acme", { scopes: ["read"] }));
  const body = { source_tier: "hot", target_tier: "warm", dry_run: true };
  assert.equal((await gateway.post("/memory/storage/migrations", body, reader)).status, 403);
  const run = await gateway.post("/memory/storage/migrations", body, admin);
  assert.equal(run.status, 200, run.text);
  assert.equal((await gateway.get(`/memory/storage/migrations/${run.body.id}`, admin)).status, 200);
  assert.equal((await gateway.get(`/memory/storage/migrations/${run.body.id}`, other)).status, 404);
  const listed = await gateway.get("/memory/storage/migrations", admin);
  assert.deepEqual(listed.body.migrations.map((each) => [each.id, each.scheduled]), [[run.body.id, false]]);
  assert.deepEqual([listed.body.plan.schedule, listed.body.plan.hot_days, listed.body.plan.warm_days], ["0 2 * * *", 7, 90]);
  assert.deepEqual((await gateway.get("/memory/storage/migrations", other)).body.migrations, [], "another organisation's runs are its own");
  assert.equal((await gateway.get("/memory/storage/migrations", reader)).status, 403);
  for (const [query, field] of [["limit=0", "limit"], ["limit=x", "limit"], [`cursor=${"x".repeat(65)}`, "cursor"]]) {
    const refused = await gateway.get(`/memory/storage/migrations?${query}`, admin);
    assert.equal(refused.status, 400, query);
    assert.ok(refused.text.includes(field), refused.text);
  }
  assert.equal((await gateway.get("/memory/storage/migrations/mig_nothing", admin)).status, 404);
  assert.equal((await gateway.post("/memory/storage/migrations", body)).status, 401);
  assert.equal((await gateway.get("/memory/health/warm")).status, 200, "like other health routes");
  for (const [wrong, field] of [
    [{ source_tier: "cold", target_tier: "warm" }, "source_tier"],
    [{ source_tier: "hot", target_tier: "cold" }, "target_tier"],
    [{ ...body, cutoff_days: "soon" }, "cutoff_days"],
    [{ ...body, batch_size: 0 }, "batch_size"],
  ]) {
    const refused = await gateway.post("/memory/storage/migrations", wrong, admin);
    assert.equal(refused.status, 400, refused.text);
    assert.equal(refused.body.details.field, field, refused.text);
  }
});
