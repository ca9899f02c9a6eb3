/** Anthropic's Messages API: /v1/messages, plain and streamed, /v1/messages/count_tokens, /v1/models. */
import {
  any,
  bool,
  either,
  integer,
  list,
  nullable,
  number,
  one_of,
  open_record,
  record,
  tagged,
  text,
} from "./rules.mjs";
import { first_issue } from "./rules.mjs";
import { MessageBatches } from "./anthropic_batches.mjs";
import { answer, argument_pieces, kThinkingText, word_pieces } from "./answer.mjs";
import { json_reply, kKeyPrefix, make_id, Refusal, sse_event, stream_reply } from "./reply.mjs";

const kModel = /^claude-/;
const kListed = ["claude-opus-4", "claude-3-5-sonnet", "claude-3-5-haiku", "claude-sonnet-4-6"];
const kMaxOutput = {
  "claude-3-5-sonnet": 8192,
  "claude-3-5-haiku": 8192,
  "claude-opus-4": 32000,
  "claude-sonnet-4-6": 64000,
};

const cache_control = nullable(record({ type: one_of("ephemeral"), ttl: one_of("5m", "1h") }, ["type"]));
const source = tagged("type", {
  base64: record({ type: text(), media_type: text(), data: text() }, ["media_type", "data"]),
  url: record({ type: text(), url: text() }, ["url"]),
  file: record({ type: text(), file_id: text() }, ["file_id"]),
  text: record({ type: text(), media_type: text(), data: text() }, ["data"]),
});
const text_block = record(
  { type: text(), text: text({ min_length: 1 }), cache_control, citations: nullable(list(any())) },
  ["text"],
);
const image_block = record({ type: text(), source, cache_control }, ["source"]);
const document_block = record(
  { type: text(), source, title: nullable(text()), context: nullable(text()), citations: any(), cache_control },
  ["source"],
);
const block = tagged("type", {
  text: text_block,
  image: image_block,
  document: document_block,
  tool_use: record({ type: text(), id: text(), name: text(), input: open_record(), cache_control, caller: any() }, [
    "id",
    "name",
    "input",
  ]),
  tool_result: record(
    {
      type: text(),
      tool_use_id: text(),
      is_error: bool(),
      cache_control,
      content: either(text(), list(tagged("type", { text: text_block, image: image_block, document: document_block }))),
    },
    ["tool_use_id"],
  ),
  thinking: record({ type: text(), thinking: text(), signature: text() }, ["thinking", "signature"]),
  redacted_thinking: record({ type: text(), data: text() }, ["data"]),
});
const tool = record(
  {
    type: one_of("custom"),
    name: text({ min_length: 1 }),
    description: text(),
    input_schema: open_record(),
    cache_control,
    strict: bool(),
    eager_input_streaming: nullable(bool()),
    defer_loading: bool(),
    input_examples: list(any()),
    allowed_callers: list(any()),
  },
  ["name", "input_schema"],
);

const kShared = {
  model: text(),
  messages: list(
    record({ role: one_of("user", "assistant"), content: either(text({ min_length: 1 }), list(block)) }, [
      "role",
      "content",
    ]),
    { min_items: 1 },
  ),
  system: either(text(), list(text_block)),
  thinking: tagged("type", {
    enabled: record({ type: text(), budget_tokens: integer({ min: 1024 }), display: text() }, ["budget_tokens"]),
    disabled: record({ type: text() }),
    adaptive: record({ type: text(), display: text() }),
  }),
  tool_choice: tagged("type", {
    auto: record({ type: text(), disable_parallel_tool_use: bool() }),
    any: record({ type: text(), disable_parallel_tool_use: bool() }),
    none: record({ type: text() }),
    tool: record({ type: text(), name: text(), disable_parallel_tool_use: bool() }, ["name"]),
  }),
  tools: list(tool),
  output_config: record({
    effort: text(),
    format: nullable(record({ type: one_of("json_schema"), schema: open_record() }, ["type", "schema"])),
  }),
  cache_control,
};
const kCountRule = record(kShared, ["model", "messages"]);
const kMessageRule = record(
  {
    ...kShared,
    max_tokens: integer({ min: 1 }),
    container: nullable(text()),
    metadata: record({ user_id: nullable(text()) }),
    service_tier: one_of("auto", "standard_only"),
    stop_sequences: list(text({ min_length: 1 })),
    stream: bool(),
    temperature: number({ min: 0, max: 1 }),
    top_k: integer({ min: 0 }),
    top_p: number({ min: 0, max: 1 }),
  },
  ["model", "messages", "max_tokens"],
);

const error_body = (type, message) => ({ type: "error", error: { type, message }, request_id: make_id("req_", 24) });
const refuse = (status, type, message) => {
  throw new Refusal(status, error_body(type, message), { "request-id": make_id("req_", 24) });
};
const refuse_request = (message) => refuse(400, "invalid_request_error", message);

