/**
 * Vendors that misbehave: each fault ends in a right answer, by retry or from the next vendor, or in a clear error, within
 * 11 seconds. Autopilot asks OpenAI's gpt-4o-mini first here and falls back to Anthropic.
 */
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { start_fault_proxy } from "./support/fault_proxy.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { free_port, stop_everything } from "./support/processes.mjs";
import { stream_prompt, words } from "./support/shapes.mjs";
import { timed, until } from "./support/wait.mjs";

const kLimitMs = 11_000;
const kQuick = { ASAHI_PROVIDERS_TIMEOUT_SECONDS: "1", ASAHI_PROVIDERS_MAX_ATTEMPTS: "2" };

const fakes = await start_fakes();
const gateway = await start_gateway({ fakes, env: kQuick });
after(stop_everything);
beforeEach(() => fakes.reset());

let number = 0;
const fresh = () => `[[answer:12]] Name a river ${++number}`;
const forever = { times: "forever" };

/** Faults after which OpenAI is of no use at all. */
const lasting = {
  "429 with Retry-After, forever": { kind: "status", status: 429, headers: { "retry-after": "1" } },
  "429 that asks for a minute": { kind: "status", status: 429, headers: { "retry-after": "60" } },
  500: { kind: "status", status: 500 },
  503: { kind: "status", status: 503 },
  "refused credentials": { kind: "status", status: 401 },
  "a silent hang": { kind: "hang" },
  "a connection closed without a byte": { kind: "close" },
  "a connection reset": { kind: "reset" },
  "half a body": { kind: "close_early" },
  "an empty body": { kind: "empty_body" },
  "garbage for JSON": { kind: "garbage_json" },
  "JSON that is no answer": { kind: "wrong_json" },
  "an error inside a 200": { kind: "error_in_200" },
  "a first byte that comes too late": { kind: "slow_first_byte", ms: 3000 },
};

for (const [name, fault] of Object.entries(lasting)) {
  test(`${name}: the next vendor answers, plain and streamed`, async () => {
    await fakes.script("openai", { ...fault, ...forever });
    const { result, ms } = await timed(() => gateway.infer(fresh()));
    assert.deepEqual([result.response, result.provider, result.fallback_used], [words(12), "anthropic", true]);
    assert.ok(result.warnings.length > 0, "the fallback is not mentioned");
    assert.ok(ms < kLimitMs, `took ${ms} ms`);
    const streamed = await timed(() => stream_prompt(gateway, "openai_chat", fresh()));
    assert.deepEqual([streamed.result.text, streamed.result.finished, streamed.result.error], [words(12), true, null]);
    assert.ok(streamed.ms < kLimitMs, `took ${streamed.ms} ms`);
  });
}

test("a 429 is waited out as its Retry-After says, then the same vendor answers", async () => {
  await fakes.script("openai", { kind: "status", status: 429, headers: { "retry-after": "1" } });
  const { result, ms } = await timed(() => gateway.infer(fresh()));
  assert.deepEqual([result.provider, result.fallback_used], ["openai", false]);
  assert.ok(ms >= 950, `asked again after ${ms} ms`);
  const [first, second] = await fakes.requests({ vendor: "openai" });
  assert.ok(second.received_at_ms - first.received_at_ms >= 950);
});

test("a Retry-After given as a date is understood", async () => {
  const date = new Date(Date.now() + 2000).toUTCString();
  await fakes.script("openai", { kind: "status", status: 429, headers: { "retry-after": date } });
  const { result, ms } = await timed(() => gateway.infer(fresh()));
  assert.ok(["openai", "anthropic"].includes(result.provider));
  assert.ok(ms < kLimitMs);
});

test("one 500 costs a retry and nothing else", async () => {
  await fakes.script("openai", { kind: "status", status: 500 });
  const reply = await gateway.infer(fresh());
  assert.deepEqual([reply.provider, reply.fallback_used], ["openai", false]);
  assert.equal((await fakes.requests({ vendor: "openai" })).length, 2);
});

