/** Live events on a listener of their own: plain, TLS, certificates of clients, what does not start and what is said then. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, test } from "node:test";
import { connect } from "node:tls";

import { Agent, WebSocket } from "undici";

import { make_authority } from "./support/certificates.mjs";
import { run_asahi, start_gateway } from "./support/gateway.mjs";
import { run_akosha, start_role } from "./support/memory_roles.mjs";
import { free_port, stop_everything } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

after(stop_everything);

/** Where the process said that live events are. */
async function live_of(process) {
  return until(() => process.logs().find((line) => line.message === "live events"), { what: "the listener", timeout_ms: 10_000 });
}

/** Resolves to the welcome, or to {refused} when there is no connection. */
function hear(port, { tls, path = "/" } = {}) {
  return new Promise((resolve) => {
    const dispatcher = tls && new Agent({ connect: tls });
    const socket = new WebSocket(`${tls ? "wss" : "ws"}://127.0.0.1:${port}${path}`, { dispatcher });
    socket.addEventListener("message", ({ data }) => {
      resolve(JSON.parse(data));
      socket.close();
    });
    socket.addEventListener("error", () => resolve({ refused: "no connection" }));
    socket.addEventListener("close", () => {
      resolve({ refused: "closed" });
      dispatcher?.close();
    });
  });
}

/** How the handshake ends: "secure", or the code of the alert. TLS 1.3 tells a client so when it reads. */
function shake_hands(port, options) {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, ...options });
    const end = (how) => {
      resolve(how);
      socket.destroy();
    };
    socket.on("error", ({ code }) => end(code));
    // Nothing is refused: a request gets its answer.
    socket.on("secureConnect", () => socket.write("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"));
    socket.on("data", () => end("secure"));
    socket.on("end", () => end("closed"));
  });
}

const tls_env = ({ cert_file, key_file }, more = {}) => ({
  AKOSHA_WS_PORT: "0",
  AKOSHA_WS_TLS_ENABLED: "true",
  AKOSHA_WS_CERT_FILE: cert_file,
  AKOSHA_WS_KEY_FILE: key_file,
  ...more,
});

test("plain: the listener speaks at its root, at /ws and /api/v1/ws, and serves nothing else", async () => {
  const gateway = await start_gateway({ env: { AKOSHA_WS_PORT: "0" } });
  const { port, tls } = await live_of(gateway);
  assert.equal(tls, false);
  for (const path of ["/", "/ws", "/api/v1/ws"]) {
    const welcome = await hear(port, { path });
    assert.deepEqual([welcome.event, welcome.data?.secure], ["session.created", false], path);
  }
  assert.equal((await hear(gateway.port, { path: "/memory/ws" })).event, "session.created", "the API goes on to have it");
  assert.equal((await fetch(`http://127.0.0.1:${port}/models`)).status, 404);
  const stopped = await gateway.stop();
  assert.equal(stopped.code, 0);
});

test("TLS: a client that trusts the authority is let in over wss, and the channel says it is secure", async () => {
  const authority = await make_authority("ours");
  const server = await authority.sign("server");
  const gateway = await start_gateway({ env: tls_env(server) });
  const { port } = await live_of(gateway);
  const welcome = await hear(port, { tls: { ca: authority.pem } });
  assert.deepEqual([welcome.event, welcome.data?.secure], ["session.created", true], JSON.stringify(welcome));
  const stranger = await make_authority("stranger");
  assert.ok((await hear(port, { tls: { ca: stranger.pem } })).refused, "a client that trusts another authority");
  assert.ok((await hear(port)).refused, "plain text");
});

test("a client's certificate: ours is let in, a foreign one and none are refused in the handshake", async () => {
  const authority = await make_authority("ours");
  const foreign = await make_authority("foreign");
  const env = tls_env(await authority.sign("server"), { AKOSHA_WS_CA_FILE: authority.file, AKOSHA_WS_VERIFY_CLIENT: "true" });
  const gateway = await start_gateway({ env });
  const { port, client_certificates } = await live_of(gateway);
  assert.equal(client_certificates, "required");
  const as = async (signer) => {
    const { cert, key } = signer ? await signer.sign("client") : {};
    const tls = { ca: authority.pem, cert, key };
    const handshakes = [];
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"]) handshakes.push(await shake_hands(port, { ...tls, maxVersion }));
    return { heard: (await hear(port, { tls })).event ?? "refused", handshakes };
  };
  const welcome = { heard: "session.created", handshakes: ["secure", "secure"] };
  assert.deepEqual(await as(authority), welcome);
  const none = await as(undefined);
  assert.equal(none.heard, "refused");
  assert.match(none.handshakes[0], /ALERT/, "a fatal alert");
  assert.match(none.handshakes[1], /CERTIFICATE_REQUIRED/);
  const wrong = await as(foreign);
  assert.equal(wrong.heard, "refused");
  for (const how of wrong.handshakes) assert.match(how, /UNKNOWN_CA/);
  assert.deepEqual(await as(authority), welcome, "refusing harms nobody");
});

test("with an authority alone a certificate is optional, and a foreign one is still refused", async () => {
  const authority = await make_authority("ours");
  const foreign = await make_authority("foreign");
  const gateway = await start_gateway({ env: tls_env(await authority.sign("server"), { AKOSHA_WS_CA_FILE: authority.file }) });
  const { port } = await live_of(gateway);
  assert.equal((await hear(port, { tls: { ca: authority.pem } })).event, "session.created");
  const { cert, key } = await foreign.sign("client");
  assert.ok((await hear(port, { tls: { ca: authority.pem, cert, key } })).refused);
});

