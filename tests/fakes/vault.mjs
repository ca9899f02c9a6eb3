#!/usr/bin/env node
/**
 * A fake HashiCorp Vault as a process: `node vault.mjs --port 0` prints {"port":N,"address":"http://127.0.0.1:N"} on
 * one line when it listens, and stops on SIGTERM or SIGINT, with --stop-with-parent also at the end of standard input.
 *
 *   VAULT_ADDR=http://127.0.0.1:N VAULT_TOKEN=test-root VAULT_PATH=secret/asahi asahi api
 *
 * It speaks HTTP API v1: KV version 2 at secret/ (GET, POST, DELETE secret/data/…), auth/token/lookup-self and
 * renew-self, auth/kubernetes/login. Tokens expire in real time; "test-root" lives for ever. The rest is by control:
 *
 * POST /control/put    {path, data}                     a new version of a secret
 * POST /control/delete {path}                           deletes the latest version
 * POST /control/token  {token, ttl, renewable, max_ttl} creates a token; ttl in seconds, 0: for ever
 * POST /control/role   {role, jwt, ttl, renewable, max_ttl}   who may log in with Kubernetes, and what they get
 * POST /control/revoke {token?}                         one token, or all but the root's
 * POST /control/script {faults}                         see FaultList
 * POST /control/reset                                   everything as at the start
 * GET  /control/requests                                {requests: [{method, path, token (its start), status, fault}]}
 */
import http from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { make_id } from "./reply.mjs";

const kMaxBody = 1024 * 1024;
const kMaxRecords = 5000;
const kRootToken = "test-root";

/**
 * Scripted misbehaviour, consumed in order by requests whose path ends in `path` (default: any).
 *
 *   {kind: "status", status, headers}   403, 429, 503 … with an error body
 *   {kind: "slow", ms}                  answers properly after a pause
 *   {kind: "hang"}                      takes the request, never answers
 *   {kind: "reset"}                     TCP reset without a byte
 *   {kind: "garbage"}                   200 with a page of HTML, as a wrong proxy would
 *
 * `times` (1) repeats a fault, "forever" keeps it.
 */
class FaultList {
  static #kinds = new Set(["status", "slow", "hang", "reset", "garbage"]);
  #faults = [];

  add(faults) {
    for (const fault of faults) {
      if (!FaultList.#kinds.has(fault.kind)) throw new Error(`unknown fault kind ${JSON.stringify(fault.kind)}`);
      this.#faults.push({ ...fault, left: fault.times === "forever" ? Infinity : (fault.times ?? 1) });
    }
  }

  next(path) {
    const index = this.#faults.findIndex((fault) => path.endsWith(fault.path ?? ""));
    if (index < 0) return null;
    const fault = this.#faults[index];
    if (--fault.left <= 0) this.#faults.splice(index, 1);
    return fault;
  }
}

const errors = (status, ...texts) => ({ status, body: { errors: texts } });

/** Every good answer has all of these. */
const envelope = (fields) => ({
  status: 200,
  body: {
    request_id: make_id("", 32),
    lease_id: "",
    renewable: false,
    lease_duration: 0,
    data: null,
    wrap_info: null,
    warnings: null,
    auth: null,
    ...fields,
  },
});

class VaultState {
  faults = new FaultList();
  requests = [];
  #tokens = new Map([[kRootToken, { ttl: 0, renewable: false, expires_at: Infinity, last_at: Infinity }]]);
  #roles = new Map();
  #secrets = new Map();

  add_token(token, { ttl = 3600, renewable = true, max_ttl = 32 * 24 * 3600 }) {
    const now = Date.now();
    const last_at = ttl === 0 ? Infinity : now + max_ttl * 1000;
    this.#tokens.set(token, { ttl, renewable, expires_at: ttl === 0 ? Infinity : now + ttl * 1000, last_at });
  }

  add_role(role, { jwt, ...life }) {
    this.#roles.set(role, { jwt, life });
  }

  revoke(token) {
    for (const name of token ? [token] : this.#tokens.keys()) if (name !== kRootToken) this.#tokens.delete(name);
  }

  put(path, data) {
    const versions = this.#secrets.get(path) ?? [];
    versions.push({ data, created_time: new Date().toISOString(), deletion_time: "" });
    this.#secrets.set(path, versions);
    return this.#metadata(versions);
  }

  remove(path) {
    const latest = this.#secrets.get(path)?.at(-1);
    if (latest) latest.deletion_time = new Date().toISOString();
  }

  #metadata(versions) {
    const { created_time, deletion_time } = versions.at(-1);
    return { created_time, custom_metadata: null, deletion_time, destroyed: false, version: versions.length };
  }

  #auth(token) {
    const life = this.#tokens.get(token);
    return envelope({
      auth: {
        client_token: token,
        accessor: make_id("", 24),
        policies: ["asahi", "default"],
        token_policies: ["asahi", "default"],
        metadata: null,
        lease_duration: this.#left(life),
        renewable: life.renewable,
        entity_id: "",
        token_type: "service",
        orphan: true,
        mfa_requirement: null,
        num_uses: 0,
      },
    });
  }

