/** An HTTP server that takes whatever is posted to it, as Slack, PagerDuty, webhooks and databases of metrics do. */
import { createServer } from "node:http";

/**
 * `judge(request)` may answer {status, headers, body}; `faults` come first, one per request: {status, headers, delay_ms}
 * or {kind: "cut"}. Requests are kept in `requests`: {method, url, headers, body (Buffer), at}.
 */
export class Receiver {
  requests = [];
  faults = [];
  #server;
  #judge;

  constructor(judge = () => ({ status: 200, body: "ok" })) {
    this.#judge = judge;
    this.#server = createServer((request, response) => this.#take(request, response));
  }

  async listen(port = 0) {
    await new Promise((resolve, reject) => this.#server.once("error", reject).listen(port, "127.0.0.1", resolve));
    this.#server.unref(); // a test that fails before it closes this one shall end
    this.port = this.#server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
    return this;
  }

  async #take(request, response) {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const { method, url, headers } = request;
    const taken = { method, url, headers, body: Buffer.concat(pieces), at: Date.now() };
    const fault = this.faults.shift();
    taken.status = fault?.status;
    if (fault?.kind === "cut") {
      this.requests.push({ ...taken, status: 0 });
      request.socket.destroy();
      return;
    }
    const answer = fault ?? this.#judge(taken);
    taken.status = answer.status;
    this.requests.push(taken);
    if (fault?.delay_ms) await new Promise((resolve) => setTimeout(resolve, fault.delay_ms));
    response.writeHead(answer.status, answer.headers ?? {});
    response.end(answer.body ?? "");
  }

  /** Requests that were answered with 2xx, their bodies as JSON. */
  get taken() {
    return this.requests.filter(({ status }) => status >= 200 && status < 300);
  }

  get bodies() {
    return this.taken.map(({ body }) => JSON.parse(body));
  }

  /** Refuses connections from now on. */
  async close() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export const start_receiver = (judge) => new Receiver(judge).listen();
