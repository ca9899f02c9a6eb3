/** Microsoft's emulator of Azure's Blob service: tests/azure. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { Program, temp_folder } from "./processes.mjs";

const folder = fileURLToPath(new URL("../../azure/", import.meta.url));

/** A reason to skip, or false. */
export const azure_missing = existsSync(`${folder}node_modules/azurite`)
  ? false
  : "needs 'npm ci --ignore-scripts' in tests/azure";

/** Settings for a server that keeps cold files in its container "archive". */
export async function start_azure() {
  const program = new Program(process.execPath, [`${folder}server.mjs`, temp_folder("azure"), "archive"]);
  const port = await program.output((text) => /ready (\d+)/.exec(text)?.[1], {
    what: "the emulator to be ready",
    timeout_ms: 30_000,
  });
  return {
    env: {
      AKOSHA_COLD_BACKEND: "azure",
      AKOSHA_COLD_BUCKET: "archive",
      // The emulator's well-known account and key: no secret.
      AZURE_STORAGE_ACCOUNT: "devstoreaccount1",
      AZURE_STORAGE_KEY: "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
      AZURE_STORAGE_BLOB_ENDPOINT: `http://127.0.0.1:${port}/devstoreaccount1`,
    },
  };
}
