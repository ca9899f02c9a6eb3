/**
 * OpenAI's files and batches. Settings (control API, `batch`): {ms: time until a batch ends (50), fail: message,
 * expire_after: rows that are answered before it expires, errors: [{match, status, message}] for rows with that text}.
 */
import { chat_completion } from "./openai_chat.mjs";
import { openai_error, refuse } from "./openai_errors.mjs";
import { json_reply, make_id, Refusal } from "./reply.mjs";

const kEndpoints = ["/v1/chat/completions"];
const kMaxRows = 50_000;
const now = () => Math.floor(Date.now() / 1000);

/** The parts of a form: {name: {filename, text}}. */
function read_form(text, content_type) {
  const boundary = /boundary="?([^";]+)"?/.exec(content_type ?? "")?.[1];
  if (!boundary) refuse(400, "Could not parse multipart form");
  const parts = {};
  for (const piece of text.split(`--${boundary}`).slice(1, -1)) {
    const split = piece.indexOf("\r\n\r\n");
    const head = piece.slice(0, split);
    const name = /name="([^"]*)"/.exec(head)?.[1];
    parts[name] = { filename: /filename="([^"]*)"/.exec(head)?.[1], text: piece.slice(split + 4, -2) };
  }
  return parts;
}

export class BatchStore {
  #files = new Map();
  #batches = new Map();

