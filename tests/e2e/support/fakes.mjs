/** The fake vendors as a process of their own, and their control API. */
import { fileURLToPath } from "node:url";

import { Program } from "./processes.mjs";

const kScript = fileURLToPath(new URL("../../fakes/vendors.mjs", import.meta.url));

export class Fakes {
  constructor(program, { port, vendors }) {
    this.program = program;
    this.port = port;
    this.vendors = vendors;
  }

  base(vendor) {
    return this.vendors[vendor];
  }

  async #control(path, body) {
    const response = await fetch(
      `http://127.0.0.1:${this.port}/control${path}`,
      body ? { method: "POST", body: JSON.stringify(body) } : {},
    );
    const reply = await response.json();
    if (!response.ok) throw new Error(`fakes: ${reply.error}`);
    return reply;
  }

  /** Queues faults for a vendor ("*": each); see tests/fakes/faults.mjs. */
  script(vendor, ...faults) {
    return this.#control("/script", { vendor, faults });
  }

  config(vendor, settings) {
    return this.#control("/config", { vendor, ...settings });
  }

  reset() {
    return this.#control("/reset", {});
  }

  /** Inference requests (POST) seen so far, oldest first; `filter`: {vendor, contains, since, method}. */
  async requests(filter = {}) {
    const { requests } = await this.#control(`/requests?${new URLSearchParams({ method: "POST", ...filter })}`);
    return requests;
  }
}

/** Starts them on a free port. */
export async function start_fakes() {
  const program = new Program(process.execPath, [kScript, "--port", "0", "--stop-with-parent"]);
  const line = await program.output((out) => out.match(/^\{.*\}$/m)?.[0], { what: "the line with its port" });
  return new Fakes(program, JSON.parse(line));
}
