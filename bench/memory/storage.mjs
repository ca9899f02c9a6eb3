/** Tables of the parts that one program measures: the cold tier's files, near-duplicates, the hot tier's files. */

export function report_cold(rows, { whole, verdict, print_table }) {
  const of = (kind) => rows.find((row) => row.kind === kind);
  const peer = (kind, text) => (of(kind) ? text(of(kind)) : "absent");
  const rate = (row) => `${whole(row.rows_per_cpu_second)}/s, ${row.bytes_per_row.toFixed(0)} bytes a row`;
  const times = (row) => `p50 ${row.p50_ms.toFixed(2)} ms, p99 ${row.p99_ms.toFixed(2)} ms`;
  console.log(`${whole(of("vector").rows)} rows, one thread; rates per second of a core's time`);
  print_table(["Measure", "Goal", "Asahi", "DuckDB", "Met"], [
    ["rows to Parquet: texts, hash, fingerprint (spec 4.2)", "≥ 500,000/s", rate(of("plain")), peer("duckdb_plain", rate), verdict(of("plain").rows_per_cpu_second >= 500_000)],
    ["… and a vector of 384: a byte a number; DuckDB: floats", "", rate(of("full")), peer("duckdb_full", rate), ""],
    ["… texts alone", "", rate(of("text")), peer("duckdb_text", rate), ""],
    ["a vector takes", "≤ 420 bytes", `${of("vector").bytes.toFixed(0)} bytes`,
      of("duckdb_full") ? `${(of("duckdb_full").bytes_per_row - of("duckdb_plain").bytes_per_row).toFixed(0)} bytes` : "absent", verdict(of("vector").bytes <= 420)],
    ["look-up of a whole memory by its key", "≤ 10 ms", times(of("lookup")), peer("duckdb_lookup_parquet", times), verdict(of("lookup").p50_ms <= 10)],
    ["… in a file not looked at before", "≤ 10 ms", times(of("lookup_fresh")), "", verdict(of("lookup_fresh").p50_ms <= 10)],
  ]);
}

export function report_dedup([row], { whole, verdict, print_table }) {
  console.log(`${whole(row.memories)} memories of ${row.mean_bytes} bytes, ${whole(row.probes)} copies changed in seven ways`);
  print_table(["Measure", "Goal", "Measured", "Met"], [
    ["copies of Jaccard index ≥ 0.85 that are found", "≥ 99 %", `${row.found_percent.toFixed(2)} % (by fingerprints alone ${row.found_blind_percent.toFixed(2)} %)`, verdict(row.found_percent >= 99)],
    ["found below 0.85", "< 1 %", `${row.false_percent.toFixed(2)} % (by fingerprints alone ${row.false_blind_percent.toFixed(2)} %)`, verdict(row.false_percent < 1)],
    ["time a memory: fingerprint, search, add", "", `${row.fingerprint_us.toFixed(1)}, ${row.search_us.toFixed(1)}, ${row.add_us.toFixed(1)} µs`, ""],
    ["index", "", `${row.bytes_per_memory} bytes a memory`, ""],
  ]);
}

export function report_space(rows, { whole, verdict, print_table }) {
  const row = rows.find((each) => each.kind === "space");
  console.log(`${whole(row.upserts)} upserts one by one over ${whole(row.over)} of ${whole(row.memories)} memories`);
  print_table(["Measure", "Goal", "Measured", "Met"], [
    ["log ÷ live data, at the end", "≤ 1.3", row.compacted.toFixed(3), verdict(row.compacted <= 1.3)],
    ["… at most, meanwhile", "", row.most.toFixed(3), ""],
    ["… with the checkpoint of words beside it", "", row.with_checkpoint.toFixed(3), ""],
    ["upserts one by one, fsynced, 256 at a time", "", `${whole(row.per_second)}/s; ${row.cpu_us_each} µs of CPU each; ${whole(row.compactions)} compactions`, ""],
  ]);
}
