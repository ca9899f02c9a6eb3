/** Cohere's POST /v2/embed. */
import { first_issue, integer, list, one_of, record, text } from "./rules.mjs";
import { count_words } from "./answer.mjs";
import { json_reply, kKeyPrefix, make_id, Refusal } from "./reply.mjs";
import { embed_text, to_base64 } from "./vectors.mjs";

const kMaxTexts = 96;
const kModels = {
  "embed-english-v3.0": 1024,
  "embed-multilingual-v3.0": 1024,
  "embed-english-light-v3.0": 384,
  "embed-v4.0": 1536,
};

const kRule = record(
  {
    model: text(),
    texts: list(text()),
    input_type: one_of("search_document", "search_query", "classification", "clustering", "image"),
    embedding_types: list(one_of("float", "int8", "uint8", "binary", "ubinary", "base64")),
    truncate: one_of("NONE", "START", "END"),
    output_dimension: integer(),
    max_tokens: integer({ min: 1 }),
    priority: integer({ min: 0, max: 999 }),
  },
  ["model", "input_type"],
);

const refuse = (status, message) => {
  throw new Refusal(status, { id: make_id("", 32), message });
};

function embed(body) {
  const issue = first_issue(body, kRule);
  if (issue) {
    const words = {
      missing: "is required",
      unknown: "is not a valid field",
      type: `must be ${issue.expected}`,
      enum: "has an unsupported value",
    };
    refuse(400, `invalid request: ${issue.path.join(".")} ${words[issue.kind] ?? "is out of range"}`);
  }
  const size = kModels[body.model];
  if (!size)
    refuse(
      404,
      `model '${body.model}' not found, make sure the correct model ID was used and that you have access to the model.`,
    );
  if (body.output_dimension && body.model !== "embed-v4.0")
    refuse(400, "invalid request: output_dimension is only supported for embed-v4.0 and newer");
  const texts = body.texts ?? [];
  if (!texts.length) refuse(400, "invalid request: at least one text or image is required");
  if (texts.length > kMaxTexts)
    refuse(400, `invalid request: total number of texts must be at most ${kMaxTexts} - received ${texts.length}`);
  const vectors = texts.map((item) => embed_text(item, body.output_dimension ?? size));
  const embeddings = {};
  for (const type of body.embedding_types ?? ["float"]) {
    if (type === "float") embeddings.float = vectors;
    else if (type === "base64") embeddings.base64 = vectors.map(to_base64);
    else embeddings[type] = vectors.map((v) => v.map((x) => Math.round(x * 127)));
  }
  return json_reply({
    id: make_id("", 32),
    embeddings,
    texts,
    response_type: "embeddings_by_type",
    meta: {
      api_version: { version: "2" },
      billed_units: { input_tokens: texts.reduce((sum, item) => sum + count_words(item), 0) },
    },
  });
}

export function make_cohere_vendor() {
  return {
    name: "cohere",
    handle(method, path, body, headers) {
      const key = /^Bearer (.+)$/i.exec(headers.authorization ?? "")?.[1];
      if (!key) refuse(401, "no api key supplied");
      if (!key.startsWith(kKeyPrefix)) refuse(401, "invalid api token");
      if (method === "POST" && path === "/v2/embed") return embed(body);
      if (method === "GET" && path === "/v1/models")
        return json_reply({ models: Object.keys(kModels).map((name) => ({ name, endpoints: ["embed"] })) });
      return json_reply({ message: `not found: ${method} ${path}` }, 404);
    },
    bad_json: () => json_reply({ id: make_id("", 32), message: "invalid json syntax" }, 400),
    status_error: (status, message) => ({ id: make_id("", 32), message: message ?? "internal server error" }),
    error_frame: (message) => `data: ${JSON.stringify({ message: message ?? "internal server error" })}\n\n`,
  };
}
