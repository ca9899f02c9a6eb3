/**
 * A real Prometheus scrapes a real server under load, with the rules of deploy/ in quicker steps: it sees an alert begin and
 * end, and a real Alertmanager sends it where deploy/ says. Every series that rules and dashboards name is there.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { start_fakes } from "./support/fakes.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { Program, find_program, free_port, run, stop_everything, temp_folder } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const prometheus_program = find_program("prometheus");
const alertmanager_program = find_program("prometheus-alertmanager") ?? find_program("alertmanager");
const skip = prometheus_program && alertmanager_program ? false : "prometheus and prometheus-alertmanager are not installed";

let gateway, fakes, metrics_port, prometheus, received, hooks;
let loading = true;
let load = Promise.resolve();

/** What took minutes takes seconds; nothing else is changed. */
const quick = (text) =>
  text
    .replace(/for: \d+[mh]\b/g, "for: 1s")
    .replace(/\[(1|2|5)m\]/g, "[10s]")
    .replace(/group_(wait|interval): \S+/g, "group_$1: 1s")
    .replace(/resolve_timeout: \S+/, "resolve_timeout: 5s");

before(async () => {
  if (skip) return;
  fakes = await start_fakes();
  metrics_port = await free_port();
  gateway = await start_gateway({
    fakes,
    env: {
      ASAHI_OBSERVABILITY_PROMETHEUS_PORT: String(metrics_port),
      ASAHI_PROVIDERS_MAX_ATTEMPTS: "1",
      ASAHI_PROVIDERS_BREAKER_FAILURES: "3",
      ASAHI_PROVIDERS_BREAKER_OPEN_SECONDS: "1",
    },
  });

  // Where alerts arrive: one path per receiver of deploy/alertmanager.
  received = [];
  hooks = createServer((request, response) => {
    let body = "";
    request.on("data", (piece) => (body += piece));
    request.on("end", () => {
      for (const alert of JSON.parse(body).alerts)
        received.push({ receiver: request.url.slice(1), status: alert.status, name: alert.labels.alertname, labels: alert.labels });
      response.end();
    });
  }).listen(0, "127.0.0.1");
  await new Promise((done) => hooks.once("listening", done));

  const folder = temp_folder("prometheus");
  const own_port = await free_port();
  const alert_port = await free_port();
  const receivers = ["pagerduty", "slack-alerts", "slack-ops", "mail-digest"]
    .map((name) => `  - name: ${name}\n    webhook_configs: [{url: "http://127.0.0.1:${hooks.address().port}/${name}"}]\n`)
    .join("");
  const routes = quick(readFileSync(join(root, "deploy/alertmanager/alertmanager.yml"), "utf8"))
    .replace(/receivers:[^]*$/, `receivers:\n${receivers}`)
    .replace(/^  (slack|smtp)_.*\n/gm, "");
  writeFileSync(join(folder, "alertmanager.yml"), routes);
  for (const rules of ["asahi.rules.yml", "akosha.rules.yml"])
    writeFileSync(join(folder, rules), quick(readFileSync(join(root, "deploy/prometheus", rules), "utf8")));
  const config = readFileSync(join(root, "deploy/prometheus/prometheus.yml"), "utf8")
    .replace("scrape_interval: 15s", "scrape_interval: 500ms")
    .replace("scrape_timeout: 10s", "scrape_timeout: 500ms")
    .replace("evaluation_interval: 15s", "evaluation_interval: 500ms")
    .replace("alertmanager:9093", `127.0.0.1:${alert_port}`)
    .replace("asahi:9090", `127.0.0.1:${metrics_port}`)
    .replace("localhost:9090", `127.0.0.1:${own_port}`);
  writeFileSync(join(folder, "prometheus.yml"), config);

  const alertmanager = new Program(alertmanager_program, [
    `--config.file=${join(folder, "alertmanager.yml")}`,
    `--storage.path=${join(folder, "alerts")}`,
    `--web.listen-address=127.0.0.1:${alert_port}`,
    "--cluster.listen-address=",
  ]);
  const server = new Program(prometheus_program, [
    `--config.file=${join(folder, "prometheus.yml")}`,
    `--storage.tsdb.path=${join(folder, "data")}`,
    `--web.listen-address=127.0.0.1:${own_port}`,
    "--rules.alert.resend-delay=1s",
  ]);
  prometheus = async (path) => {
    const response = await fetch(`http://127.0.0.1:${own_port}${path}`);
    const body = await response.json();
    assert.equal(body.status, "success", `${path}: ${JSON.stringify(body)}`);
    return body.data;
  };
  await until(
    async () => {
      assert.ok(!server.end && !alertmanager.end, `${server.stderr.slice(-500)}${alertmanager.stderr.slice(-500)}`);
      return (await prometheus("/api/v1/targets?state=active")).activeTargets.some(
        ({ labels, health }) => labels.job === "asahi" && health === "up",
      );
    },
    { what: "Prometheus to reach the gateway", timeout_ms: 60_000, every_ms: 200 },
  );

  const more = async (worker) => {
    for (let i = 0; loading; ++i)
      await gateway.post("/infer", { prompt: `[[answer:5]] question ${worker} ${i % 3 === 0 ? "again" : i}` });
  };
  load = Promise.all([more("a"), more("b"), more("c")]);
});
after(async () => {
  loading = false;
  await load.catch(() => {});
  hooks?.close();
  await stop_everything();
});

