/** Metrics that are sent instead of scraped (InfluxDB, Prometheus remote write), and events to Kafka. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { start_receiver } from "../fakes/receiver.mjs";
import { start_fakes } from "./support/fakes.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { brokers_path, start_brokers } from "./support/kafka.mjs";
import { find_program, free_port, Program, stop_everything, temp_folder } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

const fakes = await start_fakes();
after(stop_everything);

/** Series of the line protocol, read as strictly as InfluxDB does: [{measurement, tags, fields, time}]. */
function parse_lines(text) {
  assert.ok(text.endsWith("\n"));
  return text
    .slice(0, -1)
    .split("\n")
    .map((line) => {
      // Split at blanks that no backslash escapes: series, fields, time.
      const parts = line.match(/^((?:\\.|[^\\ ])+) ((?:\\.|[^\\ ])+) (\d+)$/);
      assert.ok(parts, `no line of the protocol: ${line}`);
      const [measurement, ...tags] = parts[1].split(/(?<!\\),/);
      const pairs = tags.map((tag) => tag.split(/(?<!\\)=/));
      for (const pair of pairs) assert.ok(pair.length === 2 && pair[0] && pair[1], line);
      const names = pairs.map(([name]) => name);
      assert.equal(new Set(names).size, names.length, `a tag stands twice: ${line}`);
      const fields = parts[2].split(",").map((field) => {
        const [, name, value] = /^([^=]+)=(-?\d+(?:\.\d+)?(?:e[+-]\d+)?)$/.exec(field) ?? [];
        assert.ok(name, `no float field: ${field}`);
        return [name, Number(value)];
      });
      const unescape = (text) => text.replace(/\\([, =])/g, "$1");
      return {
        measurement,
        tags: Object.fromEntries(pairs.map((pair) => pair.map(unescape))),
        fields: Object.fromEntries(fields),
        time: Number(parts[3]),
      };
    });
}
const sum = (lines, measurement, field) =>
  lines.filter((line) => line.measurement === measurement).reduce((total, line) => total + line.fields[field], 0);

test("InfluxDB 2 gets every series in the line protocol, with the token", async () => {
  const influx = await start_receiver(() => ({ status: 204 }));
  const gateway = await start_gateway({
    fakes,
    env: {
      INFLUX_URL: `${influx.url}/`,
      INFLUX_TOKEN: "influx-token-1",
      INFLUX_ORG: "my org",
      INFLUX_BUCKET: "asahi",
      ASAHI_OBSERVABILITY_COLLECTION_INTERVAL_SECONDS: "1",
    },
  });
  await gateway.infer("one");
  await gateway.infer("two");
  const last = await until(
    () => {
      const request = influx.requests.findLast(({ body }) => body.includes("asahi_requests_total,"));
      const lines = request && parse_lines(request.body.toString());
      return lines && sum(lines, "asahi_requests_total", "counter") === 2 && { ...request, lines };
    },
    { what: "both requests in InfluxDB", timeout_ms: 10_000 },
  );
  assert.equal(last.url, "/api/v2/write?org=my%20org&bucket=asahi&precision=ms");
  assert.equal(last.headers.authorization, "Token influx-token-1");
  for (const { tags, time } of last.lines) {
    assert.match(tags.instance, /^node_/);
    assert.equal(tags.job, "asahi");
    assert.ok(Math.abs(time - Date.now()) < 60_000);
  }
  const latency = last.lines.find(({ measurement }) => measurement === "asahi_request_latency_seconds");
  assert.equal(latency.fields["+Inf"], latency.fields.count);
  assert.ok("0.005" in latency.fields && "10" in latency.fields && "sum" in latency.fields);

  // A last snapshot at the end: what happened since is not lost.
  await gateway.infer("three");
  await gateway.stop();
  const final = parse_lines(influx.requests.at(-1).body.toString());
  assert.equal(sum(final, "asahi_requests_total", "counter"), 3);
  assert.ok(!gateway.program.stdout.includes("influx-token-1"));
  await influx.close();
});

