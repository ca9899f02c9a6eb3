/** Ollama's own API (/api/chat as NDJSON, /api/embed, /api/tags …) beside its OpenAI-shaped one under /v1. */
import { answer, count_words, kThinkingText, word_pieces } from "./answer.mjs";
import { make_openai_vendor } from "./openai.mjs";
import { json_reply, pauses, Refusal, stream_reply } from "./reply.mjs";
import { embed_text } from "./vectors.mjs";

const kModels = ["llama3.2:latest", "qwen2.5:7b", "nomic-embed-text:latest"];
const kEmbeddingSize = 768;

const refuse = (status, error) => {
  throw new Refusal(status, { error });
};

function find_model(name) {
  if (!name) refuse(400, "model is required");
  const full = name.includes(":") ? name : `${name}:latest`;
  if (!kModels.includes(full)) refuse(404, `model "${name}" not found, try pulling it first`);
  return full;
}

function conversation_of(body) {
  const messages = body.messages ?? [];
  const results = [];
  for (const message of messages.toReversed()) {
    if (message.role !== "tool") break;
    results.unshift({ name: message.tool_name ?? "", text: message.content });
  }
  return {
    texts: messages.map((m) => m.content ?? ""),
    last_user: messages.findLast((m) => m.role === "user")?.content ?? "",
    tool_results: results,
    tools: (body.tools ?? []).map((t) => ({ name: t.function.name, schema: t.function.parameters })),
    tool_choice: "auto",
    schema: body.format === "json" ? { type: "object" } : (body.format ?? null),
    images: messages
      .flatMap((m) => m.images ?? [])
      .map((data) => ({ media_type: "image", bytes: Buffer.from(data, "base64").length })),
    max_tokens: body.options?.num_predict > 0 ? body.options.num_predict : 0,
    stop: [body.options?.stop ?? []].flat(),
    turns: messages.map((m) => ({ role: m.role, text: m.content ?? "" })),
  };
}

/** Wrong types are Go's unmarshalling errors; unknown fields are ignored, as the real one does. */
function check(body) {
  if (!Array.isArray(body.messages ?? []))
    refuse(400, "json: cannot unmarshal object into Go struct field ChatRequest.messages of type []api.Message");
  for (const message of body.messages ?? []) {
    if (typeof (message.content ?? "") !== "string") {
      refuse(400, "json: cannot unmarshal array into Go struct field ChatRequest.messages.content of type string");
    }
    if (!["system", "user", "assistant", "tool"].includes(message.role)) refuse(400, `invalid role: ${message.role}`);
    for (const call of message.tool_calls ?? []) {
      if (typeof call.function?.arguments !== "object") {
        refuse(
          400,
          "json: cannot unmarshal string into Go struct field ToolCallFunction.arguments of type api.ToolCallFunctionArguments",
        );
      }
    }
  }
}

function chat(body, style) {
  const model = find_model(body.model);
  check(body);
  const said = answer(conversation_of(body), style);
  const created_at = () => new Date().toISOString();
  const line = (message, extra = {}) => ({
    model: body.model ?? model,
    created_at: created_at(),
    message: { role: "assistant", ...message },
    done: false,
    ...extra,
  });
  const calls = said.tool_calls.map((call) => ({
    function: { name: call.name, arguments: JSON.parse(call.arguments) },
  }));
  const end = {
    done: true,
    done_reason: said.finish === "length" ? "length" : "stop",
    total_duration: 5_000_000,
    load_duration: 1_000_000,
    prompt_eval_duration: 1_000_000,
    eval_duration: 2_000_000,
    ...(said.usage.shape === "none" ? {} : { prompt_eval_count: said.usage.input, eval_count: said.usage.output }),
  };
  const thinking = body.think ? { thinking: kThinkingText } : {};
  if (body.stream === false) {
    const message = { content: said.text, ...thinking, ...(calls.length ? { tool_calls: calls } : {}) };
    return { ...json_reply(line(message, end)), ...pauses(said.markers) };
  }
  const lines = [
    ...(body.think ? [line({ content: "", ...thinking })] : []),
    ...word_pieces(said.text).map((content) => line({ content })),
    ...calls.map((call) => line({ content: "", tool_calls: [call] })),
    line({ content: "" }, end),
  ];
  return stream_reply(
    lines.map((entry) => `${JSON.stringify(entry)}\n`),
    { markers: said.markers, media_type: "application/x-ndjson" },
  );
}

function embed(body) {
  find_model(body.model);
  const texts = [body.input ?? []].flat();
  return json_reply({
    model: body.model,
    embeddings: texts.map((item) => embed_text(item, body.dimensions ?? kEmbeddingSize)),
    total_duration: 1_000_000,
    load_duration: 100_000,
    prompt_eval_count: texts.reduce((sum, item) => sum + count_words(item), 0),
  });
}

const model_entry = (name) => ({
  name,
  model: name,
  modified_at: "2025-01-01T00:00:00Z",
  size: 2_000_000_000,
  digest: "0".repeat(64),
  details: { format: "gguf", family: name.split(":")[0], parameter_size: "3B", quantization_level: "Q4_K_M" },
});

export function make_ollama_vendor() {
  const compatible = make_openai_vendor("ollama");
  return {
    name: "ollama",
    handle(method, path, body, headers, style) {
      if (path.startsWith("/v1/")) return compatible.handle(method, path, body, headers, style);
      if (method === "POST" && path === "/api/chat") return chat(body, style);
      if (method === "POST" && path === "/api/embed") return embed(body);
      if (method === "POST" && path === "/api/show") return json_reply(model_entry(find_model(body.model)));
      if (method === "GET" && path === "/api/tags") return json_reply({ models: kModels.map(model_entry) });
      if (method === "GET" && path === "/api/version") return json_reply({ version: "0.12.0" });
      return { status: 404, headers: { "content-type": "text/plain" }, body: "404 page not found" };
    },
    bad_json: (message) => json_reply({ error: message }, 400),
    status_error: (status, message) => ({ error: message ?? "llama runner process has terminated" }),
    error_frame: (message) => `${JSON.stringify({ error: message ?? "llama runner process has terminated" })}\n`,
  };
}
