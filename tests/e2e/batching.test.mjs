/** Batching: requests of one user share a vendor call, pay their parts of it, and never depend on each other. */
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { stop_everything } from "./support/processes.mjs";
import { redis_missing, start_redis } from "./support/redis.mjs";
import { until } from "./support/wait.mjs";

const fakes = await start_fakes();
const kBatching = {
  ASAHI_BATCHING_ENABLED: "true",
  ASAHI_BATCHING_MAX_WAIT_MS: "2000",
  ASAHI_BATCHING_GRACE_MS: "20000",
};
const gateway = await start_gateway({ fakes, env: kBatching });
after(stop_everything);
beforeEach(() => fakes.reset());

const kInstructions = `You answer questions of customers. ${"Keep to the rules of the house. ".repeat(60)}`;
const ask = (prompt, more = {}) => ({
  prompt,
  system_prompt: kInstructions,
  task_type: "faq",
  model: "gpt-4o-mini",
  latency_budget_ms: 5000,
  bypass_cache: true,
  optimize_tokens: false, // which would take most of the instructions away
  ...more,
});
const all = (bodies, at = gateway) => Promise.all(bodies.map((body) => at.infer(body)));
const questions = (count, word = "animal") => Array.from({ length: count }, (_, i) => `What is ${word} number ${i}?`);
const calls = () => fakes.requests({ vendor: "openai" });

test("ten questions under the same instructions are one call, and each gets its own answer", async () => {
  const prompts = questions(10);
  const replies = await all(prompts.map((prompt) => ask(prompt)));
  for (const [i, reply] of replies.entries()) {
    assert.equal(reply.response, `Answer to: ${prompts[i]}`);
    assert.ok(reply.optimization_techniques.includes("batching"));
    assert.equal(reply.model_used, "gpt-4o-mini");
  }
  assert.equal((await calls()).length, 1);
});

test("a shared call costs at least 30 % less for each of its requests", async () => {
  const prompts = questions(10, "plant");
  const alone = await all(prompts.map((prompt) => ask(prompt, { allow_batching: false })));
  const shared = await all(prompts.map((prompt) => ask(prompt)));
  const cost = (replies) => replies.reduce((sum, reply) => sum + reply.cost, 0);
  assert.ok(shared.every((reply) => reply.optimization_techniques.includes("batching")));
  assert.ok(cost(shared) <= 0.7 * cost(alone), `${cost(shared)} against ${cost(alone)}`);
});

test("the parts of the cost add up to what the vendor counted, to the nano-dollar", async () => {
  const marker = `stone ${Date.now()}`;
  const prompts = questions(7, marker);
  await all(prompts.map((prompt) => ask(prompt, { task_id: marker })));
  const events = await until(
    () => {
      const found = gateway.events().filter((event) => event.task_id === marker);
      return found.length === 7 ? found : undefined;
    },
    { what: "seven events" },
  );
  const sum = (name) => events.reduce((total, event) => total + event[name], 0);
  const nanos = events.reduce((total, event) => total + BigInt(Math.round(event.cost * 1e9)), 0n);
  const input = sum("input_tokens");
  const output = sum("output_tokens");
  // gpt-4o-mini: $0.00015 and $0.0006 per 1,000 tokens.
  assert.equal(nanos, BigInt(input * 150 + output * 600));
  assert.ok(sum("batching_savings") > 0);
});

test("an answer in another format sends everybody alone", async () => {
  const prompts = ["What is a fox?", "[[batch:prose]] What is an owl?"];
  const [fox, owl] = await all(prompts.map((prompt) => ask(prompt)));
  assert.equal(fox.response, "Answer to: What is a fox?");
  assert.equal(owl.response, "Answer to: What is an owl?");
  assert.ok(!fox.optimization_techniques.includes("batching"));
  assert.equal((await calls()).length, 3);
  assert.ok((await gateway.get("/metrics")).body.batching.batch_errors > 0);
});

test("a vendor that fails the shared call answers the single ones", async () => {
  await fakes.script("openai", { kind: "status", status: 500 });
  const replies = await all(questions(2, "river").map((prompt) => ask(prompt)));
  assert.ok(replies.every((reply) => reply.response.startsWith("Answer to: What is river")));
  assert.equal((await calls()).length, 3);
});

