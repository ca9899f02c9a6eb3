/** The public clients talk to the fakes directly: what they accept here, they accept from the real vendors. */
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { start_fakes } from "../e2e/support/fakes.mjs";
import { stop_everything } from "../e2e/support/processes.mjs";
import { Anthropic, OpenAI, toFile, z, zodResponseFormat } from "../e2e/support/sdks.mjs";
import { all_sse_frames } from "../e2e/support/sse.mjs";
import { until } from "../e2e/support/wait.mjs";

const fakes = await start_fakes();
after(stop_everything);
beforeEach(() => fakes.reset());

const openai = new OpenAI({ apiKey: "test-openai", baseURL: `${fakes.base("openai")}/v1`, maxRetries: 0 });
const anthropic = new Anthropic({ apiKey: "test-anthropic", baseURL: fakes.base("anthropic"), maxRetries: 0 });
const say = (content) => [{ role: "user", content }];
const weather_schema = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const weather_tool = {
  type: "function",
  function: { name: "get_weather", description: "Weather now", parameters: weather_schema },
};

test("OpenAI's client reads a chat answer with usage counted in words", async () => {
  const reply = await openai.chat.completions.create({ model: "gpt-4o", messages: say("what a fine day") });
  assert.equal(reply.choices[0].message.content, "Answer to: what a fine day");
  assert.deepEqual([reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens], [4, 6, 10]);
});

test("OpenAI's client collects a stream into the unstreamed answer, tools included", async () => {
  const stream = openai.chat.completions.stream({
    model: "gpt-4o",
    messages: say("[[tool:get_weather]] now"),
    tools: [weather_tool],
    stream_options: { include_usage: true },
  });
  const final = await stream.finalChatCompletion();
  assert.equal(final.choices[0].finish_reason, "tool_calls");
  assert.deepEqual(JSON.parse(final.choices[0].message.tool_calls[0].function.arguments), { city: "sample" });
  assert.equal(final.usage.prompt_tokens, 2);
});

test("a stream without stream_options carries no usage, with it one last chunk without choices", async () => {
  const chunks_of = async (extra) => {
    const chunks = [];
    for await (const chunk of await openai.chat.completions.create({
      model: "gpt-4o",
      messages: say("hello"),
      stream: true,
      ...extra,
    }))
      chunks.push(chunk);
    return chunks;
  };
  assert.ok((await chunks_of({})).every((chunk) => !("usage" in chunk)));
  const counted = await chunks_of({ stream_options: { include_usage: true } });
  assert.deepEqual(counted.at(-1).choices, []);
  assert.equal(counted.at(-1).usage.total_tokens, 4);
  const with_finish = await openai.chat.completions.create({
    model: "gpt-4o",
    messages: say("[[usage:with_finish]] x"),
    stream: true,
    stream_options: { include_usage: true },
  });
  let finish;
  for await (const chunk of with_finish) if (chunk.choices[0]?.finish_reason) finish = chunk;
  assert.ok(finish.usage.total_tokens > 0);
});

test("structured output follows a zod schema", async () => {
  const Shape = z.object({
    name: z.string(),
    count: z.number().int(),
    kind: z.enum(["a", "b"]),
    tags: z.array(z.string()),
  });
  const reply = await openai.chat.completions.parse({
    model: "gpt-4o",
    messages: say("fill it"),
    response_format: zodResponseFormat(Shape, "shape"),
  });
  assert.equal(reply.choices[0].message.parsed.kind, "a");
});

test("images are counted by size and URL", async () => {
  const png = Buffer.alloc(321, 7).toString("base64");
  const reply = await openai.chat.completions.create({
    model: "gpt-4o",
    messages: say([
      { type: "text", text: "look" },
      { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } },
      { type: "image_url", image_url: { url: "https://example.com/cat.jpg" } },
    ]),
  });
  assert.equal(reply.choices[0].message.content, "Saw 2 images: 321 bytes of image/png, https://example.com/cat.jpg");
});

test("embeddings come as floats and, by the client's default, as base64 of the same numbers", async () => {
  const as_floats = await openai.embeddings.create({
    model: "text-embedding-3-small",
    input: ["one two", "three"],
    dimensions: 16,
    encoding_format: "float",
  });
  const as_base64 = await openai.embeddings.create({
    model: "text-embedding-3-small",
    input: ["one two", "three"],
    dimensions: 16,
  });
  assert.deepEqual(as_base64.data[0].embedding, as_floats.data[0].embedding);
  assert.equal(as_floats.usage.prompt_tokens, 3);
});

