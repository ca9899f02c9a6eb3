/** POST /infer: every field and limit, every field of the reply, routing modes, aliases, request ids, idempotency. */
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { stop_everything } from "./support/processes.mjs";
import { all_sse_frames } from "./support/sse.mjs";

const fakes = await start_fakes();
const gateway = await start_gateway({ fakes });
after(stop_everything);
beforeEach(() => fakes.reset());

let number = 0;
/** A prompt nobody asked before; of no task type. */
const fresh = (text = "Name three rivers") => `${text} ${++number}`;
/** The bodies that the vendors got. */
const sent_bodies = async () => (await fakes.requests()).map((request) => request.body);

test("the reply has every field of the contract", async () => {
  const body = await gateway.infer({ prompt: fresh(), task_id: "t-1", user_id: "u-1" });
  assert.match(body.request_id, /^req_[0-9a-f]{12}$/);
  assert.match(body.response_id, /^resp_/);
  assert.ok(Math.abs(Date.parse(body.timestamp) - Date.now()) < 60_000);
  assert.match(body.timestamp, /Z$|\+00:00$/);
  assert.equal(body.response, `Answer to: Name three rivers ${number}`);
  assert.equal(body.finish_reason, "stop");
  assert.deepEqual(
    [body.model_used, body.provider, body.routing_mode, body.task_type_detected, body.fallback_used],
    ["gpt-4o-mini", "openai", "autopilot", "general", false],
  );
  assert.ok(body.routing_reason.length > 10);
  assert.deepEqual([body.tokens_input, body.tokens_output, body.tokens_total], [4, 6, 10]);
  assert.equal(body.cost, 0.000004); // 4 tokens at $0.00015 and 6 at $0.0006 per thousand, to the micro-dollar
  assert.equal(body.cost_original, 0.00022);
  assert.equal(body.cost_savings_vs_baseline, 0.000216);
  assert.equal(body.cost_savings_percent, 98.1);
  assert.ok(body.latency_ms > 0);
  for (const name of ["cache_lookup_ms", "routing_ms", "inference_ms", "post_processing_ms", "total_ms"]) {
    assert.equal(typeof body.latency_breakdown[name], "number", name);
  }
  assert.deepEqual([body.cache_hit, body.cache_tier, body.cache.hit, body.cache.tier], [false, 0, false, 0]);
  assert.deepEqual(body.optimization_techniques, ["smart_routing"]);
  assert.equal(body.predicted_quality, 4);
  assert.ok("quality_score" in body);
  assert.deepEqual([body.alternatives, body.warnings], [[], []]);
});

/** [field named by the error, body]; prompt is added where a case has none. */
const refused = [
  ["prompt", { prompt: undefined }],
  ["prompt", { prompt: "" }],
  ["prompt", { prompt: " \n\t " }],
  ["prompt", { prompt: 7 }],
  ["prompt", { prompt: null }],
  ["prompt", { prompt: "x".repeat(100_001) }],
  ["system_prompt", { system_prompt: "x".repeat(50_001) }],
  ["system_prompt", { system_prompt: 1 }],
  ["history", { history: "x" }],
  ["history[0]", { history: ["x"] }],
  ["history[0]", { history: [{ role: "user" }] }],
  ["history[0].role", { history: [{ role: "wizard", content: "x" }] }],
  ["examples", { examples: {} }],
  ["examples[0]", { examples: [{ input: "x" }] }],
  ["task_id", { task_id: 5 }],
  ["task_type", { task_type: [] }],
  ["routing_mode", { routing_mode: "magic" }],
  ["routing_mode", { routing_mode: 1 }],
  ["quality_preference", { quality_preference: "best" }],
  ["latency_preference", { latency_preference: "quick" }],
  ["model_override", { model: "gpt-4o", model_override: "o3" }],
  ["model_override", { routing_mode: "explicit" }],
  ["quality_threshold", { quality_threshold: -0.1 }],
  ["quality_threshold", { quality_threshold: 5.01 }],
  ["quality_threshold", { quality_threshold: "high" }],
  ["latency_budget_ms", { latency_budget_ms: 49 }],
  ["latency_budget_ms", { latency_budget_ms: 30_001 }],
  ["latency_budget_ms", { latency_budget_ms: 99.5 }],
  ["cost_budget", { cost_budget: -0.01 }],
  ["cost_sensitivity", { cost_sensitivity: "some" }],
  ["user_id", { user_id: 1 }],
  ["organization_id", { organization_id: {} }],
  ["document_id", { document_id: 1 }],
  ["max_tokens", { max_tokens: 0 }],
  ["max_tokens", { max_tokens: 128_001 }],
  ["max_tokens", { max_tokens: 1.5 }],
  ["max_tokens", { max_tokens: "9" }],
  ["temperature", { temperature: -0.1 }],
  ["temperature", { temperature: 2.1 }],
  ["temperature", { temperature: true }],
  ["stream", { stream: "yes" }],
  ["allow_batching", { allow_batching: 1 }],
  ["optimize_tokens", { optimize_tokens: "no" }],
  ["enrich_with_features", { enrich_with_features: 2 }],
  ["bypass_cache", { bypass_cache: 0 }],
  ["provider_api_key", { provider_api_key: 5 }],
  ["promt", { promt: "a typo" }],
];

