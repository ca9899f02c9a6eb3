/** A real S3-protocol server that checks signatures and breaks on demand: tests/s3. */
import { createHash, createHmac } from "node:crypto";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { Program, temp_folder } from "./processes.mjs";

const folder = fileURLToPath(new URL("../../s3/", import.meta.url));

const kKey = "S3RVER";
const kRegion = "us-east-1";
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const hmac = (key, text) => createHmac("sha256", key).update(text).digest();

/** Puts an object as any S3 client does: signature version 4 over host, time and content. */
async function put(url, path, body) {
  const { host } = new URL(url);
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const scope = [time.slice(0, 8), kRegion, "s3", "aws4_request"];
  const headers = { host, "x-amz-content-sha256": sha256(body), "x-amz-date": time };
  const names = Object.keys(headers).join(";");
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
  const request = ["PUT", path, "", lines.join(""), names, sha256(body)].join("\n");
  const signed = ["AWS4-HMAC-SHA256", time, scope.join("/"), sha256(request)].join("\n");
  const signature = createHmac("sha256", scope.reduce(hmac, `AWS4${kKey}`)).update(signed).digest("hex");
  headers.authorization = `AWS4-HMAC-SHA256 Credential=${kKey}/${scope.join("/")}, SignedHeaders=${names}, Signature=${signature}`;
  const reply = await fetch(url + path, { method: "PUT", headers, body });
  if (!reply.ok) throw new Error(`PUT ${path} answered ${reply.status}: ${await reply.text()}`);
}

/** A reason to skip, or false. */
export const s3_missing = existsSync(`${folder}node_modules/s3rver`) ? false : "needs 'npm ci' in tests/s3";

/** Settings for a gateway that archives in it, and its controls. */
export async function start_s3() {
  const program = new Program(process.execPath, [
    "--openssl-legacy-provider",
    `${folder}server.mjs`,
    temp_folder("s3"),
    "archive",
  ]);
  const port = await program.output((text) => /ready (\d+)/.exec(text)?.[1], {
    what: "the S3 server to be ready",
    timeout_ms: 30_000,
  });
  const url = `http://127.0.0.1:${port}`;
  const control = async (order) => {
    await fetch(`${url}/_control`, { method: "POST", body: JSON.stringify(order) });
  };
  return {
    env: {
      AWS_ENDPOINT_URL: url,
      AWS_REGION: kRegion,
      AWS_ACCESS_KEY_ID: kKey,
      AWS_SECRET_ACCESS_KEY: kKey,
    },
    /** An object of the bucket "archive". */
    put: (key, body) => put(url, `/archive/${key}`, body),
    fault: (fault) => control({ fault }),
    reset: () => control({ reset: true }),
    /** "PUT /bucket/key", in order, since the last call. */
    requests: async () => (await fetch(`${url}/_control`)).json(),
  };
}
