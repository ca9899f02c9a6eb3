/** A PostgreSQL with pgvector: npm's PGlite behind a socket (pgvector_server.mjs). */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { Program, free_port } from "./processes.mjs";

const script = fileURLToPath(new URL("./pgvector_server.mjs", import.meta.url));

/** A reason to skip, or false. */
export const pgvector_missing = existsSync(
  fileURLToPath(new URL("../node_modules/@electric-sql/pglite-pgvector", import.meta.url)),
)
  ? false
  : "needs 'npm ci' in tests/e2e";

/** Settings for a server whose hot tier is in it. One session serves all connections there. */
export async function start_pgvector() {
  const port = await free_port();
  const program = new Program(process.execPath, [script, String(port)]);
  await program.output((text) => /ready/.exec(text)?.[0], { what: "PGlite to be ready", timeout_ms: 60_000 });
  return {
    env: {
      AKOSHA__STORAGE__HOT__BACKEND: "pgvector",
      AKOSHA__STORAGE__HOT__PG_URL: `postgres://postgres@127.0.0.1:${port}/postgres?sslmode=disable`,
      ASAHI_MEMORY_HOT_PG_POOL_SIZE: "1",
    },
  };
}
