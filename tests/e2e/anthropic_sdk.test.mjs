/** Anthropic's own client, unmodified, against the gateway. */
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { stop_everything } from "./support/processes.mjs";
import { Anthropic } from "./support/sdks.mjs";

const fakes = await start_fakes();
const gateway = await start_gateway({ fakes, env: { ASAHI_PROVIDERS_MAX_ATTEMPTS: "2" } });
after(stop_everything);
beforeEach(() => fakes.reset());

const client = new Anthropic({ apiKey: "unused", baseURL: gateway.url, maxRetries: 0 });
const say = (content) => [{ role: "user", content }];
const with_defaults = (body) => ({ model: "claude-3-5-sonnet", max_tokens: 200, bypass_cache: true, ...body });
const create = (body) => client.messages.create(with_defaults(body));
const stream = (body) => client.messages.stream(with_defaults(body));
const tools = [
  {
    name: "get_weather",
    description: "Weather now",
    input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
];

test("a message has Anthropic's shape, the vendor's usage and the gateway's own object", async () => {
  const reply = await create({ messages: say("what a fine day"), system: "be brief" });
  assert.match(reply.id, /^msg_/);
  assert.deepEqual(
    [reply.type, reply.role, reply.model, reply.stop_reason],
    ["message", "assistant", "claude-3-5-sonnet", "end_turn"],
  );
  assert.deepEqual(reply.content, [{ type: "text", text: "Answer to: what a fine day" }]);
  assert.deepEqual([reply.usage.input_tokens, reply.usage.output_tokens], [6, 6]);
  assert.equal(reply.asahi.cost, 0.000108); // 6 tokens at $0.003 and 6 at $0.015 per thousand
  assert.equal(reply.asahi.provider, "anthropic");
});

test("a streamed message equals the unstreamed one, cache counts of the usage too", async () => {
  for (const marker of ["", "[[usage:cached]]"]) {
    const messages = say(`${marker} tell me about rivers and lakes`);
    const plain = await create({ messages });
    const running = stream({ messages });
    const names = [];
    running.on("streamEvent", (event) => names.push(event.type));
    const final = await running.finalMessage();
    assert.deepEqual(final.content, plain.content);
    assert.equal(final.stop_reason, plain.stop_reason);
    for (const name of ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]) {
      assert.equal(final.usage[name], plain.usage[name], name);
    }
    assert.equal(names[0], "message_start");
    assert.equal(names.at(-1), "message_stop");
    assert.ok(names.filter((name) => name === "content_block_delta").length > 3, "the text came in pieces");
  }
});

test("cache reads and writes are paid at their own prices", async () => {
  // 8 words: 4 read from the vendor's cache, 2 written to it, 2 plain. $0.003 per thousand, ×0.1, ×1.25.
  const reply = await create({ messages: say("[[usage:cached]] one two three four five six seven") });
  assert.deepEqual(
    [reply.usage.input_tokens, reply.usage.cache_read_input_tokens, reply.usage.cache_creation_input_tokens],
    [2, 4, 2],
  );
  const expected = (2 * 0.003 + 4 * 0.0003 + 2 * 0.00375 + reply.usage.output_tokens * 0.015) / 1000;
  assert.equal(reply.asahi.cost, Number(expected.toFixed(6)));
});

for (const model of ["claude-3-5-sonnet", "gpt-4o"]) {
  test(`a tool round trip works plain and streamed with ${model}`, async () => {
    for (const send of [create, (body) => stream(body).finalMessage()]) {
      const messages = say("[[tool:get_weather]] how is it");
      const called = await send({ model, messages, tools });
      assert.equal(called.stop_reason, "tool_use");
      const use = called.content.find((block) => block.type === "tool_use");
      assert.deepEqual([use.name, use.input], ["get_weather", { city: "sample" }]);
      const content = [{ type: "tool_use", id: use.id, name: use.name, input: use.input }];
      const done = await create({
        model,
        tools,
        messages: [
          ...messages,
          { role: "assistant", content },
          { role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: "rain" }] },
        ],
      });
      assert.equal(done.content.at(-1).text, "With the tool's result: rain");
    }
  });
}

test("vendor-only fields pass through to Anthropic untouched", async () => {
  const system = [{ type: "text", text: "a long text", cache_control: { type: "ephemeral" } }];
  await create({
    messages: say([{ type: "text", text: "x", cache_control: { type: "ephemeral", ttl: "1h" } }]),
    system,
    top_k: 5,
    metadata: { user_id: "u-1" },
  });
  const [{ body, headers }] = await fakes.requests({ vendor: "anthropic" });
  assert.deepEqual(body.system, system);
  assert.deepEqual(body.messages[0].content[0].cache_control, { type: "ephemeral", ttl: "1h" });
  assert.deepEqual([body.top_k, body.metadata.user_id, headers["anthropic-version"]], [5, "u-1", "2023-06-01"]);
  assert.ok(!("bypass_cache" in body));
});

