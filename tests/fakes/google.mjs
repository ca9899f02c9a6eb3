/** Google's Gemini API: generateContent, streamGenerateContent (SSE and JSON array), embeddings, models. */
import {
  any,
  bool,
  first_issue,
  integer,
  list,
  nullable,
  number,
  one_of,
  open_record,
  record,
  text,
  dotted,
} from "./rules.mjs";
import { answer, count_words, word_pieces } from "./answer.mjs";
import { json_reply, kKeyPrefix, make_id, Refusal, stream_reply } from "./reply.mjs";
import { embed_text } from "./vectors.mjs";

const kModel = /^gemini-/;
const kListed = ["gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.0-flash"];
const kEmbeddingSize = 3072;
/** Values under these names are the caller's own data: their keys are not API fields. */
const kOpaque = new Set([
  "args",
  "response",
  "parameters",
  "responseSchema",
  "responseJsonSchema",
  "parametersJsonSchema",
]);
/** The OpenAPI subset that `parameters` and `responseSchema` accept; full JSON Schema goes under the *JsonSchema names. */
const kSchemaKeys = new Set([
  "type",
  "format",
  "title",
  "description",
  "nullable",
  "default",
  "items",
  "minItems",
  "maxItems",
  "enum",
  "properties",
  "propertyOrdering",
  "required",
  "minProperties",
  "maxProperties",
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "pattern",
  "example",
  "anyOf",
]);

const part = record({
  text: text(),
  thought: bool(),
  thoughtSignature: text(),
  inlineData: record({ mimeType: text(), data: text(), displayName: text() }, ["mimeType", "data"]),
  fileData: record({ mimeType: text(), fileUri: text() }, ["fileUri"]),
  functionCall: record({ id: text(), name: text(), args: open_record() }, ["name"]),
  functionResponse: record({ id: text(), name: text(), response: open_record() }, ["name", "response"]),
});
const content = record({ role: one_of("user", "model", "function"), parts: list(part, { min_items: 1 }) }, ["parts"]);
const kRule = record(
  {
    model: text(),
    contents: list(content, { min_items: 1 }),
    systemInstruction: record({ role: text(), parts: list(part) }, ["parts"]),
    tools: list(
      record({
        functionDeclarations: list(
          record(
            {
              name: text(),
              description: text(),
              parameters: open_record(),
              parametersJsonSchema: open_record(),
              response: open_record(),
              behavior: text(),
            },
            ["name"],
          ),
        ),
        googleSearch: open_record(),
        codeExecution: open_record(),
        urlContext: open_record(),
      }),
    ),
    toolConfig: record({
      functionCallingConfig: record({
        mode: one_of("AUTO", "ANY", "NONE", "VALIDATED"),
        allowedFunctionNames: list(text()),
      }),
    }),
    safetySettings: list(open_record()),
    cachedContent: text(),
    labels: open_record(),
    generationConfig: record({
      stopSequences: list(text(), { max_items: 5 }),
      responseMimeType: text(),
      responseSchema: open_record(),
      responseJsonSchema: open_record(),
      responseModalities: list(text()),
      candidateCount: integer({ min: 1, max: 8 }),
      maxOutputTokens: integer({ min: 1 }),
      temperature: number({ min: 0, max: 2 }),
      topP: number({ min: 0, max: 1 }),
      topK: integer({ min: 1 }),
      seed: nullable(integer()),
      presencePenalty: number(),
      frequencyPenalty: number(),
      responseLogprobs: bool(),
      logprobs: integer(),
      thinkingConfig: record({ includeThoughts: bool(), thinkingBudget: integer(), thinkingLevel: text() }),
      mediaResolution: any(),
      speechConfig: any(),
    }),
  },
  ["contents"],
);

const kStatusNames = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  429: "RESOURCE_EXHAUSTED",
  500: "INTERNAL",
  503: "UNAVAILABLE",
  504: "DEADLINE_EXCEEDED",
};
const error_body = (status, message, details) => ({
  error: { code: status, message, status: kStatusNames[status] ?? "UNKNOWN", ...(details ? { details } : {}) },
});
const refuse = (status, message, details) => {
  throw new Refusal(status, error_body(status, message, details));
};

function authenticate(headers, query) {
  const key = headers["x-goog-api-key"] ?? query.get("key");
  if (!key)
    refuse(
      403,
      "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.",
    );
  if (!key.startsWith(kKeyPrefix)) {
    refuse(400, "API key not valid. Please pass a valid API key.", [
      { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "API_KEY_INVALID", domain: "googleapis.com" },
    ]);
  }
}

