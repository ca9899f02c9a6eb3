/** POST /v1/chat/completions as OpenAI, DeepSeek, Mistral, Ollama and Vercel's gateway answer it. */
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
import { answer, argument_pieces, describe_image_url, kThinkingText, word_pieces } from "./answer.mjs";
import { refuse } from "./openai_errors.mjs";
import { json_reply, make_id, sse_data, stream_reply } from "./reply.mjs";

const text_part = record({ type: one_of("text"), text: text() }, ["type", "text"]);
const user_parts = list(
  tagged("type", {
    text: text_part,
    image_url: record(
      { type: text(), image_url: record({ url: text(), detail: one_of("auto", "low", "high") }, ["url"]) },
      ["type", "image_url"],
    ),
    input_audio: record(
      { type: text(), input_audio: record({ data: text(), format: one_of("wav", "mp3") }, ["data", "format"]) },
      ["type", "input_audio"],
    ),
    file: record({ type: text(), file: record({ file_id: text(), filename: text(), file_data: text() }) }, [
      "type",
      "file",
    ]),
  }),
  { min_items: 1 },
);
const text_parts = list(text_part, { min_items: 1 });
const tool_call = record(
  {
    id: text(),
    type: one_of("function"),
    function: record({ name: text(), arguments: text() }, ["name", "arguments"]),
  },
  ["id", "type", "function"],
);

const message = tagged("role", {
  system: record({ role: text(), content: either(text(), text_parts), name: text() }, ["role", "content"]),
  developer: record({ role: text(), content: either(text(), text_parts), name: text() }, ["role", "content"]),
  user: record({ role: text(), content: either(text(), user_parts), name: text() }, ["role", "content"]),
  // `annotations` comes back when a client sends an answer's message on as it is.
  assistant: record(
    {
      role: text(),
      name: text(),
      annotations: list(any()),
      audio: nullable(record({ id: text() }, ["id"])),
      refusal: nullable(text()),
      content: nullable(
        either(
          text(),
          list(tagged("type", { text: text_part, refusal: record({ type: text(), refusal: text() }, ["refusal"]) })),
        ),
      ),
      tool_calls: list(tool_call, { min_items: 1 }),
      function_call: nullable(open_record()),
    },
    ["role"],
  ),
  tool: record({ role: text(), content: either(text(), text_parts), tool_call_id: text(), name: text() }, [
    "role",
    "content",
    "tool_call_id",
  ]),
});

const kFields = {
  model: text(),
  messages: list(message, { min_items: 1 }),
  audio: nullable(open_record()),
  frequency_penalty: nullable(number({ min: -2, max: 2 })),
  function_call: any(),
  functions: list(open_record()),
  logit_bias: nullable(open_record()),
  logprobs: nullable(bool()),
  max_completion_tokens: nullable(integer({ min: 1 })),
  max_tokens: nullable(integer({ min: 1 })),
  metadata: nullable(open_record()),
  modalities: nullable(list(one_of("text", "audio"))),
  n: nullable(integer({ min: 1, max: 128 })),
  parallel_tool_calls: bool(),
  prediction: nullable(open_record()),
  presence_penalty: nullable(number({ min: -2, max: 2 })),
  prompt_cache_key: text(),
  prompt_cache_retention: nullable(text()),
  reasoning_effort: nullable(one_of("none", "minimal", "low", "medium", "high", "xhigh")),
  response_format: tagged("type", {
    text: record({ type: text() }),
    json_object: record({ type: text() }),
    json_schema: record(
      {
        type: text(),
        json_schema: record({ name: text(), description: text(), schema: open_record(), strict: nullable(bool()) }, [
          "name",
        ]),
      },
      ["json_schema"],
    ),
  }),
  safety_identifier: text(),
  seed: nullable(integer()),
  service_tier: nullable(one_of("auto", "default", "flex", "scale", "priority")),
  stop: nullable(either(text(), list(text(), { min_items: 1, max_items: 4 }))),
  store: nullable(bool()),
  stream: nullable(bool()),
  stream_options: nullable(record({ include_usage: bool(), include_obfuscation: bool() })),
  temperature: nullable(number({ min: 0, max: 2 })),
  tool_choice: either(
    one_of("auto", "none", "required"),
    tagged("type", { function: record({ type: text(), function: record({ name: text() }, ["name"]) }, ["function"]) }),
  ),
  tools: list(
    tagged("type", {
      function: record(
        {
          type: text(),
          function: record({ name: text(), description: text(), parameters: open_record(), strict: nullable(bool()) }, [
            "name",
          ]),
        },
        ["function"],
      ),
    }),
    { min_items: 1, max_items: 128 },
  ),
  top_logprobs: nullable(integer({ min: 0, max: 20 })),
  top_p: nullable(number({ min: 0, max: 1 })),
  user: text(),
  verbosity: nullable(one_of("low", "medium", "high")),
  web_search_options: open_record(),
};