test("each broken rule is answered with 400, the field and how to mend it", async (t) => {
  for (const [field, body] of refused) {
    const shown = JSON.stringify(body).slice(0, 60);
    await t.test(`${field}: ${shown}`, async () => {
      const reply = await gateway.post("/infer", { prompt: "x", ...body });
      assert.equal(reply.status, 400, reply.text);
      assert.deepEqual(
        Object.keys(reply.body).filter((key) =>
          ["error", "message", "details", "request_id", "timestamp"].includes(key),
        ).length,
        5,
        reply.text,
      );
      assert.equal(reply.body.error, "validation_error");
      assert.equal(reply.body.details.field, field);
      assert.ok(reply.body.message.length > 10);
      assert.equal(reply.body.request_id, reply.headers.get("x-request-id"));
    });
  }
  assert.equal((await fakes.requests()).length, 0, "a refused request reached a vendor");
});

test("values on the limits are accepted", async () => {
  const accepted = [
    { prompt: "é".repeat(100_000) },
    { prompt: `  ${fresh()}  ` },
    { quality_threshold: 0 },
    { latency_budget_ms: 50 },
    { latency_budget_ms: 30_000 },
    { cost_budget: 0 },
    { max_tokens: 1 },
    { temperature: 0 },
    { temperature: 2 },
    { system_prompt: "s".repeat(50_000) },
    { history: [], examples: [] },
    {
      task_id: null,
      model_override: null,
      user_id: null,
      stream: false,
      allow_batching: true,
      optimize_tokens: true,
      enrich_with_features: false,
    },
  ];
  for (const body of accepted) {
    const reply = await gateway.post("/infer", { prompt: fresh(), ...body });
    assert.equal(reply.status, 200, `${JSON.stringify(body).slice(0, 80)}: ${reply.text.slice(0, 300)}`);
  }
});

test("system prompt, examples, history and limits reach the vendor in order, control characters do not", async () => {
  await gateway.infer({
    prompt: "  what\u0000 is\u0007 it\tnow  ",
    system_prompt: "rules",
    examples: [{ input: "e1", output: "e2" }],
    history: [
      { role: "user", content: "h1" },
      { role: "assistant", content: "h2" },
    ],
    max_tokens: 77,
    temperature: 0.25,
    optimize_tokens: false,
  });
  const [body] = await sent_bodies();
  const text_of = (content) => (typeof content === "string" ? content : content.map((part) => part.text).join(""));
  assert.deepEqual(
    body.messages.map((m) => [m.role, text_of(m.content)]),
    [
      ["system", "rules"],
      ["user", "e1"],
      ["assistant", "e2"],
      ["user", "h1"],
      ["assistant", "h2"],
      ["user", "what is it\tnow"],
    ],
  );
  assert.deepEqual([body.max_tokens ?? body.max_completion_tokens, body.temperature], [77, 0.25]);
});

test("a length limit is passed on and reported", async () => {
  const body = await gateway.infer({ prompt: `[[answer:50]] ${fresh()}`, max_tokens: 5 });
  assert.deepEqual([body.finish_reason, body.tokens_output], ["length", 5]);
});

/** The registry as GET /models tells it: chat models whose vendor has a key. */
async function usable_models() {
  const { body } = await gateway.get("/models");
  return body.models.filter((m) => ["openai", "anthropic"].includes(m.provider) && m.max_output_tokens > 0);
}

/** Base selection as the contract words it: best quality per dollar among those within the limits. */
function best_value(models, min_quality, max_latency) {
  const fit = models.filter((m) => m.quality >= min_quality && m.latency_ms <= max_latency);
  const value = (m) => m.quality / ((m.cost_per_1k_input + m.cost_per_1k_output) / 2);
  return fit.toSorted(
    (a, b) => value(b) - value(a) || b.quality - a.quality || a.latency_ms - b.latency_ms || (a.name < b.name ? -1 : 1),
  )[0]?.name;
}