test("a renewed certificate is served without a restart", async () => {
  const authority = await make_authority("ours");
  const next = await make_authority("next");
  const server = await authority.sign("server");
  const gateway = await start_gateway({ env: tls_env(server) });
  const { port } = await live_of(gateway);
  assert.equal((await hear(port, { tls: { ca: authority.pem } })).event, "session.created");
  await next.sign("server", { into: server.cert_file.replace("/cert.pem", "") });
  await until(async () => (await hear(port, { tls: { ca: next.pem } })).event === "session.created", { what: "the new one", timeout_ms: 15_000 });
});

test("in development TLS without files has a throw-away certificate; elsewhere that is a fault", async () => {
  const gateway = await start_gateway({ env: { AKOSHA_WS_PORT: "0", AKOSHA_WS_TLS_ENABLED: "true" } });
  const { port } = await live_of(gateway);
  assert.equal((await hear(port, { tls: { rejectUnauthorized: false } })).data?.secure, true);
  assert.ok((await hear(port, { tls: {} })).refused, "nobody trusts it");
  assert.ok(gateway.logs().some((line) => line.level === "WARNING" && /throw-away/.test(line.message)));
  const refused = await run_asahi(["config"], { env: { AKOSHA_WS_TLS_ENABLED: "true", AKOSHA_ENVIRONMENT: "production" } });
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /memory\.websocket\.cert_file .*AKOSHA_WS_CERT_FILE.*throw-away certificate is for app\.environment development only/);
});

test("settings that contradict each other are faults that name the setting", async () => {
  for (const [env, what] of [
    [{ AKOSHA_WS_TLS_ENABLED: "true", AKOSHA_WS_CERT_FILE: "/x.pem" }, /memory\.websocket\.cert_file = '\/x\.pem' certificate and private key go together/],
    [{ AKOSHA_WS_CERT_FILE: "/x.pem", AKOSHA_WS_KEY_FILE: "/y.pem" }, /memory\.websocket\.tls_enabled = 'false' must be true/],
    [{ AKOSHA_WS_TLS_ENABLED: "true", AKOSHA_WS_VERIFY_CLIENT: "true" }, /memory\.websocket\.verify_client = 'true' needs memory\.websocket\.ca_file/],
    [{ AKOSHA_WS_PORT: "70000" }, /AKOSHA_WS_PORT = '70000' must be an integer from -1 to 65535/],
  ]) {
    const { code, stderr } = await run_asahi(["config"], { env });
    assert.equal(code, 2, stderr);
    assert.match(stderr, what);
  }
});

test("certificates that cannot be used end the start with one line that names the setting, and 2", async () => {
  const authority = await make_authority("ours");
  const good = await authority.sign("server");
  const other = await authority.sign("other");
  const expired = await authority.sign("expired", { days: -1 });
  const cases = [
    [tls_env(expired), /AKOSHA_WS_CERT_FILE.*it has expired/],
    [tls_env({ cert_file: good.cert_file, key_file: other.key_file }), /AKOSHA_WS_KEY_FILE.*mismatch/],
    [tls_env({ cert_file: "/nonexistent.pem", key_file: good.key_file }), /AKOSHA_WS_CERT_FILE.*\/nonexistent\.pem/],
    [tls_env(good, { AKOSHA_WS_CA_FILE: "/nonexistent.pem" }), /AKOSHA_WS_CA_FILE.*\/nonexistent\.pem/],
  ];
  for (const [env, what] of cases) {
    for (const start of [
      (env) => run_asahi(["serve", "--mock", "--port", "0"], { env }),
      (env) => run_akosha(["start", "--port", "0"], { AKOSHA_PROMETHEUS_PORT: "0", ...env }),
    ]) {
      const { code, stderr } = await start(env);
      assert.equal(code, 2, stderr);
      assert.match(stderr, what);
      assert.equal(stderr.trim().split("\n").length, 1, stderr);
    }
  }
});

test("a port that is taken: one that was asked for ends the start, the usual one is a warning", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await new Promise((done) => taken.once("listening", done));
  try {
    const { code, stderr } = await run_asahi(["serve", "--mock", "--port", "0"], {
      env: { ASAHI_HOST: "127.0.0.1", AKOSHA_WS_PORT: String(taken.address().port) },
    });
    assert.equal(code, 1, stderr);
    assert.match(stderr, /AKOSHA_WS_PORT\): cannot listen on 127\.0\.0\.1 port \d+/);
  } finally {
    taken.close();
  }
  // Two on one machine: the first may have 8692, the second says what became of it and serves.
  const [one, two] = [await start_role("all"), await start_role("all")];
  const said = (role) => role.logs().filter((line) => ["live events", "the listener for live events is off; /ws of the API has them"].includes(line.message));
  assert.equal(said(one).length, 1);
  assert.match(said(two)[0].message, /is off/);
  for (const role of [one, two]) assert.equal((await hear(role.port, { path: "/ws" })).event, "session.created");
  const quiet = await start_role("all", { env: { AKOSHA_WS_ENABLED: "false" } });
  assert.deepEqual(said(quiet), []);
});

test("the combined process has the listener only where it was asked for", async () => {
  const gateway = await start_gateway();
  assert.ok(!gateway.logs().some((line) => line.message === "live events"));
  const off = await start_gateway({ env: { AKOSHA_WS_PORT: String(await free_port()), AKOSHA_WS_ENABLED: "false" } });
  assert.ok(!off.logs().some((line) => line.message === "live events"));
});