test("the responses API answers, streams, calls tools and remembers by previous_response_id", async () => {
  const plain = await openai.responses.create({ model: "gpt-4o", input: "hello there" });
  assert.equal(plain.output_text, "Answer to: hello there");
  const next = await openai.responses.create({ model: "gpt-4o", input: "again", previous_response_id: plain.id });
  assert.equal(next.usage.input_tokens, 2 + 4 + 1);

  const tool = { type: "function", name: "get_weather", parameters: weather_schema, strict: true };
  const stream = openai.responses.stream({ model: "gpt-4o", input: "[[tool:get_weather]] please", tools: [tool] });
  const called = await stream.finalResponse();
  const [call] = called.output;
  assert.deepEqual(
    [call.type, call.name, JSON.parse(call.arguments)],
    ["function_call", "get_weather", { city: "sample" }],
  );
  const done = await openai.responses.create({
    model: "gpt-4o",
    tools: [tool],
    previous_response_id: called.id,
    input: [{ type: "function_call_output", call_id: call.call_id, output: "12 degrees" }],
  });
  assert.equal(done.output_text, "With the tool's result: 12 degrees");
});

test("OpenAI refuses unknown fields, wrong keys, unknown models and sampling on reasoning models", async () => {
  const refused = (body, client = openai) =>
    client.chat.completions.create({ model: "gpt-4o", messages: say("x"), ...body }).then(
      () => assert.fail("it was accepted"),
      (error) => [error.status, error.code, error.param],
    );
  assert.deepEqual(await refused({ asahi: {} }), [400, "unknown_parameter", "asahi"]);
  assert.deepEqual(await refused({ temperature: 3 }), [400, "decimal_above_max_value", "temperature"]);
  assert.deepEqual(await refused({ messages: [] }), [400, "invalid_value", "messages"]);
  assert.deepEqual(await refused({ model: "claude-3-5-sonnet" }), [404, "model_not_found", null]);
  assert.deepEqual(await refused({ model: "o3", max_tokens: 5 }), [400, "unsupported_parameter", "max_tokens"]);
  assert.deepEqual(await refused({ messages: [{ role: "tool", content: "x", tool_call_id: "nope" }] }), [
    400,
    null,
    "messages.[0].role",
  ]);
  const stranger = new OpenAI({ apiKey: "sk-real", baseURL: openai.baseURL, maxRetries: 0 });
  assert.deepEqual(await refused({}, stranger), [401, "invalid_api_key", null]);
});

test("Anthropic's client reads messages, streams with tools, and counts tokens", async () => {
  const tools = [{ name: "get_weather", description: "Weather now", input_schema: weather_schema }];
  const plain = await anthropic.messages.create({
    model: "claude-3-5-sonnet",
    max_tokens: 100,
    messages: say("hello [[usage:cached]] to you all"),
  });
  assert.equal(plain.content[0].text, "Answer to: hello  to you all");
  assert.deepEqual(
    [plain.usage.input_tokens, plain.usage.cache_read_input_tokens, plain.usage.cache_creation_input_tokens],
    [2, 2, 1],
  );

  const called = await anthropic.messages
    .stream({ model: "claude-3-5-sonnet", max_tokens: 100, messages: say("[[tool:get_weather]]"), tools })
    .finalMessage();
  assert.equal(called.stop_reason, "tool_use");
  assert.deepEqual(called.content[0].input, { city: "sample" });
  const done = await anthropic.messages.create({
    model: "claude-3-5-sonnet",
    max_tokens: 100,
    tools,
    messages: [
      ...say("[[tool:get_weather]]"),
      { role: "assistant", content: called.content },
      { role: "user", content: [{ type: "tool_result", tool_use_id: called.content[0].id, content: "rain" }] },
    ],
  });
  assert.equal(done.content[0].text, "With the tool's result: rain");
  assert.equal(
    (await anthropic.messages.countTokens({ model: "claude-3-5-sonnet", messages: say("one two three") })).input_tokens,
    3,
  );
});

test("Anthropic refuses a missing max_tokens, unknown fields and wrong keys in its own error shape", async () => {
  const refused = (body, client = anthropic) =>
    client.messages.create({ model: "claude-3-5-sonnet", max_tokens: 9, messages: say("x"), ...body }).then(
      () => assert.fail("it was accepted"),
      (error) => [error.status, error.error.error.type, error.error.error.message],
    );
  assert.deepEqual(await refused({ max_tokens: undefined }), [
    400,
    "invalid_request_error",
    "max_tokens: Field required",
  ]);
  assert.deepEqual(await refused({ seed: 1 }), [400, "invalid_request_error", "seed: Extra inputs are not permitted"]);
  assert.deepEqual((await refused({ temperature: 1.5 }))[0], 400);
  assert.deepEqual((await refused({ model: "gpt-4o" }))[1], "not_found_error");
  const stranger = new Anthropic({ apiKey: "sk-real", baseURL: anthropic.baseURL, maxRetries: 0 });
  assert.deepEqual((await refused({}, stranger)).slice(0, 2), [401, "authentication_error"]);
});

