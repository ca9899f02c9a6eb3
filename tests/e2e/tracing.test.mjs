/** Traces: W3C context in and out, OTLP export, the last calls, the live stream; reports of faults. Faults of collectors. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { start_fakes } from "./support/fakes.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { bearer, make_key, start_governed } from "./support/governed.mjs";
import { free_port, stop_everything, temp_folder } from "./support/processes.mjs";
import { sse_frames } from "./support/sse.mjs";
import { attributes, check_otlp, start_sink } from "./support/telemetry.mjs";
import { timed, until, within } from "./support/wait.mjs";

const kTrace = "4bf92f3577b34da6a3ce929d0e0e4736";
const kParent = `00-${kTrace}-00f067aa0ba902b7-01`;

const fakes = await start_fakes();
const collector = await start_sink();
const tracker = await start_sink();
const kExport = { ASAHI_OBSERVABILITY_OTLP_INTERVAL_MS: "50", OTEL_TRACES_SAMPLER: "always_on" };
const gateway = await start_gateway({
  fakes,
  env: {
    ...kExport,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_HEADERS: "x-tenant=a%20b",
    OTEL_SERVICE_NAME: "gateway-under-test",
    OTEL_RESOURCE_ATTRIBUTES: "team=core",
    LOG_LEVEL: "DEBUG",
  },
});
after(async () => {
  await stop_everything();
  await collector.close();
  await tracker.close();
});

const spans_of = (request_id, sink = collector) =>
  until(() => { const spans = sink.spans_of(request_id); return spans.length > 0 && spans; }, { what: `the spans of ${request_id}` });

describe("a call's trace", () => {
  let reply, spans;
  before(async () => {
    reply = await gateway.infer("What is a trace?", { traceparent: kParent, tracestate: "congo=t61" });
    spans = await spans_of(reply.request_id);
  });

  test("is an OTLP request in every member", () => {
    for (const request of collector.requests) check_otlp(request);
    assert.equal(collector.requests[0].headers["x-tenant"], "a b");
    const { resource } = JSON.parse(collector.requests[0].body).resourceSpans[0];
    const said = attributes(resource);
    assert.equal(said["service.name"], "gateway-under-test");
    assert.equal(said.team, "core");
    assert.equal(said["telemetry.sdk.language"], "cpp");
  });

  test("goes on with the caller's, and vendors with its attempt's", async () => {
    const root = spans.find(({ kind }) => kind === 2);
    assert.equal(root.traceId, kTrace);
    assert.equal(root.parentSpanId, "00f067aa0ba902b7");
    const attempt = spans.find(({ kind }) => kind === 3);
    const [sent] = await fakes.requests({ contains: "What is a trace?" });
    assert.equal(sent.headers.traceparent, `00-${kTrace}-${attempt.spanId}-01`);
    assert.equal(sent.headers.tracestate, "congo=t61");
  });

  test("has a span per stage, inside each other, with what is worth knowing", () => {
    const names = spans.map(({ name }) => name);
    for (const name of ["POST /infer", "receive", "parse", "policy", "screen", "cache.exact", "routing", "budget", "dispatch", "quality", "store", "reply"])
      assert.ok(names.includes(name), `${name} in ${names}`);
    const root = attributes(spans.find(({ kind }) => kind === 2));
    assert.equal(root["gen_ai.response.model"], reply.model_used);
    assert.equal(root["asahi.cost_usd"].toFixed(6), reply.cost.toFixed(6));
    assert.equal(root["gen_ai.usage.input_tokens"], reply.tokens_input);
    assert.equal(root["asahi.cache.hit"], false);
    const by_id = new Map(spans.map((span) => [span.spanId, span]));
    for (const span of spans) {
      const parent = by_id.get(span.parentSpanId);
      if (!parent) continue;
      assert.ok(BigInt(span.startTimeUnixNano) >= BigInt(parent.startTimeUnixNano), span.name);
      assert.ok(BigInt(span.endTimeUnixNano) <= BigInt(parent.endTimeUnixNano), span.name);
    }
  });

  test("holds nothing of the prompt or the answer", () => {
    const text = collector.requests.map(({ body }) => body).join();
    assert.doesNotMatch(text, /What is a trace/);
    assert.ok(reply.response.length > 5 && !text.includes(reply.response));
  });

  test("is in the log of requests and in the event", async () => {
    const line = await until(() => gateway.logs().find((one) => one.message === "request" && one.request_id === reply.request_id), { what: "the line" });
    for (const field of ["timestamp", "level", "logger", "message", "request_id", "trace_id", "org_id", "user_id", "key_prefix", "method", "path", "status", "latency_ms", "cache_hit", "cache_tier", "model_used", "provider", "routing_mode", "cost", "task_type", "error", "retry", "dependency"])
      assert.ok(field in line, `${field} in ${JSON.stringify(line)}`);
    assert.equal(line.trace_id, kTrace);
    assert.equal(line.status, 200);
    assert.equal(line.model_used, reply.model_used);
    const event = await until(() => gateway.events().find((one) => one.request_id === reply.request_id), { what: "the event" });
    assert.equal(event.trace_id, kTrace);
  });
});

test("failover, streams and errors are told as they went", async () => {
  await fakes.script("openai", { kind: "status", status: 500, times: 3 });
  const failed_over = await gateway.infer({ prompt: "Who goes on?", model: "gpt-4o-mini", allow_fallback: true, fallback_models: ["claude-3-5-haiku"] });
  const attempts = (await spans_of(failed_over.request_id)).filter(({ kind }) => kind === 3);
  assert.ok(attempts.length >= 2, `${attempts.length} attempts`);
  assert.equal(attempts[0].status.code, 2);
  assert.equal(attributes(attempts[0])["http.response.status_code"], 500);
  assert.equal(attempts.at(-1).status.code, undefined);
  await fakes.reset();

  const streamed = await gateway.stream("/v1/chat/completions", { model: "gpt-4o-mini", stream: true, messages: [{ role: "user", content: "Stream it" }] });
  await streamed.text();
  const told = await spans_of(streamed.headers.get("x-request-id"));
  assert.ok(told.some(({ name }) => name === "stream"));
  assert.ok(attributes(told.find(({ kind }) => kind === 3))["asahi.time_to_first_event_ms"] >= 0);

  const wrong = await gateway.post("/infer", { prompt: 7 });
  assert.equal(wrong.status, 400);
  const refused = await spans_of(wrong.body.request_id);
  const root = refused.find(({ kind }) => kind === 2);
  assert.equal(attributes(root)["http.response.status_code"], 400);
  assert.equal(attributes(root)["error.type"], "invalid_argument");
  for (const request of collector.requests) check_otlp(request);
});

describe("the last calls", () => {
  test("are listed, filtered and shown as trees", async () => {
    const reply = await gateway.infer("Shown as a tree");
    const trace = await until(async () => { const { status, body } = await gateway.get(`/traces/${reply.request_id}`); return status === 200 && body; }, { what: "the trace" });
    assert.equal(trace.request_id, reply.request_id);
    assert.equal(trace.root.stage, "request");
    const dispatch = trace.root.children.find(({ stage }) => stage === "dispatch");
    assert.equal(dispatch.children[0].stage, "attempt");
    assert.ok(dispatch.children[0].offset_ms >= dispatch.offset_ms);
    assert.equal((await gateway.get(`/traces/${trace.trace_id}`)).body.request_id, reply.request_id);

    const page = (await gateway.get("/traces?limit=2")).body;
    assert.equal(page.traces.length, 2);
    assert.ok(page.next_cursor);
    const next = (await gateway.get(`/traces?limit=2&cursor=${page.next_cursor}`)).body;
    assert.ok(!next.traces.some(({ request_id }) => page.traces.some((one) => one.request_id === request_id)));
    const errors = (await gateway.get("/traces?status=error")).body.traces;
    assert.ok(errors.length > 0 && errors.every(({ status }) => status === "error"));
    assert.equal((await gateway.get("/traces/req_unknown")).status, 404);
    assert.equal((await gateway.get("/traces?limit=0")).status, 400);
  });

  test("come live, and a stream that is taken up again goes on where it was", async () => {
    const abort = new AbortController();
    const live = await fetch(`${gateway.url}/traces/live`, { signal: abort.signal });
    assert.match(live.headers.get("content-type"), /^text\/event-stream/);
    const reply = await gateway.infer("Seen live");
    await within(10_000, "the live trace", (async () => {
      for await (const { event, data } of sse_frames(live)) {
        if (event === "trace" && JSON.parse(data).request_id === reply.request_id) return;
      }
      throw new Error("the stream ended");
    })());
    abort.abort();
  });
});

describe("with credentials", () => {
  let governed, mine, theirs;
  before(async () => {
    governed = await start_governed({ fakes });
    mine = await make_key(governed, "acme");
    theirs = await make_key(governed, "other", { scopes: ["analytics", "infer"] });
  });

  test("an organisation sees its own calls only, with the scope for it", async () => {
    const reply = await governed.infer("mine", bearer(mine));
    await until(async () => (await governed.get(`/traces/${reply.request_id}`, bearer(mine))).status === 200, { what: "the trace" });
    assert.equal((await governed.get(`/traces/${reply.request_id}`, bearer(theirs))).status, 404);
    assert.equal((await governed.get("/traces", bearer(theirs))).body.count, 0);
    assert.equal((await governed.get("/traces")).status, 401);
    const blind = await make_key(governed, "acme", { scopes: ["infer"] });
    assert.equal((await governed.get("/traces", bearer(blind))).status, 403);
    assert.equal((await governed.get("/traces/live", bearer(blind))).status, 403);
  });

  test("a live stream takes an access token from its query, and no API key", async () => {
    const secret = await make_key(governed, "acme", { scopes: ["analytics"] });
    const grant = await fetch(`${governed.url}/oauth/token`, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ grant_type: "client_credentials", client_id: secret.slice(0, 12), client_secret: secret }),
    });
    assert.equal(grant.status, 200, await grant.clone().text());
    const { access_token } = await grant.json();
    const abort = new AbortController();
    const live = await fetch(`${governed.url}/traces/live?token=${access_token}`, { signal: abort.signal });
    assert.equal(live.status, 200);
    abort.abort();
    assert.equal((await fetch(`${governed.url}/traces/live?token=${secret}`)).status, 401);
    assert.equal((await fetch(`${governed.url}/traces/live?token=a.b.c`)).status, 401);
    assert.equal((await fetch(`${governed.url}/traces?token=${access_token}`)).status, 401, "live streams only");
    assert.ok(!governed.program.stdout.includes(access_token), "it stays out of the log");
  });
});

describe("a collector", () => {
  const answers = async (one, count = 5) => {
    const { ms } = await timed(async () => {
      for (let i = 0; i < count; ++i) await one.infer(`still answering ${i} ${Math.random()}`);
    });
    return ms / count;
  };

  test("that is busy gets the same spans again", async () => {
    const sink = await start_sink();
    sink.script = [{ status: 429, headers: { "retry-after": "1" } }, 503];
    const one = await start_gateway({ fakes, env: { ...kExport, OTEL_EXPORTER_OTLP_ENDPOINT: sink.url } });
    const reply = await one.infer("again");
    await until(() => sink.requests.length >= 3, { what: "three attempts", timeout_ms: 15_000 });
    assert.equal(sink.requests[0].body, sink.requests[2].body);
    assert.ok(sink.spans_of(reply.request_id).length > 0);
    await until(async () => (await one.get("/metrics?format=prometheus")).text.includes('asahi_telemetry_sent_total{sink="otlp"} 1'), { what: "the counter" });
    await one.stop();
    await sink.close();
  });

  test("that is slow, refuses or is not there slows nobody down, and what is lost is counted", async () => {
    const slow = await start_sink();
    slow.delay_ms = 5_000;
    const broken = await start_sink();
    broken.script = Array(1_000).fill(400);
    const nobody = `http://127.0.0.1:${await free_port()}`;
    for (const url of [slow.url, broken.url, nobody]) {
      const one = await start_gateway({ fakes, env: { ...kExport, OTEL_EXPORTER_OTLP_ENDPOINT: url, ASAHI_OBSERVABILITY_OTLP_MAX_QUEUE: "16", SENTRY_DSN: `${url.replace("//", "//key@")}/1` } });
      assert.ok((await answers(one)) < 1_000, "a call takes as long as ever");
      if (url === broken.url)
        await until(async () => /asahi_telemetry_dropped_total\{[^}]*not_taken[^}]*\} [1-9]/.test((await one.get("/metrics?format=prometheus")).text), { what: "the drops to be counted" });
      const { ms, result } = await timed(() => one.stop(20_000));
      assert.equal(result.code, 0);
      assert.ok(ms < 15_000, `stopped after ${ms} ms`);
    }
    await slow.close();
    await broken.close();
  });
});

test("a fault of our own is reported, a vendor's is not", async () => {
  const folder = temp_folder("gateway");
  mkdirSync(join(folder, "config"));
  const models = join(folder, "config", "models.yaml");
  copyFileSync(fileURLToPath(new URL("../../config/models.yaml", import.meta.url)), models);
  const one = await start_gateway({
    fakes,
    folder,
    env: {
      SENTRY_DSN: `${tracker.url.replace("//", "//public@")}/7`,
      SENTRY_RELEASE: "r1",
      ASAHI_OBSERVABILITY_SENTRY_SAMPLE_RATE: "1",
      ASAHI_PROVIDERS_MAX_ATTEMPTS: "1",
    },
  });
  await fakes.script("*", { kind: "status", status: 500, times: 20 });
  assert.equal((await one.post("/infer", { prompt: "vendor's fault" })).status, 503);
  await fakes.reset();
  // Models that cannot be read are an error line of the log.
  writeFileSync(models, "models: [1]\n");
  process.kill(one.pid, "SIGHUP");
  await until(() => tracker.requests.length > 0, { what: "the report", timeout_ms: 10_000 });
  const [{ path, headers }] = tracker.requests;
  assert.equal(path, "/api/7/envelope/");
  assert.match(headers["x-sentry-auth"], /^Sentry sentry_version=7, .*sentry_key=public$/);
  const [event] = tracker.events();
  assert.equal(event.release, "r1");
  assert.equal(event.environment, "development");
  assert.equal(event.level, "error");
  assert.match(event.event_id, /^[0-9a-f]{32}$/);
  assert.match(event.exception.values[0].type, /models file/);
  await one.stop();
  assert.equal(tracker.requests.length, 1, "once, and nothing of vendors");
});
