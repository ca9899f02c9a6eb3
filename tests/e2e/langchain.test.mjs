/** LangChain's OpenAI integration, unmodified, against the gateway. */
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { stop_everything } from "./support/processes.mjs";
import {
  ChatOpenAI,
  HumanMessage,
  langchain_tool,
  OpenAIEmbeddings,
  SystemMessage,
  ToolMessage,
  z,
} from "./support/sdks.mjs";

const fakes = await start_fakes();
const gateway = await start_gateway({ fakes });
after(stop_everything);
beforeEach(() => fakes.reset());

const configuration = { baseURL: `${gateway.url}/v1` };
const model_of = (fields) =>
  new ChatOpenAI({ apiKey: "unused", model: "gpt-4o", maxRetries: 0, configuration, ...fields });
const get_weather = langchain_tool(async ({ city }) => `rain in ${city}`, {
  name: "get_weather",
  description: "Weather now",
  schema: z.object({ city: z.string() }),
});

test("invoke gives the answer and the usage", async () => {
  const reply = await model_of().invoke([new SystemMessage("be brief"), new HumanMessage("what a fine day")]);
  assert.equal(reply.content, "Answer to: what a fine day");
  assert.deepEqual([reply.usage_metadata.input_tokens, reply.usage_metadata.output_tokens], [6, 6]);
  assert.equal(reply.response_metadata.finish_reason, "stop");
});

test("stream gives the answer piece by piece with the usage of the whole", async () => {
  let joined;
  let pieces = 0;
  for await (const chunk of await model_of().stream("tell me about rivers")) {
    joined = joined ? joined.concat(chunk) : chunk;
    pieces += chunk.content ? 1 : 0;
  }
  assert.equal(joined.content, "Answer to: tell me about rivers");
  assert.ok(pieces >= 4);
  assert.deepEqual([joined.usage_metadata.input_tokens, joined.usage_metadata.output_tokens], [4, 6]);
});

test("a bound tool is called and its result answered", async () => {
  const bound = model_of().bindTools([get_weather]);
  const question = new HumanMessage("[[tool:get_weather]] please");
  const called = await bound.invoke([question]);
  assert.equal(called.tool_calls[0].name, "get_weather");
  const result = await get_weather.invoke(called.tool_calls[0]);
  assert.ok(result instanceof ToolMessage);
  const done = await bound.invoke([question, called, result]);
  assert.equal(done.content, "With the tool's result: rain in sample");
});

test("structured output follows the schema by every method", async () => {
  const schema = z.object({ city: z.string(), warm: z.boolean() });
  for (const method of ["jsonSchema", "functionCalling"]) {
    const reply = await model_of()
      .withStructuredOutput(schema, { method, name: "weather" })
      .invoke(`fill it with ${method}`);
    assert.deepEqual(reply, { city: "sample", warm: true }, method);
  }
});

test("a batch of prompts keeps its order", async () => {
  const prompts = Array.from({ length: 20 }, (_, i) => `prompt number ${i}`);
  const replies = await model_of().batch(prompts);
  assert.deepEqual(
    replies.map((reply) => reply.content),
    prompts.map((prompt) => `Answer to: ${prompt}`),
  );
});

test("embeddings work for one query and many documents", async () => {
  const embeddings = new OpenAIEmbeddings({
    apiKey: "unused",
    model: "text-embedding-3-small",
    dimensions: 64,
    configuration,
    maxRetries: 0,
  });
  const query = await embeddings.embedQuery("one two three");
  const documents = await embeddings.embedDocuments(["one two three", "something else"]);
  assert.equal(query.length, 64);
  assert.deepEqual(documents[0], query);
});

test("the responses API works too", async () => {
  const reply = await model_of({ useResponsesApi: true }).invoke("hello there");
  assert.equal(reply.text, "Answer to: hello there");
});

test("a refused request rejects with status 400", async () => {
  await assert.rejects(model_of({ temperature: 9 }).invoke("x"), (error) => error.status === 400);
});
