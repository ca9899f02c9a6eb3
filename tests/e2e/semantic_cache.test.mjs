/** Tier 2 through OpenAI's own client: questions that mean the same, what keeps others apart, faults, what people can do. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { start_fakes } from "./support/fakes.mjs";
import { binary_path, restart_gateway, run_asahi, start_gateway } from "./support/gateway.mjs";
import { stop_everything, temp_folder } from "./support/processes.mjs";
import { OpenAI } from "./support/sdks.mjs";
import { until } from "./support/wait.mjs";

const kSemantic = {
  ASAHI_CACHE_TIER2_ENABLED: "true",
  ASAHI_CACHE_TIER2_AUDIT_SHARE: "0",
  ASAHI_CACHE_TIER2_PROMOTION_THRESHOLD: "1",
};
const fakes = await start_fakes();
after(stop_everything);

const client_of = (gateway, key = "unused") =>
  new OpenAI({ apiKey: key, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
const say = (content) => [{ role: "user", content }];
const vendor_calls = async () => (await fakes.requests({ vendor: "openai" })).length;
const stats_of = async (gateway) => (await gateway.get("/cache/stats")).body.semantic;

/** Waits until this many entries can be found; they are written behind the reply. */
const kept = (gateway, entries) =>
  until(async () => (await stats_of(gateway)).entries >= entries, { what: `${entries} entries`, timeout_ms: 20_000 });

const kAsked = "How do I reset my password in the customer portal?";
const kMeant = "How can I reset my password in the customer portal?";

test("a question that means the same gets the answer, explained; others do not", async () => {
  await fakes.reset();
  const gateway = await start_gateway({ fakes, env: kSemantic });
  const openai = client_of(gateway);
  const chat = (content, more = {}) =>
    openai.chat.completions.create({ model: "gpt-4o", messages: say(content), ...more });
  const first = await chat(kAsked);
  await kept(gateway, 1);

  const hit = await until(
    async () => {
      const reply = await chat(kMeant, { semantic_cache: true });
      return reply.asahi.cache_tier === 2 && reply;
    },
    { what: "a hit", timeout_ms: 10_000 },
  );
  assert.equal(hit.choices[0].message.content, first.choices[0].message.content);
  assert.equal(hit.asahi.cost, 0);
  assert.ok(hit.asahi.savings_usd > 0);
  const { similarity, threshold, expected_error, verdict, cached_query, entry_id } = hit.asahi.cache;
  assert.ok(similarity >= threshold && similarity <= 1);
  assert.ok(expected_error <= 0.01);
  assert.deepEqual([verdict, cached_query], ["same", kAsked]);
  assert.match(entry_id, /^[0-9a-f]{32}$/);

  const streamed = await chat(kMeant, { stream: true });
  let text = "";
  for await (const chunk of streamed) text += chunk.choices[0]?.delta?.content ?? "";
  assert.equal(text, first.choices[0].message.content);

  const calls = await vendor_calls();
  const others = [
    ["How do I reset my username in the customer portal?", {}],
    ["How do I not reset my password in the customer portal?", {}],
    [kMeant, { messages: [{ role: "system", content: "You are a pirate." }, ...say(kMeant)] }],
    [kMeant, { max_tokens: 77 }],
    [kMeant, { semantic_cache: false }],
    [kMeant, { model: "gpt-4o-mini" }],
  ];
  for (const [content, more] of others) {
    const reply = await chat(content, more);
    assert.equal(reply.asahi.cache_tier, 0, `${content} ${JSON.stringify(more)}`);
  }
  assert.equal(await vendor_calls(), calls + others.length);
});

test("tenants and keys: nobody sees another's answers, and a key may stay out", async () => {
  await fakes.reset();
  const gateway = await start_gateway({ fakes, env: kSemantic });
  const infer = (prompt, organization_id) => gateway.infer({ prompt, model: "gpt-4o", organization_id });
  await infer(kAsked, "acme");
  await until(async () => (await infer(kMeant, "acme")).cache_tier > 0, { what: "a hit for acme", timeout_ms: 20_000 });
  assert.equal((await infer(kMeant, "globex")).cache_tier, 0);
  const made = await gateway.post("/governance/api-keys", { name: "strict", semantic_cache: false });
  assert.equal(made.status, 201, made.text);
  assert.equal(made.body.semantic_cache ?? made.body.key?.semantic_cache, false);
});

