// ./dev bench memory [part …] [options]: the measures of the memory module. A part is a function
// that prints its table and returns its rows for the JSON file.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { machine } from "../lib/system.mjs";
import { measure_contract, report_contract } from "./contract.mjs";
import { measure_http, report_http } from "./http.mjs";
import { report_cold, report_dedup, report_space } from "./storage.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const programs = `${process.env.ASAHI_BENCH_BUILD ?? "build/release"}/bench`;
const kUsage = `bench/run.sh memory [part …] [options]     all parts unless some are named

  vector    vector search in this process beside hnswlib, usearch, LanceDB and sqlite-vec (10 minutes; alone: 2)
  http      ingest and search over HTTP on the real server, and its next start (3 minutes; --count 1000000: 20)
  contract  searches while 100 systems tell memories and ageing runs (2 minutes)
  cold      rows to the cold tier's Parquet, bytes, look-ups, beside DuckDB (1 minute)
  dedup     near-duplicates found and found wrongly (1 minute)
  space     files after upserts one by one (1 minute; --upserts 10000000: 12)
  placement 10,000 systems in 256 shards on 4, 16, 64 nodes: balance, moves, cost of a search (2 minutes)

  --count N     vectors, memories (default 100,000)
  --seconds N   of the contract's load (default 60)
  --upserts N   one by one (default 1,000,000), over a tenth of the memories
  --rounds N    rounds of which medians are taken (default 3)
  --alone       without peers
  --peer-seconds N   longest time of a peer from npm (default 900)
  --folder F    an empty folder for the data of http, which stays (bench_hot --reopen --folder F/memory/hot)
  --json FILE   also write everything measured there
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: "string", default: "100000" },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "60" },
    upserts: { type: "string", default: "1000000" },
    "peer-seconds": { type: "string", default: "900" },
    alone: { type: "boolean", default: false },
    folder: { type: "string" },
    json: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

function lines_of(command, args) {
  const done = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 26, stdio: ["ignore", "pipe", "inherit"] });
  if (done.error) throw done.error;
  if (done.status !== 0) throw new Error(`${command} ended with ${done.status ?? done.signal}`);
  return done.stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

/** What a peer prints within its time; one that does not come to its end has a row that says so. */
function lines_of_peer(engine, args) {
  const longest = Number(values["peer-seconds"]);
  const done = spawnSync("node", args, { encoding: "utf8", maxBuffer: 1 << 26, stdio: ["ignore", "pipe", "inherit"], timeout: longest * 1000, killSignal: "SIGKILL" });
  const late = done.error?.code === "ETIMEDOUT";
  if (done.error && !late) throw done.error;
  const rows = done.stdout.split("\n").filter((line) => line.endsWith("}")).map((line) => JSON.parse(line));
  if (late || done.status !== 0) rows.push({ engine, kind: "unfinished", reason: late ? `not finished within ${longest} s` : `ended with ${done.status ?? done.signal}` });
  return rows;
}

/** lines_of beside other work of this process: a server's output is read meanwhile. */
function lines_beside(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (data) => (text += data));
    child.on("error", reject);
    child.on("exit", (code, signal) =>
      code === 0 ? resolve(text.split("\n").filter(Boolean).map((line) => JSON.parse(line))) : reject(new Error(`${command} ended with ${code ?? signal}`)));
  });
}

const whole = (value) => Math.round(value).toLocaleString("en-US");
const verdict = (met) => (met ? "yes" : "no");

function print_table(head, rows) {
  console.log(`\n| ${head.join(" | ")} |\n|${"---|".repeat(head.length)}`);
  for (const row of rows) console.log(`| ${row.join(" | ")} |`);
}

/** The first effort that reaches a recall, of a sweep that goes up. */
function reaching(rows, engine, recall) {
  return rows.find((row) => row.kind === "search" && row.engine === engine && row.recall >= recall);
}

function vector() {
  const width = 384;
  const program = `${programs}/bench_memory_vector`;
  if (!existsSync(program)) throw new Error(`${program} is missing: run ./dev build first`);
  const folder = mkdtempSync(join(tmpdir(), "asahi-bench-"));
  try {
    const extension = join(here, `node_modules/sqlite-vec-linux-${process.arch}/vec0.so`);
    const rows = lines_of(program, [
      "--width", `${width}`, "--count", values.count, "--rounds", values.rounds, "--folder", folder,
      ...(values.alone ? ["--alone"] : ["--sqlite-vec", extension]),
    ]);
    if (!values.alone) {
      const efforts = { usearch: [10, 16, 24, 32, 48, 64, 96, 128, 192, 256], lancedb: [32, 64, 128, 256] };
      for (const [engine, sweep] of Object.entries(efforts)) {
        rows.push(...lines_of_peer(engine, [
          "--expose-gc", join(here, "peers.mjs"), engine, folder, `${width}`, values.rounds, ...sweep.map(String),
        ]));
      }
    }
    report(rows);
    return rows.map((row) => ({ measure: "vector", ...row }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function report(rows) {
  const of = (kind, engine = "asahi") => rows.find((row) => row.kind === kind && row.engine === engine);
  const setup = rows.find((row) => row.kind === "setup");
  console.log(`${whole(setup.count)} × ${setup.width}, clustered; ${setup.queries} queries, medians of ${setup.rounds}; ${setup.instructions}`);
  const engines = [...new Set(rows.filter((row) => row.engine).map((row) => row.engine))];
  print_table(
    ["engine", "queries/s at recall ≥ 0.95", "≥ 0.99", "build, CPU s", "memory, MB", "filter of 1 %: queries/s (recall)", "10 %"],
    engines.map((engine) => {
      if (of("absent", engine)) return [engine, "absent", "", "", "", "", ""];
      const rate = (recall) => {
        const row = reaching(rows, engine, recall);
        return row ? `${whole(row.per_second)} (ef ${row.effort}, ${row.recall.toFixed(3)})` : "not reached";
      };
      const filter = (share) => {
        const row = rows.find((each) => each.kind === "filter" && each.engine === engine && each.passes === share);
        return row ? `${whole(row.per_second)} (${row.recall.toFixed(3)})` : "";
      };
      const built = of("build", engine);
      const unfinished = of("unfinished", engine);
      if (!built) return [engine, unfinished?.reason ?? "no build", "", "", "", "", ""];
      return [unfinished ? `${engine} (${unfinished.reason})` : engine, rate(0.95), rate(0.99), built.cpu_s.toFixed(1), whole(built.resident_mb), filter(0.01), filter(0.1)];
    }),
  );
  const built = of("build");
  const reload = of("reload");
  const tail = of("tail");
  const turned = of("turnover");
  const filter = rows.find((row) => row.kind === "filter" && row.engine === "asahi" && row.passes === 0.01);
  const at95 = reaching(rows, "asahi", 0.95)?.per_second ?? 0;
  const at99 = reaching(rows, "asahi", 0.99)?.per_second ?? 0;
  print_table(["Measure", "Goal", "Measured", "Met"], [
    ["queries/s of a core at recall@10 ≥ 0.95", "≥ 15,000", whole(at95), verdict(at95 >= 15_000)],
    ["the same at ≥ 0.99", "≥ 10,000", whole(at99), verdict(at99 >= 10_000)],
    ["index build", "≤ 25 CPU s", `${built.cpu_s.toFixed(1)} s (${whole(built.per_second)}/s)`, verdict(built.cpu_s <= 25)],
    ["memory with ids and two filter fields", "≤ 100 MB", `${built.resident_mb.toFixed(1)} MB`, verdict(built.resident_mb <= 100)],
    ["mapped reload", "≤ 0.3 s", `${reload.load_s.toFixed(2)} s (CPU ${reload.load_cpu_s.toFixed(2)} s), ${(reload.same_answers * 100).toFixed(1)} % of answers the same`,
      verdict(reload.load_s <= 0.3 && reload.same_answers === 1)],
    ["recall with a filter that 1 % pass", "≥ 0.95", `${filter.recall.toFixed(3)} at ${whole(filter.per_second)} queries/s`, verdict(filter.recall >= 0.95)],
    ["recall after a third was erased and added, a third replaced (ef 32)", "≥ 0.95", `${turned.recall.toFixed(3)}; ${whole(turned.writes_per_second)} writes/s`,
      verdict(turned.recall >= 0.95)],
    ["items taken in before their links", "", `${whole(tail.put_per_second)}/s, ${(tail.found_at_once * 100).toFixed(1)} % found by the next query`, verdict(tail.found_at_once === 1)],
    ["the graph catches up beside searches", "≥ 4,000/s", `${whole(tail.linked_per_second)}/s; searches p50 ${tail.search_p50_us} µs, p99 ${tail.search_p99_us} µs`,
      verdict(tail.linked_per_second >= 4000)],
  ]);
}

function placement() {
  const program = `${process.env.ASAHI_BENCH_BUILD ?? "build/release"}/bench/bench_memory_placement`;
  if (!existsSync(program)) throw new Error(`${program} is missing: run ./dev build first`);
  const rows = lines_of(program, ["--count", values.count]);
  const of = (kind) => rows.filter((row) => row.kind === kind);
  console.log(`\n${whole(of("balance")[0].systems)} systems; medians of 200 clusters of other names`);
  print_table(
    ["shards", "nodes", "shards of a node, max ÷ mean", "by the formula", "load, systems alike", "load, Zipf-sized", "worst cluster", "largest system's share"],
    of("balance").map((row) => [row.shards, row.nodes, row.shards_max_mean.toFixed(2), row.formula.toFixed(2), row.even_max_mean.toFixed(2), row.zipf_max_mean.toFixed(2),
      row.zipf_worst.toFixed(2), `${(row.largest_system_share * 100).toFixed(1)} %`]),
  );
  print_table(
    ["nodes", "shards that move, of 256 (mean)", "least possible", "most", "load that moves, p50", "most", "between other nodes", "by modulo"],
    of("move").map((row) => [`${row.from} → ${row.to}`, row.moved_mean.toFixed(1), row.least.toFixed(1), row.moved_worst, `${(row.load_p50 * 100).toFixed(1)} %`,
      `${(row.load_worst * 100).toFixed(1)} %`, row.between_others, row.by_modulo]),
  );
  console.log(`\nhybrid search, k 10, ${whole(of("cost")[0].rows)} memories; a call of the store API costs ${of("call")[0].cpu_us} µs of CPU on both sides`);
  print_table(
    ["nodes", "memories each", "search of a node: CPU, p50, p99 (µs)", "slowest of all: p50, p99 (µs)", "merge (µs)", "all nodes: CPU (µs)", "× one node", "one system: CPU (µs)"],
    of("cost").map((row) => [row.nodes, whole(row.rows_per_node), [row.node_cpu_us, row.node_p50_us, row.node_p99_us].map(whole).join(", "),
      [row.slowest_p50_us, row.slowest_p99_us].map(whole).join(", "), whole(row.merge_us), whole(row.all_cpu_us), row.times_one.toFixed(1), whole(row.one_system_cpu_us)]),
  );
  return rows.map((row) => ({ measure: "placement", ...row }));
}

async function http() {
  const rows = await measure_http(values, lines_beside);
  report_http(rows, { whole, verdict, print_table });
  return rows.map((row) => ({ measure: "http", ...row }));
}

async function contract() {
  const rows = await measure_contract(values);
  report_contract(rows, { whole, verdict, print_table });
  return rows.map((row) => ({ measure: "contract", ...row }));
}

/** A part whose program prints JSON lines. */
function of_program(measure, name, args, report_rows) {
  const program = `${programs}/${name}`;
  if (!existsSync(program)) throw new Error(`${program} is missing: run ./dev build first`);
  const rows = lines_of(program, ["--json", ...args]);
  report_rows(rows, { whole, verdict, print_table });
  return rows.map((row) => ({ measure, ...row }));
}
const cold = () => of_program("cold", "bench_memory_cold", ["--rows", String(Math.max(Number(values.count), 1_000_000))], report_cold);
const dedup = () => of_program("dedup", "bench_dedup", ["--memories", values.count], report_dedup);
const space = () => of_program("space", "bench_hot", ["--count", values.count, "--singles", values.upserts, "--no-link"], report_space);

const parts = { vector, http, contract, cold, dedup, space, placement };
const wanted = positionals.length > 0 ? positionals : Object.keys(parts);
const unknown = wanted.find((name) => !(name in parts));
if (values.help || unknown) {
  if (unknown) process.stderr.write(`bench: memory has no part '${unknown}'\n\n`);
  process.stdout.write(kUsage);
  process.exit(unknown ? 2 : 0);
}
try {
  const about = machine();
  console.log(`${about.cpu}, ${about.cpus} CPUs, ${about.memory_gib} GiB, Linux ${about.kernel}, load ${about.load_before.toFixed(1)} before; commit ${about.commit}`);
  const results = [];
  for (const name of wanted) results.push(...((await parts[name]()) ?? []));
  if (values.json) {
    mkdirSync(dirname(values.json), { recursive: true });
    writeFileSync(values.json, JSON.stringify({ machine: about, results }, null, 2));
  }
} catch (error) {
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 1;
}