test("users, instructions and organisations are never mixed", async () => {
  const replies = await all([
    ask("What is a fox?", { user_id: "ann" }),
    ask("What is a fox?", { user_id: "bob" }),
    ask("What is a fox?", { user_id: "ann", organization_id: "rival" }),
    ask("What is a fox?", { user_id: "ann", system_prompt: `${kInstructions} Be brief.` }),
    ask("What is a fox?", { user_id: "ann", temperature: 0.3 }),
  ]);
  assert.ok(replies.every((reply) => !reply.optimization_techniques.includes("batching")));
  assert.equal((await calls()).length, 5);
});

test("whoever is alone, too hurried, or has little to share is not held up", async () => {
  const started = Date.now();
  await gateway.infer(ask("What is a fox?", { system_prompt: "Be brief." }));
  await gateway.infer(ask("What is an owl?", { latency_budget_ms: 100 }));
  await gateway.infer(ask("Write code for an owl", { task_type: "coding" }));
  assert.ok(Date.now() - started < 1500);
  assert.equal((await calls()).length, 3);
});

test("a chat in OpenAI's shape shares calls too", async () => {
  const replies = await Promise.all(
    questions(10, "tree").map((content) =>
      gateway.post("/v1/chat/completions", {
        model: "gpt-4o-mini",
        messages: [
          { role: "system", content: kInstructions },
          { role: "user", content },
        ],
        task_type: "faq",
        latency_budget_ms: 5000,
      }),
    ),
  );
  for (const [i, reply] of replies.entries()) {
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.body.choices[0].message.content, `Answer to: What is tree number ${i}?`);
    assert.equal(reply.body.asahi.batch_size, 10);
  }
  assert.equal((await calls()).length, 1);
});

test("stopping answers those who wait", async () => {
  const ending = await start_gateway({ fakes, env: { ...kBatching, ASAHI_BATCHING_MAX_WAIT_MS: "10000" } });
  const replies = all(
    questions(2, "star").map((prompt) => ask(prompt, { latency_budget_ms: 20000 })),
    ending,
  );
  await until(async () => (await ending.get("/metrics")).body.batching.queue_size === 2, { what: "two that wait" });
  const stopped = ending.stop();
  for (const reply of await replies) assert.ok(reply.response.startsWith("Answer to: What is star"));
  assert.equal((await stopped).code, 0);
});

test("metrics tell what was shared", async () => {
  const text = (await gateway.get("/metrics?format=prometheus")).text;
  assert.match(text, /asahi_batch_size_count [1-9]/);
  assert.match(text, /asahi_savings_dollars_total\{phase="batching"\} (?!0\n)[0-9]/);
  const { batching } = (await gateway.get("/metrics")).body;
  assert.equal(batching.running, true);
  assert.ok(batching.batches_executed >= 4);
  assert.equal(batching.queue_size, 0);
});

test("two workers on one Redis share a call", { skip: redis_missing() }, async () => {
  const redis = await start_redis();
  const env = {
    ...kBatching,
    ASAHI_BATCHING_BACKEND: "redis",
    REDIS_URL: redis.url,
    ASAHI_CACHE_TIER1_BACKEND: "memory",
  };
  const workers = [await start_gateway({ fakes, env }), await start_gateway({ fakes, env })];
  const prompts = questions(10, "cloud");
  const replies = await Promise.all(prompts.map((prompt, i) => workers[i % 2].infer(ask(prompt))));
  for (const [i, reply] of replies.entries()) assert.equal(reply.response, `Answer to: ${prompts[i]}`);
  const made = await calls();
  assert.ok(made.length < 5, `${made.length} calls`);
  assert.ok(replies.filter((reply) => reply.optimization_techniques.includes("batching")).length >= 8);

  // A worker that dies takes nobody with it.
  await fakes.reset();
  const later = questions(2, "storm").map((prompt) =>
    workers[0].infer(ask(prompt, { latency_budget_ms: 20000 })),
  );
  workers[1].kill();
  for (const reply of await Promise.all(later)) assert.ok(reply.response.startsWith("Answer to: What is storm"));

  // Nor does Redis.
  await redis.stop();
  const alone = await workers[0].infer(ask("What is a moon?"));
  assert.equal(alone.response, "Answer to: What is a moon?");
});
