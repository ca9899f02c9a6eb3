/** What the memory tells about itself: every family of series that is promised, moved by what it counts; warm caches. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { restart_gateway, start_gateway } from "./support/gateway.mjs";
import { close_outside, start_orchestrator } from "./support/outside.mjs";
import { stop_everything, temp_folder } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

after(async () => {
  await stop_everything();
  close_outside();
});

const kDay = 86_400_000;

/**
 * The families of spec/memory 8.1 and 8.2, with the labels that each must have. Those of `still` are there with any value:
 * nothing waits, fails or is behind in this test. security_* and mcp_rate_limit_allowed_total: see access and security tests.
 */
const kMoved = {
  akosha_ingestion_requests_total: ["system_id", "status"],
  akosha_ingestion_duration_seconds: ["operation"],
  akosha_query_requests_total: ["query_type", "status"],
  akosha_query_duration_seconds: ["query_type"],
  akosha_query_cache_hits_total: ["cache_level"],
  akosha_hot_store_size_bytes: [],
  akosha_warm_store_size_bytes: [],
  akosha_cold_store_size_bytes: [],
  akosha_hot_store_record_count: [],
  akosha_warm_store_record_count: [],
  akosha_migration_records_total: ["source_tier", "target_tier", "status"],
  akosha_migration_duration_seconds: [],
  akosha_ingestion_conversations_processed_total: ["system_id", "status"],
  akosha_ingestion_bytes_total: ["system_id"],
  akosha_ingestion_errors_total: ["system_id", "error_type"],
  akosha_ingestion_throughput: ["system_id"],
  akosha_query_results_size: [],
  akosha_system_cpu_usage_percent: [],
  akosha_system_memory_usage_bytes: [],
  akosha_system_disk_usage_bytes: ["mount_point"],
  akosha_search_latency_milliseconds: ["query_type"],
  akosha_search_results_total: ["has_results"],
  akosha_search_result_count: ["query_type"],
  akosha_cache_operations_total: ["operation", "cache_tier", "query_type"],
  akosha_cache_hit_rate: ["cache_tier"],
  akosha_cache_size_bytes: ["cache_tier"],
  akosha_cache_entry_count: ["cache_tier"],
  akosha_store_size_records: ["tier"],
  akosha_store_size_bytes: ["tier"],
  akosha_store_operations_total: ["tier", "operation", "status"],
  akosha_store_operation_duration_seconds: ["tier", "operation"],
  akosha_errors_total: ["component", "error_type", "severity"],
  akosha_error_last_timestamp_seconds: ["component", "error_type", "severity"],
  akosha_operations_total: ["operation_type", "status"],
  akosha_operation_duration_seconds: ["operation_type"],
  akosha_deduplication_checks_total: ["check_type", "result"],
  akosha_deduplication_duration_seconds: ["check_type"],
  akosha_embedding_generation_duration_seconds: ["model_type"],
  akosha_embedding_batch_size: [],
  embedding_generated_total: ["mode"],
  embedding_text_length: [],
  embedding_batch_generated_total: [],
  embedding_batch_size: [],
  akosha_vector_index_size_vectors: ["index_name"],
  akosha_vector_index_build_duration_seconds: ["index_name"],
  akosha_knowledge_graph_entities_total: [],
  akosha_knowledge_graph_relationships_total: [],
  akosha_knowledge_graph_query_duration_seconds: ["query_type"],
  akosha_http_requests_total: ["method", "endpoint", "status"],
  akosha_http_request_duration_seconds: ["method", "endpoint"],
  circuit_state: ["service_name"],
  circuit_total_calls: ["service_name"],
  circuit_successful_calls: ["service_name"],
  circuit_failed_calls: ["service_name"],
  circuit_success_rate: ["service_name"],
  circuit_consecutive_successes: ["service_name"],
  analytics_metrics_added_total: [],
  analytics_trend_completed_total: ["direction"],
  analytics_trend_failed_total: ["reason"],
  analytics_trend_strength: [],
  analytics_trend_confidence: [],
  analytics_anomaly_detected_total: [],
  analytics_anomaly_rate: [],
  analytics_correlation_completed_total: [],
  analytics_correlation_failed_total: ["reason"],
  kg_entities_total: [],
  kg_edges_total: [],
  kg_entities_added_total: [],
  kg_edges_added_total: [],
  kg_neighbors_found: [],
  kg_shortest_path_found_total: [],
  kg_shortest_path_not_found_total: [],
  kg_shortest_path_length: [],
  akosha_warm_storage_size_bytes: ["environment", "mountpoint"],
  akosha_warm_storage_usage_percent: ["environment", "mountpoint"],
  akosha_warm_storage_available_bytes: ["environment", "mountpoint"],
  akosha_warm_storage_info: ["environment", "mountpoint"],
  akosha_warm_conversation_count: ["environment", "mountpoint"],
  akosha_storage_uploads: ["tier", "success"],
  akosha_storage_downloads: ["tier", "success"],
  akosha_storage_bytes_uploaded: ["tier"],
  akosha_storage_bytes_downloaded: ["tier"],
  akosha_storage_upload_latency_ms: ["tier"],
  akosha_storage_download_latency_ms: ["tier"],
  akosha_hot_store_health_status: [],
  akosha_fallback_mode: [],
  akosha_backup_last_success_timestamp_seconds: [],
};
const kStill = {
  akosha_ingestion_queue_size: [],
  akosha_ingestion_backlog_count: [],
  akosha_http_active_requests: [],
  akosha_cloud_storage_errors_total: ["tier"],
  akosha_wal_lag_seconds: [],
  akosha_system_disk_read_bytes: [],
  akosha_system_disk_written_bytes: [],
  circuit_rejected_calls: ["service_name"],
  circuit_consecutive_failures: ["service_name"],
};

