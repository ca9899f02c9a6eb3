/** What the fakes were asked, newest last, bounded: tests look here for what went upstream and when it was dropped. */

const kKept = 5000;
const kSecretHeaders = new Set(["authorization", "x-api-key", "x-goog-api-key", "api-key"]);

/** Milliseconds since 1970 with fractions. */
export const now_ms = () => performance.timeOrigin + performance.now();

export class Recorder {
  #entries = [];
  #counts = {};
  #seq = 0;

  /** Starts the record of one request; its fields are filled in while it is served. */
  begin(vendor, request, path) {
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, kSecretHeaders.has(name) ? "***" : value]),
    );
    const key = Object.entries(request.headers).find(([name]) => kSecretHeaders.has(name))?.[1];
    const entry = {
      key_hint: key?.slice(-4) ?? null, // whose key it was, without the key
      seq: ++this.#seq,
      vendor,
      method: request.method,
      path,
      headers,
      body: null,
      received_at_ms: now_ms(),
      status: 0,
      fault: null,
      frames_sent: 0,
      finished: false,
      aborted: false,
      aborted_at_ms: null,
    };
    this.#entries.push(entry);
    if (this.#entries.length > kKept) this.#entries.shift();
    this.#counts[vendor] ??= { GET: 0, POST: 0 };
    this.#counts[vendor][request.method] = (this.#counts[vendor][request.method] ?? 0) + 1;
    return entry;
  }

  /** Records after `since` (a seq), of one vendor and method when given, holding `contains` in their JSON body. */
  list({ vendor, method, since = 0, contains, limit = kKept }) {
    return this.#entries
      .filter(
        (e) =>
          e.seq > since &&
          (!vendor || e.vendor === vendor) &&
          (!method || e.method === method) &&
          (!contains || JSON.stringify(e.body).includes(contains)),
      )
      .slice(-limit);
  }

  counts() {
    return this.#counts;
  }

  clear() {
    this.#entries = [];
    this.#counts = {};
  }
}
