/** The fake Vault as a process of its own, and its control API. */
import { fileURLToPath } from "node:url";

import { Program } from "./processes.mjs";

const kScript = fileURLToPath(new URL("../../fakes/vault.mjs", import.meta.url));

export class FakeVault {
  constructor(program, { port, address }) {
    this.program = program;
    this.port = port;
    /** What a gateway needs to read secret/asahi; five seconds are the shortest interval. */
    this.env = {
      VAULT_ADDR: address,
      VAULT_TOKEN: "test-root",
      VAULT_PATH: "secret/asahi",
      ASAHI_VAULT_REFRESH_SECONDS: "5",
    };
  }

  async control(action, body) {
    const response = await fetch(
      `http://127.0.0.1:${this.port}/control/${action}`,
      body ? { method: "POST", body: JSON.stringify(body) } : {},
    );
    const reply = await response.json();
    if (!response.ok) throw new Error(`fake vault: ${JSON.stringify(reply)}`);
    return reply;
  }

  /** A new version of secret/asahi. */
  put(data) {
    return this.control("put", { path: "asahi", data });
  }
}

export async function start_vault() {
  const program = new Program(process.execPath, [kScript, "--port", "0", "--stop-with-parent"]);
  const line = await program.output((out) => out.match(/^\{.*\}$/m)?.[0], { what: "the line with its port" });
  return new FakeVault(program, JSON.parse(line));
}
