/** Streams tell the truth: whole, continued without repetition, or ended by an error; and they end when the client goes. */
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { stop_everything } from "./support/processes.mjs";
import { kShapes, stream_prompt, words } from "./support/shapes.mjs";
import { sse_frames } from "./support/sse.mjs";
import { until, within } from "./support/wait.mjs";

const kTimeFactor = Number(process.env.ASAHI_TIME_FACTOR ?? 1);
const kSanitized = kTimeFactor > 1;
const kCancelLimitMs = 100 * kTimeFactor;

const fakes = await start_fakes();
const gateway = await start_gateway({
  fakes,
  env: { ASAHI_PROVIDERS_TIMEOUT_SECONDS: "2", ASAHI_PROVIDERS_MAX_ATTEMPTS: "1" },
});
after(stop_everything);
beforeEach(() => fakes.reset());

let number = 0;
const fresh = (markers) => `${markers} stream ${++number}`;
const now_ms = () => performance.timeOrigin + performance.now();

for (const shape of Object.keys(kShapes)) {
  for (const manner of ["", "[[resume:anew]]", "[[resume:overlap]]"]) {
    test(`${shape}: a cut stream goes on at the next vendor without repeated text ${manner}`, async () => {
      await fakes.script("openai", { kind: "cut_stream", after_chunks: 11, times: "forever" });
      const result = await stream_prompt(gateway, shape, fresh(`[[answer:40]] ${manner}`));
      assert.equal(result.text, words(40));
      assert.deepEqual([result.finished, result.error, result.cut], [true, null, false]);
      const requests = await fakes.requests();
      assert.deepEqual(
        requests.map((request) => request.vendor),
        ["openai", "anthropic"],
      );
    });
  }

  test(`${shape}: when nobody can go on, the client gets its shape's error and no proper end`, async () => {
    await fakes.script("openai", { kind: "cut_stream", after_chunks: 11 });
    await fakes.script("anthropic", { kind: "status", status: 500, times: "forever" });
    const result = await stream_prompt(gateway, shape, fresh("[[answer:40]]"));
    assert.ok(result.text.startsWith("word1 word2"), "what had come was sent on");
    assert.ok(result.text.length < words(40).length);
    assert.ok(result.error, "no error event");
    assert.equal(result.finished, false, "a broken stream looks finished");
  });
}

test("a tool call that breaks off ends in an error, not in half a call that looks whole", async () => {
  const tools = [
    {
      type: "function",
      function: {
        name: "get_weather",
        parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
      },
    },
  ];
  await fakes.script("openai", { kind: "cut_stream", after_chunks: 3, times: "forever" });
  const result = await stream_prompt(gateway, "openai_chat", fresh("[[tool:get_weather]]"), { body: { tools } });
  assert.ok(result.error);
  assert.equal(result.finished, false);
});

test("a continued stream is accounted for, the broken part too", async () => {
  await fakes.script("openai", { kind: "cut_stream", after_chunks: 11, times: "forever" });
  const result = await stream_prompt(gateway, "native", fresh("[[answer:40]]"));
  const done = JSON.parse(result.frames.at(-2).data);
  assert.deepEqual([done.type, done.provider, done.fallback_used], ["done", "anthropic", true]);
  const event = await until(() => gateway.events().find((entry) => entry.request_id === done.request_id), {
    what: "the stream's event",
  });
  assert.equal(event.streamed, true);
  assert.ok(event.cost > 0);
});

/** Opens a stream that never ends by itself, reads some of it, drops it; milliseconds until the vendor saw that. */
async function drop_stream(shape) {
  const marker = `drop-${++number}`;
  const client = new AbortController();
  const body = { ...kShapes[shape].body(`[[answer:2000]] [[chunk_ms:10]] ${marker}`), stream: true };
  const response = await gateway.stream(kShapes[shape].path, body, { signal: client.signal });
  let seen = 0;
  let left_at;
  await assert.rejects(async () => {
    for await (const frame of sse_frames(response)) {
      if (frame && ++seen === 8) {
        left_at = now_ms();
        client.abort();
      }
    }
  });
  const request = await until(async () => (await fakes.requests({ contains: marker })).find((entry) => entry.aborted), {
    what: "the vendor to see the client leave",
  });
  return request.aborted_at_ms - left_at;
}

