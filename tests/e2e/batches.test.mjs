/** Files and batches through OpenAI's client: answered by calls of the gateway, durable, each organisation's own. */
import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { restart_gateway } from "./support/gateway.mjs";
import { budget_use, make_key, make_org, operator, set_policy, start_governed } from "./support/governed.mjs";
import { stop_everything } from "./support/processes.mjs";
import { OpenAI, toFile } from "./support/sdks.mjs";
import { until } from "./support/wait.mjs";

const fakes = await start_fakes();
/** Every row is a call of its own: vendors' batches have a file of their own. */
const kBatchApi = "batch_api:\n  poll_seconds: 0.1\n  vendors: []\n";
let gateway = await start_governed({ fakes, config: kBatchApi });
await set_policy(gateway, "acme", {});
const key = await make_key(gateway, "acme");
after(stop_everything);
beforeEach(() => fakes.reset());

const client_of = (api_key) => new OpenAI({ apiKey: api_key, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
let client = client_of(key);
const kChat = "/v1/chat/completions";
let unique = 0;
/** A question that nobody has asked before. */
const fresh = (text = "question") => `${text} ${Date.now()} ${++unique}`;
const chat_row = (custom_id, content, more = {}) => ({
  custom_id,
  method: "POST",
  url: kChat,
  body: { model: "gpt-4o-mini", messages: [{ role: "user", content }], ...more },
});
const lines_of = (rows) => rows.map((row) => (typeof row === "string" ? row : JSON.stringify(row))).join("\n");
const upload = async (rows, by = client) =>
  by.files.create({ file: await toFile(Buffer.from(lines_of(rows)), "rows.jsonl"), purpose: "batch" });
const create = async (rows, more = {}, by = client) =>
  by.batches.create({
    input_file_id: (await upload(rows, by)).id,
    endpoint: kChat,
    completion_window: "24h",
    ...more,
  });
const kOver = ["completed", "failed", "expired", "cancelled"];
const wait_over = (id, by = client) =>
  until(
    async () => {
      const batch = await by.batches.retrieve(id);
      return kOver.includes(batch.status) ? batch : undefined;
    },
    { what: `batch ${id} to end`, timeout_ms: 60_000 },
  );
const read_lines = async (file_id, by = client) =>
  (await (await by.files.content(file_id)).text())
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));

test("upload, create, poll, download: each row has its answer", async () => {
  const rows = Array.from({ length: 25 }, (_, i) => chat_row(`row-${i}`, fresh("animal")));
  const file = await upload(rows);
  assert.equal(file.object, "file");
  assert.equal(file.purpose, "batch");
  assert.equal(file.filename, "rows.jsonl");
  assert.equal(file.bytes, Buffer.byteLength(lines_of(rows)));
  assert.equal(await (await client.files.content(file.id)).text(), lines_of(rows));

  const created = await client.batches.create({
    input_file_id: file.id,
    endpoint: kChat,
    completion_window: "24h",
    metadata: { job: "nightly" },
  });
  assert.equal(created.status, "validating");
  assert.deepEqual(created.metadata, { job: "nightly" });
  assert.equal(created.expires_at - created.created_at, 24 * 3600);

  const batch = await wait_over(created.id);
  assert.equal(batch.status, "completed");
  assert.deepEqual(batch.request_counts, { total: 25, completed: 25, failed: 0 });
  assert.equal(batch.error_file_id, null);
  const answers = await read_lines(batch.output_file_id);
  assert.deepEqual(
    answers.map((answer) => answer.custom_id),
    rows.map((row) => row.custom_id),
  );
  for (const [i, answer] of answers.entries()) {
    assert.equal(answer.error, null);
    assert.equal(answer.response.status_code, 200);
    assert.equal(answer.response.body.choices[0].message.content, `Answer to: ${rows[i].body.messages[0].content}`);
  }
  const output = await client.files.retrieve(batch.output_file_id);
  assert.equal(output.purpose, "batch_output");
});

test("lists go through pages, and a deleted file is gone", async () => {
  const files = [];
  for (let i = 0; i < 3; ++i) files.push((await upload([chat_row("1", fresh())])).id);
  const seen = [];
  for await (const file of client.files.list({ limit: 2 })) seen.push(file.id);
  assert.deepEqual(
    seen.filter((id) => files.includes(id)),
    files.toReversed(),
  );
  const batches = [];
  for await (const batch of client.batches.list({ limit: 1 })) batches.push(batch.id);
  assert.equal(new Set(batches).size, batches.length);
  assert.deepEqual(await client.files.delete(files[0]), { id: files[0], object: "file", deleted: true });
  await assert.rejects(client.files.retrieve(files[0]), { status: 404 });
});

