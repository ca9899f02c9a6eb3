// ./dev bench memory contract: what the memory promises its users while it works. A hundred systems tell memories at a steady rate,
// ageing runs one after the other (hot to warm, warm to cold), and people search meanwhile, at times that are set before:
// a search that waits behind another counts its waiting.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { sleep } from "../lib/system.mjs";
import { end_server, kServer, start_server } from "./server.mjs";

const kSystems = 100;
/** Each system sends so many memories at once, so often: 1,000 memories a second of all. */
const kUpload = 10;
const kUploadEvery = 1000;
const kSearchesPerSecond = 40;
/** Every so many searches ask the cold tier too. */
const kAsksCold = 4;
const kDay = 86_400_000;
/** Ages in days, by thirds: stays hot, goes to warm, goes on to cold. */
const kAges = [[0, 6], [8, 88], [91, 98]];
const kToWarm = ["hot", "warm"];
const kToCold = ["warm", "cold"];
const kPreload = 500; // memories a request
const kLongestWait = 60_000;

/** mulberry32: the same memories in every run. */
function random_from(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Words as unequally frequent as a language's. */
const word = (random) => `w${Math.floor(Math.exp(random() * 10.3))}`;
function sentences(random, number) {
  let out = "";
  while (out.length < 290) out += `${word(random)}${random() < 0.1 ? ". W" : " "}`;
  return `${out}${number}.`;
}

function memory(random, number, system) {
  const [youngest, oldest] = kAges[number % kAges.length];
  const age = (youngest + random() * (oldest - youngest)) * kDay;
  return {
    memory_id: `m${number}`, system_id: `system-${system}`, text: sentences(random, number),
    timestamp: new Date(Date.now() - age).toISOString(), metadata: { project: `p${number % 50}`, source: "bench" },
  };
}

/** One request over a kept-open connection; anything but `expected` is an error. */
function asker(port) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
  const ask = (method, path, body, expected = 200) =>
    new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const request = http.request(
        { port, host: "127.0.0.1", method, path: `/memory${path}`, agent, timeout: kLongestWait,
          headers: text === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(text) } },
        (reply) => {
          let got = "";
          reply.setEncoding("utf8");
          reply.on("data", (part) => (got += part));
          reply.on("end", () =>
            reply.statusCode === expected ? resolve(JSON.parse(got)) : reject(new Error(`${method} ${path}: ${reply.statusCode} ${got.slice(0, 300)}`)));
          reply.on("error", reject);
        });
      request.on("timeout", () => request.destroy(new Error(`${method} ${path}: no answer within ${kLongestWait / 1000} s`)));
      request.on("error", reject);
      request.end(text);
    });
  return { ask, close: () => agent.destroy() };
}

const at_share = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
const kept = (reply) => reply.counts.stored + reply.counts.near_duplicates;

/** Everything that happens, and what went wrong. */
class Contract {
  constructor(port) {
    const { ask, close } = asker(port);
    this.ask = ask;
    this.close = close;
    this.random = random_from(42);
    this.number = 0;
    this.acknowledged = 0;
    this.errors = [];
    this.uploads = [];
    this.searches = [];
    this.partial = 0;
    this.runs = 0;
  }

  async guarded(work) {
    try {
      return await work();
    } catch (error) {
      this.errors.push(error.message);
      return undefined;
    }
  }

  batch(count, system) {
    return { memories: Array.from({ length: count }, () => memory(this.random, ++this.number, system ?? this.number % kSystems)) };
  }

  async preload(count) {
    while (this.number < count) {
      const bodies = Array.from({ length: 4 }, () => this.batch(kPreload));
      const replies = await Promise.all(bodies.map((body) => this.ask("POST", "/memories/batch", body)));
      for (const reply of replies) this.acknowledged += kept(reply);
    }
    // Two of three leave the hot tier, so that there is something for the cold one.
    await this.run_of(kToWarm);
    while ((await this.status()).hot.unlinked > 0) await sleep(100);
  }

  async status() {
    return (await this.ask("GET", "/storage/status")).tiers;
  }

  /** Calls `work` at its times, whether or not those before have ended. */
  async paced(every_ms, offset_ms, until, work) {
    const under_way = [];
    for (let due = performance.now() + offset_ms; due < until; due += every_ms) {
      await sleep(Math.max(0, due - performance.now()));
      under_way.push(this.guarded(() => work(due)));
    }
    await Promise.all(under_way);
  }

  async upload(system, due) {
    const body = this.batch(kUpload, system);
    const reply = await this.ask("POST", "/memories/batch", body);
    this.uploads.push(performance.now() - due);
    this.acknowledged += kept(reply);
    if (kept(reply) !== kUpload) throw new Error(`an upload of ${kUpload} came to ${JSON.stringify(reply.counts)}`);
  }

  async search(due) {
    const nth = this.searches.length;
    const query = Array.from({ length: 4 }, () => word(this.random)).join(" ");
    const tiers = nth % kAsksCold === 0 ? ["hot", "warm", "cold"] : ["hot", "warm"];
    const reply = await this.ask("POST", "/search", { query, tiers, limit: 10, fresh: true });
    this.searches.push(performance.now() - due);
    if (reply.partial) {
      this.partial += 1;
      throw new Error(`a partial answer without ${reply.failed_shards}`);
    }
  }