test("InfluxDB 1 is spoken to in its own way, and an outage leaves no gap", async () => {
  const influx = await start_receiver(() => ({ status: 204 }));
  const gateway = await start_gateway({
    fakes,
    env: {
      INFLUX_URL: influx.url,
      INFLUX_TOKEN: "user:pass word",
      INFLUX_DATABASE: "metrics db",
      ASAHI_OBSERVABILITY_COLLECTION_INTERVAL_SECONDS: "1",
    },
  });
  await until(() => influx.requests.length >= 1, { what: "a first snapshot", timeout_ms: 10_000 });
  assert.equal(influx.requests[0].url, "/write?db=metrics%20db&precision=ms");
  const basic = Buffer.from("user:pass word").toString("base64");
  assert.equal(influx.requests[0].headers.authorization, `Basic ${basic}`);
  const before = influx.taken.length;
  influx.faults = [{ status: 503 }, { kind: "cut" }, { status: 429, headers: { "retry-after": "1" } }];
  await until(() => influx.faults.length === 0 && influx.taken.length >= before + 4, {
    what: "the snapshots of the outage",
    timeout_ms: 20_000,
  });
  const times = influx.taken.map(({ body }) => parse_lines(body.toString())[0].time);
  assert.deepEqual(times, times.toSorted((a, b) => a - b));
  for (let i = 1; i < times.length; ++i) assert.ok(times[i] - times[i - 1] < 3_000, "a snapshot is missing");

  // What it refuses for good is dropped and counted.
  influx.faults = [{ status: 400 }];
  await until(async () => /exports_dropped_total\{exporter="influx",reason="refused"\} 1/.test((await gateway.get("/metrics?format=prometheus")).text), {
    what: "the refusal to be counted",
    timeout_ms: 10_000,
  });
  assert.equal((await gateway.infer("requests go on")).cache_hit, false);
  await gateway.stop();
  await influx.close();
});

test("a receiver that hangs or is away disturbs nobody, and what waits is bounded", async () => {
  const influx = await start_receiver(() => ({ status: 204 }));
  influx.faults = Array.from({ length: 100 }, () => ({ status: 204, delay_ms: 60_000 }));
  const gateway = await start_gateway({
    fakes,
    env: {
      INFLUX_URL: influx.url,
      PROM_REMOTE_WRITE_URL: `http://127.0.0.1:${await free_port()}/api/v1/write`,
      ASAHI_OBSERVABILITY_COLLECTION_INTERVAL_SECONDS: "1",
      ASAHI_OBSERVABILITY_EXPORT_TIMEOUT_SECONDS: "0.3",
      ASAHI_OBSERVABILITY_EXPORT_BUFFER_KILOBYTES: "64",
    },
  });
  await until(
    async () => /exports_dropped_total\{exporter="influx",reason="buffer_full"\} [1-9]/.test((await gateway.get("/metrics?format=prometheus")).text),
    { what: "a full buffer", timeout_ms: 60_000, every_ms: 200 },
  );
  for (let i = 0; i < 20; ++i) await gateway.infer(`while it hangs ${i}`);
  const warned = gateway.logs().filter(({ logger, level }) => logger === "exporters" && level === "WARNING");
  assert.equal(warned.length, 2, "one warning for each receiver");
  assert.equal((await gateway.stop()).code, 0);
  await influx.close();
});

