/**
 * Where the vendors that speak OpenAI's chat format differ from it: known models, which fields they refuse, how they
 * word refusals and where they put the usage numbers of a stream.
 */
import { first_issue } from "./rules.mjs";
import { json_reply, kKeyPrefix, Refusal } from "./reply.mjs";
import { check_bearer, check_openai, openai_error, refuse, refuse_model } from "./openai_errors.mjs";

/** Reasoning models refuse max_tokens and sampling parameters other than the default. */
const kReasoningModel = /^(o\d|gpt-5)/;
const kMaxOutput = { "gpt-4-turbo": 4096, "gpt-4o": 16384, "gpt-4o-mini": 16384 };

const openai = {
  models: /^(gpt-|o\d|chatgpt-|ft:)/,
  listed: ["gpt-4-turbo", "gpt-4o", "gpt-4o-mini", "o3", "text-embedding-3-small", "text-embedding-3-large"],
  owner: "openai",
  without: [],
  authenticate: check_bearer,
  check: check_openai,
  after_check(body) {
    if (body.stream_options && !body.stream) {
      refuse(400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.", {
        param: "stream_options",
      });
    }
    if (body.max_tokens && body.max_completion_tokens) {
      refuse(400, "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.", {
        param: "max_tokens",
        code: "invalid_parameter_combination",
      });
    }
    if (kReasoningModel.test(body.model)) {
      if (body.max_tokens !== undefined) {
        refuse(
          400,
          "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
          { param: "max_tokens", code: "unsupported_parameter" },
        );
      }
      for (const name of ["temperature", "top_p"]) {
        if ((body[name] ?? 1) !== 1) {
          refuse(
            400,
            `Unsupported value: '${name}' does not support ${body[name]} with this model. Only the default (1) value is supported.`,
            { param: name, code: "unsupported_value" },
          );
        }
      }
    }
    const limit = kMaxOutput[body.model];
    if (limit && (body.max_tokens ?? body.max_completion_tokens ?? 0) > limit) {
      refuse(
        400,
        `max_tokens is too large: ${body.max_tokens ?? body.max_completion_tokens}. This model supports at most ${limit} completion tokens.`,
        { param: "max_tokens" },
      );
    }
  },
  unknown_model: refuse_model,
  stream_usage: (body) => (body.stream_options?.include_usage ? "last_chunk" : "never"),
};

const deepseek = {
  ...openai,
  models: /^deepseek-/,
  listed: ["deepseek-chat", "deepseek-reasoner", "deepseek-coder"],
  owner: "deepseek",
  authenticate(headers) {
    const key = /^Bearer (.+)$/i.exec(headers.authorization ?? "")?.[1] ?? "";
    if (!key.startsWith(kKeyPrefix)) {
      refuse(401, "Authentication Fails, Your api key is invalid", {
        type: "authentication_error",
        code: "invalid_request_error",
      });
    }
  },
  // The real one ignores what it does not know; refusing it keeps the gateway honest about what it sends.
  after_check() {},
  unknown_model: () => refuse(400, "Model Not Exist", { code: "invalid_request_error" }),
  thinking: (body) => body.model === "deepseek-reasoner",
  stream_usage: (body) => (body.stream_options?.include_usage ? "with_finish" : "never"),
};

/** Mistral's validation errors list every problem with its place. */
const mistral_detail = (type, path, msg, input) => ({
  object: "error",
  message: { detail: [{ type, loc: ["body", ...path], msg, input }] },
  type: "invalid_request_error",
  param: null,
  code: null,
});

const kMistralTypes = {
  unknown: ["extra_forbidden", "Extra inputs are not permitted"],
  missing: ["missing", "Field required"],
  below: ["greater_than_equal", "Input is below the minimum"],
  above: ["less_than_equal", "Input is above the maximum"],
  enum: ["literal_error", "Input is not one of the permitted values"],
};

const mistral = {
  ...openai,
  models: /^(mistral-|open-mi|codestral-|ministral-)/,
  listed: ["mistral-large-latest", "mistral-small-latest", "codestral-latest", "mistral-7b"],
  owner: "mistralai",
  // Each of these was refused with extra_forbidden by the real service.
  without: [
    "max_completion_tokens",
    "seed",
    "user",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "store",
    "service_tier",
    "functions",
    "function_call",
    "audio",
    "modalities",
    "reasoning_effort",
    "verbosity",
    "web_search_options",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
  ],
  no_stream_usage_option: true,
  authenticate(headers) {
    const key = /^Bearer (.+)$/i.exec(headers.authorization ?? "")?.[1] ?? "";
    if (!key.startsWith(kKeyPrefix)) throw new Refusal(401, { detail: "Unauthorized" });
  },
  check(body, rule) {
    const issue = first_issue(body, rule);
    if (!issue) return;
    const [type, msg] = kMistralTypes[issue.kind] ?? ["value_error", "Input is not valid"];
    throw new Refusal(422, mistral_detail(type, issue.path, msg, issue.value ?? null));
  },
  after_check(body) {
    if (body.stream_options && "include_usage" in body.stream_options) {
      throw new Refusal(
        422,
        mistral_detail(
          "extra_forbidden",
          ["stream_options", "include_usage"],
          "Extra inputs are not permitted",
          body.stream_options.include_usage,
        ),
      );
    }
    const ids = body.messages
      .flatMap((m) => [m.tool_call_id, ...(m.tool_calls ?? []).map((c) => c.id)])
      .filter(Boolean);
    const bad = ids.find((id) => !/^[a-zA-Z0-9]{9}$/.test(id));
    if (bad) {
      throw new Refusal(400, {
        object: "error",
        type: "invalid_request_message_order",
        param: null,
        code: "3230",
        message: `Tool call id was ${bad} but must be a-z, A-Z, 0-9, with a length of 9.`,
      });
    }
  },
  unknown_model(model) {
    throw new Refusal(400, {
      object: "error",
      message: `Invalid model: ${model}`,
      type: "invalid_model",
      param: null,
      code: "1500",
    });
  },
  tool_call_id_length: 9,
  stream_usage: () => "with_finish",
};

const ollama = {
  ...openai,
  models: /^(llama|qwen|phi|gemma|mistral:)/,
  listed: ["llama3.2:latest", "qwen2.5:7b"],
  owner: "library",
  authenticate() {},
  after_check() {},
  unknown_model: (model) => refuse(404, `model "${model}" not found, try pulling it first`, { type: "api_error" }),
};

const vercel = {
  ...openai,
  models: /^[a-z]+\/[a-z0-9.-]+$/,
  listed: ["openai/gpt-4o", "anthropic/claude-3-5-sonnet"],
  owner: "vercel",
  after_check() {},
};

export const kDialects = { openai, deepseek, mistral, ollama, vercel };

/** GET /v1/models and /v1/models/{id}. */
export function list_models(dialect, id) {
  const model_object = (name) => ({ id: name, object: "model", created: 1_700_000_000, owned_by: dialect.owner });
  if (id === undefined) return json_reply({ object: "list", data: dialect.listed.map(model_object) });
  if (!dialect.listed.includes(id))
    return json_reply(openai_error(`The model '${id}' does not exist`, { code: "model_not_found" }), 404);
  return json_reply(model_object(id));
}