  /** A run; `until`: what it did by then counts, and it goes on. */
  async run_of([source_tier, target_tier], until = Infinity) {
    let run = await this.ask("POST", "/storage/migrations", { source_tier, target_tier, batch_size: 1000 }, 202);
    while (run.state !== "done" && run.state !== "failed" && performance.now() < until) {
      await sleep(100);
      run = await this.ask("GET", `/storage/migrations/${run.id}`);
    }
    if (run.state === "failed" || run.errors > 0) throw new Error(`the run ${source_tier} to ${target_tier}: ${run.state}, ${run.errors} errors, ${run.error}`);
    return run;
  }

  /** Runs of both steps, one behind the other, until the time is over. */
  async age(until) {
    for (let i = 0; performance.now() < until; i = (i + 1) % 2) {
      await this.run_of([kToCold, kToWarm][i], until);
      this.runs += 1;
    }
  }

  /** Rows by tier when no batch is on its way any more: one that is being moved is in two tiers for a moment. */
  async settled(records) {
    for (let last = null, wait = 0; ; wait += 500) {
      const rows = records(await this.status());
      const all = rows.hot + rows.warm + rows.cold;
      if (all === this.acknowledged || (last === JSON.stringify(rows) && wait > 2000) || wait > kLongestWait) return rows;
      last = JSON.stringify(rows);
      await sleep(500);
    }
  }

  async work(seconds) {
    const until = performance.now() + seconds * 1000;
    const tasks = [this.guarded(() => this.age(until)), this.paced(1000 / kSearchesPerSecond, 0, until, (due) => this.search(due))];
    for (let system = 0; system < kSystems; ++system) {
      tasks.push(this.paced(kUploadEvery, (system * kUploadEvery) / kSystems, until, (due) => this.upload(system, due)));
    }
    await Promise.all(tasks);
  }
}

export async function measure_contract(values) {
  if (!existsSync(kServer)) throw new Error(`${kServer} is missing: run ./dev build first`);
  const folder = mkdtempSync(join(tmpdir(), "asahi-bench-"));
  let running = null;
  let contract = null;
  try {
    running = await start_server(folder);
    contract = new Contract(running.port);
    await contract.preload(Number(values.count));
    const records = (tiers) => Object.fromEntries(Object.entries(tiers).map(([name, tier]) => [name, tier.records]));
    const before = records(await contract.status());
    await contract.work(Number(values.seconds));
    const rows = await contract.settled(records);
    for (const error of contract.errors.slice(0, 5)) process.stderr.write(`contract: ${error}\n`);
    const [searches, uploads] = [contract.searches, contract.uploads].map((all) => all.sort((a, b) => a - b));
    return [{
      kind: "contract", systems: kSystems, seconds: Number(values.seconds), before,
      searches: searches.length, search_p50_ms: at_share(searches, 0.5), search_p99_ms: at_share(searches, 0.99), search_most_ms: at_share(searches, 1),
      uploads: uploads.length, upload_p50_ms: at_share(uploads, 0.5), upload_p99_ms: at_share(uploads, 0.99),
      runs: contract.runs, errors: contract.errors.length, partial: contract.partial, rows,
      acknowledged: contract.acknowledged, missing: contract.acknowledged - rows.hot - rows.warm - rows.cold,
    }];
  } finally {
    contract?.close();
    if (running) await end_server(running.server);
    rmSync(folder, { recursive: true, force: true });
  }
}

export function report_contract([row], { whole, verdict, print_table }) {
  const ms = (value) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
  console.log(`${row.systems} systems, each ${kUpload} memories every ${kUploadEvery / 1000} s; ${kSearchesPerSecond} searches/s; ageing run after run; ${row.seconds} s over ${whole(row.before.hot)} hot and ${whole(row.before.warm)} warm memories`);
  print_table(["Measure", "Goal", "Measured", "Met"], [
    ["searches (hybrid, not from a cache), from the time they were due", "P50 < 500 ms, P99 < 2 s",
      `p50 ${ms(row.search_p50_ms)}, p99 ${ms(row.search_p99_ms)}, longest ${ms(row.search_most_ms)} of ${whole(row.searches)}`, verdict(row.search_p50_ms < 500 && row.search_p99_ms < 2000)],
    ["uploads", "P50 < 500 ms, P99 < 2 s", `p50 ${ms(row.upload_p50_ms)}, p99 ${ms(row.upload_p99_ms)} of ${whole(row.uploads)}`, verdict(row.upload_p50_ms < 500 && row.upload_p99_ms < 2000)],
    ["aged meanwhile", "", `${whole(row.rows.warm + row.rows.cold - row.before.warm)} to warm, ${whole(row.rows.cold)} to cold in ${row.runs} runs`, ""],
    ["errors; partial answers", "0; 0", `${row.errors}; ${row.partial}`, verdict(row.errors === 0 && row.partial === 0)],
    ["rows at the end: hot, warm, cold", "as many as were acknowledged", `${whole(row.rows.hot)}, ${whole(row.rows.warm)}, ${whole(row.rows.cold)}; ${whole(row.acknowledged)} acknowledged`, verdict(row.missing === 0)],
  ]);
}