test("a slow first byte within the limit is waited for", async () => {
  await fakes.script("openai", { kind: "slow_first_byte", ms: 500 });
  assert.equal((await gateway.infer(fresh())).provider, "openai");
  assert.equal((await fakes.requests({ vendor: "openai" })).length, 1);
});

for (const [name, fault] of Object.entries({
  cut: { kind: "cut_stream", after_chunks: 5 },
  "ended before its end mark": { kind: "end_early", after_chunks: 5 },
  stalled: { kind: "stall_stream", after_chunks: 5 },
  "broken by an error event": { kind: "error_event_mid_stream", after_chunks: 5 },
  "broken by garbage": { kind: "garbage_json", after_chunks: 5 },
})) {
  test(`a stream ${name} in the middle is continued by the next vendor without repetition`, async () => {
    await fakes.script("openai", { ...fault, ...forever });
    const { result, ms } = await timed(() => stream_prompt(gateway, "native", fresh()));
    assert.deepEqual([result.text, result.finished, result.error], [words(12), true, null]);
    assert.ok(ms < kLimitMs, `took ${ms} ms`);
  });
}

test("a vendor that refuses connections is left for the next one", async (t) => {
  const closed = await free_port();
  const one_dead = await start_gateway({
    fakes,
    env: { ...kQuick, ASAHI_OPENAI_BASE_URL: `http://127.0.0.1:${closed}/openai` },
  });
  t.after(() => one_dead.stop());
  const { result, ms } = await timed(() => one_dead.infer(fresh()));
  assert.deepEqual([result.provider, result.fallback_used], ["anthropic", true]);
  assert.ok(ms < kLimitMs, `took ${ms} ms`);
});

test("a kept-alive connection that the vendor closed meanwhile costs nobody an answer", async (t) => {
  const proxy = await start_fault_proxy(fakes.port);
  t.after(() => proxy.close());
  const single = await start_gateway({
    fakes,
    vendors: ["openai"],
    env: {
      ...kQuick,
      ASAHI_PROVIDERS_MAX_ATTEMPTS: "1",
      ASAHI_OPENAI_BASE_URL: `http://127.0.0.1:${proxy.port}/openai`,
    },
  });
  t.after(() => single.stop());
  for (let i = 0; i < 10; ++i) {
    assert.equal((await single.infer(fresh())).provider, "openai");
    proxy.cut({ reset: i % 2 === 0 });
  }
});

const all_down = {
  "500 everywhere": [{ kind: "status", status: 500 }, 503, "service_unavailable"],
  "silence everywhere": [{ kind: "hang" }, 503, "service_unavailable"],
  "resets everywhere": [{ kind: "reset" }, 503, "service_unavailable"],
  "garbage everywhere": [{ kind: "garbage_json" }, 503, "service_unavailable"],
  "429 everywhere": [{ kind: "status", status: 429, headers: { "retry-after": "1" } }, 429, "rate_limited"],
};
for (const [name, [fault, status, code]] of Object.entries(all_down)) {
  test(`${name}: a clear error, plain and streamed`, async () => {
    await fakes.script("*", { ...fault, ...forever });
    const plain = await timed(() => gateway.post("/infer", { prompt: fresh() }));
    assert.deepEqual([plain.result.status, plain.result.body.error], [status, code], plain.result.text);
    assert.ok(Number(plain.result.headers.get("retry-after")) >= 1);
    assert.ok(plain.ms < kLimitMs, `took ${plain.ms} ms`);
    const streamed = await timed(() => stream_prompt(gateway, "openai_chat", fresh()));
    assert.equal(streamed.result.status, status, "an early failure keeps its HTTP status on streams too");
    assert.ok(streamed.result.reply.error.message.length > 10);
    assert.ok(streamed.ms < kLimitMs, `took ${streamed.ms} ms`);
  });
}

