// ./dev bench memory http: the real server on an empty folder, loaded by bench_memory_http.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { memory } from "../lib/system.mjs";
import { end_server, kBuild, kServer, start_server } from "./server.mjs";

const kLoad = `${kBuild}/bench/bench_memory_http`;

/** Rows of the JSON lines; the last one says how long a start takes with everything there. */
export async function measure_http(values, lines_of) {
  for (const program of [kServer, kLoad]) {
    if (!existsSync(program)) throw new Error(`${program} is missing: run ./dev build first`);
  }
  const folder = values.folder ?? mkdtempSync(join(tmpdir(), "asahi-bench-"));
  let running = null;
  try {
    running = await start_server(folder);
    const rows = await lines_of(kLoad, [
      "--port", String(running.port), "--pid", String(running.server.pid), "--count", values.count, "--rounds", values.rounds,
    ]);
    await end_server(running.server);
    running = await start_server(folder);
    const { now, anonymous } = memory(running.server.pid);
    rows.push({ kind: "start", seconds: running.ready_s, resident_mb: now * 1.048576, own_mb: anonymous * 1.048576 });
    return rows;
  } finally {
    if (running) await end_server(running.server);
    if (!values.folder) rmSync(folder, { recursive: true, force: true });
  }
}

export function report_http(rows, { whole, verdict, print_table }) {
  const of = (kind, connections) => rows.find((row) => row.kind === kind && (connections === undefined || row.connections === connections));
  const [ingest, caught, repeated, filter, started] = ["ingest", "catch_up", "repeated", "filter", "start"].map((kind) => of(kind));
  const alone = of("search", 1);
  const many = of("search", 4);
  const words = of("hybrid", 1);
  const large = ingest.count >= 1_000_000;
  print_table(["Measure", "Goal", "Measured", "Met"], [
    ["ingest over HTTP in batches, fsynced, deduplicated", "≥ 25,000 memories/s",
      `${whole(ingest.per_second)}/s; ${ingest.cpu_us_each} µs of CPU each, ${ingest.unlinked} left to be linked (the load ${ingest.load_cpu_us_each} µs); batch p50 ${ingest.batch_p50_ms} ms, p99 ${ingest.batch_p99_ms} ms${ingest.refusals > 0 ? `; told to wait ${whole(ingest.refusals)} times` : ""}`,
      verdict(ingest.per_second >= 25_000)],
    ["found by the next query", "all", `${ingest.found} of ${ingest.looked}`, verdict(ingest.found === ingest.looked)],
    ["the same texts from another system", "seen, not stored", `${repeated.duplicates} of ${repeated.sent}`, verdict(repeated.duplicates === repeated.sent)],
    ["the graph catches up", "≥ 4,000/s of a core", caught.count > 0 ? `${whole(caught.per_cpu_second)}/s (${whole(caught.count)} in ${caught.seconds} s)` : "had caught up",
      caught.count > 0 ? verdict(caught.per_cpu_second >= 4000) : "yes"],
    ["search, 4 connections", "≥ 4,000/s at recall ≥ 0.99, p99 ≤ 3 ms",
      `${whole(many.per_second)}/s at ${many.recall.toFixed(3)}; p50 ${many.p50_ms} ms, p99 ${many.p99_ms} ms; ${many.cpu_us_each} µs of CPU each (${whole(1e6 / many.cpu_us_each)}/s of a core)`,
      verdict(many.per_second >= 4000 && many.recall >= 0.99 && many.p99_ms <= 3)],
    ["search, one at a time", large ? "p50 ≤ 5 ms, p99 ≤ 25 ms" : "", `p50 ${alone.p50_ms} ms, p99 ${alone.p99_ms} ms`,
      large ? verdict(alone.p50_ms <= 5 && alone.p99_ms <= 25) : ""],
    ["hybrid: three words and a vector, with texts; one at a time", large ? "p50 ≤ 5 ms, p99 ≤ 25 ms" : "", `p50 ${words.p50_ms} ms, p99 ${words.p99_ms} ms`,
      large ? verdict(words.p50_ms <= 5 && words.p99_ms <= 25) : ""],
    ["… 4 connections", "", `${whole(of("hybrid", 4).per_second)}/s; p50 ${of("hybrid", 4).p50_ms} ms, p99 ${of("hybrid", 4).p99_ms} ms`, ""],
    ["search with a filter that 1 % pass", "recall ≥ 0.95", `${filter.recall.toFixed(3)} at ${whole(filter.per_second)}/s; p99 ${filter.p99_ms} ms`, verdict(filter.recall >= 0.95)],
    ["start with all of them, to ready", large ? "≤ 5 s" : "≤ 0.5 s", `${started.seconds.toFixed(2)} s`, verdict(started.seconds <= (large ? 5 : 0.5))],
    ["memory after that start", "", `${whole(started.own_mb)} MB, ${whole((started.own_mb * 1e6) / ingest.count)} bytes a memory; with what it has mapped of the log ${whole(started.resident_mb)} MB`, ""],
  ]);
}
