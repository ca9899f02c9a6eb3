/** OpenAI's error bodies and the checks shared by its endpoints. */
import { dotted, first_issue } from "./rules.mjs";
import { kKeyPrefix, Refusal } from "./reply.mjs";

export const openai_error = (message, { type = "invalid_request_error", param = null, code = null } = {}) => ({
  error: { message, type, param, code },
});

export function refuse(status, message, details) {
  throw new Refusal(status, openai_error(message, details));
}

const kArticle = {
  string: "a string",
  number: "a decimal",
  integer: "an integer",
  boolean: "a boolean",
  object: "an object",
  array: "an array",
  null: "null",
};
const named = (type) => kArticle[type] ?? `one of ${type}`;

/** Throws OpenAI's 400 for the first field that breaks `rule`. */
export function check_openai(body, rule) {
  const issue = first_issue(body, rule);
  if (!issue) return;
  const param = dotted(issue.path);
  const number_kind = issue.rule?.integer ? "integer" : "decimal";
  switch (issue.kind) {
    case "unknown":
      return refuse(400, `Unknown parameter: '${param}'.`, { param, code: "unknown_parameter" });
    case "missing":
      return refuse(400, `Missing required parameter: '${param}'.`, { param, code: "missing_required_parameter" });
    case "type":
      return refuse(
        400,
        `Invalid type for '${param}': expected ${named(issue.expected)}, but got ${named(issue.got)} instead.`,
        { param, code: "invalid_type" },
      );
    case "below":
      return refuse(
        400,
        `Invalid '${param}': ${number_kind} below minimum value. Expected a value >= ${issue.limit}, but got ${issue.value} instead.`,
        { param, code: `${number_kind}_below_min_value` },
      );
    case "above":
      return refuse(
        400,
        `Invalid '${param}': ${number_kind} above maximum value. Expected a value <= ${issue.limit}, but got ${issue.value} instead.`,
        { param, code: `${number_kind}_above_max_value` },
      );
    case "enum":
      return refuse(
        400,
        `Invalid value: '${issue.value}'. Supported values are: ${issue.values.map((v) => `'${v}'`).join(", ")}.`,
        { param, code: "invalid_value" },
      );
    default:
      return refuse(400, `Invalid '${param}': wrong length.`, { param, code: "invalid_value" });
  }
}

/** Throws OpenAI's 401 unless the bearer token is one of the fakes' keys. */
export function check_bearer(headers) {
  const key = /^Bearer (.+)$/i.exec(headers.authorization ?? "")?.[1];
  if (!key) {
    refuse(
      401,
      "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth.",
    );
  }
  if (!key.startsWith(kKeyPrefix)) {
    refuse(401, `Incorrect API key provided: ${key.slice(0, 3)}***. You can find your API key in your account.`, {
      code: "invalid_api_key",
    });
  }
}

export function refuse_model(model) {
  refuse(404, `The model \`${model}\` does not exist or you do not have access to it.`, { code: "model_not_found" });
}

/** Error type and code that OpenAI pairs with a status, for scripted faults. */
export function openai_status_error(status, message) {
  if (status === 429) {
    return openai_error(message ?? "Rate limit reached for requests", {
      type: "requests",
      code: "rate_limit_exceeded",
    });
  }
  if (status >= 500)
    return openai_error(message ?? "The server had an error while processing your request.", { type: "server_error" });
  return openai_error(message ?? "Refused.");
}