test("a wrong answer is reported once and served never again; entries are listed, deleted, invalidated", async () => {
  await fakes.reset();
  const gateway = await start_gateway({
    fakes,
    env: { ...kSemantic, ASAHI_CACHE_TIER2_PROMOTION_THRESHOLD: "0.7" },
  });
  const infer = (prompt) => gateway.infer({ prompt, model: "gpt-4o" });
  await infer(kAsked);
  await kept(gateway, 1);
  const hit = await until(
    async () => {
      const reply = await gateway.infer({ prompt: kMeant, model: "gpt-4o" });
      return reply.cache_tier === 2 && reply;
    },
    { what: "a hit", timeout_ms: 10_000 },
  ).catch(() => infer(kMeant));
  const copy = await infer(kMeant);
  assert.equal(copy.cache_tier, 1, "very similar: kept for this wording too");
  assert.equal(copy.cache.entry_id, hit.cache.entry_id);

  const report = await gateway.post(`/cache/entries/${hit.cache.entry_id}/report`, { reason: "another portal" });
  assert.deepEqual(report.body, { entry_id: hit.cache.entry_id, reported: true, copies_removed: 1 });
  assert.equal((await infer(kMeant)).cache_tier, 0);
  assert.equal((await gateway.post("/cache/entries/0123/report", {})).status, 404);
  const wrong = await gateway.post(`/cache/entries/${hit.cache.entry_id}/report`, { reason: 5 });
  assert.deepEqual([wrong.status, wrong.body.details.field], [400, "reason"]);

  const listed = (await gateway.get("/cache/entries?tier=2")).body.entries;
  assert.ok(listed.some((entry) => entry.key === hit.cache.entry_id && entry.query === kAsked));
  assert.equal((await gateway.delete(`/cache/entries/${hit.cache.entry_id}`)).body.removed.tier_2, 1);
  assert.equal((await gateway.delete(`/cache/entries/${hit.cache.entry_id}`)).status, 404);

  const refused = await gateway.post("/cache/invalidate", { pattern: "*portal*" });
  assert.deepEqual([refused.status, refused.body.details.field], [400, "reason"]);
  const gone = await gateway.post("/cache/invalidate", { pattern: "*portal*", reason: "the portal moved" });
  assert.ok(gone.body.removed.tier_1 >= 2 && gone.body.total >= 2, gone.text);
  assert.equal((await gateway.get("/cache/entries")).body.count, 0);
  const audit = await gateway.get("/governance/audit?action=cache.invalidate");
  assert.equal(audit.status, 200);
  assert.match(audit.text, /the portal moved/);
  await gateway.post("/cache/invalidate", { pattern: "*jane@example.com*", reason: "asked by jane@example.com" });
  const masked = (await gateway.get("/governance/audit?action=cache.invalidate")).text;
  assert.match(masked, /EMAIL_REDACTED/);
  assert.doesNotMatch(masked, /jane@example\.com/);
});

