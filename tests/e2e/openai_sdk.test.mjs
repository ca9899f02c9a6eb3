/** OpenAI's own client, unmodified, against the gateway. */
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { stop_everything } from "./support/processes.mjs";
import { OpenAI, z, zodResponseFormat, zodTextFormat } from "./support/sdks.mjs";

const fakes = await start_fakes();
const gateway = await start_gateway({ fakes, env: { ASAHI_PROVIDERS_MAX_ATTEMPTS: "2" } });
after(stop_everything);
beforeEach(() => fakes.reset());

const client = new OpenAI({ apiKey: "unused", baseURL: `${gateway.url}/v1`, maxRetries: 0 });
const say = (content) => [{ role: "user", content }];
/** A call that no cache answers. */
const chat = (body) => client.chat.completions.create({ model: "gpt-4o", bypass_cache: true, ...body });
const city_schema = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const weather = {
  type: "function",
  function: { name: "get_weather", description: "Weather now", parameters: city_schema },
};

/** An answer's message as a client sends it back: without what the client's helpers parsed into it. */
const sent_back = ({ role, content, tool_calls }) => ({
  role,
  content,
  tool_calls: tool_calls.map(({ id, type, function: f }) => ({
    id,
    type,
    function: { name: f.name, arguments: f.arguments },
  })),
});

async function collect(stream) {
  const all = { text: "", chunks: [], usage: null, finish: null };
  for await (const chunk of stream) {
    all.chunks.push(chunk);
    all.text += chunk.choices[0]?.delta?.content ?? "";
    all.finish = chunk.choices[0]?.finish_reason ?? all.finish;
    all.usage = chunk.usage ?? all.usage;
  }
  return all;
}

test("a chat answer has OpenAI's shape, the vendor's usage and the gateway's own object", async () => {
  const reply = await chat({ messages: [{ role: "system", content: "be brief" }, ...say("what a fine day")] });
  assert.match(reply.id, /^chatcmpl-[A-Za-z0-9]{24,}$/);
  assert.equal(reply.object, "chat.completion");
  assert.ok(Math.abs(reply.created - Date.now() / 1000) < 60);
  assert.equal(reply.choices.length, 1);
  assert.deepEqual([reply.choices[0].index, reply.choices[0].finish_reason], [0, "stop"]);
  assert.deepEqual(
    [reply.choices[0].message.role, reply.choices[0].message.content],
    ["assistant", "Answer to: what a fine day"],
  );
  assert.deepEqual([reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens], [6, 6, 12]);
  // 6 tokens at $0.0025 and 6 at $0.010 per thousand; the baseline costs 0.010 and 0.030.
  assert.equal(reply.asahi.cost, 0.000075);
  assert.equal(reply.asahi.cost_original, 0.00024);
  assert.equal(reply.asahi.savings_usd, 0.000165);
  assert.deepEqual(
    [reply.asahi.cache_hit, reply.asahi.cache_tier, reply.asahi.routing_mode, reply.asahi.provider],
    [false, 0, "explicit", "openai"],
  );
  assert.match(reply.asahi.request_id, /^req_[0-9a-f]{12}$/);
});

test("the vendor gets the structured messages and none of the gateway's own fields", async () => {
  await chat({
    messages: [{ role: "developer", content: "rules" }, ...say([{ type: "text", text: "hello" }])],
    temperature: 0.5,
    seed: 7,
    routing_mode: "explicit",
    document_id: "doc-1",
    user: "u-1",
  });
  const [{ body }] = await fakes.requests({ vendor: "openai" });
  assert.equal(body.messages[0].role, "developer");
  assert.deepEqual([body.temperature, body.seed, body.model], [0.5, 7, "gpt-4o"]);
  for (const name of ["bypass_cache", "routing_mode", "document_id"])
    assert.ok(!(name in body), `${name} reached the vendor`);
});

