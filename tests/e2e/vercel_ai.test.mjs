/** The Vercel AI SDK with its OpenAI and Anthropic providers, unmodified, against the gateway. */
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { stop_everything } from "./support/processes.mjs";
import {
  createAnthropic,
  createOpenAI,
  embed,
  embedMany,
  generateObject,
  generateText,
  stepCountIs,
  streamObject,
  streamText,
  vercel_tool,
  z,
} from "./support/sdks.mjs";

const fakes = await start_fakes();
const gateway = await start_gateway({ fakes });
after(stop_everything);
beforeEach(() => fakes.reset());

globalThis.AI_SDK_LOG_WARNINGS = false;
const openai = createOpenAI({ apiKey: "unused", baseURL: `${gateway.url}/v1` });
const anthropic = createAnthropic({ apiKey: "unused", baseURL: `${gateway.url}/v1` });
const kModels = {
  chat: openai.chat("gpt-4o"),
  responses: openai.responses("gpt-4o"),
  anthropic: anthropic("claude-3-5-sonnet"),
};
const weather = vercel_tool({
  description: "Weather now",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `rain in ${city}`,
});

for (const [name, model] of Object.entries(kModels)) {
  test(`generateText answers with usage (${name})`, async () => {
    const reply = await generateText({ model, system: "be brief", prompt: "what a fine day", maxRetries: 0 });
    assert.equal(reply.text, "Answer to: what a fine day");
    assert.equal(reply.finishReason, "stop");
    assert.deepEqual([reply.usage.inputTokens, reply.usage.outputTokens], [6, 6]);
  });

  test(`streamText streams the same answer and usage (${name})`, async () => {
    const running = streamText({
      model,
      prompt: "tell me about rivers",
      maxRetries: 0,
      onError: ({ error }) => assert.fail(error),
    });
    const pieces = [];
    for await (const piece of running.textStream) pieces.push(piece);
    assert.equal(pieces.join(""), "Answer to: tell me about rivers");
    assert.ok(pieces.length >= 4);
    const usage = await running.usage;
    assert.deepEqual([usage.inputTokens, usage.outputTokens], [4, 6]);
  });

  test(`tools run over two steps, plain and streamed (${name})`, async () => {
    const call = { model, tools: { get_weather: weather }, stopWhen: stepCountIs(3), maxRetries: 0 };
    const plain = await generateText({ ...call, prompt: "[[tool:get_weather]] plain" });
    assert.equal(plain.text, "With the tool's result: rain in sample");
    assert.equal(plain.steps.length, 2);
    const streamed = streamText({
      ...call,
      prompt: "[[tool:get_weather]] streamed",
      onError: ({ error }) => assert.fail(error),
    });
    await streamed.consumeStream();
    assert.equal(await streamed.text, "With the tool's result: rain in sample");
  });

  test(`generateObject follows the schema (${name})`, async () => {
    const schema = z.object({ city: z.string(), degrees: z.number(), sky: z.enum(["clear", "cloudy"]) });
    const { object } = await generateObject({ model, schema, prompt: `weather for ${name}`, maxRetries: 0 });
    assert.deepEqual([object.city, typeof object.degrees, object.sky], ["sample", "number", "clear"]);
  });
}

test("streamObject delivers partial objects that end in the whole", async () => {
  const running = streamObject({
    model: kModels.chat,
    schema: z.object({ city: z.string() }),
    prompt: "weather in parts",
    maxRetries: 0,
  });
  let last;
  for await (const partial of running.partialObjectStream) last = partial;
  assert.deepEqual(last, { city: "sample" });
  assert.deepEqual(await running.object, last);
});

test("embed and embedMany agree", async () => {
  const model = openai.embedding("text-embedding-3-small");
  const one = await embed({ model, value: "one two three", maxRetries: 0 });
  const many = await embedMany({ model, values: ["one two three", "four"], maxRetries: 0 });
  assert.deepEqual(many.embeddings[0], one.embedding);
  assert.equal(one.usage.tokens, 3);
});

test("images reach the vendor", async () => {
  const image = Buffer.alloc(777, 5);
  const content = [
    { type: "text", text: "look" },
    { type: "image", image, mediaType: "image/png" },
  ];
  for (const model of Object.values(kModels)) {
    const reply = await generateText({ model, messages: [{ role: "user", content }], maxRetries: 0 });
    assert.equal(reply.text, "Saw 1 images: 777 bytes of image/png");
  }
});

test("a failing gateway rejects with the status", async () => {
  await assert.rejects(
    generateText({ model: openai.chat("no-such-model"), prompt: "x", maxRetries: 0 }),
    (error) => error.statusCode === 404,
  );
});
