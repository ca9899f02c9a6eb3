/** A real S3-protocol server that checks signatures and breaks on demand: tests/s3. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { Program, temp_folder } from "./processes.mjs";

const folder = fileURLToPath(new URL("../../s3/", import.meta.url));

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
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: "S3RVER",
      AWS_SECRET_ACCESS_KEY: "S3RVER",
    },
    fault: (fault) => control({ fault }),
    reset: () => control({ reset: true }),
    /** "PUT /bucket/key", in order, since the last call. */
    requests: async () => (await fetch(`${url}/_control`)).json(),
  };
}