test("autopilot detects the task and takes the best value within its limits", async () => {
  const models = await usable_models();
  const cases = [
    [fresh("Name three rivers"), "general", 3.5, 300],
    [fresh("Summarize this for me, a brief summary"), "summarization", 3.5, 500],
    [fresh("Explain why, what is the reason"), "reasoning", 4.0, 500],
    [fresh("Review the contract and the statute, attorney"), "legal", 4.2, 2000],
  ];
  for (const [prompt, task, quality, latency] of cases) {
    const body = await gateway.infer(prompt);
    assert.deepEqual([body.task_type_detected, body.model_used], [task, best_value(models, quality, latency)], prompt);
    assert.match(body.routing_reason, new RegExp(task));
  }
});

test("a task hint skips the detection, also through task_id", async () => {
  assert.equal((await gateway.infer({ prompt: fresh("Explain why"), task_type: "faq" })).task_type_detected, "faq");
  assert.equal((await gateway.infer({ prompt: fresh("Explain why"), task_id: "coding" })).task_type_detected, "coding");
});

test("sent limits raise the quality floor and replace the latency", async () => {
  const models = await usable_models();
  const strict = await gateway.infer({ prompt: fresh(), quality_threshold: 4.5, latency_budget_ms: 1000 });
  assert.equal(strict.model_used, best_value(models, 4.5, 1000));
  const quick = await gateway.infer({ prompt: fresh(), latency_budget_ms: 100 });
  assert.equal(quick.model_used, best_value(models, 3.5, 100));
  const floor = await gateway.infer({ prompt: fresh("Explain why, what is the reason"), quality_threshold: 1 });
  assert.equal(floor.model_used, best_value(models, 4.0, 500), "a sent quality can only raise the floor");
});

test("guided mode maps the preferences", async () => {
  const models = await usable_models();
  const cases = [
    [{ quality_preference: "max", latency_preference: "slow" }, 4.5, 2000],
    [{ quality_preference: "low", latency_preference: "instant" }, 3.0, 150],
    [{ quality_preference: "high" }, 4.0, 500],
    [{}, 3.5, 500],
  ];
  for (const [preferences, quality, latency] of cases) {
    const body = await gateway.infer({ prompt: fresh(), routing_mode: "guided", ...preferences });
    assert.deepEqual(
      [body.routing_mode, body.model_used],
      ["guided", best_value(models, quality, latency)],
      JSON.stringify(preferences),
    );
  }
});

test("explicit mode uses the named model and lists alternatives, best saving first", async () => {
  for (const field of ["model", "model_override"]) {
    const body = await gateway.infer({ prompt: fresh(), routing_mode: "explicit", [field]: "gpt-4-turbo" });
    assert.deepEqual([body.model_used, body.routing_mode], ["gpt-4-turbo", "explicit"]);
    assert.ok(body.alternatives.length >= 5);
    for (const other of body.alternatives) {
      for (const name of ["estimated_cost", "estimated_quality", "savings_percent"])
        assert.equal(typeof other[name], "number", name);
      assert.notEqual(other.model, "gpt-4-turbo");
    }
    const savings = body.alternatives.map((other) => other.savings_percent);
    assert.deepEqual(
      savings,
      savings.toSorted((a, b) => b - a),
    );
  }
});

test("an unknown model is 400 model_not_found, one without a vendor key 503", async () => {
  const unknown = await gateway.post("/infer", { prompt: fresh(), routing_mode: "explicit", model: "no-such-model" });
  assert.deepEqual([unknown.status, unknown.body.error], [400, "model_not_found"]);
  const keyless = await gateway.post("/infer", { prompt: fresh(), routing_mode: "explicit", model: "gemini-2.5-pro" });
  assert.equal(keyless.status, 503, keyless.text);
  assert.match(keyless.body.message, /key/);
});

test("limits that nobody meets fall back to the best model and say so", async () => {
  const body = await gateway.infer({ prompt: fresh(), cost_budget: 0.000000001 });
  assert.equal(body.fallback_used, true);
  const best = Math.max(...(await usable_models()).map((m) => m.quality));
  assert.equal(body.predicted_quality, best);
  assert.ok(body.warnings.length > 0);
});

test("with routing.strict_cost_budget an unmet budget is refused", async (t) => {
  const strict = await start_gateway({ fakes, env: { ASAHI_ROUTING_STRICT_COST_BUDGET: "true" } });
  t.after(() => strict.stop());
  const reply = await strict.post("/infer", { prompt: fresh(), cost_budget: 0.000000001 });
  assert.deepEqual([reply.status, reply.body.error], [400, "cost_budget_unsatisfiable"]);
});

