/** POST /v1/embeddings in OpenAI's format. */
import { either, integer, list, one_of, record, text } from "./rules.mjs";
import { count_words } from "./answer.mjs";
import { check_openai, refuse, refuse_model } from "./openai_errors.mjs";
import { json_reply } from "./reply.mjs";
import { embed_text, to_base64 } from "./vectors.mjs";

const kModels = {
  "text-embedding-3-small": { size: 1536, shortens: true },
  "text-embedding-3-large": { size: 3072, shortens: true },
  "text-embedding-ada-002": { size: 1536, shortens: false },
};

const kRule = record(
  {
    model: text(),
    input: either(
      text({ min_length: 1 }),
      list(either(text({ min_length: 1 }), list(integer(), { min_items: 1 }), integer()), {
        min_items: 1,
        max_items: 2048,
      }),
    ),
    encoding_format: one_of("float", "base64"),
    dimensions: integer({ min: 1 }),
    user: text(),
  },
  ["model", "input"],
);

/** The inputs as texts; token ids are written as words so that they embed deterministically too. */
function texts_of(input) {
  if (typeof input === "string") return [input];
  if (input.every(Number.isInteger)) return [input.map((id) => `t${id}`).join(" ")];
  return input.map((item) => (typeof item === "string" ? item : item.map((id) => `t${id}`).join(" ")));
}

export function embeddings(body) {
  check_openai(body, kRule);
  const model = kModels[body.model];
  if (!model) refuse_model(body.model);
  if (body.dimensions && !model.shortens)
    refuse(400, "This model does not support specifying dimensions.", { param: "dimensions" });
  if (body.dimensions > model.size) {
    refuse(400, `Invalid value for 'dimensions' = ${body.dimensions}. Must be less than or equal to ${model.size}.`, {
      param: "dimensions",
    });
  }
  const texts = texts_of(body.input);
  const tokens = texts.reduce((sum, item) => sum + count_words(item), 0);
  const data = texts.map((item, index) => {
    const vector = embed_text(item, body.dimensions ?? model.size);
    return { object: "embedding", index, embedding: body.encoding_format === "base64" ? to_base64(vector) : vector };
  });
  return json_reply({
    object: "list",
    data,
    model: body.model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  });
}
