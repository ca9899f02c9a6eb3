/** The fakes' HTTP server: one path prefix per vendor, scripted faults, records, and the control API. */
import http from "node:http";
import { setTimeout as pause } from "node:timers/promises";

import { make_anthropic_vendor } from "./anthropic.mjs";
import { make_cohere_vendor } from "./cohere.mjs";
import { FaultScript, plan_delivery } from "./faults.mjs";
import { make_google_vendor } from "./google.mjs";
import { make_ollama_vendor } from "./ollama.mjs";
import { make_openai_vendor } from "./openai.mjs";
import { now_ms, Recorder } from "./recorder.mjs";
import { json_reply, Refusal } from "./reply.mjs";

const kMaxBody = 32 * 1024 * 1024;

const make_vendors = () => [
  make_openai_vendor("openai"),
  make_openai_vendor("deepseek"),
  make_openai_vendor("mistral"),
  make_openai_vendor("vercel"),
  make_anthropic_vendor(),
  make_google_vendor(),
  make_cohere_vendor(),
  make_ollama_vendor(),
];

/** Starts on 127.0.0.1. Resolves to {port, close()}. */
export async function start_vendors({ port = 0 } = {}) {
  const vendors = new Map(
    make_vendors().map((vendor) => [vendor.name, { vendor, script: new FaultScript(), config: {} }]),
  );
  const recorder = new Recorder();
  const server = http.createServer((request, response) => {
    serve(vendors, recorder, request, response).catch((error) => {
      process.stderr.write(`fake vendor failed: ${error.stack}\n`);
      response.destroy();
    });
  });
  server.keepAliveTimeout = 60_000;
  server.requestTimeout = 0;
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  return {
    port: server.address().port,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

async function serve(vendors, recorder, request, response) {
  response.socket.setNoDelay(true);
  const url = new URL(request.url, "http://fake");
  const [, first, rest] = /^\/([^/]+)(\/.*)?$/.exec(url.pathname) ?? [];
  if (first === "control") return control(vendors, recorder, request, response, rest ?? "/", url.searchParams);
  const entry = vendors.get(first);
  if (!entry) return send_plain(response, json_reply({ error: `no vendor at ${url.pathname}` }, 404));

  const record = recorder.begin(first, request, rest ?? "/");
  response.on("close", () => {
    record.finished = response.writableFinished;
    if (!response.writableFinished && !record.closed_by_fake) {
      record.aborted = true;
      record.aborted_at_ms = now_ms();
    }
  });
  const body_text = await read_body(request);
  if (body_text === null) return response.destroy();
  const reply = reply_of(entry, request, rest ?? "/", url.searchParams, body_text, record);
  const fault = entry.script.next(request.method, body_text);
  record.fault = fault?.kind ?? null;
  const plan = plan_delivery(reply, fault, entry.vendor);
  plan.delay_ms += request.method === "POST" ? (entry.config.latency_ms ?? 0) : 0;
  plan.gap_ms ||= entry.config.chunk_delay_ms ?? 0;
  await deliver(response, plan, record);
}

/** The whole body as text; null when it is larger than any vendor takes or the peer broke off. */
async function read_body(request) {
  const pieces = [];
  let size = 0;
  try {
    for await (const piece of request) {
      size += piece.length;
      if (size > kMaxBody) return null;
      pieces.push(piece);
    }
  } catch {
    return null;
  }
  return Buffer.concat(pieces).toString("utf8");
}

function reply_of({ vendor, config }, request, path, query, body_text, record) {
  let body = {};
  const form = (request.headers["content-type"] ?? "").startsWith("multipart/form-data");
  if (body_text && form) body = body_text;
  else if (body_text) {
    try {
      body = JSON.parse(body_text);
    } catch (error) {
      record.body = body_text;
      return vendor.bad_json(error.message);
    }
  }
  record.body = body;
  try {
    return vendor.handle(request.method, path, body, request.headers, config.answer_style, query, config);
  } catch (error) {
    if (error instanceof Refusal) return error.reply;
    throw error;
  }
}

async function deliver(response, plan, record) {
  if (plan.delay_ms) await pause(plan.delay_ms);
  if (response.destroyed) return;
  if (plan.before_byte) return finish(response, plan.ending, record);
  record.status = plan.status;
  response.writeHead(
    plan.status,
    plan.promised_length ? { ...plan.headers, "content-length": plan.promised_length } : plan.headers,
  );
  if (!plan.frames) {
    await write(response, plan.body);
    return finish(response, plan.ending, record);
  }
  response.flushHeaders();
  for (const [index, frame] of plan.frames.entries()) {
    if (plan.gap_ms && index) await pause(plan.gap_ms);
    if (response.destroyed) return;
    await write(response, frame);
    record.frames_sent = index + 1;
  }
  finish(response, plan.ending, record);
}

/** Resolves when the kernel has the bytes or the connection is gone. */
const write = (response, bytes) =>
  new Promise((resolve) => {
    if (!bytes || response.destroyed) return resolve();
    response.once("close", resolve);
    response.write(bytes, () => {
      response.off("close", resolve);
      resolve();
    });
  });

function finish(response, ending, record) {
  if (ending === "stall") return;
  if (ending === "end") {
    response.end();
    return;
  }
  record.closed_by_fake = true;
  if (ending === "reset") response.socket?.resetAndDestroy();
  else response.socket?.destroy();
}

function send_plain(response, reply) {
  response.writeHead(reply.status, reply.headers);
  response.end(reply.body);
}

/**
 * POST /control/script {vendor, faults}        adds faults; vendor "*" means each
 * POST /control/config {vendor, latency_ms, chunk_delay_ms, answer_style: "echo"|"digest", batch: see openai_batches.mjs}
 * POST /control/reset                          forgets scripts, settings and records
 * GET  /control/requests?vendor&method&since&contains&limit -> {requests, counts}
 */
async function control(vendors, recorder, request, response, path, query) {
  const chosen = (name) => {
    const entries = name === "*" ? [...vendors.values()] : [vendors.get(name)];
    if (!entries[0]) throw new Error(`no vendor ${JSON.stringify(name)}`);
    return entries;
  };
  try {
    const body = request.method === "POST" ? JSON.parse((await read_body(request)) || "{}") : {};
    if (path === "/requests") {
      const number = (name) => (query.has(name) ? Number(query.get(name)) : undefined);
      const requests = recorder.list({
        vendor: query.get("vendor") ?? undefined,
        method: query.get("method") ?? undefined,
        contains: query.get("contains") ?? undefined,
        since: number("since"),
        limit: number("limit"),
      });
      return send_plain(response, json_reply({ requests, counts: recorder.counts() }));
    }
    if (path === "/script") for (const entry of chosen(body.vendor)) entry.script.add(body.faults);
    else if (path === "/config") {
      const { vendor, ...settings } = body;
      for (const entry of chosen(vendor)) Object.assign(entry.config, settings);
    } else if (path === "/reset") {
      recorder.clear();
      for (const entry of vendors.values()) {
        entry.script.clear();
        entry.config = {};
      }
    } else return send_plain(response, json_reply({ error: `no control at ${path}` }, 404));
    return send_plain(response, json_reply({ ok: true }));
  } catch (error) {
    return send_plain(response, json_reply({ error: error.message }, 400));
  }
}