test("warmed answers serve by word and by meaning; bad entries are told apart", async () => {
  await fakes.reset();
  const gateway = await start_gateway({ fakes, env: kSemantic });
  const entry = { query: "What are your opening hours?", response: "9 to 17 h.", model_used: "gpt-4o-mini" };
  const warmed = await gateway.post("/cache/warm", { entries: [entry], ttl_seconds: 600 });
  assert.deepEqual(warmed.body, { warmed: 1, ttl_seconds: 600 });
  const exact = await gateway.infer(entry.query);
  assert.deepEqual([exact.cache_tier, exact.response], [1, "9 to 17 h."]);
  const chat = await client_of(gateway).chat.completions.create({ model: "auto", messages: say(entry.query) });
  assert.equal(chat.choices[0].message.content, "9 to 17 h.");
  assert.equal(await vendor_calls(), 0);

  const by_meaning = await start_gateway({ fakes, env: { ...kSemantic, ASAHI_CACHE_TIER1_ENABLED: "false" } });
  await by_meaning.post("/cache/warm", { entries: [{ ...entry, query: kAsked, response: "By mail." }] });
  await kept(by_meaning, 2); // in two shapes
  const similar = await until(
    async () => {
      const reply = await by_meaning.infer(kMeant);
      return reply.cache_tier === 2 && reply;
    },
    { what: "a hit by meaning", timeout_ms: 10_000 },
  );
  assert.equal(similar.response, "By mail.");
  for (const [body, field] of [
    [{ entries: [] }, "entries"],
    [{ entries: [{ ...entry, query: "" }] }, "entries[0].query"],
    [{ entries: [{ ...entry, model_used: "none-such" }] }, "entries[0].model_used"],
    [{ entries: [entry], ttl_seconds: 5 }, "ttl_seconds"],
  ]) {
    const reply = await gateway.post("/cache/warm", body);
    assert.deepEqual([reply.status, reply.body.details?.field], [400, field], reply.text);
  }
});

test("thresholds are set while running and kept", async () => {
  await fakes.reset();
  let gateway = await start_gateway({ fakes, env: kSemantic });
  const before = (await gateway.get("/cache/thresholds")).body.thresholds;
  assert.deepEqual(before.coding, { high: 0.9, medium: 0.93, low: 0.97 });
  const set = await gateway.call("PUT", "/cache/thresholds", { task_type: "faq", threshold: 0.99 });
  assert.equal(set.body.thresholds.faq.high, 0.99, set.text);
  const wrong = await gateway.call("PUT", "/cache/thresholds", { task_type: "faq", threshold: 2 });
  assert.deepEqual([wrong.status, wrong.body.details.field], [400, "threshold"]);
  await gateway.stop();
  gateway = await restart_gateway(gateway, { fakes });
  await until(async () => (await gateway.get("/cache/thresholds")).body.thresholds.faq.high === 0.99, {
    what: "the threshold of before",
  });
});

test("entries outlive a restart", async () => {
  await fakes.reset();
  let gateway = await start_gateway({ fakes, env: { ...kSemantic, ASAHI_CACHE_TIER1_ENABLED: "false" } });
  const infer = (prompt) => gateway.infer({ prompt, model: "gpt-4o" });
  const first = await infer(kAsked);
  await kept(gateway, 1);
  await gateway.stop();
  gateway = await restart_gateway(gateway, { fakes });
  await kept(gateway, 1);
  const hit = await until(
    async () => {
      const reply = await infer(kMeant);
      return reply.cache_tier === 2 && reply;
    },
    { what: "a hit", timeout_ms: 10_000 },
  );
  assert.equal(hit.response, first.response);
});

/** A gateway whose vectors come from Cohere's fake. */
const start_with_cohere = (env = {}) =>
  start_gateway({
    fakes,
    vendors: ["openai", "cohere"],
    env: {
      ...kSemantic,
      ASAHI_CACHE_TIER1_ENABLED: "false",
      ASAHI_EMBEDDINGS_PROVIDER: "cohere",
      ASAHI_EMBEDDINGS_MAX_RETRIES: "0",
      ASAHI_EMBEDDINGS_CACHE_SIZE: "0",
      ASAHI_CACHE_TIER2_TIMEOUT_MS: "300",
      ...env,
    },
  });
const kFaults = [{ kind: "status", status: 503 }, { kind: "hang" }, { kind: "garbage_json" }];

const hit_for = (gateway, prompt, what) =>
  until(
    async () => {
      const reply = await gateway.infer({ prompt, model: "gpt-4o" });
      return reply.cache_tier === 2 && reply;
    },
    { what, timeout_ms: 20_000 },
  );

