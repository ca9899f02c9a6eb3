/** What the gateway notices by itself, and whom it tells: webhook, Slack, PagerDuty, Opsgenie, mail. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";

import { start_receiver } from "../fakes/receiver.mjs";
import { start_smtp } from "../fakes/smtp.mjs";
import { start_fakes } from "./support/fakes.mjs";
import { restart_gateway, start_gateway } from "./support/gateway.mjs";
import { make_org, operator, start_governed } from "./support/governed.mjs";
import { run, stop_everything, temp_folder } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

const kSecrets = {
  ASAHI_ALERTS_SLACK_URL: "", // set per test
  ASAHI_ALERTS_WEBHOOK_SECRET: "sign-with-this-secret",
  ASAHI_ALERTS_PAGERDUTY_KEY: "pagerduty-routing-key",
  ASAHI_ALERTS_OPSGENIE_KEY: "opsgenie-api-key",
  ASAHI_ALERTS_SMTP_PASSWORD: "smtp-password-1",
};
/** A gateway that looks often and forgets soon; one failure opens a breaker, for two seconds. */
const kQuick = {
  ASAHI_ALERTS_CHECK_SECONDS: "0.2",
  ASAHI_ALERTS_ANALYSIS_SECONDS: "1",
  ASAHI_ALERTS_RESOLVE_SECONDS: "0.5",
  ASAHI_ALERTS_COOLDOWN_SECONDS: "2",
  ASAHI_ALERTS_TIMEOUT_SECONDS: "2",
  ASAHI_PROVIDERS_BREAKER_FAILURES: "1",
  ASAHI_PROVIDERS_BREAKER_DEGRADED_FAILURES: "1",
  ASAHI_PROVIDERS_BREAKER_OPEN_SECONDS: "2",
  ASAHI_PROVIDERS_MAX_ATTEMPTS: "1",
};

const fakes = await start_fakes();
const slack = await start_receiver();
const webhook = await start_receiver();
const pagerduty = await start_receiver(() => ({ status: 202, body: '{"status":"success"}' }));
const opsgenie = await start_receiver(() => ({ status: 202, body: "{}" }));
const receivers = [slack, webhook, pagerduty, opsgenie];
after(async () => {
  await Promise.all(receivers.map((receiver) => receiver.close()));
  await stop_everything();
});

beforeEach(() => fakes.reset());

const all_channels = {
  ...kSecrets,
  ...kQuick,
  ASAHI_ALERTS_SLACK_URL: `${slack.url}/services/T0/B0/slack-secret-path`,
  ASAHI_ALERTS_WEBHOOK_URL: `${webhook.url}/hook?token=webhook-secret-query`,
  ASAHI_ALERTS_PAGERDUTY_URL: pagerduty.url,
  ASAHI_ALERTS_OPSGENIE_URL: opsgenie.url,
};
function forget() {
  for (const receiver of receivers) {
    receiver.requests = [];
    receiver.faults = [];
  }
}
const alerts_of = async (gateway, query = "") => (await gateway.get(`/alerts${query}`)).body.alerts;
let asked = 0;
/** A question that nobody has asked before. */
const ask = (gateway) => gateway.post("/infer", { prompt: `question number ${++asked}` });
const said = (receiver, kind, event) =>
  receiver.bodies.filter((body) => body.alert?.kind === kind && body.event === event);