/** The dialect's own fields: OpenAI's without those it refuses. */
function rule_of(dialect) {
  const fields = Object.fromEntries(Object.entries(kFields).filter(([name]) => !dialect.without.includes(name)));
  return record(fields, ["model", "messages"]);
}

/** Answers one chat call. Throws Refusal in the dialect's words. */
export function chat_completion(body, dialect, style) {
  dialect.check(body, rule_of(dialect));
  if (!dialect.models.test(body.model)) dialect.unknown_model(body.model);
  dialect.after_check(body);
  check_tool_order(body.messages);
  check_response_format(body);
  const said = answer(conversation_of(body), style);
  return body.stream ? streamed(body, dialect, said) : whole(body, dialect, said);
}

function check_tool_order(messages) {
  let open = new Set();
  for (const [index, entry] of messages.entries()) {
    if (entry.role === "tool") {
      if (!open.has(entry.tool_call_id)) {
        refuse(
          400,
          "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
          { param: `messages.[${index}].role` },
        );
      }
      open.delete(entry.tool_call_id);
      continue;
    }
    if (open.size) break;
    open = new Set((entry.tool_calls ?? []).map((call) => call.id));
  }
  if (open.size) {
    refuse(
      400,
      `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: ${[...open].join(", ")}`,
      { param: "messages" },
    );
  }
}

function check_response_format(body) {
  const format = body.response_format;
  if (format?.type === "json_object" && !/json/i.test(JSON.stringify(body.messages))) {
    refuse(
      400,
      "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
      { param: "messages" },
    );
  }
  const schema = format?.json_schema;
  if (schema?.strict && schema.schema?.type === "object" && schema.schema.additionalProperties !== false) {
    refuse(
      400,
      `Invalid schema for response_format '${schema.name}': In context=(), 'additionalProperties' is required to be supplied and to be false.`,
      { param: "response_format" },
    );
  }
}

const texts_of = (content) =>
  typeof content === "string" ? [content] : (content ?? []).map((part) => part.text ?? part.refusal ?? "");

function conversation_of(body) {
  const last = body.messages.findLastIndex((m) => m.role === "user");
  const images = [];
  for (const part of body.messages.flatMap((m) => (Array.isArray(m.content) ? m.content : []))) {
    if (part.type !== "image_url") continue;
    const seen = describe_image_url(part.image_url.url);
    if (!seen) refuse(400, "Invalid base64 image_url.", { code: "invalid_base64" });
    images.push(seen);
  }
  const results = [];
  for (const entry of body.messages.toReversed()) {
    if (entry.role !== "tool") break;
    results.unshift({ name: entry.tool_call_id, text: texts_of(entry.content).join("") });
  }
  const choice = body.tool_choice;
  const format = body.response_format;
  return {
    texts: body.messages.flatMap((m) => texts_of(m.content)),
    last_user: last < 0 ? "" : texts_of(body.messages[last].content).join(""),
    tool_results: results,
    tools: (body.tools ?? []).map((t) => ({ name: t.function.name, schema: t.function.parameters })),
    tool_choice: typeof choice === "object" && choice ? { name: choice.function.name } : choice,
    schema:
      format?.type === "json_schema"
        ? format.json_schema.schema
        : format?.type === "json_object"
          ? { type: "object" }
          : null,
    images,
    max_tokens: body.max_completion_tokens ?? body.max_tokens ?? 0,
    stop: [body.stop ?? []].flat(),
    turns: body.messages
      .filter((m) => m.role === "user" || m.role === "assistant")
      .map((m) => ({ role: m.role, text: texts_of(m.content).join("") })),
  };
}

