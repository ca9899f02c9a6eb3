/** What a vendor answers with, before faults are applied, and the refusals thrown on the way to it. */
import { randomBytes } from "node:crypto";

/** A JSON answer. */
export const json_reply = (body, status = 200, headers = {}) => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(body),
});

/**
 * A streamed answer: each frame is written on its own. `gap_ms` pauses between frames, `delay_ms` before the first.
 * `media_type` is text/event-stream or, for Ollama, application/x-ndjson.
 */
export const stream_reply = (frames, { markers = {}, media_type = "text/event-stream; charset=utf-8" } = {}) => ({
  status: 200,
  headers: { "content-type": media_type, "cache-control": "no-cache" },
  frames,
  ...pauses(markers),
});

/** The pauses a prompt asks for with [[chunk_ms:N]] and [[delay_ms:N]]. */
export const pauses = (markers) => ({ gap_ms: Number(markers.chunk_ms ?? 0), delay_ms: Number(markers.delay_ms ?? 0) });

/** Thrown by a vendor's checks; `body` is already in the vendor's error shape. */
export class Refusal extends Error {
  constructor(status, body, headers = {}) {
    super(`refused with ${status}`);
    this.reply = json_reply(body, status, headers);
  }
}

export const sse_data = (value) => `data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`;
export const sse_event = (name, value) => `event: ${name}\ndata: ${JSON.stringify(value)}\n\n`;

/** A random id of `digits` hex digits behind `prefix`. */
export const make_id = (prefix, digits) =>
  prefix +
  randomBytes(Math.ceil(digits / 2))
    .toString("hex")
    .slice(0, digits);

/** Accepted credentials of every fake begin with this. */
export const kKeyPrefix = "test-";