test("all vendors down is told at once everywhere, once, and so is its end", async () => {
  forget();
  const gateway = await start_gateway({ fakes, vendors: ["openai"], env: all_channels });
  await fakes.script("*", { kind: "status", status: 500, times: 50 });
  await ask(gateway);
  await until(() => said(webhook, "vendors_down", "alert.triggered").length === 1, { what: "the webhook" });
  await until(() => pagerduty.taken.length === 1 && opsgenie.taken.length === 1, { what: "both on-call services" });

  // While it lasts nobody hears of it again.
  for (let i = 0; i < 5; ++i) await ask(gateway);
  const [active] = await alerts_of(gateway, "?state=active&kind=vendors_down");
  assert.equal(active.severity, "critical");
  assert.equal(active.scope, "installation");
  await fakes.reset();
  await until(async () => (await ask(gateway)).status === 200, { what: "the vendor to answer again", timeout_ms: 10_000 });
  await until(() => said(webhook, "vendors_down", "alert.resolved").length === 1, { what: "the end", timeout_ms: 10_000 });
  await until(() => pagerduty.taken.length === 2 && opsgenie.taken.length === 2, { what: "both to hear of it" });
  assert.equal(said(webhook, "vendors_down", "alert.triggered").length, 1);

  const [trigger, resolve] = pagerduty.bodies;
  assert.deepEqual([trigger.event_action, resolve.event_action], ["trigger", "resolve"]);
  assert.equal(trigger.routing_key, kSecrets.ASAHI_ALERTS_PAGERDUTY_KEY);
  assert.equal(trigger.dedup_key, resolve.dedup_key);
  assert.equal(trigger.payload.severity, "critical");
  assert.equal(pagerduty.taken[0].url, "/v2/enqueue");
  const [open, close] = opsgenie.taken;
  assert.equal(open.headers.authorization, `GenieKey ${kSecrets.ASAHI_ALERTS_OPSGENIE_KEY}`);
  assert.equal(JSON.parse(open.body).priority, "P1");
  assert.equal(close.url, `/v2/alerts/${JSON.parse(open.body).alias}/close?identifierType=alias`);
  assert.ok(slack.bodies.some((body) => body.text.startsWith("CRITICAL: ")));
  assert.ok(slack.bodies.some((body) => body.text.startsWith("Resolved: ")));

  // Medium severities are for Slack and the webhook.
  assert.ok(said(webhook, "breaker_open", "alert.triggered").length >= 1);
  assert.equal(pagerduty.taken.length, 2);
  const resolved = await alerts_of(gateway, "?state=resolved&kind=vendors_down");
  assert.equal(resolved.length, 1);
  assert.ok(resolved[0].resolved_at > resolved[0].fired_at);

  await gateway.stop();
  const printed = gateway.program.stdout + gateway.program.stderr;
  for (const secret of [...Object.values(kSecrets), "slack-secret-path", "webhook-secret-query"])
    if (secret) assert.ok(!printed.includes(secret), "a secret was logged");
});