const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());

/** Google reads snake_case field names too. */
function camel_keys(value) {
  if (Array.isArray(value)) return value.map(camel_keys);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const name = camel(key);
      return [name, kOpaque.has(name) ? inner : camel_keys(inner)];
    }),
  );
}

function check(body, rule) {
  const issue = first_issue(body, rule);
  if (!issue) return;
  const name = issue.path.at(-1);
  const where = dotted(issue.path.slice(0, -1));
  if (issue.kind === "unknown") {
    refuse(
      400,
      `Invalid JSON payload received. Unknown name "${name}"${where ? ` at '${where}'` : ""}: Cannot find field.`,
    );
  }
  if (issue.kind === "missing") refuse(400, `* ${dotted(issue.path)}: ${name} is not specified`);
  refuse(
    400,
    `Invalid value at '${dotted(issue.path)}' (${issue.kind}), ${JSON.stringify(issue.value ?? null).slice(0, 80)}`,
  );
}

/** Refuses JSON Schema words that Google's OpenAPI subset lacks. */
function check_subset(schema, where) {
  if (Array.isArray(schema)) return schema.forEach((item, i) => check_subset(item, `${where}[${i}]`));
  if (schema === null || typeof schema !== "object") return;
  for (const [key, value] of Object.entries(schema)) {
    if (!kSchemaKeys.has(key))
      refuse(400, `Invalid JSON payload received. Unknown name "${key}" at '${where}': Cannot find field.`);
    if (key === "type" && Array.isArray(value))
      refuse(400, `Invalid value at '${where}.type' (type), expected a single type`);
    if (key === "properties")
      for (const [name, inner] of Object.entries(value)) check_subset(inner, `${where}.properties[${name}].value`);
    if (key === "items" || key === "anyOf") check_subset(value, `${where}.${key}`);
  }
}

const text_of = (entry) => (entry?.parts ?? []).map((p) => (p.thought ? "" : (p.text ?? ""))).join("");
const declarations_of = (body) => (body.tools ?? []).flatMap((t) => t.functionDeclarations ?? []);

function conversation_of(body) {
  const last = body.contents.at(-1);
  const config = body.generationConfig ?? {};
  const calling = body.toolConfig?.functionCallingConfig;
  const asking = body.contents.findLast((c) => (c.role ?? "user") === "user" && text_of(c));
  const json = config.responseSchema ?? config.responseJsonSchema;
  let choice = { ANY: "required", NONE: "none" }[calling?.mode] ?? "auto";
  if (choice === "required" && calling.allowedFunctionNames?.length === 1)
    choice = { name: calling.allowedFunctionNames[0] };
  const results = last.parts.filter((p) => p.functionResponse).map((p) => p.functionResponse);
  return {
    texts: [text_of(body.systemInstruction), ...body.contents.map(text_of), ...results.map((r) => result_text(r))],
    last_user: text_of(asking),
    tool_results: results.map((r) => ({ name: r.name, text: result_text(r) })),
    tools: declarations_of(body).map((d) => ({ name: d.name, schema: d.parameters ?? d.parametersJsonSchema })),
    tool_choice: choice,
    schema: json ?? (config.responseMimeType === "application/json" ? { type: "object" } : null),
    images: body.contents
      .flatMap((c) => c.parts)
      .filter((p) => p.inlineData || p.fileData)
      .map((p) =>
        p.inlineData
          ? { media_type: p.inlineData.mimeType, bytes: Buffer.from(p.inlineData.data, "base64").length }
          : { url: p.fileData.fileUri },
      ),
    max_tokens: config.maxOutputTokens ?? 0,
    stop: config.stopSequences,
    turns: body.contents.map((c) => ({ role: c.role === "model" ? "assistant" : "user", text: text_of(c) })),
  };
}

/** The text a function gave: its only string when there is one, else the JSON. */
function result_text(result) {
  const values = Object.values(result.response);
  return values.length === 1 && typeof values[0] === "string" ? values[0] : JSON.stringify(result.response);
}

/** Google counts thinking beside the candidates' tokens; both are billed as output. */
function usage_metadata(usage) {
  const metadata = {
    promptTokenCount: usage.input,
    candidatesTokenCount: usage.output - usage.reasoning,
    totalTokenCount: usage.input + usage.output,
    promptTokensDetails: [{ modality: "TEXT", tokenCount: usage.input - usage.audio_input }],
  };
  if (usage.reasoning) metadata.thoughtsTokenCount = usage.reasoning;
  if (usage.cached) metadata.cachedContentTokenCount = usage.cached;
  if (usage.audio_input) {
    metadata.promptTokensDetails.push({ modality: "AUDIO", tokenCount: usage.audio_input });
    metadata.candidatesTokensDetails = [{ modality: "AUDIO", tokenCount: usage.audio_output }];
  }
  return metadata;
}