const query = async (text) => (await prometheus(`/api/v1/query?query=${encodeURIComponent(text)}`)).result;
const alerts = async () => (await prometheus("/api/v1/alerts")).alerts;
const firing = async (name) => (await alerts()).find(({ labels, state }) => labels.alertname === name && state === "firing");

test("records and series are there under load", { skip }, async () => {
  for (const text of ["asahi:requests:rate5m > 0", "asahi:request_latency_seconds:p95_5m > 0", "asahi:error_ratio:rate5m == 0", "asahi:cache_hit_ratio:1h > 0"])
    await until(async () => (await query(text)).length === 1, { what: text, timeout_ms: 40_000, every_ms: 300 });
  const page = await (await fetch(`http://127.0.0.1:${metrics_port}/metrics`)).text();
  const file = join(temp_folder("exposition"), "metrics.txt");
  writeFileSync(file, page);
  const checked = await run("python3", [join(root, "scripts/check_monitoring.py"), "exposition", file]);
  assert.equal(checked.code, 0, checked.stdout + checked.stderr);
});

test("Prometheus answers every query of every dashboard", { skip }, async () => {
  let asked = 0;
  const empty = [];
  const folder = join(root, "deploy/grafana");
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".json"))) {
    for (const panel of JSON.parse(readFileSync(join(folder, name), "utf8")).panels) {
      for (const target of panel.targets) {
        const text = target.expr
          .replaceAll("$__rate_interval", "10s")
          .replaceAll("$job", ".*")
          .replaceAll("$instance", ".*");
        ++asked;
        if ((await query(text)).length === 0) empty.push(`${name}: ${panel.title}`);
      }
    }
  }
  assert.ok(asked > 80, `only ${asked} queries`);
  for (const title of ["Requests per second", "Failed", "p95", "Cost today", "Saved today", "Requests", "Time of a request"])
    assert.ok(!empty.includes(`overview.json: ${title}`), `nothing to see in ${title}; empty: ${empty.join(", ")}`);
});

test("an alert begins with a vendor's failure, reaches its channel, and ends", { skip }, async () => {
  assert.equal(await firing("AsahiBreakerOpen"), undefined);
  await fakes.script("openai", { kind: "status", status: 500, times: "forever" });
  const alert = await until(() => firing("AsahiBreakerOpen"), { what: "AsahiBreakerOpen to fire", timeout_ms: 60_000, every_ms: 200 });
  assert.deepEqual([alert.labels.provider, alert.labels.severity], ["openai", "medium"]);
  assert.match(alert.annotations.summary, /openai is not called/);
  await until(() => received.some(({ receiver, name, status }) => receiver === "slack-ops" && name === "AsahiBreakerOpen" && status === "firing"), {
    what: "the alert to reach #asahi-ops",
    timeout_ms: 30_000,
    every_ms: 100,
  });

  await fakes.reset();
  await until(async () => !(await firing("AsahiBreakerOpen")), { what: "AsahiBreakerOpen to end", timeout_ms: 60_000, every_ms: 200 });
  await until(() => received.some(({ receiver, name, status }) => receiver === "slack-ops" && name === "AsahiBreakerOpen" && status === "resolved"), {
    what: "the end to reach #asahi-ops",
    timeout_ms: 30_000,
    every_ms: 100,
  });
});

test("a server that is gone is critical, and silences its other alerts", { skip }, async () => {
  loading = false;
  await load.catch(() => {});
  await gateway.kill();
  await until(() => firing("AsahiDown"), { what: "AsahiDown to fire", timeout_ms: 60_000, every_ms: 200 });
  await until(() => received.some(({ receiver, name }) => receiver === "pagerduty" && name === "AsahiDown"), {
    what: "the alert to reach PagerDuty",
    timeout_ms: 30_000,
    every_ms: 100,
  });
  assert.ok(received.every(({ receiver, labels }) => receiver !== "pagerduty" || labels.severity === "critical"));
});