test("the webhook's signature can be checked", () => {
  for (const { headers, body, url } of webhook.taken) {
    const [, time, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(headers["x-asahi-signature"]);
    const expected = createHmac("sha256", kSecrets.ASAHI_ALERTS_WEBHOOK_SECRET).update(`${time}.${body}`).digest("hex");
    assert.equal(signature, expected);
    assert.ok(Math.abs(Date.now() / 1000 - Number(time)) < 120);
    assert.equal(url, "/hook?token=webhook-secret-query");
  }
  assert.ok(webhook.taken.length >= 4);
});

test("more than ten errors a minute trigger it", async () => {
  forget();
  const gateway = await start_gateway({
    fakes,
    vendors: ["openai"],
    env: { ...all_channels, ASAHI_PROVIDERS_BREAKER_FAILURES: "1000", ASAHI_PROVIDERS_BREAKER_DEGRADED_FAILURES: "1000" },
  });
  await fakes.script("*", { kind: "status", status: 500, times: 100 });
  for (let i = 0; i < 10; ++i) await ask(gateway);
  for (let i = 0; i < 20; ++i) await gateway.post("/infer", { prompt: "" }); // the callers' own fault
  await until(async () => (await gateway.get("/metrics")).body.errors >= 10, { what: "the errors to be counted" });
  // Of this kind: that all requests fail is an anomaly of its own, which may be looked for meanwhile.
  assert.deepEqual(await alerts_of(gateway, "?kind=error_spike"), []);
  await ask(gateway);
  await until(() => said(webhook, "error_spike", "alert.triggered").length === 1, { what: "the alert" });
  const [alert] = await until(async () => {
    const all = await alerts_of(gateway, "?kind=error_spike");
    return all.length && all;
  }, { what: "the list" });
  assert.deepEqual([alert.severity, alert.expected_value], ["high", 10]);
  assert.ok(alert.current_value >= 11);
  assert.equal(pagerduty.requests.length, 0, "high severity wakes nobody");
  await fakes.reset();
  await gateway.stop();
});

test("what comes back within the cool-down is not told again, and afterwards it is", async () => {
  forget();
  const gateway = await start_gateway({
    fakes,
    vendors: ["openai", "anthropic"],
    env: { ...all_channels, ASAHI_ALERTS_COOLDOWN_SECONDS: "12", ASAHI_PROVIDERS_BREAKER_OPEN_SECONDS: "0.5" },
  });
  /** Opens the breaker of one vendor and waits for its alert; closes it and waits for the end. */
  const open_and_close = async () => {
    await fakes.script("openai", { kind: "status", status: 500, times: 1 });
    await gateway.post("/v1/chat/completions", { model: "gpt-4o", messages: [{ role: "user", content: `q${++asked}` }] });
    const mine = "?kind=breaker_open&state=active";
    await until(async () => (await alerts_of(gateway, mine)).length === 1, { what: "the alert" });
    await fakes.reset();
    await until(async () => {
      await gateway.post("/v1/chat/completions", { model: "gpt-4o", messages: [{ role: "user", content: `q${++asked}` }] });
      return (await alerts_of(gateway, mine)).length === 0;
    }, { what: "its end", timeout_ms: 10_000, every_ms: 100 });
  };
  await open_and_close();
  await until(() => said(webhook, "breaker_open", "alert.resolved").length === 1, { what: "the first end" });
  await open_and_close();
  const [alert] = await alerts_of(gateway, "?kind=breaker_open");
  assert.equal(alert.occurrences, 2, "it is the same alert");
  assert.equal(said(webhook, "breaker_open", "alert.triggered").length, 1);
  assert.equal(said(webhook, "breaker_open", "alert.resolved").length, 1, "nobody heard that it was back");
  const first = webhook.taken[0].at;
  await until(() => Date.now() - first > 13_000, { what: "the cool-down to pass", timeout_ms: 20_000 });
  await open_and_close();
  await until(() => said(webhook, "breaker_open", "alert.triggered").length === 2, { what: "another notification" });
  await gateway.stop();
});

test("a channel that fails is tried again, and disturbs neither others nor requests", async () => {
  forget();
  // Slack answers 429 and 500 and cuts the line; PagerDuty never answers in time; the webhook is gone for good.
  slack.faults = [{ status: 429, headers: { "retry-after": "1" } }, { status: 503 }, { kind: "cut" }];
  pagerduty.faults = Array.from({ length: 10 }, () => ({ status: 202, delay_ms: 30_000 }));
  webhook.faults = Array.from({ length: 10 }, () => ({ status: 410 }));
  const gateway = await start_gateway({
    fakes,
    vendors: ["openai"],
    env: { ...all_channels, ASAHI_ALERTS_TIMEOUT_SECONDS: "0.5", ASAHI_ALERTS_MAX_ATTEMPTS: "6" },
  });
  await fakes.script("*", { kind: "status", status: 500, times: 2 });
  await ask(gateway);
  await until(() => opsgenie.taken.length >= 1, { what: "the channel that works" });
  await fakes.reset();
  const start = performance.now();
  await until(async () => (await ask(gateway)).status === 200, { what: "requests to go on", timeout_ms: 10_000 });
  assert.ok(performance.now() - start < 5_000);
  await until(() => slack.taken.length >= 1, { what: "Slack to take it after three faults", timeout_ms: 30_000 });
  const text = (await gateway.get("/metrics?format=prometheus")).text;
  assert.match(text, /asahi_alert_notifications_total\{channel="webhook",outcome="failed"\} [1-9]/);
  assert.match(text, /asahi_alert_notifications_total\{channel="opsgenie",outcome="delivered"\} [1-9]/);
  assert.ok(webhook.requests.every(({ status }) => status === 410));
  const { code } = await gateway.stop();
  assert.equal(code, 0, "a hanging channel does not keep the process");
});

test("POST /alerts/test goes through every channel and says what became of it", async () => {
  forget();
  slack.faults = [{ status: 404 }];
  const smtp = await start_smtp();
  const gateway = await start_gateway({
    fakes,
    env: { ...all_channels, ASAHI_ALERTS_EMAIL_TO: "ops@example.com", ASAHI_ALERTS_SMTP_URL: `smtp://127.0.0.1:${smtp.port}` },
  });
  const { status, body } = await gateway.post("/alerts/test", {});
  assert.equal(status, 200);
  const by_channel = Object.fromEntries(body.results.map((result) => [result.channel, result]));
  assert.deepEqual(Object.keys(by_channel).sort(), ["email", "opsgenie", "pagerduty", "slack", "webhook"]);
  assert.equal(by_channel.slack.delivered, false);
  assert.match(by_channel.slack.error, /404/);
  for (const channel of ["email", "opsgenie", "pagerduty", "webhook"])
    assert.deepEqual([by_channel[channel].delivered, by_channel[channel].error], [true, null], channel);
  assert.deepEqual(
    pagerduty.bodies.map(({ event_action }) => event_action),
    ["trigger", "resolve"],
  );
  assert.equal(webhook.bodies[0].event, "alert.test");
  assert.equal(smtp.messages[0].mail.subject, "[asahi] HIGH: This is a test");
  assert.deepEqual((await gateway.get("/alerts")).body.channels.toSorted(), Object.keys(by_channel).sort());
  assert.deepEqual(await alerts_of(gateway), [], "a test is no alert");
  await gateway.stop();
  await smtp.close();
});

test("mail goes out over STARTTLS with a login, waits for a server that is not ready, and never in the open", async () => {
  const folder = temp_folder("smtp");
  const files = { key: join(folder, "key.pem"), cert: join(folder, "cert.pem") };
  const made = await run("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
    ...["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", files.key, "-out", files.cert],
  ]);
  assert.equal(made.code, 0, made.stderr);
  const login = { user: "mailer", password: kSecrets.ASAHI_ALERTS_SMTP_PASSWORD };
  const tls = { key: readFileSync(files.key), cert: readFileSync(files.cert) };
  const smtp = await start_smtp({ tls, login });
  smtp.refusals = ["451 not now"];
  const env = {
    ...kQuick,
    ASAHI_ALERTS_SMTP_PASSWORD: login.password,
    ASAHI_ALERTS_SMTP_USER: login.user,
    ASAHI_ALERTS_SMTP_URL: `smtp://127.0.0.1:${smtp.port}`,
    ASAHI_ALERTS_SMTP_CA_FILE: files.cert,
    ALERT_EMAIL: "ops@example.com,buero@example.com",
    ASAHI_FROM_EMAIL: "gateway@example.com",
  };
  const gateway = await start_gateway({ fakes, vendors: ["openai"], env });
  await fakes.script("*", { kind: "status", status: 500, times: 5 });
  await ask(gateway);
  await until(() => smtp.messages.length >= 1, { what: "the mail after a refusal", timeout_ms: 15_000 });
  const [message] = smtp.messages;
  assert.equal(message.secure, true);
  assert.equal(message.user, login.user);
  assert.equal(message.from, "gateway@example.com");
  assert.deepEqual(message.recipients, ["ops@example.com", "buero@example.com"]);
  assert.equal(message.mail.subject, "[asahi] CRITICAL: No model vendor can be reached");
  assert.match(message.mail.text, /All 1 configured vendors fail/);
  await fakes.reset();
  await gateway.stop();
  await smtp.close();

  // A server without TLS gets no password.
  const open = await start_smtp({ login });
  const careful = await start_gateway({ fakes, env: { ...env, ASAHI_ALERTS_SMTP_URL: `smtp://127.0.0.1:${open.port}` } });
  const { results } = (await careful.post("/alerts/test", {})).body;
  assert.equal(results[0].delivered, false);
  assert.equal(open.messages.length, 0);
  assert.ok(!JSON.stringify(results).includes(login.password));
  await careful.stop();
  await open.close();
});