test("an embedder that is down, slow or wrong is a miss and a warning where nobody stands in", async () => {
  await fakes.reset();
  const gateway = await start_with_cohere({ ASAHI_EMBEDDINGS_FALLBACK: "none" });
  let number = 0;
  const infer = () => gateway.infer({ prompt: `${kMeant} Case ${++number}.`, model: "gpt-4o" });
  await gateway.infer({ prompt: kAsked, model: "gpt-4o" });
  await kept(gateway, 1);
  const again = await hit_for(gateway, kAsked, "a hit with the vendor's vectors");
  assert.equal(again.cache.similarity, 1);
  for (const fault of kFaults) {
    await fakes.script("cohere", fault);
    const started = performance.now();
    const reply = await infer();
    assert.equal(reply.cache_tier, 0);
    assert.match(reply.warnings.join(" "), /semantic cache skipped/, fault.kind);
    assert.ok(performance.now() - started < 5_000, `${fault.kind} holds nobody up`);
  }
});

test("while the embedder is away the local one stands in, and says so", async () => {
  await fakes.reset();
  const gateway = await start_with_cohere();
  await gateway.infer({ prompt: kAsked, model: "gpt-4o" });
  await kept(gateway, 1);
  await hit_for(gateway, kMeant, "a hit with the vendor's vectors");
  assert.equal((await gateway.get("/health")).body.components.embedder, "healthy");
  assert.equal((await stats_of(gateway)).stand_in.active, false);

  await fakes.script("cohere", { kind: "status", status: 503, times: "forever" });
  const hit = await hit_for(gateway, kMeant, "a hit while it is away");
  assert.match(hit.warnings.join(" "), /the embedder is away, the local one stands in/);
  assert.equal(hit.cache.cached_query, kAsked);
  const other = await gateway.infer({ prompt: "How do I reset my username in the customer portal?", model: "gpt-4o" });
  assert.equal(other.cache_tier, 0);
  for (let i = 0; i < 3; ++i) await gateway.infer({ prompt: kMeant, model: "gpt-4o" });
  const health = (await gateway.get("/health")).body;
  assert.deepEqual([health.status, health.components.embedder], ["degraded", "degraded"]);
  const { stand_in } = await stats_of(gateway);
  assert.ok(stand_in.active && stand_in.entries >= 1 && stand_in.bytes > 0 && stand_in.lookups >= 4);
  assert.match(stand_in.embedder, /^local-/);
  const metrics = (await gateway.get("/metrics?format=prometheus")).text;
  assert.match(metrics, /^asahi_embedder_up 0$/m);
  assert.match(metrics, /^asahi_embedder_stand_in_lookups_total [1-9]/m);

  await fakes.reset();
  await until(
    async () => {
      const reply = await gateway.infer({ prompt: kMeant, model: "gpt-4o" });
      return reply.cache_tier === 2 && !reply.warnings.length;
    },
    { what: "the embedder again", timeout_ms: 30_000 },
  );
  assert.equal((await gateway.get("/health")).body.components.embedder, "healthy");
});

test("with contexts, conversations that say the same share answers; a follow-up after another question does not", async () => {
  await fakes.reset();
  const gateway = await start_gateway({
    fakes,
    env: { ...kSemantic, ASAHI_CACHE_TIER1_ENABLED: "false", ASAHI_CACHE_TIER2_CONTEXTUAL: "true" },
  });
  const openai = client_of(gateway);
  const kWeather = "How is the weather in Berlin in spring?";
  const talk = async (first, answer, last) => {
    const messages = [...say(first), { role: "assistant", content: answer }, ...say(last)];
    return (await openai.chat.completions.create({ model: "gpt-4o", messages })).asahi;
  };
  assert.equal((await talk(kWeather, "Mild.", "And in Paris?")).cache_tier, 0);
  await kept(gateway, 1);
  assert.equal((await stats_of(gateway)).contextual, true);
  const [entry] = (await gateway.get("/cache/entries?tier=2")).body.entries;
  assert.deepEqual([entry.query, entry.earlier], ["And in Paris?", [kWeather]]);
  const hit = await until(
    async () => {
      const reply = await talk("how's the weather in Berlin in the spring", "Mild.", "And in Paris?");
      return reply.cache_tier === 2 && reply;
    },
    { what: "a hit in a conversation of other words", timeout_ms: 10_000 },
  );
  assert.ok(hit.cache.threshold >= 0.92);
  for (const [first, answer, last] of [
    ["How expensive are flats in Berlin in spring?", "Mild.", "And in Paris?"],
    ["How is the weather in Berlin in autumn?", "Mild.", "And in Paris?"],
    [kWeather, "Rainy.", "And in Paris?"],
    [kWeather, "Mild.", "And in Rome?"],
  ])
    assert.equal((await talk(first, answer, last)).cache_tier, 0, `${first} ${answer} ${last}`);
  const alone = await openai.chat.completions.create({ model: "gpt-4o", messages: say("And in Paris?") });
  assert.equal(alone.asahi.cache_tier, 0);
  const gone = await gateway.post("/cache/invalidate", { pattern: "*weather in Berlin*", reason: "said before" });
  assert.ok(gone.body.removed.tier_2 >= 1, "what was said before is found, too");
});

