#!/usr/bin/env node
/**
 * Fake LLM vendors as a process: `node vendors.mjs --port 0` prints {"port":N,"vendors":{name: base URL}} on one line
 * when it listens, and stops on SIGTERM or SIGINT. With --stop-with-parent the end of standard input stops it too, so
 * that nothing is left running when a test process dies.
 */
import { parseArgs } from "node:util";

import { start_vendors } from "./server.mjs";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    "stop-with-parent": { type: "boolean", default: false },
  },
});
const { port, close } = await start_vendors({ port: Number(values.port) });
const names = ["openai", "anthropic", "google", "cohere", "ollama", "deepseek", "mistral", "vercel"];
const bases = Object.fromEntries(names.map((name) => [name, `http://127.0.0.1:${port}/${name}`]));
process.stdout.write(`${JSON.stringify({ port, vendors: bases })}\n`);

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