async function post(vendor, path, body, headers = {}) {
  const response = await fetch(fakes.base(vendor) + path, { method: "POST", body: JSON.stringify(body), headers });
  return { status: response.status, response };
}

test("Google answers plain and as SSE, with thinking counted beside the candidates", async () => {
  const key = { "x-goog-api-key": "test-google" };
  const body = {
    contents: [{ role: "user", parts: [{ text: "[[usage:reasoning]] hello" }] }],
    systemInstruction: { parts: [{ text: "be kind" }] },
  };
  const plain = await (
    await post("google", "/v1beta/models/gemini-2.5-flash:generateContent", body, key)
  ).response.json();
  assert.equal(plain.candidates[0].content.parts[0].text, "Answer to: hello");
  assert.deepEqual([plain.usageMetadata.candidatesTokenCount, plain.usageMetadata.thoughtsTokenCount], [3, 16]);
  const streamed = await post("google", "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", body, key);
  const frames = (await all_sse_frames(streamed.response)).map((frame) => JSON.parse(frame.data));
  assert.equal(frames.map((f) => f.candidates[0].content.parts[0].text).join(""), "Answer to: hello");
  assert.equal(frames.at(-1).candidates[0].finishReason, "STOP");

  const unknown = await post("google", "/v1beta/models/gemini-2.5-flash:generateContent", { ...body, seed: 1 }, key);
  assert.equal(unknown.status, 400);
  assert.match((await unknown.response.json()).error.message, /Unknown name "seed"/);
  const schema = {
    ...body,
    generationConfig: { responseMimeType: "application/json", responseSchema: weather_schema },
  };
  const refused = await post("google", "/v1beta/models/gemini-2.5-flash:generateContent", schema, key);
  assert.match(
    (await refused.response.json()).error.message,
    /"additionalProperties" at 'generation_config.response_schema'/,
  );
});

test("Cohere embeds up to 96 texts, and not without an input type", async () => {
  const key = { authorization: "Bearer test-cohere" };
  const body = {
    model: "embed-english-v3.0",
    texts: ["one", "two"],
    input_type: "search_document",
    embedding_types: ["float"],
  };
  const reply = await (await post("cohere", "/v2/embed", body, key)).response.json();
  assert.deepEqual(
    reply.embeddings.float.map((v) => v.length),
    [1024, 1024],
  );
  assert.equal((await post("cohere", "/v2/embed", { ...body, texts: Array(97).fill("x") }, key)).status, 400);
  assert.equal((await post("cohere", "/v2/embed", { ...body, input_type: undefined }, key)).status, 400);
});

test("Ollama streams NDJSON unless told otherwise", async () => {
  const body = { model: "llama3.2", messages: say("hello") };
  const lines = (await (await post("ollama", "/api/chat", body)).response.text())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(lines.map((line) => line.message.content).join(""), "Answer to: hello");
  assert.deepEqual([lines.at(-1).done, lines.at(-1).eval_count], [true, 3]);
  const plain = await (await post("ollama", "/api/chat", { ...body, stream: false })).response.json();
  assert.equal(plain.message.content, "Answer to: hello");
});

test("Mistral refuses what it has not got; DeepSeek sends usage with the finish", async () => {
  const key = { authorization: "Bearer test-key" };
  const refused = await post(
    "mistral",
    "/v1/chat/completions",
    { model: "mistral-small-latest", messages: say("x"), stream: true, stream_options: { include_usage: true } },
    key,
  );
  assert.equal(refused.status, 422);
  assert.deepEqual((await refused.response.json()).message.detail[0].loc, ["body", "stream_options", "include_usage"]);
  const streamed = await post(
    "deepseek",
    "/v1/chat/completions",
    { model: "deepseek-reasoner", messages: say("x"), stream: true, stream_options: { include_usage: true } },
    key,
  );
  const frames = await all_sse_frames(streamed.response);
  assert.equal(frames.at(-1).data, "[DONE]");
  assert.ok(JSON.parse(frames.at(-2).data).usage.total_tokens > 0);
  assert.ok(frames.some((frame) => frame.data.includes("reasoning_content")));
});

