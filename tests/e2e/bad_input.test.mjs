/** Input that no proper client sends: refused with the right status and shape, without harm to anybody else. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, test } from "node:test";

import { start_fakes } from "./support/fakes.mjs";
import { start_gateway } from "./support/gateway.mjs";
import { stop_everything } from "./support/processes.mjs";
import { RawConnection } from "./support/raw_http.mjs";

const fakes = await start_fakes();
const gateway = await start_gateway({ fakes });
after(stop_everything);

const kJson = "Content-Type: application/json";
const open = async (t) => {
  const connection = await RawConnection.open(gateway.port);
  t.after(() => connection.close());
  return connection;
};
/** One raw request on a fresh connection; its reply. */
async function exchange(t, head, body) {
  const connection = await open(t);
  connection.request(head, body);
  return connection.reply();
}

/** How each shape words an error: {path, read: body -> {code, message}}. */
const kShapes = {
  native: {
    path: "/infer",
    read: (body) => ({
      code: body.error,
      message: body.message,
      complete: body.request_id && body.timestamp && typeof body.details === "object",
    }),
  },
  openai: {
    path: "/v1/chat/completions",
    read: (body) => ({
      code: body.error.type,
      message: body.error.message,
      complete: "code" in body.error && "param" in body.error,
    }),
  },
  responses: {
    path: "/v1/responses",
    read: (body) => ({
      code: body.error.type,
      message: body.error.message,
      complete: "code" in body.error && "param" in body.error,
    }),
  },
  embeddings: {
    path: "/v1/embeddings",
    read: (body) => ({
      code: body.error.type,
      message: body.error.message,
      complete: "code" in body.error && "param" in body.error,
    }),
  },
  anthropic: {
    path: "/v1/messages",
    read: (body) => ({ code: body.error.type, message: body.error.message, complete: body.type === "error" }),
  },
};
const kInvalid = {
  native: "validation_error",
  openai: "invalid_request_error",
  responses: "invalid_request_error",
  embeddings: "invalid_request_error",
  anthropic: "invalid_request_error",
};

const broken_bodies = {
  "nothing at all": "",
  "a cut object": '{"prompt": "x"',
  "text after the object": '{"prompt": "x"} y',
  NaN: '{"prompt": "x", "temperature": NaN}',
  "an infinite number": '{"prompt": "x", "temperature": 1e999}',
  "a single quote": "{'prompt': 'x'}",
  "a comment": '{"prompt": "x" /* y */}',
  "an array": '["prompt"]',
  "a string": '"prompt"',
  null: "null",
  "invalid UTF-8": Buffer.concat([Buffer.from('{"prompt": "'), Buffer.from([0xc3, 0x28, 0xff]), Buffer.from('"}')]),
  "half a surrogate pair": '{"prompt": "\\ud800", "messages": [{"role": "user", "content": "\\ud800"}]}',
  "nesting without end": '{"prompt":'.padEnd(10) + "[".repeat(100_000) + "]".repeat(100_000) + "}",
  bytes: randomBytes(500),
};

for (const [shape, { path, read }] of Object.entries(kShapes)) {
  test(`${shape}: broken bodies are 400 in the shape's words, and the connection stays usable`, async (t) => {
    const connection = await open(t);
    for (const [name, body] of Object.entries(broken_bodies)) {
      connection.request(`POST ${path} HTTP/1.1\r\n${kJson}`, body);
      const reply = await connection.reply();
      assert.ok(reply, `${name}: the connection was closed`);
      assert.equal(reply.status, 400, `${name}: ${reply.text}`);
      const error = read(reply.json());
      assert.equal(error.code, kInvalid[shape], name);
      assert.ok(error.complete, `${name}: ${reply.text}`);
      assert.ok(error.message.length > 5 && error.message.length < 1000, name);
      assert.doesNotMatch(reply.text, /std::|exception|\.cc|\.h:/i, name);
    }
    connection.request("GET /health/live HTTP/1.1");
    assert.equal((await connection.reply()).status, 200);
  });

  test(`${shape}: wrong types are 400 and name the field`, async () => {
    const valid = {
      native: { prompt: "x" },
      openai: { model: "gpt-4o", messages: [{ role: "user", content: "x" }] },
      responses: { model: "gpt-4o", input: "x" },
      embeddings: { model: "text-embedding-3-small", input: "x" },
      anthropic: { model: "claude-3-5-sonnet", max_tokens: 5, messages: [{ role: "user", content: "x" }] },
    }[shape];
    for (const field of Object.keys(valid)) {
      const reply = await gateway.post(path, { ...valid, [field]: { not: "right" } });
      assert.equal(reply.status, 400, `${field}: ${reply.text}`);
      assert.match(read(reply.body).message, new RegExp(field), field);
    }
  });
}

