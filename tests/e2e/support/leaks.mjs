/** Looks for secrets where none may be. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Every file below `folder`, but the database of `sqlite3` too: bytes are bytes. */
function files_below(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

/**
 * Fails when one of `secrets` (name to value) is in the gateway's output, in its metrics, in a file of its data folder or
 * in one of `texts` (name to text: replies, the output of commands).
 */
export async function assert_no_leak(gateway, secrets, texts = {}) {
  const places = {
    "standard output": gateway.program.stdout,
    "standard error": gateway.program.stderr,
    "GET /metrics": (await gateway.get("/metrics", { accept: "text/plain", ...(texts.headers ?? {}) })).text,
    ...Object.fromEntries(Object.entries(texts).filter(([name]) => name !== "headers")),
  };
  for (const file of files_below(join(gateway.folder, "data"))) places[file] = readFileSync(file, "latin1");
  for (const [place, text] of Object.entries(places))
    for (const [name, value] of Object.entries(secrets))
      assert.equal(text.includes(value), false, `${name} is in ${place}`);
}