test("scripted faults are consumed in order and recorded", async () => {
  await fakes.script(
    "openai",
    { kind: "status", status: 429, headers: { "retry-after": "1" } },
    { kind: "garbage_json" },
    { kind: "close_early" },
    { kind: "reset" },
    { kind: "none" },
  );
  const call = () => openai.chat.completions.create({ model: "gpt-4o", messages: say("x") });
  await assert.rejects(
    call(),
    (error) => error.status === 429 && error.headers.get("retry-after") === "1" && error.type === "requests",
  );
  await assert.rejects(call(), /JSON/);
  await assert.rejects(call());
  await assert.rejects(call(), OpenAI.APIConnectionError);
  await call();
  const seen = await fakes.requests({ vendor: "openai" });
  assert.deepEqual(
    seen.map((request) => request.fault),
    ["status", "garbage_json", "close_early", "reset", null],
  );
  assert.equal(seen[0].headers.authorization, "***");
});

test("streams can be cut, ended early, stalled and poisoned", async () => {
  const text_of = async (timeout) => {
    let text = "";
    const stream = await openai.chat.completions.create(
      { model: "gpt-4o", messages: say("[[answer:9]]"), stream: true },
      { signal: AbortSignal.timeout(timeout ?? 5000) },
    );
    try {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
      return [text, null];
    } catch (error) {
      return [text, error];
    }
  };
  await fakes.script(
    "openai",
    { kind: "cut_stream", after_chunks: 3 },
    { kind: "end_early", after_chunks: 3 },
    { kind: "error_event_mid_stream", after_chunks: 3 },
    { kind: "stall_stream", after_chunks: 3 },
  );
  const [cut, cut_error] = await text_of();
  assert.deepEqual([cut, cut_error !== null], ["word1 word2 ", true]);
  assert.deepEqual(await text_of(), ["word1 word2 ", null]);
  const [, poisoned] = await text_of();
  assert.match(poisoned.message, /Overloaded/);
  const [stalled] = await text_of(300);
  assert.equal(stalled, "word1 word2 ");
  const dropped = await until(async () => (await fakes.requests()).find((request) => request.aborted), {
    what: "the fake to see the client leave",
  });
  assert.equal(dropped.fault, "stall_stream");
  assert.ok(dropped.aborted_at_ms > dropped.received_at_ms);
});

test("OpenAI's client runs a batch: upload, create, poll, download", async () => {
  const row = (custom_id, content) =>
    JSON.stringify({
      custom_id,
      method: "POST",
      url: "/v1/chat/completions",
      body: { model: "gpt-4o-mini", messages: say(content) },
    });
  const file = await toFile(Buffer.from(`${row("a", "one")}\n${row("b", "two")}\n`), "rows.jsonl");
  const { id: input_file_id } = await openai.files.create({ file, purpose: "batch" });
  const valid = { input_file_id, endpoint: "/v1/chat/completions", completion_window: "24h", metadata: { job: "1" } };
  await fakes.config("openai", { batch: { errors: [{ match: "two", status: 429 }] } });
  const { id } = await openai.batches.create(valid);
  const batch = await until(
    async () => {
      const now = await openai.batches.retrieve(id);
      return now.status === "completed" ? now : undefined;
    },
    { what: "the batch to end" },
  );
  assert.deepEqual(batch.request_counts, { total: 2, completed: 1, failed: 1 });
  assert.deepEqual(batch.metadata, { job: "1" });
  const line = async (file_id) => JSON.parse(await (await openai.files.content(file_id)).text());
  assert.equal((await line(batch.output_file_id)).response.body.choices[0].message.content, "Answer to: one");
  assert.equal((await line(batch.error_file_id)).response.status_code, 429);
  await assert.rejects(openai.batches.create({ ...valid, input_file_id: "file-none" }), { status: 404 });
});

test("Anthropic's client runs a batch of messages", async () => {
  await fakes.config("anthropic", { batch: { expire_after: 1 } });
  const params = { model: "claude-3-5-haiku", max_tokens: 50, messages: say("one") };
  const { id } = await anthropic.messages.batches.create({
    requests: [
      { custom_id: "a", params },
      { custom_id: "b", params },
    ],
  });
  await until(async () => (await anthropic.messages.batches.retrieve(id)).processing_status === "ended", {
    what: "the batch to end",
  });
  const response = await fetch(`${fakes.base("anthropic")}/v1/messages/batches/${id}/results`, {
    headers: { "x-api-key": "test-anthropic", "anthropic-version": "2023-06-01" },
  });
  const results = (await response.text())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    results.map(({ custom_id, result }) => [custom_id, result.type]),
    [
      ["b", "expired"],
      ["a", "succeeded"],
    ],
  );
  assert.equal(results[1].result.message.content[0].text, "Answer to: one");
});