test("a body over the limit is 413, declared or chunked, and is not read to its end", async (t) => {
  const declared = await open(t);
  declared.send(`POST /infer HTTP/1.1\r\nHost: x\r\n${kJson}\r\nContent-Length: 99999999\r\n\r\n{"prompt":"`);
  const reply = await declared.reply();
  assert.deepEqual([reply.status, reply.json().error], [413, "payload_too_large"]);
  const chunked = await open(t);
  chunked.send(`POST /infer HTTP/1.1\r\nHost: x\r\n${kJson}\r\nTransfer-Encoding: chunked\r\n\r\n`);
  const piece = "x".repeat(65536);
  for (let i = 0; i < 40; ++i) chunked.send(`10000\r\n${piece}\r\n`);
  assert.equal((await chunked.reply()).status, 413);
  const anthropic = await exchange(t, `POST /v1/messages HTTP/1.1\r\n${kJson}`, "x".repeat(3 * 1024 * 1024));
  assert.deepEqual([anthropic.status, anthropic.json().error.type], [413, "request_too_large"]);
});

test("headers without measure are 431", async (t) => {
  const long = await exchange(t, `GET /health HTTP/1.1\r\nX-Long: ${"y".repeat(40_000)}`);
  assert.equal(long.status, 431);
  const many = await exchange(
    t,
    `GET /health HTTP/1.1\r\n${Array.from({ length: 300 }, (_, i) => `X-${i}: y`).join("\r\n")}`,
  );
  assert.equal(many.status, 431);
  const target = await exchange(t, `GET /${"z".repeat(50_000)} HTTP/1.1`);
  assert.ok([414, 431].includes(target.status));
});

test("a request that trickles in is ended with 408 after its time", { timeout: 30_000 }, async (t) => {
  const connection = await open(t);
  connection.send("POST /infer HTTP/1.1\r\nHost: x\r\n");
  const drip = setInterval(() => connection.send("X-Drip: 1\r\n"), 500);
  t.after(() => clearInterval(drip));
  const reply = await connection.reply(20_000);
  assert.equal(reply?.status, 408);
  clearInterval(drip);
  await connection.closed();
});

test("a path nobody knows is 404, a known one with the wrong method 405 with Allow", async () => {
  const unknown = await gateway.get("/no/such/path");
  assert.deepEqual([unknown.status, unknown.body.error], [404, "not_found"]);
  const wrong = await gateway.get("/infer");
  assert.deepEqual([wrong.status, wrong.body.error], [405, "method_not_allowed"]);
  assert.match(wrong.headers.get("allow"), /POST/);
  const cleared = await gateway.post("/cache/clear", {});
  assert.equal(cleared.status, 405);
  assert.match(cleared.headers.get("allow"), /DELETE/);
});

test("a content type other than JSON is 415, a charset does no harm", async (t) => {
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/xml"]) {
    const reply = await exchange(t, `POST /infer HTTP/1.1\r\nContent-Type: ${type}`, '{"prompt":"x"}');
    assert.deepEqual([reply.status, reply.json().error], [415, "unsupported_media_type"], type);
  }
  const fine = await exchange(
    t,
    "POST /infer HTTP/1.1\r\nContent-Type: application/json; charset=utf-8",
    '{"prompt":"content type"}',
  );
  assert.equal(fine.status, 200);
});

