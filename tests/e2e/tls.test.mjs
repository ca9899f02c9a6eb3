/** HTTPS on the main listener: the certificate is renewed without a restart, and a broken one harms nobody. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import https from "node:https";
import { join } from "node:path";
import { after, test } from "node:test";

import { run_asahi, start_gateway } from "./support/gateway.mjs";
import { run, stop_everything, temp_folder } from "./support/processes.mjs";
import { until } from "./support/wait.mjs";

after(stop_everything);

const folder = temp_folder("tls");
const certificate_file = join(folder, "server.crt");
const key_file = join(folder, "server.key");

/** Writes a fresh self-signed certificate for 127.0.0.1; resolves to its PEM. */
async function renew() {
  const { code, stderr } = await run("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
    ...["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
    ...["-keyout", key_file, "-out", certificate_file],
  ]);
  assert.equal(code, 0, stderr);
  return readFileSync(certificate_file, "utf8");
}

/** GET over a new connection that trusts `ca` alone. */
function get(port, path, ca) {
  return new Promise((resolve, reject) => {
    const request = https.get({ host: "127.0.0.1", port, path, ca, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece) => (text += piece));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
    request.on("error", reject);
  });
}

test("the listener speaks HTTPS with HSTS and takes a renewed certificate up", async () => {
  const first = await renew();
  const gateway = await start_gateway({
    env: { ASAHI_API_TLS_CERTIFICATE_FILE: certificate_file, ASAHI_API_TLS_PRIVATE_KEY_FILE: key_file, ASAHI_MOCK: "1" },
    wait_ready: false,
  });
  const reply = await until(() => get(gateway.port, "/health/ready", first), { what: "HTTPS to answer", timeout_ms: 20_000 });
  assert.equal(reply.status, 200);
  assert.match(reply.headers["strict-transport-security"], /^max-age=\d+/);
  await assert.rejects(fetch(`http://127.0.0.1:${gateway.port}/health`), "plain HTTP has nothing here");

  writeFileSync(certificate_file, "half written");
  await until(() => gateway.logs().some((line) => /new certificate cannot be used/.test(line.message)), {
    what: "a warning about the broken file",
    timeout_ms: 10_000,
  });
  assert.equal((await get(gateway.port, "/health", first)).status, 200);

  const second = await renew();
  assert.equal(
    (await until(() => get(gateway.port, "/health", second), { what: "the renewed certificate", timeout_ms: 10_000 })).status,
    200,
  );
});

test("a certificate without its key is a fault of the configuration", async () => {
  const { code, stderr } = await run_asahi(["config", "--validate"], { env: { ASAHI_API_TLS_CERTIFICATE_FILE: "/x.pem" } });
  assert.equal(code, 2);
  assert.match(stderr, /certificate and private key go together/);
});