test("a mail server that says nothing is given up in time", async () => {
  const smtp = await start_smtp();
  smtp.silent = true;
  const gateway = await start_gateway({
    fakes,
    env: {
      ...kQuick,
      ASAHI_ALERTS_TIMEOUT_SECONDS: "0.5",
      ASAHI_ALERTS_EMAIL_TO: "ops@example.com",
      ASAHI_ALERTS_SMTP_URL: `smtp://127.0.0.1:${smtp.port}`,
    },
  });
  const { body } = await gateway.post("/alerts/test", {});
  assert.equal(body.results[0].delivered, false);
  assert.equal((await gateway.stop()).code, 0);
  await smtp.close();
});

/** Starts the gateway again with its rollups made anew from the table, where a test has put events. */
async function recounted(gateway, options) {
  await gateway.stop();
  await gateway.sqlite(`
    DELETE FROM analytics_rollups;
    DELETE FROM analytics_state WHERE name IN ('folded_day', 'folded_week');
    UPDATE analytics_state SET value = (SELECT COALESCE(MAX(id), 0) FROM inference_events) WHERE name = 'backfill_end';
    UPDATE analytics_state SET value = 0 WHERE name = 'backfill_next'`);
  const again = await restart_gateway(gateway, options);
  await until(() => again.logs().some(({ message }) => message === "rollups hold all events of the table"), { what: "the rollups" });
  return again;
}

test("the daily digest tells of yesterday", async () => {
  const smtp = await start_smtp();
  let gateway = await start_gateway({
    fakes,
    env: { ...kQuick, ASAHI_ALERTS_EMAIL_TO: "ops@example.com", ASAHI_ALERTS_SMTP_URL: `smtp://127.0.0.1:${smtp.port}` },
  });
  await gateway.infer("a question of yesterday");
  await until(async () => (await gateway.sqlite("SELECT 1 FROM inference_events")).length === 1, { what: "the event's row" });
  const yesterday = new Date(Date.now() - 86_400_000).toISOString();
  await gateway.sqlite(`UPDATE inference_events SET timestamp = '${yesterday}', cost = '1.250000000'`);
  gateway = await recounted(gateway, { fakes });
  // The hour has struck: what cron would queue.
  const now = Date.now();
  await gateway.sqlite(
    "INSERT INTO jobs_queue (id, org_id, kind, payload, state, priority, attempt, max_attempts, fence, run_at_ms, due_at_ms, created_at_ms)" +
      ` VALUES ('job_digest', '-', 'gateway.digest', '{}', 'queued', 0, 0, 3, 0, ${now}, ${now}, ${now})`,
  );
  await until(() => smtp.messages.length === 1, { what: "the digest", timeout_ms: 40_000 });
  const { subject, text } = smtp.messages[0].mail;
  assert.equal(subject, `[asahi] ${yesterday.slice(0, 10)}: 1 requests, $1.25`);
  assert.match(text, /^Requests {8}1\r?$/m);
  await gateway.stop();
  await smtp.close();
});