const kFinish = { stop: "STOP", length: "MAX_TOKENS", tool_calls: "STOP", content_filter: "SAFETY" };

function generate(model, raw, streamed, sse, style) {
  const body = camel_keys(raw);
  check(body, kRule);
  if (!kModel.test(model))
    refuse(
      404,
      `models/${model} is not found for API version v1beta, or is not supported for generateContent. Call ListModels to see the list of available models and their supported methods.`,
    );
  if (body.generationConfig?.responseSchema)
    check_subset(body.generationConfig.responseSchema, "generation_config.response_schema");
  declarations_of(body).forEach(
    (d, i) => d.parameters && check_subset(d.parameters, `tools[0].function_declarations[${i}].parameters`),
  );
  const said = answer(conversation_of(body), style);
  const calls = said.tool_calls.map((call) => ({
    functionCall: { name: call.name, args: JSON.parse(call.arguments) },
  }));
  const shell = { modelVersion: model, responseId: make_id("", 20) };
  const usage = said.usage.shape === "none" ? {} : { usageMetadata: usage_metadata(said.usage) };
  const candidate = (parts, finishReason) => [
    { content: { parts, role: "model" }, index: 0, ...(finishReason ? { finishReason } : {}) },
  ];
  const finish = kFinish[said.finish];

  if (!streamed) {
    const parts = [...(said.text ? [{ text: said.text }] : []), ...calls];
    return {
      ...json_reply({ candidates: candidate(parts, finish), ...usage, ...shell }),
      delay_ms: Number(said.markers.delay_ms ?? 0),
    };
  }
  const pieces = [...word_pieces(said.text).map((piece) => ({ text: piece })), ...calls];
  if (!pieces.length) pieces.push({ text: "" });
  const chunks = pieces.map((piece, i) => {
    const end = i === pieces.length - 1;
    const counted = end || said.usage.shape !== "last_chunk_only" ? usage : {};
    return { candidates: candidate([piece], end ? finish : undefined), ...counted, ...shell };
  });
  if (sse)
    return stream_reply(
      chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\r\n\r\n`),
      { markers: said.markers },
    );
  const frames = chunks.map((chunk, i) => `${i ? "," : "["}${JSON.stringify(chunk, null, 2)}\n`);
  return stream_reply([...frames, "]"], { markers: said.markers, media_type: "application/json; charset=UTF-8" });
}

function embed_contents(body) {
  const one = (request) => ({
    values: embed_text(text_of(request.content), request.outputDimensionality ?? kEmbeddingSize),
  });
  if (!body.requests) return json_reply({ embedding: one(body) });
  return json_reply({
    embeddings: body.requests.map(one),
    usageMetadata: { promptTokenCount: body.requests.reduce((sum, r) => sum + count_words(text_of(r.content)), 0) },
  });
}

export function make_google_vendor() {
  return {
    name: "google",
    handle(method, path, body, headers, style, query) {
      authenticate(headers, query);
      const call = /^\/v1(?:beta)?\/models\/([^:/]+):(\w+)$/.exec(path);
      if (method === "POST" && call) {
        const [, model, verb] = call;
        if (verb === "generateContent") return generate(model, body, false, false, style);
        if (verb === "streamGenerateContent") return generate(model, body, true, query.get("alt") === "sse", style);
        if (verb === "embedContent" || verb === "batchEmbedContents") return embed_contents(camel_keys(body));
        if (verb === "countTokens")
          return json_reply({ totalTokens: answer(conversation_of(camel_keys(body)), style).usage.input });
      }
      if (method === "GET" && /^\/v1(beta)?\/models$/.test(path)) {
        return json_reply({
          models: kListed.map((name) => ({ name: `models/${name}`, supportedGenerationMethods: ["generateContent"] })),
        });
      }
      return json_reply(error_body(404, `Requested entity was not found: ${method} ${path}`), 404);
    },
    bad_json: () => json_reply(error_body(400, "Invalid JSON payload received. Unexpected token."), 400),
    status_error: (status, message) => error_body(status, message ?? "The service is currently unavailable."),
    error_frame: (message) => `data: ${JSON.stringify(error_body(503, message ?? "The model is overloaded."))}\r\n\r\n`,
  };
}