test("a streamed answer equals the unstreamed one, its usage too", async () => {
  for (const marker of [
    "",
    "[[usage:cached]]",
    "[[usage:reasoning]]",
    "[[usage:audio]]",
    "[[usage:with_finish]]",
    "[[usage:last_chunk_only]]",
  ]) {
    const messages = say(`${marker} tell me about rivers`);
    const plain = await chat({ messages });
    const streamed = await collect(await chat({ messages, stream: true, stream_options: { include_usage: true } }));
    assert.equal(streamed.text, plain.choices[0].message.content, marker);
    assert.equal(streamed.finish, "stop", marker);
    assert.deepEqual(streamed.usage, plain.usage, marker);
    assert.equal(streamed.chunks[0].choices[0].delta.role, "assistant");
    assert.ok(
      streamed.chunks.every((chunk) => chunk.object === "chat.completion.chunk" && chunk.id === streamed.chunks[0].id),
    );
  }
});

test("usage is left out of a stream that did not ask for it, and the gateway still counts it", async () => {
  const streamed = await collect(await chat({ messages: say("hello there"), stream: true }));
  assert.equal(streamed.usage, null);
  assert.ok(
    streamed.chunks.every((chunk) => chunk.choices.length > 0),
    "a chunk without choices surprises clients",
  );
  const last = streamed.chunks.at(-1);
  assert.equal(last.choices[0].finish_reason, "stop");
  assert.ok(last.asahi.cost > 0);
});

test("an answer without usage is counted by estimate", async () => {
  const reply = await chat({ messages: say("[[usage:none]] hello there") });
  assert.ok(reply.usage.prompt_tokens > 0 && reply.usage.completion_tokens > 0);
  const streamed = await collect(
    await chat({ messages: say("[[usage:none]] hello there"), stream: true, stream_options: { include_usage: true } }),
  );
  assert.deepEqual(
    [streamed.usage.prompt_tokens, streamed.usage.completion_tokens],
    [reply.usage.prompt_tokens, reply.usage.completion_tokens],
  );
});

for (const model of ["gpt-4o", "claude-3-5-sonnet"]) {
  test(`a tool round trip works plain and streamed with ${model}`, async () => {
    for (const stream of [false, true]) {
      const messages = say(`[[tool:get_weather]] how is it (${stream})`);
      let called;
      if (stream)
        called = await client.chat.completions
          .stream({ model, messages, tools: [weather], bypass_cache: true })
          .finalChatCompletion();
      else called = await chat({ model, messages, tools: [weather] });
      const [choice] = called.choices;
      assert.equal(choice.finish_reason, "tool_calls");
      const [call] = choice.message.tool_calls;
      assert.deepEqual(
        [call.type, call.function.name, JSON.parse(call.function.arguments)],
        ["function", "get_weather", { city: "sample" }],
      );
      const done = await chat({
        model,
        tools: [weather],
        messages: [
          ...messages,
          sent_back(choice.message),
          { role: "tool", tool_call_id: call.id, content: "12 degrees" },
        ],
      });
      assert.equal(done.choices[0].message.content, "With the tool's result: 12 degrees");
    }
  });
}

test("two tool calls of one answer stay apart when streamed", async () => {
  const clock = { type: "function", function: { name: "get_time", parameters: { type: "object", properties: {} } } };
  const final = await client.chat.completions
    .stream({
      model: "gpt-4o",
      messages: say("[[tools:get_weather,get_time]]"),
      tools: [weather, clock],
      bypass_cache: true,
    })
    .finalChatCompletion();
  assert.deepEqual(
    final.choices[0].message.tool_calls.map((call) => [call.function.name, call.function.arguments]),
    [
      ["get_weather", '{"city":"sample"}'],
      ["get_time", "{}"],
    ],
  );
});

