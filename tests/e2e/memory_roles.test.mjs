/** The memory over processes: from the bucket to an answer, a store that dies, a secret that is wrong, the commands. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { clean_environment } from "./support/gateway.mjs";
import { kAdminSecret, operator } from "./support/governed.mjs";
import { akosha_path, kStoreSecret, run_akosha, start_role } from "./support/memory_roles.mjs";
import { postgres_missing, start_postgres } from "./support/postgres.mjs";
import { run, stop_everything, temp_folder } from "./support/processes.mjs";
import { s3_missing, start_s3 } from "./support/s3.mjs";
import { until } from "./support/wait.mjs";

after(stop_everything);

/** What start_role says for each role, for those that run to their end. */
const kRoleEnv = {
  AKOSHA_HOST: "127.0.0.1",
  AKOSHA_API_PORT: "0",
  AKOSHA_PROMETHEUS_PORT: "0",
  AKOSHA_STORE_SECRET: kStoreSecret,
  ASAHI_KEY_PEPPER: "pepper-of-the-tests-0123456789abcdef",
};

const kNotes = [
  ["deploy", "The deploy of apollo failed at 14:05 because the database migration timed out."],
  ["coffee", "Anna takes her coffee black, two cups before noon."],
];

/** Leaves an upload in the bucket, as a source system does: the manifest last. */
async function put_bundle(bucket, system, upload, notes) {
  const folder = `systems/${system}/${upload}`;
  const conversations = notes.map(([id, content]) => ({ id, content }));
  await bucket.put(`${folder}/memories.json`, JSON.stringify({ conversations }));
  const manifest = { uploaded_at: new Date().toISOString(), conversation_count: notes.length };
  await bucket.put(`${folder}/manifest.json`, JSON.stringify(manifest));
}

/** One process per role over what they share. */
async function start_fleet(env) {
  const [hot, warm] = await Promise.all([start_role("hot_store", { env }), start_role("warm_store", { env })]);
  const shared = { ...env, AKOSHA_HOT_URL: hot.url, AKOSHA_WARM_URL: warm.url };
  // The first brings the schema up to date, the others find it so.
  const worker = await start_role("ingestion_worker", { env: shared });
  const [query, aging] = await Promise.all([
    start_role("query_server", { env: shared }),
    start_role("aging_service", { env: shared }),
  ]);
  return { hot, warm, worker, query, aging, shared, all: [hot, warm, worker, query, aging] };
}

async function found(query, text) {
  const reply = await query.post("/api/v1/search", { query: text, timeout_ms: 3000 });
  assert.equal(reply.status, 200, reply.text);
  return reply.body.results.map((hit) => hit.conversation_id);
}

const ready = async (role) => (await fetch(`${role.url}/ready`)).status;