test("a caller's own vendor key is used, and appears nowhere", async (t) => {
  const keyless = await start_gateway({
    fakes,
    env: { OPENAI_API_KEY: "", ANTHROPIC_API_KEY: "", ASAHI_OPENAI_BASE_URL: fakes.base("openai") },
    vendors: [],
  });
  t.after(() => keyless.stop());
  const body = { prompt: fresh(), routing_mode: "explicit", model: "gpt-4o", provider_api_key: "test-of-the-caller" };
  assert.equal((await keyless.infer(body)).provider, "openai");
  const wrong = await keyless.post("/infer", { ...body, prompt: fresh(), provider_api_key: "wrong-key-of-the-caller" });
  assert.ok(wrong.status >= 400);
  await keyless.stop();
  const written = keyless.program.stdout + keyless.program.stderr + JSON.stringify(keyless.events()) + wrong.text;
  assert.ok(!written.includes("of-the-caller"), "a caller's key leaked");
});

test("the same handler answers under every alias", async () => {
  for (const path of ["/infer", "/api/v1/infer", "/api/v2/infer"]) {
    const reply = await gateway.post(path, { prompt: fresh() });
    assert.deepEqual([reply.status, reply.body.provider], [200, "openai"], path);
  }
  for (const path of [
    "/metrics",
    "/api/v1/metrics",
    "/api/v2/metrics",
    "/models",
    "/api/v1/models",
    "/health",
    "/api/v1/health",
    "/health/live",
    "/health/ready",
  ]) {
    assert.equal((await gateway.get(path)).status, 200, path);
  }
});

test("a valid X-Request-Id is kept everywhere, any other is replaced and logged", async () => {
  const own = "Own_request-id-24-chars_";
  const kept = await gateway.post("/infer", { prompt: fresh() }, { "x-request-id": own });
  assert.deepEqual([kept.headers.get("x-request-id"), kept.body.request_id], [own, own]);
  for (const bad of ["has space", "x".repeat(25), "semi;colon"]) {
    const replaced = await gateway.post("/infer", { prompt: fresh() }, { "x-request-id": bad });
    assert.match(replaced.headers.get("x-request-id"), /^req_[0-9a-f]{12}$/);
    assert.equal(replaced.body.request_id, replaced.headers.get("x-request-id"));
  }
  const health = await gateway.get("/health");
  assert.match(health.headers.get("x-request-id"), /^req_[0-9a-f]{12}$/);
});

test("a repeated request_id gets the stored reply without a second vendor call", async () => {
  const body = { prompt: fresh(), request_id: `order-${Date.now()}`, bypass_cache: true };
  const first = await gateway.infer(body);
  const second = await gateway.infer(body);
  assert.deepEqual([second.response_id, second.response, second.cost], [first.response_id, first.response, first.cost]);
  assert.equal((await fakes.requests()).length, 1);
});

test("a repeated Idempotency-Key does the same, on every shape; another key does not", async () => {
  const prompt = fresh();
  const messages = [{ role: "user", content: prompt }];
  const cases = [
    ["/infer", { prompt, bypass_cache: true }, "response_id"],
    ["/v1/chat/completions", { model: "gpt-4o", messages, bypass_cache: true }, "id"],
    ["/v1/messages", { model: "claude-3-5-sonnet", max_tokens: 50, messages, bypass_cache: true }, "id"],
  ];
  for (const [path, body, id] of cases) {
    await fakes.reset();
    const key = { "idempotency-key": `key-${path}-${Date.now()}` };
    const first = await gateway.post(path, body, key);
    const second = await gateway.post(path, body, key);
    assert.equal(first.status, 200, first.text);
    assert.equal(second.body[id], first.body[id], path);
    assert.equal((await fakes.requests()).length, 1, path);
    const other = await gateway.post(path, body, { "idempotency-key": `other-${path}-${Date.now()}` });
    assert.notEqual(other.body[id], first.body[id], path);
  }
});

test("a key used for another request is a conflict", async () => {
  const key = { "idempotency-key": `conflict-${Date.now()}` };
  await gateway.infer({ prompt: fresh() }, key);
  const reply = await gateway.post("/infer", { prompt: fresh() }, key);
  assert.deepEqual([reply.status, reply.body.error], [409, "conflict"]);
});

test("a stream sends the answer in pieces and ends with the whole reply", async () => {
  const prompt = fresh("[[answer:25]]");
  const response = await gateway.stream("/infer", { prompt, stream: true });
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type"), /^text\/event-stream/);
  assert.equal(response.headers.get("cache-control"), "no-cache");
  assert.equal(response.headers.get("x-accel-buffering"), "no");
  const frames = await all_sse_frames(response);
  assert.equal(frames.at(-1).data, "[DONE]");
  const events = frames.slice(0, -1).map((frame) => JSON.parse(frame.data));
  const pieces = events.filter((event) => event.type === "token").map((event) => event.text);
  const done = events.at(-1);
  assert.equal(done.type, "done");
  assert.equal(pieces.join(""), Array.from({ length: 25 }, (_, i) => `word${i + 1}`).join(" "));
  assert.ok(pieces.length >= 10);
  assert.deepEqual([done.provider, done.cache_hit, done.tokens_output], ["openai", false, 25]);
});
