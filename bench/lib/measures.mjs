/**
 * What is measured, in the order of the table. A measure takes the running contestants and returns rows
 * {name, target, value, unit, met, detail}. Peers are measured in the same round, one after the other, and compared
 * within it; the median over the rounds is reported.
 */
import { asahi_command, start_asahi, start_governed_asahi } from "./contestants.mjs";
import { cpu_of, free_port, load, memory, move, pinned, reset_peak, sleep, stop } from "./system.mjs";

const kChat = { path: "/v1/chat/completions" };

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function chat_load(contestant, options, cpu = cpu_of.load) {
  const key = contestant.key ? { key: contestant.key } : {};
  return load({ port: contestant.port, ...kChat, "watch-pid": contestant.pid, ...key, ...options }, { headers: contestant.headers, cpu });
}

/**
 * Runs `body` with the vendor on the gateway's CPU. Waking another CPU costs a multiple of what is measured, and the
 * direct call would have fewer of those wake-ups than the call through a gateway: that difference is not the gateway's.
 */
async function beside(upstream, body) {
  move(upstream.server, cpu_of.gateway);
  try {
    return await body();
  } finally {
    move(upstream.server, cpu_of.upstream);
  }
}

/** Rules that cost nothing because they did nothing would be no result. */
function check_counted({ name }, report, { requests, spent_usd }) {
  if (requests >= report.requests && spent_usd > 0) return;
  throw new Error(`${name}: ${report.requests} requests were answered, its budget counted ${requests} and $${spent_usd}`);
}

/** Runs `options` against each contestant, round by round: {name: [report, …]}. The order turns with the rounds. */
async function interleaved(contestants, rounds, options, cpu = cpu_of.load) {
  const reports = Object.fromEntries(contestants.map((c) => [c.name, []]));
  for (let round = 0; round < rounds; ++round) {
    for (let i = 0; i < contestants.length; ++i) {
      const contestant = contestants[(i + round) % contestants.length];
      const visitor = (await contestant.visit?.()) ?? contestant;
      const report = await chat_load(visitor, options, cpu);
      if (report.errors > 0) throw new Error(`${contestant.name}: ${report.errors} errors, the first: ${report.first_error}`);
      if (visitor.used) check_counted(contestant, report, await visitor.used());
      reports[contestant.name].push(report);
    }
  }
  return reports;
}

const rps = (reports) => median(reports.map((r) => r.rps));
const thousands = (value) => Math.round(value).toLocaleString("en-US");

/** Median over rounds of asahi's value against a peer's of the same round. */
function against(reports, peer, value, combine) {
  return median(reports.asahi.map((report, round) => combine(value(report), value(reports[peer][round]))));
}

const ratio = (a, b) => a / b;
const difference = (a, b) => a - b;

function throughput_row(what, name, runs) {
  const detail = `${Math.round(median(runs.map((r) => r.cpu)) * 100)} % of its CPU, p99 ${thousands(median(runs.map((r) => r.latency_us.p99)))} µs`;
  return { name: `${what}, ${name}`, value: rps(runs), unit: "requests/s", detail };
}

function throughput_rows(what, target, reports) {
  const rows = [];
  if (reports.nginx) {
    const value = against(reports, "nginx", (r) => r.rps, ratio);
    rows.push({ name: `${what} ÷ nginx`, target: `≥ ${target}`, value, unit: "×", met: value >= target });
  }
  for (const [name, runs] of Object.entries(reports)) rows.push(throughput_row(what, name, runs));
  if (reports.portkey) rows.push({ name: `${what} ÷ portkey`, value: against(reports, "portkey", (r) => r.rps, ratio), unit: "×" });
  return rows;
}

function latency_rows(what, targets, reports, spread) {
  const rows = [];
  for (const [name, runs] of Object.entries(reports)) {
    if (name === "direct") {
      rows.push({ name: `${what}, direct`, value: median(runs.map((r) => spread(r).p50)), unit: "µs p50", detail: `p99 ${median(runs.map((r) => spread(r).p99)).toFixed(0)} µs` });
      continue;
    }
    const added = (percentile) => median(runs.map((r, round) => difference(spread(r)[percentile], spread(reports.direct[round])[percentile])));
    for (const percentile of ["p50", "p99"]) {
      const target = name === "asahi" ? targets[percentile] : undefined;
      const value = added(percentile);
      rows.push({ name: `${what}, added by ${name}`, value, unit: `µs ${percentile}`, ...(target && { target: `≤ ${target} µs`, met: value <= target }) });
    }
  }
  return rows;
}

/** Every prompt is new: the whole path to the vendor and back. */
async function miss({ all, asahi }, { rounds, seconds }) {
  const reports = await interleaved(all, rounds, { connections: 64, seconds });
  const dropped = await dropped_events(asahi);
  return [...throughput_rows("miss, 64 connections", 0.4, reports), { name: "records lost meanwhile", target: "0", value: dropped, unit: "events", met: dropped === 0 }];
}

/** What keys, limits, budgets, policies and screens cost: the same new prompts with all of them and without, in the same rounds. */
async function governed({ asahi, upstream }, { rounds, seconds }) {
  const strict = await start_governed_asahi(upstream);
  const audited = await start_governed_asahi(upstream, { audited: true });
  const reports = await interleaved([asahi, strict, audited], rounds, { connections: 64, seconds });
  await stop(strict.server);
  await stop(audited.server);
  const against_plain = ({ name }) => median(reports[name].map((run, round) => run.rps / reports.asahi[round].rps));
  const value = against_plain(strict);
  return [
    { name: "governed ÷ plain", target: "≥ 0.90", value, unit: "×", met: value >= 0.9 },
    { name: "governed and audited ÷ plain", value: against_plain(audited), unit: "×" },
    ...Object.entries(reports).map(([name, runs]) => throughput_row("miss, 64 connections", name, runs)),
  ];
}

