/** A TCP proxy that misbehaves on command: delays, cuts, refuses, falls silent. For any protocol. */
import { createConnection, createServer } from "node:net";

export class FaultProxy {
  #server;
  #pairs = new Set();
  #target;
  /** Milliseconds added to each piece, per direction. */
  delay_ms = 0;
  /** Bytes are taken and not passed on. */
  silent = false;

  constructor(target_port) {
    this.#target = target_port;
  }

  async listen(port = 0) {
    this.#server = createServer((client) => this.#connect(client));
    await new Promise((resolve, reject) => this.#server.once("error", reject).listen(port, "127.0.0.1", resolve));
    this.port = this.#server.address().port;
  }

  #connect(client) {
    const upstream = createConnection(this.#target, "127.0.0.1");
    const pair = { client, upstream };
    this.#pairs.add(pair);
    const close = () => {
      this.#pairs.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ]) {
      from.setNoDelay(true);
      from.on("error", close).on("close", close);
      from.on("data", (bytes) => {
        if (this.silent) return;
        if (this.delay_ms) setTimeout(() => to.destroyed || to.write(bytes), this.delay_ms);
        else to.write(bytes);
      });
    }
  }

  /** Open connections. */
  get connections() {
    return this.#pairs.size;
  }

  /** Cuts every open connection: with a reset, or politely. */
  cut({ reset = false } = {}) {
    for (const { client, upstream } of this.#pairs) {
      if (reset) client.resetAndDestroy();
      else client.destroy();
      upstream.destroy();
    }
    this.#pairs.clear();
  }

  /** Refuses new connections and cuts the open ones, until `accept`. */
  async refuse() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut({ reset: true });
    await closed;
  }

  /** Listens again on the same port. */
  accept() {
    return this.listen(this.port);
  }

  async close() {
    if (!this.#server.listening) return;
    await this.refuse();
  }
}

/** A proxy in front of a local port. */
export async function start_fault_proxy(target_port) {
  const proxy = new FaultProxy(target_port);
  await proxy.listen();
  return proxy;
}
