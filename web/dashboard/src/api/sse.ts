/** Server-sent events (WHATWG HTML §9.2.6): text in, events out; no I/O. */

export interface SseEvent {
  /** `message` unless the stream named it. */
  event: string;
  data: string;
}

export class SseParser {
  #line = '';
  #data: string[] = [];
  #event = '';
  #afterCr = false;
  #first = true;

  /** Takes the next piece of the stream, cut anywhere; returns the events it completed. */
  push(chunk: string): SseEvent[] {
    const events: SseEvent[] = [];
    for (const char of chunk) {
      if (char === '\n' && this.#afterCr) {
        this.#afterCr = false;
        continue;
      }
      this.#afterCr = char === '\r';
      if (char !== '\n' && char !== '\r') {
        this.#line += char;
        continue;
      }
      const event = this.#endLine();
      if (event) events.push(event);
    }
    return events;
  }

  #endLine(): SseEvent | undefined {
    let line = this.#line;
    this.#line = '';
    if (this.#first) {
      this.#first = false;
      if (line.startsWith('\uFEFF')) line = line.slice(1);
    }
    if (line === '') {
      const done = this.#data.length > 0 ? { event: this.#event || 'message', data: this.#data.join('\n') } : undefined;
      this.#data = [];
      this.#event = '';
      return done;
    }
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'data') this.#data.push(value);
    else if (name === 'event') this.#event = value;
    return undefined;
  }
}

/** The events of a reply's body as they arrive. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<SseEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new SseParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    // A reader who stops early ends the request, and with it the vendor's work.
    await reader.cancel().catch(() => undefined);
  }
}