/** A model of testing/tiny_model.py: each word has a vector, a text the mean of its words'. */
const kRuntime = resolve(dirname(binary_path()), "libonnxruntime.so.1");
const tiny_model = async (words) => {
  const folder = temp_folder("onnx");
  const script = fileURLToPath(new URL("../../src/llm/embed/onnx/testing/tiny_model.py", import.meta.url));
  const args = [script, folder, "--width", "64", "--words", words.join(",")];
  await promisify(execFile)("python3", args);
  return join(folder, "model.onnx");
};

test(
  "a model file makes the vectors",
  { skip: existsSync(kRuntime) ? false : `${kRuntime} is missing: build the target onnx_runtime` },
  async () => {
    await fakes.reset();
    const words = [...new Set(`${kAsked} ${kMeant} username ?`.toLowerCase().match(/[a-z]+|\?/g))];
    const model = await tiny_model(words);
    const env = {
      ...kSemantic,
      ASAHI_CACHE_TIER1_ENABLED: "false",
      ASAHI_EMBEDDINGS_PROVIDER: "onnx",
      ASAHI_EMBEDDINGS_ONNX_MODEL: model,
      ASAHI_EMBEDDINGS_ONNX_RUNTIME: kRuntime,
      ASAHI_CACHE_TIER2_TIMEOUT_MS: "5000",
    };
    let gateway = await start_gateway({ fakes, env });
    const first = await gateway.infer({ prompt: kAsked, model: "gpt-4o" });
    await kept(gateway, 1);
    const { embedder, stand_in } = await stats_of(gateway);
    assert.match(embedder, /^onnx\/model-[0-9a-f]{16}\/64$/);
    assert.equal(stand_in.active, false);
    const hit = await hit_for(gateway, kMeant, "a hit by the model's vectors");
    assert.equal(hit.response, first.response);
    assert.deepEqual(hit.warnings, []);
    const other = await gateway.infer({ prompt: "How do I reset my username in the customer portal?", model: "gpt-4o" });
    assert.equal(other.cache_tier, 0);
    await gateway.stop();
    gateway = await restart_gateway(gateway, { fakes });
    await kept(gateway, 1);
    await hit_for(gateway, kMeant, "a hit after a restart");
    await gateway.stop();
  },
);

test("a model file that cannot be used ends the start with the name of the setting", async () => {
  for (const [env, field, rule] of [
    [{}, "embeddings.onnx.model", /needs a model file/],
    [{ ASAHI_EMBEDDINGS_ONNX_MODEL: "/nonexistent/model.onnx" }, "embeddings.onnx.model", /cannot read the model file/],
    [{ ASAHI_EMBEDDINGS_ONNX_MODEL: binary_path() }, "embeddings.onnx.tokenizer", /neither tokenizer\.json nor vocab\.txt/],
  ]) {
    const { code, stdout, stderr } = await run_asahi(["serve"], {
      env: { ASAHI_PORT: "0", ASAHI_HOST: "127.0.0.1", ASAHI_EMBEDDINGS_PROVIDER: "onnx", ...env },
    });
    assert.notEqual(code, 0);
    const said = stdout + stderr;
    assert.ok(said.includes(field), `${field}: ${said}`);
    assert.match(said, rule);
  }
});