test("structured output parses into a zod schema", async () => {
  const Person = z.object({
    name: z.string(),
    age: z.number().int(),
    kind: z.enum(["friend", "foe"]),
    tags: z.array(z.string()),
  });
  const reply = await client.chat.completions.parse({
    model: "gpt-4o",
    messages: say("who"),
    response_format: zodResponseFormat(Person, "person"),
    bypass_cache: true,
  });
  const { name, age, kind, tags } = reply.choices[0].message.parsed;
  assert.deepEqual([name, Number.isInteger(age), kind, tags], ["sample", true, "friend", ["sample"]]);
});

test("images arrive at the vendor byte for byte", async () => {
  const png = Buffer.alloc(4321, 7).toString("base64");
  const content = [
    { type: "text", text: "look" },
    { type: "image_url", image_url: { url: `data:image/png;base64,${png}`, detail: "low" } },
    { type: "image_url", image_url: { url: "https://example.com/cat.jpg" } },
  ];
  const reply = await chat({ messages: say(content) });
  assert.equal(reply.choices[0].message.content, "Saw 2 images: 4321 bytes of image/png, https://example.com/cat.jpg");
  const translated = await chat({ model: "claude-3-5-sonnet", messages: say(content) });
  assert.equal(translated.choices[0].message.content, reply.choices[0].message.content);
});

test("embeddings come as floats and as base64 of the same numbers, in order, any number of them", async () => {
  const input = Array.from({ length: 200 }, (_, i) => `text number ${i}`);
  const options = { model: "text-embedding-3-small", dimensions: 32 };
  const floats = await client.embeddings.create({ ...options, input, encoding_format: "float" });
  assert.equal(floats.data.length, 200);
  assert.deepEqual(
    floats.data.map((entry) => entry.index),
    input.map((_, i) => i),
  );
  const decoded = await client.embeddings.create({ ...options, input }); // the client asks for base64 itself
  assert.deepEqual(decoded.data[7].embedding.map(Math.fround), floats.data[7].embedding.map(Math.fround));
  assert.equal(floats.usage.prompt_tokens, 600);
  const one = await client.embeddings.create({ ...options, input: "text number 7", encoding_format: "float" });
  assert.deepEqual(one.data[0].embedding.map(Math.fround), floats.data[7].embedding.map(Math.fround));
});

test("the responses API answers plain and streamed, with equal usage", async () => {
  const plain = await client.responses.create({
    model: "gpt-4o",
    input: "hello there",
    instructions: "be kind",
    bypass_cache: true,
  });
  assert.deepEqual(
    [plain.object, plain.status, plain.output_text],
    ["response", "completed", "Answer to: hello there"],
  );
  assert.match(plain.id, /^resp_/);
  assert.ok(plain.asahi.cost > 0);
  const stream = client.responses.stream({
    model: "gpt-4o",
    input: "hello there",
    instructions: "be kind",
    bypass_cache: true,
  });
  let text = "";
  const types = [];
  for await (const event of stream) {
    types.push(event.type);
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  const final = await stream.finalResponse();
  assert.deepEqual([text, final.output_text], [plain.output_text, plain.output_text]);
  assert.deepEqual(final.usage, plain.usage);
  assert.equal(types[0], "response.created");
  assert.equal(types.at(-1), "response.completed");
});

for (const model of ["gpt-4o", "claude-3-5-sonnet"]) {
  test(`the responses API calls tools and takes their results with ${model}`, async () => {
    const tools = [{ type: "function", name: "get_weather", parameters: city_schema, strict: true }];
    const input = say("[[tool:get_weather]] please");
    const called = await client.responses.stream({ model, input, tools, bypass_cache: true }).finalResponse();
    const { parsed_arguments, ...call } = called.output.find((item) => item.type === "function_call");
    assert.deepEqual(parsed_arguments, { city: "sample" });
    assert.equal(call.name, "get_weather");
    const done = await client.responses.create({
      model,
      tools,
      bypass_cache: true,
      input: [...input, call, { type: "function_call_output", call_id: call.call_id, output: "12 degrees" }],
    });
    assert.equal(done.output_text, "With the tool's result: 12 degrees");
  });
}

test("the responses API parses structured output", async () => {
  const Shape = z.object({ word: z.string() });
  const reply = await client.responses.parse({
    model: "gpt-4o",
    input: "fill",
    text: { format: zodTextFormat(Shape, "shape") },
    bypass_cache: true,
  });
  assert.deepEqual(reply.output_parsed, { word: "sample" });
});

test("models are listed and retrieved with their vendor", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push([model.id, model.owned_by]);
  assert.ok(names.some(([id, owner]) => id === "gpt-4o" && owner === "openai"));
  assert.ok(names.some(([id, owner]) => id === "claude-3-5-sonnet" && owner === "anthropic"));
  const one = await client.models.retrieve("gpt-4o");
  assert.deepEqual([one.id, one.object, one.owned_by], ["gpt-4o", "model", "openai"]);
  await assert.rejects(client.models.retrieve("no-such-model"), OpenAI.NotFoundError);
});