test("an alert survives a restart and ends afterwards", async () => {
  forget();
  const gateway = await start_gateway({ fakes, vendors: ["openai"], env: all_channels });
  await fakes.script("*", { kind: "status", status: 500, times: 50 });
  await ask(gateway);
  await until(() => said(webhook, "vendors_down", "alert.triggered").length === 1, { what: "the alert" });
  await gateway.kill();
  await fakes.reset();
  const again = await restart_gateway(gateway, { fakes, vendors: ["openai"] });
  await until(() => said(webhook, "vendors_down", "alert.resolved").length === 1, { what: "its end", timeout_ms: 10_000 });
  await until(async () => (await alerts_of(again, "?state=active")).length === 0, { what: "an empty list" });
  await again.stop();
});

test("callers see alerts of their own organisation only", async () => {
  let gateway = await start_governed({ fakes, vendors: ["openai"], env: { ...kQuick, ASAHI_ALERTS_COST_SPIKE_MIN_USD: "0" } });
  const acme = await make_org(gateway, "acme");
  const other = await make_org(gateway, "other");
  // Three cheap days, and a dear one.
  for (let day = 0; day < 4; ++day) {
    const time = new Date(Date.now() - day * 86_400_000).toISOString();
    await gateway.sqlite(
      `INSERT INTO inference_events (event_id, request_id, timestamp, org_id, model_selected, event_type, cost, cache_hit) VALUES ('e${day}', 'r', '${time}', 'acme', 'gpt-4o', 'inference', '${day ? 1 : 9}.000000000', 0)`,
    );
  }
  gateway = await recounted(gateway, { fakes, vendors: ["openai"] });
  const [spike] = await until(async () => {
    const { body } = await gateway.get("/alerts?kind=cost_spike", acme);
    return body.alerts.length && body.alerts;
  }, { what: "the cost spike", timeout_ms: 40_000, every_ms: 100 });
  assert.deepEqual([spike.org_id, spike.severity, spike.current_value, spike.expected_value], ["acme", "high", 9, 1]);
  assert.equal(spike.deviation_pct, 800);
  await fakes.script("*", { kind: "status", status: 500, times: 5 });
  await gateway.post("/infer", { prompt: "fails" }, acme);
  await until(async () => (await gateway.get("/alerts?kind=vendors_down", operator)).body.alerts.length === 1, {
    what: "the installation's alert",
  });
  assert.equal((await gateway.get("/alerts?kind=vendors_down", acme)).body.alerts.length, 0);
  assert.deepEqual((await gateway.get("/alerts", other)).body.alerts, []);
  assert.deepEqual((await gateway.get("/alerts", acme)).body.channels, []);

  // Acknowledge and dismiss: one's own, by those who may; others' alerts are not there.
  assert.equal((await gateway.post(`/alerts/${spike.id}/acknowledge`, {}, other)).status, 404);
  const acknowledged = await gateway.post(`/alerts/${spike.id}/acknowledge`, {}, acme);
  assert.equal(acknowledged.status, 200, acknowledged.text);
  assert.match(acknowledged.body.acknowledged_by, /^key:/);
  assert.equal((await gateway.post(`/alerts/${spike.id}/dismiss`, {}, acme)).status, 200);
  assert.deepEqual((await gateway.get("/alerts?kind=cost_spike", acme)).body.alerts, []);
  assert.equal((await gateway.get("/alerts?kind=cost_spike&dismissed=true", acme)).body.alerts.length, 1);
  assert.equal((await gateway.post("/alerts/alt_nothing/dismiss", {}, acme)).body.error, "alert_not_found");
  assert.equal((await gateway.post("/alerts/test", {}, acme)).status, 403);
  for (const bad of ["state=x", "severity=x", "limit=0", "limit=201", "dismissed=maybe"])
    assert.equal((await gateway.get(`/alerts?${bad}`, acme)).status, 400, bad);
  await fakes.reset();
  await gateway.stop();
});
