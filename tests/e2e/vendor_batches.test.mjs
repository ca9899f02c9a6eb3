/** Batches whose rows the vendors' own batch APIs answer, at half the price. */
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { restart_gateway } from "./support/gateway.mjs";
import { budget_use, make_key, set_policy, start_governed } from "./support/governed.mjs";
import { stop_everything } from "./support/processes.mjs";
import { OpenAI, toFile } from "./support/sdks.mjs";
import { until } from "./support/wait.mjs";

const fakes = await start_fakes();
let gateway = await start_governed({
  fakes,
  env: {
    ASAHI_BATCH_API_POLL_SECONDS: "0.1",
    ASAHI_BATCH_API_VENDOR_POLL_SECONDS: "0.2",
    ASAHI_OPTIMIZATION_ENABLED: "false",
  },
});
await set_policy(gateway, "acme", { max_cost_per_day: 1000 });
const key = await make_key(gateway, "acme");
after(stop_everything);
beforeEach(() => fakes.reset());

const client_of = () => new OpenAI({ apiKey: key, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
let client = client_of();
const kChat = "/v1/chat/completions";
let unique = 0;
/** A question that nobody has asked, long enough to cost something. */
const fresh = (text = "question") => `${text} ${Date.now()} ${++unique} ${"word ".repeat(2000)}`.trim();
const row = (custom_id, content, model = "gpt-4o-mini") => ({
  custom_id,
  method: "POST",
  url: kChat,
  body: { model, max_tokens: 4000, messages: [{ role: "user", content }] },
});
const rows_of = (count, model) => Array.from({ length: count }, (_, i) => row(`r${i}`, fresh(), model));
const create = async (rows) => {
  const text = rows.map((one) => JSON.stringify(one)).join("\n");
  const file = await client.files.create({ file: await toFile(Buffer.from(text), "rows.jsonl"), purpose: "batch" });
  return client.batches.create({ input_file_id: file.id, endpoint: kChat, completion_window: "24h" });
};
const wait_over = (id) =>
  until(
    async () => {
      const batch = await client.batches.retrieve(id);
      return ["completed", "failed", "expired", "cancelled"].includes(batch.status) ? batch : undefined;
    },
    { what: `batch ${id} to end`, timeout_ms: 60_000 },
  );
const read_lines = async (file_id) =>
  (await (await client.files.content(file_id)).text())
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
const answers_of = async (batch) => {
  assert.ok(batch.output_file_id, JSON.stringify(batch));
  return (await read_lines(batch.output_file_id)).map(({ custom_id, response }) => [custom_id, response.body]);
};
/** Paths of the POSTs that a vendor saw, with how often. */
const posts = async (vendor) => {
  const count = {};
  for (const { path } of await fakes.requests({ vendor })) count[path] = (count[path] ?? 0) + 1;
  return count;
};

test("rows for OpenAI's models go to its batch API, at half the price, and into the cache", async () => {
  const rows = rows_of(6);
  const ordinary = await client.chat.completions.create({ ...rows[0].body, bypass_cache: true });
  await fakes.reset();
  const batch = await wait_over((await create(rows)).id);
  assert.deepEqual(batch.request_counts, { total: 6, completed: 6, failed: 0 });
  assert.deepEqual(await posts("openai"), { "/v1/files": 1, "/v1/batches": 1 });
  const answers = await answers_of(batch);
  for (const [i, [custom_id, body]] of answers.entries()) {
    assert.equal(custom_id, rows[i].custom_id);
    assert.equal(body.choices[0].message.content, `Answer to: ${rows[i].body.messages[0].content}`);
    assert.equal(body.asahi.vendor_batch, true);
  }
  assert.ok(Math.abs(answers[0][1].asahi.cost - ordinary.asahi.cost / 2) <= 1e-6);
  const again = await client.chat.completions.create(rows[1].body);
  assert.equal(again.asahi.cache_hit, true);
  assert.equal(again.choices[0].message.content, `Answer to: ${rows[1].body.messages[0].content}`);
});

test("rows for Anthropic's models go to its message batches", async () => {
  const rows = rows_of(4, "claude-3-5-haiku");
  const batch = await wait_over((await create(rows)).id);
  assert.deepEqual(batch.request_counts, { total: 4, completed: 4, failed: 0 });
  assert.deepEqual(await posts("anthropic"), { "/v1/messages/batches": 1 });
  for (const [i, [, body]] of (await answers_of(batch)).entries()) {
    assert.equal(body.choices[0].message.content, `Answer to: ${rows[i].body.messages[0].content}`);
    assert.equal(body.asahi.vendor_batch, true);
  }
});

test("models are kept apart, and what the cache knows is not sent", async () => {
  const known = row("known", fresh());
  await client.chat.completions.create(known.body);
  await fakes.reset();
  const rows = [
    known,
    ...rows_of(2, "gpt-4o-mini"),
    row("big", fresh(), "gpt-4o"),
    row("c", fresh(), "claude-3-5-haiku"),
  ];
  const batch = await wait_over((await create(rows)).id);
  assert.equal(batch.request_counts.completed, 5);
  assert.deepEqual(await posts("openai"), { "/v1/files": 2, "/v1/batches": 2 });
  assert.deepEqual(await posts("anthropic"), { "/v1/messages/batches": 1 });
  const [, first] = (await answers_of(batch)).find(([id]) => id === "known");
  assert.equal(first.asahi.cache_hit, true);
  assert.equal(first.asahi.cost, 0);
});

test("money is reserved while rows are at the vendor, and settled at what they cost", async () => {
  await fakes.config("openai", { batch: { ms: 3000 } });
  const before = await budget_use(gateway, "acme");
  const { id } = await create(rows_of(5));
  await until(async () => (await budget_use(gateway, "acme")).reserved_usd > 0, { what: "a reservation" });
  const batch = await wait_over(id);
  const cost = (await answers_of(batch)).reduce((sum, [, body]) => sum + body.asahi.cost, 0);
  const now = await budget_use(gateway, "acme");
  assert.ok(Math.abs(now.spent_usd - before.spent_usd - cost) < 5e-6, `${now.spent_usd - before.spent_usd} ${cost}`);
  assert.equal(now.reserved_usd, 0);
  assert.equal(now.requests - before.requests, 5);
});

test("a vendor that is busy or broken is asked again", async () => {
  await fakes.script(
    "openai",
    { kind: "status", status: 429, headers: { "retry-after": "1" }, match: 'name="purpose"' },
    { kind: "status", status: 500, match: "input_file_id" },
  );
  const batch = await wait_over((await create(rows_of(3))).id);
  assert.equal(batch.request_counts.completed, 3);
  const seen = await posts("openai");
  // What the 500 hid was created, and is found by its name.
  assert.equal(seen["/v1/files"], 2);
  assert.equal(seen["/v1/batches"], 1);
  assert.equal(seen[kChat], undefined);
});

for (const [what, prepare] of [
  [
    "refuses batches",
    () => fakes.script("openai", { kind: "status", status: 403, match: 'name="purpose"', times: "forever" }),
  ],
  ["fails the batch", () => fakes.config("openai", { batch: { fail: "quota of batches used up" } })],
  [
    "never answers the upload properly",
    () => fakes.script("openai", { kind: "garbage_json", match: 'name="purpose"', times: 9 }),
  ],
]) {
  test(`rows get calls of their own when the vendor ${what}`, { timeout: 120_000 }, async () => {
    await prepare();
    const batch = await wait_over((await create(rows_of(3))).id);
    assert.equal(batch.request_counts.completed, 3);
    assert.equal((await posts("openai"))[kChat], 3);
    assert.ok((await answers_of(batch)).every(([, body]) => body.asahi.vendor_batch === undefined));
  });
}

test("rows that an expired vendor batch did not come to get calls of their own", async () => {
  for (const [vendor, model, path] of [
    ["openai", "gpt-4o-mini", kChat],
    ["anthropic", "claude-3-5-haiku", "/v1/messages"],
  ]) {
    await fakes.config(vendor, { batch: { expire_after: 2 } });
    const batch = await wait_over((await create(rows_of(5, model))).id);
    assert.equal(batch.status, "completed");
    assert.equal(batch.request_counts.completed, 5);
    assert.equal((await posts(vendor))[path], 3);
  }
});

test("a row that fails in the vendor's batch gets a call of its own", async () => {
  const unlucky = fresh("unlucky");
  const hopeless = fresh("hopeless");
  await fakes.config("openai", {
    batch: {
      errors: [
        { match: unlucky, status: 500 },
        { match: hopeless, status: 400 },
      ],
    },
  });
  const batch = await wait_over((await create([row("u", unlucky), row("h", hopeless), row("ok", fresh())])).id);
  assert.equal(batch.request_counts.completed, 3);
  assert.equal((await posts("openai"))[kChat], 2);
});

test("kill -9 while rows are at the vendor: they are taken from there, asked once", async () => {
  await fakes.config("openai", { batch: { ms: 4000 } });
  const rows = rows_of(8);
  const { id } = await create(rows);
  await until(async () => (await posts("openai"))["/v1/batches"] === 1, {
    what: "the vendor's batch",
    timeout_ms: 20_000,
  });
  await gateway.kill();
  gateway = await restart_gateway(gateway, { fakes });
  client = client_of();
  const batch = await wait_over(id);
  assert.equal(batch.request_counts.completed, 8);
  assert.deepEqual(await posts("openai"), { "/v1/files": 1, "/v1/batches": 1 });
  assert.deepEqual(
    (await answers_of(batch)).map(([custom_id]) => custom_id),
    rows.map(({ custom_id }) => custom_id),
  );
});

test("kill -9 before the vendor's reply: its batch is found by name, not created twice", async () => {
  await fakes.script("openai", { kind: "slow_first_byte", ms: 20_000, match: "input_file_id" });
  const { id } = await create(rows_of(4));
  await until(async () => (await posts("openai"))["/v1/batches"] === 1, {
    what: "the vendor's batch",
    timeout_ms: 20_000,
  });
  await gateway.kill();
  gateway = await restart_gateway(gateway, { fakes });
  client = client_of();
  const batch = await wait_over(id);
  assert.equal(batch.request_counts.completed, 4);
  assert.deepEqual(await posts("openai"), { "/v1/files": 1, "/v1/batches": 1 });
});

test("a cancelled batch is cancelled at the vendor too", async () => {
  await fakes.config("openai", { batch: { ms: 60_000 } });
  const { id } = await create(rows_of(4));
  await until(async () => (await posts("openai"))["/v1/batches"] === 1, {
    what: "the vendor's batch",
    timeout_ms: 20_000,
  });
  await client.batches.cancel(id);
  const batch = await wait_over(id);
  assert.equal(batch.status, "cancelled");
  assert.deepEqual(batch.request_counts, { total: 4, completed: 0, failed: 0 });
  assert.ok(Object.keys(await posts("openai")).some((path) => path.endsWith("/cancel")));
  assert.equal((await budget_use(gateway, "acme")).reserved_usd, 0);
});
