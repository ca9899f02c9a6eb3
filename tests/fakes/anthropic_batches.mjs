/** Anthropic's message batches. Settings as in openai_batches.mjs: {ms, expire_after, errors: [{match, type, message}]}. */
import { json_reply, make_id, Refusal } from "./reply.mjs";

const kMaxRows = 100_000;
const kCustomId = /^[a-zA-Z0-9_-]{1,64}$/;

export class MessageBatches {
  #batches = new Map();

  /** The reply to a call of these endpoints; undefined for others. `refuse(status, type, message)` throws. */
  handle(method, path, body, { create_message, refuse, settings = {} }) {
    const [, id, action] = /^\/v1\/messages\/batches(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(path) ?? [undefined];
    if (!path.startsWith("/v1/messages/batches")) return undefined;
    if (method === "POST" && !id) return this.#create(body, create_message, refuse, settings);
    if (method === "GET" && !id) {
      const data = [...this.#batches.values()].reverse().map(shown);
      return json_reply({ data, has_more: false, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null });
    }
    const batch = this.#batches.get(id) ?? refuse(404, "not_found_error", `Batch ${id} not found`);
    if (method === "POST" && action === "cancel") {
      batch.cancelled = true;
      return json_reply(shown(batch));
    }
    if (method === "GET" && action === "results") {
      if (!has_ended(batch)) refuse(404, "not_found_error", "The batch has no results yet");
      return { status: 200, headers: { "content-type": "application/x-jsonl" }, body: results_of(batch) };
    }
    return json_reply(shown(batch));
  }

  #create({ requests }, create_message, refuse, settings) {
    if (!Array.isArray(requests) || requests.length === 0 || requests.length > kMaxRows)
      refuse(400, "invalid_request_error", "requests: must be a list of 1 to 100000 items");
    const seen = new Set();
    for (const [index, { custom_id, params }] of requests.entries()) {
      if (!kCustomId.test(custom_id ?? "") || seen.has(custom_id))
        refuse(400, "invalid_request_error", `requests.${index}.custom_id: must be unique and match ${kCustomId}`);
      if (typeof params !== "object" || params.stream)
        refuse(400, "invalid_request_error", `requests.${index}.params: streaming is not supported in a batch`);
      seen.add(custom_id);
    }
    const batch = {
      id: make_id("msgbatch_", 24),
      requests,
      created_at: new Date().toISOString(),
      ends_at_ms: Date.now() + (settings.ms ?? 50),
      settings,
      create_message,
    };
    this.#batches.set(batch.id, batch);
    return json_reply(shown(batch));
  }
}

const has_ended = (batch) => batch.cancelled === true || Date.now() >= batch.ends_at_ms;

function shown(batch) {
  const ended = has_ended(batch);
  const counts = { processing: ended ? 0 : batch.requests.length, succeeded: 0, errored: 0, canceled: 0, expired: 0 };
  if (ended) for (const line of answers_of(batch)) ++counts[line.result.type];
  return {
    id: batch.id,
    type: "message_batch",
    processing_status: ended ? "ended" : "in_progress",
    request_counts: counts,
    ended_at: ended ? new Date().toISOString() : null,
    created_at: batch.created_at,
    expires_at: new Date(Date.parse(batch.created_at) + 86_400_000).toISOString(),
    archived_at: null,
    cancel_initiated_at: batch.cancelled ? new Date().toISOString() : null,
    results_url: ended ? `https://api.anthropic.com/v1/messages/batches/${batch.id}/results` : null,
  };
}

/** Made once: a batch's answers do not change. */
const answers_of = (batch) =>
  (batch.answers ??= batch.requests.map((request, index) => ({
    custom_id: request.custom_id,
    result: result_of(batch, request.params, index),
  })));

function result_of(batch, params, index) {
  if (batch.cancelled && Date.now() < batch.ends_at_ms) return { type: "canceled" };
  if (index >= (batch.settings.expire_after ?? Infinity)) return { type: "expired" };
  const errored = (type, message) => ({
    type: "errored",
    error: { type: "error", error: { type, message }, request_id: null },
  });
  const fault = (batch.settings.errors ?? []).find(({ match }) => JSON.stringify(params).includes(match));
  if (fault) return errored(fault.type ?? "invalid_request_error", fault.message ?? "The row failed.");
  try {
    return { type: "succeeded", message: JSON.parse(batch.create_message(params).body) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { type, message } = JSON.parse(error.reply.body).error;
    return errored(type, message);
  }
}

// Their order is not that of the requests.
const results_of = (batch) =>
  answers_of(batch)
    .map((line) => `${JSON.stringify(line)}\n`)
    .reverse()
    .join("");
