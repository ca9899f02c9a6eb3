/** Start, drain, crash: ready at once, nothing in flight is lost on SIGTERM, no acknowledged event is lost on kill -9. */
import assert from "node:assert/strict";
import { appendFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { restart_gateway, run_asahi, start_gateway } from "./support/gateway.mjs";
import { find_program, stop_everything } from "./support/processes.mjs";
import { stream_prompt, words } from "./support/shapes.mjs";
import { timed, until } from "./support/wait.mjs";

/** Sanitizer builds are slower: the build sets the factor. */
const kTimeFactor = Number(process.env.ASAHI_TIME_FACTOR ?? 1);
/** How long after its answer an event may still be on its way to the disk. */
const kAcknowledgedMs = 100 * kTimeFactor;

const fakes = await start_fakes();
after(stop_everything);
beforeEach(() => fakes.reset());

test("the gateway is ready within a second", async () => {
  const times = [];
  for (let i = 0; i < 3; ++i) {
    const { result, ms } = await timed(() => start_gateway({ fakes }));
    times.push(ms);
    assert.deepEqual(await result.stop(), { code: 0, signal: null });
  }
  assert.ok(Math.min(...times) < 1000 * kTimeFactor, `ready after ${times.map(Math.round).join(", ")} ms`);
});

test("SIGTERM lets a call and a stream in flight finish, takes no new ones, and exits with 0", async () => {
  const gateway = await start_gateway({ fakes });
  const call = gateway.infer("[[delay_ms:1500]] in flight");
  const stream = stream_prompt(gateway, "openai_chat", "[[answer:30]] [[chunk_ms:50]] in flight");
  await until(async () => (await fakes.requests()).length === 2, { what: "both to reach the vendor" });
  const ended = gateway.stop(20_000 * kTimeFactor);
  await until(
    async () => {
      const status = await fetch(`${gateway.url}/health/ready`, { signal: AbortSignal.timeout(1000) }).then(
        (reply) => reply.status,
        () => "refused",
      );
      return status === 503 || status === "refused";
    },
    { what: "readiness to be off" },
  );
  assert.equal((await call).response, "Answer to: in flight");
  const whole = await stream;
  assert.deepEqual([whole.text, whole.finished, whole.error, whole.cut], [words(30), true, null, false]);
  assert.deepEqual(await ended, { code: 0, signal: null });
  assert.equal(gateway.events().length, 2, "the drained requests left no events");
});

test("an idle keep-alive connection does not hold the end up", async () => {
  const gateway = await start_gateway({ fakes });
  await gateway.infer("leaves an idle connection behind");
  const { result, ms } = await timed(() => gateway.stop());
  assert.deepEqual(result, { code: 0, signal: null });
  assert.ok(ms < 2000 * kTimeFactor, `took ${Math.round(ms)} ms`);
});

test("what does not finish in the grace time is cut, and the end still comes with 0", async () => {
  const gateway = await start_gateway({ fakes, env: { ASAHI_API_SHUTDOWN_GRACE_SECONDS: "1" } });
  await fakes.script("*", { kind: "stall_stream", after_chunks: 4, times: "forever" });
  const stream = stream_prompt(gateway, "openai_chat", "[[answer:30]] never ends").catch(() => "cut");
  await until(async () => (await fakes.requests()).length === 1, { what: "the stream to reach the vendor" });
  const { result, ms } = await timed(() => gateway.stop());
  assert.deepEqual(result, { code: 0, signal: null });
  assert.ok(ms < 4000 * kTimeFactor, `took ${Math.round(ms)} ms`);
  const seen = await stream;
  assert.ok(seen === "cut" || !seen.finished, "a stream that was cut looks finished");
});

test("a second SIGTERM and SIGINT do no harm", async () => {
  const gateway = await start_gateway({ fakes });
  gateway.program.child.kill("SIGTERM");
  gateway.program.child.kill("SIGTERM");
  gateway.program.child.kill("SIGINT");
  const end = await gateway.program.ended;
  assert.ok(end.code === 0 || end.signal === "SIGINT" || end.code === 130, JSON.stringify(end));
});

test("SIGINT ends the gateway like SIGTERM", async () => {
  const gateway = await start_gateway({ fakes });
  gateway.program.child.kill("SIGINT");
  assert.deepEqual(await gateway.program.ended, { code: 0, signal: null });
});

test(
  "kill -9 under load loses no acknowledged event, and none is counted twice afterwards",
  { timeout: 120_000, skip: find_program("sqlite3") ? false : "the sqlite3 program is not installed" },
  async (t) => {
    const kRounds = process.env.ASAHI_LONG_TESTS === "1" ? 20 : 3;
    let gateway = await start_gateway({ fakes });
    t.after(() => gateway.kill());
    const acknowledged = new Set();
    for (let round = 0; round < kRounds; ++round) {
      const answered = [];
      let running = true;
      const clients = Array.from({ length: 8 }, async (_, id) => {
        for (let i = 0; running; ++i) {
          try {
            const { request_id } = await gateway.infer(`round ${round} client ${id} prompt ${i % 50}`);
            answered.push([request_id, performance.now()]);
          } catch {
            return; // killed
          }
        }
      });
      await until(() => answered.length >= 150 + round * 40, { what: "answers", timeout_ms: 30_000 });
      const killed_at = performance.now();
      await gateway.kill();
      running = false;
      await Promise.all(clients);
      for (const [id, at] of answered) if (at < killed_at - kAcknowledgedMs) acknowledged.add(id);
      gateway = await restart_gateway(gateway, { fakes });
    }
    const logged = gateway.events().map((event) => event.request_id);
    assert.deepEqual(
      [...acknowledged].filter((id) => !logged.includes(id)),
      [],
      "acknowledged and lost",
    );
    assert.equal(new Set(logged).size, logged.length, "an event was written twice");
    await until(
      async () => (await gateway.sqlite("SELECT count(*) AS n FROM inference_events"))[0].n === logged.length,
      { what: `${logged.length} rows in the database`, timeout_ms: 20_000, every_ms: 100 },
    );
    const { body } = await gateway.get("/metrics");
    assert.equal(body.total_requests, logged.length);
    assert.equal((await gateway.infer("after all crashes")).cache_hit, false);
  },
);

test("a log line torn by a crash is skipped and harms no other", async (t) => {
  let gateway = await start_gateway({ fakes });
  t.after(() => gateway.kill());
  await gateway.infer("before the tear");
  await until(() => gateway.events().length === 1, { what: "the first event" });
  await gateway.kill();
  const folder = join(gateway.folder, "data", "logs");
  const [file] = readdirSync(folder).filter((name) => name.startsWith("events_"));
  appendFileSync(join(folder, file), '{"event_id":"01TORN","request_id":"req_to');
  gateway = await restart_gateway(gateway, { fakes });
  await gateway.infer("after the tear");
  await until(async () => (await gateway.get("/metrics")).body.total_requests === 2, {
    what: "both whole events to be counted",
  });
});

test("a second gateway on the same port refuses to start and says why", async (t) => {
  const gateway = await start_gateway({ fakes });
  t.after(() => gateway.stop());
  const { code, stdout, stderr } = await run_asahi(["serve"], {
    env: {
      ASAHI_PORT: String(gateway.port),
      ASAHI_HOST: "127.0.0.1",
      ASAHI_MOCK: "true",
      ASAHI_OBSERVABILITY_PROMETHEUS_PORT: "0",
    },
    timeout_ms: 20_000,
  });
  assert.notEqual(code, 0);
  assert.match(stdout + stderr, new RegExp(`${gateway.port}|in use`));
});

test(
  "an idle gateway is small",
  { skip: kTimeFactor > 1 ? "sanitizers need memory of their own" : false },
  async (t) => {
    const gateway = await start_gateway({ fakes });
    t.after(() => gateway.stop());
    const mib = gateway.resident_bytes() / 1024 / 1024;
    assert.ok(mib < 64, `${Math.round(mib)} MiB`);
  },
);