function check(body, rule) {
  const issue = first_issue(body, rule);
  if (!issue) return;
  const where = issue.path.join(".");
  const words = {
    unknown: "Extra inputs are not permitted",
    missing: "Field required",
    type: `Input should be a valid ${issue.expected}`,
    below: `Input should be greater than or equal to ${issue.limit}`,
    above: `Input should be less than or equal to ${issue.limit}`,
    enum: `Input should be ${(issue.values ?? []).map((v) => `'${v}'`).join(" or ")}`,
    length: "content must be non-empty",
  };
  refuse_request(`${where}: ${words[issue.kind]}`);
}

function authenticate(headers) {
  const key = headers["x-api-key"] ?? /^Bearer (.+)$/i.exec(headers.authorization ?? "")?.[1];
  if (!key) refuse(401, "authentication_error", "x-api-key header is required");
  if (!key.startsWith(kKeyPrefix)) refuse(401, "authentication_error", "invalid x-api-key");
  if (!headers["anthropic-version"]) refuse_request("anthropic-version: header is required");
}

/** Rules over several fields: order of roles, tool results that answer the turn before, model limits. */
function check_conversation(body) {
  if (body.messages[0].role !== "user") refuse_request('messages: first message must use the "user" role');
  let asked = new Set();
  for (const [index, message] of body.messages.entries()) {
    const blocks = typeof message.content === "string" ? [] : message.content;
    if (message.role === "user") {
      for (const result of blocks.filter((b) => b.type === "tool_result")) {
        if (!asked.delete(result.tool_use_id)) {
          refuse_request(
            `messages.${index}.content: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${result.tool_use_id}. Each \`tool_result\` block must have a corresponding \`tool_use\` block in the previous message.`,
          );
        }
      }
      if (asked.size)
        refuse_request(
          `messages.${index}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${[...asked].join(", ")}.`,
        );
    }
    asked = new Set(blocks.filter((b) => b.type === "tool_use").map((b) => b.id));
  }
  const last = body.messages.at(-1);
  const ending = typeof last.content === "string" ? last.content : (last.content.at(-1)?.text ?? "");
  if (last.role === "assistant" && /\s$/.test(ending))
    refuse_request("messages: final assistant content cannot end with trailing whitespace");
}

function check_limits(body) {
  const limit = kMaxOutput[body.model];
  if (limit && body.max_tokens > limit) {
    refuse_request(
      `max_tokens: ${body.max_tokens} > ${limit}, which is the maximum allowed number of output tokens for ${body.model}`,
    );
  }
  if (body.thinking?.type === "enabled") {
    if (body.thinking.budget_tokens >= body.max_tokens)
      refuse_request("`max_tokens` must be greater than `thinking.budget_tokens`.");
    if ((body.temperature ?? 1) !== 1) refuse_request("`temperature` may only be set to 1 when thinking is enabled.");
  }
}

const text_of = (content) =>
  typeof content === "string"
    ? content
    : (content ?? [])
        .filter((b) => b.type === "text")
        .map((b) => b.text)
        .join("");

function conversation_of(body) {
  const blocks = body.messages.flatMap((m) => (Array.isArray(m.content) ? m.content : []));
  const last = body.messages.at(-1);
  const results = (Array.isArray(last.content) ? last.content : []).filter((b) => b.type === "tool_result");
  const choice = body.tool_choice;
  const asking = body.messages.findLast((m) => m.role === "user" && text_of(m.content));
  return {
    texts: [
      text_of(body.system ?? ""),
      ...body.messages.map((m) => text_of(m.content)),
      ...results.map((r) => text_of(r.content)),
    ],
    last_user: asking ? text_of(asking.content) : "",
    tool_results: results.map((r) => ({ name: r.tool_use_id, text: text_of(r.content) })),
    tools: (body.tools ?? []).map((t) => ({ name: t.name, schema: t.input_schema })),
    tool_choice:
      { auto: "auto", any: "required", none: "none" }[choice?.type] ?? (choice ? { name: choice.name } : "auto"),
    schema: body.output_config?.format?.schema ?? null,
    images: blocks
      .filter((b) => b.type === "image")
      .map(({ source: s }) =>
        s.type === "base64"
          ? { media_type: s.media_type, bytes: Buffer.from(s.data, "base64").length }
          : { url: s.url ?? s.file_id },
      ),
    max_tokens: body.max_tokens,
    stop: body.stop_sequences,
    turns: body.messages.map((m) => ({ role: m.role, text: text_of(m.content) })),
  };
}

/** Anthropic counts cache reads and writes beside `input_tokens`, not inside it. */
function input_usage(usage) {
  return {
    input_tokens: usage.input - usage.cached - usage.cache_write,
    cache_creation_input_tokens: usage.cache_write,
    cache_read_input_tokens: usage.cached,
    cache_creation: { ephemeral_5m_input_tokens: usage.cache_write, ephemeral_1h_input_tokens: 0 },
    service_tier: "standard",
  };
}