/** Nothing runs at the same time here, so that vendor and client share the gateway's CPU. */
async function latency({ all, upstream }, { rounds, seconds }) {
  const reports = await beside(upstream, () => interleaved(all, rounds, { connections: 1, seconds }, cpu_of.gateway));
  return latency_rows("one at a time", { p50: 80, p99: 100 }, reports, (r) => r.latency_us);
}

/** Requests come at their time whether earlier ones are answered or not, and waiting counts. */
async function open_loop({ direct, nginx, asahi, upstream }, { rounds, seconds }) {
  const contestants = [direct, nginx, asahi].filter(Boolean);
  const reports = await beside(upstream, () => interleaved(contestants, rounds, { connections: 64, seconds, rate: 5000 }));
  return latency_rows("open loop, 5,000/s", { p99: 250 }, reports, (r) => r.latency_us);
}

/** One prompt again and again: the answer comes from memory; nginx has to ask the vendor, as proxies do. */
async function hit({ nginx, asahi }, { rounds, seconds }) {
  await chat_load(asahi, { connections: 1, requests: 20, "repeat-percent": 100, warmup: 0 });
  const reports = await interleaved([nginx, asahi].filter(Boolean), rounds, { connections: 64, seconds, "repeat-percent": 100 });
  return throughput_rows("exact hit, 64 connections", 0.8, reports);
}

async function first_token({ direct, nginx, asahi, upstream }, { rounds, seconds }) {
  const contestants = [direct, nginx, asahi].filter(Boolean);
  const options = { connections: 1, seconds, chunks: 4, "first-us": 200, "pause-us": 300 };
  const reports = await beside(upstream, () => interleaved(contestants, rounds, options, cpu_of.gateway));
  return latency_rows("first token", { p99: 200 }, reports, (r) => r.first_token_us);
}

/** A thousand answers at once, each of 60 chunks in three seconds; every chunk is looked at. */
async function streams({ upstream }, { rounds }) {
  const asahi = await start_asahi(upstream);
  reset_peak(asahi.pid);
  const options = { connections: 1000, requests: 1000 * Math.max(2, rounds), warmup: 0, chunks: 60, "first-us": 50_000, "pause-us": 50_000 };
  const report = await chat_load(asahi, options);
  const { peak } = memory(asahi.pid);
  await stop(asahi.server);
  const wanted = options.requests * options.chunks;
  return [
    { name: "1,000 parallel streams, chunks lost", target: "0", value: report.lost_chunks, unit: "chunks", met: report.lost_chunks === 0 && report.errors === 0 && report.chunks === wanted,
      detail: report.errors > 0 ? report.first_error : `${thousands(report.chunks)} received, ${Math.round(report.cpu * 100)} % CPU` },
    { name: "1,000 parallel streams, memory", target: "≤ 256 MiB", value: peak, unit: "MiB peak", met: peak <= 256 },
  ];
}

async function idle({ upstream }) {
  const asahi = await start_asahi(upstream);
  await sleep(2000);
  const { now, anonymous } = memory(asahi.pid);
  await stop(asahi.server);
  return [{ name: "idle memory", target: "≤ 20 MiB", value: now, unit: "MiB resident", met: now <= 20, detail: `${anonymous.toFixed(1)} MiB of it anonymous` }];
}

/** From exec to the first 200 of /health/ready, on an empty data folder: the schema is made on the way. */
async function ready({ upstream }, { rounds }) {
  const times = [];
  for (let i = 0; i < Math.max(5, rounds); ++i) {
    const port = await free_port();
    const report = await load({ port }, { command: pinned(cpu_of.gateway, asahi_command(upstream, port)) });
    if (!report.ready) throw new Error("asahi did not become ready within 30 s");
    times.push(report.ready_ms);
  }
  const value = median(times);
  return [{ name: "ready after start", target: "≤ 200 ms", value, unit: "ms", met: value <= 200, detail: `${Math.min(...times).toFixed(0)} to ${Math.max(...times).toFixed(0)} ms` }];
}

async function dropped_events({ port }) {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(text.match(/"events_dropped":(\d+)/)[1]);
}

/** Half hits, half misses, after the caches are full. Memory is read once the records are written. */
async function growth({ upstream }, { long }) {
  const asahi = await start_asahi(upstream);
  const mixed = (requests) => chat_load(asahi, { connections: 64, requests, warmup: 0, "repeat-percent": 50, pool: 1000 });
  const settled = async () => {
    await sleep(1500);
    return memory(asahi.pid).now;
  };
  // Warm when another 100,000 requests added next to nothing: caches are full, the allocator has its reserves.
  let before = 0;
  for (let round = 0; round < 12; ++round) {
    await mixed(100_000);
    const now = await settled();
    if (now - before < 0.3) break;
    before = now;
  }
  before = await settled();
  const requests = long ? 1_000_000 : 200_000;
  const report = await mixed(requests);
  const after = await settled();
  const dropped = await dropped_events(asahi);
  await stop(asahi.server);
  const value = ((after - before) * 1_000_000) / requests;
  return [
    { name: "growth per million requests", target: "< 1 MiB", value, unit: "MiB", met: value < 1 && report.errors === 0,
      detail: `${before.toFixed(1)} → ${after.toFixed(1)} MiB over ${thousands(requests)} requests at ${thousands(report.rps)}/s, ${dropped} events dropped` },
  ];
}

export const measures = { miss, governed, latency, open: open_loop, hit, ttft: first_token, streams, idle, ready, growth };
