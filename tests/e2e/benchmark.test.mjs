/** asahi benchmark, tune-thresholds and cache: reports that add up, partial ones after Ctrl-C, and plain words for bad use. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { binary_path, run_asahi, start_gateway } from "./support/gateway.mjs";
import { Program, stop_everything, temp_folder } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

after(stop_everything);

const kSlow = { timeout_ms: 120_000 };
const benchmark = (args, options = {}) => run_asahi(["benchmark", "--mock", ...args], { ...kSlow, ...options });
const json_of = (path) => JSON.parse(readFileSync(path, "utf8"));

test("benchmark --mock prints costs, savings by technique, hits, wrong hits and added latency", async () => {
  const folder = temp_folder("benchmark");
  const { code, stdout, stderr } = await benchmark(["--num_queries", "60"], { folder });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /Saved \$0\.\d{9} = \d+\.\d % of \$0\.\d{9} over 60 compared requests/);
  for (const line of ["exact_cache", "semantic_cache", "step_cache", "single_flight", "token_trimming", "batching", "routing"])
    assert.match(stdout, new RegExp(`^  ${line} +-?\\$0\\.\\d{9}`, "m"), line);
  assert.match(stdout, /WRONG HITS +0\b/);
  assert.match(stdout, /added latency p99 +\d+\.\d+ ms +\d+\.\d+ ms/);
  for (const run of ["baseline", "optimised"])
    for (const count of [10, 60]) assert.match(stderr, new RegExp(`^${run} ${count}/60$`, "m"));
  assert.equal(json_of(join(folder, "data", "baseline_results.json")).requests.length, 60);
  const optimized = json_of(join(folder, "data", "optimized_results.json"));
  assert.equal(optimized.requests.length, 60);
  assert.ok(optimized.requests.some((row) => row.cache_hit));
});

test("the baseline run saves nothing, and the parts of the saving add up to the whole", async () => {
  const folder = temp_folder("benchmark");
  const { code, stdout, stderr } = await benchmark(["--num-queries", "120", "--report", "json"], { folder });
  assert.equal(code, 0, stderr);
  const report = JSON.parse(stdout);
  const { saving, cache } = report;
  assert.equal(saving.compared_requests, 120);
  const parts = Object.values(saving.by_technique_usd).reduce((sum, part) => sum + part, 0);
  assert.ok(Math.abs(parts - saving.saved_usd) < 1e-9, `${parts} and ${saving.saved_usd}`);
  assert.ok(Math.abs(saving.baseline_cost_usd - saving.optimized_cost_usd - saving.saved_usd) < 1e-9);
  assert.ok(saving.saved_percent >= 60, `${saving.saved_percent} %`);
  assert.equal(report.wrong_hits.count, 0, JSON.stringify(report.wrong_hits.list));
  assert.equal(report.wrong_hits.unverified, 0);
  // What was asked byte for byte before is a hit, what is new is none.
  assert.equal(cache.by_novelty.repeated.hits, cache.by_novelty.repeated.requests);
  assert.equal(cache.by_novelty.new.hits, 0);
  for (const row of json_of(join(folder, "data", "baseline_results.json")).requests)
    assert.deepEqual([row.model, row.cache_hit, row.trimmed_tokens], ["gpt-4-turbo", false, 0]);
});

test("the same seed gives the same traffic and the same costs; --repeats 0 leaves no exact hit", async () => {
  const once = async (...args) => JSON.parse((await benchmark(["--num_queries", "40", "--report", "json", ...args])).stdout);
  const [one, two, other] = [await once("--seed", "5"), await once("--seed", "5"), await once("--seed", "6")];
  assert.equal(one.saving.baseline_cost_usd, two.saving.baseline_cost_usd);
  assert.notEqual(one.saving.baseline_cost_usd, other.saving.baseline_cost_usd);
  const fresh = await once("--repeats", "0");
  assert.equal(fresh.cache.by_tier.tier_1.hits, 0);
  assert.equal(fresh.cache.by_novelty.new.requests, 40);
});

test("many at a time: equal requests in flight share a call, and every request is counted once", async () => {
  const { code, stdout, stderr } = await benchmark(["--num_queries", "150", "--repeats", "0.6", "--concurrency", "16", "--report", "json"]);
  assert.equal(code, 0, stderr);
  const report = JSON.parse(stdout);
  assert.equal(report.optimized.requests, 150);
  assert.equal(report.saving.compared_requests, 150);
  assert.equal(report.wrong_hits.count, 0);
});

test("--report csv has four fields a row, --report html is one page that loads nothing", async () => {
  const folder = temp_folder("benchmark");
  const csv = await benchmark(["--num_queries", "10", "--report", "csv"], { folder });
  assert.equal(csv.code, 0, csv.stderr);
  const rows = csv.stdout.trimEnd().split("\r\n");
  assert.equal(rows[0], "section,name,value,unit");
  for (const row of rows) assert.equal(row.split(",").length, 4, row);
  const html = await benchmark(["--num_queries", "10", "--report", "html", "--output", "report/page.html"], { folder });
  assert.equal(html.code, 0, html.stderr);
  assert.equal(html.stdout, "");
  const page = readFileSync(join(folder, "report", "page.html"), "utf8");
  assert.match(page, /^<!doctype html>/);
  assert.match(page, /<svg /);
  assert.doesNotMatch(page, /<script|<link|<img|src=|href=|url\(|@import|https?:/);
});

test("Ctrl-C ends the run with a report of what there is, exit code 1 and no folder left behind", async () => {
  const folder = temp_folder("benchmark");
  const own_temp = join(folder, "tmp");
  mkdirSync(own_temp);
  const program = new Program(binary_path(), ["benchmark", "--mock", "--num_queries", "20000", "--output", "part.txt"], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: "/nonexistent", TMPDIR: own_temp, DATABASE_URL: "sqlite:///asahi.db" },
  });
  await until(() => program.stderr.includes("baseline 20/"), { what: "the first requests", timeout_ms: 60_000 });
  program.child.kill("SIGINT");
  const { code } = await program.ended;
  assert.equal(code, 1, program.stderr);
  assert.match(program.stderr, /stopping after the requests in flight/);
  assert.match(readFileSync(join(folder, "part.txt"), "utf8"), /INTERRUPTED: 0 of 20000 requests were compared/);
  const rows = json_of(join(folder, "data", "baseline_results.json")).requests.length;
  assert.ok(rows >= 20 && rows < 20_000, `${rows} rows`);
  assert.deepEqual(readdirSync(own_temp), []);
});

test("Ctrl-C in the optimised run compares what both runs answered", async () => {
  const folder = temp_folder("benchmark");
  const program = new Program(binary_path(), ["benchmark", "--mock", "--num_queries", "1500", "--report", "json"], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: "/nonexistent", DATABASE_URL: "sqlite:///asahi.db" },
  });
  await until(() => program.stderr.includes("optimised 20/"), { what: "the second run", timeout_ms: 110_000 });
  program.child.kill("SIGTERM");
  const { code } = await program.ended;
  assert.equal(code, 1, program.stderr);
  const report = JSON.parse(program.stdout);
  assert.equal(report.setting.interrupted, true);
  assert.equal(report.baseline.requests, 1500);
  assert.ok(report.saving.compared_requests >= 20 && report.saving.compared_requests < 1500);
  assert.ok(report.saving.saved_usd > 0);
});

test("bad options exit with 2 and say what is allowed", async () => {
  for (const [args, told] of [
    [["--num_queries", "0"], /--num_queries|num_queries/],
    [["--num_queries", "many"], /num_queries/],
    [["--report", "pdf"], /--report/],
    [["--repeats", "1.5"], /--repeats/],
    [["--concurrency", "0"], /--concurrency/],
    [["--baseline", "no-such-model", "--num_queries", "3"], /no model 'no-such-model'.*--baseline/],
    [["--url", "not a url"], /url/i],
  ]) {
    const { code, stdout, stderr } = await benchmark(args);
    assert.equal(code, 2, `${args.join(" ")}: ${stdout}${stderr}`);
    assert.match(stdout + stderr, told, args.join(" "));
  }
});

test("an output that cannot be written is told before anything is asked", async () => {
  const folder = temp_folder("benchmark");
  writeFileSync(join(folder, "file"), "");
  const { code, stderr } = await benchmark(["--num_queries", "10", "--output", "file/report.txt"], { folder });
  assert.equal(code, 1);
  assert.match(stderr, /cannot write file\/report\.txt/);
  assert.doesNotMatch(stderr, /baseline 10/);
  const data = temp_folder("benchmark");
  writeFileSync(join(data, "data"), "");
  const blocked = await benchmark(["--num_queries", "10"], { folder: data });
  assert.equal(blocked.code, 1);
  assert.match(blocked.stderr, /cannot write data\/baseline_results\.json/);
});

test("without --mock and without a vendor key every request fails, is counted, and the exit code is 1", async () => {
  const { code, stdout } = await run_asahi(["benchmark", "--num_queries", "3", "--report", "json"], kSlow);
  assert.equal(code, 1);
  const report = JSON.parse(stdout);
  assert.equal(report.baseline.failures, 3);
  assert.equal(report.saving.compared_requests, 0);
  assert.equal(report.saving.saved_percent, 0);
  assert.match(report.failures[0], /key/i);
});

test("against a running gateway the report says that the cache was not fresh", async () => {
  const gateway = await start_gateway({ env: { ASAHI_MOCK: "true" } });
  const args = ["benchmark", "--url", gateway.url, "--num_queries", "30", "--report", "json"];
  const first = await run_asahi(args, kSlow);
  assert.equal(first.code, 0, first.stderr);
  const report = JSON.parse(first.stdout);
  assert.equal(report.setting.fresh_cache, false);
  assert.equal(report.setting.exact_costs, false);
  assert.ok(report.saving.saved_percent > 60);
  const second = JSON.parse((await run_asahi(args, kSlow)).stdout);
  assert.equal(second.cache.hit_rate, 1);
  assert.equal(second.optimized.cost_usd, 0);
  const parts = Object.values(second.saving.by_technique_usd).reduce((sum, part) => sum + part, 0);
  assert.ok(Math.abs(parts - second.saving.saved_usd) < 1e-9);
  await gateway.stop();
});

test("a running gateway that wants a key gets the one given", async () => {
  const gateway = await start_gateway({
    env: { ASAHI_MOCK: "true", ASAHI_AUTH_API_KEY_REQUIRED: "true" },
  });
  const keys = await run_asahi(["keys", "create", "--org", "acme", "--scopes", "all"], {
    folder: gateway.folder,
    env: { ASAHI_AUTH_API_KEY_REQUIRED: "true" },
  });
  const url = ["--url", gateway.url, "--num_queries", "4", "--report", "json"];
  const without = await run_asahi(["benchmark", ...url], kSlow);
  assert.equal(without.code, 1);
  assert.match(without.stdout + without.stderr, /401|key/i);
  assert.equal(keys.code, 0, keys.stderr);
  const env = { ASAHI_API_KEY: keys.stdout.trim() };
  const allowed = await run_asahi(["benchmark", ...url], { ...kSlow, env });
  assert.equal(allowed.code, 0, allowed.stderr);
  const cleared = await run_asahi(["cache", "clear", "--url", gateway.url], { env });
  assert.equal(cleared.code, 0, cleared.stderr);
  const refused = await run_asahi(["cache", "clear", "--url", gateway.url]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /--api-key/);
  await gateway.stop();
});

test("cache export, expired and clear work on the gateway that runs", async () => {
  const gateway = await start_gateway({ env: { ASAHI_MOCK: "true" } });
  await gateway.infer("What is a cache?");
  await gateway.infer("What is a cup?");
  const at = ["--url", gateway.url];
  const folder = temp_folder("cache");
  const lines = await run_asahi(["cache", "export", ...at, "--include-response"]);
  assert.equal(lines.code, 0, lines.stderr);
  const entries = lines.stdout.trim().split("\n").map(JSON.parse);
  assert.deepEqual(entries.map((entry) => entry.query).sort(), ["What is a cache?", "What is a cup?"]);
  assert.ok(entries.every((entry) => entry.response.length > 0));
  const file = await run_asahi(["cache", "export", ...at, "--format", "json", "--output", "cache.json"], { folder });
  assert.equal(file.code, 0, file.stderr);
  assert.equal(json_of(join(folder, "cache.json")).count, 2);
  const unwritable = await run_asahi(["cache", "export", ...at, "--output", "no/such/folder/cache.json"], { folder });
  assert.equal(unwritable.code, 1);
  const expired = await run_asahi(["cache", "expired", ...at]);
  assert.equal(JSON.parse(expired.stdout).total, 0);
  const cleared = await run_asahi(["cache", "clear", ...at, "--tier", "1"]);
  assert.equal(JSON.parse(cleared.stdout).removed.tier_1, 2);
  for (const args of [["cache"], ["cache", "clear", "--tier", "4"], ["cache", "export", "--format", "xml"]])
    assert.equal((await run_asahi(args)).code, 2, args.join(" "));
  await gateway.stop();
  const gone = await run_asahi(["cache", "clear", ...at]);
  assert.equal(gone.code, 1);
  assert.match(gone.stderr, /asahi cache: /);
});

test("tune-thresholds prints today's and the best threshold per task, and writes them as settings", async () => {
  const folder = temp_folder("tune");
  const rows = [];
  const same = [
    ["How do I reset my password?", "How can I reset my password?"],
    ["What is the capital of France?", "Which city is the capital of France?"],
    ["Where is my invoice?", "Where can I find my invoice?"],
  ];
  const different = [
    ["How do I reset my password?", "How do I bake bread?"],
    ["What is the capital of France?", "Who painted the ceiling of the chapel?"],
    ["Where is my invoice?", "Why is the sky blue?"],
  ];
  for (const [a, b] of same) rows.push({ a, b, same: true, task: "faq" });
  for (const [a, b] of different) rows.push({ query_a: a, query_b: b, label: 0, task: "faq" });
  rows.push({ a: "only", b: "one", same: true, task: "coding" });
  writeFileSync(join(folder, "labels.jsonl"), rows.map((row) => JSON.stringify(row)).join("\n"));
  const args = ["tune-thresholds", "--labels", "labels.jsonl", "--write", "thresholds.yaml"];
  const { code, stdout, stderr } = await run_asahi(args, { folder });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /7 pairs, embedder local-/);
  assert.match(stdout, /^faq +6 +3 +today +0\.7000/m);
  assert.match(stdout, /best +0\.\d{4} +1\.0000 +1\.0000 +1\.0000/);
  assert.match(stdout, /not tuned: pairs of both labels are needed/);
  const yaml = readFileSync(join(folder, "thresholds.yaml"), "utf8");
  assert.match(yaml, /^tasks:\n {2}faq:\n {4}semantic_threshold: 0\.\d{4}\n$/);
  assert.ok(stdout.endsWith(yaml));
  const other = await run_asahi([...args, "--embedder", "mock"], { folder });
  assert.match(other.stdout, /7 pairs, embedder mock-/);
  const configured = await run_asahi(args, { folder, env: { ASAHI_EMBEDDINGS_DIMENSION: "512" } });
  assert.match(configured.stdout, /embedder local-\d+\/512/);
  const missing = await run_asahi([...args, "--embedder", "onnx"], { folder });
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /embeddings\.onnx\.model/);
});

test("tune-thresholds names line, field and rule of bad rows, and what else is wrong", async () => {
  const folder = temp_folder("tune");
  writeFileSync(join(folder, "bad.jsonl"), '{"a": "x", "b": "y", "same": true}\n{"a": "x", "same": "perhaps"}\n');
  const bad = await run_asahi(["tune-thresholds", "--labels", "bad.jsonl"], { folder });
  assert.equal(bad.code, 2);
  assert.match(bad.stderr, /bad\.jsonl:2: b \(or query_b\) is missing/);
  assert.match(bad.stderr, /bad\.jsonl:2: same must be true, false, 1 or 0/);
  const missing = await run_asahi(["tune-thresholds", "--labels", "nothing.jsonl"], { folder });
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /cannot read nothing\.jsonl/);
  assert.equal((await run_asahi(["tune-thresholds"], { folder })).code, 2);
  writeFileSync(join(folder, "one.jsonl"), '{"a": "x", "b": "y", "same": true}\n');
  const single = await run_asahi(["tune-thresholds", "--labels", "one.jsonl"], { folder });
  assert.equal(single.code, 1);
  assert.match(single.stderr, /nothing is tuned/);
});
