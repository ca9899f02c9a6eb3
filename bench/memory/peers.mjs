// One peer from npm over the data that bench_memory_vector wrote: JSON lines as that program's.
// node peers.mjs ENGINE FOLDER WIDTH ROUNDS EFFORT…
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

const kNearest = 10;
const [engine, folder, width_text, rounds_text, ...effort_texts] = process.argv.slice(2);
const width = Number(width_text);
const rounds = Number(rounds_text);
const efforts = effort_texts.map(Number);

function numbers(name, Type) {
  const bytes = readFileSync(join(folder, name));
  return new Type(bytes.buffer, bytes.byteOffset, bytes.byteLength / Type.BYTES_PER_ELEMENT);
}
const vectors = numbers("vectors.f32", Float32Array);
const queries = numbers("queries.f32", Float32Array);
const truth = numbers("truth.u32", Uint32Array);
const count = vectors.length / width;
const vector_at = (all, at) => all.subarray(at * width, (at + 1) * width);

function cpu_seconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function resident_mb() {
  globalThis.gc?.();
  return process.memoryUsage().rss / 1e6;
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

function print(row) {
  console.log(JSON.stringify({ engine, ...row }));
}

async function searches(effort, search, asked) {
  const rates = [];
  let hits = 0;
  for (let round = 0; round < rounds; ++round) {
    const found = [];
    const start = cpu_seconds();
    for (let q = 0; q < asked; ++q) found.push(await search(vector_at(queries, q)));
    rates.push(asked / (cpu_seconds() - start));
    hits = 0;
    found.forEach((ids, q) => {
      const right = new Set(truth.subarray(q * kNearest, (q + 1) * kNearest));
      for (const id of ids) hits += right.has(Number(id)) ? 1 : 0;
    });
  }
  print({ kind: "search", effort, recall: hits / (asked * kNearest), per_second: median(rates) });
}

async function usearch() {
  const { Index, MetricKind, ScalarKind } = (await import("usearch")).default;
  const file = join(folder, "usearch.bin");
  const open = (effort) =>
    new Index({
      dimensions: width, metric: MetricKind.Cos, quantization: ScalarKind.I8, connectivity: 16,
      expansion_add: 128, expansion_search: effort,
    });
  const memory = resident_mb();
  const start = cpu_seconds();
  const index = open(64);
  for (let i = 0; i < count; ++i) index.add(BigInt(i), vector_at(vectors, i), 1);
  const seconds = cpu_seconds() - start;
  print({ kind: "build", cpu_s: seconds, per_second: count / seconds, resident_mb: resident_mb() - memory });
  index.save(file);
  for (const effort of efforts) {
    const loaded = open(effort);
    loaded.load(file);
    await searches(effort, (query) => loaded.search(query, kNearest, 1).keys, queries.length / width);
  }
  rmSync(file);
}

async function lancedb() {
  const lance = await import("@lancedb/lancedb");
  const home = join(folder, "lancedb");
  rmSync(home, { recursive: true, force: true });
  const database = await lance.connect(home);
  const memory = resident_mb();
  const start = cpu_seconds();
  const kBatch = 10_000;
  let table;
  for (let from = 0; from < count; from += kBatch) {
    const rows = [];
    for (let i = from; i < Math.min(count, from + kBatch); ++i) {
      rows.push({ id: i, vector: Array.from(vector_at(vectors, i)) });
    }
    if (table) await table.add(rows);
    else table = await database.createTable("v", rows);
  }
  await table.createIndex("vector", {
    config: lance.Index.hnswSq({ distanceType: "cosine", numPartitions: 1, m: 16, efConstruction: 128 }),
  });
  const seconds = cpu_seconds() - start;
  print({ kind: "build", cpu_s: seconds, per_second: count / seconds, resident_mb: resident_mb() - memory });
  for (const effort of efforts) {
    const search = async (query) => {
      const found = await table.vectorSearch(query).distanceType("cosine").limit(kNearest).ef(effort)
        .refineFactor(2).select(["id", "_distance"]).toArray();
      return found.map((row) => row.id);
    };
    await searches(effort, search, Math.min(100, queries.length / width));
  }
  rmSync(home, { recursive: true, force: true });
}

const engines = { usearch, lancedb };
try {
  await engines[engine]();
} catch (error) {
  if (error.code !== "ERR_MODULE_NOT_FOUND" && !/native|prebuild/i.test(error.message)) throw error;
  print({ kind: "absent", reason: error.message.split("\n")[0] });
}