/** Usage as the dialect reports it; undefined when the prompt asked for none. */
function usage_object(usage, dialect) {
  if (usage.shape === "none") return undefined;
  const object = {
    prompt_tokens: usage.input,
    completion_tokens: usage.output,
    total_tokens: usage.input + usage.output,
    prompt_tokens_details: { cached_tokens: usage.cached, audio_tokens: usage.audio_input },
    completion_tokens_details: {
      reasoning_tokens: usage.reasoning,
      audio_tokens: usage.audio_output,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
  if (dialect.owner === "deepseek") {
    object.prompt_cache_hit_tokens = usage.cached;
    object.prompt_cache_miss_tokens = usage.input - usage.cached;
  }
  if (dialect.owner === "mistralai") {
    delete object.prompt_tokens_details;
    delete object.completion_tokens_details;
  }
  return object;
}

const tool_call_id = (dialect) =>
  dialect.tool_call_id_length ? make_id("", dialect.tool_call_id_length) : make_id("call_", 24);

const envelope = (body, object) => ({
  id: make_id("chatcmpl-", 24),
  object,
  created: Math.floor(Date.now() / 1000),
  model: body.model,
  service_tier: "default",
  system_fingerprint: "fp_fake000001",
});

function whole(body, dialect, said) {
  const message = {
    role: "assistant",
    content: said.tool_calls.length ? null : said.text,
    refusal: null,
    annotations: [],
  };
  if (dialect.thinking?.(body)) message.reasoning_content = kThinkingText;
  if (said.tool_calls.length) {
    message.tool_calls = said.tool_calls.map((call) => ({
      id: tool_call_id(dialect),
      type: "function",
      function: call,
    }));
  }
  const choices = Array.from({ length: body.n ?? 1 }, (_, index) => ({
    index,
    message,
    logprobs: null,
    finish_reason: said.finish,
  }));
  const reply = { ...envelope(body, "chat.completion"), choices, usage: usage_object(said.usage, dialect) };
  return { ...json_reply(reply), delay_ms: Number(said.markers.delay_ms ?? 0) };
}

function streamed(body, dialect, said) {
  const shell = envelope(body, "chat.completion.chunk");
  let place = dialect.stream_usage(body);
  if (place !== "never" && said.usage.shape === "with_finish") place = "with_finish";
  if (place !== "never" && said.usage.shape === "last_chunk_only") place = "last_chunk";
  const usage = usage_object(said.usage, dialect);
  const blank = place === "last_chunk" ? { usage: null } : {};
  const chunk = (delta, finish_reason = null, extra = {}) =>
    sse_data({ ...shell, choices: [{ index: 0, delta, logprobs: null, finish_reason }], ...blank, ...extra });

  const frames = [chunk({ role: "assistant", content: said.tool_calls.length ? null : "", refusal: null })];
  if (dialect.thinking?.(body)) {
    for (const piece of word_pieces(kThinkingText)) frames.push(chunk({ reasoning_content: piece }));
  }
  for (const piece of word_pieces(said.text)) frames.push(chunk({ content: piece }));
  for (const [index, call] of said.tool_calls.entries()) {
    frames.push(
      chunk({
        tool_calls: [
          { index, id: tool_call_id(dialect), type: "function", function: { name: call.name, arguments: "" } },
        ],
      }),
    );
    for (const piece of argument_pieces(call.arguments))
      frames.push(chunk({ tool_calls: [{ index, function: { arguments: piece } }] }));
  }
  frames.push(chunk({}, said.finish, place === "with_finish" && usage ? { usage } : {}));
  if (place === "last_chunk" && usage) frames.push(sse_data({ ...shell, choices: [], usage }));
  frames.push(sse_data("[DONE]"));
  return stream_reply(frames, { markers: said.markers });
}