for (const shape of Object.keys(kShapes)) {
  test(`${shape}: a client that leaves cancels the vendor's stream within 100 ms`, async () => {
    const delays = [];
    for (let i = 0; i < 5; ++i) delays.push(await drop_stream(shape));
    const median = delays.toSorted((a, b) => a - b)[2];
    assert.ok(median <= kCancelLimitMs, `the vendor saw it after ${delays.map(Math.round).join(", ")} ms`);
  });
}

test("a client that leaves an unstreamed call cancels it too", async () => {
  const marker = `plain-${++number}`;
  const client = new AbortController();
  const call = fetch(`${gateway.url}/infer`, {
    method: "POST",
    signal: client.signal,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt: `[[delay_ms:8000]] ${marker}`, bypass_cache: true }),
  }).then(
    () => "answered",
    () => "left",
  );
  await until(async () => (await fakes.requests({ contains: marker })).length === 1, {
    what: "the call to reach the vendor",
  });
  const left_at = now_ms();
  client.abort();
  assert.equal(await call, "left");
  const request = await until(async () => (await fakes.requests({ contains: marker })).find((entry) => entry.aborted), {
    what: "the vendor to see it",
  });
  assert.ok(request.aborted_at_ms - left_at <= 5 * kCancelLimitMs);
});

test("a hundred streams at once arrive whole, each its own", async () => {
  const names = Object.keys(kShapes);
  const runs = Array.from({ length: 100 }, (_, i) =>
    stream_prompt(gateway, names[i % names.length], `[[answer:${40 + i}]] [[chunk_ms:2]] parallel ${++number}`),
  );
  const results = await within(60_000, "a hundred streams", Promise.all(runs));
  for (const [i, result] of results.entries()) {
    assert.equal(result.text, words(40 + i), `stream ${i} lost or gained text`);
    assert.deepEqual([result.finished, result.error, result.cut], [true, null, false]);
  }
});

test("pieces are passed on as they come, not gathered", async () => {
  const response = await gateway.stream("/v1/chat/completions", {
    ...kShapes.openai_chat.body(fresh("[[answer:10]] [[chunk_ms:100]]")),
    stream: true,
  });
  const times = [];
  for await (const frame of sse_frames(response)) if (frame.data !== "[DONE]") times.push(performance.now());
  assert.ok(
    times.at(-1) - times[0] > 700,
    `ten pieces, 100 ms apart, came within ${Math.round(times.at(-1) - times[0])} ms`,
  );
});

test("a client that reads slowly slows the vendor down instead of filling the gateway", async (t) => {
  const patient = await start_gateway({ fakes }); // the fake vendor is busy with megabytes
  t.after(() => patient.stop());
  // Each answer is some 24 MB on the wire: more than the sockets' own buffers hold.
  const kStreams = 3;
  const kWords = 100_000;
  const before = patient.resident_bytes();
  const client = new AbortController();
  const marker = `slow-reader-${++number}`;
  const readers = [];
  for (let i = 0; i < kStreams; ++i) {
    const messages = [{ role: "user", content: `[[answer:${kWords}]] ${marker} ${i}` }];
    const body = { model: "o3", max_completion_tokens: kWords, messages, stream: true, bypass_cache: true };
    const response = await patient.stream("/v1/chat/completions", body, { signal: client.signal });
    assert.equal(response.status, 200, response.status === 200 ? "" : await response.text());
    readers.push(response.body.getReader());
    await readers.at(-1).read();
  }
  const sent = async () =>
    (await fakes.requests({ contains: marker })).reduce((sum, request) => sum + request.frames_sent, 0);
  let last = -1;
  await until(
    async () => {
      const now = await sent();
      const settled = now === last && now > 0;
      last = now;
      return settled;
    },
    { what: "the vendor to be slowed down", timeout_ms: 30_000, every_ms: 500 },
  );
  const grown = (patient.resident_bytes() - before) / 1024 / 1024;
  client.abort();
  await Promise.allSettled(readers.map((reader) => reader.cancel()));
  assert.ok(last < kStreams * kWords, "the vendor sent everything although nobody read");
  // Sanitizers hold freed memory back, so only plain builds can show the bound.
  if (!kSanitized) assert.ok(grown < 48, `the gateway grew by ${Math.round(grown)} MiB`);
});