  #file(id) {
    return this.#files.get(id) ?? refuse(404, `No such File object: ${id}`, { param: "id" });
  }

  #add_file(filename, purpose, text) {
    const id = make_id("file-", 24);
    const bytes = Buffer.byteLength(text);
    this.#files.set(id, { id, object: "file", bytes, created_at: now(), filename, purpose, status: "processed", text });
    return id;
  }

  /** The reply to a call of these endpoints; undefined for others. */
  handle(method, path, body, { headers, dialect, style, settings = {}, query }) {
    const [, kind, id, action] = /^\/v1\/(files|batches)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(path) ?? [];
    if (kind === "files") return this.#files_call(method, id, action, body, headers);
    if (kind !== "batches") return undefined;
    if (method === "POST" && !id) return this.#create(body, { dialect, style, settings });
    if (method === "GET" && !id) {
      const data = [...this.#batches.values()].reverse().slice(0, Number(query?.get("limit") ?? 20));
      return json_reply({ object: "list", data: data.map((batch) => this.#show(batch)), has_more: false });
    }
    const batch = this.#batches.get(id) ?? refuse(404, `No batch found with id '${id}'.`, { param: "id" });
    if (method === "POST" && action === "cancel") {
      if (this.#show(batch).status === "completed")
        refuse(409, `Cannot cancel a batch with status 'completed'.`, { code: "batch_not_cancellable" });
      batch.cancelled = true;
    }
    return json_reply(this.#show(batch));
  }

  #files_call(method, id, action, body, headers) {
    if (method === "POST" && !id) {
      const form = read_form(body, headers["content-type"]);
      if (form.purpose?.text !== "batch") refuse(400, "'purpose' is not one of ['batch']", { param: "purpose" });
      if (!form.file?.filename) refuse(400, "'file' is a required property", { param: "file" });
      const { text: _, ...file } = this.#file(this.#add_file(form.file.filename, "batch", form.file.text));
      return json_reply(file);
    }
    const { text, ...file } = this.#file(id);
    if (method === "GET" && action === "content")
      return { status: 200, headers: { "content-type": "application/octet-stream" }, body: text };
    if (method === "DELETE") {
      this.#files.delete(id);
      return json_reply({ id, object: "file", deleted: true });
    }
    return json_reply(file);
  }

  #create(body, { dialect, style, settings }) {
    for (const field of ["input_file_id", "endpoint", "completion_window"])
      if (typeof body[field] !== "string")
        refuse(400, `Missing required parameter: '${field}'.`, { param: field, code: "missing_required_parameter" });
    if (!kEndpoints.includes(body.endpoint)) refuse(400, `Invalid endpoint '${body.endpoint}'`, { param: "endpoint" });
    if (body.completion_window !== "24h") refuse(400, "Invalid completion_window", { param: "completion_window" });
    const file = this.#file(body.input_file_id);
    const { rows, errors } = read_rows(file.text, body.endpoint);
    if (settings.fail) errors.push({ code: "invalid_request", message: settings.fail, param: null, line: null });
    const batch = {
      id: make_id("batch_", 32),
      object: "batch",
      endpoint: body.endpoint,
      input_file_id: body.input_file_id,
      completion_window: "24h",
      created_at: now(),
      expires_at: now() + 86_400,
      metadata: body.metadata ?? null,
      rows,
      errors,
      ends_at_ms: Date.now() + (settings.ms ?? 50),
      settings,
      answer: (row) => chat_completion(row.body, dialect, style),
    };
    this.#batches.set(batch.id, batch);
    return json_reply({ ...this.#show(batch), status: "validating" });
  }

  #show(batch) {
    const { rows, errors, ends_at_ms, settings, answer, ...shown } = batch;
    const counts = () => ({
      total: rows.length,
      completed: batch.completed ?? 0,
      failed: batch.failed ?? 0,
    });
    if (errors.length)
      return { ...shown, status: "failed", errors: { object: "list", data: errors }, request_counts: counts() };
    const cancelled = batch.cancelled === true;
    if (!cancelled && Date.now() < ends_at_ms) return { ...shown, status: "in_progress", request_counts: counts() };
    if (!batch.output) this.#answer_rows(batch, cancelled ? 0 : (settings.expire_after ?? Infinity), cancelled);
    const status = cancelled ? "cancelled" : settings.expire_after === undefined ? "completed" : "expired";
    const { output, error_lines, completed, failed, cancelled: _, ...plain } = { ...shown, ...batch };
    for (const inner of ["rows", "errors", "ends_at_ms", "settings", "answer"]) delete plain[inner];
    return {
      ...plain,
      status,
      output_file_id: output.id,
      error_file_id: error_lines.id,
      request_counts: { total: rows.length, completed, failed },
    };
  }

  #answer_rows(batch, most, cancelled) {
    const output = [];
    const error_lines = [];
    for (const [index, row] of batch.rows.entries()) {
      const line = { id: make_id("batch_req_", 24), custom_id: row.custom_id };
      if (index >= most) {
        const code = cancelled ? "batch_cancelled" : "batch_expired";
        error_lines.push({ ...line, response: null, error: { code, message: "This request could not be executed." } });
        continue;
      }
      const reply = row_reply(batch, row);
      const response = { status_code: reply.status, request_id: make_id("req_", 24), body: JSON.parse(reply.body) };
      (reply.status === 200 ? output : error_lines).push({ ...line, response, error: null });
    }
    const keep = (lines, name) =>
      lines.length
        ? { id: this.#add_file(name, "batch_output", lines.map((l) => `${JSON.stringify(l)}\n`).join("")) }
        : { id: null };
    batch.completed = output.length;
    batch.failed = error_lines.length;
    // Their order is not that of the input.
    batch.output = keep(output.reverse(), `${batch.id}_output.jsonl`);
    batch.error_lines = keep(error_lines, `${batch.id}_error.jsonl`);
  }
}

function row_reply(batch, row) {
  const fault = (batch.settings.errors ?? []).find(({ match }) => JSON.stringify(row.body).includes(match));
  if (fault) return json_reply(openai_error(fault.message ?? "The row failed."), fault.status);
  try {
    return batch.answer(row);
  } catch (error) {
    if (error instanceof Refusal) return error.reply;
    throw error;
  }
}

function read_rows(text, endpoint) {
  const rows = [];
  const errors = [];
  const seen = new Set();
  const models = new Set();
  for (const [index, line] of text.split("\n").entries()) {
    if (!line.trim()) continue;
    const fault = (code, message, param = null) => errors.push({ code, message, param, line: index + 1 });
    let row;
    try {
      row = JSON.parse(line);
    } catch {
      fault("invalid_json_line", "This line is not parseable as valid JSON.");
      continue;
    }
    if (typeof row.custom_id !== "string" || seen.has(row.custom_id))
      fault("duplicate_custom_id", "The custom_id for this request is missing or a duplicate.", "custom_id");
    if (row.method !== "POST") fault("invalid_method", "Invalid value: expected 'POST'.", "method");
    if (row.url !== endpoint) fault("mismatched_url", "The URL does not match the batch's endpoint.", "url");
    if (row.body?.stream) fault("invalid_request", "Streaming is not supported in the Batch API.", "body.stream");
    models.add(row.body?.model);
    seen.add(row.custom_id);
    rows.push(row);
  }
  if (models.size > 1)
    errors.push({ code: "mismatched_model", message: "One model per batch.", param: "body.model", line: 1 });
  if (rows.length === 0) errors.push({ code: "empty_file", message: "The batch is empty.", param: null, line: null });
  if (rows.length > kMaxRows)
    errors.push({ code: "too_many_tasks", message: "Too many rows.", param: null, line: null });
  return { rows, errors };
}