  #left(life) {
    return life.expires_at === Infinity ? 0 : Math.round((life.expires_at - Date.now()) / 1000);
  }

  /** The proper answer to a request below /v1/. */
  answer(method, path, token, body) {
    if (method === "POST" && path === "auth/kubernetes/login") return this.#log_in(body);
    const life = this.#tokens.get(token);
    if (!life || life.expires_at <= Date.now()) return errors(403, "permission denied", "invalid token");
    if (method === "GET" && path === "auth/token/lookup-self") {
      return envelope({
        data: {
          accessor: make_id("", 24),
          creation_ttl: life.ttl,
          display_name: "token",
          expire_time: life.expires_at === Infinity ? null : new Date(life.expires_at).toISOString(),
          id: token,
          orphan: true,
          policies: token === kRootToken ? ["root"] : ["asahi", "default"],
          renewable: life.renewable,
          ttl: this.#left(life),
          type: "service",
        },
      });
    }
    if (method === "POST" && path === "auth/token/renew-self") {
      if (!life.renewable) return errors(400, "lease is not renewable");
      life.expires_at = Math.min(Date.now() + life.ttl * 1000, life.last_at);
      return this.#auth(token);
    }
    const [, place] = /^secret\/data\/(.+)$/.exec(path) ?? [];
    if (!place) return errors(404, `no handler for route "${path}". route entry not found.`);
    if (method === "GET") return this.#read(place);
    if (method === "DELETE") {
      this.remove(place);
      return { status: 204 };
    }
    if (typeof body.data !== "object" || body.data === null) return errors(400, "no data provided");
    return envelope({ data: this.put(place, body.data) });
  }

  #log_in({ role, jwt }) {
    const known = this.#roles.get(role);
    if (!known) return errors(400, `invalid role name "${role}"`);
    if (known.jwt !== jwt) return errors(403, "permission denied");
    const token = make_id("hvs.", 24);
    this.add_token(token, known.life);
    return this.#auth(token);
  }

  #read(place) {
    const versions = this.#secrets.get(place);
    if (!versions) return errors(404);
    const { data, deletion_time } = versions.at(-1);
    const reply = envelope({ data: { data: deletion_time ? null : data, metadata: this.#metadata(versions) } });
    return deletion_time ? { ...reply, status: 404 } : reply;
  }
}

async function read_json(request) {
  const pieces = [];
  let size = 0;
  for await (const piece of request) {
    size += piece.length;
    if (size > kMaxBody) throw new Error("the body is too large");
    pieces.push(piece);
  }
  return size === 0 ? {} : JSON.parse(Buffer.concat(pieces).toString("utf8"));
}

/** `page`: HTML instead of JSON. */
function send(response, { status, body, page, headers = {} }) {
  const type = page ? "text/html" : "application/json";
  response.writeHead(status, { "content-type": type, "cache-control": "no-store", ...headers });
  response.end(page ?? (body && JSON.stringify(body)));
}

function control(holder, action, body) {
  const state = holder.state;
  if (action === "put") state.put(body.path, body.data);
  else if (action === "delete") state.remove(body.path);
  else if (action === "token") state.add_token(body.token, body);
  else if (action === "role") state.add_role(body.role, body);
  else if (action === "revoke") state.revoke(body.token);
  else if (action === "script") state.faults.add(body.faults);
  else if (action === "reset") holder.state = new VaultState();
  else if (action === "requests") return { requests: state.requests };
  else throw new Error(`no control ${JSON.stringify(action)}`);
  return { ok: true };
}

async function serve(holder, request, response) {
  const { pathname } = new URL(request.url, "http://vault");
  const [, root, path] = /^\/(control|v1)\/(.+)$/.exec(pathname) ?? [];
  if (!root) return send(response, errors(404));
  let body;
  try {
    body = await read_json(request);
    if (root === "control") return send(response, { status: 200, body: control(holder, path, body) });
  } catch (error) {
    return send(response, errors(400, error.message));
  }
  const { state } = holder;
  const token = request.headers["x-vault-token"];
  const fault = state.faults.next(path);
  const record = { method: request.method, path, token: token?.slice(0, 8) ?? null, fault: fault?.kind ?? null };
  state.requests.push(record);
  if (state.requests.length > kMaxRecords) state.requests.shift();
  if (fault?.kind === "hang") return;
  if (fault?.kind === "reset") return request.socket.resetAndDestroy();
  if (fault?.kind === "slow") await pause(fault.ms ?? 1000);
  let reply;
  if (fault?.kind === "status") reply = { ...errors(fault.status, "scripted fault"), headers: fault.headers };
  else if (fault?.kind === "garbage") reply = { status: 200, page: "<html>Welcome</html>" };
  else reply = state.answer(request.method, path, token, body);
  record.status = reply.status;
  send(response, reply);
}

/** Starts on 127.0.0.1. Resolves to {port, close()}. */
export async function start_vault({ port = 0 } = {}) {
  const holder = { state: new VaultState() };
  const server = http.createServer((request, response) => {
    serve(holder, request, response).catch((error) => {
      process.stderr.write(`fake vault failed: ${error.stack}\n`);
      response.destroy();
    });
  });
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

async function main() {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "0" },
      "stop-with-parent": { type: "boolean", default: false },
    },
  });
  const { port, close } = await start_vault({ port: Number(values.port) });
  process.stdout.write(`${JSON.stringify({ port, address: `http://127.0.0.1:${port}` })}\n`);
  let stopping = false;
  async function stop() {
    if (stopping) return;
    stopping = true;
    await close();
    process.exit(0);
  }
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  if (values["stop-with-parent"]) process.stdin.on("end", stop).resume();
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main();