test("an unknown model raises NotFoundError with code model_not_found", async () => {
  await assert.rejects(chat({ model: "no-such-model", messages: say("x") }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.deepEqual([error.code, error.type], ["model_not_found", "invalid_request_error"]);
    assert.match(error.message, /no-such-model/);
    return true;
  });
});

test("a broken request raises BadRequestError that names the parameter", async () => {
  const cases = [
    [{ messages: [] }, "messages"],
    [{ messages: say("x"), temperature: 7 }, "temperature"],
    [{ messages: say("x"), max_tokens: 0 }, "max_tokens"],
    [{ messages: [{ role: "wizard", content: "x" }] }, "messages[0].role"],
    [{ messages: say("x"), n: 2 }, "n"],
  ];
  for (const [body, param] of cases) {
    await assert.rejects(chat(body), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError, `${param}: ${error}`);
      assert.equal(error.param, param);
      assert.equal(error.type, "invalid_request_error");
      return true;
    });
  }
});

test("what only the vendor can refuse raises BadRequestError with the vendor's reason, without a retry", async () => {
  await assert.rejects(chat({ messages: say("x"), frequency_penalty: 5 }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.match(error.message, /frequency_penalty/);
    return true;
  });
  assert.equal((await fakes.requests()).length, 1);
});

test("vendors that are out of capacity raise RateLimitError, failing ones InternalServerError", async () => {
  await fakes.script("*", { kind: "status", status: 429, headers: { "retry-after": "1" }, times: "forever" });
  await assert.rejects(chat({ messages: say("x") }), (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError);
    assert.ok(Number(error.headers.get("retry-after")) >= 1);
    return true;
  });
  await fakes.reset();
  await fakes.script("*", { kind: "status", status: 500, times: "forever" });
  await assert.rejects(
    chat({ messages: say("x") }),
    (error) => error instanceof OpenAI.InternalServerError && error.status === 503,
  );
});

test("a stream that breaks off and cannot go on raises in the client", async (t) => {
  const strict = await start_gateway({ fakes, vendors: ["openai"] });
  t.after(() => strict.stop());
  const direct = new OpenAI({ apiKey: "unused", baseURL: `${strict.url}/v1`, maxRetries: 0 });
  for (const kind of ["cut_stream", "end_early", "error_event_mid_stream"]) {
    await fakes.script("openai", { kind, after_chunks: 4, times: "forever" });
    let text = "";
    await assert.rejects(
      async () => {
        const stream = await direct.chat.completions.create({
          model: "gpt-4o",
          messages: say("[[answer:20]]"),
          stream: true,
          bypass_cache: true,
        });
        for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
      },
      OpenAI.APIError,
      kind,
    );
    assert.match(text, /^word1 word2/, kind);
    await fakes.reset();
  }
});