/** Family -> [{labels, value}]; of a histogram its numbers of observations. */
async function families(gateway) {
  const { text } = await gateway.get("/metrics?format=prometheus");
  const found = new Map();
  const histograms = new Set([...text.matchAll(/^# TYPE (\S+) histogram$/gm)].map(([, name]) => name));
  for (const [, name, labels, value] of text.matchAll(/^([a-z_]+)(?:\{(.*)\})? (\S+)$/gm)) {
    const base = name.replace(/_count$/, "");
    const family = histograms.has(base) ? base : name;
    if (!found.has(family)) found.set(family, []);
    found.get(family).push({ labels: Object.fromEntries([...(labels ?? "").matchAll(/(\w+)="([^"]*)"/g)].map(([, key, text]) => [key, text])), value: Number(value) });
  }
  return found;
}

/** What is missing of what is promised. */
async function faults(gateway) {
  const found = await families(gateway);
  const list = [];
  for (const [name, labels] of Object.entries({ ...kMoved, ...kStill })) {
    const samples = found.get(name);
    if (samples === undefined) list.push(`${name} is not exported`);
    else if (name in kMoved && !samples.some(({ value }) => value > 0)) list.push(`${name} did not move`);
    for (const label of labels)
      if (samples?.some((sample) => !(label in sample.labels))) list.push(`${name} has no label ${label}`);
  }
  return list;
}

const kStory = (i) =>
  `Report ${i}: ana worked on apollo with ben. The deploy number ${i} failed at noon because a migration timed out after ${i} seconds. ` +
  `The weather was fine and lunch was served late on floor ${i}. Somebody laughed about case ${i * 7}.`;

function leave_upload(bucket, id, manifest, payload) {
  const folder = join(bucket, "systems", "buddy", id);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "memories.json"), payload);
  writeFileSync(join(folder, "manifest.json"), manifest);
}

async function ok(reply) {
  const done = await reply;
  assert.ok(done.status < 300, done.text);
  return done.body;
}

/** Everything that the memory can do, once. */
async function use_all(gateway, bucket) {
  const ages = [0, 0, 0, 10, 11, 200];
  const memories = ages.map((days, i) => ({
    memory_id: `m${i}`, text: kStory(i), system_id: "desk", timestamp: new Date(Date.now() - days * kDay).toISOString(),
    metadata: { user_id: "ana", project: "apollo", tags: ["talk"] },
  }));
  await ok(gateway.post("/memory/memories/batch", { memories }));
  await ok(gateway.post("/memory/memories", { ...memories[0], memory_id: "again" }));
  await ok(gateway.post("/memory/memories", { ...memories[1], memory_id: "nearly", text: `${kStory(1)} Indeed.` }));
  const manifest = { uploaded_at: new Date().toISOString(), conversation_count: 1 };
  leave_upload(bucket, "good", JSON.stringify(manifest), JSON.stringify({ conversations: [{ id: "c1", content: "From the bucket." }] }));
  leave_upload(bucket, "bad", JSON.stringify({ ...manifest, checksum: "0".repeat(64) }), "{}");
  assert.equal((await gateway.post("/memory/memories", { memory_id: "m", text: "" })).status, 400);

  await ok(gateway.post("/memory/embeddings", { texts: ["one", "two"] }));
  const points = Array.from({ length: 48 }, (_, i) => [
    { metric_name: "load", value: i === 3 ? 900 : i, system_id: "desk", timestamp: new Date(Date.now() - i * 3_600_000).toISOString() },
    { metric_name: "load", value: i * 2, system_id: "buddy", timestamp: new Date(Date.now() - i * 3_600_000).toISOString() },
  ]).flat();
  await ok(gateway.post("/memory/analytics/metrics", { points }));
  for (const name of ["load", "unknown"]) {
    await ok(gateway.get(`/memory/analytics/trends?metric_name=${name}&system_id=desk`));
    await ok(gateway.get(`/memory/analytics/correlations?metric_name=${name}`));
  }
  await ok(gateway.get("/memory/analytics/anomalies?metric_name=load&system_id=desk"));

  await until(async () => (await gateway.get("/memory/graph/entities/user:ana/neighbors")).body.total_neighbors > 0, { what: "the graph", timeout_ms: 10_000, every_ms: 50 });
  assert.equal((await ok(gateway.get("/memory/graph/path?source_id=user:ana&target_id=project:apollo"))).path_found, true);
  assert.equal((await ok(gateway.get("/memory/graph/path?source_id=user:ana&target_id=user:nobody"))).path_found, false);

  for (const [source_tier, target_tier] of [["hot", "warm"], ["warm", "cold"]]) {
    const { id } = await ok(gateway.post("/memory/storage/migrations", { source_tier, target_tier }));
    await until(async () => (await ok(gateway.get(`/memory/storage/migrations/${id}`))).state === "done", { what: "a run", timeout_ms: 20_000, every_ms: 50 });
  }
  for (const mode of ["semantic", "keyword", "hybrid"])
    for (let i = 0; i < 2; ++i) await ok(gateway.post("/memory/search", { query: "which migration timed out", mode, tiers: ["hot", "warm", "cold"], threshold: -1 }));
  await ok(gateway.post("/memory/search", { query: "zzyzx", mode: "keyword" }));
  assert.equal((await gateway.post("/memory/search", { query: 7 })).status, 400);
  await ok(gateway.post("/memory/backups", {}));
  const uploads = async () => (await ok(gateway.get("/memory/uploads"))).uploads.filter(({ upload_id }) => ["good", "bad"].includes(upload_id));
  await until(async () => (await uploads()).every(({ state }) => ["done", "rejected", "failed"].includes(state)) && (await uploads()).length === 2,
    { what: "both uploads to end", timeout_ms: 15_000, every_ms: 50 });
}

test("every family of series is exported with its labels, and moved by what it counts", async () => {
  const bucket = temp_folder("akosha-bucket");
  const orchestrator = await start_orchestrator("key");
  const env = {
    AKOSHA_INGEST_BUCKET: `file://${bucket}`, AKOSHA_DISCOVERY_INTERVAL: "1",
    AKOSHA_MAHAVISHNU_MCP_URL: orchestrator.url, AKOSHA_MAHAVISHNU_API_KEY: "wrong",
  };
  const gateway = await start_gateway({ env });
  await use_all(gateway, bucket);
  // Gauges are read every fifteen seconds.
  let left = [];
  await until(async () => (left = await faults(gateway)).length === 0, { what: "all series", timeout_ms: 40_000, every_ms: 500 })
    .catch(() => assert.deepEqual(left, []));

  // Errors say whose they are; labels are of a list, whatever callers send.
  const errors = (await families(gateway)).get("akosha_errors_total").map(({ labels }) => `${labels.component} ${labels.error_type} ${labels.severity}`);
  assert.ok(errors.includes("query_engine validation_error info"), errors.join("\n"));
  assert.ok(errors.some((one) => one.startsWith("ingestion_worker validation_error")), errors.join("\n"));
  const kComponents = /^(ingestion_worker|ingestion_orchestrator|(hot|warm|cold)_store|vector_indexer|cache_layer|query_engine|deduplication|knowledge_graph|time_series|mcp_server|aging_service) (database|network|storage|validation|timeout|authentication|rate_limit|serialization|embedding|unknown)_error (info|warning|error)$/;
  for (const one of errors) assert.match(one, kComponents);
  const endpoints = (await families(gateway)).get("akosha_http_requests_total").map(({ labels }) => labels.endpoint);
  assert.ok(endpoints.every((endpoint) => endpoint.startsWith("/memory/") || endpoint.startsWith("/api/v1/memory/")), endpoints.join("\n"));
  assert.ok(endpoints.includes("/memory/storage/migrations/{id}"), "a template, no ids");
});

test("what was searched for often is in the cache after a restart, for who may see it", async () => {
  let gateway = await start_gateway();
  await ok(gateway.post("/memory/memories", { memory_id: "lamp", text: "The lamp is blue.", system_id: "desk" }));
  const ask = async (query) => ok(gateway.post("/memory/search", { query }));
  for (let i = 0; i < 3; ++i) await ask("which colour has the lamp");
  await ask("asked once");
  await gateway.stop();
  gateway = await restart_gateway(gateway);
  const warmed = async () =>
    (await families(gateway)).get("akosha_cache_warming_searches_total")?.find(({ labels }) => labels.trigger === "start" && labels.outcome === "refilled")?.value;
  await until(async () => (await warmed()) === 1, { what: "warm caches", timeout_ms: 10_000, every_ms: 50 });
  const first = await ask("which colour has the lamp");
  assert.equal(first.cache, "l1");
  assert.equal(first.results[0].conversation_id, "lamp");
  assert.equal((await ask("asked once")).cache, "miss", "once is not often");
  assert.equal((await ok(gateway.delete("/memory/cache"))).purged, true);
  const again = await ok(gateway.post("/memory/cache/warm", {}));
  assert.ok(again.refilled >= 1 && again.failed === 0, JSON.stringify(again));
  assert.equal((await ask("which colour has the lamp")).cache, "l1");
});

test("a system's profile says what it remembers, guesses languages that nobody named, and knows no other organisation", async () => {
  const gateway = await start_gateway();
  const texts = {
    de1: "Die Auslieferung ist am Mittag gescheitert, weil die Wanderung der Datenbank zu lange gedauert hat.",
    en1: "Please remember that we meet on Tuesday in the small room behind the kitchen, and bring the keys with you.",
    short: "Guten Tag!",
  };
  const memories = Object.entries(texts).map(([memory_id, text]) => ({ memory_id, text, system_id: "desk", metadata: { user_id: "ana", project: "apollo" } }));
  // What is said counts, whatever the text looks like.
  memories.push({ memory_id: "said", text: "Bitte denk daran, dass wir uns am Dienstag im kleinen Zimmer treffen, und nicht im grossen.", system_id: "desk", metadata: { language: "gsw" } });
  for (const memory of memories) await ok(gateway.post("/memory/ingest/upload", { system_id: "desk", conversation_id: memory.memory_id, content: memory.text, metadata: memory.metadata }));
  const { profile, total_records } = await until(async () => {
    const body = await ok(gateway.get("/memory/systems/desk"));
    return body.profile.hours.length > 0 && body;
  }, { what: "the hourly series", timeout_ms: 10_000, every_ms: 50 });
  assert.equal(total_records, 4);
  assert.equal(profile.memories, 4);
  assert.deepEqual(profile.languages, { de: 1, en: 1, gsw: 1 }, "of two words nobody can say");
  assert.deepEqual(profile.projects, { apollo: 3 });
  assert.deepEqual(profile.users, { ana: 3 });
  assert.equal(Object.values(profile.days)[0], 4);
  assert.equal(profile.hours.reduce((sum, { memories: count }) => sum + count, 0), 4);
  const found = await ok(gateway.post("/memory/search", { query: "Datenbank Wanderung", language: "de", facets: ["language"] }));
  assert.deepEqual(found.results.map(({ conversation_id }) => conversation_id), ["de1"]);
  const guessed = await ok(gateway.get("/memory/memories/desk/de1"));
  assert.equal(guessed.metadata.language_guessed, true);
  assert.equal((await ok(gateway.get("/memory/memories/desk/said"))).metadata.language_guessed, undefined);
});