test("what request smuggling is made of is refused and the connection closed", async (t) => {
  const host = "Host: x\r\n";
  const cases = {
    "length and chunked": `POST /infer HTTP/1.1\r\n${host}${kJson}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "two lengths": `POST /infer HTTP/1.1\r\n${host}Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345`,
    "a signed length": `POST /infer HTTP/1.1\r\n${host}Content-Length: +5\r\n\r\n12345`,
    "a negative length": `POST /infer HTTP/1.1\r\n${host}Content-Length: -1\r\n\r\n`,
    "an unknown coding": `POST /infer HTTP/1.1\r\n${host}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    "a bad chunk size": `POST /infer HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nZZ\r\n`,
    "a folded field": `GET /health HTTP/1.1\r\n${host}X-A: 1\r\n 2\r\n\r\n`,
    "a space before the colon": `GET /health HTTP/1.1\r\n${host}X-A : 1\r\n\r\n`,
    "bare line feeds": "GET /health HTTP/1.1\nHost: x\n\n",
    "no Host": "GET /health HTTP/1.1\r\n\r\n",
    "two Hosts": "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "another protocol": "GET /health HTTP/7.3\r\nHost: x\r\n\r\n",
    "a TLS hello": Buffer.from([
      0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03, 0x0d, 0x0a, 0x0d, 0x0a,
    ]),
    "an encoded NUL in the path": `GET /health%00 HTTP/1.1\r\n${host}\r\n`,
  };
  for (const [name, bytes] of Object.entries(cases)) {
    const connection = await open(t);
    connection.send(bytes);
    const reply = await connection.reply();
    if (reply) assert.ok(reply.status >= 400 && reply.status < 506, `${name}: ${reply.status}`);
    if (!name.startsWith("an encoded")) await connection.closed();
  }
});

test("pipelined requests are answered in order", async (t) => {
  const connection = await open(t);
  const kCount = 20;
  for (let i = 0; i < kCount; ++i)
    connection.request(`POST /infer HTTP/1.1\r\n${kJson}`, JSON.stringify({ prompt: `pipelined ${i}` }));
  for (let i = 0; i < kCount; ++i) {
    const reply = await connection.reply();
    assert.deepEqual([reply.status, reply.json().response], [200, `Answer to: pipelined ${i}`]);
  }
});

test("a request may arrive byte by byte", async (t) => {
  const connection = await open(t);
  const body = JSON.stringify({ prompt: "byte by byte" });
  for (const byte of `POST /infer HTTP/1.1\r\nHost: x\r\n${kJson}\r\nContent-Length: ${body.length}\r\n\r\n${body}`) {
    connection.send(byte);
    await new Promise(setImmediate);
  }
  assert.equal((await connection.reply()).status, 200);
});

test("Expect: 100-continue is answered", async (t) => {
  const connection = await open(t);
  connection.send(`POST /infer HTTP/1.1\r\nHost: x\r\n${kJson}\r\nExpect: 100-continue\r\nContent-Length: 14\r\n\r\n`);
  const first = await connection.reply();
  if (first.status === 100) {
    connection.send('{"prompt":"x"}');
    assert.equal((await connection.reply()).status, 200);
  } else {
    assert.equal(first.status, 417);
  }
});

test("noise on the port harms nobody", async (t) => {
  const noise = Array.from({ length: 100 }, async () => {
    const connection = await RawConnection.open(gateway.port);
    connection.send(randomBytes(1 + Math.floor(Math.random() * 2000)));
    await connection.reply(15_000).catch(() => null);
    connection.close();
  });
  const answers = Array.from({ length: 20 }, (_, i) => gateway.infer(`in the noise ${i}`));
  for (const [i, reply] of (await Promise.all(answers)).entries())
    assert.equal(reply.response, `Answer to: in the noise ${i}`);
  await Promise.all(noise);
  assert.equal(gateway.program.end, undefined, "the gateway ended");
  const after_noise = await exchange(t, "GET /health/live HTTP/1.1");
  assert.equal(after_noise.status, 200);
});
