/** HTTP/1.1 over a bare socket, for requests that no proper client would send. */
import { createConnection } from "node:net";

import { within } from "./wait.mjs";

export class RawConnection {
  #socket;
  #bytes = Buffer.alloc(0);
  #ended = false;
  #wake = () => {};

  static async open(port) {
    const connection = new RawConnection();
    await connection.#open(port);
    return connection;
  }

  #open(port) {
    this.#socket = createConnection(port, "127.0.0.1");
    this.#socket.setNoDelay(true);
    this.#socket.on("data", (bytes) => {
      this.#bytes = Buffer.concat([this.#bytes, bytes]);
      this.#wake();
    });
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    this.#socket.on("end", end).on("close", end);
    return new Promise((resolve, reject) => {
      this.#socket.once("connect", resolve);
      this.#socket.once("error", reject);
      this.#socket.on("error", end);
    });
  }

  /** Sends bytes as they are. */
  send(bytes) {
    this.#socket.write(bytes);
  }

  /** Sends a request with the right Content-Length; `head` is the request line and further field lines. */
  request(head, body = "") {
    const bytes = Buffer.from(body);
    const lines = [head, "Host: localhost", ...(bytes.length ? [`Content-Length: ${bytes.length}`] : [])];
    this.send(Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`), bytes]));
  }

  async #more(deadline_ms) {
    if (this.#ended) return false;
    await within(
      deadline_ms,
      "a reply on the raw connection",
      new Promise((resolve) => {
        this.#wake = resolve;
      }),
    );
    return true;
  }

  /** The next whole reply: {status, headers, body text, closed}; null when the connection ended without one. */
  async reply(deadline_ms = 10_000) {
    for (;;) {
      const parsed = this.#parse();
      if (parsed) return parsed;
      if (!(await this.#more(deadline_ms))) return this.#parse(true);
    }
  }

  #parse(at_end = false) {
    const head_end = this.#bytes.indexOf("\r\n\r\n");
    if (head_end < 0) return null;
    const [status_line, ...lines] = this.#bytes.subarray(0, head_end).toString("latin1").split("\r\n");
    const headers = Object.fromEntries(
      lines.map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const length = headers["content-length"];
    const have = this.#bytes.length - head_end - 4;
    if (length === undefined ? !at_end && headers["transfer-encoding"] : have < Number(length)) return null;
    const body_length = length === undefined ? have : Number(length);
    const body = this.#bytes.subarray(head_end + 4, head_end + 4 + body_length).toString("utf8");
    this.#bytes = this.#bytes.subarray(head_end + 4 + body_length);
    return { status: Number(status_line.split(" ")[1]), headers, text: body, json: () => JSON.parse(body) };
  }

  /** Waits until the other side closed the connection. */
  async closed(deadline_ms = 10_000) {
    while (await this.#more(deadline_ms)) this.#bytes = Buffer.alloc(0);
  }

  close() {
    this.#socket.destroy();
  }
}