const kStopReasons = { stop: "end_turn", length: "max_tokens", tool_calls: "tool_use", content_filter: "refusal" };

function content_of(body, said) {
  const content = [];
  if (body.thinking?.type === "enabled") {
    content.push({
      type: "thinking",
      thinking: kThinkingText,
      signature: Buffer.from(kThinkingText).toString("base64"),
    });
  }
  if (said.text) content.push({ type: "text", text: said.text });
  for (const call of said.tool_calls) {
    content.push({ type: "tool_use", id: make_id("toolu_", 24), name: call.name, input: JSON.parse(call.arguments) });
  }
  return content;
}

function create_message(body, style) {
  check(body, kMessageRule);
  if (!kModel.test(body.model)) refuse(404, "not_found_error", `model: ${body.model}`);
  check_limits(body);
  check_conversation(body);
  const said = answer(conversation_of(body), style);
  const message = {
    id: make_id("msg_", 24),
    type: "message",
    role: "assistant",
    model: body.model,
    content: content_of(body, said),
    stop_reason: said.stop_sequence ? "stop_sequence" : kStopReasons[said.finish],
    stop_sequence: said.stop_sequence,
    usage: { ...input_usage(said.usage), output_tokens: said.usage.output },
  };
  if (body.stream) return stream_reply(stream_frames(message), { markers: said.markers });
  return {
    ...json_reply(message, 200, { "request-id": make_id("req_", 24) }),
    delay_ms: Number(said.markers.delay_ms ?? 0),
  };
}

function stream_frames(message) {
  const { output_tokens, ...input } = message.usage;
  const frames = [
    sse_event("message_start", {
      type: "message_start",
      message: {
        ...message,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { ...input, output_tokens: 1 },
      },
    }),
  ];
  for (const [index, part] of message.content.entries()) {
    const delta = (fields) =>
      frames.push(sse_event("content_block_delta", { type: "content_block_delta", index, delta: fields }));
    const start = (content_block) =>
      frames.push(sse_event("content_block_start", { type: "content_block_start", index, content_block }));
    if (part.type === "text") {
      start({ type: "text", text: "" });
      if (index === 0) frames.push(sse_event("ping", { type: "ping" }));
      for (const piece of word_pieces(part.text)) delta({ type: "text_delta", text: piece });
    } else if (part.type === "thinking") {
      start({ type: "thinking", thinking: "", signature: "" });
      for (const piece of word_pieces(part.thinking)) delta({ type: "thinking_delta", thinking: piece });
      delta({ type: "signature_delta", signature: part.signature });
    } else {
      start({ ...part, input: {} });
      for (const piece of ["", ...argument_pieces(JSON.stringify(part.input))])
        delta({ type: "input_json_delta", partial_json: piece });
    }
    frames.push(sse_event("content_block_stop", { type: "content_block_stop", index }));
  }
  frames.push(
    sse_event("message_delta", {
      type: "message_delta",
      delta: { stop_reason: message.stop_reason, stop_sequence: message.stop_sequence },
      usage: { output_tokens },
    }),
  );
  frames.push(sse_event("message_stop", { type: "message_stop" }));
  return frames;
}

function count_tokens(body, style) {
  check(body, kCountRule);
  if (!kModel.test(body.model)) refuse(404, "not_found_error", `model: ${body.model}`);
  return json_reply({ input_tokens: answer(conversation_of(body), style).usage.input });
}

const kStatusTypes = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  529: "overloaded_error",
};

export function make_anthropic_vendor() {
  const batches = new MessageBatches();
  return {
    name: "anthropic",
    handle(method, path, body, headers, style, _query, config = {}) {
      authenticate(headers);
      const batch = batches.handle(method, path, body, {
        create_message: (params) => create_message(params, style),
        refuse,
        settings: config.batch,
      });
      if (batch) return batch;
      if (method === "POST" && path === "/v1/messages") return create_message(body, style);
      if (method === "POST" && path === "/v1/messages/count_tokens") return count_tokens(body, style);
      if (method === "GET" && path === "/v1/models") {
        const data = kListed.map((id) => ({ type: "model", id, display_name: id, created_at: "2025-01-01T00:00:00Z" }));
        return json_reply({ data, has_more: false, first_id: kListed[0], last_id: kListed.at(-1) });
      }
      return json_reply(error_body("not_found_error", "Not found"), 404);
    },
    bad_json: () => json_reply(error_body("invalid_request_error", "The request body is not valid JSON"), 400),
    status_error: (status, message) =>
      error_body(kStatusTypes[status] ?? "api_error", message ?? "The service is overloaded or failing."),
    error_frame: (message) => sse_event("error", error_body("overloaded_error", message ?? "Overloaded")),
  };
}