test("rows whose answer is in the cache cost nothing and ask nobody", async () => {
  const question = fresh("cached");
  const body = chat_row("x", question).body;
  await client.chat.completions.create(body);
  assert.equal((await fakes.requests({ contains: question })).length, 1);
  const batch = await wait_over((await create([chat_row("a", question), chat_row("b", question)])).id);
  const answers = await read_lines(batch.output_file_id);
  assert.deepEqual(
    answers.map(({ response }) => [response.body.asahi.cache_hit, response.body.asahi.cost]),
    [
      [true, 0],
      [true, 0],
    ],
  );
  assert.equal((await fakes.requests({ contains: question })).length, 1);
});

test("what a batch has answered is in the cache for everybody of the organisation", async () => {
  const question = fresh("kept");
  await wait_over((await create([chat_row("a", question)])).id);
  const reply = await client.chat.completions.create(chat_row("x", question).body);
  assert.equal(reply.asahi.cache_hit, true);
});

test("completions and embeddings are endpoints of batches too", async () => {
  const completions = await create(
    [{ custom_id: "c", method: "POST", url: "/v1/completions", body: { model: "gpt-4o-mini", prompt: fresh() } }],
    { endpoint: "/v1/completions" },
  );
  const embeddings = await create(
    [
      {
        custom_id: "e",
        method: "POST",
        url: "/v1/embeddings",
        body: { model: "text-embedding-3-small", input: [fresh(), "b"] },
      },
    ],
    { endpoint: "/v1/embeddings" },
  );
  const [text] = await read_lines((await wait_over(completions.id)).output_file_id);
  assert.match(text.response.body.choices[0].text, /^Answer to: /);
  const [vectors] = await read_lines((await wait_over(embeddings.id)).output_file_id);
  assert.equal(vectors.response.body.data.length, 2);
});

test("a file with faults is refused as a whole, with line, field and rule", async () => {
  const batch = await wait_over(
    (
      await create([
        chat_row("good", fresh()),
        "{not json",
        chat_row("good", fresh()),
        chat_row("no-messages", "x", { messages: "hello" }),
        { ...chat_row("else", "x"), url: "/v1/embeddings" },
        chat_row("streamed", "x", { stream: true }),
      ])
    ).id,
  );
  assert.equal(batch.status, "failed");
  assert.deepEqual(
    batch.errors.data.map(({ line, param, code }) => [line, param, code]),
    [
      [2, null, "invalid_json_line"],
      [3, "custom_id", "duplicate_custom_id"],
      [4, "body.messages", batch.errors.data[2].code],
      [5, "url", "mismatched_url"],
      [6, "body.stream", "invalid_body"],
    ],
  );
  assert.ok(batch.errors.data.every(({ message }) => message.length > 10));
  assert.equal((await fakes.requests()).length, 0, "no row was sent");
});

test("bad uploads and bad batches are refused in OpenAI's words", async () => {
  const file = await toFile(Buffer.from("{}"), "x.jsonl");
  await assert.rejects(client.files.create({ file, purpose: "fine-tune" }), { status: 400, param: "purpose" });
  const raw = await gateway.post("/v1/files", { purpose: "batch" }, { authorization: `Bearer ${key}` });
  assert.equal(raw.status, 415);
  const input_file_id = (await upload([chat_row("1", "x")])).id;
  const valid = { input_file_id, endpoint: kChat, completion_window: "24h" };
  for (const [wrong, status, param] of [
    [{ endpoint: "/v1/responses" }, 400, "endpoint"],
    [{ completion_window: "1h" }, 400, "completion_window"],
    [{ input_file_id: "file-none" }, 404, "input_file_id"],
    [{ metadata: { a: 1 } }, 400, "metadata"],
  ]) {
    await assert.rejects(client.batches.create({ ...valid, ...wrong }), { status, param }, JSON.stringify(wrong));
  }
  await assert.rejects(client.batches.retrieve("batch_none"), { status: 404 });
});

test("rows that the vendor refuses are in the error file, the others in the output", async () => {
  const broken = fresh("broken");
  await fakes.script("openai", { kind: "status", status: 400, match: broken, times: "forever" });
  const batch = await wait_over((await create([chat_row("ok", fresh()), chat_row("not", broken)])).id);
  assert.equal(batch.status, "completed");
  assert.deepEqual(batch.request_counts, { total: 2, completed: 1, failed: 1 });
  assert.equal((await read_lines(batch.output_file_id))[0].custom_id, "ok");
  const [error] = await read_lines(batch.error_file_id);
  assert.equal(error.custom_id, "not");
  assert.equal(error.response.status_code, 400);
  assert.ok(error.response.body.error.message);
});

test("a row that meets a limit waits and is answered later", async () => {
  const limited = fresh("limited");
  // Every attempt of the first call, and its way to other models.
  for (const vendor of ["openai", "anthropic"])
    await fakes.script(vendor, {
      kind: "status",
      status: 429,
      headers: { "retry-after": "1" },
      match: limited,
      times: 4,
    });
  const batch = await wait_over((await create([chat_row("a", limited)])).id);
  assert.deepEqual(batch.request_counts, { total: 1, completed: 1, failed: 0 });
});

