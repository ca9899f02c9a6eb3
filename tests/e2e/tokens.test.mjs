/** Prompts in fewer tokens: what the vendor gets, what the client is told, what is counted, through OpenAI's client. */
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { stop_everything } from "./support/processes.mjs";
import { OpenAI } from "./support/sdks.mjs";
import { until } from "./support/wait.mjs";

const fakes = await start_fakes();
const gateway = await start_gateway({ fakes });
after(stop_everything);
beforeEach(() => fakes.reset());

const client = new OpenAI({ apiKey: "unused", baseURL: `${gateway.url}/v1`, maxRetries: 0 });

const wordy =
  "Hello and welcome to the team! It is very important to note that you should always make sure to answer in a polite " +
  "manner. Thank you so much for all of your help. In order to find an order, you need to ask for the number, which " +
  "starts with BW followed by 8 digits. Please note that you must never share it. You should always answer in a polite " +
  "manner. We are very proud of our wonderful team and our great products. In the event that somebody asks for a " +
  "refund after 30 days, please make sure to say that it is not possible due to the fact that our policy does not " +
  'allow it, and quote "section 4.2, in order" of it. We truly believe in people.';
const question = "Where is my order, in order to be precise?";
const facts = ["BW", "8 digits", "never share", "30 days", "not possible", "does not allow", '"section 4.2, in order"'];

/** A call that no cache answers. */
const chat = (body) =>
  client.chat.completions.create({
    model: "gpt-4o",
    bypass_cache: true,
    messages: [
      { role: "system", content: wordy },
      { role: "user", content: question },
    ],
    ...body,
  });
const sent = async () => (await fakes.requests()).at(-1).body.messages;

function check_told(told) {
  assert.equal(told.saved_tokens, told.original_tokens - told.optimized_tokens);
  assert.ok(told.saved_percent >= 30 && told.saved_percent < 50, JSON.stringify(told));
  assert.equal(told.quality_risk, "medium");
  for (const strategy of ["filler", "repeats", "template"]) assert.ok(told.strategies.includes(strategy), strategy);
}

// First: later tests' savings would be counted with it.
test("what was saved is counted as money of its own", async () => {
  const saved = async () => {
    const { text } = await gateway.get("/metrics?format=prometheus");
    return Number(/^asahi_savings_dollars_total\{phase="tokens"\} (\S+)$/m.exec(text)?.[1] ?? 0);
  };
  const reply = await chat();
  const tokens = reply.asahi.token_optimization.saved_tokens;
  await until(async () => (await saved()) > 0, { what: "the saving in the metrics" });
  // gpt-4o: 2.50 dollars for a million input tokens.
  const dollars = await saved();
  assert.ok(Math.abs(dollars - (tokens * 2.5) / 1e6) < 1e-9, `${dollars} for ${tokens} tokens`);
});

test("the vendor gets a wordy system prompt short, with its facts, and the question as it was asked", async () => {
  const reply = await chat();
  const [system, user] = await sent();
  assert.equal(system.role, "system");
  assert.ok(system.content.length < (wordy.length * 2) / 3, system.content);
  for (const fact of facts) assert.ok(system.content.includes(fact), `${fact} in ${system.content}`);
  assert.deepEqual(user, { role: "user", content: question });
  check_told(reply.asahi.token_optimization);
});

test("streams are trimmed alike, and their last chunk tells", async () => {
  await chat();
  const plain = await sent();
  let last;
  for await (const chunk of await chat({ stream: true })) last = chunk.asahi ?? last;
  assert.deepEqual(await sent(), plain);
  check_told(last.token_optimization);
});

test("optimize_tokens: false sends the prompt as it is and says nothing of saving", async () => {
  const reply = await chat({ optimize_tokens: false });
  assert.equal((await sent())[0].content, wordy);
  assert.equal(reply.asahi.token_optimization, undefined);
});

test("other shapes are trimmed too", async () => {
  const reply = await client.responses.create({
    model: "gpt-4o",
    instructions: wordy,
    input: question,
    bypass_cache: true,
  });
  check_told(reply.asahi.token_optimization);
  const native = await gateway.post("/infer", {
    prompt: question,
    system_prompt: wordy,
    model: "gpt-4o",
    bypass_cache: true,
  });
  check_told(native.body.token_optimization);
  assert.ok(native.body.optimization_techniques.includes("token_optimization"));
});
