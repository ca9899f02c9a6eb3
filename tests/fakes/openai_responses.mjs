/** POST /v1/responses, plain and as an event stream. Stored responses are kept for `previous_response_id`. */
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
import { answer, argument_pieces, describe_image_url, word_pieces } from "./answer.mjs";
import { check_openai, refuse, refuse_model } from "./openai_errors.mjs";
import { json_reply, make_id, sse_event, stream_reply } from "./reply.mjs";

const kKeptResponses = 1000;

const input_part = tagged("type", {
  input_text: record({ type: text(), text: text() }, ["text"]),
  input_image: record({
    type: text(),
    image_url: nullable(text()),
    file_id: nullable(text()),
    detail: one_of("auto", "low", "high"),
  }),
  input_file: record({
    type: text(),
    file_id: nullable(text()),
    file_url: text(),
    filename: text(),
    file_data: text(),
  }),
  output_text: record({ type: text(), text: text(), annotations: list(any()), logprobs: list(any()) }, ["text"]),
  refusal: record({ type: text(), refusal: text() }, ["refusal"]),
});
const status = one_of("in_progress", "completed", "incomplete");
const input_item = tagged(
  "type",
  {
    message: record(
      {
        type: text(),
        role: one_of("user", "assistant", "system", "developer"),
        content: either(text(), list(input_part)),
        id: text(),
        status,
        phase: nullable(text()),
      },
      ["role", "content"],
    ),
    function_call: record({ type: text(), id: text(), call_id: text(), name: text(), arguments: text(), status }, [
      "call_id",
      "name",
      "arguments",
    ]),
    function_call_output: record(
      {
        type: text(),
        id: nullable(text()),
        call_id: text(),
        output: either(text(), list(input_part)),
        status: nullable(status),
      },
      ["call_id", "output"],
    ),
    reasoning: record(
      {
        type: text(),
        id: text(),
        summary: list(any()),
        content: list(any()),
        encrypted_content: nullable(text()),
        status,
      },
      ["id", "summary"],
    ),
    item_reference: record({ type: text(), id: text() }, ["id"]),
  },
  "message",
);

const kRule = record(
  {
    model: text(),
    input: either(text(), list(input_item)),
    background: nullable(bool()),
    conversation: any(),
    include: nullable(list(text())),
    instructions: nullable(text()),
    max_output_tokens: nullable(integer({ min: 16 })),
    max_tool_calls: nullable(integer()),
    metadata: nullable(open_record()),
    parallel_tool_calls: nullable(bool()),
    previous_response_id: nullable(text()),
    prompt: any(),
    prompt_cache_key: text(),
    prompt_cache_retention: nullable(text()),
    reasoning: nullable(
      record({
        effort: nullable(one_of("none", "minimal", "low", "medium", "high", "xhigh")),
        summary: nullable(one_of("auto", "concise", "detailed")),
      }),
    ),
    safety_identifier: text(),
    service_tier: nullable(text()),
    store: nullable(bool()),
    stream: nullable(bool()),
    stream_options: nullable(record({ include_obfuscation: bool() })),
    temperature: nullable(number({ min: 0, max: 2 })),
    text: record({
      format: tagged("type", {
        text: record({ type: text() }),
        json_object: record({ type: text() }),
        json_schema: record(
          { type: text(), name: text(), schema: open_record(), description: text(), strict: nullable(bool()) },
          ["name", "schema"],
        ),
      }),
      verbosity: nullable(one_of("low", "medium", "high")),
    }),
    tool_choice: either(
      one_of("none", "auto", "required"),
      tagged("type", { function: record({ type: text(), name: text() }, ["name"]) }),
    ),
    tools: list(
      tagged("type", {
        function: record(
          {
            type: text(),
            name: text(),
            description: nullable(text()),
            parameters: nullable(open_record()),
            strict: nullable(bool()),
          },
          ["name"],
        ),
      }),
    ),
    top_logprobs: nullable(integer({ min: 0, max: 20 })),
    top_p: nullable(number({ min: 0, max: 1 })),
    truncation: nullable(one_of("auto", "disabled")),
    user: text(),
  },
  ["model", "input"],
);

/** Keeps the items of earlier responses, oldest dropped first. One per fake process. */
export class ResponseStore {
  #items = new Map();

  keep(id, items) {
    this.#items.set(id, items);
    if (this.#items.size > kKeptResponses) this.#items.delete(this.#items.keys().next().value);
  }

  /** Items of `id`, its own history included; undefined when unknown. */
  find(id) {
    return this.#items.get(id);
  }

  /** One item of any kept response; undefined when unknown. */
  find_item(id) {
    for (const items of this.#items.values()) {
      const found = items.find((item) => item.id === id);
      if (found) return found;
    }
    return undefined;
  }
}

export function create_response(body, store, style) {
  check_openai(body, kRule);
  if (!/^(gpt-|o\d|chatgpt-)/.test(body.model)) refuse_model(body.model);
  const own = typeof body.input === "string" ? [{ role: "user", content: body.input }] : resolved(body.input, store);
  let items = own;
  if (body.previous_response_id) {
    const earlier = store.find(body.previous_response_id);
    if (!earlier) {
      refuse(400, `Previous response with id '${body.previous_response_id}' not found.`, {
        param: "previous_response_id",
        code: "previous_response_not_found",
      });
    }
    items = [...earlier, ...own];
  }
  check_call_outputs(items);
  const said = answer(conversation_of(body, items), style);
  const response = response_object(body, said);
  if (body.store !== false) store.keep(response.id, [...items, ...response.output]);
  if (body.stream) return stream_reply(stream_frames(response), { markers: said.markers });
  return { ...json_reply(response), delay_ms: Number(said.markers.delay_ms ?? 0) };
}

/** References replaced by what they refer to. */
function resolved(input, store) {
  return input.map((item) => {
    if (item.type !== "item_reference") return item;
    const found = store.find_item(item.id);
    if (!found) refuse(404, `Item with id '${item.id}' not found.`, { param: "input" });
    return found;
  });
}

function check_call_outputs(items) {
  const calls = new Set(items.filter((i) => i.type === "function_call").map((i) => i.call_id));
  const outputs = new Set(items.filter((i) => i.type === "function_call_output").map((i) => i.call_id));
  for (const id of outputs)
    if (!calls.has(id))
      refuse(400, `No tool call found for function call output with call_id ${id}.`, { param: "input" });
  for (const id of calls)
    if (!outputs.has(id)) refuse(400, `No tool output found for function call ${id}.`, { param: "input" });
}

const text_of = (content) =>
  typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? part.refusal ?? "").join("");