test("what the vendor calls the caller's fault is neither retried nor passed to another vendor", async () => {
  await fakes.script("openai", { kind: "status", status: 400, message: "this prompt is not to my taste" });
  const reply = await gateway.post("/infer", { prompt: fresh() });
  assert.equal(reply.status, 400);
  assert.match(reply.body.message, /not to my taste/);
  assert.equal((await fakes.requests()).length, 1);
});

test("an explicit model is not replaced unless the caller allows it", async () => {
  await fakes.script("openai", { kind: "status", status: 500, ...forever });
  const explicit = { routing_mode: "explicit", model: "gpt-4o" };
  assert.equal((await gateway.post("/infer", { prompt: fresh(), ...explicit })).status, 503);
  const allowed = await gateway.infer({ prompt: fresh(), ...explicit, allow_fallback: true });
  assert.equal(allowed.provider, "anthropic");
  const named = await gateway.infer({ prompt: fresh(), ...explicit, fallback_models: ["claude-opus-4"] });
  assert.equal(named.model_used, "claude-opus-4");
});

test("the whole request ends by its own limit, however many attempts are left", async (t) => {
  const hurried = await start_gateway({
    fakes,
    env: { ASAHI_PROVIDERS_TIMEOUT_SECONDS: "30", ASAHI_API_REQUEST_TIMEOUT_SECONDS: "2" },
  });
  t.after(() => hurried.stop());
  await fakes.script("*", { kind: "hang", ...forever });
  const { result, ms } = await timed(() => hurried.post("/infer", { prompt: fresh() }));
  assert.deepEqual([result.status, result.body.error], [504, "deadline_exceeded"]);
  assert.ok(ms < 4000, `took ${ms} ms`);
});

test("the breaker opens after three failures, lets one probe through when its time is over, and closes", async (t) => {
  const guarded = await start_gateway({
    fakes,
    env: {
      ...kQuick,
      ASAHI_PROVIDERS_MAX_ATTEMPTS: "1",
      ASAHI_PROVIDERS_BREAKER_FAILURES: "3",
      ASAHI_PROVIDERS_BREAKER_DEGRADED_FAILURES: "3",
      ASAHI_PROVIDERS_BREAKER_OPEN_SECONDS: "1",
    },
  });
  t.after(() => guarded.stop());
  const asked = async () => (await fakes.requests({ vendor: "openai" })).length;
  await fakes.script("openai", { kind: "status", status: 500, ...forever });
  for (let i = 0; i < 3; ++i) assert.equal((await guarded.infer(fresh())).provider, "anthropic");
  assert.equal(await asked(), 3);
  for (let i = 0; i < 5; ++i) assert.equal((await guarded.infer(fresh())).provider, "anthropic");
  assert.equal(await asked(), 3, "an open breaker lets calls through");
  const text = (await guarded.get("/metrics?format=prometheus")).text;
  assert.match(text, /asahi_circuit_breaker_state\{[^}]*provider="openai"[^}]*\} 1/);

  // Still failing: the probe goes out, fails, and the breaker opens again.
  await until(async () => (await guarded.infer(fresh())) && (await asked()) === 4, {
    what: "a probe after the open time",
    timeout_ms: 5000,
    every_ms: 100,
  });
  assert.equal((await guarded.infer(fresh())).provider, "anthropic");
  assert.equal(await asked(), 4, "the failed probe did not open the breaker again");

  await fakes.reset();
  await until(async () => (await guarded.infer(fresh())).provider === "openai", {
    what: "the vendor to come back",
    timeout_ms: 5000,
    every_ms: 100,
  });
  for (let i = 0; i < 3; ++i)
    assert.equal((await guarded.infer(fresh())).provider, "openai", "the breaker did not close");
});

test("failed calls are recorded with their error", async () => {
  await fakes.script("*", { kind: "status", status: 500, ...forever });
  const { headers } = await gateway.post("/infer", { prompt: fresh() });
  const id = headers.get("x-request-id");
  const event = await until(() => gateway.events().find((entry) => entry.request_id === id), {
    what: "the event of the failed call",
  });
  assert.equal(event.error, "service_unavailable");
  assert.equal(event.cost, 0);
});