test("thinking comes with its signature, plain and streamed, and travels back unchanged", async () => {
  const thinking = { type: "enabled", budget_tokens: 1024 };
  const body = { max_tokens: 2000, thinking, messages: say("[[tool:get_weather]] hm"), tools };
  const plain = await create(body);
  const streamed = await stream(body).finalMessage();
  for (const reply of [plain, streamed]) {
    assert.equal(reply.content[0].type, "thinking");
    assert.ok(reply.content[0].thinking.length > 10 && reply.content[0].signature.length > 10);
  }
  assert.equal(streamed.content[0].thinking, plain.content[0].thinking);
  assert.equal(streamed.content[0].signature, plain.content[0].signature);
  await create({
    ...body,
    messages: [
      ...body.messages,
      { role: "assistant", content: plain.content },
      { role: "user", content: [{ type: "tool_result", tool_use_id: plain.content[1].id, content: "rain" }] },
    ],
  });
  const [last] = (await fakes.requests({ vendor: "anthropic" })).slice(-1);
  assert.deepEqual(last.body.messages[1].content[0], plain.content[0]);
});

test("images arrive at the vendor byte for byte, also across shapes", async () => {
  const data = Buffer.alloc(1234, 3).toString("base64");
  const content = [
    { type: "text", text: "look" },
    { type: "image", source: { type: "base64", media_type: "image/jpeg", data } },
    { type: "image", source: { type: "url", url: "https://example.com/dog.png" } },
  ];
  for (const model of ["claude-3-5-sonnet", "gpt-4o"]) {
    const reply = await create({ model, messages: say(content) });
    assert.equal(reply.content[0].text, "Saw 2 images: 1234 bytes of image/jpeg, https://example.com/dog.png", model);
  }
});

test("stop sequences and length limits are reported in Anthropic's words", async () => {
  const cut = await create({ messages: say("[[answer:30]]"), max_tokens: 5 });
  assert.equal(cut.stop_reason, "max_tokens");
  const stopped = await create({ messages: say("[[answer:30]]"), stop_sequences: ["word4"] });
  assert.deepEqual([stopped.stop_reason, stopped.stop_sequence], ["stop_sequence", "word4"]);
});

test("tokens are counted without a paid call", async () => {
  const counted = await client.messages.countTokens({
    model: "claude-3-5-sonnet",
    messages: say("one two three four"),
    tools,
  });
  assert.ok(Number.isInteger(counted.input_tokens) && counted.input_tokens >= 4);
  const longer = await client.messages.countTokens({
    model: "claude-3-5-sonnet",
    messages: say("one two three four five six seven eight nine ten"),
  });
  assert.ok(longer.input_tokens > 4);
  assert.ok((await fakes.requests()).every((request) => request.path === "/v1/messages/count_tokens"));
});

test("tokens of a model whose vocabulary is known are counted exactly", async () => {
  const counted = await client.messages.countTokens({ model: "gpt-4o", messages: say("hello world") });
  // Two of the text, four around the message, three for the answer's beginning.
  assert.equal(counted.input_tokens, 9);
});

test("errors have Anthropic's shape and raise the client's typed exceptions", async () => {
  const cases = [
    [{ max_tokens: undefined, messages: say("x") }, Anthropic.BadRequestError, "invalid_request_error", /max_tokens/],
    [{ messages: [] }, Anthropic.BadRequestError, "invalid_request_error", /messages/],
    [{ messages: say("x"), temperature: 9 }, Anthropic.BadRequestError, "invalid_request_error", /temperature/],
    [{ messages: say("x"), model: "no-such-model" }, Anthropic.NotFoundError, "not_found_error", /no-such-model/],
  ];
  for (const [body, type, name, text] of cases) {
    await assert.rejects(create(body), (error) => {
      assert.ok(error instanceof type, `${error}`);
      assert.equal(error.error.type, "error");
      assert.equal(error.error.error.type, name);
      assert.match(error.error.error.message, text);
      return true;
    });
  }
});

test("vendor failures keep their class", async () => {
  await fakes.script("*", { kind: "status", status: 429, headers: { "retry-after": "1" }, times: "forever" });
  await assert.rejects(
    create({ messages: say("x") }),
    (error) => error instanceof Anthropic.RateLimitError && error.error.error.type === "rate_limit_error",
  );
  await fakes.reset();
  await fakes.script("*", { kind: "status", status: 529, times: "forever" });
  await assert.rejects(
    create({ messages: say("x") }),
    (error) => error instanceof Anthropic.InternalServerError && error.error.type === "error",
  );
});

test("a stream that breaks off and cannot go on raises in the client", async (t) => {
  const strict = await start_gateway({ fakes, vendors: ["anthropic"] });
  t.after(() => strict.stop());
  const direct = new Anthropic({ apiKey: "unused", baseURL: strict.url, maxRetries: 0 });
  for (const kind of ["cut_stream", "end_early", "error_event_mid_stream"]) {
    await fakes.script("anthropic", { kind, after_chunks: 6, times: "forever" });
    let text = "";
    const running = direct.messages.stream(with_defaults({ messages: say("[[answer:20]]") }));
    running.on("text", (piece) => {
      text += piece;
    });
    await assert.rejects(running.finalMessage(), Anthropic.AnthropicError, kind);
    assert.match(text, /^word1 word2/, kind);
    await fakes.reset();
  }
});