test("another organisation sees nothing", async () => {
  const batch = await wait_over((await create([chat_row("1", fresh())])).id);
  await set_policy(gateway, "other", {});
  const other = client_of(await make_key(gateway, "other"));
  for (const call of [
    () => other.batches.retrieve(batch.id),
    () => other.batches.cancel(batch.id),
    () => other.files.retrieve(batch.input_file_id),
    () => other.files.content(batch.output_file_id),
    () => other.files.delete(batch.input_file_id),
    () => other.batches.create({ input_file_id: batch.input_file_id, endpoint: kChat, completion_window: "24h" }),
  ]) {
    await assert.rejects(call(), { status: 404 });
  }
  assert.equal((await other.files.list()).data.length, 0);
  assert.equal((await other.batches.list()).data.length, 0);
});

test("a budget holds for a batch: what it does not cover is refused", async () => {
  const auth = await make_org(gateway, "poor", { max_requests_per_day: 3 });
  const poor = client_of(auth.authorization.slice(7));
  const rows = Array.from({ length: 6 }, (_, i) => chat_row(`r${i}`, fresh()));
  const batch = await wait_over((await create(rows, {}, poor)).id, poor);
  assert.deepEqual(batch.request_counts, { total: 6, completed: 3, failed: 3 });
  const errors = await read_lines(batch.error_file_id, poor);
  assert.ok(errors.every(({ response }) => response.body.error.code === "request_limit_exceeded"));
  assert.equal((await budget_use(gateway, "poor")).requests, 3);
});

test("a cancelled batch keeps what was answered and asks no further", async () => {
  await fakes.config("openai", { latency_ms: 300 });
  const rows = Array.from({ length: 200 }, (_, i) => chat_row(`r${i}`, fresh()));
  const { id } = await create(rows);
  await until(async () => (await client.batches.retrieve(id)).request_counts.completed > 0, {
    what: "a first answer",
    timeout_ms: 20_000,
  });
  assert.equal((await client.batches.cancel(id)).status, "cancelling");
  const batch = await wait_over(id);
  assert.equal(batch.status, "cancelled");
  const { total, completed } = batch.request_counts;
  assert.equal(total, 200);
  assert.ok(completed > 0 && completed < 200);
  assert.equal((await read_lines(batch.output_file_id)).length, completed);
  await assert.rejects(client.batches.cancel((await wait_over((await create([chat_row("1", fresh())])).id)).id), {
    status: 409,
  });
});

test("a revoked key ends what it began", async () => {
  const auth = await make_org(gateway, "leaky", {});
  const leaked = auth.authorization.slice(7);
  const leaky = client_of(leaked);
  await fakes.config("openai", { latency_ms: 300 });
  const { id } = await create(
    Array.from({ length: 200 }, (_, i) => chat_row(`r${i}`, fresh())),
    {},
    leaky,
  );
  await until(async () => (await leaky.batches.retrieve(id)).request_counts.completed > 0, { what: "a first answer" });
  const second = client_of(await make_key(gateway, "leaky"));
  const revoked = await gateway.delete(`/governance/api-keys/${leaked.slice(0, 12)}?org_id=leaky`, operator);
  assert.ok(revoked.status < 300, revoked.text);
  const batch = await wait_over(id, second);
  assert.ok(batch.request_counts.failed > 0);
  const [error] = await read_lines(batch.error_file_id, second);
  assert.equal(error.response, null);
  assert.equal(error.error.code, "credential_revoked");
});

test("kill -9 in the middle: the batch goes on, no row is lost or answered twice", async () => {
  await fakes.config("openai", { latency_ms: 100 });
  const rows = Array.from({ length: 60 }, (_, i) => chat_row(`r${i}`, fresh()));
  const { id } = await create(rows);
  for (let round = 0; round < 2; ++round) {
    const before = (await client.batches.retrieve(id)).request_counts.completed;
    await until(async () => (await client.batches.retrieve(id)).request_counts.completed > before + 5, {
      what: "some answers",
      timeout_ms: 20_000,
    });
    await gateway.kill();
    gateway = await restart_gateway(gateway, { fakes });
    client = client_of(key);
  }
  const batch = await wait_over(id);
  assert.deepEqual(batch.request_counts, { total: 60, completed: 60, failed: 0 });
  const answers = await read_lines(batch.output_file_id);
  assert.deepEqual(
    answers.map((answer) => answer.custom_id),
    rows.map((row) => row.custom_id),
  );
  for (const [i, answer] of answers.entries())
    assert.equal(answer.response.body.choices[0].message.content, `Answer to: ${rows[i].body.messages[0].content}`);
  // Only what was under way at the two moments was asked again.
  assert.ok((await fakes.requests({ vendor: "openai" })).length <= 60 + 2 * 8);
});