/** Who stores and who asks are two processes; the facts are the same. */
async function knows_facts_and_series(query, worker) {
  const told = { memory_id: "ceo", system_id: "buddy", text: "Ana Ruiz is the CEO of Acme Labs." };
  assert.equal((await worker.post("/memories", told)).status, 200);
  const known = await until(
    async () => {
      const reply = await query.get("/graph/entities/concept:acme-labs");
      return reply.body.facts?.length > 0 && reply.body;
    },
    { what: "the query server to know the fact", timeout_ms: 20_000, every_ms: 100 },
  );
  assert.equal(known.facts[0].type, "ceo_of");
  assert.deepEqual(known.facts[0].source, { system_id: "buddy", conversation_id: "ceo" });
  const points = Array.from({ length: 12 }, (_, i) => ({
    metric_name: "load",
    value: i,
    system_id: "buddy",
    timestamp: new Date(Date.now() - (12 - i) * 3_600_000).toISOString(),
  }));
  assert.equal((await query.post("/analytics/metrics", { points })).status, 200);
  const trend = await query.get("/analytics/trends?metric_name=load");
  assert.equal(trend.body.trend_direction, "increasing", trend.text);
  const tool = { name: "query_knowledge_graph", arguments: { entity_id: "concept:acme-labs" } };
  const asked = await query.post("/mcp", { jsonrpc: "2.0", id: 1, method: "tools/call", params: tool });
  assert.match(asked.text, /ceo_of|Ana Ruiz|user:|concept:/, asked.text);
  assert.doesNotMatch(asked.text, /Unknown tool|isError":true/, asked.text);
  assert.equal((await query.delete("/memories/buddy/ceo")).status, 200);
  assert.equal((await query.get("/graph/entities/concept:acme-labs")).status, 404, "it is forgotten with its memory");
}

/** The query server fetches both stores over their API; the exporter tells how old the backup is. */
async function backs_up(query, shared) {
  const make = async (body) => {
    const begun = await query.post("/backups", body);
    assert.equal(begun.status, 202, begun.text);
    const last = await until(
      async () => {
        const { body } = await query.get("/backups");
        return body.running === null && body.last;
      },
      { what: "the backup", timeout_ms: 30_000, every_ms: 100 },
    );
    assert.equal(last.ok, true, JSON.stringify(last));
    assert.equal((await query.get("/backups")).body.backups[0].backup_id, begun.body.backup_id);
    return last;
  };
  const whole = await make({});
  // Stores tell sums; what they hold is not fetched again where the whole backup has it.
  const next = await make({ incremental: true });
  assert.equal(next.incremental, true);
  assert.ok(next.files >= whole.files && next.new_bytes < whole.bytes, JSON.stringify({ whole, next }));
  const verified = await query.post("/backups/verify", {});
  assert.equal(verified.status, 202, verified.text);
  const checked = await until(async () => {
    const { body } = await query.get("/backups");
    return body.running === null && body.last?.kind === "verify" && body.last;
  }, { what: "the check", timeout_ms: 30_000, every_ms: 100 });
  assert.equal(checked.ok, true, JSON.stringify(checked));
  const exporter = await start_role("metrics_exporter", { env: shared });
  const text = await until(
    async () => {
      const metrics = await (await fetch(`${exporter.metrics}/metrics`)).text();
      return /^akosha_backup_age_seconds /m.test(metrics) && metrics;
    },
    { what: "the buckets to be listed", timeout_ms: 10_000, every_ms: 100 },
  );
  assert.match(text, /^akosha_bucket_objects\{bucket="backup"\} [1-9]/m);
  assert.match(text, /^akosha_bucket_size_bytes\{bucket="ingest"\} [1-9]/m);
  await exporter.stop();

  // A store's host gets its tier back, and only that.
  const folder = temp_folder("restored-hot");
  const restored = await run(akosha_path(), ["restore", "--component", "hot_store"], {
    cwd: folder,
    env: clean_environment({ ...shared, ...kRoleEnv }),
    timeout_ms: 30_000,
  });
  assert.equal(restored.code, 0, restored.stdout + restored.stderr);
  assert.match(restored.stdout, /^hot: \d+ bytes/m);
  assert.doesNotMatch(restored.stdout, /^(warm|cold|sql):/m);
  const copy = await start_role("hot_store", { env: { AKOSHA_STORE_SECRET: kStoreSecret }, folder });
  const kept = (await query.get("/storage/status")).body.tiers.hot.records;
  assert.match(await (await fetch(`${copy.metrics}/metrics`)).text(), new RegExp(`^akosha_hot_store_record_count ${kept}$`, "m"));
  await copy.stop();
}

test("stores behind a certificate of one's own: others reach them by its authority, and by no other", async () => {
  const folder = temp_folder("store-tls");
  const openssl = (...args) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=test authority",
    "-keyout", "ca.key", "-out", "ca.pem");
  openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=store", "-keyout", "store.key", "-out", "store.csr");
  writeFileSync(join(folder, "names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
  openssl("x509", "-req", "-in", "store.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "store.pem");
  const hot = await start_role("hot_store", {
    env: { AKOSHA_TLS_CERT_PATH: join(folder, "store.pem"), AKOSHA_TLS_KEY_PATH: join(folder, "store.key") },
  });
  const url = hot.url.replace("http:", "https:");
  const query = await start_role("query_server", { env: { AKOSHA_HOT_URL: url, AKOSHA_STORE_CA_FILE: join(folder, "ca.pem") } });
  assert.equal((await query.post("/memories", { memory_id: "m", system_id: "s", text: kNotes[0][1] })).status, 200);
  assert.deepEqual(await found(query, "deploy of apollo"), ["m"]);

  const stranger = await start_role("query_server", { env: { AKOSHA_HOT_URL: url } });
  const refused = await stranger.post("/search", { query: "deploy" });
  assert.equal(refused.status, 503, refused.text);
  // Or, where it asked often enough by itself, that the store is left alone for now.
  assert.match(refused.body.message, /certificate|verify|is away/i, "the authority is unknown to it");
  const plain = await start_role("query_server", { env: { AKOSHA_HOT_URL: hot.url } });
  assert.equal((await plain.post("/search", { query: "deploy" })).status, 503, "no plain text to a store with a certificate");
});

test("five processes: a bundle in the bucket becomes an answer; the hot store dies and comes back", {
  skip: s3_missing || postgres_missing(),
}, async () => {
  const bucket = await start_s3();
  const postgres = await start_postgres();
  const backups = `file://${temp_folder("akosha-role-backups")}`;
  const env = { ...bucket.env, AKOSHA_INGEST_BUCKET: "archive", AKOSHA_BACKUP_BUCKET: backups, DATABASE_URL: postgres.url };
  let { hot, warm, worker, query, aging, shared, all } = await start_fleet(env);
  const exporter = await start_role("metrics_exporter", { env: shared });
  for (const role of [...all, exporter]) {
    assert.equal(await ready(role), 200, role.component);
    const health = await role.get("/health");
    assert.deepEqual(
      { status: health.body.status, component: health.body.component },
      { status: "ok", component: role.component },
    );
    const metrics = await fetch(`${role.metrics}/metrics`);
    assert.match(metrics.headers.get("content-type"), /version=0\.0\.4/);
  }

  await put_bundle(bucket, "buddy", "first", kNotes);
  await until(async () => (await found(query, "why did the deploy fail"))[0] === "deploy", {
    what: "the bundle to be found",
    timeout_ms: 20_000,
    every_ms: 100,
  });
  // Memories are found as soon as they are stored; the ledger tells of the end a moment later.
  const upload = await until(
    async () => {
      const reply = await query.get("/uploads/buddy/first");
      return reply.body.state === "done" && reply;
    },
    { what: "the upload to be done", timeout_ms: 10_000, every_ms: 50 },
  );
  assert.equal(upload.body.counts.stored, kNotes.length);
  const one = await query.get("/api/v1/memories/buddy/coffee");
  assert.equal(one.body.content, kNotes[1][1]);
  assert.equal((await query.get("/storage/status")).body.tiers.hot.records, kNotes.length);
  // The dashboard asks whichever process answers it where the hot tier is kept: here by others.
  const backend = await query.get("/storage/hot/backend");
  assert.deepEqual([backend.status, backend.body.backend, backend.body.move], [200, null, null], backend.text);
  assert.equal((await query.post("/storage/hot/backend", { backend: "pgvector" })).status, 409);

  // Pushes go to workers (8001) and to the public port alike, and the next search finds them.
  const push = (role, memory_id, text) => role.post("/memories", { memory_id, system_id: "buddy", text });
  assert.equal((await push(worker, "a", "The invoice 4711 was paid twice.")).status, 200);
  assert.equal((await push(query, "b", "Redis evicted the session keys.")).status, 200);
  assert.equal((await found(query, "invoice 4711"))[0], "a");
  assert.equal((await found(query, "redis evicted"))[0], "b");
  assert.equal((await worker.post("/search", { query: "x" })).status, 404, "workers answer no searches");
  const trigger = await query.post("/ingestion/trigger", {});
  assert.equal(trigger.status, 202, trigger.text);
  assert.match(trigger.body.job_id, /^job_/, "a worker takes it");
  const disk = await query.get("/health/warm");
  assert.ok(disk.body.path.startsWith(warm.folder) || disk.body.path.includes("warm"), disk.text);
  assert.ok(disk.body.available_bytes > 0, "of the host that keeps the tier");
  const metrics = await (await fetch(`${hot.metrics}/metrics`)).text();
  assert.match(metrics, /^akosha_hot_store_record_count 4$/m);
  assert.match(metrics, /^akosha_store_operations_total\{operation="write",status="success",tier="hot"\} [1-9]/m);

  // What is old moves on when the query server is asked to have it moved, by the ageing service, between the stores.
  const old = new Date(Date.now() - 30 * 86_400_000).toISOString();
  const before = { memory_id: "old", system_id: "buddy", timestamp: old, text: "The archive room smelled of cedar and dust." };
  assert.equal((await query.post("/memories", before)).status, 200);
  const asked = await query.post("/storage/migrations", { source_tier: "hot", target_tier: "warm" });
  assert.equal(asked.status, 202, asked.text);
  const run = await until(
    async () => {
      const { body } = await query.get(`/storage/migrations/${asked.body.id}`);
      return (body.state === "done" || body.state === "failed") && body;
    },
    { what: "the move to end", timeout_ms: 20_000, every_ms: 100 },
  );
  assert.equal(run.state, "done", JSON.stringify(run));
  const moved = await query.post("/search", { query: "archive room cedar" });
  assert.deepEqual(
    moved.body.results.slice(0, 1).map(({ conversation_id, tier }) => ({ conversation_id, tier })),
    [{ conversation_id: "old", tier: "warm" }],
    moved.text,
  );

  await knows_facts_and_series(query, worker);
  await backs_up(query, shared);

  await hot.kill();
  const outage = await query.post("/search", { query: "archive room cedar" });
  assert.equal(outage.status, 200, outage.text);
  assert.equal(outage.body.partial, true);
  assert.deepEqual(outage.body.failed_shards, ["hot"]);
  assert.equal(outage.body.results[0].conversation_id, "old", "what the warm store keeps is still found");
  const only_hot = await query.post("/search", { query: "coffee", tiers: ["hot"] });
  assert.equal(only_hot.status, 200, only_hot.text);
  assert.deepEqual(
    [only_hot.body.partial, only_hot.body.failed_shards, only_hot.body.tiers_searched],
    [true, ["hot"], ["warm"]],
    "the next colder tier answers in its place, and the reply says so",
  );
  const refused = await push(worker, "c", "Nobody keeps this.");
  assert.equal(refused.status, 503, refused.text);
  assert.equal(await ready(query), 503);
  assert.match(
    await (await fetch(`${exporter.metrics}/metrics`)).text(),
    /^akosha_hot_store_health_status 0$/m,
  );
  // What systems leave in the bucket meanwhile waits there.
  await put_bundle(bucket, "buddy", "second", [["late", "The lighthouse keeper counted seven ships."]]);

  hot = await start_role("hot_store", { env, port: hot.port, folder: hot.folder });
  await until(async () => (await ready(query)) === 200, { what: "the query server to find it", timeout_ms: 10_000 });
  assert.equal((await found(query, "coffee"))[0], "coffee", "what was acknowledged is there");
  await until(async () => (await found(query, "lighthouse keeper"))[0] === "late", {
    what: "the second bundle",
    timeout_ms: 30_000,
    every_ms: 200,
  });

  const stranger = await start_role("query_server", {
    env: { ...shared, AKOSHA_STORE_SECRET: "another-secret-of-the-tests-0123456789" },
  });
  const denied = await stranger.post("/search", { query: "coffee" });
  assert.equal(denied.status, 503, denied.text);
  assert.match(denied.body.message, /AKOSHA_STORE_SECRET/);
  assert.equal((await stranger.get("/ready")).body.dependencies.hot.status, "unavailable");
  const unsigned = await fetch(`${hot.url}/store/v1/stats`, { method: "POST", body: "\0\0\0\0" });
  assert.equal(unsigned.status, 401);

  // What a clock outside begins moves what is old, and ends.
  assert.equal((await query.post("/memories", { ...before, memory_id: "older", text: "The harbour master kept a green ledger." })).status, 200);
  const once = await run_akosha(["--component", "aging_service", "--once"], { ...shared, ...kRoleEnv });
  assert.equal(once.code, 0, once.stdout + once.stderr);
  const found_older = await query.post("/search", { query: "harbour master ledger" });
  assert.equal(found_older.body.results[0].tier, "warm", found_older.text);
  const wrong_role = await run_akosha(["--component", "query_server", "--once"], { ...shared, ...kRoleEnv });
  assert.equal(wrong_role.code, 2, wrong_role.stderr);

  for (const role of [query, worker, aging, exporter, stranger, hot, warm]) {
    assert.deepEqual(await role.stop(), { code: 0, signal: null }, role.component);
  }
});

test("two workers share a bucket: nothing is taken in twice", { skip: s3_missing || postgres_missing() }, async () => {
  const bucket = await start_s3();
  const postgres = await start_postgres();
  const env = { ...bucket.env, AKOSHA_INGEST_BUCKET: "archive", DATABASE_URL: postgres.url };
  const { query, shared } = await start_fleet(env);
  await start_role("ingestion_worker", { env: { ...shared, AKOSHA_INSTANCE_ID: "second" } });
  const count = 20;
  for (let i = 0; i < count; ++i) {
    const unique = `note ${i}: ${"abcdefghijklmnopqrstuvwxyz".slice(i)} ${i * 7919}`;
    await put_bundle(bucket, `system-${i % 3}`, `upload-${i}`, [[`note-${i}`, unique]]);
  }
  const status = await until(
    async () => {
      const { body } = await query.get("/ingestion/status");
      return body.uploads.done === count && body;
    },
    { what: "all uploads to be done", timeout_ms: 30_000, every_ms: 100 },
  );
  assert.equal(status.queue_size, 0);
  const { uploads } = (await query.get("/uploads?limit=100")).body;
  assert.equal(uploads.length, count);
  for (const upload of uploads) {
    assert.equal(upload.attempts, 1, JSON.stringify(upload));
    assert.equal(upload.counts.stored + upload.counts.near_duplicates, 1, JSON.stringify(upload));
  }
  assert.equal((await query.get("/storage/status")).body.tiers.hot.records, count);
});

test("the whole memory in one process, at the root; standard mode asks for credentials", async () => {
  const memory = await start_role("all", { env: { AKOSHA_STORE_SECRET: "" } });
  assert.equal((await memory.get("/ready")).body.status, "ready");
  const text = kNotes[0][1];
  assert.equal((await memory.post("/api/v1/memories", { memory_id: "m", system_id: "s", text })).status, 200);
  assert.deepEqual(await found(memory, "deploy of apollo"), ["m"]);
  const tools = await memory.post("/mcp", { jsonrpc: "2.0", id: 1, method: "tools/list" });
  assert.notEqual(tools.status, 404);

  const governed = await start_role("all", { env: { AKOSHA_MODE: "standard", ASAHI_ADMIN_SECRET: kAdminSecret } });
  assert.equal((await governed.post("/search", { query: "x" })).status, 401);
  const key = async (scope) => {
    const body = { org_id: "acme", user_id: "u", scopes: [scope] };
    const reply = await governed.post("/governance/api-keys", body, operator);
    assert.equal(reply.status, 201, reply.text);
    return { authorization: `Bearer ${reply.body.api_key}` };
  };
  const viewer = await key("read");
  assert.equal((await governed.post("/search", { query: "x" }, viewer)).status, 200);
  const memory_of = { memory_id: "m", system_id: "s", text };
  assert.equal((await governed.post("/memories", memory_of, viewer)).status, 403);
  assert.equal((await governed.post("/memories", memory_of, await key("write"))).status, 200);
});

test("a store is not opened to the network without a secret, and says what is missing", async () => {
  const refused = await run_akosha(["--component", "hot_store", "--host", "0.0.0.0", "--port", "0"]);
  assert.equal(refused.code, 2, refused.stderr);
  assert.match(refused.stderr, /memory\.stores\.secret: .*AKOSHA_STORE_SECRET/);
  const far = await run_akosha(["start", "--component", "query_server", "--port", "0"], {
    AKOSHA_HOT_URL: "http://hot-store:8002",
  });
  assert.equal(far.code, 2, far.stderr);
  assert.match(far.stderr, /memory\.stores\.hot_url: .*AKOSHA_STORE_SECRET/);
  const unknown = await run_akosha(["--component", "hot-store"]);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /AKOSHA_COMPONENT = 'hot-store' must be one of all, /);
});

test("akosha start, version, info, modes, healthcheck, metrics, secrets", async () => {
  const unknown = await run_akosha(["start", "--mode", "turbo"]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.stderr, /unknown mode 'turbo'; valid modes: lite, standard/);
  assert.match((await run_akosha(["version"])).stdout, /^akosha \d+\.\d+/);
  const modes = (await run_akosha(["modes"])).stdout;
  assert.match(modes, /^lite .*127\.0\.0\.1/m);
  assert.match(modes, /^standard .*0\.0\.0\.0/m);
  const info = (await run_akosha(["info", "--component", "query_server"])).stdout;
  for (const line of [/^component +query_server/m, /^vector_db +\S/m, /^graph_db +\S/m, /^analytics +\S/m, /^alerting +\S/m])
    assert.match(info, line);
  const [one, other] = [(await run_akosha(["secrets", "generate"])).stdout, (await run_akosha(["secrets", "generate"])).stdout];
  assert.equal(Buffer.from(one.trim(), "base64url").length, 32);
  assert.notEqual(one, other);

  const folder = temp_folder("akosha-start");
  const memory = await start_role("all", { folder });
  const url = ["--url", memory.url];
  assert.deepEqual((({ code, stdout }) => ({ code, stdout }))(await run_akosha(["healthcheck", ...url])), {
    code: 0,
    stdout: "ready\n",
  });
  assert.match((await run_akosha(["metrics", ...url])).stdout, /^akosha_http_requests_total/m);
  await memory.stop();
  assert.equal((await run_akosha(["healthcheck", ...url])).code, 1);
});