function conversation_of(body, items) {
  const messages = items.filter((i) => (i.type ?? "message") === "message");
  const images = [];
  for (const part of messages.flatMap((m) => (Array.isArray(m.content) ? m.content : []))) {
    if (part.type !== "input_image") continue;
    const seen = describe_image_url(part.image_url ?? `file:${part.file_id}`);
    if (!seen) refuse(400, "Invalid base64 image_url.", { param: "input", code: "invalid_base64" });
    images.push(seen);
  }
  const results = [];
  for (const item of items.toReversed()) {
    if (item.type !== "function_call_output") break;
    results.unshift({ name: item.call_id, text: text_of(item.output) });
  }
  const format = body.text?.format;
  return {
    texts: [body.instructions ?? "", ...messages.map((m) => text_of(m.content)), ...results.map((r) => r.text)],
    last_user: text_of(messages.findLast((m) => m.role === "user")?.content ?? ""),
    tool_results: results,
    tools: (body.tools ?? []).map((t) => ({ name: t.name, schema: t.parameters })),
    tool_choice: body.tool_choice,
    schema: format?.type === "json_schema" ? format.schema : format?.type === "json_object" ? { type: "object" } : null,
    images,
    max_tokens: body.max_output_tokens ?? 0,
    stop: [],
  };
}

function response_object(body, said) {
  const output = said.tool_calls.map((call) => ({
    id: make_id("fc_", 32),
    type: "function_call",
    status: "completed",
    arguments: call.arguments,
    call_id: make_id("call_", 24),
    name: call.name,
  }));
  if (!output.length) {
    output.push({
      id: make_id("msg_", 32),
      type: "message",
      status: "completed",
      role: "assistant",
      content: [{ type: "output_text", annotations: [], logprobs: [], text: said.text }],
    });
  }
  const { usage } = said;
  const cut = said.finish === "length";
  return {
    id: make_id("resp_", 32),
    object: "response",
    created_at: Math.floor(Date.now() / 1000),
    status: cut ? "incomplete" : "completed",
    background: false,
    error: null,
    incomplete_details: cut ? { reason: "max_output_tokens" } : null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    model: body.model,
    output,
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: body.previous_response_id ?? null,
    reasoning: { effort: null, summary: null },
    store: body.store ?? true,
    temperature: body.temperature ?? 1,
    text: body.text ?? { format: { type: "text" } },
    tool_choice: body.tool_choice ?? "auto",
    tools: body.tools ?? [],
    top_p: body.top_p ?? 1,
    truncation: body.truncation ?? "disabled",
    usage:
      usage.shape === "none"
        ? null
        : {
            input_tokens: usage.input,
            input_tokens_details: { cached_tokens: usage.cached },
            output_tokens: usage.output,
            output_tokens_details: { reasoning_tokens: usage.reasoning },
            total_tokens: usage.input + usage.output,
          },
    user: body.user ?? null,
    metadata: body.metadata ?? {},
  };
}

function stream_frames(response) {
  const frames = [];
  const emit = (type, fields) => frames.push(sse_event(type, { type, sequence_number: frames.length, ...fields }));
  const started = { ...response, status: "in_progress", output: [], usage: null, incomplete_details: null };
  emit("response.created", { response: started });
  emit("response.in_progress", { response: started });
  for (const [output_index, item] of response.output.entries()) {
    if (item.type === "message") emit_message(emit, item, output_index);
    else emit_call(emit, item, output_index);
  }
  emit(response.status === "incomplete" ? "response.incomplete" : "response.completed", { response });
  return frames;
}

function emit_message(emit, item, output_index) {
  const [part] = item.content;
  const place = { item_id: item.id, output_index, content_index: 0 };
  emit("response.output_item.added", { output_index, item: { ...item, status: "in_progress", content: [] } });
  emit("response.content_part.added", { ...place, part: { ...part, text: "" } });
  for (const delta of word_pieces(part.text)) emit("response.output_text.delta", { ...place, delta, logprobs: [] });
  emit("response.output_text.done", { ...place, text: part.text, logprobs: [] });
  emit("response.content_part.done", { ...place, part });
  emit("response.output_item.done", { output_index, item });
}

function emit_call(emit, item, output_index) {
  const place = { item_id: item.id, output_index };
  emit("response.output_item.added", { output_index, item: { ...item, status: "in_progress", arguments: "" } });
  for (const delta of argument_pieces(item.arguments))
    emit("response.function_call_arguments.delta", { ...place, delta });
  emit("response.function_call_arguments.done", { ...place, name: item.name, arguments: item.arguments });
  emit("response.output_item.done", { output_index, item });
}