test(
  "a real Prometheus takes remote writes",
  { skip: find_program("prometheus") ? false : "prometheus is not installed" },
  async () => {
    const folder = temp_folder("prometheus");
    mkdirSync(join(folder, "data"));
    writeFileSync(join(folder, "prometheus.yml"), "global: {scrape_interval: 1h}\n");
    const port = await free_port();
    const prometheus = new Program(find_program("prometheus"), [
      "--web.enable-remote-write-receiver",
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ]);
    const base = `http://127.0.0.1:${port}`;
    await until(async () => (await fetch(`${base}/-/ready`)).ok, { what: "Prometheus", timeout_ms: 30_000 });
    const gateway = await start_gateway({
      fakes,
      env: {
        PROM_REMOTE_WRITE_URL: `${base}/api/v1/write`,
        PROM_REMOTE_WRITE_TOKEN: "remote-write-token",
        ASAHI_OBSERVABILITY_COLLECTION_INTERVAL_SECONDS: "1",
      },
    });
    for (let i = 0; i < 5; ++i) await gateway.infer(`question ${i % 4}`);
    const query = async (text) =>
      (await (await fetch(`${base}/api/v1/query?${new URLSearchParams({ query: text })}`)).json()).data.result;
    const one = async (text) => Number((await query(text))[0]?.value[1]);
    await until(async () => (await one("sum(asahi_requests_total)")) === 5, { what: "the requests", timeout_ms: 20_000 });
    const [series] = await query("asahi_requests_total");
    assert.match(series.metric.instance, /^node_/);
    assert.equal(series.metric.job, "asahi");
    assert.equal(await one('asahi_cache_hits_total{tier="1"}'), 1);
    assert.equal(await one("sum(asahi_request_latency_seconds_count)"), 5);
    assert.equal(await one('sum(asahi_request_latency_seconds_bucket{le="+Inf"})'), 5);
    assert.ok((await one("histogram_quantile(0.99, sum by (le) (asahi_request_latency_seconds_bucket))")) > 0);
    // Every series of the exposition arrived, with the same labels.
    const { text } = await gateway.get("/metrics?format=prometheus");
    const names = new Set(text.split("\n").filter((line) => line && !line.startsWith("#")).map((line) => /^[\w:]+/.exec(line)[0]));
    assert.ok(names.size > 20, text);
    await until(
      async () => {
        const { data } = await (await fetch(`${base}/api/v1/label/__name__/values`)).json();
        return [...names].every((name) => data.includes(name));
      },
      { what: `all of ${[...names].join(", ")}`, timeout_ms: 10_000 },
    );
    const metadata = await (await fetch(`${base}/api/v1/metadata?metric=asahi_requests_total`)).json();
    if (metadata.data.asahi_requests_total) assert.equal(metadata.data.asahi_requests_total[0].type, "counter");
    assert.match((await gateway.get("/metrics?format=prometheus")).text, /exports_total\{exporter="remote_write",outcome="delivered"\} [1-9]/);
    await gateway.stop();
    assert.ok(!/out of order|error/i.test(prometheus.stderr.match(/level=(warn|error).*/g)?.join("\n") ?? ""), prometheus.stderr);
  },
);

const kafka_missing = brokers_path() ? false : "the mock brokers are not built";
test("Kafka gets every event, keyed by its organisation", { skip: kafka_missing }, async () => {
  const brokers = await start_brokers();
  const gateway = await start_gateway({
    fakes,
    env: { ENABLE_KAFKA: "true", KAFKA_BOOTSTRAP_SERVERS: brokers.bootstrap, KAFKA_TOPIC: "events" },
  });
  for (let i = 0; i < 4; ++i) await gateway.infer(`event ${i % 3}`);
  const messages = await brokers.read("events", 4);
  assert.equal(messages.length, 4);
  const lines = await until(() => gateway.events().length === 4 && gateway.events(), { what: "the log" });
  assert.deepEqual(messages.map(({ value }) => JSON.parse(value)), lines);
  for (const { key } of messages) assert.equal(key, "default");

  // Brokers away: requests go on, the buffer is bounded, what does not fit is counted.
  await brokers.stop();
  for (let i = 0; i < 10; ++i) await gateway.infer(`while away ${i}`);
  await until(async () => /asahi_event_stream_buffered ([1-9]|10)\b/.test((await gateway.get("/metrics?format=prometheus")).text), {
    what: "waiting events",
  });
  await brokers.start();
  assert.equal((await brokers.read("events", 14, 40_000)).length, 14, "what waited arrived");
  await gateway.stop();
});

test("a full buffer for Kafka loses events of the stream and nothing else", { skip: kafka_missing }, async () => {
  const gateway = await start_gateway({
    fakes,
    env: {
      ENABLE_KAFKA: "true",
      KAFKA_BOOTSTRAP_SERVERS: `127.0.0.1:${await free_port()}`,
      ASAHI_TRACKING_KAFKA_BUFFER_EVENTS: "100",
      ASAHI_ALERTS_CHECK_SECONDS: "0.2",
    },
  });
  const replies = await Promise.all(Array.from({ length: 150 }, (_, i) => gateway.infer(`flood ${i}`)));
  assert.equal(replies.length, 150);
  await until(async () => /dropped_total\{reason="buffer_full"\} 50\b/.test((await gateway.get("/metrics?format=prometheus")).text), {
    what: "fifty dropped events",
  });
  assert.equal((await until(() => gateway.events().length === 150 && gateway.events(), { what: "the log" })).length, 150);
  await until(async () => (await gateway.get("/alerts?kind=stream_loss")).body.alerts.length === 1, { what: "the alert" });
  assert.equal((await gateway.stop()).code, 0);
});

test("without Kafka its library is not loaded", async () => {
  const gateway = await start_gateway({ fakes });
  const maps = readFileSync(`/proc/${gateway.pid}/maps`, "utf8");
  for (const library of ["librdkafka", "libcurl", "libsnappy"]) assert.ok(!maps.includes(library), library);
  await gateway.stop();
});
