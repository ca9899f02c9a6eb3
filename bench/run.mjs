import { execFileSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { scratch, start_asahi, start_nginx, start_portkey, start_upstream } from "./lib/contestants.mjs";
import { measures } from "./lib/measures.mjs";
import { machine, sleep, stop_all, use_realtime } from "./lib/system.mjs";

const kUsage = `bench/run.sh [measure …] [options]     all measures unless some are named

  miss      requests/s, every prompt new, 64 connections: asahi, nginx proxy_pass, portkey, direct
  governed  requests/s with keys, limits, budgets, policy and screens on ÷ without any; once more with audit
  latency   added µs, one request at a time
  open      added µs at 5,000 requests/s, open loop
  hit       requests/s of exact cache hits, 64 connections
  ttft      added µs to the first token of a stream
  streams   1,000 streams at once: chunks lost, memory
  idle      memory without work
  ready     milliseconds from exec to ready
  growth    memory growth per million requests
  analytics event writer and dashboard queries over millions of events (alone; takes --rows, --engine, --users, --work)
  memory    the memory module: vector search beside its peers … (alone; \`memory --help\` lists its parts)
  savings   right and wrong hits of the semantic cache, its error bound, lookup time (alone; takes --json, --data)
  tokens    tokens saved on verbose prompts and what was lost, µs per 1,000 tokens; exact counts against tiktoken's ids
  router    strong calls that the learned router saves on rows held out, and the time of a decision
  micro     the steps of a request one by one: key check, cache key, routing, reserving … (Google Benchmark)
  vector    vector search in this process beside hnswlib: searches/s, recall, p99, memory (2 minutes)

  --rounds N    rounds of interleaved runs (default 5)
  --seconds S   length of one run (default 2)
  --long        growth over a million requests
  --realtime    real-time scheduling for all servers and tools: for a machine that is busy with other work (root)
  --json FILE   also write everything measured there
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "2" },
    long: { type: "boolean", default: false },
    realtime: { type: "boolean", default: false },
    json: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  process.stdout.write(kUsage);
  process.exit(0);
}
// These are programs of their own.
const programs = { tokens, router, micro, vector };
const known = [...Object.keys(measures), ...Object.keys(programs)];
const wanted = positionals.length > 0 ? positionals : known;
const unknown = wanted.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`bench: there is no measure '${unknown[0]}'\n\n${kUsage}`);
  process.exit(2);
}
const settings = { rounds: Number(values.rounds), seconds: Number(values.seconds), long: values.long };
if (values.realtime) use_realtime();

function number(value) {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en-US");
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

function print_row({ name, target, value, unit, met, detail }) {
  const verdict = target === undefined ? "" : met ? "yes" : "no";
  console.log(`| ${name} | ${target ?? ""} | ${number(value)} ${unit} | ${verdict} | ${detail ?? ""} |`);
}

function micro() {
  const program = "build/release/bench/bench_micro";
  if (!existsSync(program)) {
    console.log("\nbench_micro was not built: libbenchmark-dev is not installed");
    return;
  }
  console.log(`\n${execFileSync(program, ["--benchmark_min_time=0.3"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })}`);
}

function vector() {
  console.log("");
  execFileSync("build/release/bench/bench_vector", { stdio: ["ignore", "inherit", "inherit"] });
}

/** Text on the terminal, JSON for the results. */
function tokens() {
  const program = "build/release/bench/bench_tokens";
  return ["verbose_prompts", "verbose_prompts_second"].map((prompts) => {
    const inputs = [`bench/savings/${prompts}.jsonl`, "src/llm/tokens/golden.json"];
    const run = (...options) => execFileSync(program, [...inputs, ...options], { encoding: "utf8" });
    console.log(`\n${prompts}\n${run()}`);
    return { measure: "tokens", prompts, ...JSON.parse(run("--json")) };
  });
}

/** Prints its own table; its rows go into the JSON file. */
function router() {
  const output = execFileSync("build/release/bench/bench_router", [], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  const lines = output.trimEnd().split("\n");
  const rows = JSON.parse(lines.pop());
  console.log(`\n${lines.join("\n")}\n`);
  return rows.map((row) => ({ measure: "router", ...row }));
}

/** Starts only what the wanted measures need: idle neighbours take memory bandwidth, not time, but starts do. */
async function contestants() {
  const upstream = await start_upstream();
  const compared = wanted.some((name) => ["miss", "governed", "latency", "open", "hit", "ttft"].includes(name));
  if (!compared) return { upstream };
  const nginx = await start_nginx(upstream);
  const asahi = await start_asahi(upstream);
  const portkey = wanted.some((name) => ["miss", "latency"].includes(name)) ? await start_portkey(upstream) : null;
  return { upstream, direct: upstream, nginx, asahi, portkey, all: [upstream, nginx, portkey, asahi].filter(Boolean) };
}

async function clean_up() {
  await stop_all();
  rmSync(scratch, { recursive: true, force: true });
}
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, async () => {
    await clean_up();
    process.exit(130);
  });
}

const about = machine();
console.log(`${about.cpu}, ${about.cpus} CPUs, ${about.memory_gib} GiB, Linux ${about.kernel}, load ${about.load_before.toFixed(1)} before; ` +
  `clang ${about.compiler}, commit ${about.commit}; ${about.nginx}, @portkey-ai/gateway ${about.portkey} on Node ${about.node}`);
console.log(`medians of ${settings.rounds} interleaved rounds of ${settings.seconds} s${values.realtime ? ", real-time scheduling" : ""}\n`);
const results = [];
try {
  if (wanted.some((name) => name in measures)) {
    const running = await contestants();
    console.log("| Measure | Target | Measured | Met | |\n|---|---|---|---|---|");
    for (const name of wanted.filter((each) => each in measures)) {
      await sleep(300);
      const rows = await measures[name](running, settings);
      for (const row of rows) {
        results.push({ measure: name, ...row });
        print_row(row);
      }
    }
  }
  for (const [name, run] of Object.entries(programs)) {
    const result = wanted.includes(name) ? run() : undefined;
    if (result) results.push(...[result].flat());
  }
  if (values.json) writeFileSync(values.json, JSON.stringify({ machine: about, settings, results }, null, 2));
} catch (error) {
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 1;
} finally {
  await clean_up();
}
process.exit();
